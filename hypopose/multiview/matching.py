"""Match people between views by how well their joints fit the epipolar geometry.

Where the cameras are known, a pair's cost is the median distance of its joints from the epipolar
constraint, and the pairing of least total cost is taken (Hungarian method); pairs that are too far
off stay alone, so views may show unlike numbers of people. Where cameras are not known, they are
estimated from every pair of people in turn, and the estimate that explains most joints of all
people is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hypopose.errors import UndeterminedError
from hypopose.multiview.camera_tracks import ViewTracks
from hypopose.multiview.epipolar import essential_of_pose, sampson
from hypopose.multiview.relative_pose import RelativePose, relative_pose
from hypopose.multiview.time_offsets import TimeOffset, checked_offset, estimate_offset

FAR_PX = 25.0
"""Pairs whose median distance is larger, in pixels, are different people."""

MOST_PEOPLE = 4
"""People of a view, those seen most, who are tried as the one that finds the cameras."""

LEAST_OVERLAP = 8
"""Frames that a pair must share."""

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class MatchedPair:
    """Two views brought together.

    Args:
        pose: Of the second view, seen from the first.
        offset: In time.
        pairs: Matched people: their numbers in the first and the second view.
    """

    pose: RelativePose
    offset: TimeOffset
    pairs: Pairs


def pair_people(costs: Float[np.ndarray, "P Q"], limit: float) -> Pairs:
    """The pairing of least total cost, without pairs that cost more than a limit.

    Args:
        costs: Of every pair; NaN where two cannot be compared.
        limit: Largest cost of a pair.

    Returns:
        Pairs, in the order of the rows.

    Example:
        >>> pair_people(np.array([[9.0, 1.0], [2.0, 3.0], [np.nan, 8.0]]), limit=5.0)
        ((0, 1), (1, 0))
    """
    from scipy.optimize import linear_sum_assignment

    # Pairs beyond the limit cost what two people who stay alone do.
    usable = np.where(np.isfinite(costs) & (costs <= limit), costs, 2 * limit)
    rows, columns = linear_sum_assignment(usable)
    return tuple(
        (int(i), int(j)) for i, j in zip(rows, columns, strict=True) if usable[i, j] <= limit
    )


def epipolar_costs(
    first: ViewTracks, second: ViewTracks, essential: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "P Q"]:
    """Median distance in pixels of everybody in one view from everybody in another.

    Args:
        first: People of one view.
        second: People of another at the same moments.
        essential: Of the two views, ``x2' E x1 = 0``.

    Returns:
        NaN for pairs that share fewer than 8 frames.
    """
    focal = (first.focal + second.focal) / 2
    out = np.full((first.n_people, second.n_people), np.nan)
    for i in range(first.n_people):
        for j in range(second.n_people):
            off = np.abs(sampson(essential, first.rays[i], second.rays[j]))
            shared = (np.isfinite(off).sum(-1) >= 4).sum()
            if shared >= LEAST_OVERLAP:
                out[i, j] = focal * np.nanmedian(off)
    return out


def match_views(
    first: ViewTracks,
    second: ViewTracks,
    *,
    offset: TimeOffset | None = None,
    most: float = 60.0,
    rates: Sequence[float] = (1.0,),
    free_rate: bool = False,
    around: float = 0.0,
    seed: int = 0,
) -> MatchedPair:
    """Find pose, offset in time and pairing of people of two views, nothing of which is known.

    Args:
        first: What one camera saw.
        second: What the other one saw.
        offset: In time, if known.
        most: Largest offset that is tried, in frames of the second view.
        rates: Frames of the second view per frame of the first that are tried.
        free_rate: Whether the best rate is refined.
        around: Offset that the frames' numbers say.
        seed: Decides the samples of consensus.

    Returns:
        All three.

    Raises:
        UndeterminedError: If no pair of people finds the cameras; the message is that of the pair
            that is seen most.
    """
    failed: list[UndeterminedError] = []
    best: MatchedPair | None = None
    most_explained = 0.0
    for i in _seen_most(first):
        for j in _seen_most(second):
            try:
                found = _from_pair(
                    first, second, (i, j), offset, most, rates, free_rate, around, seed
                )
            except UndeterminedError as error:
                failed.append(error)
                continue
            explained = _explained(first, second, found)
            if explained > most_explained:
                best, most_explained = found, explained
            if len(found.pairs) == min(len(_seen_most(first)), len(_seen_most(second))):
                return _with_everybody(first, second, best or found, seed)
    if best is None:
        raise (
            failed[0]
            if failed
            else UndeterminedError(
                f"{first.name} and {second.name} have no person in common; give recordings of the "
                "same people at the same time."
            )
        )
    return _with_everybody(first, second, best, seed)


def _seen_most(view: ViewTracks) -> list[int]:
    frames = ((view.weights > 0).sum(-1) >= 4).sum(-1)
    return [int(i) for i in np.argsort(-frames, kind="stable")[:MOST_PEOPLE] if frames[i]]


def _from_pair(
    first: ViewTracks, second: ViewTracks, pair: tuple[int, int], offset: TimeOffset | None,
    most: float, rates: Sequence[float], free_rate: bool, around: float, seed: int,
) -> MatchedPair:  # fmt: skip
    i, j = pair
    if offset is None:
        found = estimate_offset(
            first.rays[i], second.rays[j], (first.weights[i], second.weights[j]), most=most,
            rates=rates, free_rate=free_rate, fps=second.fps or 30.0, around=around,
        )  # fmt: skip
        offset = checked_offset(found, second.name, around=around)
    there = second.at(offset.times(first.clock))
    weights = np.sqrt(first.weights[i] * there.weights[j])
    pose = relative_pose(first.rays[i], there.rays[j], weights, seed=seed)
    costs = epipolar_costs(first, there, essential_of_pose(pose.rotation, pose.translation))
    return MatchedPair(pose, offset, pair_people(costs, FAR_PX) or (pair,))


def _explained(first: ViewTracks, second: ViewTracks, found: MatchedPair) -> float:
    """How many joints of everybody fit, each by how well."""
    there = second.at(found.offset.times(first.clock))
    E = essential_of_pose(found.pose.rotation, found.pose.translation)
    focal, total = (first.focal + second.focal) / 2, 0.0
    for i, j in found.pairs:
        off = focal * np.abs(sampson(E, first.rays[i], there.rays[j]))
        total += float(np.exp(-0.5 * (off[np.isfinite(off)] / 8.0) ** 2).sum())
    return total


def _with_everybody(
    first: ViewTracks, second: ViewTracks, found: MatchedPair, seed: int
) -> MatchedPair:
    """The pose from all pairs together."""
    if len(found.pairs) < 2:
        return found
    there = second.at(found.offset.times(first.clock))
    one = np.concatenate([first.rays[i] for i, _ in found.pairs])
    other = np.concatenate([there.rays[j] for _, j in found.pairs])
    weights = np.concatenate([np.sqrt(first.weights[i] * there.weights[j]) for i, j in found.pairs])
    pose = relative_pose(one, other, weights, seed=seed)
    return MatchedPair(pose, found.offset, found.pairs)
