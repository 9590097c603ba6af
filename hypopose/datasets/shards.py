"""Motion shards: clips of 17 joints in world coordinates (meters, z up) at 50 Hz.

The format is one npz a shard, without pickled objects: ``joints`` int16 (N, 17, 3) with ``scale``
(meters a step), ``fps``, and one entry per clip in ``start``, ``length``, ``name``, ``action`` and
``split``; ``subject`` and ``flags`` where they are known. The flag ``replaces:A|B`` states that a
clip is a better recording of the same motion as the clips A and B.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from hypopose.errors import FormatError, OptionError
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive
from hypopose.simulation.motion import Motion

SPLITS = ("train", "val", "test")

NEEDED = ("joints", "scale", "fps", "start", "length", "name", "action", "split")

REPLACES = "replaces:"

RATES = (1.0, 2000.0)
"""Frame rates of shards lie between these."""

REACH = 1000.0
"""No joint is farther than this many meters from the origin."""


def load_motion(
    paths: str | Path | Sequence[str | Path],
    split: str = "train",
    *,
    exclude: Sequence[str] = (),
    subjects: Sequence[str] | None = None,
) -> Motion:
    """Read one split of one or several motion shards.

    Clips that another clip of these shards and this split replaces are left out.

    Args:
        paths: Shard files.
        split: ``"train"``, ``"val"`` or ``"test"``.
        exclude: Names of clips to leave out; ``*`` and ``?`` stand for any letters.
        subjects: Only these people; all if None.

    Returns:
        The clips of that split, in the order of the files.

    Raises:
        FormatError: If a file is absent, damaged or not a motion shard.
        OptionError: If the split is unknown or empty.
    """
    if split not in SPLITS:
        raise OptionError(f"Unknown split {split!r}; choose one of {', '.join(SPLITS)}.")
    files = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
    shards = [read_shard(file) for file in files]
    found = [clip for shard in shards for clip in shard.clips() if clip.split == split]
    clips = _wanted(_newest(found), exclude, subjects)
    if not clips:
        raise OptionError(
            f"No {split!r} clip in {', '.join(f.name for f in files)}; name more shards."
        )
    return _motion(clips, _rate_of(shards))


def _rate_of(shards: Iterable[Shard]) -> float:
    rates = {shard.fps for shard in shards}
    if len(rates) > 1:
        raise FormatError(f"Shards differ in frame rate ({sorted(rates)}); resample them first.")
    return rates.pop()


def _wanted(
    clips: Iterable[ShardClip], exclude: Sequence[str], subjects: Sequence[str] | None
) -> list[ShardClip]:
    """Clips of these people whose names fit none of the patterns."""
    return [
        clip
        for clip in clips
        if (subjects is None or clip.subject in subjects)
        and not any(fnmatchcase(clip.name, pattern) for pattern in exclude)
    ]


def _motion(clips: Sequence[ShardClip], fps: float) -> Motion:
    """Clips one behind the other."""
    length = torch.tensor([len(clip.joints) for clip in clips])
    return Motion(
        torch.from_numpy(np.concatenate([clip.meters() for clip in clips])),
        length.cumsum(0) - length,
        length,
        fps,
        tuple(clip.name for clip in clips),
        tuple(clip.action for clip in clips),
        tuple(clip.shard for clip in clips),
        tuple(clip.subject for clip in clips),
    )


@dataclass(frozen=True, eq=False)
class ShardClip:
    """One clip of a shard.

    Args:
        joints: Steps of ``scale``.
        scale: Meters a step.
        name: Of the clip.
        action: What it shows.
        subject: Who moves; empty if unknown.
        split: ``"train"``, ``"val"`` or ``"test"``.
        flags: Words about it.
        shard: File stem.
    """

    joints: np.ndarray
    scale: float
    name: str
    action: str
    subject: str
    split: str
    flags: str
    shard: str

    def meters(self) -> Float[np.ndarray, "F 17 3"]:
        """Joints in meters, float32."""
        return self.joints.astype(np.float32) * self.scale

    @property
    def replaced(self) -> tuple[str, ...]:
        """Names of the clips that this one replaces."""
        words = [w.removeprefix(REPLACES) for w in self.flags.split() if w.startswith(REPLACES)]
        return tuple(name for word in words for name in word.split("|"))


@dataclass(frozen=True, eq=False)
class Shard:
    """A shard whose arrays belong together.

    Args:
        file: Where it was read.
        joints: All frames, in steps of ``scale``.
        scale: Meters a step.
        fps: Frames per second.
        start: First frame of each clip.
        length: Frames of each clip.
        words: Texts per clip by name.
    """

    file: Path
    joints: np.ndarray
    scale: float
    fps: float
    start: Int[np.ndarray, " clips"]
    length: Int[np.ndarray, " clips"]
    words: dict[str, tuple[str, ...]]

    def clips(self) -> Iterator[ShardClip]:
        """Every clip, in order."""
        for i, (start, length) in enumerate(zip(self.start, self.length, strict=True)):
            words = {name: texts[i] for name, texts in self.words.items()}
            joints = self.joints[start : start + length]
            yield ShardClip(joints, self.scale, shard=self.file.stem, **words)


def read_shard(file: str | Path) -> Shard:
    """Read and check a motion shard.

    Args:
        file: npz.

    Raises:
        FormatError: If it is absent, damaged or not a motion shard.
    """
    file = Path(file)
    try:
        archive = NpzArchive(Source(file))
        absent = [name for name in NEEDED if name not in archive.names]
        if absent:
            raise ValueError(f"it lacks {', '.join(absent)}")
        arrays = {name: archive.array(name) for name in NEEDED}
        n = len(np.atleast_1d(arrays["start"]))
        words = {name: _words(arrays[name], n, name) for name in ("name", "action", "split")}
        for name in ("subject", "flags"):
            known = name in archive.names
            words[name] = _words(archive.array(name), n, name) if known else ("",) * n
        return _checked(file, arrays, words)
    except (ValueError, FormatError) as error:
        raise FormatError(
            f"{file} is not a motion shard (npz with {', '.join(NEEDED)}): {error}"
        ) from error


def _checked(file: Path, arrays: dict[str, np.ndarray], words: dict[str, tuple[str, ...]]) -> Shard:
    joints = arrays["joints"]
    scale, fps = _number(arrays["scale"], "scale"), _number(arrays["fps"], "fps")
    if joints.ndim != 3 or joints.shape[1:] != (17, 3) or joints.dtype.kind not in "if":
        raise ValueError(f"joints are {joints.dtype} {joints.shape}, not numbers (N, 17, 3)")
    if not (RATES[0] <= fps <= RATES[1] and scale > 0):
        raise ValueError(f"fps {fps:g} or scale {scale:g} cannot be")
    start, length = _clip_ranges(arrays["start"], arrays["length"], len(joints))
    most = max(float(joints.max(initial=0)), -float(joints.min(initial=0)))
    if not most * scale <= REACH:  # also where it is not a number
        raise ValueError(f"joints are not finite, or farther than {REACH:g} m from the origin")
    unknown = sorted(set(words["split"]) - set(SPLITS))
    if unknown:
        raise ValueError(f"a clip is in the split {unknown[0]!r}, not in {', '.join(SPLITS)}")
    return Shard(file, joints, scale, fps, start, length, words)


def _clip_ranges(
    start: np.ndarray, length: np.ndarray, n_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """First frames and lengths of clips as 64-bit numbers, all inside the frames there are."""
    if start.dtype.kind not in "iu" or length.dtype.kind not in "iu" or start.ndim != 1:
        raise ValueError("start and length are not whole numbers, one a clip")
    start, length = start.astype(np.int64), length.astype(np.int64)
    if start.shape != length.shape or not _inside(start, length, n_frames):
        raise ValueError(f"start and length reach outside the {n_frames} frames")
    return start, length


def _inside(start: np.ndarray, length: np.ndarray, n: int) -> bool:
    return bool(((start >= 0) & (length > 0) & (start <= n) & (length <= n - start)).all())


def _number(array: np.ndarray, name: str) -> float:
    if array.size != 1 or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise ValueError(f"{name} is not a number")
    return float(array.reshape(()))


def _words(array: np.ndarray, n: int, name: str) -> tuple[str, ...]:
    if array.dtype.kind != "U" or array.shape != (n,):
        raise ValueError(f"{name} is not a text for each of the {n} clips")
    return tuple(map(str, array))


def _newest(clips: Sequence[ShardClip]) -> list[ShardClip]:
    """Clips that no other of them replaces."""
    replaced = {name for clip in clips for name in clip.replaced}
    return [clip for clip in clips if clip.name not in replaced]
