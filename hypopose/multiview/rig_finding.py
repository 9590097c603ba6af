"""A rig from moving people: poses of cameras, offsets of clocks, and matched identities.

1. Each view is brought together with one that is placed already, the first of all to begin with:
   offset in time, pairing of people and relative pose (:mod:`hypopose.multiview.matching`).
2. Its place is scaled to the people that the placed views agree on: with R known, x (R X + t) = 0
   is linear in t.
3. Bundle adjustment moves all cameras, joints and unknown focal lengths together.
4. Of three views or more, clocks are found again from the rig, and the rig from them
   (:mod:`hypopose.multiview.clocks`).

The rig has the first view as its world and an unknown size; :mod:`hypopose.multiview.scale` and the
caller give it meters and a floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from hypopose.errors import OptionError, SkeletonMismatchError, UndeterminedError
from hypopose.multiview.bundle_adjustment import Adjusted
from hypopose.multiview.camera_tracks import ViewTracks
from hypopose.multiview.clocks import refined_clocks
from hypopose.multiview.matching import MatchedPair, match_views
from hypopose.multiview.relative_pose import RelativePose, relative_pose
from hypopose.multiview.rig_building import adjust_rig, place_views
from hypopose.multiview.synchrony import Synchronized, projection_of, synchronize
from hypopose.multiview.time_offsets import SAME, TimeOffset
from hypopose.types import Camera

MOST_STD_DEG = 8.0
"""Standard deviation of a view's rotation beyond which a rig is refused."""

LEAST_ANGLE_DEG = 4.0
"""Angle between the directions to two views below which nothing is triangulated."""

CLOCK_ROUNDS = 2
"""How often clocks and rig are found again, each from the other."""

STARTS = (1.0, 0.65)
"""Factors of assumed focal lengths that bundle adjustment starts from."""

RATES = (0.5, 0.8, 5 / 6, 1.0, 1.2, 1.25, 2.0)
"""Rates that are tried where a frame rate is not known."""


@dataclass(frozen=True, eq=False)
class FoundRig:
    """Cameras found from people, in the world of the first one and an arbitrary unit.

    Args:
        names: Of the views.
        cameras: With rotation and translation; focal lengths as refined.
        offsets: Of each view's clock against the first view's.
        people: Number of each person in each view; -1 where the view does not show them.
        rms_px: Of each view's residuals, outliers left out.
        outliers: Share of each view's keypoints beyond 5 standard deviations.
        noise_px: Standard deviation of a keypoint.
        rotation_std_deg: Of each view; 0 for the first.
        center_std: Of each view's place over the longest baseline.
        focal_std: Of each view's focal length over it; 0 where it was given.
        baseline_deg: Angle between the directions to two views, seen from the people.
    """

    names: tuple[str, ...]
    cameras: tuple[Camera, ...]
    offsets: tuple[TimeOffset, ...]
    people: Int[np.ndarray, "V P"]
    rms_px: Float[np.ndarray, " V"]
    outliers: Float[np.ndarray, " V"]
    noise_px: float
    rotation_std_deg: Float[np.ndarray, " V"]
    center_std: Float[np.ndarray, " V"]
    focal_std: Float[np.ndarray, " V"]
    baseline_deg: Float[np.ndarray, "V V"]

    @property
    def projections(self) -> Float[np.ndarray, "V 3 4"]:
        """[R | t] of every view."""
        return np.stack([projection_of(camera) for camera in self.cameras])


def find_rig(
    views: Sequence[ViewTracks],
    *,
    offsets: Mapping[str, float] | None = None,
    max_offset: float = 2.0,
    seed: int = 0,
) -> FoundRig:
    """Find the cameras of several views from people who move in them.

    Args:
        views: What the cameras saw; focal lengths of cameras that are ``assumed`` are refined.
        offsets: Frames by which a view's clock is ahead of the first view's, by name, as far as
            known: frame f of the first view shows the moment of frame f + offset (times the ratio
            of the frame rates) of that view. Numbered frames count by their numbers.
        max_offset: Largest offset that is tried for the others, in seconds; 0 if they are in step.
        seed: Decides the samples of consensus.

    Returns:
        The rig, its offsets and its uncertainty.

    Raises:
        OptionError: If there are fewer than two views, or a name is unknown.
        SkeletonMismatchError: If views have different skeletons.
        UndeterminedError: If the keypoints do not decide the rig; the message says what would.
    """
    _check_views(views, offsets or {})
    matched, through = _bring_together(views, offsets or {}, max_offset, seed)
    people = _identities(views, matched, through)
    clocks = _clocks(views, matched, through)
    fixed = [v.name for v in views[1:]] if max_offset == 0 else list(offsets or {})
    used, seen, adjusted = _adjusted(views, clocks, people, matched, through, seed)
    for _ in range(CLOCK_ROUNDS):
        better = refined_clocks(used, clocks, people, adjusted, fixed)
        if all(abs(a.frames - b.frames) < SAME for a, b in zip(better, clocks, strict=True)):
            break
        clocks = better
        used, seen, adjusted = _adjusted(views, clocks, people, matched, through, seed)
    views = used
    _check_rig(views, adjusted)
    found = _report(views, seen, clocks, people, adjusted)
    _check_directions(found)
    return found


def _adjusted(
    views: Sequence[ViewTracks], clocks: Sequence[TimeOffset], people: np.ndarray,
    matched: Mapping[int, MatchedPair], through: Mapping[int, int], seed: int,
) -> tuple[Sequence[ViewTracks], Synchronized, Adjusted]:  # fmt: skip
    """The rig at these clocks."""
    if any(view.camera.assumed for view in views):
        return _with_unknown_focals(views, clocks, people, through, seed)
    seen = synchronize(views, clocks, people)
    poses = {v: m.pose for v, m in matched.items()}
    return views, seen, adjust_rig(views, seen, *place_views(seen, poses, through))


def _with_unknown_focals(
    views: Sequence[ViewTracks], clocks: Sequence[TimeOffset], people: np.ndarray,
    through: Mapping[int, int], seed: int,
) -> tuple[list[ViewTracks], Synchronized, Adjusted]:  # fmt: skip
    """Bundle adjustment from several focal lengths; the one that explains most is taken."""
    best: tuple[list[ViewTracks], Synchronized, Adjusted] | None = None
    errors: list[UndeterminedError] = []
    for factor in STARTS:
        zoomed = [_zoomed(view, factor) if view.camera.assumed else view for view in views]
        seen = synchronize(zoomed, clocks, people)
        try:
            poses = {v: _pose(seen, other, v, seed) for v, other in through.items()}
            adjusted = adjust_rig(zoomed, seen, *place_views(seen, poses, through))
        except UndeterminedError as error:
            errors.append(error)
            continue
        if best is None or adjusted.noise_px < best[2].noise_px:
            best = zoomed, seen, adjusted
    if best is None:
        raise errors[0]
    return best


def _zoomed(view: ViewTracks, factor: float) -> ViewTracks:
    """The view with another focal length; unmeasured lenses have no distortion."""
    camera = replace(view.camera, focal=view.camera.focal * factor)
    return replace(view, rays=view.rays / factor, camera=camera)


def _pose(seen: Synchronized, first: int, second: int, seed: int) -> RelativePose:
    n = seen.rays.shape[-2]
    weights = np.sqrt(seen.weights[first] * seen.weights[second])
    return relative_pose(
        seen.rays[first].reshape(-1, n, 2), seen.rays[second].reshape(-1, n, 2),
        weights.reshape(-1, n), seed=seed,
    )  # fmt: skip


def _check_views(views: Sequence[ViewTracks], offsets: Mapping[str, float]) -> None:
    names = [view.name for view in views]
    if len(views) < 2 or len(set(names)) < len(names):
        raise OptionError(
            f"A rig has two views or more, each of its own name; got {', '.join(names) or 'none'}."
        )
    unknown = sorted(set(offsets) - set(names[1:]))
    if unknown:
        raise OptionError(
            f"Offsets belong to {', '.join(names[1:])} and count from {names[0]}, got "
            f"{unknown[0]!r}."
        )
    if len({view.skeleton.name for view in views}) > 1:
        raise SkeletonMismatchError(
            "The views have different skeletons "
            f"({', '.join(view.skeleton.name for view in views)}); convert them to one."
        )


def _bring_together(
    views: Sequence[ViewTracks], offsets: Mapping[str, float], max_offset: float, seed: int
) -> tuple[dict[int, MatchedPair], dict[int, int]]:
    """Every view beside one that is placed: view -> the pair, and with whom."""
    matched: dict[int, MatchedPair] = {}
    through: dict[int, int] = {}
    errors: list[UndeterminedError] = []
    left = list(range(1, len(views)))
    placed = [0]
    for other in placed:
        for v in list(left):
            try:
                matched[v] = _match(views[other], views[v], offsets, max_offset, seed)
            except UndeterminedError as error:
                errors.append(error)
                continue
            through[v] = other
            placed.append(v)
            left.remove(v)
    if left:
        raise errors[0]
    return matched, through


def _match(
    first: ViewTracks,
    second: ViewTracks,
    offsets: Mapping[str, float],
    max_offset: float,
    seed: int,
) -> MatchedPair:
    known = first.fps is not None and second.fps is not None
    rate = second.fps / first.fps if first.fps and second.fps else 1.0
    numbered = rate * first.first_frame - second.first_frame
    told = {second.name: 0.0, **offsets} if max_offset == 0 else offsets
    if second.name in told and first.name not in offsets:
        given = TimeOffset(numbered + told[second.name], rate, 0.0, np.inf, np.inf)
        return match_views(first, second, offset=given, seed=seed)
    same = not known and first.fps == second.fps
    return match_views(
        first,
        second,
        most=max_offset * (second.fps or 30.0),
        rates=(rate,) if known or same else RATES,
        free_rate=not known and not same,
        around=numbered,
        seed=seed,
    )


def _identities(
    views: Sequence[ViewTracks], matched: Mapping[int, MatchedPair], through: Mapping[int, int]
) -> Int[np.ndarray, "V P"]:
    """Numbers of people in every view; people that one view alone shows are left out."""
    people = np.full((len(views), views[0].n_people), -1)
    people[0] = np.arange(views[0].n_people)
    for v, other in through.items():  # in the order they were placed
        for i, j in matched[v].pairs:
            people[v][people[other] == i] = j
    return people[:, (people >= 0).sum(0) >= 2]


def _clocks(
    views: Sequence[ViewTracks], matched: Mapping[int, MatchedPair], through: Mapping[int, int]
) -> tuple[TimeOffset, ...]:
    """Of each view against the first."""
    clocks = {0: TimeOffset(0.0, 1.0, 0.0, np.inf, np.inf)}
    for v, other in through.items():
        own, before = matched[v].offset, clocks[other]
        frames = own.rate * before.frames + own.frames
        clocks[v] = replace(own, frames=frames, rate=own.rate * before.rate)
    return tuple(clocks[v] for v in range(len(views)))


def _check_rig(views: Sequence[ViewTracks], adjusted: Adjusted) -> None:
    worst = int(adjusted.rotation_std_deg.argmax())
    if not adjusted.rotation_std_deg[worst] <= MOST_STD_DEG:
        unknown = any(view.camera.assumed for view in views)
        cure = ", or the focal lengths: --focal PIXELS or --camera FILE" if unknown else ""
        raise UndeterminedError(
            f"The keypoints leave the rotation of {views[worst].name} open by "
            f"{adjusted.rotation_std_deg[worst]:.0f} degrees (standard deviation); give a longer "
            f"recording in which people walk about and turn{cure}."
        )


def _check_directions(found: FoundRig) -> None:
    """Refuse views that look at the people from where all others do."""
    widest = found.baseline_deg.max(-1)
    alone = int(widest.argmin())
    if widest[alone] < LEAST_ANGLE_DEG:
        raise UndeterminedError(
            f"{found.names[alone]} looks at the people from where the others do (at most "
            f"{widest[alone]:.1f} degrees apart), so that depth is not determined. Place the "
            "cameras 30 to 120 degrees apart, as seen from the people, or leave the view out."
        )


def _report(
    views: Sequence[ViewTracks], seen: Synchronized, clocks: Sequence[TimeOffset],
    people: np.ndarray, adjusted: Adjusted,
) -> FoundRig:  # fmt: skip
    zoom = adjusted.focals / seen.focals
    cameras = tuple(
        replace(
            view.camera,
            focal=view.camera.focal * float(zoom[v]),
            rotation=torch.from_numpy(adjusted.rotations[v]).float(),
            translation=torch.from_numpy(adjusted.translations[v]).float(),
            assumed=view.camera.assumed,
        )
        for v, view in enumerate(views)
    )
    off = np.linalg.norm(adjusted.residuals, axis=-1)
    outlying = off > 5 * adjusted.noise_px
    kept = np.where(outlying, np.nan, off)
    centers = -np.einsum("vji,vj->vi", adjusted.rotations, adjusted.translations)
    longest = np.linalg.norm(centers[:, None] - centers, axis=-1).max()
    return FoundRig(
        seen.names,
        cameras,
        tuple(clocks),
        people,
        np.sqrt(np.nanmean(kept**2, -1)),
        _share(outlying, np.isfinite(off)),
        adjusted.noise_px,
        adjusted.rotation_std_deg,
        adjusted.center_std / longest,
        adjusted.focal_std,
        _angles(centers, np.nanmedian(adjusted.points, axis=0)),
    )


def _share(some: Bool[np.ndarray, "V N"], of: Bool[np.ndarray, "V N"]) -> Float[np.ndarray, " V"]:
    return (some & of).sum(-1) / np.maximum(of.sum(-1), 1)


def _angles(centers: np.ndarray, people: np.ndarray) -> np.ndarray:
    away = centers - people
    unit = away / np.linalg.norm(away, axis=-1, keepdims=True)
    return np.degrees(np.arccos(np.clip(unit @ unit.T, -1, 1)))
