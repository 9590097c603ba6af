"""A crude body in SMPL's layout, for examples and tests: the models themselves are licensed."""

from __future__ import annotations

import numpy as np

from hypopose.skeletons import SMPL24

_OFFSETS = {
    "pelvis": (0, 0, 0), "hip": (0.09, -0.08, 0), "spine1": (0, 0.11, -0.02), "knee": (0, -0.4, 0),
    "spine2": (0, 0.13, 0), "ankle": (0, -0.42, 0), "spine3": (0, 0.06, 0),
    "foot": (0.02, -0.06, 0.12), "neck": (0, 0.22, 0), "collar": (0.08, 0.12, 0),
    "head": (0, 0.09, 0.04), "shoulder": (0.1, 0.04, 0), "elbow": (0.26, 0, 0),
    "wrist": (0.25, 0, 0), "hand": (0.08, 0, 0),
}  # fmt: skip
"""From the parent, meters: to the left (mirrored on the right), up, forward."""


def example_arrays(n_shapes: int = 2, n_bones: int = 24) -> dict[str, np.ndarray]:
    """A crude body in SMPL's layout, for tests and examples: a tetrahedron around every bone.

    Args:
        n_shapes: The first number scales the body by 5 %, the second widens it.
        n_bones: 24 as SMPL; more are fingers on the left wrist.

    Returns:
        Arrays as the module lists them, complete and consistent.
    """
    parents = [*SMPL24.parents, *[20] * max(0, n_bones - 24)][:n_bones]
    offsets = np.zeros((n_bones, 3), np.float32)
    for bone, name in enumerate(SMPL24.joint_names):
        side = 1.0 if name.startswith("left_") else -1.0
        key = name.removeprefix("left_").removeprefix("right_")
        x, y, z = _OFFSETS[key]
        offsets[bone] = (side * x, y, z)
    offsets[24:] = (0.08, 0.0, 0.0)
    places = np.zeros_like(offsets)
    for bone, parent in enumerate(parents):
        places[bone] = offsets[bone] + (places[parent] if parent >= 0 else 0)
    corners = 0.05 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
    vertices = (places[:, None] + corners).reshape(-1, 3)
    owner = np.repeat(np.arange(n_bones), 4)
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    directions = np.zeros((len(vertices), 3, n_shapes), np.float32)
    directions[..., 0] = 0.05 * vertices
    if n_shapes > 1:
        directions[:, 0, 1] = 0.05 * vertices[:, 0]
    regressor = (owner[None] == np.arange(n_bones)[:, None]) / 4.0
    return {
        "v_template": vertices,
        "shapedirs": directions,
        "J_regressor": regressor.astype(np.float32),
        "weights": np.eye(n_bones, dtype=np.float32)[owner],
        "parents": np.array(parents),
        "f": (faces + 4 * np.arange(n_bones)[:, None, None]).reshape(-1, 3),
    }
