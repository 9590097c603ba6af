"""3D motion of other programs as results, for evaluation, export and reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hypopose import __version__
from hypopose.aggregation import mean
from hypopose.cameras import world_to_cam
from hypopose.datasets.capture.animation_rigs import to_h36m17
from hypopose.errors import FormatError, OptionError, ShapeError
from hypopose.io.motion_files import CapturedRig, ImportedMotion, MotionOptions, load_motion
from hypopose.io.results import Result
from hypopose.skeletons import convert_points, get_conversion, get_skeleton, load_skeleton
from hypopose.types import Camera, Hypotheses, Keypoints2D, Skeleton

IMPORTED = "import"
"""Name of the sampler in results that were imported."""


def import_motion(
    paths: str | Path | Sequence[str | Path],
    *,
    skeleton: str | Skeleton | None = None,
    to: str | Skeleton | None = None,
    unit: str | float | None = None,
    up: str | None = None,
    mirror: bool = False,
    fps: float | None = None,
    camera: Camera | None = None,
    format: str | None = None,
) -> dict[str, Result]:
    """Read 3D motion of other programs as results.

    Args:
        paths: A file, or several of the same people and frames: each is a hypothesis.
        skeleton: Which joints these are, where the file does not say: a name or a TOML file.
        to: Convert to this skeleton.
        unit: ``"m"``, ``"cm"``, ``"mm"`` or meters per unit; else the file's own or, if one alone
            gives limbs of people, inferred with a warning.
        up: The axis that points up: ``"y"``, ``"z"``, ``"native"`` (y down, a camera's frame),
            ``"x"``, ``"-x"`` or ``"-z"``; else the one along which people stand.
        mirror: The axes are left-handed.
        fps: Frames per second; overrides what the file says.
        camera: Placed in the file's axes; motions are then brought into its frame.
        format: A key of :data:`hypopose.io.motion_files.MOTION_FORMATS`; detected if None.

    Returns:
        A result per person, without keypoints. Joints are in the camera's frame, or in the file's
        axes turned to x right, y down, z forward.

    Raises:
        FormatError: If a file is not what its format says, or unit, axes or joints cannot be told.
        OptionError: If files do not belong together, or an option is none.
        SkeletonMismatchError: If there is no conversion to ``to``.

    Example:
        >>> import hypopose, tempfile
        >>> from hypopose.io import export_result
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/walk.trc"
        ...     _ = export_result(path, result)
        ...     back = import_motion(path)["0"]
        >>> bool((back.pose.joints - result.pose.joints).abs().max() < 1e-3)
        True
    """
    files = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not files:
        raise OptionError("Name at least one file to import.")
    options = MotionOptions(skeleton, unit, up, mirror, fps, format)
    if camera is not None:
        _check_placed(camera, up)
    read = [load_motion(path, options, axes_known=camera is not None) for path in files]
    target = _skeleton(to)
    read = [{n: _converted(m, target) for n, m in people.items()} for people in read]
    _check_alike(files, read)
    return {
        name: _result([people[name] for people in read], name, files, camera) for name in read[0]
    }


def _check_placed(camera: Camera, up: str | None) -> None:
    if camera.rotation is None:
        raise OptionError(
            "The camera stands nowhere: it has no rotation and translation; give a calibration "
            "with them, or leave the camera out."
        )
    if up is not None:
        raise OptionError("The camera says where up is; leave out up, or the camera.")


def _skeleton(to: str | Skeleton | None) -> Skeleton | None:
    if isinstance(to, str) and to.lower().endswith(".toml"):
        return load_skeleton(to).skeleton
    return get_skeleton(to) if isinstance(to, str) else to


def _converted(motion: ImportedMotion, target: Skeleton | None) -> ImportedMotion:
    """The motion in another skeleton; animation rigs become Human3.6M's joints by their bones."""
    if target is None or motion.skeleton == target:
        return motion
    if target.name == "h36m17" and motion.format == "bvh":
        formed = _from_rig(motion)
        if formed is not None:
            note = f"joints of {target.name} formed from the rig's {motion.skeleton.n_joints}"
            return replace(motion, places=formed, skeleton=target, notes=(*motion.notes, note))
    conversion = get_conversion(motion.skeleton, target)
    points = convert_points(torch.from_numpy(motion.places), motion.skeleton, target).numpy()
    notes = motion.notes
    if conversion.approximate:
        notes = (*notes, f"{', '.join(conversion.approximate)} formed from {motion.skeleton.name}")
    return replace(motion, places=points, skeleton=target, notes=notes)


def _from_rig(motion: ImportedMotion) -> np.ndarray | None:
    """Human3.6M's joints of an animation rig that is known; None if it is not."""
    upright = motion.places @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]).T  # z up
    rig = CapturedRig(
        motion.skeleton.joint_names, motion.skeleton.parents, upright, motion.fps or 30.0
    )
    try:
        joints = to_h36m17(rig, unit="m", up="z")
    except FormatError:
        return None
    return np.asarray(joints @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]).T)


def _check_alike(files: Sequence[str | Path], read: Sequence[Mapping[str, ImportedMotion]]) -> None:
    """Raise unless all files hold the same people, frames and skeleton."""
    first = read[0]
    for path, people in zip(files[1:], read[1:], strict=True):
        if set(people) != set(first):
            raise OptionError(
                f"{path} holds {', '.join(people)}, {files[0]} holds {', '.join(first)}; hypotheses"
                " are of the same people. Import the files one by one."
            )
        for name, motion in people.items():
            if motion.skeleton != first[name].skeleton:
                raise OptionError(
                    f"{path} is in {motion.skeleton.name}, {files[0]} in "
                    f"{first[name].skeleton.name}; bring them to one skeleton: to=h36m17."
                )
            if len(motion.places) != len(first[name].places):
                raise ShapeError(
                    f"{path} has {len(motion.places)} frames, {files[0]} has "
                    f"{len(first[name].places)}; hypotheses are of the same frames. Import the "
                    "files one by one."
                )


def _result(
    motions: Sequence[ImportedMotion],
    person: str,
    files: Sequence[str | Path],
    camera: Camera | None,
) -> Result:
    first = motions[0]
    places = torch.from_numpy(np.stack([m.places for m in motions])).float()
    if camera is not None:
        places = world_to_cam(places, camera)
    root, notes = _roots(places, first.skeleton)
    placed = all(m.placed for m in motions)
    hypotheses = Hypotheses(places - root[:, :, None], first.skeleton, root if placed else None)
    keypoints = _undetected(first, camera)
    words = tuple(dict.fromkeys(note for m in motions for note in (*m.notes, *notes)))
    frame = "camera" if camera is not None or first.up == "native" else f"file, {first.up} up"
    pose = mean(hypotheses, keypoints)
    if len(motions) == 1:
        pose = replace(pose, std=None)
    return Result(
        hypotheses=hypotheses,
        pose=pose,
        keypoints=keypoints,
        seed=0,
        sampler={"name": IMPORTED, "format": first.format, "frame": frame},
        aggregate="mean",
        person=person,
        source=Path(files[0]).name,
        version=__version__,
        notes=words,
    )


def _undetected(motion: ImportedMotion, camera: Camera | None) -> Keypoints2D:
    """Keypoints, all missing, for a motion without detections."""
    return Keypoints2D(
        xy=torch.full((*motion.places.shape[:2], 2), torch.nan),
        skeleton=motion.skeleton,
        camera=camera,
        image_size=None if camera is None else camera.image_size,
        fps=motion.fps,
        notes=("no keypoints: imported 3D motion",),
    )


def _roots(places: Tensor, skeleton: Skeleton) -> tuple[Tensor, tuple[str, ...]]:
    """The root joint's places; where it is unknown, the middle of the hips or of all joints."""
    root = places[:, :, skeleton.root]
    known = root.isfinite().all(-1)
    if bool(known.all()):
        return root, ()
    hips = [skeleton.index(j) for j in ("left_hip", "right_hip") if j in skeleton.joint_names]
    middle = places[:, :, hips].mean(-2) if len(hips) == 2 else torch.full_like(root, torch.nan)
    stand_in = torch.where(middle.isfinite().all(-1, keepdim=True), middle, places.nanmean(-2))
    n = int((~known & stand_in.isfinite().all(-1)).sum())
    found = torch.where(known[..., None], root, stand_in)
    if n == 0:
        return found, ()
    joint = skeleton.joint_names[skeleton.root]
    return found, (
        f"{joint} is unknown in {n} frames, where joints are relative to the middle of the body",
    )
