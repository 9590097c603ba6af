"""JPMA and PPMA: choose by reprojection.

Paper: Shan et al., "Diffusion-Based 3D Human Pose Estimation with Multi-Hypothesis Aggregation",
ICCV 2023 (D3DP), section 3.4. Every hypothesis is projected into the image with the keypoints'
camera; JPMA takes each joint from the hypothesis whose projection of that joint is closest to its
keypoint, PPMA takes each frame whole.

| paper | code |
| --- | --- |
| hypotheses y_0^h | ``hypotheses.joints`` |
| root trajectory | ``root`` |
| 2D keypoints x | ``keypoints.xy`` |
| P(.) | ``hypopose.cameras.project`` |
| argmin over h | ``jpma_index``, ``ppma_index`` |

Departures from the published code:

* It takes the *true* root trajectory. Here the root of every hypothesis is fitted to the keypoints;
  a given root is used only if passed as ``root=``, and a true one makes the result an oracle's.
* Joints without a keypoint (NaN), or which no hypothesis projects, fall back to the mean of the
  hypotheses. Ties go to the lowest hypothesis, as published.
* Reprojection does not depend on depth: with well spread hypotheses the mean can be better.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hypopose.aggregation.central import pick, spread
from hypopose.cameras import fit_root, fit_roots, hypothesis_camera, project
from hypopose.errors import MissingCameraError, ShapeError, SkeletonMismatchError
from hypopose.types import Hypotheses, Keypoints2D, Poses3D

FALLBACK = -1
"""Index of joints (or frames) that no keypoint can decide; they become the mean."""


def _check(hypotheses: Hypotheses, keypoints: Keypoints2D, name: str) -> None:
    if keypoints.camera is None:
        raise MissingCameraError(
            f"{name} projects joints into the image, but these keypoints carry no camera. Attach "
            "one with keypoints.with_camera(Camera.from_fov(image_size)), or use 'mean'."
        )
    if keypoints.skeleton.name != hypotheses.skeleton.name:
        raise SkeletonMismatchError(
            f"{name} compares joints with keypoints of one skeleton, got "
            f"{hypotheses.skeleton.name!r} and {keypoints.skeleton.name!r}; bring the keypoints "
            "over with hypopose.skeletons.convert."
        )
    x = hypotheses.joints.shape
    if (*x[:-4], *x[-3:-1]) != tuple(keypoints.xy.shape[:-1]):
        raise ShapeError(
            f"{name}: hypotheses {tuple(x)} do not belong to keypoints "
            f"{tuple(keypoints.xy.shape)}; they need the same batch axes, frames and joints."
        )


def reprojection_distances(
    hypotheses: Hypotheses, keypoints: Keypoints2D, root: Tensor | None = None
) -> Float[Tensor, "*batch H F J"]:
    """Pixels between every hypothesis' projected joints and the keypoints.

    Args:
        hypotheses: Root-relative.
        keypoints: With a camera; same skeleton and batch axes.
        root: ``(*batch, F, 3)`` or ``(*batch, H, F, 3)``; fitted per hypothesis if None.

    Returns:
        Distances; NaN where the keypoint is missing or the projection fails.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        ShapeError: If axes do not belong together.
        SkeletonMismatchError: If the skeletons differ.
    """
    _check(hypotheses, keypoints, "Reprojection")
    assert keypoints.camera is not None  # _check raised otherwise
    x = hypotheses.joints
    if root is None:
        root = fit_roots(hypotheses, keypoints)
    elif root.dim() == x.dim() - 2:
        root = root.unsqueeze(-3)
    placed = x + root.to(x).unsqueeze(-2)
    px = project(placed, hypothesis_camera(hypotheses, keypoints.camera))
    distance = (px - keypoints.xy.unsqueeze(-4)).norm(dim=-1)
    return torch.where(placed[..., 2] > 0, distance, torch.nan)


def _first_smallest(distance: Tensor, dim: int) -> Tensor:
    """Index of the smallest number, the lowest on ties; FALLBACK where all are NaN."""
    index = distance.nan_to_num(nan=torch.inf, posinf=torch.inf).argmin(dim)
    return torch.where(distance.isnan().all(dim), FALLBACK, index)


def jpma_index(
    hypotheses: Hypotheses, keypoints: Keypoints2D, *, root: Tensor | None = None
) -> Int[Tensor, "*batch F J"]:
    """Which hypothesis JPMA takes each joint from.

    Args:
        hypotheses: Root-relative.
        keypoints: With a camera.
        root: As in :func:`jpma`.

    Returns:
        Hypothesis index per joint; :data:`FALLBACK` where the keypoint is missing.
    """
    return _first_smallest(reprojection_distances(hypotheses, keypoints, root), -3)


def ppma_index(
    hypotheses: Hypotheses, keypoints: Keypoints2D, *, root: Tensor | None = None
) -> Int[Tensor, "*batch F"]:
    """Which hypothesis PPMA takes each frame from: the smallest mean distance over seen joints.

    Args:
        hypotheses: Root-relative.
        keypoints: With a camera.
        root: As in :func:`ppma`.

    Returns:
        Hypothesis index per frame; :data:`FALLBACK` where nothing is seen.
    """
    distance = reprojection_distances(hypotheses, keypoints, root)
    seen = keypoints.detected.unsqueeze(-3)
    total = torch.where(seen, distance, 0.0).sum(-1)  # a failed projection keeps its NaN
    mean = torch.where(seen.any(-1), total / seen.sum(-1), torch.nan)
    return _first_smallest(mean, -2)


def _aggregate(
    hypotheses: Hypotheses, keypoints: Keypoints2D, index: Tensor, root: Tensor | None
) -> Poses3D:
    x = hypotheses.joints
    chosen = pick(x, index.clamp_min(0))
    joints = torch.where((index == FALLBACK)[..., None], x.mean(-4), chosen)
    if root is None:
        root = fit_root(joints, keypoints)
    elif root.dim() == x.dim() - 1:
        root = root.mean(-3)
    return Poses3D(joints, hypotheses.skeleton, root=root.to(joints), std=spread(hypotheses))


def jpma(hypotheses: Hypotheses, keypoints: Keypoints2D, *, root: Tensor | None = None) -> Poses3D:
    """Joint-wise reprojection-based aggregation.

    Args:
        hypotheses: Root-relative, meters.
        keypoints: With a camera; same skeleton.
        root: ``(*batch, F, 3)`` or ``(*batch, H, F, 3)`` in the camera frame. None fits each
            hypothesis' root to the keypoints. The true root makes this an oracle.

    Returns:
        The aggregated pose with its root (fitted to it, or the mean of those given) and the
        hypotheses' spread.

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
        >>> pose = jpma(guesses, keypoints)
        >>> error = (pose.joints - truth.joints).norm(dim=-1).mean()
        >>> bool(error < (guesses.joints - truth.joints).norm(dim=-1).mean())
        True
    """
    _check(hypotheses, keypoints, "JPMA")
    index = jpma_index(hypotheses, keypoints, root=root)
    return _aggregate(hypotheses, keypoints, index, root)


def ppma(hypotheses: Hypotheses, keypoints: Keypoints2D, *, root: Tensor | None = None) -> Poses3D:
    """Pose-wise reprojection-based aggregation: the hypothesis that reprojects best per frame.

    Args:
        hypotheses: Root-relative, meters.
        keypoints: With a camera; same skeleton.
        root: As in :func:`jpma`.

    Returns:
        One of the hypotheses per frame (the mean where nothing is seen), with root and spread.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        ShapeError: If axes do not belong together.
        SkeletonMismatchError: If the skeletons differ.
    """
    _check(hypotheses, keypoints, "PPMA")
    index = ppma_index(hypotheses, keypoints, root=root)
    per_joint = index[..., None].expand(*index.shape, hypotheses.joints.shape[-2])
    return _aggregate(hypotheses, keypoints, per_joint, root)
