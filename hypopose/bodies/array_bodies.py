"""Bodies given as arrays: a user's own SMPL, SMPL-H or SMPL-X file.

Loper et al., "SMPL: A skinned multi-person linear model", SIGGRAPH Asia 2015, equations 2 to 10;
Pavlakos et al., "Expressive body capture", CVPR 2019 (SMPL-X). The model files are licensed by
their authors and not part of HypoPose; nothing of them is downloaded. An npz with these arrays is
read, and nothing in it is unpickled:

| array | axes | is |
| --- | --- | --- |
| ``v_template`` | V, 3 | vertices of the average person, meters |
| ``shapedirs`` | V, 3, S | what each number of the shape adds; the first ten are used |
| ``J_regressor`` | B, V | joints from vertices; dense |
| ``weights`` | V, B | of skinning |
| ``kintree_table`` | 2, B | first row: parents; or ``parents`` (B) |
| ``f`` | T, 3 | triangles |
| ``posedirs`` | V, 3, 9 (B - 1) | optional: what poses add |
| ``joint_names`` | B | optional: names, where the joints are not SMPL's |

Only the 22 bones of the body are posed; hands, jaw and eyes keep their rotation at rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.bodies.body_model import Rest, Rig, ShapeSpace
from hypopose.bodies.body_parts import PARTS, part_of
from hypopose.bodies.skinned import SkinnedBody
from hypopose.errors import FormatError
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive
from hypopose.skeletons import H36M17, SMPL24, conversion_matrix

N_SHAPES = 10
"""Numbers of the shape that are used."""

N_POSED = 22
"""Bones of the body in SMPL, SMPL-H and SMPL-X; what follows are hands and the face."""

MAX_VERTICES, MAX_BONES = 200_000, 256
MIN_METERS = 0.3
"""A newborn is longer."""
MAX_METERS = 3.0
"""No vertex of a body is further from its first bone."""

_TABLE = {
    "pelvis": "hips", "hip": "thigh", "spine": "trunk", "knee": "shin", "ankle": "foot",
    "foot": "foot", "neck": "head", "collar": "trunk", "head": "head", "shoulder": "upper_arm",
    "elbow": "forearm", "wrist": "hand", "hand": "hand",
}  # fmt: skip

_AIMS = {
    "pelvis": ("left_hip", "right_hip", "spine"),
    "spine1": ("spine",),
    "spine3": ("thorax", "left_shoulder", "right_shoulder"),
    "neck": ("neck",),
    "head": ("head",),
    **{f"{s}_hip": (f"{s}_knee",) for s in ("left", "right")},
    **{f"{s}_knee": (f"{s}_ankle",) for s in ("left", "right")},
    **{f"{s}_shoulder": (f"{s}_elbow",) for s in ("left", "right")},
    **{f"{s}_elbow": (f"{s}_wrist",) for s in ("left", "right")},
}
"""Joints of ours that tell how a bone is turned."""

_MOVERS = {
    "pelvis": "pelvis", "spine": "spine1", "thorax": "spine3", "neck": "neck", "head": "head",
    **{f"{s}_hip": "pelvis" for s in ("left", "right")},
    **{f"{s}_knee": f"{s}_hip" for s in ("left", "right")},
    **{f"{s}_ankle": f"{s}_knee" for s in ("left", "right")},
    **{f"{s}_shoulder": f"{s}_collar" for s in ("left", "right")},
    **{f"{s}_elbow": f"{s}_shoulder" for s in ("left", "right")},
    **{f"{s}_wrist": f"{s}_elbow" for s in ("left", "right")},
}  # fmt: skip
"""The bone that moves each joint of ours."""


class ArrayBody(SkinnedBody):
    """A body from arrays in SMPL's layout.

    Args:
        arrays: As the module lists them, checked; see :func:`load_arrays`.
        name: For records.

    Example:
        >>> from hypopose.bodies.example import example_arrays
        >>> body = ArrayBody(example_arrays())
        >>> body.name, body.rig.names[:2]
        ('arrays', ('pelvis', 'left_hip'))
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], name: str = "arrays") -> None:
        names = SMPL24.joint_names[:N_POSED]
        weights = _tensor(arrays["weights"])
        parents = [int(p) for p in arrays["parents"]]
        posed = _posed_ancestor(parents)
        kept = weights.new_zeros(len(weights), N_POSED)
        kept.index_add_(1, torch.tensor(posed), weights)
        index = {bone: i for i, bone in enumerate(names)}
        aims: list[tuple[int, ...]] = [() for _ in names]
        for bone, joints in _AIMS.items():
            aims[index[bone]] = tuple(H36M17.index(j) for j in joints)
        movers = torch.zeros(17, N_POSED)
        for joint, bone in _MOVERS.items():
            movers[H36M17.index(joint), index[bone]] = 1.0
        labels = torch.tensor([PARTS.index(part_of(bone, _TABLE)) for bone in names])
        n = arrays["shapedirs"].shape[2]
        one = torch.ones(n)
        super().__init__(
            name,
            Rig(names, tuple(parents[:N_POSED]), tuple(aims), movers),
            ShapeSpace(tuple(f"shape{i}" for i in range(n)), 0 * one, one, -5 * one, 5 * one),
            torch.from_numpy(arrays["f"].astype(np.int64)),
            labels[kept.argmax(1)],
            kept,
        )
        self.template = _tensor(arrays["v_template"])
        self.directions = _tensor(arrays["shapedirs"])
        regressor = _tensor(arrays["J_regressor"])
        self._bones = regressor[:N_POSED] @ self.template
        self._bone_directions = torch.einsum("bv,vcs->bcs", regressor[:N_POSED], self.directions)
        to_ours = conversion_matrix(SMPL24, H36M17).float()[:, :N_POSED]
        self._to_ours = to_ours
        posed_directions = arrays.get("posedirs")
        self.pose_directions = None if posed_directions is None else _tensor(posed_directions)

    def rest(self, shape: Float[Tensor, "*n S"]) -> Rest:
        """Bones and joints of people in the template's pose."""
        bones = self._bones + torch.einsum("bcs,...s->...bc", self._bone_directions, shape)
        return Rest(bones, self._to_ours @ bones)

    def rest_vertices(self, shape: Float[Tensor, "*n S"]) -> Float[Tensor, "*n V 3"]:
        """Vertices of people in the template's pose."""
        return self.template + torch.einsum("vcs,...s->...vc", self.directions, shape)

    def pose_offsets(self, rotations: Float[Tensor, "*n B 3 3"]) -> Tensor | None:
        """What bends of the joints add."""
        if self.pose_directions is None:
            return None
        bends = (rotations[..., 1:, :, :] - torch.eye(3).to(rotations)).flatten(-3)
        used = self.pose_directions[..., : bends.shape[-1]]
        return torch.einsum("vcp,...p->...vc", used, bends)


def load_arrays(path: str | Path) -> ArrayBody:
    """Read a body from an npz file.

    Args:
        path: Arrays as the module lists them.

    Raises:
        FormatError: If an array is absent, has other axes, holds Python objects, or is no body.
    """
    source = Source(path)
    if not source.is_npz:
        raise source.error(
            "is not an npz archive",
            "save the model's arrays with numpy.savez (pickled model files are not read)",
        )
    archive = NpzArchive(source)
    arrays = {n: _read(source, archive, n) for n in ("v_template", "shapedirs", "weights", "f")}
    arrays["J_regressor"] = _read(source, archive, "J_regressor")
    name = "kintree_table" if "kintree_table" in archive.names else "parents"
    parents = _read(source, archive, name)
    arrays["parents"] = parents[0] if parents.ndim == 2 else parents
    if "posedirs" in archive.names:
        arrays["posedirs"] = _read(source, archive, "posedirs")
    if arrays["shapedirs"].ndim == 3:
        arrays["shapedirs"] = arrays["shapedirs"][..., :N_SHAPES]
    names = archive.array("joint_names") if "joint_names" in archive.names else None
    arrays = checked(source, arrays, names)
    return ArrayBody(arrays, source.path.stem)


def checked(
    source: Source, arrays: dict[str, np.ndarray], names: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Arrays of a body, or an error that says what is wrong with them.

    Args:
        source: Where they are from, for messages.
        arrays: As the module lists them, ``parents`` instead of ``kintree_table``.
        names: Of the bones, where the file gives them.

    Raises:
        FormatError: If they do not fit together.
    """
    V, B, S = _sizes(source, arrays)
    wanted: dict[str, tuple[Any, ...]] = {
        "v_template": (V, 3), "shapedirs": (V, 3, S), "weights": (V, B), "J_regressor": (B, V),
        "parents": (B,), "f": (arrays["f"].shape[0], 3), "posedirs": (V, 3, 9 * (B - 1)),
    }  # fmt: skip
    for key, array in arrays.items():
        if array.shape != wanted[key]:
            raise source.error(f"{key} is {array.shape}, not {wanted[key]}", "save it so")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise source.error(f"{key} holds NaN or infinity", "save the model again")
    _check_tree(source, arrays, names)
    _check_values(source, arrays)
    return arrays


def _sizes(source: Source, arrays: Mapping[str, np.ndarray]) -> tuple[int, int, int]:
    weights, directions = arrays["weights"], arrays["shapedirs"]
    if weights.ndim != 2 or directions.ndim != 3 or arrays["f"].ndim != 2:
        raise source.error("weights, shapedirs or f have other axes", "see docs/how-to/meshes.md")
    V, B = weights.shape
    if not (0 < V <= MAX_VERTICES and N_POSED <= B <= MAX_BONES):
        raise source.error(
            f"{V} vertices and {B} bones", f"give SMPL's layout with {N_POSED} bones or more"
        )
    return V, B, directions.shape[2]


def _check_tree(source: Source, arrays: dict[str, np.ndarray], names: np.ndarray | None) -> None:
    """The body's bones must be SMPL's, parents before children."""
    parents = arrays["parents"].astype(np.int64).copy()
    parents[0] = -1  # files store 2**32 - 1 there
    if not all(0 <= p < i for i, p in enumerate(parents) if i):
        raise source.error("a bone comes before its parent", "sort the bones as SMPL does")
    if tuple(parents[:N_POSED]) != SMPL24.parents[:N_POSED]:
        raise source.error(
            f"its first {N_POSED} bones are not SMPL's", "sort them as SMPL does, pelvis first"
        )
    if names is not None and tuple(map(str, names[:N_POSED])) != SMPL24.joint_names[:N_POSED]:
        raise source.error("joint_names are not SMPL's", "sort the bones as SMPL does")
    arrays["parents"] = parents


def _check_values(source: Source, arrays: Mapping[str, np.ndarray]) -> None:
    faces, V = arrays["f"], len(arrays["v_template"])
    if faces.dtype.kind not in "iu" or faces.min() < 0 or faces.max() >= V:
        raise source.error("f names vertices that are not there", "save the model again")
    if np.abs(arrays["v_template"]).max() > MAX_METERS:
        raise source.error(f"vertices beyond {MAX_METERS:g} m", "save the model in meters")
    if np.ptp(arrays["v_template"], axis=0).max() < MIN_METERS:
        raise source.error(f"a body of less than {MIN_METERS:g} m", "save the model in meters")
    if np.abs(arrays["weights"].sum(1) - 1).max() > 0.01 or arrays["weights"].min() < -1e-4:
        raise source.error("rows of weights do not sum to 1", "save the weights of skinning")
    if np.abs(arrays["J_regressor"].sum(1) - 1).max() > 0.05:
        raise source.error("rows of J_regressor do not sum to 1", "save the model again")


def _read(source: Source, archive: NpzArchive, name: str) -> np.ndarray:
    if name in archive.names and archive.is_pickled(name):
        raise source.error(
            f"{name} is a Python object, which is not read",
            "save it as a dense array: numpy.savez(..., J_regressor=model.J_regressor.toarray())",
        )
    array = archive.array(name)
    if array.dtype.kind not in "iuf":
        raise FormatError(f"{source.path}: {name} holds {array.dtype}; save numbers.")
    return array.astype(np.float32) if array.dtype.kind == "f" else array.astype(np.int64)


def _posed_ancestor(parents: list[int]) -> list[int]:
    """For each bone the posed bone that moves it."""
    found: list[int] = []
    for bone, parent in enumerate(parents):
        found.append(bone if bone < N_POSED else found[parent])
    return found


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
