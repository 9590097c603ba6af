"""Views at the same moments: people matched across views, on one clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from hypopose.errors import OptionError
from hypopose.multiview.camera_tracks import ViewTracks
from hypopose.multiview.epipolar import essential_of_pose
from hypopose.multiview.matching import FAR_PX, epipolar_costs, pair_people
from hypopose.multiview.time_offsets import TimeOffset
from hypopose.types import Camera, Skeleton


@dataclass(frozen=True, eq=False)
class Synchronized:
    """People of several views at the moments of the first view's frames.

    Args:
        names: Of the views.
        rays: On each view's normalized plane; NaN where undetected.
        weights: Confidences.
        focals: In pixels.
        skeleton: Of the keypoints.
    """

    names: tuple[str, ...]
    rays: Float[np.ndarray, "V P F J 2"]
    weights: Float[np.ndarray, "V P F J"]
    focals: Float[np.ndarray, " V"]
    skeleton: Skeleton

    @property
    def n_people(self) -> int:
        """How many people."""
        return self.rays.shape[1]


def projection_of(camera: Camera) -> Float[np.ndarray, "3 4"]:
    """[R | t] of a camera that stands still.

    Raises:
        OptionError: If it moves.
    """
    R = np.eye(3) if camera.rotation is None else camera.rotation.double().numpy()
    t = np.zeros(3) if camera.translation is None else camera.translation.double().numpy()
    if R.ndim != 2 or t.ndim != 1:
        raise OptionError("Several views are combined by cameras that stand still; one moves.")
    return np.column_stack([R, t])


def synchronize(
    views: Sequence[ViewTracks],
    clocks: Sequence[TimeOffset],
    people: Int[np.ndarray, "V P"],
) -> Synchronized:
    """Everybody in every view at the moments of the first view's frames.

    Args:
        views: What the cameras saw.
        clocks: Of each view against the first.
        people: Number of each person in each view; -1 where the view does not show them.
    """
    frames = views[0].clock
    rays, weights = [], []
    for view, clock, own in zip(views, clocks, people, strict=True):
        there = view.at(clock.times(frames))
        hidden = own < 0
        rays.append(np.where(hidden[:, None, None, None], np.nan, there.rays[own]))
        weights.append(np.where(hidden[:, None, None], 0.0, there.weights[own]))
    return Synchronized(
        tuple(view.name for view in views),
        np.stack(rays),
        np.stack(weights),
        np.array([view.focal for view in views]),
        views[0].skeleton,
    )


def match_known(
    views: Sequence[ViewTracks], cameras: Sequence[Camera], clocks: Sequence[TimeOffset]
) -> Int[np.ndarray, "V P"]:
    """Who is who in views of known cameras.

    People of the first view are numbered; people of each further view are paired with those by
    their mean distance from the epipolar constraint with all views that show them, and others are
    given a new number.

    Args:
        views: What the cameras saw.
        cameras: Of the views, placed in one world.
        clocks: Of each view against the first.

    Returns:
        Number of each person in each view; -1 where the view does not show them. People of one
        view alone are left out.
    """
    frames = views[0].clock
    there = [view.at(clock.times(frames)) for view, clock in zip(views, clocks, strict=True)]
    poses = [projection_of(camera) for camera in cameras]
    people = [_seen_only_by(0, i, len(views)) for i in range(views[0].n_people)]
    for v in range(1, len(views)):
        costs = [
            _costs_of(people, u, epipolar_costs(there[u], there[v], _essential(poses[u], poses[v])))
            for u in range(v)
        ]
        pairs = pair_people(_mean(np.stack(costs)), FAR_PX)
        for i, j in pairs:
            people[i][v] = j
        left = set(range(views[v].n_people)).difference(j for _, j in pairs)
        people += [_seen_only_by(v, j, len(views)) for j in left]
    found = np.stack(people, -1) if people else np.zeros((len(views), 0), dtype=np.int64)
    return found[:, (found >= 0).sum(0) >= 2]


def _seen_only_by(view: int, person: int, n_views: int) -> np.ndarray:
    """Numbers of somebody in every view, of whom one view alone knows so far."""
    numbers = np.full(n_views, -1)
    numbers[view] = person
    return numbers


def _costs_of(people: list[np.ndarray], view: int, costs: np.ndarray) -> np.ndarray:
    """Costs of everybody so far from those of one view's people; NaN for whom it does not show."""
    rows = np.array([person[view] for person in people], dtype=np.int64)
    return np.where((rows >= 0)[:, None], costs[rows], np.nan)


def _mean(costs: np.ndarray) -> np.ndarray:
    counted = np.isfinite(costs)
    total = np.where(counted, costs, 0.0).sum(0)
    return np.where(counted.any(0), total / np.maximum(counted.sum(0), 1), np.nan)


def _essential(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    R = second[:, :3] @ first[:, :3].T
    return essential_of_pose(R, second[:, 3] - R @ first[:, 3])
