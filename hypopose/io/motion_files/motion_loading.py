"""Read a file of 3D motion: points, unit, axes and joints, checked and brought to HypoPose's."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hypopose.errors import OptionError
from hypopose.io import native
from hypopose.io.format import ReadOptions
from hypopose.io.motion_files import (
    bvh_rig,
    c3d_points,
    motion_tables,
    point_arrays,
    pose_json,
    qualisys_tsv,
    trc_markers,
)
from hypopose.io.motion_files.file_motion import FileMotion, MotionFormat
from hypopose.io.motion_files.motion_axes import TURNS, is_mirrored, turned, upright_axis
from hypopose.io.motion_files.motion_joints import skeleton_of
from hypopose.io.motion_files.motion_units import limb_lengths, meters_per_unit
from hypopose.io.parsing.joint_words import usual_names
from hypopose.io.source import DoubtfulInputWarning, Source
from hypopose.skeletons import MEDIAPIPE33, get_skeleton, load_skeleton
from hypopose.types import Skeleton

MOTION_FORMATS: dict[str, MotionFormat] = {
    f.name: f
    for f in (
        trc_markers.FORMAT,
        qualisys_tsv.FORMAT,
        c3d_points.FORMAT,
        bvh_rig.FORMAT,
        motion_tables.DEEPLABCUT,
        motion_tables.TIDY,
        motion_tables.WIDE,
        pose_json.MEDIAPIPE_WORLD,
        pose_json.MMPOSE,
        pose_json.AZURE_KINECT,
        pose_json.KINECT,
        pose_json.EASYMOCAP,
        point_arrays.FORMAT,
    )
}
"""Formats of 3D motion; the first that suits a file reads it. A new one is a module and a line."""

FAR = 1000.0
"""Meters from the origin beyond which a place is doubted."""


@dataclass(frozen=True)
class MotionOptions:
    """What a user may say about a file of 3D motion.

    Args:
        skeleton: Which joints these are: a name, a skeleton, or a TOML file of names.
        unit: ``"m"``, ``"cm"``, ``"mm"`` or meters per unit.
        up: The axis that points up, a key of :data:`~hypopose.io.motion_files.motion_axes.TURNS`.
        mirror: The axes are left-handed, as Unity's: x is negated.
        fps: Frames per second; overrides what the file says.
        format: A key of :data:`MOTION_FORMATS`; detected if None.

    Raises:
        OptionError: If a value is none of these.
    """

    skeleton: str | Skeleton | None = None
    unit: str | float | None = None
    up: str | None = None
    mirror: bool = False
    fps: float | None = None
    format: str | None = None

    def __post_init__(self) -> None:
        if self.up is not None and self.up not in TURNS:
            raise OptionError(f"up is one of {', '.join(TURNS)}, not {self.up!r}.")
        if self.format is not None and self.format not in MOTION_FORMATS:
            raise OptionError(
                f"There is no format {self.format!r} of 3D motion; there are "
                f"{', '.join(MOTION_FORMATS)}."
            )
        if self.fps is not None and not 0 < self.fps < 100_000:
            raise OptionError(f"fps is frames per second, got {self.fps}.")


@dataclass(frozen=True, eq=False)
class ImportedMotion:
    """One person's motion as HypoPose holds it.

    Args:
        places: Meters; x right, y down, z forward of the file's world (or camera), or relative to
            the body where ``placed`` is False; NaN where unknown.
        skeleton: The joint set.
        fps: Frames per second; None if unknown.
        placed: Whether the person's place is known.
        format: Of the file.
        up: The axis of the file that pointed up.
        notes: What was assumed.
    """

    places: Float[np.ndarray, "F J 3"]
    skeleton: Skeleton
    fps: float | None
    placed: bool
    format: str
    up: str
    notes: tuple[str, ...] = ()


def motion_format(path: str | Path) -> str | None:
    """The format of a file of 3D motion; None if it is none.

    Raises:
        FormatError: If there is no such file.
    """
    source = Source(path)
    return next((f.name for f in MOTION_FORMATS.values() if f.suits(source)), None)


def load_motion(
    path: str | Path, options: MotionOptions | None = None, *, axes_known: bool = False
) -> dict[str, ImportedMotion]:
    """Read everybody's 3D motion from a file or folder of any known format.

    Args:
        path: TRC, C3D, BVH, CSV, JSON, npy or npz; or EasyMocap's folder.
        options: What the user says about it.
        axes_known: Leave the file's axes as they are: a camera placed in them will turn them.

    Returns:
        Motions by person.

    Raises:
        FormatError: If the file is in no format, or unit, axes or joints cannot be told; the
            message says which option tells them.
        OptionError: If an option is none.
    """
    options = options or MotionOptions()
    source = Source(path)
    told = _read_options(options)
    kind = _format_of(source, options)
    people = {}
    for person, motion in kind.read(source).items():
        settled, doubts = _settled(source, motion, options, told, axes_known=axes_known)
        for doubt in doubts:
            warnings.warn(f"{source.path.name}: {doubt}", DoubtfulInputWarning, stacklevel=2)
        notes = (*motion.notes, *settled.notes, *doubts)
        people[person] = replace(settled, format=kind.name, notes=tuple(dict.fromkeys(notes)))
    return people


def _read_options(options: MotionOptions) -> ReadOptions:
    if isinstance(options.skeleton, str) and options.skeleton.lower().endswith(".toml"):
        file = load_skeleton(options.skeleton)
        return ReadOptions(file.skeleton, file.names)
    named = options.skeleton
    return ReadOptions(get_skeleton(named) if isinstance(named, str) else named)


def _format_of(source: Source, options: MotionOptions) -> MotionFormat:
    if options.format is not None:
        named = MOTION_FORMATS[options.format]
        if not named.suits(source):
            raise source.error(
                f"is {source.contents}, not {named.name}", "leave out format= and it is detected"
            )
        return named
    found = next((f for f in MOTION_FORMATS.values() if f.suits(source)), None)
    if found is None and "hypothesis" in (source.opening or [""])[0].split(","):
        raise source.error(
            "is a table that HypoPose exported", "give the .npz that it was exported from"
        )
    if found is None and source.is_npz and native.is_result(source.path):
        raise source.error("is a result already", "use it as it is")
    if found is None:
        raise source.error(
            f"is {source.contents}, in no format of 3D motion",
            f"give {', '.join(MOTION_FORMATS)}; 2D keypoints go to hypopose sample",
        )
    return found


def _settled(
    source: Source,
    motion: FileMotion,
    options: MotionOptions,
    told: ReadOptions,
    *,
    axes_known: bool,
) -> tuple[ImportedMotion, tuple[str, ...]]:
    """The motion in meters, turned, in its skeleton; and what is doubtful."""
    skeleton, order, notes = skeleton_of(source, motion, told)
    x = motion.points[:, order].copy()
    x[:, [i < 0 for i in order]] = np.nan
    if motion.parents is None:
        _check_space(source, motion.points, skeleton, options)
    body, names = _body(motion, x, skeleton)
    meters, said = meters_per_unit(source, limb_lengths(body, names), options.unit, motion.unit)
    scale = meters * np.array([-1.0 if options.mirror else 1.0, 1.0, 1.0])
    x, body = x * scale, body * scale
    up, turn_note = ("native", "") if axes_known else _up(source, body, names, options, motion.up)
    doubts = [said, turn_note, *_doubts(body, names)]
    settled = ImportedMotion(
        turned(x, up),
        skeleton,
        options.fps or motion.fps,
        motion.placed and not _centered(x),
        "",
        up,
        notes,
    )
    return settled, tuple(doubt for doubt in doubts if doubt)


def _body(
    motion: FileMotion, x: Float[np.ndarray, "F J 3"], skeleton: Skeleton
) -> tuple[Float[np.ndarray, "F M 3"], list[str]]:
    """All points by which a body can be measured, and their usual names: the file's and ours."""
    names = usual_names(motion.names)
    if motion.usual:
        names = [told or name for told, name in zip(motion.usual, names, strict=True)]
    known = motion.points if names else motion.points[:, :0]
    return np.concatenate([x, known], 1), [*usual_names(skeleton.joint_names), *names]


def _check_space(
    source: Source, x: Float[np.ndarray, "F N 3"], skeleton: Skeleton, options: MotionOptions
) -> None:
    """Refuse points of an image: flat, or MediaPipe's fractions.

    Raises:
        FormatError: If they are.
    """
    known = x[np.isfinite(x).all(-1)]
    cure = "2D keypoints go to hypopose sample"
    if len(known) and (np.ptp(known, axis=0) == 0).any():
        raise source.error("all points lie in one plane", f"{cure}, 3D files have x, y and z")
    fractions = (known[:, :2] > -0.5).all() and (known[:, :2] < 1.5).all()
    away = np.abs(np.nanmean(x[..., :2], axis=(0, 1))).max() > 0.2
    if skeleton == MEDIAPIPE33 and fractions and away and options.unit is None:
        raise source.error(
            "MediaPipe's image landmarks, fractions of the image",
            f"{cure} with --image-size W H; if they are meters, unit=m",
        )


def _up(
    source: Source,
    x: Float[np.ndarray, "F J 3"],
    names: list[str],
    options: MotionOptions,
    stated: str | None,
) -> tuple[str, str]:
    """The axis that points up, and a doubt where it was not simply stated."""
    if options.up is not None:
        return options.up, ""
    seen = upright_axis(x, names)
    if seen is None and stated is None:
        raise source.error(
            "the up axis is not stated, and no person stands upright along any",
            "name it: up=y, up=z or, for camera frames, up=native",
        )
    if seen is None or seen == stated:
        return str(stated), ""
    found = "y down" if seen == "native" else f"{seen} up"
    says = ""
    if stated is not None:
        says = f" and not {'y down' if stated == 'native' else f'{stated} up'}, as is usual"
    return seen, f"read with {found}{says}: people stand along it; up= says otherwise"


def _doubts(x: Float[np.ndarray, "F J 3"], names: list[str]) -> list[str]:
    doubts = []
    if is_mirrored(x, names):
        doubts.append(
            "noses and toes point backwards: for left-handed axes, as Unity's, give mirror=True; "
            "or left and right are swapped"
        )
    far = float(np.nanmax(np.abs(x)))
    if far > FAR:
        doubts.append(f"people are {far:.0f} m from the origin: check unit=")
    return doubts


def _centered(x: Float[np.ndarray, "F J 3"]) -> bool:
    """Whether the middle of the hips, or one joint, is at the origin in every frame."""
    at_origin = (np.abs(x) < 1e-6).all(-1)
    return len(x) > 1 and bool(at_origin.all(0).any())


def motions_by_person(motions: Mapping[str, ImportedMotion]) -> str:
    """Names of people, shortened for messages."""
    names = list(motions)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
