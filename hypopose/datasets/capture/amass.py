"""AMASS: motions as parameters of a body model (SMPL-H or SMPL-X), which users download separately.

A pose is a rotation per joint; where joints are depends on the body model, which has its own
license and is not included. Give its ``model.npz``: ``v_template``, ``shapedirs``, ``J_regressor``
and ``kintree_table``. Pickled models (``.pkl``) are refused; both publishers also offer npz.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from hypopose.datasets.capture.recorded_clip import CapturedRig
from hypopose.errors import FormatError
from hypopose.io.parsing.finite_numbers import numeric
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive

BODY_JOINTS = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2",
    "left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar",
    "right_collar", "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist",
)  # fmt: skip
"""The joints that SMPL, SMPL-H and SMPL-X share, in their order."""


@dataclass(frozen=True, eq=False)
class RestJoints:
    """Where joints are at rest, for any shape.

    Args:
        joints: At the mean shape, meters.
        shapes: Change per shape coefficient.
        parents: -1 for the root.
    """

    joints: Float[np.ndarray, "22 3"]
    shapes: Float[np.ndarray, "22 3 K"]
    parents: tuple[int, ...]


def load_body_model(path: str | Path) -> RestJoints:
    """Read the joints of a body model.

    Args:
        path: ``model.npz`` of SMPL-H or SMPL-X.

    Raises:
        FormatError: If it is not such a file.
    """
    source = Source(Path(path))
    if not source.is_npz:
        raise FormatError(
            f"{path} is not an npz; download the body model as model.npz, not as a pickle."
        )
    archive = NpzArchive(source)
    place = Path(path)
    regressor = numeric(archive, "J_regressor", place, ndim=2)[: len(BODY_JOINTS)]
    template = numeric(archive, "v_template", place, ndim=2)
    directions = numeric(archive, "shapedirs", place, ndim=3)
    tree = numeric(archive, "kintree_table", place, ndim=2, largest=2.0**33)
    parents = tree[:1, : len(BODY_JOINTS)].reshape(-1)
    try:
        joints = regressor @ template
        shapes = np.einsum("jv,vck->jck", regressor, directions)
    except ValueError as error:
        raise FormatError(f"{path} is not a body model: {error}.") from error
    above = [int(p) if 0 <= int(p) < i else -1 for i, p in enumerate(parents)]
    if joints.shape != (22, 3) or len(above) != len(BODY_JOINTS) or above.count(-1) != 1:
        raise FormatError(f"{path} is not a body model with SMPL's 22 body joints.")
    return RestJoints(joints, shapes, tuple(above))


def read_amass(path: str | Path, model: RestJoints) -> CapturedRig:
    """Read a motion and pose the joints of its body.

    Args:
        path: AMASS npz: ``poses``, ``trans``, ``betas``, ``mocap_framerate``.
        model: Of the family the motion was fitted with.

    Returns:
        The 22 body joints in meters, z up as AMASS has it.

    Raises:
        FormatError: If it is not such a file.
    """
    source = Source(Path(path))
    archive = NpzArchive(source)
    rates = [n for n in ("mocap_framerate", "mocap_frame_rate") if n in archive.names]
    if not rates or not {"poses", "trans"} <= set(archive.names):
        raise FormatError(f"{path} is not an AMASS motion: it needs poses, trans, mocap_framerate.")
    poses = numeric(archive, "poses", source.path, ndim=2)
    trans = numeric(archive, "trans", source.path, ndim=2)
    rate = numeric(archive, rates[0], source.path)
    n = len(poses)
    if poses.shape[1] < 66 or trans.shape != (n, 3) or n == 0 or rate.size != 1:
        raise FormatError(
            f"{path}: poses {poses.shape}, trans {trans.shape} and {rates[0]} {rate.shape} are not "
            "one motion's: (F, 66 or more), (F, 3) and a number."
        )
    known = "betas" in archive.names
    betas = numeric(archive, "betas", source.path) if known else np.zeros(0)
    k = min(betas.size, model.shapes.shape[-1])
    rest = model.joints + model.shapes[..., :k] @ betas.reshape(-1)[:k]
    positions = _posed(poses[:, :66].reshape(n, 22, 3), rest, model.parents) + trans[:, None]
    return CapturedRig(BODY_JOINTS, model.parents, positions, float(rate.reshape(())))


def _posed(angles: np.ndarray, rest: np.ndarray, parents: tuple[int, ...]) -> np.ndarray:
    positions = np.zeros(angles.shape)
    turns: list[Rotation] = []
    for i, parent in enumerate(parents):
        turn = Rotation.from_rotvec(angles[:, i])
        place = np.tile(rest[i], (len(angles), 1))
        if parent >= 0:
            place = positions[:, parent] + turns[parent].apply(rest[i] - rest[parent])
            turn = turns[parent] * turn
        positions[:, i] = place
        turns.append(turn)
    return positions
