"""Labels made of hypotheses: for every joint the hypothesis that reprojects best.

Liu et al., "PoSynDA: Multi-hypothesis pose synthesis domain adaptation for robust 3D human pose
estimation", ACM MM 2023. Keypoints of the target domain have no 3D. Of several hypotheses the one
that lands closest to a keypoint is taken, joint by joint (JPMA), and all hypotheses are pulled
towards what was taken; poses of the source domain, which have 3D, are trained on beside.

| paper, released code | here |
| --- | --- |
| e, pixel error of hypotheses | :func:`hypopose.aggregation.reprojection_distances` |
| selected joints, the pseudo label | :func:`labels_by_reprojection` |
| one hypothesis by likelihood (ours) | :func:`labels_by_likelihood` |
| 0.5 loss_2d + 1.0 loss_3d (target) | :func:`label_loss`, in pixels and millimeters |
| 0.1 loss_2d + 1.0 loss_3d (source) | :func:`source_loss` |

Departures from the released code:

* It reads the *true* root of the target. Here every hypothesis' root is fitted to the keypoints; a
  root is used only if it is given, and the result says which it was.
* Labels are constants. The released code lets gradients run into the label, too
  (``stop_gradient=False``).
* The paper's labels come from a teacher with averaged weights
  (:class:`~hypopose.training.teacher.Teacher`); the released code has none. Here any hypotheses
  will do.
* Joints without a keypoint have no label, and take no part in the losses.
* The released loop starts back-propagation from the loss's own value, which multiplies gradients by
  it; here the gradient is the loss's own.

These losses pull all hypotheses to one place: the error falls, and the spread becomes too small. To
keep it calibrated, make a batch of the labels with :func:`label_batch` and train on it by a proper
score (:func:`hypopose.training.energy_loss`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hypopose.aggregation import jpma_index, ppma_index, reprojection_distances
from hypopose.aggregation.central import pick
from hypopose.aggregation.reprojection_choice import FALLBACK
from hypopose.cameras import fit_roots
from hypopose.checks import check_choice
from hypopose.errors import ShapeError
from hypopose.networks.inputs import encode
from hypopose.training.batches import Batch, Inputs
from hypopose.types import Hypotheses, Keypoints2D

MISS_STD = 0.03
"""Meters by which keypoints miss joints."""

RootSource = Literal["fitted", "given"]
Level = Literal["joint", "pose"]


@dataclass(frozen=True, eq=False)
class ReprojectionLabels:
    """What the hypotheses of a clip agree to learn from.

    Args:
        joints: Root-relative meters; the mean of the hypotheses where nothing decides.
        index: Which hypothesis each joint is from; -1 where nothing decides.
        error_px: Distance of its projection from the keypoint; NaN where nothing decides.
        root: Whether roots were fitted to the keypoints or given.
    """

    joints: Float[Tensor, "*batch F J 3"]
    index: Int[Tensor, "*batch F J"]
    error_px: Float[Tensor, "*batch F J"]
    root: RootSource


@dataclass(frozen=True, eq=False)
class ReprojectionLoss:
    """A loss and its parts.

    Args:
        total: Their weighted sum; differentiable.
        reprojection_px: Mean of the least reprojection error over joints with a keypoint.
        distance_mm: Mean distance of all hypotheses from the label.
        root: Whether roots were fitted to the keypoints or given.
    """

    total: Float[Tensor, ""]
    reprojection_px: Float[Tensor, ""]
    distance_mm: Float[Tensor, ""]
    root: RootSource


def labels_by_reprojection(
    hypotheses: Hypotheses,
    keypoints: Keypoints2D,
    *,
    root: Float[Tensor, "..."] | None = None,
    level: Level = "joint",
) -> ReprojectionLabels:
    """Of every joint (or of every frame) the hypothesis that reprojects best.

    Args:
        hypotheses: Root-relative meters; of a teacher, as a rule.
        keypoints: Of the target domain, with a camera; NaN where undetected.
        root: ``(*batch, F, 3)`` or ``(*batch, H, F, 3)`` in the camera frame; fitted per hypothesis
            if None. With a true root these are not labels without supervision any more.
        level: ``"joint"`` as published; ``"pose"`` takes frames whole, and so keeps bones whole.

    Returns:
        Labels without gradient.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        ShapeError: If axes do not belong together.
        SkeletonMismatchError: If the skeletons differ.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> keypoints, truth = example_pair()
        >>> noise = torch.randn(8, *truth.joints.shape, generator=torch.Generator().manual_seed(0))
        >>> noise[..., 0, :] = 0
        >>> guesses = Hypotheses(truth.joints + 0.05 * noise, truth.skeleton)
        >>> labels = labels_by_reprojection(guesses, keypoints)
        >>> error = (labels.joints - truth.joints).norm(dim=-1).mean()
        >>> labels.root, bool(error < (guesses.joints - truth.joints).norm(dim=-1).mean())
        ('fitted', True)
    """
    check_choice("level", level, ("joint", "pose"))
    still = replace(hypotheses, joints=hypotheses.joints.detach())
    roots = _roots(still, keypoints, root)
    index = _index(still, keypoints, roots, level)
    distance = reprojection_distances(still, keypoints, roots)
    least = pick(distance[..., None], index.clamp_min(0))[..., 0]
    return ReprojectionLabels(
        joints=_chosen(still.joints, index),
        index=index,
        error_px=torch.where(index == FALLBACK, torch.nan, least),
        root=_source(root),
    )


def labels_by_likelihood(
    hypotheses: Hypotheses,
    keypoints: Keypoints2D,
    generator: torch.Generator,
    *,
    miss_std: float = MISS_STD,
) -> ReprojectionLabels:
    """One hypothesis of each clip, drawn by the likelihood of its reprojection. Ours.

    The best one makes every posterior narrower each time it is learned from. One that is drawn does
    so only as far as keypoints tell hypotheses apart: the spread of what they do not determine is
    kept.

    Args:
        hypotheses: Root-relative meters; of a teacher, as a rule.
        keypoints: With a camera; NaN where undetected.
        generator: Source of the choice.
        miss_std: Meters by which keypoints miss joints, along each axis, and lastingly: the mean
            square over frames counts once for each joint.

    Returns:
        Labels without gradient; roots are fitted.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        ShapeError: If axes do not belong together.
        SkeletonMismatchError: If the skeletons differ.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> keypoints, truth = example_pair()
        >>> wrong = truth.joints.flip(0)
        >>> guesses = Hypotheses(torch.stack([wrong, truth.joints]), truth.skeleton)
        >>> labels = labels_by_likelihood(guesses, keypoints, torch.Generator().manual_seed(0))
        >>> labels.index.unique().tolist()
        [1]
    """
    still = replace(hypotheses, joints=hypotheses.joints.detach())
    roots = _roots(still, keypoints, None)
    px = reprojection_distances(still, keypoints, roots)
    assert roots is not None  # keypoints without a camera were refused
    assert keypoints.camera is not None
    focal = keypoints.camera.focal.mean(-1).to(px)[..., None, None, None]
    meters = px * roots[..., 2:].to(px) / focal
    squares = meters.square().nanmean(-2).nan_to_num(0.0).sum(-1) / (2 * miss_std**2)
    likely = (squares.amin(-1, keepdim=True) - squares).exp().clamp(min=1e-12)
    drawn = torch.multinomial(likely.reshape(-1, likely.shape[-1]).to(generator.device), 1,
                              generator=generator)  # fmt: skip
    chosen = drawn.reshape(likely.shape[:-1]).to(px.device)
    index = chosen[..., None, None].expand(*chosen.shape, *still.joints.shape[-3:-1])
    index = torch.where(px.isfinite().any(-3), index, FALLBACK)
    joints = pick(still.joints, chosen[..., None, None].expand_as(index))
    least = pick(px[..., None], index.clamp_min(0))[..., 0]
    error = torch.where(index == FALLBACK, torch.nan, least)
    return ReprojectionLabels(joints, index, error, "fitted")


def label_loss(
    hypotheses: Hypotheses,
    keypoints: Keypoints2D,
    labels: ReprojectionLabels | None = None,
    *,
    root: Float[Tensor, "..."] | None = None,
    per_px: float = 0.5,
    per_mm: float = 1.0,
    stop_gradient: bool = True,
) -> ReprojectionLoss:
    """The loss on the target domain: reproject well, and agree on what reprojects best.

    Args:
        hypotheses: Of the network that is trained, with gradient.
        keypoints: With a camera; NaN where undetected.
        labels: Of a teacher; of the hypotheses themselves if None, as released.
        root: As in :func:`labels_by_reprojection`.
        per_px: Weight of the reprojection error, per pixel.
        per_mm: Weight of the distance from the label, per millimeter.
        stop_gradient: Whether labels that are the hypotheses' own are constants; False as released.

    Returns:
        The loss and its parts.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        ShapeError: If axes do not belong together.
        SkeletonMismatchError: If the skeletons differ.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> keypoints, truth = example_pair()
        >>> joints = truth.joints.expand(3, *truth.joints.shape).clone().requires_grad_()
        >>> loss = label_loss(Hypotheses(joints, truth.skeleton), keypoints)
        >>> bool(loss.reprojection_px < 0.1), round(loss.distance_mm.item(), 3)
        (True, 0.0)
    """
    least, index, source = _least(hypotheses, keypoints, root)
    if labels is None:
        target = _chosen(hypotheses.joints, index)
        target = target.detach() if stop_gradient else target
    else:
        _check_target(hypotheses, labels.joints)
        target, index = labels.joints, labels.index
    apart = 1000 * (hypotheses.joints - target.unsqueeze(-4)).norm(dim=-1).mean(-3)
    distance = _mean_where(apart, index != FALLBACK)
    return ReprojectionLoss(per_px * least + per_mm * distance, least, distance, source)


def source_loss(
    hypotheses: Hypotheses,
    keypoints: Keypoints2D,
    target: Float[Tensor, "*batch F J 3"],
    *,
    root: Float[Tensor, "..."] | None = None,
    per_px: float = 0.1,
    per_mm: float = 1.0,
) -> ReprojectionLoss:
    """The loss on the source domain: reproject well, and agree with the known pose.

    Args:
        hypotheses: Of the network that is trained, with gradient.
        keypoints: With a camera; NaN where undetected.
        target: True joints, root-relative meters.
        root: As in :func:`labels_by_reprojection`; the source's own may be given.
        per_px: Weight of the reprojection error, per pixel.
        per_mm: Weight of the distance from the truth, per millimeter.

    Returns:
        The loss and its parts.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        ShapeError: If axes do not belong together.
        SkeletonMismatchError: If the skeletons differ.
    """
    _check_target(hypotheses, target)
    least, _, source = _least(hypotheses, keypoints, root)
    distance = 1000 * (hypotheses.joints - target.unsqueeze(-4)).norm(dim=-1).mean()
    return ReprojectionLoss(per_px * least + per_mm * distance, least, distance, source)


def label_batch(
    keypoints: Keypoints2D, joints: Float[Tensor, "B F J 3"], inputs: Inputs = "subject"
) -> Batch:
    """Keypoints and labels as every loss of :mod:`hypopose.training` reads them.

    Args:
        keypoints: ``(B, F, J, 2)`` of the target domain.
        joints: Labels in the camera frame, in meters.
        inputs: What the network reads, ``network.info.inputs``.

    Returns:
        A batch in the network's frame.

    Raises:
        MissingCameraError: If the network reads rays and the keypoints carry no camera.
        ShapeError: If joints do not belong to the keypoints.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> keypoints, truth = example_pair()
        >>> one = replace(keypoints, xy=keypoints.xy[None], confidence=None)
        >>> label_batch(one, truth.joints[None]).target.shape == truth.joints[None].shape
        True
    """
    if joints.shape[:-1] != keypoints.xy.shape[:-1] or joints.dim() != 4:
        raise ShapeError(
            f"Labels {tuple(joints.shape)} do not belong to keypoints "
            f"{tuple(keypoints.xy.shape)}; both are (B, F, J, ...)."
        )
    encoded = encode(keypoints, inputs)
    own = joints - joints[..., [keypoints.skeleton.root], :]
    return Batch(encoded, own @ encoded.rotation.mT[:, None].to(own))


def _source(root: Tensor | None) -> RootSource:
    return "fitted" if root is None else "given"


def _roots(hypotheses: Hypotheses, keypoints: Keypoints2D, root: Tensor | None) -> Tensor | None:
    """Fitted once; None goes on to where a missing camera is refused."""
    if root is not None or keypoints.camera is None:
        return root
    return fit_roots(hypotheses, keypoints)


def _index(
    hypotheses: Hypotheses, keypoints: Keypoints2D, root: Tensor | None, level: Level
) -> Tensor:
    if level == "joint":
        return jpma_index(hypotheses, keypoints, root=root)
    index = ppma_index(hypotheses, keypoints, root=root)
    return index[..., None].expand(*index.shape, hypotheses.joints.shape[-2])


def _chosen(joints: Tensor, index: Tensor) -> Tensor:
    picked = pick(joints, index.clamp_min(0))
    return torch.where((index == FALLBACK)[..., None], joints.mean(-4), picked)


def _least(
    hypotheses: Hypotheses, keypoints: Keypoints2D, root: Tensor | None
) -> tuple[Tensor, Tensor, RootSource]:
    """Mean least reprojection error, whose hypothesis it was, and where roots are from.

    Roots are constants: where they fit best, their own change adds nothing to the gradient.
    """
    joints = hypotheses.joints
    still = replace(hypotheses, joints=joints.detach())
    roots = _roots(still, keypoints, root)
    index = jpma_index(still, keypoints, root=roots)
    # Joints that are not seen, or fall behind the camera, must not turn gradients into NaN.
    fine = reprojection_distances(still, keypoints, roots).isfinite()[..., None]
    live = replace(hypotheses, joints=torch.where(fine, joints, joints.detach()))
    distance = reprojection_distances(live, keypoints, roots)
    least = pick(distance[..., None], index.clamp_min(0))[..., 0]
    return _mean_where(least, index != FALLBACK), index, _source(root)


def _mean_where(x: Tensor, kept: Tensor) -> Tensor:
    """Mean of what is kept; 0 if nothing is."""
    return torch.where(kept, x, 0.0).sum() / kept.sum().clamp(min=1)


def _check_target(hypotheses: Hypotheses, target: Tensor) -> None:
    x = hypotheses.joints
    if target.shape != (*x.shape[:-4], *x.shape[-3:]):
        raise ShapeError(
            f"Labels {tuple(target.shape)} do not belong to hypotheses {tuple(x.shape)}; they have "
            "the same axes without that of the hypotheses."
        )
