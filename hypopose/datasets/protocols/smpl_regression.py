"""Joints that a regressor takes from the surface of SMPL, for a user's own model and regressor.

Loper et al., "SMPL: A skinned multi-person linear model", SIGGRAPH Asia 2015. Only vertices that
the regressor looks at are posed; the whole surface is computed only for vertex errors. All 24 bones
are posed, unlike in :mod:`hypopose.bodies`, whose hands stay at rest: wrists are regressed from
vertices near them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.bodies.array_bodies import checked
from hypopose.bodies.kinematics import forward_kinematics, rotation_from_vector, skin
from hypopose.errors import FormatError
from hypopose.files import shown
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive, read_npy

NAMES = ("v_template", "shapedirs", "weights", "f", "J_regressor", "kintree_table", "posedirs")
N_BONES = 24


@dataclass(frozen=True, eq=False)
class RegressedBody:
    """A body model reduced to what a regressor needs.

    Args:
        joints: Bones of the average person, ``(24, 3)`` meters, then their change per shape number.
        joint_directions: ``(24, 3, S)``.
        points: Vertices that count, ``(U, 3)``.
        point_directions: ``(U, 3, S)``.
        pose_directions: ``(U, 3, 207)`` what bends add.
        weights: ``(U, 24)`` of skinning.
        regressor: ``(K, U)``.
        parents: Of the bones.
    """

    joints: Tensor
    joint_directions: Tensor
    points: Tensor
    point_directions: Tensor
    pose_directions: Tensor
    weights: Tensor
    regressor: Tensor
    parents: tuple[int, ...]

    def __call__(
        self,
        poses: Float[Tensor, "F 72"],
        shape: Float[Tensor, " S"],
        places: Float[Tensor, "F 3"],
    ) -> Float[Tensor, "F K 3"]:
        """Regressed joints; the arguments are those of :meth:`surface`."""
        return self.regressor @ self.surface(poses, shape, places)

    def surface(
        self,
        poses: Float[Tensor, "F 72"],
        shape: Float[Tensor, " S"],
        places: Float[Tensor, "F 3"],
    ) -> Float[Tensor, "F U 3"]:
        """The vertices that count.

        Args:
            poses: Axis times angle of every bone.
            shape: Numbers of the shape; as many as the model has are used.
            places: Of the body, meters.
        """
        n = min(len(shape), self.point_directions.shape[-1])
        shape = shape[:n].to(self.points)
        rest = self.joints + self.joint_directions[..., :n] @ shape
        points = self.points + self.point_directions[..., :n] @ shape
        rotations = rotation_from_vector(poses.to(self.points).reshape(len(poses), N_BONES, 3))
        bends = (rotations[:, 1:] - torch.eye(3).to(rotations)).flatten(1)
        posed = points + torch.einsum("vcp,fp->fvc", self.pose_directions, bends)
        bones = rest.expand(len(poses), *rest.shape)
        turns, origins = forward_kinematics(
            rotations, rest[0] + places.to(rest), bones, self.parents
        )
        shifts = origins - (turns @ bones[..., None])[..., 0]
        return skin(posed, self.weights, turns, shifts)


def load_regressed_body(
    model: Path, regressor: np.ndarray, *, whole: bool = False
) -> RegressedBody:
    """Read a model as npz, see :mod:`hypopose.bodies.array_bodies`.

    Args:
        model: The file; nothing in it is unpickled.
        regressor: ``(K, V)``.
        whole: Keep every vertex, not only those that the regressor looks at.

    Raises:
        FormatError: If it is not SMPL with 24 bones, or has other vertices than the regressor.
    """
    source = Source(model)
    if not source.is_npz:
        raise source.error("is not an npz archive", "save the model's arrays with numpy.savez")
    archive = NpzArchive(source)
    arrays = {name: archive.array(name) for name in NAMES if name in archive.names}
    missing = [n for n in NAMES if n not in arrays and n not in ("posedirs", "kintree_table")]
    if missing:
        raise source.error(f"lacks {', '.join(missing)}", "save all arrays of the model")
    tree = arrays.pop("kintree_table", None)
    arrays["parents"] = archive.array("parents") if tree is None else tree[0]
    checked(source, arrays)
    n_vertices, n_bones = arrays["weights"].shape
    if n_bones != N_BONES or regressor.shape[1] != n_vertices:
        raise source.error(
            f"has {n_vertices} vertices and {n_bones} bones; the regressor is {regressor.shape}",
            "give SMPL (24 bones, 6890 vertices) and a regressor of it",
        )
    used = np.arange(n_vertices) if whole else np.flatnonzero(np.abs(regressor).sum(0))
    joints = arrays["J_regressor"].astype(np.float64)
    shapes = arrays["shapedirs"].astype(np.float64)
    posed = arrays.get("posedirs", np.zeros((n_vertices, 3, 9 * (N_BONES - 1))))
    return RegressedBody(
        joints=torch.from_numpy(joints @ arrays["v_template"]),
        joint_directions=torch.from_numpy(np.einsum("bv,vcs->bcs", joints, shapes)),
        points=_doubles(arrays["v_template"][used]),
        point_directions=_doubles(shapes[used]),
        pose_directions=_doubles(posed[used]),
        weights=_doubles(arrays["weights"][used]),
        regressor=_doubles(regressor[:, used]),
        parents=tuple(int(p) for p in arrays["parents"]),
    )


def load_regressor(path: str | Path) -> np.ndarray:
    """A regressor of Human3.6M's 17 joints, ``(17, V)`` npy.

    Raises:
        FormatError: If it is something else.
    """
    source = Source(path)
    if not source.is_npy:
        raise FormatError(f"{shown(path)}: is not an npy array; save it as (17, vertices).")
    array = read_npy(source, source.read_bytes())
    if array.ndim != 2 or array.shape[0] != 17 or array.dtype.kind != "f":
        raise source.error(f"is {array.dtype} {array.shape}, not (17, vertices)", "save it so")
    if not np.isfinite(array).all() or np.abs(array.sum(1) - 1).max() > 0.05:
        raise source.error("its rows do not sum to 1", "give a regressor of joints")
    return array.astype(np.float64)


def _doubles(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))
