"""MPI-INF-3DHP's test set: six sequences, 17 joints, PCK at 150 mm and AUC.

Paper: Mehta et al., "Monocular 3D human pose estimation in the wild using improved CNN
supervision", 3DV 2017. Read are the official files or the archive that lifters make of them:

    TS1/annot_data.mat ... TS6/annot_data.mat     annot2 px, annot3 mm, univ_annot3 mm, valid_frame
    data_test_3dhp.npz                            data: TS1 -> data_2d px, data_3d mm, valid

``annot3`` are the true places; ``univ_annot3`` are the same poses on a skeleton of one height,
which do not reproject onto ``annot2``. Both are published, and their numbers are not comparable.
Archives do not say which they hold: it is found out by reprojection.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
import torch

from hypopose.cameras import project
from hypopose.datasets.protocols.folder_checks import Checks, check_options, listed
from hypopose.datasets.protocols.protocol_data import (
    GROUND_TRUTH,
    ProtocolData,
    ProtocolView,
    PublishedBatches,
    ViewEntry,
    grouped,
)
from hypopose.datasets.protocols.reprojection_check import check_reprojection
from hypopose.errors import FormatError
from hypopose.io.prediction_files import frames_first
from hypopose.io.source import Source
from hypopose.metrics import PCK_GROUPS_3DHP17
from hypopose.skeletons import MPI3DHP17
from hypopose.types import Camera, Keypoints2D, Poses3D

SEQUENCES = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")
SCENES = {
    "TS1": "studio, green screen", "TS2": "studio, green screen",
    "TS3": "studio, no green screen", "TS4": "studio, no green screen",
    "TS5": "outdoor", "TS6": "outdoor",
}  # fmt: skip
ACTIVITIES = (
    "Stand/Walk", "Exercise", "Sit on Chair", "Crouch/Reach", "On the Floor", "Sports", "Misc.",
)  # fmt: skip
"""Names of activity 1 to 7, in the order of the paper's table."""
MEASURED = {
    "TS1": (1500.003, 1500.654, 1017.377, 1043.062),
    "TS2": (1503.755, 1501.296, 1015.233, 1038.678),
    "TS3": (1499.995, 1500.595, 1017.389, 1043.048),
    "TS4": (1499.890, 1500.759, 1017.363, 1042.989),
    "TS5": (1683.403, 1671.998, 939.937, 560.197),
    "TS6": (1683.905, 1672.674, 939.850, 560.115),
}
"""fx, fy, cx, cy in pixels."""
NOMINAL = {
    # focal length, sensor width, offset of the principal point: millimeters
    "studio": (7.32506, 10.0, -0.0322884, 0.0929296),
    "outdoor": (8.770747185, 10.0, -0.104908645, 0.104899704),
}
"""The sensors as described; D3DP's JPMA uses them."""
PCK_JOINTS = tuple(sorted(j for group in PCK_GROUPS_3DHP17.values() for j in group))
"""The 14 joints of the official tool: no pelvis, spine or second head."""
REPROJECTS_PX = 15.0
"""Median distance up to which poses are those that were seen."""

Annotation = Literal["annot3", "univ_annot3"]
Cameras = Literal["measured", "nominal"]
Arrays = dict[str, np.ndarray]
"""xy px, joints mm, valid, activity."""


@dataclass(frozen=True)
class MpiInf3dhp:
    """Evaluate on the test set of MPI-INF-3DHP.

    Args:
        annotation: ``annot3`` or ``univ_annot3``.
        joints: Of MPJPE: 17 with the pelvis, always 0, or the 14 of PCK. PCK and AUC have 14.
        cameras: ``measured`` per sequence, or the ``nominal`` sensors of D3DP.
        batch: Clips of a batch of D3DP's released code, of which its P-Best takes one hypothesis.
        partial: Accept a folder without some sequences; results say so.

    Raises:
        OptionError: If a variant does not exist.
    """

    annotation: str = "annot3"
    joints: int = 17
    cameras: str = "measured"
    batch: int = 2
    partial: bool = False

    name: ClassVar[str] = "3dhp"
    title: ClassVar[str] = "MPI-INF-3DHP"

    def __post_init__(self) -> None:
        check_options(
            self.name,
            {
                "annotation": (self.annotation, get_args(Annotation)),
                "joints": (self.joints, (17, 14)),
                "cameras": (self.cameras, get_args(Cameras)),
                "batch": (self.batch, range(1, 1025)),
            },
        )

    def open(self, folder: str | Path, *, keypoints_needed: bool = True) -> ProtocolData:
        """List the sequences of a folder.

        Args:
            folder: Holds ``TS1`` to ``TS6``, or ``data_test_3dhp.npz``.
            keypoints_needed: Not looked at: every layout has keypoints.

        Raises:
            FormatError: If sequences are missing or damaged.
        """
        del keypoints_needed
        checks = Checks(self.name, Path(folder))
        checks.check_folder()
        sequences, files = self._sequences(checks)
        entries = tuple(
            ViewEntry(name, name, len(x["joints"]), _parts(x), (f"{name}/0",))
            for name, x in sequences.items()
        )
        root = MPI3DHP17.root
        seventeen = self.joints == MPI3DHP17.n_joints
        joints = tuple(range(17)) if seventeen else (root, *PCK_JOINTS)
        groupings = {
            "sequence": grouped(entries, lambda cell: cell[1]),
            "scene": grouped(entries, lambda cell: SCENES[cell[1]]),
        }
        if any(action for entry in entries for action in entry.parts):
            groupings["activity"] = grouped(entries, lambda cell: cell[0])
        data = ProtocolData(
            protocol=self.name,
            entries=entries,
            load=partial(self._load, sequences),
            source_skeleton=MPI3DHP17,
            joints=joints,
            joint_set="3dhp17" if seventeen else "3dhp14",
            files=files,
            variant=asdict(self),
            consumed={
                "keypoints": f"{GROUND_TRUTH} (annot2)",
                "camera": f"{self.cameras} intrinsics; no orientation",
                "root": "not used",
                "scale": "not used",
                "action": "not used",
                "choice": "not used",
            },
            groupings=groupings,
            headline="sequence",
            exclude_root=not seventeen,
            pck_joints=PCK_JOINTS if seventeen else tuple(range(1, 15)),
            gaps=True,
            batches=PublishedBatches(self.batch, stitched=True) if seventeen else None,
            notes=self._notes(entries),
        )
        return check_reprojection(checks, data)

    def _sequences(self, checks: Checks) -> tuple[dict[str, Arrays], tuple[Path, ...]]:
        """The arrays of every sequence, from whichever layout is there."""
        places = [checks.folder / "mpi_inf_3dhp_test_set", checks.folder]
        official = next((p for p in places if any((p / s).is_dir() for s in SEQUENCES)), None)
        archive = checks.folder / "data_test_3dhp.npz"
        if official is not None:
            return self._official(checks, official)
        if archive.is_file():
            return self._archive(checks, archive)
        raise checks.error("holds neither TS1 to TS6 nor data_test_3dhp.npz")

    def _official(self, checks: Checks, folder: Path) -> tuple[dict[str, Arrays], tuple[Path, ...]]:
        paths = {name: folder / name / "annot_data.mat" for name in SEQUENCES}
        missing = [f"{name}/annot_data.mat" for name, path in paths.items() if not path.is_file()]
        if missing and not (self.partial and len(missing) < len(paths)):
            raise checks.error(
                f"lacks {listed(missing)}", "accept a part with --variant partial=true", folder
            )
        there = {name: path for name, path in paths.items() if path.is_file()}
        found = {name: self._annotations(checks, name, path) for name, path in there.items()}
        return found, tuple(there.values())

    def _annotations(self, checks: Checks, name: str, path: Path) -> Arrays:
        """One file of MATLAB, of any version."""
        source = Source(path)
        if source.container not in ("hdf5", "mat5"):
            raise checks.error("is not a MATLAB file", "get it again", path)
        stored = {key.strip("/"): array for key, array in source.tree.arrays.items()}
        checks.check_keys(path, stored, ("annot2", self.annotation, "valid_frame"), "the variable")
        activity = stored.get("activity_annotation")
        return self._checked(
            checks, path, name,
            {
                "xy": frames_first(stored["annot2"]),
                "joints": frames_first(stored[self.annotation]),
                "valid": stored["valid_frame"],
                **({} if activity is None else {"activity": activity}),
            },
        )  # fmt: skip

    def _archive(self, checks: Checks, path: Path) -> tuple[dict[str, Arrays], tuple[Path, ...]]:
        data = checks.dictionary(path, "data")
        wanted = [name for name in SEQUENCES if name in data or not self.partial]
        checks.check_keys(path, data, wanted or SEQUENCES, "the sequence")
        found = {}
        for name in wanted:
            own = checks.mapping(path, data[name], name)
            checks.check_keys(path, own, ("data_2d", "data_3d", "valid"), f"of {name}")
            arrays = {"xy": own["data_2d"], "joints": own["data_3d"], "valid": own["valid"]}
            found[name] = self._checked(checks, path, name, arrays)
            self._check_annotation(checks, path, name, found[name])
        return found, (path,)

    def _checked(self, checks: Checks, path: Path, name: str, arrays: Arrays) -> Arrays:
        """Arrays of one length, in millimeters and pixels, with a frame that counts."""
        x = checks.numbers(path, arrays["joints"], f"{name} {self.annotation}", (None, 17, 3))
        xy = checks.numbers(path, arrays["xy"], f"{name} 2D", (len(x), 17, 2))
        found = {"joints": x.astype(np.float64), "xy": xy}
        for key in ("valid", "activity"):
            if key in arrays:
                marks = np.asarray(arrays[key]).reshape(-1)
                found[key] = checks.numbers(path, marks, f"{name} {key}", (len(x),))
        if not (found["valid"] > 0).any():
            raise checks.error(f"{name} has no valid frame", "get the file again", path)
        try:
            checks.check_meters(path, found["joints"] / 1000, MPI3DHP17.root, name)
        except FormatError:
            raise checks.error(
                f"{name} holds bodies that are not in millimeters", "bring them to millimeters",
                path,
            ) from None  # fmt: skip
        checks.check_pixels(path, xy, _size(name), name)
        return found

    def _check_annotation(self, checks: Checks, path: Path, name: str, arrays: Arrays) -> None:
        """Refuse an archive of the other annotation."""
        off = project(torch.from_numpy(arrays["joints"]), self._camera(name)).numpy()
        distance = float(np.nanmedian(np.linalg.norm(off - arrays["xy"], axis=-1)))
        seen = distance < REPROJECTS_PX
        if seen != (self.annotation == "annot3"):
            other = "annot3" if seen else "univ_annot3"
            raise checks.error(
                f"{name} reprojects {distance:.0f} px from its keypoints, so it holds {other}",
                f"add --variant annotation={other}",
                path,
            )

    def _camera(self, name: str) -> Camera:
        w, h = _size(name)
        if self.cameras == "measured":
            fx, fy, cx, cy = MEASURED[name]
        else:
            focal, width, dx, dy = NOMINAL["outdoor" if SCENES[name] == "outdoor" else "studio"]
            fx = fy = focal * w / width
            cx, cy = w / 2 + dx * w / width, h / 2 + dy * w / width
        return Camera(torch.tensor([fx, fy]), torch.tensor([cx, cy]), (w, h))

    def _load(self, sequences: dict[str, Arrays], entry: ViewEntry) -> ProtocolView:
        arrays, camera = sequences[entry.name], self._camera(entry.name)
        joints = torch.from_numpy(arrays["joints"] / 1000)
        root = joints[:, MPI3DHP17.root]
        keypoints = Keypoints2D(
            torch.from_numpy(arrays["xy"].astype(np.float32)), MPI3DHP17, camera=camera,
            image_size=camera.image_size,
        )  # fmt: skip
        return ProtocolView(Poses3D(joints - root[:, None], MPI3DHP17, root=root), keypoints)

    def _notes(self, entries: tuple[ViewEntry, ...]) -> tuple[str, ...]:
        counts = ", ".join(f"{entry.name} {len(entry.counted)}" for entry in entries)
        notes = [
            f"poses of {self.annotation}; numbers on the other annotation are not comparable",
            f"valid frames: {counts}",
            "scores of clips and of velocity are left out: valid frames do not follow each other",
        ]
        absent = [name for name in SEQUENCES if name not in {entry.name for entry in entries}]
        return (*notes, f"PARTIAL DATA: without {', '.join(absent)}") if absent else tuple(notes)


def _parts(arrays: Arrays) -> dict[str, np.ndarray]:
    """Valid frames by the name of their activity, or all under no name."""
    frames = np.flatnonzero(arrays["valid"] > 0)
    if "activity" not in arrays:
        return {"": frames}
    activity = arrays["activity"][frames].astype(int)
    return {_activity(int(n)): frames[activity == n] for n in np.unique(activity)}


def _activity(number: int) -> str:
    """The name of an activity; its number if the paper has none.

    Example:
        >>> _activity(3), _activity(9)
        ('Sit on Chair', 'activity 9')
    """
    known = 1 <= number <= len(ACTIVITIES)
    return ACTIVITIES[number - 1] if known else f"activity {number}"


def _size(name: str) -> tuple[int, int]:
    return (1920, 1080) if SCENES[name] == "outdoor" else (2048, 2048)
