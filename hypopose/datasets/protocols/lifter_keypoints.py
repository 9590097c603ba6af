"""Keypoints of VideoPose3D's ``data_2d_*.npz``: subject -> take -> one array per camera.

Human3.6M and HumanEva-I share the layout. Keypoints may have more frames than the motion, but not
fewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hypopose.datasets.protocols.folder_checks import Checks
from hypopose.skeletons import COCO17, H36M16, H36M17, HUMANEVA15
from hypopose.types import Camera, Keypoints2D, Skeleton

Motions = Mapping[str, Mapping[str, np.ndarray]]
"""Subject -> take -> ``(F, J, 3)``."""

LAYOUTS: dict[tuple[str, int], Skeleton] = {
    ("h36m", 17): H36M17,
    ("", 17): H36M17,
    ("h36m", 16): H36M16,
    ("coco", 17): COCO17,
    ("humaneva15", 15): HUMANEVA15,
    ("", 15): HUMANEVA15,
}
"""Layout and joints of a keypoint file -> skeleton; files of projected truth name no layout."""


@dataclass(frozen=True, eq=False)
class LifterKeypoints:
    """Keypoints of a file.

    Args:
        skeleton: Of all of them.
        takes: Subject -> take -> one array ``(F, J, 2 or 3)`` per camera, pixels.
    """

    skeleton: Skeleton
    takes: dict[str, dict[str, list[np.ndarray]]]

    @classmethod
    def read(
        cls, checks: Checks, path: Path, motions: Motions, sizes: list[tuple[int, int]]
    ) -> LifterKeypoints:
        """The takes that have poses; everything is checked.

        Args:
            checks: Refuses.
            path: The file.
            motions: What keypoints are needed of.
            sizes: Image size of every camera.

        Raises:
            FormatError: If takes, cameras or frames are missing, or it is damaged.
        """
        found = checks.dictionary(path, "positions_2d")
        metadata = checks.dictionary(path, "metadata")
        checks.check_keys(path, found, motions, "the subject")
        layout = (str(metadata.get("layout_name", "")), _count(metadata.get("num_joints")))
        if layout not in LAYOUTS:
            known = ", ".join(f"{name or 'no name'} {n}" for name, n in LAYOUTS)
            raise checks.error(
                f"has the layout {layout[0]!r} with {layout[1]} joints", f"known are {known}", path
            )
        takes: dict[str, dict[str, list[np.ndarray]]] = {}
        for subject, own_motions in motions.items():
            own = checks.mapping(path, found[subject], subject)
            checks.check_keys(path, own, own_motions, f"of {subject} the takes")
            takes[subject] = {
                take: _cameras(checks, path, own[take], f"{subject}/{take}", len(x), layout[1],
                               sizes)
                for take, x in own_motions.items()
            }  # fmt: skip
        return cls(LAYOUTS[layout], takes)

    def of(
        self, subject: str, take: str, index: int, camera: Camera, n_frames: int, fps: float
    ) -> Keypoints2D:
        """Keypoints of a view, cut to the frames that have poses."""
        values = torch.from_numpy(self.takes[subject][take][index][:n_frames].astype(np.float32))
        confidence = values[..., 2] if values.shape[-1] == 3 else None
        return Keypoints2D(
            values[..., :2].contiguous(), self.skeleton, confidence=confidence, camera=camera,
            image_size=camera.image_size, fps=fps,
        )  # fmt: skip


def _cameras(
    checks: Checks,
    path: Path,
    value: Any,
    place: str,
    n_frames: int,
    n_joints: int,
    sizes: list[tuple[int, int]],
) -> list[np.ndarray]:
    """One array of keypoints per camera, at least as long as the motion."""
    n = len(value) if isinstance(value, (list, tuple, np.ndarray)) else 0
    if n != len(sizes):
        raise checks.error(f"{place} has {n} cameras, not {len(sizes)}", "", path)
    arrays = []
    for i, (array, size) in enumerate(zip(value, sizes, strict=True)):
        xy = checks.numbers(path, array, f"{place}/{i}", (None, n_joints, (2, 3)))
        if len(xy) < n_frames:
            raise checks.error(
                f"{place}/{i} has {len(xy)} frames of keypoints for {n_frames} of motion",
                "get files that belong together",
                path,
            )
        checks.check_pixels(path, xy[..., :2], size, f"{place}/{i}")
        arrays.append(xy)
    return arrays


def _count(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def keypoint_file(
    checks: Checks, prefix: str, name: str, others: list[str], needed: bool
) -> Path | None:
    """``PREFIX_NAME.npz`` in the folder; None if it is absent and not needed.

    Args:
        checks: Refuses.
        prefix: ``data_2d_h36m``.
        name: Of the detector.
        others: Further files that are needed, listed together with it.
        needed: Whether to refuse a folder without it.

    Raises:
        FormatError: If it is needed and absent; the message names those that are there.
    """
    path = checks.folder / f"{prefix}_{name}.npz"
    if needed and not path.is_file():
        found = sorted(checks.folder.glob(f"{prefix}_*.npz"))
        there = [p.stem.removeprefix(f"{prefix}_") for p in found]
        cure = (
            f"it has {', '.join(there[:8])}: give --variant keypoints={there[0]}" if there else ""
        )
        checks.check_files([*others, path.name], cure)
    return path if path.is_file() else None
