"""Data of your own, or AIST++: a folder of keypoint files with their truths.

    FOLDER/NAME.npz           keypoints, as hypopose convert-keypoints writes them, with a camera
    FOLDER/truth/NAME.npz     array joints (F, J, 3), camera frame, meters; or NAME.npy
    FOLDER/index.json         optional: {"NAME": {"action": "walk", "sequence": "anna 1"}}

Frames with a joint that is NaN in the truth do not count. Truths in a detector's joints, which have
no pelvis, are evaluated as Human3.6M's 17, formed from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from hypopose.datasets.protocols.folder_checks import Checks, check_options, listed
from hypopose.datasets.protocols.protocol_data import (
    ProtocolData,
    ProtocolView,
    ViewEntry,
    grouped,
)
from hypopose.datasets.protocols.reprojection_check import check_reprojection
from hypopose.io.native import MARK, is_native, keypoints_from, read_metadata
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive, read_npy
from hypopose.skeletons import H36M17, SKELETONS, convert_points, get_skeleton
from hypopose.types import Keypoints2D, Poses3D, Skeleton

_KEYPOINTS_ARE = {
    "detections": "detections (as the folder says)",
    "truth": "ground truth projected into the image",
}
"""Words of tables by the value of ``keypoints_are``."""


@dataclass(frozen=True)
class NpzPairs:
    """Evaluate on keypoint files of your own with their truths.

    Args:
        skeleton: Of the truths, by name.
        keypoints_are: What the keypoints are, for tables: ``detections``, or ``truth`` if they are
            the projected truth.

    Raises:
        OptionError: If a variant does not exist.
    """

    skeleton: str = "h36m17"
    keypoints_are: str = "detections"

    name: ClassVar[str] = "custom"
    title: ClassVar[str] = "keypoint files with truths of your own"

    def __post_init__(self) -> None:
        check_options(
            self.name,
            {
                "skeleton": (self.skeleton, tuple(SKELETONS)),
                "keypoints_are": (self.keypoints_are, tuple(_KEYPOINTS_ARE)),
            },
        )

    def open(self, folder: str | Path, *, keypoints_needed: bool = True) -> ProtocolData:
        """List the pairs of a folder.

        Args:
            folder: Holds keypoint files and the folder ``truth``.
            keypoints_needed: Whether truths without keypoints are refused.

        Raises:
            FormatError: If files are missing, damaged, or do not belong together.
        """
        checks = Checks(self.name, Path(folder))
        checks.check_folder()
        truths = _truths(checks)
        there = _keypoint_files(checks, truths, needed=keypoints_needed)
        labels = self._labels(checks, truths)
        skeleton = get_skeleton(self.skeleton)
        target = skeleton if _has_pelvis(skeleton) else H36M17
        poses = {name: self._truth(checks, path, skeleton) for name, path in truths.items()}
        entries = tuple(_entry(name, x, labels[name]) for name, x in poses.items())
        for name, path in there.items():
            _check_length(checks, path, len(poses[name]))
        gaps = any((np.diff(e.counted) > 1).any() for e in entries)
        groupings = {"action": grouped(entries, lambda cell: cell[0])}
        named = any(action for action, _ in labels.values())
        data = ProtocolData(
            protocol=self.name,
            entries=entries,
            load=partial(_load, poses, there, skeleton, target),
            source_skeleton=target,
            joints=tuple(range(target.n_joints)),
            files=(*truths.values(), *there.values()),
            variant=asdict(self),
            consumed={
                "keypoints": _KEYPOINTS_ARE[self.keypoints_are],
                "camera": "as the keypoint files have it",
                "root": "not used",
                "scale": "not used",
                "action": "not used",
                "choice": "not used",
            },
            groupings=groupings if named else {},
            headline="action" if named else "",
            gaps=gaps,
            notes=_notes(poses, skeleton, target, gaps),
        )
        return check_reprojection(checks, data)

    def _labels(self, checks: Checks, truths: Mapping[str, Path]) -> dict[str, tuple[str, str]]:
        """Action and sequence of every file."""
        path = checks.folder / "index.json"
        index: Any = Source(path).json if path.is_file() else {}
        if not isinstance(index, dict):
            raise checks.error("is not a JSON object", "map file names to labels", path)
        unknown = [name for name in index if name not in truths]
        if unknown:
            raise checks.error(f"names {listed(unknown)}, which have no truth", "", path)
        return {name: self._label(checks, path, name, index.get(name)) for name in truths}

    def _label(self, checks: Checks, path: Path, name: str, said: Any) -> tuple[str, str]:
        if said is None:
            return self._default_label(name)
        if not isinstance(said, dict) or not all(isinstance(v, str) for v in said.values()):
            raise checks.error(f"{name} has no texts action and sequence", "write them so", path)
        action, sequence = self._default_label(name)
        return said.get("action", action), said.get("sequence", sequence)

    def _default_label(self, name: str) -> tuple[str, str]:
        return "", name

    def _truth(self, checks: Checks, path: Path, skeleton: Skeleton) -> np.ndarray:
        """``(F, J, 3)`` camera-frame meters; NaN where a joint is not known."""
        source = Source(path)
        if source.is_npz:
            archive = NpzArchive(source)
            checks.check_keys(path, archive.names, ["joints"], "the array")
            array = archive.array("joints")
        else:
            array = read_npy(source, source.read_bytes())
        known = checks.numbers(
            path, np.nan_to_num(array) if array.dtype.kind == "f" else array, "joints",
            (None, skeleton.n_joints, 3),
        )  # fmt: skip
        whole = np.isfinite(array).all((-1, -2))
        if not whole.any():
            raise checks.error("has no frame with all joints", "get it again", path)
        checks.check_meters(path, known[whole].astype(np.float64), skeleton.root, "joints")
        if np.median(known[whole][:, skeleton.root, 2]) <= 0:
            raise checks.error(
                "stands behind the camera", "give the camera frame: x right, y down, z forward",
                path,
            )  # fmt: skip
        return array.astype(np.float64)


@dataclass(frozen=True)
class AistPlusPlus(NpzPairs):
    """Evaluate on AIST++, brought to pairs; cameras of one dance are one sequence.

    Args:
        skeleton: Of the truths, by name.
        keypoints_are: As there.
    """

    skeleton: str = "coco17"

    name: ClassVar[str] = "aist++"
    title: ClassVar[str] = "AIST++"

    def _default_label(self, name: str) -> tuple[str, str]:
        """Genre and dance of ``gBR_sBM_c01_d04_mBR0_ch01``."""
        words = name.split("_")
        camera = [w for w in words if len(w) == 3 and w[0] == "c" and w[1:].isdigit()]
        return words[0], "_".join(word for word in words if word not in camera)


def _truths(checks: Checks) -> dict[str, Path]:
    folder = checks.folder / "truth"
    found = sorted(p for p in folder.glob("*") if p.suffix in (".npz", ".npy"))
    if not found:
        raise checks.error("holds no truths (truth/NAME.npz or .npy)")
    twice = [path.stem for path in found if sum(p.stem == path.stem for p in found) > 1]
    if twice:
        raise checks.error(f"has two truths of {twice[0]}", "remove one", folder)
    return {path.stem: path for path in found}


def _keypoint_files(checks: Checks, truths: Mapping[str, Path], *, needed: bool) -> dict[str, Path]:
    """The keypoint files that are there; none without a truth."""
    seen = {name: checks.folder / f"{name}.npz" for name in truths}
    missing = [path.name for path in seen.values() if not path.is_file()]
    if missing and needed:
        raise checks.error(f"lacks keypoints {listed(missing)}", "write them there")
    lost = [p.stem for p in sorted(checks.folder.glob("*.npz")) if p.stem not in truths]
    if lost:
        raise checks.error(f"lacks truths of {listed(lost)}", "put them into truth/")
    return {name: path for name, path in seen.items() if path.is_file()}


def _has_pelvis(skeleton: Skeleton) -> bool:
    return skeleton.joint_names[skeleton.root] == "pelvis"


def _entry(name: str, truth: np.ndarray, label: tuple[str, str]) -> ViewEntry:
    action, sequence = label
    counted = np.flatnonzero(np.isfinite(truth).all((-1, -2)))
    return ViewEntry(name, sequence, len(truth), {action: counted}, (f"{name}/0",))


def _check_length(checks: Checks, path: Path, n_frames: int) -> None:
    keypoints = _keypoints(checks, path)
    if keypoints.n_frames != n_frames:
        raise checks.error(
            f"has {keypoints.n_frames} frames of keypoints for {n_frames} of truth",
            "give files that belong together",
            path,
        )


def _keypoints(checks: Checks, path: Path) -> Keypoints2D:
    """A keypoint file of ours, or the keypoints of a result."""
    source = Source(path)
    if not is_native(source):
        raise checks.error(
            "is not a keypoint file of HypoPose", "write it with hypopose convert-keypoints", path
        )
    archive = NpzArchive(source)
    metadata = read_metadata(source, archive)
    if metadata.get(MARK) == "result":
        return keypoints_from(source, archive, metadata.get("keypoints"), "keypoints_")
    return keypoints_from(source, archive, metadata)


def _load(
    poses: dict[str, np.ndarray],
    seen: dict[str, Path],
    skeleton: Skeleton,
    target: Skeleton,
    entry: ViewEntry,
) -> ProtocolView:
    joints = convert_points(torch.from_numpy(poses[entry.name]), skeleton, target)
    root = joints[:, target.root]
    path = seen.get(entry.name)
    keypoints = None if path is None else _keypoints(Checks("custom", path.parent), path)
    return ProtocolView(Poses3D(joints - root[:, None], target, root=root), keypoints)


def _notes(
    poses: dict[str, np.ndarray], skeleton: Skeleton, target: Skeleton, gaps: bool
) -> tuple[str, ...]:
    n = sum(int((~np.isfinite(x).all((-1, -2))).sum()) for x in poses.values())
    notes = [f"{n} frames without a whole truth do not count"] if n else []
    if skeleton != target:
        notes.append(f"truth of {skeleton.name} formed into {target.name}")
    if gaps:
        notes.append("scores of clips and of velocity are left out: frames that count have gaps")
    return tuple(notes)
