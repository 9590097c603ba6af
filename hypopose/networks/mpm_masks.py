"""What is hidden from MPM in training: joints and frames in pretraining, limbs in completion."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

TUBES: dict[int, tuple[tuple[int, ...], ...]] = {
    3: ((1, 2, 3), (14, 15, 16), (11, 12, 13), (4, 5, 6)),
    2: (
        (1, 2, 3, 4, 5, 6),
        (11, 12, 13, 14, 15, 16),
        (1, 2, 3, 14, 15, 16),
        (4, 5, 6, 11, 12, 13),
    ),
}
"""Joints hidden together in completion, by the number of coordinates; Human3.6M's order."""


def random_masks(
    n_clips: int, n_frames: int, n_joints: int, n_hidden: int, rate: float, seed: int
) -> tuple[Bool[Tensor, "B F J"], Bool[Tensor, "B F"]]:
    """Masks of pretraining: some joints of each frame, some frames of each clip.

    Args:
        n_clips: B.
        n_frames: F.
        n_joints: J.
        n_hidden: Joints hidden in each frame (5 in the paper).
        rate: Share of hidden frames (0.6 in the paper).
        seed: Same seed, same masks.

    Returns:
        Hidden joints, and visible frames.

    Example:
        >>> hidden, visible = random_masks(1, 27, 17, 5, 0.6, seed=0)
        >>> hidden.sum(-1).unique().tolist(), int(visible.sum())
        ([5], 11)
    """
    generator = torch.Generator().manual_seed(seed)
    ranks = torch.rand(n_clips, n_frames, n_joints, generator=generator).argsort(-1).argsort(-1)
    frames = torch.rand(n_clips, n_frames, generator=generator).argsort(-1).argsort(-1)
    return ranks < n_hidden, frames >= int(n_frames * rate)


def tube_masks(
    modes: Int[Tensor, " B"], n_dims: Literal[2, 3], n_frames: int, seed: int = 0
) -> Bool[Tensor, "B F 17"]:
    """Masks of completion: the same joints in all frames, limbs together.

    Args:
        modes: 0 to 3 for the limbs of :data:`TUBES`; m > 3 for m - 3 random joints.
        n_dims: Whether 2D or 3D poses are completed.
        n_frames: F.
        seed: For random joints.

    Returns:
        True where hidden.

    Example:
        >>> tube_masks(torch.tensor([0, 9]), 2, 1).sum(-1).tolist()
        [[6], [6]]
    """
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.zeros(len(modes), 17, dtype=torch.bool)
    for row, mode in zip(hidden, modes.tolist(), strict=True):
        joints = torch.randperm(17, generator=generator)[: mode - 3]
        row[list(TUBES[n_dims][mode]) if mode < 4 else joints] = True
    return hidden[:, None].repeat(1, n_frames, 1)
