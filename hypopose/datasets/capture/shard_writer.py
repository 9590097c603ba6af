"""Writing motion shards: what :func:`hypopose.datasets.load_motion` reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hypopose.datasets.capture.recorded_clip import RecordedClip
from hypopose.errors import OptionError
from hypopose.io.atomic import write_atomically

SCALE = 0.00025
"""Meters per step of the stored integers: a quarter of a millimeter."""

REACH = 8.0
"""Steps are 16-bit integers, so that a clip reaches this far from its origin, in meters."""


def write_shard(
    path: str | Path,
    clips: Sequence[RecordedClip],
    *,
    val: Collection[str] = (),
    test: Collection[str] = (),
) -> dict[str, int]:
    """Write clips of one frame rate; whole subjects go to one split.

    Clips that walk more than 8 m from their middle are cut where they leave.

    Args:
        path: npz; replaced in one move.
        clips: Cleaned clips, see :func:`hypopose.datasets.capture.cleaned`.
        val: Subjects of the validation split.
        test: Subjects of the test split; all others are trained on.

    Returns:
        Frames per split.

    Raises:
        OptionError: If there are no clips, their frame rates differ, or a named subject is absent.
    """
    kept = _writable(clips)
    split_of = _splits({clip.subject for clip in kept}, val, test)
    splits = np.array([split_of[clip.subject] for clip in kept])
    lengths = np.array([len(clip.joints) for clip in kept])
    steps = np.round(np.concatenate([clip.joints for clip in kept]) / SCALE)
    texts = ("name", "subject", "action", "description", "source", "license", "flags")
    words: dict[str, Any] = {t: np.array([getattr(clip, t) for clip in kept]) for t in texts}
    with write_atomically(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            joints=steps.astype(np.int16),
            scale=SCALE,
            fps=kept[0].fps,
            start=np.cumsum(lengths) - lengths,
            length=lengths,
            split=splits,
            **words,
        )
    return {s: int(lengths[splits == s].sum()) for s in ("train", "val", "test")}


def _writable(clips: Sequence[RecordedClip]) -> list[RecordedClip]:
    """The parts of clips within range; refused if there are none, or if frame rates differ."""
    kept = [clip for clip in map(_near, clips) if len(clip.joints) > 1]
    if not kept:
        raise OptionError(
            "There are no clips to write: no file could be read, or none is half a second long."
        )
    if len({clip.fps for clip in kept}) > 1:
        raise OptionError("Clips of one shard have one frame rate; clean them first.")
    return kept


def _splits(
    subjects: Collection[str], val: Collection[str], test: Collection[str]
) -> dict[str, str]:
    """The split of each subject; refused if a named subject is absent, or named for both splits."""
    wrong = sorted({*val, *test}.difference(subjects)) or sorted({*val}.intersection(test))
    if wrong:
        raise OptionError(
            f"--val and --test name people of these files, each once; {', '.join(wrong)} cannot "
            f"be. There are {', '.join(map(repr, sorted(subjects)))}; --subject PATTERN=NAME names "
            "them."
        )
    named = dict.fromkeys(test, "test") | dict.fromkeys(val, "val")
    return {subject: named.get(subject, "train") for subject in subjects}


def _near(clip: RecordedClip) -> RecordedClip:
    """The longest part of a clip within range."""
    inside = np.abs(clip.joints).max((1, 2)) < REACH
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
    runs = list(zip(edges[::2], edges[1::2], strict=True))
    if not runs:
        return RecordedClip(clip.joints[:0], clip.fps, clip.name)
    first, end = max(runs, key=lambda run: run[1] - run[0])
    if end - first == len(inside):
        return clip
    flags = " ".join([*clip.flags.split(), "cut_to_reach"])
    return RecordedClip(
        clip.joints[first:end], clip.fps, clip.name, clip.subject, clip.action, clip.source,
        clip.license, clip.description, flags,
    )  # fmt: skip
