"""3DPW: people outdoors before a moving camera, 14 joints, MPJPE, P-MPJPE and PVE.

Paper: von Marcard et al., "Recovering accurate 3D human pose in the wild using IMUs and a moving
camera", ECCV 2018. Read are the official ``sequenceFiles/test/*.pkl``; nothing in them is run.

Tables take 14 joints that a regressor finds on the surface of SMPL, with the pelvis of the same
regressor at the origin. That needs SMPL and the regressor, which have their own licenses: give
them with ``regressor`` and ``body_models``. Without them the documented subset is used: the SMPL
joints of the files themselves (pelvis for the origin; hips, knees, ankles, shoulders, elbows,
wrists, neck, head). Numbers of the two are not comparable. PVE, the mean distance of vertices with
the regressed pelvis at the origin, is scored where predictions hold the vertices of SMPL.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from hypopose.datasets.protocols.folder_checks import Checks, check_options
from hypopose.datasets.protocols.protocol_data import (
    ProtocolData,
    ProtocolView,
    SurfaceTruth,
    ViewEntry,
    grouped,
)
from hypopose.datasets.protocols.reprojection_check import check_reprojection
from hypopose.datasets.protocols.smpl_regression import (
    RegressedBody,
    load_regressed_body,
    load_regressor,
)
from hypopose.io.source import Source
from hypopose.io.untrusted.pickles import PickleRefusedError, read_pickled
from hypopose.skeletons import COCO18, H36M17, SMPL24
from hypopose.types import Camera, Keypoints2D, Poses3D

FPS = 30.0
N_SEQUENCES = {"test": 24, "validation": 12, "train": 24}
MAX_BYTES = 2**30
FROM_H36M17 = (0, 6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)
"""Pelvis, then the 14 joints of tables among Human3.6M's 17."""
FROM_SMPL24 = (0, 8, 5, 2, 1, 4, 7, 21, 19, 17, 16, 18, 20, 12, 15)
"""Pelvis, then the 14 nearest joints of SMPL."""
FIELDS = ("jointPositions", "poses2d", "cam_intrinsics", "cam_poses", "campose_valid")
SURFACE_FIELDS = ("poses", "betas", "trans", "genders")

Person = dict[str, np.ndarray]
"""joints, keypoints, camera, valid; pose, shape and place where a surface is needed."""


@dataclass(frozen=True)
class ThreeDPW:
    """Evaluate on 3DPW.

    Args:
        split: ``test``, ``validation`` or ``train``.
        regressor: Regressor of Human3.6M's 17 joints, ``(17, vertices)`` npy; empty for the SMPL
            joints of the files.
        body_models: Folder with SMPL as npz, ``male`` and ``female`` in the names.
        partial: Accept a folder without some sequences; results say so.

    Raises:
        OptionError: If a variant does not exist.
    """

    split: str = "test"
    regressor: str = ""
    body_models: str = ""
    partial: bool = False

    name: ClassVar[str] = "3dpw"
    title: ClassVar[str] = "3DPW"

    def __post_init__(self) -> None:
        check_options(self.name, {"split": (self.split, tuple(N_SEQUENCES))})
        check_options(
            self.name,
            {"body_models (with regressor, and only then)":
             (bool(self.body_models), (bool(self.regressor),))},
        )  # fmt: skip

    def open(self, folder: str | Path, *, keypoints_needed: bool = True) -> ProtocolData:
        """List the people of a folder.

        Args:
            folder: Holds ``sequenceFiles/test``, or is such a folder.
            keypoints_needed: Not looked at: every file has keypoints.

        Raises:
            FormatError: If sequences are missing or damaged.
        """
        del keypoints_needed
        checks = Checks(self.name, Path(folder))
        checks.check_folder()
        paths = self._paths(checks)
        people: dict[str, Person] = {}
        for path in paths:
            people |= self._people(checks, path)
        bodies, files, surface = self._bodies(checks, people)
        entries = tuple(
            ViewEntry(
                name, name.rpartition("/")[0], len(x["joints"]),
                {"": np.flatnonzero(x["valid"])}, _aliases(name, people),
            )
            for name, x in people.items()
            if x["valid"].any()
        )  # fmt: skip
        if not entries:
            raise checks.error("no frame has a valid camera", "get the files again")
        gaps = any((np.diff(entry.counted) > 1).any() for entry in entries)
        data = ProtocolData(
            protocol=self.name,
            entries=entries,
            load=partial(_load, people, bodies),
            source_skeleton=H36M17 if self.regressor else SMPL24,
            joints=FROM_H36M17 if self.regressor else FROM_SMPL24,
            joint_set="lsp14" if self.regressor else "smpl14",
            files=(*paths, *files),
            variant=asdict(self),
            consumed={
                "keypoints": "detections of the data set (poses2d, assigned to people by it)",
                "camera": "measured intrinsics; no orientation",
                "root": "not used",
                "scale": "not used",
                "action": "not used",
                "choice": "not used",
            },
            groupings={"sequence": grouped(entries, lambda cell: cell[1])},
            exclude_root=True,
            gaps=gaps,
            surface=surface,
            notes=self._notes(paths, entries, gaps),
        )
        return check_reprojection(checks, data)

    def _paths(self, checks: Checks) -> list[Path]:
        places = [
            checks.folder / "sequenceFiles" / self.split, checks.folder / self.split, checks.folder,
        ]  # fmt: skip
        found = next((sorted(p.glob("*.pkl")) for p in places if any(p.glob("*.pkl"))), [])
        wanted = N_SEQUENCES[self.split]
        if not found or (len(found) != wanted and not self.partial):
            raise checks.error(
                f"holds {len(found)} of {wanted} sequences of the {self.split} split "
                f"(sequenceFiles/{self.split}/*.pkl)",
                "accept a part with --variant partial=true" if found else "",
            )
        return found

    def _people(self, checks: Checks, path: Path) -> dict[str, Person]:
        """Everybody in a file, by name."""
        stored = _unpickled(checks, path)
        surface = SURFACE_FIELDS if self.regressor else ()
        checks.check_keys(path, stored, (*FIELDS, *surface), "the entries")
        people = stored["jointPositions"]
        n = len(people) if isinstance(people, (list, tuple)) else 0
        if n == 0:
            raise checks.error("has no person in jointPositions", "get it again", path)
        found = {}
        for i in range(n):
            person = _person(checks, path, stored, i)
            if self.regressor:
                person |= _surface(checks, path, stored, i, len(person["joints"]))
            found[f"{path.stem}/{i}"] = person
        return found

    def _bodies(
        self, checks: Checks, people: dict[str, Person]
    ) -> tuple[dict[str, RegressedBody], tuple[Path, ...], SurfaceTruth | None]:
        """Gender -> body, the files they came from, and the surfaces."""
        if not self.regressor:
            return {}, (), None
        regressor = load_regressor(self.regressor)
        models = sorted(Path(self.body_models).glob("*.npz"))
        female = [path for path in models if "female" in path.stem.lower()]
        male = [path for path in models if "male" in path.stem.lower() and path not in female]
        found = {}
        for gender, word, fits in (("f", "female", female), ("m", "male", male)):
            if len(fits) != 1:
                raise checks.error(
                    f"{self.body_models} has {len(fits)} npz files with {word!r} in the name",
                    "give one SMPL model for each gender",
                )
            found[gender] = (fits[0], load_regressed_body(fits[0], regressor))
        if _left_first(found["f"][1]):
            regressor = regressor[list(H36M17.flip_order)]
        chosen = {gender: path for gender, (path, _) in found.items()}
        bodies = {gender: load_regressed_body(path, regressor) for gender, path in chosen.items()}
        surfaces = _Surfaces(people, chosen, regressor)
        truth = SurfaceTruth(torch.from_numpy(np.ascontiguousarray(regressor)), surfaces.of)
        return bodies, (Path(self.regressor), *chosen.values()), truth

    def _notes(
        self, paths: list[Path], entries: tuple[ViewEntry, ...], gaps: bool
    ) -> tuple[str, ...]:
        joints = (
            "joints of the regressor on SMPL's surface"
            if self.regressor
            else "SMPL's own joints: not comparable with tables that use a regressor"
        )
        n = sum(len(entry.counted) for entry in entries)
        notes = [joints, f"frames with a valid camera: {n} of {len(entries)} people"]
        if gaps:
            notes.append("scores of clips and of velocity are left out: valid frames have gaps")
        if len(paths) != N_SEQUENCES[self.split]:
            notes.append(f"PARTIAL DATA: {len(paths)} of {N_SEQUENCES[self.split]} sequences")
        return tuple(notes)


def _aliases(name: str, people: dict[str, Person]) -> tuple[str, ...]:
    """The sequence's own name, if one person is in it."""
    sequence = name.rpartition("/")[0]
    return (sequence,) if f"{sequence}/1" not in people else ()


def _unpickled(checks: Checks, path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_BYTES:
        raise checks.error("is larger than 1 GiB", "get it again", path)
    try:
        return checks.mapping(
            path, read_pickled(Source(path).read_bytes(), python2=True), "the file"
        )
    except PickleRefusedError as error:
        raise checks.error(f"its pickle is refused ({error})", "get it again", path) from None


def _person(checks: Checks, path: Path, stored: dict[str, Any], i: int) -> Person:
    """Joints in the world, keypoints, cameras and which of them are valid."""
    joints = checks.numbers(path, _at(stored["jointPositions"], i), f"jointPositions[{i}]",
                            (None, 72))  # fmt: skip
    n = len(joints)
    joints = joints.reshape(n, 24, 3).astype(np.float64)
    checks.check_meters(path, joints, SMPL24.root, f"jointPositions[{i}]")
    seen = checks.numbers(path, _at(stored["poses2d"], i), f"poses2d[{i}]", (n, 3, 18))
    cameras = checks.numbers(path, stored["cam_poses"], "cam_poses", (n, 4, 4))
    turns = cameras[:, :3, :3].astype(np.float64)
    off = np.abs(turns @ turns.transpose(0, 2, 1) - np.eye(3)).max()
    if off > 1e-2:
        raise checks.error("cam_poses holds a matrix that is not a rotation", "get it again", path)
    lens = checks.numbers(path, stored["cam_intrinsics"], "cam_intrinsics", (3, 3))
    if not (lens[0, 0] > 0 and lens[1, 1] > 0 and lens[0, 2] > 0 and lens[1, 2] > 0):
        raise checks.error("cam_intrinsics is not a camera matrix", "get it again", path)
    valid = checks.numbers(
        path, np.asarray(_at(stored["campose_valid"], i)).reshape(-1), f"campose_valid[{i}]", (n,)
    )
    return {"joints": joints, "keypoints": seen, "camera": cameras.astype(np.float64),
            "lens": lens.astype(np.float64), "valid": valid > 0}  # fmt: skip


def _surface(checks: Checks, path: Path, stored: dict[str, Any], i: int, n: int) -> Person:
    """Parameters of the body."""
    gender = str(_at(stored["genders"], i)).lower()[:1]
    if gender not in ("m", "f"):
        raise checks.error(f"genders[{i}] is {gender!r}, not m or f", "get it again", path)
    shape = checks.numbers(path, np.asarray(_at(stored["betas"], i)).reshape(-1), f"betas[{i}]",
                           (None,))  # fmt: skip
    return {
        "poses": checks.numbers(path, _at(stored["poses"], i), f"poses[{i}]", (n, 72)).astype(
            np.float64
        ),
        "shape": shape[:10].astype(np.float64),
        "place": checks.numbers(path, _at(stored["trans"], i), f"trans[{i}]", (n, 3)).astype(
            np.float64
        ),
        "gender": np.array(gender),
    }


def _at(people: Any, i: int) -> Any:
    return people[i] if isinstance(people, (list, tuple, np.ndarray)) and i < len(people) else None


def _left_first(body: RegressedBody) -> bool:
    """Whether a regressor gives left before right; Human3.6M's order is right first."""
    hip = (body.regressor @ body.points)[1]
    to_left, to_right = ((hip - body.joints[j]).norm() for j in (1, 2))
    return bool(to_left < to_right)


@dataclass(frozen=True, eq=False)
class _Surfaces:
    """Makes the vertices of people when they are asked for.

    Args:
        people: By name.
        models: Gender -> file.
        regressor: Of the root.
    """

    people: dict[str, Person]
    models: dict[str, Path]
    regressor: np.ndarray

    @cached_property
    def bodies(self) -> dict[str, RegressedBody]:
        """Gender -> body with every vertex."""
        return {
            gender: load_regressed_body(path, self.regressor, whole=True)
            for gender, path in self.models.items()
        }

    def of(self, entry: ViewEntry, frames: np.ndarray) -> torch.Tensor:
        """Vertices of some frames from the root, camera frame."""
        person = self.people[entry.name]
        body = self.bodies[str(person["gender"])]
        world = body.surface(
            torch.from_numpy(person["poses"][frames]),
            torch.from_numpy(person["shape"]),
            torch.from_numpy(person["place"][frames]),
        )
        root = (body.regressor @ world)[:, H36M17.root, None]
        return (world - root) @ torch.from_numpy(person["camera"][frames, :3, :3]).mT


def _load(
    people: dict[str, Person], bodies: dict[str, RegressedBody], entry: ViewEntry
) -> ProtocolView:
    person = people[entry.name]
    cameras = torch.from_numpy(person["camera"])
    world = torch.from_numpy(person["joints"])
    skeleton = SMPL24
    if bodies:
        skeleton = H36M17
        body = bodies[str(person["gender"])]
        world = body(*(torch.from_numpy(person[key]) for key in ("poses", "shape", "place")))
    rotation = cameras[:, :3, :3]
    joints = world @ rotation.mT + cameras[:, None, :3, 3]
    root = joints[:, skeleton.root]
    return ProtocolView(
        Poses3D(joints - root[:, None], skeleton, root=root), _keypoints(person), rotation
    )


def _keypoints(person: Person) -> Keypoints2D:
    """OpenPose's 18 keypoints; what was not found is NaN."""
    values = torch.from_numpy(person["keypoints"].astype(np.float32)).mT
    confidence = values[..., 2]
    xy = torch.where((confidence > 0)[..., None], values[..., :2], torch.nan)
    lens = torch.from_numpy(person["lens"]).float()
    size = (round(2 * float(lens[0, 2])), round(2 * float(lens[1, 2])))
    camera = Camera(lens.diagonal()[:2].clone(), lens[:2, 2].clone(), size)
    return Keypoints2D(
        xy, COCO18, confidence=confidence.clamp(0, 1), camera=camera, image_size=size, fps=FPS
    )
