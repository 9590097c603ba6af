"""Human3.6M as 2D-to-3D lifters evaluate it: subjects 9 and 11, 15 actions, four cameras.

Files are those of VideoPose3D (Pavllo et al., "3D human pose estimation in video with temporal
convolutions and semi-supervised training", CVPR 2019), read without running their pickles:

    data_3d_h36m.npz          positions_3d: subject -> action -> (T, 32, 3), world, meters
    data_2d_h36m_NAME.npz     positions_2d: subject -> action -> four arrays (T, J, 2), pixels

Protocol 1 is MPJPE, protocol 2 P-MPJPE, protocol 3 N-MPJPE, each averaged over the 15 action means.
"Protocol 2" of older papers (every 64th frame of one camera) is another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import torch

from hypopose.cameras import project, world_to_cam
from hypopose.datasets.capture.lifter_archives import H36M_KEPT
from hypopose.datasets.protocols.folder_checks import Checks, check_options, listed
from hypopose.datasets.protocols.h36m_cameras import CAMERA_IDS, SUBJECTS, h36m_camera
from hypopose.datasets.protocols.lifter_keypoints import LifterKeypoints, keypoint_file
from hypopose.datasets.protocols.protocol_data import (
    GROUND_TRUTH,
    Detail,
    ProtocolData,
    ProtocolView,
    PublishedBatches,
    ViewEntry,
    grouped,
)
from hypopose.datasets.protocols.reprojection_check import check_reprojection
from hypopose.skeletons import H36M17, H36M32
from hypopose.types import Camera, DistortionModel, Keypoints2D, Poses3D

ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases",
    "Sitting", "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether",
)  # fmt: skip
FPS = 50.0
N_TAKES = {"S11": 29}
"""Takes of a subject where they are not 30: one of S11 has a corrupt video and is left out."""
PROJECTED = "projected"


@dataclass(frozen=True)
class Human36M:
    """Evaluate on Human3.6M.

    Args:
        keypoints: NAME of ``data_2d_h36m_NAME.npz``: ``cpn_ft_h36m_dbb``, ``gt``, an HRNet's, ...;
            ``projected`` projects the truth.
        joints: 17, or 16 without the neck/nose joint.
        stride: Every how many frames of 50 Hz count: 1, or 5 for 10 Hz.
        subjects: Comma-separated.
        batch: Clips of a batch of D3DP's released code (``-b``), of which its P-Best takes one
            hypothesis.
        distortion: The lens model, ``vp3d``, ``h36m``, ``opencv`` or ``none``.
        partial: Accept a folder without some actions or takes; results say so.

    Raises:
        OptionError: If a variant does not exist.
    """

    keypoints: str = "cpn_ft_h36m_dbb"
    joints: int = 17
    stride: int = 1
    subjects: str = "S9,S11"
    distortion: DistortionModel = "vp3d"
    batch: int = 4
    partial: bool = False

    name: ClassVar[str] = "h36m"
    title: ClassVar[str] = "Human3.6M"

    def __post_init__(self) -> None:
        options: dict[str, tuple[Any, Any]] = {
            "joints": (self.joints, (17, 16)),
            "stride": (self.stride, range(1, 65)),
            "distortion": (self.distortion, get_args(DistortionModel)),
            "batch": (self.batch, range(1, 1025)),
            "partial": (self.partial, (True, False)),
        }
        options |= {f"subjects (of {s})": (s, SUBJECTS) for s in self.subjects.split(",")}
        check_options(self.name, options)

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
        path_3d = checks.folder / "data_3d_h36m.npz"
        path_2d = None
        if self.keypoints != PROJECTED:
            path_2d = keypoint_file(
                checks, "data_2d_h36m", self.keypoints, [path_3d.name], keypoints_needed
            )
        checks.check_files([path_3d.name])
        world = self._positions(checks, path_3d)
        sizes = [h36m_camera("S9", i).image_size for i in range(len(CAMERA_IDS))]
        seen = None if path_2d is None else LifterKeypoints.read(checks, path_2d, world, sizes)
        entries = tuple(self._entries(world))
        joints = tuple(j for j in range(17) if j != 9 or self.joints == 17)
        data = ProtocolData(
            protocol=self.name,
            entries=entries,
            load=partial(self._load, world, seen),
            source_skeleton=H36M17,
            joints=joints,
            joint_set="h36m17" if self.joints == 17 else "h36m16",
            files=(path_3d,) if path_2d is None else (path_3d, path_2d),
            variant=asdict(self),
            consumed=self._consumed(),
            groupings={"action": grouped(entries, lambda cell: cell[0])},
            headline="action",
            batches=PublishedBatches(self.batch) if self._as_d3dp else None,
            notes=self._notes(world),
        )
        return check_reprojection(checks, data)

    @property
    def _as_d3dp(self) -> bool:
        """Whether joints and frames are those of its tables."""
        return self.joints == 17 and self.stride == 1

    def _positions(self, checks: Checks, path: Path) -> dict[str, dict[str, np.ndarray]]:
        subjects = checks.dictionary(path, "positions_3d")
        wanted = self.subjects.split(",")
        checks.check_keys(path, subjects, wanted, "the subject")
        found = {}
        for subject in wanted:
            actions = checks.mapping(path, subjects[subject], subject)
            self._check_takes(checks, path, subject, actions)
            found[subject] = {
                action: _motion(checks, path, value, f"{subject}/{action}")
                for action, value in actions.items()
                if (subject, action) != ("S11", "Directions")
            }
        return found

    def _check_takes(self, checks: Checks, path: Path, subject: str, takes: dict[str, Any]) -> None:
        there = {take.split(" ")[0] for take in takes}
        unknown = sorted(there - set(ACTIONS))
        if unknown:
            raise checks.error(
                f"{subject} has the actions {listed(unknown)}, which VideoPose3D does not",
                "use its names",
                path,
            )
        missing = [action for action in ACTIONS if action not in there]
        usable = len([take for take in takes if (subject, take) != ("S11", "Directions")])
        n_expected = N_TAKES.get(subject, 30)
        if self.partial or (not missing and usable == n_expected):
            return
        what = f"lacks {listed(missing)}" if missing else f"has {usable} of {n_expected} takes"
        raise checks.error(
            f"{subject} {what}",
            "get the whole file, accept a part with --variant partial=true",
            path,
        )

    def _entries(self, world: dict[str, dict[str, np.ndarray]]) -> Iterator[ViewEntry]:
        for subject, takes in world.items():
            for take, positions in takes.items():
                counted = np.arange(0, len(positions), self.stride)
                for i, camera in enumerate(CAMERA_IDS):
                    yield ViewEntry(
                        name=f"{subject}/{take}/{camera}",
                        sequence=f"{subject}/{take}",
                        n_frames=len(positions),
                        parts={take.split(" ")[0]: counted},
                        aliases=(f"{subject}/{take}/{i}",),
                    )

    def _load(
        self,
        world: dict[str, dict[str, np.ndarray]],
        seen: LifterKeypoints | None,
        entry: ViewEntry,
    ) -> ProtocolView:
        subject, take, camera_id = entry.name.split("/")
        index = CAMERA_IDS.index(camera_id)
        camera = h36m_camera(subject, index, self.distortion)
        joints = world_to_cam(torch.from_numpy(world[subject][take].astype(np.float64)), camera)
        root = joints[:, 0]
        lens = _without_place(camera)
        keypoints: Keypoints2D | None
        if self.keypoints == PROJECTED:
            xy = project(joints, lens).float()
            keypoints = Keypoints2D(xy, H36M17, camera=lens, image_size=lens.image_size, fps=FPS)
        else:
            keypoints = (
                None if seen is None else seen.of(subject, take, index, lens, len(joints), FPS)
            )
        truth = Poses3D(joints - root[:, None], H36M17, root=root)
        return ProtocolView(truth, keypoints, camera.rotation)

    def _consumed(self) -> dict[Detail, str]:
        exact = self.keypoints in (PROJECTED, "gt") or self.keypoints.startswith("gt_")
        origin = f"{GROUND_TRUTH} projected into the image" if exact else "detections"
        return {
            "keypoints": f"{origin} ({self.keypoints})",
            "camera": "measured intrinsics; no orientation",
            "root": "not used",
            "scale": "not used",
            "action": "not used",
            "choice": "not used",
        }

    def _notes(self, world: dict[str, dict[str, np.ndarray]]) -> tuple[str, ...]:
        notes = [f"every {self.stride}. frame of {FPS:g} Hz" if self.stride > 1 else "50 Hz"]
        notes += [f"the lens model is {self.distortion}"]
        if self.partial:
            n = {subject: len(takes) for subject, takes in world.items()}
            notes.append("PARTIAL DATA: " + ", ".join(f"{k} {v} takes" for k, v in n.items()))
        return tuple(notes)


def _motion(checks: Checks, path: Path, value: Any, place: str) -> np.ndarray:
    """The 17 joints of a take, world frame."""
    x = checks.numbers(path, value, place, (None, (32, 17), 3))
    x = x[:, list(H36M_KEPT)] if x.shape[1] == H36M32.n_joints else x
    checks.check_meters(path, x, 0, place)
    return x


def _without_place(camera: Camera) -> Camera:
    """The lens alone: where gravity points is not known from an image."""
    return Camera(
        camera.focal.float(), camera.center.float(), camera.image_size,
        None if camera.distortion is None else camera.distortion.float(),
        camera.distortion_model,
    )  # fmt: skip
