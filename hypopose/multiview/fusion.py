"""Hypotheses of single views, combined: a cheap product of their posteriors.

Every view has a posterior over the same pose. If keypoints of different views err independently and
the prior is wide, the posterior of all views is proportional to the product of the single ones.
Hypotheses of all views are candidates, turned into one frame; a candidate of one view is weighted
by its likelihood in the others. Weights are per joint and frame: for whole motions a single
candidate would get all the weight.

| symbol | here |
| --- | --- |
| q = mean over views of N(mu_v, S_v) | where candidates come from |
| p = product over views of N(mu_v, S_v) | where they shall come from |
| w = p / q | importance weight of a candidate |

``importance`` draws joints from the weighted candidates, with one uniform number a hypothesis, so
that a hypothesis stays with its candidates from frame to frame. ``gaussian`` moves the hypotheses
of the surest view onto the product of the normal distributions instead: smooth motions, no more
distributions than normal ones.

The prior is counted once per view, so the product is slightly overconfident. It needs neither a
network nor the keypoints. The sampler ``platypose`` reads several views at once and counts its
prior once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.checks import check_choice, check_n_hypotheses
from hypopose.errors import MissingCameraError, OptionError, ShapeError, SkeletonMismatchError
from hypopose.types import Camera, Hypotheses, NoiseSource

Method = Literal["importance", "gaussian"]

RIDGE = 0.005
"""Meters by which every view may be off besides what its hypotheses say."""


def fuse_hypotheses(
    views: Sequence[Hypotheses],
    cameras: Sequence[Camera],
    n_hypotheses: int,
    noise: NoiseSource,
    method: Method = "importance",
) -> Hypotheses:
    """Combine what single views say about the same person at the same moments.

    Args:
        views: Hypotheses of each view in its camera's frame, ``(H, F, J, 3)``.
        cameras: Of the views, placed in one world.
        n_hypotheses: How many to draw.
        noise: Decides which candidates are taken.
        method: See the module.

    Returns:
        Root-relative meters in the first camera's frame, without roots.

    Raises:
        OptionError: If there is no such method, or a view has a single hypothesis.
        ShapeError: If views have different frames, or batch axes.
        SkeletonMismatchError: If views have different skeletons.
        MissingCameraError: If a camera is not placed.

    Example:
        >>> from hypopose.diffusion import seeded_noise
        >>> from hypopose.skeletons import H36M17
        >>> camera = Camera(torch.ones(2), torch.ones(2), (2, 2), rotation=torch.eye(3))
        >>> one = Hypotheses(0.1 * torch.randn(20, 5, 17, 3), H36M17)
        >>> both = fuse_hypotheses([one, one], [camera, camera], 8, seeded_noise(0))
        >>> bool(both.joints.std(0).mean() < one.joints.std(0).mean())
        True
    """
    check_choice("method", method, get_args(Method))
    check_n_hypotheses(n_hypotheses)
    _check(views, cameras)
    turns = [_rotation(camera) for camera in cameras]
    there = [
        h.joints.double() @ (turns[0] @ turn.mT).mT for h, turn in zip(views, turns, strict=True)
    ]
    mean = torch.stack([x.mean(0) for x in there])
    spread = torch.stack([_covariance(x) for x in there])
    combine = _resampled if method == "importance" else _moved
    joints = combine(there, mean, spread, n_hypotheses, noise)
    skeleton = views[0].skeleton
    joints[:, :, skeleton.root] = 0.0
    return Hypotheses(joints.to(views[0].joints), skeleton)


def _check(views: Sequence[Hypotheses], cameras: Sequence[Camera]) -> None:
    if len(views) < 2 or len(views) != len(cameras):
        raise OptionError(
            f"Views are combined two or more at a time, each with its camera; got {len(views)} and "
            f"{len(cameras)} cameras."
        )
    if len({h.skeleton.name for h in views}) > 1:
        raise SkeletonMismatchError("The views have hypotheses in different skeletons.")
    if len({h.joints.shape[1:] for h in views}) > 1 or views[0].joints.dim() != 4:
        raise ShapeError(
            "Hypotheses of the views must be (H, F, J, 3) over the same frames, got "
            f"{', '.join(str(tuple(h.joints.shape)) for h in views)}."
        )
    if min(len(h) for h in views) < 2:
        raise OptionError("One hypothesis of a view says nothing of its spread; draw 20 of each.")


def _rotation(camera: Camera) -> Tensor:
    if camera.rotation is None or camera.rotation.dim() != 2:
        raise MissingCameraError(
            "Views are combined in one world: give each camera a rotation, for example by "
            "hypopose cameras."
        )
    return camera.rotation.double()


def _covariance(x: Float[Tensor, "H F J 3"]) -> Float[Tensor, "F J 3 3"]:
    away = x - x.mean(0)
    found = torch.einsum("hfja,hfjb->fjab", away, away) / (len(x) - 1)
    return found + RIDGE**2 * torch.eye(3, dtype=x.dtype)


def _log_density(x: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    """Normal log density of ``(N, F, J, 3)`` in each view, up to what is common to all."""
    factor = torch.linalg.cholesky(spread)
    away = torch.linalg.solve_triangular(
        factor[:, None], (x[None] - mean[:, None])[..., None], upper=False
    )[..., 0]
    size = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return -0.5 * away.square().sum(-1) - size[:, None]


def _resampled(
    there: Sequence[Tensor], mean: Tensor, spread: Tensor, n: int, noise: NoiseSource
) -> Tensor:
    candidates = torch.cat(list(there))
    density = _log_density(candidates, mean, spread)
    share = torch.tensor([len(x) for x in there], dtype=torch.float64).log()
    proposal = (density + share[:, None, None, None]).logsumexp(0)
    weights = (density.sum(0) - proposal).softmax(0)
    total = weights.cumsum(0)
    start = torch.special.ndtr(noise((1, 1, 1, 1)).double().reshape(()))
    u = (torch.arange(n, dtype=torch.float64) + start) / n
    picked = torch.searchsorted(
        total.permute(1, 2, 0).contiguous(), u.expand(*total.shape[1:], n).contiguous()
    ).clamp(max=len(candidates) - 1)
    at = picked.permute(2, 0, 1)[..., None].expand(-1, -1, -1, 3)
    return candidates.gather(0, at)


def _moved(
    there: Sequence[Tensor], mean: Tensor, spread: Tensor, n: int, noise: NoiseSource
) -> Tensor:
    precision = torch.linalg.inv(spread)
    product = torch.linalg.inv(precision.sum(0))
    middle = (product @ (precision @ mean[..., None]).sum(0))[..., 0]
    surest = int(spread.diagonal(dim1=-2, dim2=-1).sum((-1, -2, -3)).argmin())
    source = there[surest][torch.arange(n) % len(there[surest])]
    own = torch.linalg.cholesky(spread[surest])
    move = torch.linalg.cholesky(product) @ torch.linalg.inv(own)
    return middle + (move @ (source - mean[surest])[..., None])[..., 0]
