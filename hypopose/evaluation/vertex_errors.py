"""PVE, the per-vertex error of methods that predict surfaces.

Mean distance of corresponding vertices in millimeters, prediction and truth both with the pelvis at
the origin that the protocol's regressor finds on them. Tables that put another pelvis there, or
none, differ by centimeters.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.datasets.protocols import SurfaceTruth
from hypopose.evaluation.protocol_draws import AnsweredView

FRAMES_AT_ONCE = 32
"""Bounds memory: a surface has thousands of vertices."""
VERTEX_TITLES = {
    "pve_mean_mm": "PVE of the mean",
    "pve_single_mm": "PVE of one hypothesis (expected)",
}
"""Key -> what tables call it."""


def vertex_errors(view: AnsweredView, surface: SurfaceTruth) -> dict[str, Float[Tensor, " n"]]:
    """PVE of the frames that count.

    Args:
        view: With or without vertices in the answer.
        surface: The true ones.

    Returns:
        Key of :data:`VERTEX_TITLES` -> millimeters per frame; empty without vertices.
    """
    vertices = view.answer.vertices
    if vertices is None:
        return {}
    counted = view.entry.counted
    rows = counted if view.whole else np.arange(len(counted))
    found: dict[str, list[Tensor]] = {key: [] for key in VERTEX_TITLES}
    for start in range(0, len(counted), FRAMES_AT_ONCE):
        some = slice(start, start + FRAMES_AT_ONCE)
        truth = surface.load(view.entry, counted[some])
        mine = vertices[:, torch.from_numpy(rows[some])].to(truth)
        found["pve_mean_mm"].append((mine.mean(0) - truth).norm(dim=-1).mean(-1))
        found["pve_single_mm"].append((mine - truth).norm(dim=-1).mean((0, -1)))
    return {key: 1000 * torch.cat(values) for key, values in found.items()}
