"""Clocks of views once a rig is known.

With two views, an offset in time is estimated from the fit of an essential matrix, which is
insensitive where the cameras face each other. The other views of a rig give more information: they
locate the joints, and a view whose clock is wrong sees them elsewhere. Offsets a frame apart are
tried, and a parabola is laid through the least.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from hypopose.multiview.bundle_adjustment import Adjusted
from hypopose.multiview.camera_tracks import ViewTracks
from hypopose.multiview.synchrony import Synchronized, synchronize
from hypopose.multiview.time_offsets import SAME, TimeOffset, lowest
from hypopose.multiview.triangulation import triangulate_points

REACH = 4
"""Frames around a clock that are tried."""

SWEEPS, STILL = 6, 0.03
"""How often all clocks are found from each other, or until they move by fewer frames."""

LEAST_POINTS = 100
"""Joints that a view must share with the others."""


def refined_clocks(
    views: Sequence[ViewTracks],
    clocks: Sequence[TimeOffset],
    people: Int[np.ndarray, "V P"],
    adjusted: Adjusted,
    fixed: Collection[str] = (),
) -> tuple[TimeOffset, ...]:
    """Clocks that agree best with what the other views see; as they are of fewer than three views.

    Args:
        views: What the cameras saw.
        clocks: Of each view against the first, within a few frames.
        people: Number of each person in each view; -1 where the view does not show them.
        adjusted: The rig that was found with these clocks.
        fixed: Names of views whose clocks are known.
    """
    found = tuple(clocks)
    if len(views) < 3:
        return found
    for _ in range(SWEEPS):
        before = found
        for v in range(1, len(views)):
            if views[v].name not in fixed:
                found = _refined(views, found, people, adjusted, v)
        if all(abs(a.frames - b.frames) < STILL for a, b in zip(found, before, strict=True)):
            break
    near = zip(found, clocks, strict=True)
    return tuple(b if abs(a.frames - b.frames) < SAME else a for a, b in near)


def _refined(
    views: Sequence[ViewTracks],
    clocks: tuple[TimeOffset, ...],
    people: Int[np.ndarray, "V P"],
    adjusted: Adjusted,
    v: int,
) -> tuple[TimeOffset, ...]:
    """The clocks with a better one of one view."""
    tried = clocks[v].frames + np.arange(-REACH, REACH + 1)
    times = [replace(clocks[v], frames=float(x)).times(views[0].clock) for x in tried]
    costs = _costs(views[v], times, synchronize(views, clocks, people), people[v], adjusted, v)
    if not np.isfinite(costs).all():
        return clocks
    return (*clocks[:v], replace(clocks[v], frames=lowest(tried, costs)), *clocks[v + 1 :])


def _costs(
    view: ViewTracks,
    times: Sequence[Float[np.ndarray, " F"]],
    seen: Synchronized,
    people: Int[np.ndarray, " P"],
    adjusted: Adjusted,
    v: int,
) -> Float[np.ndarray, " K"]:
    """Median distance of a view's rays at these times from what the others see; NaN if few."""
    others = [u for u in range(len(seen.names)) if u != v]
    zoom = (seen.focals / adjusted.focals)[:, None, None]
    P = np.concatenate([adjusted.rotations, adjusted.translations[..., None]], -1)
    rays = seen.rays.reshape(len(zoom), -1, 2) * zoom
    weights = seen.weights.reshape(len(zoom), -1)
    points = triangulate_points(rays[others], P[others], weights[others])
    there = points @ P[v, :, :3].T + P[v, :, 3]
    expected = there[:, :2] / np.where(there[:, 2:] > 0, there[:, 2:], np.nan)
    costs = np.full(len(times), np.nan)
    for k, at in enumerate(times):
        own = view.at(at).rays[people]
        own = np.where((people < 0)[:, None, None, None], np.nan, own).reshape(-1, 2) * zoom[v]
        off = np.linalg.norm(own - expected, axis=-1)
        if np.isfinite(off).sum() >= LEAST_POINTS:
            costs[k] = np.nanmedian(off)
    return costs
