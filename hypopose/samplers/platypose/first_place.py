"""The initial position of a motion in the world, from the apparent size of the person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.diffusion import recorded_noise
from hypopose.samplers.boneflips import BoneFlips
from hypopose.samplers.platypose.likelihood import Placement, View
from hypopose.skeletons import H36M17
from hypopose.types import Keypoints2D

STANDING_M = 0.9
"""Height of the root of a standing adult, meters."""


def first_path(keypoints: Keypoints2D, view: View) -> Float[Tensor, "F 3"]:
    """A rough root path in the world, from how large the person looks.

    Args:
        keypoints: Of one clip.
        view: The same, prepared.
    """
    root = torch.full((keypoints.n_frames, 3), torch.nan, dtype=torch.float64)
    if keypoints.skeleton.name == H36M17.name and bool(view.seen.any()):
        ones = recorded_noise([torch.ones(1, keypoints.n_frames, 17, 1)])
        xy = torch.where(view.seen[..., None], keypoints.xy.double(), torch.nan)
        flat = replace(keypoints, xy=xy, covariance=None)
        found = BoneFlips().sample(flat, 1, ones).root
        root = root if found is None else found[0].double()
    elif bool(view.seen.any()):
        root = _spread_root(view)
    known = torch.isfinite(root).all(-1)
    if not bool(known.any()):
        root, known = torch.tensor([[0.0, 0.0, 4.0]]).double().expand_as(root), ~known
    nearest = (torch.arange(len(root))[:, None] - torch.arange(len(root))[known]).abs()
    root = root[known][nearest.argmin(1)]
    back = root - view.translation
    return torch.einsum("fba,fb->fa", view.rotation, back)


def first_placement(
    keypoints: Keypoints2D,
    path: Float[Tensor, "F 3"],
    *,
    pitch_std_deg: float,
    origin: Sequence[float] | None,
    origin_std: Sequence[float] | None,
) -> Placement:
    """The distribution of the motion's offset and pitch before keypoints are weighed.

    Args:
        keypoints: Of one clip.
        path: See :func:`first_path`.
        pitch_std_deg: Uncertainty of the pitch of a camera without rotation.
        origin: Where the middle frame stands, meters; None for ``path``'s.
        origin_std: How well that is known, meters; None for a fifth of the distance.
    """
    camera = keypoints.camera
    placed = camera is not None and camera.rotation is not None
    middle = path[len(path) // 2]
    height = 0.0 if placed else float(path[:, 2].median()) - STANDING_M
    mean = torch.tensor([float(middle[0]), float(middle[1]), height, 0.0])
    distance = float(middle[:2].norm()) if not placed else 5.0
    wide = 0.1 + 0.2 * distance
    pitch = 0.0 if placed else math.radians(pitch_std_deg)
    std = torch.tensor([wide, wide, 0.05 if placed else 0.4, pitch])
    if origin is not None:
        mean[:3] = torch.tensor(origin)
    if origin_std is not None:
        std[:3] = torch.tensor(origin_std)
    return Placement(mean.double(), std.double())


def _spread_root(view: View) -> Float[Tensor, "F 3"]:
    """Depth at which a standing adult of 1.6 m between head and feet looks as tall as this."""
    gone = torch.full_like(view.uv, torch.nan)
    uv = torch.where(view.seen[..., None], view.uv, gone)
    low = uv.nan_to_num(torch.inf).amin(1)
    high = uv.nan_to_num(-torch.inf).amax(1)
    depth = 1.6 / (high - low).amax(-1, keepdim=True)
    root = torch.cat([(low + high) / 2 * depth, depth], -1)
    return torch.where((depth > 0) & torch.isfinite(root).all(-1, keepdim=True), root, torch.nan)
