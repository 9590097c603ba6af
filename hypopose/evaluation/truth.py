"""Truth from files: shape and unit are checked against the hypotheses."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hypopose.io.native import is_result
from hypopose.io.results import load_hypotheses
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive, read_npy
from hypopose.types import Hypotheses, Poses3D


def read_truth(path: Path, hypotheses: Hypotheses) -> Poses3D:
    """Read ``(F, J, 3)`` camera-frame meters, and make them root-relative.

    Args:
        path: npy, npz with an array ``joints``, or a result, such as ``hypopose import`` makes:
            its aggregate.
        hypotheses: What it is the truth of.

    Raises:
        FormatError: If the file is not that, does not fit the hypotheses, or is in another unit.
    """
    source = Source(path)
    if is_result(path):
        values = _pose_of(source, hypotheses)
    elif source.is_npz:
        archive = NpzArchive(source)
        if "joints" not in archive.names:
            raise source.error("has no array 'joints'", "name the truth so")
        values = archive.array("joints")
    else:
        values = read_npy(source, source.read_bytes())
    skeleton, expected = hypotheses.skeleton, tuple(hypotheses.joints.shape[-3:])
    if values.shape != expected or values.dtype.kind not in "iuf":
        raise source.error(
            f"holds {values.dtype} {values.shape}, the hypotheses need a truth {expected}",
            "give frames, joints, meters in the camera frame",
        )
    joints = torch.from_numpy(values.astype("float32"))
    joints = joints - joints[:, skeleton.root : skeleton.root + 1]
    ratio = body_size(joints) / body_size(hypotheses.joints)
    unit = next((u for u, low, high in _UNITS if low <= ratio < high), None)
    if unit is not None:
        raise source.error(
            f"holds bodies {ratio:.2g} times the size of the hypotheses', {unit}", "give meters"
        )
    return Poses3D(joints, skeleton)


def _pose_of(source: Source, hypotheses: Hypotheses) -> np.ndarray:
    """The joints of a result that stands for the truth."""
    stored = load_hypotheses(source.path)
    if stored.pose.skeleton != hypotheses.skeleton:
        raise source.error(
            f"is in {stored.pose.skeleton.name}, the hypotheses are in {hypotheses.skeleton.name}",
            f"import it again with to={hypotheses.skeleton.name}",
        )
    if stored.sampler.get("frame", "camera") != "camera":
        warnings.warn(
            f"{source.path.name}: the truth is in the axes of its own file, not of a camera: "
            "p_mpjpe and other aligned scores hold, the others do not, unless the hypotheses are "
            "in these axes too. hypopose import --camera FILE brings it into the camera's frame",
            TruthFrameWarning,
            stacklevel=3,
        )
    return np.asarray(stored.pose.joints.numpy())


class TruthFrameWarning(UserWarning):
    """The truth may be in other axes than the hypotheses."""


_UNITS = (
    ("as if in kilometers or scaled", 0.0, 0.05),
    ("in decimeters or feet perhaps", 8.0, 30.0),
    ("in centimeters or inches, it seems", 30.0, 300.0),
    ("in millimeters, it seems", 300.0, 3000.0),
    ("in no unit of lengths that we know", 3000.0, float("inf")),
)
"""What the truth is in, by its size over that of the hypotheses; real errors stay far below."""


def body_size(joints: Tensor) -> float:
    """Median over frames of the largest distance of a joint from the root; NaN if none is known.

    Args:
        joints: ``(..., F, J, 3)``, root-relative.

    Example:
        >>> import torch
        >>> body_size(torch.tensor([[[0.0, 0, 0], [0, 0.9, 0]], [[0, 0, 0], [float("nan")] * 3]]))
        0.8999999761581421
    """
    reach = joints.norm(dim=-1).nan_to_num(0).flatten(0, -2).amax(-1)
    reach = reach[reach > 0]
    return float(reach.median()) if len(reach) else float("nan")
