"""C3D, the exchange format of motion laboratories: labeled points, their spread as residual.

Convention:
    Points are joints, in millimeters with z up by default; ``POINT:X_SCREEN`` and
    ``Y_SCREEN`` say which axes point right and up in the picture. The residual is the joint's one
    standard deviation: the root mean square distance of the hypotheses to their mean. C3D keeps it
    as a whole number of the file's unit up to 255; larger spreads become 255. 0 stands for a spread
    that is unknown or below half a unit; a joint that is unknown has residual -1, C3D's mark for
    it. Exact standard deviations, averaged over time, are in ``HYPOPOSE:SIGMA``.

Joint angles are further points, as laboratories' software writes them: three angles in degrees in
place of x, y, z. ``POINT:ANGLES`` lists their labels (``LKneeAngles``), ``ANGLE_UNITS`` their unit
and ``DESCRIPTIONS`` what the three are; an angle that joint centers do not show is 0.

One file a motion; hypotheses have no spread of their own. In a file of several people labels begin
with the person, as laboratories write several subjects: ``P0:left_knee``, ``P1:left_knee``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from hypopose.errors import OptionError, SkeletonMismatchError
from hypopose.io.atomic import write_atomically
from hypopose.io.writers.optional import require
from hypopose.io.writers.scene import Defaults, ExportScene, Take
from hypopose.io.writers.several_people import label_prefixes, over_same_frames
from hypopose.io.writers.take_motion import body_motion_of
from hypopose.quantities import QUANTITIES, BodyMotion

DEFAULTS = Defaults(which="aggregate", up="z", root="placed", unit="mm", needs_rate=True)

MAX_FRAMES = 65_535
"""C3D counts frames in 16 bits; longer motions are written as several files."""

_SCREEN = {"y": ("+X", "+Y"), "z": ("+X", "+Z"), "native": ("+X", "-Y")}


MAX_POINTS = 255
"""Labels that ezc3d writes."""


def write_c3d(path: Path, scene: ExportScene) -> tuple[str, ...]:
    """Write one motion through ezc3d.

    Raises:
        BackendError: If ezc3d is not installed.
        OptionError: If the folder's name is not UTF-8.
    """
    _write(path, [_points(scene, "")])
    return ()


def write_c3d_of_people(path: Path, scenes: Sequence[ExportScene]) -> tuple[str, ...]:
    """Write several people over the same frames; labels begin with the person, ``P0:left_knee``.

    Raises:
        BackendError: If ezc3d is not installed.
        OptionError: As :func:`write_c3d`; if frame rates differ, or there are too many points or
            frames.
    """
    scenes, notes = over_same_frames(scenes)
    prefixes = label_prefixes([scene.called for scene in scenes])
    people = [_points(*pair) for pair in zip(scenes, prefixes, strict=True)]
    n = sum(person.places.shape[1] for person in people)
    if n > MAX_POINTS or scenes[0].n_frames > MAX_FRAMES:
        raise OptionError(
            f"{n} points over {scenes[0].n_frames} frames; a .c3d holds {MAX_POINTS} over "
            f"{MAX_FRAMES}. Export fewer people at once, or to .trc or .csv."
        )
    _write(path, people)
    return (*notes, f"labels begin with {', '.join(prefixes)}")


@dataclass(frozen=True, eq=False)
class _Points:
    """A person's joints and then angles, as a C3D lists them."""

    scene: ExportScene
    names: list[str]
    angles: dict[str, str]
    places: Float[np.ndarray, "F N 3"]

    @property
    def take(self) -> Take:
        return self.scene.takes[0]


def _points(scene: ExportScene, prefix: str) -> _Points:
    take = scene.takes[0]
    angles = angle_points(body_motion_of(scene, take))
    values = [value[:, None] for _, value in angles.values()]
    return _Points(
        scene,
        [f"{prefix}{name}" for name in scene.skeleton.joint_names],
        {f"{prefix}{label}": words for label, (words, _) in angles.items()},
        np.concatenate((take.joints, *values), 1),
    )


def _write(path: Path, people: Sequence[_Points]) -> None:
    """People one after the other, each with joints and then angles."""
    ezc3d = require("ezc3d", "c3d")
    file = ezc3d.c3d()
    _describe_points(file, people)
    _describe_origin(file, people)
    places = np.concatenate([person.places for person in people], 1)
    residuals = [_residuals(person.places, person.take.sigma) for person in people]
    points = np.concatenate((places, np.ones((*places.shape[:2], 1))), -1)
    file["data"]["points"] = points.transpose(2, 1, 0)
    file["data"]["meta_points"] = {
        "residuals": np.concatenate(residuals)[None],
        "camera_masks": np.zeros((7, places.shape[1], len(places)), dtype=bool),
    }
    with write_atomically(path) as temporary:
        if os.fsencode(temporary).decode("utf-8", "replace") != str(temporary):
            raise OptionError(f"{path}: ezc3d needs a folder whose name is UTF-8; name another.")
        file.write(str(temporary))
        _check_whole(temporary, 16 * points.shape[0] * points.shape[1])


def _describe_points(file: Any, people: Sequence[_Points]) -> None:
    """Parameters of the group POINT: rate, labels, unit, axes of the screen, angles."""
    scene = people[0].scene
    angles = [label for person in people for label in person.angles]
    for name, value in {
        "RATE": [float(scene.rate)],
        "LABELS": [label for person in people for label in (*person.names, *person.angles)],
        "DESCRIPTIONS": [words for person in people for words in _descriptions(person)],
        "UNITS": [scene.unit],
    }.items():
        file["parameters"]["POINT"][name]["value"] = value
    if scene.up != "native" or scene.frame == "camera":
        for name, axis in zip(("X_SCREEN", "Y_SCREEN"), _SCREEN[scene.up], strict=True):
            file.add_parameter("POINT", name, axis)
    if angles:
        file.add_parameter("POINT", "ANGLES", angles)
        file.add_parameter("POINT", "ANGLE_UNITS", ["deg"])


def _describe_origin(file: Any, people: Sequence[_Points]) -> None:
    """Parameters of the group HYPOPOSE: where the points come from, and their sigma."""
    scene = people[0].scene
    records = [person.scene.record() for person in people]
    notes = dict.fromkeys(note[:120] for person in people for note in person.scene.notes)
    for name, words in {
        "AXES": [scene.axes],
        "MOTION": [scene.takes[0].label],
        "SOURCE": [f"{r['source']} person {r['person']}" for r in records],
        "SOFTWARE": [records[0]["exported_by"]],
        "SAMPLER": [f"{r['sampler'].get('name', '')} seed {r['seed']}" for r in records],
        "NOTES": list(notes) or ["none"],
    }.items():
        file.add_parameter("HYPOPOSE", name, words)
    sigma = [x for person in people for x in _mean_sigma(person.take.sigma, len(person.names))]
    file.add_parameter("HYPOPOSE", "SIGMA", sigma)


def _descriptions(person: _Points) -> list[str]:
    joints = person.scene.skeleton.joint_names
    return [
        *(f"joint {name}; residual is 1 sigma" for name in joints),
        *(f"degrees: {words}" for words in person.angles.values()),
    ]


ANGLES: dict[str, tuple[str | None, ...]] = {
    f"{side[0].upper()}{joint}Angles": tuple(name and f"{side}_{name}" for name in names)
    for side in ("left", "right")
    for joint, names in (
        ("Hip", ("hip_flexion", "hip_adduction", None)),
        ("Knee", ("knee_flexion", None, None)),
        ("Ankle", ("ankle_flexion", None, None)),
        ("Elbow", ("elbow_flexion", None, None)),
        ("Shoulder", ("shoulder_elevation", None, None)),
    )
} | {
    "TrunkAngles": ("trunk_lean_forward", "trunk_lean_left", "trunk_rotation"),
    "PelvisAngles": (None, "pelvis_obliquity", None),
}
"""Label -> the three quantities of an angle point; None where joint centers show nothing."""


def angle_points(motion: BodyMotion) -> dict[str, tuple[str, NDArray[np.float64]]]:
    """Joint angles as points of a C3D.

    Args:
        motion: One motion, z up.

    Returns:
        By label: what the three angles are, and ``(F, 3)`` degrees. Angles of joints that the
        skeleton lacks are left out.
    """
    found = {}
    for label, names in ANGLES.items():
        try:
            columns = [
                np.zeros(motion.n_frames)
                if name is None
                else QUANTITIES[name].compute(motion).numpy()
                for name in names
            ]
        except SkeletonMismatchError:
            continue
        words = ", ".join(name.replace("_", " ") if name else "-" for name in names)
        found[label] = (words, np.stack(columns, -1))
    return found


def _check_whole(path: Path, n_bytes: int) -> None:
    """Raise what the system says where ezc3d, which says nothing, could not write all points.

    Args:
        path: What it wrote.
        n_bytes: Of the points alone.

    Raises:
        OSError: If there are fewer bytes.
    """
    written = path.stat().st_size if path.exists() else 0
    if written >= n_bytes:
        return
    with path.open("ab") as file:
        file.write(bytes(n_bytes - written))
        file.flush()
        os.fsync(file.fileno())
    raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))


def _residuals(
    joints: NDArray[np.float64], sigma: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Whole numbers (J, F); -1 where the joint is unknown; angles, which come last, have 0."""
    spread = np.zeros(joints.shape[:2])
    if sigma is not None:
        spread[:, : sigma.shape[1]] = np.nan_to_num(sigma)
    whole = np.clip(np.round(spread), 0, 255)
    return np.where(np.isfinite(joints).all(-1), whole, -1.0).T


def _mean_sigma(sigma: NDArray[np.float64] | None, n_joints: int) -> list[float]:
    """Root mean square over time, a number a joint; 0 where unknown."""
    if sigma is None:
        return [0.0] * n_joints
    known = np.isfinite(sigma)
    total = np.where(known, sigma, 0.0) ** 2
    mean: list[float] = np.sqrt(total.sum(0) / np.maximum(known.sum(0), 1)).tolist()
    return mean
