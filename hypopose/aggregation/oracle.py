"""Oracles: choose by the truth. A bound on what selection could reach, never a result.

Paper: Shan et al. 2023 (D3DP) call them J-Best and P-Best. The published code picks P-Best once per
*batch* of clips, so its number depends on the batch size: that is ``level="batch"`` here.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from hypopose.aggregation.central import pick, spread
from hypopose.errors import OptionError, ShapeError, SkeletonMismatchError
from hypopose.types import Hypotheses, Poses3D


def _errors(hypotheses: Hypotheses, truth: Poses3D) -> Tensor:
    """(*batch, H, F, J), +inf where NaN so that a missing joint is never the best."""
    x, y = hypotheses.joints, truth.joints
    if hypotheses.skeleton.name != truth.skeleton.name:
        raise SkeletonMismatchError(
            f"Hypotheses are {hypotheses.skeleton.name!r}, the truth {truth.skeleton.name!r}."
        )
    if (*x.shape[:-4], *x.shape[-3:]) != tuple(y.shape):
        raise ShapeError(
            f"Hypotheses {tuple(x.shape)} need a truth {(*x.shape[:-4], *x.shape[-3:])}, got "
            f"{tuple(y.shape)}."
        )
    return (x - y.unsqueeze(-4)).norm(dim=-1).nan_to_num(nan=torch.inf, posinf=torch.inf)


def _poses(hypotheses: Hypotheses, index: Tensor) -> Poses3D:
    joints = pick(hypotheses.joints, index)
    return Poses3D(joints, hypotheses.skeleton, std=spread(hypotheses))


def oracle_joint_index(hypotheses: Hypotheses, truth: Poses3D) -> Int[Tensor, "*batch F J"]:
    """Oracle: which hypothesis is closest to the truth, joint by joint; ties go to the lowest.

    Args:
        hypotheses: Root-relative.
        truth: Same skeleton and batch axes.

    Returns:
        Hypothesis index per joint.
    """
    return _errors(hypotheses, truth).argmin(-3)


def oracle_joint_best(hypotheses: Hypotheses, truth: Poses3D) -> Poses3D:
    """Oracle: every joint from the hypothesis that is closest to the truth there (J-Best).

    Args:
        hypotheses: Root-relative.
        truth: Same skeleton and batch axes.

    Returns:
        The oracle's pose.

    Raises:
        ShapeError: If axes do not belong together.
        SkeletonMismatchError: If the skeletons differ.
    """
    return _poses(hypotheses, oracle_joint_index(hypotheses, truth))


def oracle_pose_index(
    hypotheses: Hypotheses, truth: Poses3D, level: str = "frame"
) -> Int[Tensor, "*batch F"]:
    """Oracle: which whole pose is closest to the truth.

    Args:
        hypotheses: Root-relative.
        truth: Same skeleton and batch axes.
        level: ``frame``: another hypothesis in every frame; ``clip``: one per clip; ``batch``: one
            for everything in this call (the published code's P-Best).

    Returns:
        Hypothesis index per frame.

    Raises:
        OptionError: If the level is unknown.
    """
    errors = _errors(hypotheses, truth).mean(-1)
    if level == "clip":
        errors = errors.mean(-1, keepdim=True).expand_as(errors)
    elif level == "batch":
        n_hypotheses, n_frames = errors.shape[-2:]
        overall = errors.reshape(-1, n_hypotheses, n_frames).mean((0, 2))
        errors = overall[:, None].expand_as(errors)
    elif level != "frame":
        raise OptionError(f"An oracle picks per 'frame', 'clip' or 'batch', got {level!r}.")
    return errors.argmin(-2)


def oracle_pose_best(hypotheses: Hypotheses, truth: Poses3D, *, level: str = "frame") -> Poses3D:
    """Oracle: whole poses from the hypothesis that is closest to the truth (P-Best).

    Args:
        hypotheses: Root-relative.
        truth: Same skeleton and batch axes.
        level: As in :func:`oracle_pose_index`.

    Returns:
        The oracle's pose.

    Raises:
        OptionError: If the level is unknown.
        ShapeError: If axes do not belong together.
        SkeletonMismatchError: If the skeletons differ.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> truth = Poses3D(torch.zeros(1, 17, 3), H36M17)
        >>> guesses = Hypotheses(torch.tensor([0.2, 0.1]).view(2, 1, 1, 1).expand(2, 1, 17, 3),
        ...                      H36M17)
        >>> round(oracle_pose_best(guesses, truth).joints.max().item(), 3)
        0.1
    """
    index = oracle_pose_index(hypotheses, truth, level)
    wide = index[..., None].expand(*index.shape, hypotheses.joints.shape[-2])
    return _poses(hypotheses, wide)
