"""Cameras from people, and people from several cameras.

:func:`find_cameras` finds a rig from keypoints of uncalibrated views, gives it meters and
a floor; :func:`triangulate_views` brings people of placed views into three dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.api.sampling import share_camera
from hypopose.cameras import resolve_camera
from hypopose.errors import OptionError
from hypopose.io.camera_files import CameraRig, RigClock
from hypopose.multiview import (
    FoundRig,
    Scale,
    Triangulated,
    ViewTracks,
    find_rig,
    projection_of,
    scale_from_baseline,
    scale_from_bones,
    scale_from_stature,
    synchronize,
    triangulate_people,
    view_tracks,
)
from hypopose.optimization.ground import Ground, estimate_ground
from hypopose.optimization.stature import stature
from hypopose.skeletons import H36M17, convert, convert_points
from hypopose.types import Camera, Hypotheses, Keypoints2D

People = Mapping[str, Keypoints2D] | Sequence[Keypoints2D]
"""Everybody in one view: as :func:`hypopose.load_people` returns them, or a list."""


@dataclass(frozen=True, eq=False)
class FoundCameras:
    """A rig with meters and a floor, and how it was found.

    Args:
        rig: To be saved, or used.
        found: The rig estimated from keypoints, in the first camera's frame and its own unit.
        scale: Meters per unit of that.
        ground: The floor, from the first camera; None if feet did not tell it, and the first
            camera's frame is the world.
        people: Everybody, in the world.
    """

    rig: CameraRig
    found: FoundRig
    scale: Scale
    ground: Ground | None
    people: Triangulated

    def describe(self) -> str:
        """The rig in lines: residuals, angles, clocks, scale, floor."""
        return describe_rig(self)


def find_cameras(
    views: Mapping[str, People],
    *,
    height: float | None = None,
    baseline: float | None = None,
    offsets: Mapping[str, float] | None = None,
    max_offset: float = 2.0,
    first_frames: Mapping[str, int] | None = None,
    sources: Mapping[str, str] | None = None,
    seed: int = 0,
) -> FoundCameras:
    """Find the cameras of several views from people who move in them.

    Args:
        views: Name of the view -> who is in it. Keypoints without a camera get an assumed one,
            whose focal length is refined.
        height: Stature in meters of the people (of their median): sets the scale.
        baseline: Distance in meters of the first two cameras: sets the scale.
        offsets: Name -> frames by which a view's clock is ahead of the first view's, if known.
        max_offset: Largest offset that is tried for the others, in seconds.
        first_frames: Name -> what the file calls frame 0, if frames are numbered.
        sources: Name -> file, kept in the rig so that its clocks are used for that file only.
        seed: Decides the samples of consensus.

    Returns:
        The rig, in a world with z up and the floor at 0 if feet determine it.

    Raises:
        OptionError: If both height and baseline are given, or one is impossible.
        UndeterminedError: If the keypoints do not determine the rig; the message states what would.

    Example:
        >>> from hypopose.api.rigs import find_cameras
        >>> from hypopose.io import load_camera, load_people
        >>> from pathlib import Path
        >>> data = Path("examples/data/two_cameras")
        >>> views = {n: load_people(data / f"{n}.csv") for n in ("front", "side")}
        >>> cameras = {n: load_camera(data / "rig.json", n) for n in views}
        >>> views = {n: [k.with_camera(cameras[n]) for k in p.values()] for n, p in views.items()}
        >>> found = find_cameras(views, height=1.75, offsets={"side": 0.0})
        >>> bool(80 < found.found.baseline_deg[0, 1] < 100)
        True
    """
    if height is not None and baseline is not None:
        raise OptionError("The stature and the baseline both set the scale; give one of them.")
    people = common_people(views)
    numbers = first_frames or {}
    tracks = [view_tracks(n, p, first_frame=numbers.get(n, 0)) for n, p in people.items()]
    found = find_rig(tracks, offsets=offsets, max_offset=max_offset, seed=seed)
    again = _with_cameras(people, found)
    seen = synchronize(again, found.offsets, found.people)
    points = triangulate_people(seen, found.cameras)
    scale = _scale(found, points.points, tracks[0], height, baseline)
    ground = floor_of(scale.meters * points.points, tracks[0])
    cameras = _in_world(found.cameras, scale.meters, ground)
    origins = sources or {}
    rig = CameraRig(
        cameras=dict(zip(found.names, cameras, strict=True)),
        clocks={
            name: RigClock(clock.frames, clock.rate, origins.get(name, ""), track.n_frames)
            for name, clock, track in zip(found.names, found.offsets, tracks, strict=True)
        },
        scale={"source": scale.source, "relative_std": scale.relative_std},
        rms_px={n: round(float(x), 3) for n, x in zip(found.names, found.rms_px, strict=True)},
    )
    return FoundCameras(rig, found, scale, ground, triangulate_people(seen, cameras))


def common_people(views: Mapping[str, People]) -> dict[str, list[Keypoints2D]]:
    """Everybody in every view with a camera, all in one skeleton.

    Args:
        views: Name of the view -> who is in it.

    Returns:
        Keypoints in their own skeleton if all views share it, else Human3.6M-17.

    Raises:
        SkeletonMismatchError: If a skeleton has no conversion.
        OptionError: If an image size is unknown and cannot be estimated, or two views have the same
            keypoints.
    """
    lists = {n: list(p.values()) if isinstance(p, Mapping) else list(p) for n, p in views.items()}
    _check_different(lists)
    names = {k.skeleton.name for people in lists.values() for k in people}
    found = {}
    for view, people in lists.items():
        same = people if len(names) == 1 else [convert(k, H36M17) for k in people]
        shared = share_camera({str(i): k for i, k in enumerate(same)})
        found[view] = [resolve_camera(k) for k in shared.values()]
    return found


def _check_different(lists: Mapping[str, Sequence[Keypoints2D]]) -> None:
    """Refuse views that are copies of each other."""
    for one, other in combinations(lists, 2):
        pairs = list(zip(lists[one], lists[other], strict=False))
        if pairs and all(
            a.xy.shape == b.xy.shape and torch.allclose(a.xy, b.xy, equal_nan=True)
            for a, b in pairs
        ):
            raise OptionError(
                f"{one} and {other} have the same keypoints; give every view the file of its own "
                "camera."
            )


def _with_cameras(people: Mapping[str, list[Keypoints2D]], found: FoundRig) -> list[ViewTracks]:
    """The tracks with the focal lengths that were found."""
    cameras = dict(zip(found.names, found.cameras, strict=True))
    return [view_tracks(n, [k.with_camera(cameras[n]) for k in p]) for n, p in people.items()]


def _scale(
    found: FoundRig, points: np.ndarray, track: ViewTracks, height: float | None,
    baseline: float | None,
) -> Scale:  # fmt: skip
    if baseline is not None:
        centers = np.stack([-p[:, :3].T @ p[:, 3] for p in found.projections[:2]])
        return scale_from_baseline(centers, baseline)
    if height is None:
        return scale_from_bones(points, track.skeleton)
    return scale_from_stature(statures(points, track), height)


def statures(points: Float[np.ndarray, "P F J 3"], track: ViewTracks) -> Float[np.ndarray, " P"]:
    """Statures of people in the unit of their points; NaN where bones are missing.

    Args:
        points: Joints in the track's skeleton.
        track: Says which skeleton.
    """
    joints = convert_points(torch.from_numpy(points), track.skeleton, H36M17)
    return np.asarray(stature(joints, H36M17).numpy())


def floor_of(points: Float[np.ndarray, "P F J 3"], track: ViewTracks) -> Ground | None:
    """The floor below the person who is seen most; None if feet do not tell it.

    Args:
        points: Joints in the track's skeleton, meters, in any frame.
        track: Says which skeleton.
    """
    joints = convert_points(torch.from_numpy(points), track.skeleton, H36M17)
    needed = [0, H36M17.index("left_ankle"), H36M17.index("right_ankle"), H36M17.index("head")]
    known = torch.isfinite(joints[:, :, needed]).all(-1).all(-1)
    who = int(known.sum(-1).argmax())
    motion = joints[who, known[who]]
    if len(motion) < 2:
        return None
    root = motion[:, :1]
    motion = torch.where(torch.isfinite(motion), motion, root)  # joints that are not looked at
    one = Hypotheses((motion - root)[None].float(), H36M17, root[None, :, 0].float())
    try:
        return estimate_ground(one)
    except OptionError:
        return None


def _in_world(
    cameras: Sequence[Camera], meters: float, ground: Ground | None
) -> tuple[Camera, ...]:
    """The cameras in meters, in the world of the floor if there is one."""
    R = torch.eye(3) if ground is None else ground.rotation
    t = torch.zeros(3) if ground is None else ground.translation
    placed = []
    for camera in cameras:
        assert camera.rotation is not None  # of a rig
        assert camera.translation is not None
        placed.append(
            replace(
                camera,
                rotation=camera.rotation @ R,
                translation=camera.rotation @ t + meters * camera.translation,
            )
        )
    return tuple(placed)


def describe_rig(result: FoundCameras) -> str:
    """A found rig in lines.

    Args:
        result: Of :func:`find_cameras`.
    """
    found = result.found
    wide = min(max(16, *map(len, found.names)), 40)
    lines = [
        f"{'view':<{wide}} {'RMS px':>7} {'outliers':>9} {'rotation ±':>11} {'place ±':>8} "
        f"{'focal px':>9} {'clock':>14}"
    ]
    for v, name in enumerate(found.names):
        camera, clock = found.cameras[v], found.offsets[v]
        rate = "" if clock.rate == 1 else f" x {clock.rate:.4g}"
        focal = f"{float(camera.focal.mean()):.0f}"
        focal += f" ±{100 * found.focal_std[v]:.0f} %" if found.focal_std[v] else ""
        place = 100 * found.center_std[v] * _longest(found) * result.scale.meters
        lines.append(
            f"{name:<{wide}.{wide}} {found.rms_px[v]:7.1f} {100 * found.outliers[v]:7.1f} % "
            f"{found.rotation_std_deg[v]:9.1f}° {place:5.0f} cm {focal:>9} "
            f"{clock.frames:+8.2f}{rate} fr"
        )
    pairs = [
        f"{found.names[i]}–{found.names[j]} {found.baseline_deg[i, j]:.0f}°"
        for i in range(len(found.names))
        for j in range(i + 1, len(found.names))
    ]
    lines.append(f"baseline angles: {', '.join(pairs)}")
    lines.append(f"scale: {result.scale.describe()}")
    lines.append(f"people: {found.people.shape[1]}, keypoint noise {found.noise_px:.1f} px")
    if result.ground is None:
        lines.append("world: the first camera's frame; feet did not tell the floor")
    else:
        lines.append(
            "world: z up, floor at 0, from feet; standard deviation of the tilt "
            f"{result.ground.tilt_std_deg:.1f} degrees"
        )
    doubtful = [n for n, o in zip(found.names, found.offsets, strict=True) if not o.determined]
    if doubtful:
        lines.append(
            f"clocks of {', '.join(doubtful)} are taken as in step: the keypoints tell no offset"
        )
    return "\n".join(lines)


def _longest(found: FoundRig) -> float:
    centers = np.stack([-p[:, :3].T @ p[:, 3] for p in found.projections])
    return float(np.linalg.norm(centers[:, None] - centers, axis=-1).max())


def in_step(keypoints: Keypoints2D, offset: float, rate: float, n_frames: int) -> Keypoints2D:
    """Keypoints at the moments of another recording's frames.

    Args:
        keypoints: One person, without batch axes.
        offset: Frame of theirs that shows frame 0 of the other.
        rate: Frames of theirs per frame of the other.
        n_frames: Frames of the other.

    Returns:
        As many frames as the other has; NaN where there was no frame. Between frames, keypoints
        are on the line between neighbors.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> later = in_step(example_pair()[0], 10.0, 1.0, 20)
        >>> bool((later.xy == example_pair()[0].xy[10:30]).all())
        True
    """
    from hypopose.multiview.camera_tracks import at_times

    times = offset + rate * np.arange(n_frames, dtype=np.float64)
    xy = torch.from_numpy(at_times(keypoints.xy[None].double().numpy(), times)[0])
    near = torch.from_numpy(np.clip(np.round(times), 0, keypoints.n_frames - 1).astype(np.int64))
    seen = torch.isfinite(xy).all(-1)
    confidence = keypoints.confidence
    covariance = keypoints.covariance
    return replace(
        keypoints,
        xy=xy.to(keypoints.xy),
        confidence=None if confidence is None else torch.where(seen, confidence[near], 0.0),
        covariance=None if covariance is None else covariance[near],
        fps=None if keypoints.fps is None else keypoints.fps / rate,
    )


def check_placed(rig: CameraRig) -> None:
    """Refuse cameras that move or have no place.

    Raises:
        OptionError: If a camera moves, or lacks rotation or translation.
    """
    for name, camera in rig.cameras.items():
        if camera.rotation is None or camera.translation is None:
            raise OptionError(
                f"The camera {name} has no place in the world; find the rig with hypopose cameras."
            )
        projection_of(camera)


def total_std(covariance: Tensor) -> Tensor:
    """Standard deviation per axis of covariances."""
    return covariance.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()
