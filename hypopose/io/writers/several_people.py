"""Several people in one file: what they are called, in one world, over the same frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hypopose.errors import OptionError
from hypopose.io.results import Result
from hypopose.io.writers.scene import ExportScene, Take

LONGEST = 16
"""Letters of a person's name before a label; C3D readers expect labels of up to 32."""


def person_names(results: Sequence[Result]) -> tuple[list[str], tuple[str, ...]]:
    """What people are called: as in their results, or by number if two share a name.

    Args:
        results: One a person.

    Returns:
        Names, and a note that maps names to people if they were numbered.
    """
    names = [result.person or "0" for result in results]
    if len(set(names)) == len(names):
        return names, ()
    numbered = [str(i) for i in range(len(results))]
    who = (f"{i} is person {r.person or '0'} of {r.source}" for i, r in enumerate(results))
    return numbered, (f"people share names, so they are numbered: {', '.join(who)}",)


def label_prefixes(names: Sequence[str]) -> list[str]:
    """Beginnings of the labels of people, such as ``P0:``; ASCII, and short enough for C3D.

    Args:
        names: Of the people, all different.

    Example:
        >>> label_prefixes(["0", "1"]), label_prefixes(["ann", "s1/walk 2"])
        (['P0:', 'P1:'], ['ann:', 's1_walk_2:'])
    """
    words = [f"P{name}" if name.isdecimal() else name for name in names]
    made = [re.sub(r"[^A-Za-z0-9_-]", "_", word)[:LONGEST] for word in words]
    if len(set(made)) < len(made):
        made = [f"P{i}" for i in range(len(made))]
    return [f"{word}:" for word in made]


def in_one_world(results: Sequence[Result]) -> tuple[Sequence[Result], tuple[str, ...]]:
    """People of one recording in the first one's estimated world, and what to say of it."""
    first = results[0].keypoints.camera
    estimated = all(result.world_is_estimated for result in results)
    if not estimated or first is None or len(results) == 1:
        return results, ()
    if len({result.source for result in results}) > 1:
        return results, ("recordings differ: each person stands in a world of its own",)
    shared = []
    for result in results:
        camera = result.keypoints.camera
        assert camera is not None  # a world was estimated with one
        placed = replace(camera, rotation=first.rotation, translation=first.translation)
        shared.append(replace(result, keypoints=replace(result.keypoints, camera=placed)))
    return shared, ("all stand in the world estimated for the first",)


def check_together(scenes: Sequence[ExportScene]) -> None:
    """Refuse people who are in different frames.

    Raises:
        OptionError: If they are.
    """
    frames = sorted({scene.axes for scene in scenes})
    if len(frames) > 1:
        raise OptionError(
            f"These results are in different frames ({' and '.join(frames)}); "
            "export each to a file of its own."
        )


def over_same_frames(
    scenes: Sequence[ExportScene],
) -> tuple[list[ExportScene], tuple[str, ...]]:
    """Scenes as long as the longest, for files with one row a frame for all.

    Args:
        scenes: A person each; motions begin together.

    Returns:
        Scenes whose later frames are unknown, and a note for each that was shorter.

    Raises:
        OptionError: If frame rates differ.
    """
    rates = sorted({scene.rate for scene in scenes})
    if len(rates) > 1:
        words = " and ".join(f"{rate:g}" for rate in rates)
        raise OptionError(
            f"These people have different frame rates ({words} Hz), and a file has one; give one "
            "for all with fps=, or export each to a file of its own."
        )
    n = max(scene.n_frames for scene in scenes)
    short = (s for s in scenes if s.n_frames < n)
    notes = tuple(f"{s.called}: unknown after frame {s.n_frames}" for s in short)
    return [_lengthened(scene, n) for scene in scenes], notes


def _lengthened(scene: ExportScene, n: int) -> ExportScene:
    """A scene of n frames, the further ones unknown."""
    return replace(scene, takes=tuple(_longer(take, n) for take in scene.takes))


def _longer(take: Take, n: int) -> Take:
    return replace(
        take,
        joints=_padded(take.joints, n),
        root=None if take.root is None else _padded(take.root, n),
        std=None if take.std is None else _padded(take.std, n),
    )


def _padded(values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    more = np.full((n - len(values), *values.shape[1:]), np.nan)
    return np.concatenate((values, more))
