"""From pairs of views to one rig: places in one unit, then everything adjusted together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from hypopose.errors import UndeterminedError
from hypopose.multiview.bundle_adjustment import Adjusted, adjust_bundle
from hypopose.multiview.camera_tracks import ViewTracks
from hypopose.multiview.relative_pose import RelativePose
from hypopose.multiview.synchrony import Synchronized
from hypopose.multiview.triangulation import triangulate_points
from hypopose.types import Skeleton

MOST_FRAMES = 60
"""Frames that bundle adjustment looks at, of all people together."""

LEAST_FRAMES = 20

RIGID = (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
"""Bones whose ends detectors see, and which keep their lengths."""


def place_views(
    seen: Synchronized, poses: Mapping[int, RelativePose], through: Mapping[int, int]
) -> tuple[Float[np.ndarray, "V 3 3"], Float[np.ndarray, "V 3"]]:
    """Rotations and translations of all views in one unit, the first at the origin.

    Args:
        seen: Everybody in every view.
        poses: Of views beside one that is placed before them.
        through: Which that is, in the order of placing.

    Raises:
        UndeterminedError: If a view shares hardly any moment with two others.
    """
    R, t = np.tile(np.eye(3), (len(seen.names), 1, 1)), np.zeros((len(seen.names), 3))
    done = [0]
    for v, other in through.items():
        pose = poses[v]
        R[v] = pose.rotation @ R[other]
        if len(done) == 1:
            t[v] = pose.translation
        else:
            known = np.concatenate([R[done], t[done][..., None]], -1)
            points = triangulate_points(seen.rays[done], known, seen.weights[done])
            t[v] = _resected(R[v], seen.rays[v], seen.weights[v], points)
        done.append(v)
    return R, t


def _resected(
    R: np.ndarray, rays: np.ndarray, weights: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """The translation of a view of known rotation that sees points at these rays."""
    good = np.isfinite(rays).all(-1) & np.isfinite(points).all(-1) & (weights > 0)
    if good.sum() < 10:
        raise UndeterminedError(
            "A view shares hardly any moment with two others, so its distance is not determined; "
            "give recordings that overlap in time."
        )
    turned, x, w = points[good] @ R.T, rays[good], weights[good]
    # u (Z + t_z) = X + t_x, and the same for v
    rows = np.zeros((len(x), 2, 3))
    rows[:, 0, 0] = rows[:, 1, 1] = 1
    rows[:, :, 2] = -x
    right = x * turned[:, 2:] - turned[:, :2]
    t = np.zeros(3)
    for _ in range(8):
        root = np.sqrt(w)[:, None]
        t = np.linalg.lstsq(
            (rows * root[..., None]).reshape(-1, 3), (right * root).ravel(), rcond=None
        )[0]
        depth = np.maximum(turned[:, 2] + t[2], 1e-3)
        off = np.linalg.norm(rows @ t - right, axis=-1) / depth
        scale = np.median(off) + 1e-9
        w = weights[good] / (1 + (off / (2 * scale)) ** 2) / depth**2
    return t


def adjust_rig(
    views: Sequence[ViewTracks],
    seen: Synchronized,
    R: Float[np.ndarray, "V 3 3"],
    t: Float[np.ndarray, "V 3"],
) -> Adjusted:
    """Bundle adjustment of a rig over some frames of everybody.

    Args:
        views: What the cameras saw; focal lengths of cameras that are ``assumed`` are free, and
            bones help to find them.
        seen: The same on one clock.
        R: World to camera.
        t: World to camera.
    """
    some = _best_frames(seen)
    rays, weights = seen.rays[:, :, some], seen.weights[:, :, some]
    n_views = len(views)
    flat = rays.reshape(n_views, -1, 2)
    points = triangulate_points(
        flat, np.concatenate([R, t[..., None]], -1), weights.reshape(n_views, -1)
    )
    free = np.array([view.camera.assumed for view in views])
    shape = (seen.n_people, len(some))
    bones = rigid_bones(seen.skeleton, *shape) if free.any() else None
    return adjust_bundle(
        flat * seen.focals[:, None, None], R, t, points, seen.focals,
        weights=weights.reshape(n_views, -1), free_focal=free, bones=bones,
    )  # fmt: skip


def _best_frames(seen: Synchronized) -> np.ndarray:
    """Frames in which two views see most, spread over the recording."""
    amount = ((seen.weights > 0).sum(0) >= 2).sum((0, 2))
    frames = np.flatnonzero(amount >= max(4, 0.3 * amount.max()))
    most = max(LEAST_FRAMES, MOST_FRAMES // seen.n_people)
    return frames[np.unique(np.linspace(0, len(frames) - 1, min(len(frames), most)).astype(int))]


def rigid_bones(skeleton: Skeleton, n_people: int, n_frames: int) -> Int[np.ndarray, "B 3"]:
    """Bones that keep their lengths: two points each, and the number of the length.

    Points are numbered over people, frames and joints in this order; left and right bones of a
    person are equally long.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> rigid_bones(H36M17, 1, 1)[:2].tolist()
        [[4, 5, 0], [1, 2, 0]]
    """
    names = skeleton.joint_names
    pairs = [
        (names.index(f"{side}_{a}"), names.index(f"{side}_{b}"), k)
        for k, (a, b) in enumerate(RIGID)
        for side in ("left", "right")
        if {f"{side}_{a}", f"{side}_{b}"} <= set(names)
    ]
    if not pairs:
        return np.zeros((0, 3), dtype=np.int64)
    first = np.arange(n_people * n_frames)[:, None] * len(names)
    own = np.array(pairs)
    person = np.repeat(np.arange(n_people), n_frames)[:, None] * len(RIGID)
    rows = np.stack([first + own[:, 0], first + own[:, 1], person + own[:, 2]], -1)
    return rows.reshape(-1, 3)
