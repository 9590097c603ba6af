"""Arrays of 3D points: numpy files, VideoPose3D's archives, FreeMoCap's recordings.

Shapes are ``(F, J, 3)``, ``(J, 3)`` for one frame, ``(F, people, J, 3)`` for several people, or
with a fourth number, the confidence. An .npz names the array ``joints``, ``keypoints_3d``,
``points_3d``, ``poses_3d``, ``xyz`` or ``positions_3d`` (or has only one), and may hold
``skeleton``, ``joint_names``, ``fps`` and ``unit``. FreeMoCap's arrays of body, hands and face
(543 or 553 points) hold MediaPipe's 33 body points first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hypopose.io import native
from hypopose.io.detections import MAX_PEOPLE_IN_FRAME
from hypopose.io.motion_files.file_motion import FileMotion, MotionFormat, People, checked_points
from hypopose.io.source import Source, printable
from hypopose.io.untrusted.arrays import NpzArchive, read_npy
from hypopose.skeletons import MEDIAPIPE33, SKELETONS
from hypopose.types import Skeleton

NAMES = ("joints", "keypoints_3d", "points_3d", "poses_3d", "xyz", "positions_3d")
FREEMOCAP = (543, 553)
"""Points of MediaPipe's body, hands and face together, without and with irises."""
H36M_JOINTS = {17: "h36m17", 32: "h36m32"}
MAX_CLIPS = 2000


def suits(source: Source) -> bool:
    """A numpy file that is no result of ours."""
    if source.is_npy:
        return True
    return source.is_npz and not native.is_result(source.path)


def read(source: Source) -> People:
    """Read an array, or all clips of VideoPose3D's archive."""
    if source.is_npy:
        return _people(source, read_npy(source, source.read_bytes()), {})
    archive = NpzArchive(source)
    if "positions_3d" in archive.names and archive.is_pickled("positions_3d"):
        return _clips(source, archive.pickled("positions_3d"))
    named = [name for name in NAMES if name in archive.names]
    named = named or (archive.names if len(archive.names) == 1 else [])
    if set(archive.names) >= {"poses", "trans"}:
        raise source.error(
            "holds parameters of a body model, no points",
            "hypopose data prepare FILE -o SHARD.npz --body-model MODEL.npz computes the joints",
        )
    if len(named) != 1:
        raise source.error(
            f"the archive holds {', '.join(archive.names[:8]) or 'nothing'}",
            f"name the 3D points {NAMES[0]!r}",
        )
    texts = ("skeleton", "joint_names", "fps", "unit", "metadata")
    facts = {name: archive.array(name) for name in texts if name in archive.names}
    return _people(source, archive.array(named[0]), facts)


def _people(source: Source, values: np.ndarray, facts: dict[str, np.ndarray]) -> People:
    if values.ndim not in (2, 3, 4) or values.shape[-1] not in (3, 4) or 0 in values.shape:
        raise source.error(f"an array {values.shape} of {values.dtype}", "give (frames, joints, 3)")
    values = values[None] if values.ndim == 2 else values
    values = values[:, None] if values.ndim == 3 else values
    n_frames, n_people = values.shape[:2]
    if n_people > min(MAX_PEOPLE_IN_FRAME, max(n_frames, 10)):
        raise source.error(
            f"{n_people} people in {n_frames} frames", "order the axes (frames, people, joints, 3)"
        )
    return {str(k): _motion(source, values[:, k], facts) for k in range(n_people)}


def _motion(source: Source, values: np.ndarray, facts: dict[str, np.ndarray]) -> FileMotion:
    values = _without_unsure(source, values)
    names = _names(source, facts)
    skeleton, notes = _skeleton(source, values.shape[1], facts)
    if values.shape[1] in FREEMOCAP and not names and skeleton is None:
        values, skeleton = values[:, :33], MEDIAPIPE33
        notes = ("FreeMoCap's points: the first 33, MediaPipe's body, are taken",)
    return FileMotion(
        checked_points(source, values, names),
        names,
        skeleton=skeleton,
        fps=_number(source, facts, "fps"),
        unit=_unit(source, facts),
        notes=notes,
    )


def _without_unsure(source: Source, values: np.ndarray) -> np.ndarray:
    """Three coordinates; points whose fourth number, a confidence, is not positive are missing."""
    if values.dtype.kind not in "iuf":
        raise source.error(f"an array of {values.dtype}", "give numbers")
    if values.shape[-1] == 3:
        return values
    return np.where(values[..., 3:] > 0, values[..., :3].astype(np.float64), np.nan)


def _names(source: Source, facts: dict[str, np.ndarray]) -> tuple[str, ...]:
    found = facts.get("joint_names")
    if found is None:
        return ()
    if found.dtype.kind != "U" or found.ndim != 1:
        raise source.error("joint_names are no list of texts", "name the joints")
    return tuple(printable(str(name))[:80] for name in found)


def _skeleton(
    source: Source, n_points: int, facts: dict[str, np.ndarray]
) -> tuple[Skeleton | None, tuple[str, ...]]:
    if "metadata" in facts and native.is_native(source):
        metadata = native.read_metadata(source, NpzArchive(source))
        return native.skeleton_from_dict(source, metadata.get("skeleton")), ()
    if "skeleton" in facts and facts["skeleton"].size == 1:
        name = str(facts["skeleton"].item())[:60]
        if name not in SKELETONS:
            raise source.error(f"HypoPose knows no skeleton {name!r}", "name one with skeleton=")
        return SKELETONS[name], ()
    if n_points == 33 and "mediapipe" in source.path.name.lower():
        return MEDIAPIPE33, ("33 points of a file called after MediaPipe: its pose landmarks",)
    return None, ()


def _number(source: Source, facts: dict[str, np.ndarray], name: str) -> float | None:
    if name not in facts:
        return None
    value = facts[name]
    if value.size != 1 or value.dtype.kind not in "iuf" or not 0 < float(value.reshape(())) < 1e5:
        raise source.error(f"{name} is not a frame rate", "give frames per second")
    return float(value.reshape(()))


def _unit(source: Source, facts: dict[str, np.ndarray]) -> str | None:
    if "metadata" in facts:
        return "m"
    if "unit" not in facts:
        return None
    word = str(facts["unit"].item()) if facts["unit"].size == 1 else ""
    if word not in ("m", "cm", "mm"):
        raise source.error(f"its unit is {word[:20]!r}", "write m, cm or mm")
    return word


def _clips(source: Source, positions: Any) -> People:
    """Every subject and action of VideoPose3D's ``data_3d_*.npz``, a person each."""
    if not isinstance(positions, dict):
        raise source.error("positions_3d is not a dictionary", "save subject -> action -> array")
    found: dict[str, FileMotion] = {}
    for subject, actions in positions.items():
        if not isinstance(actions, dict):
            raise source.error("actions are no dictionary", "save subject -> action -> array")
        for action, clip in actions.items():
            name = printable(f"{subject}/{action}"[:80])
            if not isinstance(clip, np.ndarray) or clip.ndim != 3:
                raise source.error(f"{name} is not an array", "save (frames, joints, 3)")
            points = checked_points(source, clip[..., :3])
            skeleton = SKELETONS.get(H36M_JOINTS.get(points.shape[1], ""))
            found[name] = FileMotion(points, skeleton=skeleton, unit="m", up="z", fps=50.0)
            if len(found) > MAX_CLIPS:
                raise source.error(f"more than {MAX_CLIPS} clips", "split the file")
    if not found:
        raise source.error("positions_3d is empty", "write at least one clip")
    return found


FORMAT = MotionFormat(
    "arrays-3d", ".npy or .npz of (frames, joints, 3); VideoPose3D's data_3d_*.npz", suits, read
)  # fmt: skip
