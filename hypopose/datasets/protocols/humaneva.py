"""HumanEva-I as lifters evaluate it: walk, jog and box of three validation subjects, 15 joints.

Files are those of VideoPose3D (Pavllo et al., CVPR 2019), read without running their pickles:

    data_3d_humaneva15.npz        positions_3d: Validate/S1 -> 'Jog 1 chunk0' -> (T, 15, 3), meters
    data_2d_humaneva15_NAME.npz   positions_2d: the same -> three arrays (T, J, 2), pixels

Motion capture has gaps, so recordings come in chunks; chunks of one recording are one sequence. The
three color cameras have known places and no known lenses: samplers get an assumed one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from hypopose.cameras import rotation_from_quaternion
from hypopose.datasets.protocols.folder_checks import Checks, check_options
from hypopose.datasets.protocols.lifter_keypoints import LifterKeypoints, keypoint_file
from hypopose.datasets.protocols.protocol_data import (
    GROUND_TRUTH,
    ProtocolData,
    ProtocolView,
    ViewEntry,
    grouped,
)
from hypopose.skeletons import HUMANEVA15
from hypopose.types import Camera, Poses3D

FPS = 60.0
IMAGE_SIZE = (640, 480)
SUBJECTS = ("Validate/S1", "Validate/S2", "Validate/S3")
_S1 = (
    (0.424207, -0.4983646, -0.5802981, 0.4847012, 4062.227, 663.2477, 1528.397),
    (0.6503354, -0.7481602, -0.0919284, 0.0941766, 844.8131, -3805.2092, 1504.9929),
    (0.0664734, -0.0690535, 0.7416416, -0.6639132, -797.67377, 3916.3174, 1433.6602),
)
CAMERAS = {
    "S1": _S1,
    "S2": (
        (0.4214752, -0.4961493, -0.5838273, 0.4851187, 4112.9121, 626.4929, 1545.2988),
        (0.6501393, -0.7476588, -0.0954617, 0.0959808, 923.5740, -3877.9243, 1504.5518),
        (0.0699353, -0.0712403, 0.7421637, -0.662742, -781.4915, 3838.8853, 1444.9929),
    ),
    "S3": _S1,
}
"""Subject -> C1, C2, C3: quaternion (w, x, y, z) from camera axes to the world, center in mm."""


@dataclass(frozen=True)
class HumanEva:
    """Evaluate on HumanEva-I.

    Args:
        keypoints: NAME of ``data_2d_humaneva15_NAME.npz``.
        actions: Comma-separated beginnings of the actions' names.
        subjects: Comma-separated.
        partial: Accept a folder without some subjects or actions; results say so.

    Raises:
        OptionError: If a variant does not exist.
    """

    keypoints: str = "detectron_pt_coco"
    actions: str = "Walk,Jog,Box"
    subjects: str = ",".join(SUBJECTS)
    partial: bool = False

    name: ClassVar[str] = "humaneva"
    title: ClassVar[str] = "HumanEva-I"

    def __post_init__(self) -> None:
        known = [f"{split}/S{i}" for split in ("Validate", "Train") for i in (1, 2, 3)]
        check_options(
            self.name, {f"subjects (of {s})": (s, known) for s in self.subjects.split(",")}
        )

    def open(self, folder: str | Path, *, keypoints_needed: bool = True) -> ProtocolData:
        """List the views of a folder.

        Args:
            folder: Holds the npz files.
            keypoints_needed: Whether a folder without them is refused.

        Raises:
            FormatError: If files, subjects, actions, cameras or frames are missing or damaged.
        """
        checks = Checks(self.name, Path(folder))
        checks.check_folder()
        path_3d = checks.folder / "data_3d_humaneva15.npz"
        path_2d = keypoint_file(
            checks, "data_2d_humaneva15", self.keypoints, [path_3d.name], keypoints_needed
        )
        checks.check_files([path_3d.name])
        world = self._positions(checks, path_3d)
        seen = None
        if path_2d is not None:
            seen = LifterKeypoints.read(checks, path_2d, world, [IMAGE_SIZE] * 3)
        entries = tuple(_entries(world))
        exact = self.keypoints == "gt" or self.keypoints.startswith("gt_")
        origin = f"{GROUND_TRUTH} projected into the image" if exact else "detections"
        absent = [s for s in self.subjects.split(",") if s not in world]
        part = (f"PARTIAL DATA: without {', '.join(absent) or 'some actions'}",)
        return ProtocolData(
            protocol=self.name,
            entries=entries,
            load=partial(_load, world, seen),
            source_skeleton=HUMANEVA15,
            joints=tuple(range(HUMANEVA15.n_joints)),
            files=(path_3d,) if path_2d is None else (path_3d, path_2d),
            variant=asdict(self),
            consumed={
                "keypoints": f"{origin} ({self.keypoints})",
                "camera": "assumed focal length; no orientation",
                "root": "not used",
                "scale": "not used",
                "action": "not used",
                "choice": "not used",
            },
            groupings={"action": grouped(entries, lambda cell: cell[0])},
            headline="action",
            notes=("60 Hz", *(part if self.partial else ())),
        )

    def _positions(self, checks: Checks, path: Path) -> dict[str, dict[str, np.ndarray]]:
        stored = checks.dictionary(path, "positions_3d")
        wanted = [s for s in self.subjects.split(",") if s in stored or not self.partial]
        checks.check_keys(path, stored, wanted or self.subjects.split(","), "the subject")
        found: dict[str, dict[str, np.ndarray]] = {}
        for subject in wanted:
            takes = checks.mapping(path, stored[subject], subject)
            found[subject] = {}
            for take in self._wanted_takes(checks, path, subject, list(takes)):
                x = checks.numbers(path, takes[take], f"{subject}/{take}", (None, 15, 3))
                checks.check_meters(path, x, HUMANEVA15.root, f"{subject}/{take}")
                found[subject][take] = x
        return found

    def _wanted_takes(
        self, checks: Checks, path: Path, subject: str, takes: Sequence[str]
    ) -> list[str]:
        """A subject's takes of the wanted actions, in the order of these."""
        there = {a: [t for t in takes if t.startswith(a)] for a in self.actions.split(",")}
        missing = [action for action, own in there.items() if not own]
        if missing and not (self.partial and len(missing) < len(there)):
            raise checks.error(
                f"{subject} lacks {', '.join(missing)}",
                "get the whole file, accept a part with --variant partial=true",
                path,
            )
        return [take for own in there.values() for take in own]


def _entries(world: dict[str, dict[str, np.ndarray]]) -> Iterator[ViewEntry]:
    for subject, takes in world.items():
        for take, positions in takes.items():
            action = f"{take.split(' ')[0]} {subject.split('/')[1]}"
            for i in range(3):
                yield ViewEntry(
                    name=f"{subject}/{take}/C{i + 1}",
                    sequence=f"{subject}/{take.split(' chunk')[0]}",
                    n_frames=len(positions),
                    parts={action: np.arange(len(positions))},
                    aliases=(f"{subject}/{take}/{i}",),
                )


def _load(
    world: dict[str, dict[str, np.ndarray]], seen: LifterKeypoints | None, entry: ViewEntry
) -> ProtocolView:
    split, person, take, camera = entry.name.split("/")
    subject, index = f"{split}/{person}", int(camera[1:]) - 1
    placed = torch.tensor(CAMERAS[person][index], dtype=torch.float64)
    rotation = rotation_from_quaternion(placed[:4]).mT
    points = torch.from_numpy(world[subject][take].astype(np.float64))
    joints = (points - placed[4:] / 1000) @ rotation.mT
    root = joints[:, HUMANEVA15.root]
    keypoints = None
    if seen is not None:
        lens = Camera.from_fov(IMAGE_SIZE)
        keypoints = seen.of(subject, take, index, lens, len(joints), FPS)
    return ProtocolView(Poses3D(joints - root[:, None], HUMANEVA15, root=root), keypoints, rotation)
