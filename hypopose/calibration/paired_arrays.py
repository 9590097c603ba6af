"""Hypotheses and their truth, in one shape, walked through in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hypopose.errors import OptionError, ShapeError, SkeletonMismatchError
from hypopose.types import Hypotheses, Poses3D, Skeleton

WORKING_BYTES = 64 * 2**20
"""Size of the largest temporary: chunks are cut to fit, whatever N and S are."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Hypotheses ``x (N, H, F, J, 3)`` and truth ``y (N, F, J, 3)`` with batch axes flattened."""

    x: Tensor
    y: Tensor
    batch: tuple[int, ...]
    skeleton: Skeleton | None

    @property
    def n_hypotheses(self) -> int:
        """S, the number of hypotheses."""
        return self.x.shape[1]

    def names(self) -> tuple[str, ...]:
        """A name for each joint."""
        if self.skeleton is not None:
            return self.skeleton.joint_names
        return tuple(f"joint {j}" for j in range(self.x.shape[-2]))

    def judged_joints(self, joints: Sequence[int] | None) -> tuple[int, ...]:
        """The joints a check looks at: those given, or all but the root.

        Without a skeleton, the root is any joint that lies at exactly zero in every hypothesis and
        in the truth.

        Raises:
            OptionError: If no joint is left, or one is out of range.
        """
        n = self.x.shape[-2]
        if joints is not None:
            chosen = tuple(joints)
        elif self.skeleton is not None:
            chosen = tuple(j for j in range(n) if j != self.skeleton.root)
        else:
            moves = [bool(self.y[..., j, :].ne(0).any() or self.x[..., j, :].ne(0).any())
                     for j in range(n)]  # fmt: skip
            chosen = tuple(j for j in range(n) if moves[j])
        if not chosen or any(not 0 <= j < n for j in chosen):
            raise OptionError(
                f"No joint to judge among {n} (asked for {joints}); give joints=(...) by index, "
                "at least one that is not the root."
            )
        return chosen


def paired(hypotheses: Hypotheses | Tensor, truth: Poses3D | Tensor) -> Pairs:
    """Check hypotheses against their truth and flatten the batch axes.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: ``(*batch, F, J, 3)`` in the same unit and frame.

    Returns:
        Both as tensors with one batch axis.

    Raises:
        ShapeError: If the shapes do not belong together.
        SkeletonMismatchError: If both carry a skeleton and the skeletons differ.
    """
    skeleton = _common_skeleton(hypotheses, truth)
    x = hypotheses.joints if isinstance(hypotheses, Hypotheses) else hypotheses
    y = truth.joints if isinstance(truth, Poses3D) else truth
    fits = x.dim() >= 4 and x.shape[-1] == 3 and (*x.shape[:-4], *x.shape[-3:]) == tuple(y.shape)
    if not fits or x.numel() == 0:
        raise ShapeError(
            f"Hypotheses (*batch, H, F, J, 3) need truth (*batch, F, J, 3); got {tuple(x.shape)} "
            f"and {tuple(y.shape)}. Drop or add axes so that only H differs."
        )
    batch = tuple(x.shape[:-4])
    return Pairs(
        x.reshape(-1, *x.shape[-4:]).detach(),
        y.reshape(-1, *y.shape[-3:]).detach().to(x),
        batch,
        skeleton,
    )


def _common_skeleton(hypotheses: Hypotheses | Tensor, truth: Poses3D | Tensor) -> Skeleton | None:
    """The skeleton that hypotheses and truth share; None if neither has one."""
    skeletons = [x.skeleton for x in (hypotheses, truth) if not isinstance(x, Tensor)]
    if len({skeleton.name for skeleton in skeletons}) > 1:
        raise SkeletonMismatchError(
            f"Hypotheses are in skeleton {skeletons[0].name!r}, the truth in "
            f"{skeletons[1].name!r}; convert one with hypopose.skeletons.convert."
        )
    return skeletons[0] if skeletons else None


def blocks(
    n_items: int, n_frames: int, bytes_per_frame: int, extra_frames: int = 0
) -> Iterator[tuple[slice, slice]]:
    """Cut N items of F frames into blocks whose temporaries stay below ``WORKING_BYTES``.

    Args:
        n_items: N.
        n_frames: F.
        bytes_per_frame: Size of the largest temporary per frame of one item.
        extra_frames: Frames a block needs beyond its own (1 for velocities); blocks overlap so.

    Yields:
        (items, frames) slices. Long items are cut along time, short ones are taken together.
    """
    budget = max(1, WORKING_BYTES // max(1, bytes_per_frame))
    own = n_frames - extra_frames
    if n_frames <= budget:
        step = budget // n_frames
        for i in range(0, n_items, step):
            yield slice(i, i + step), slice(0, n_frames)
        return
    step = max(1, budget - extra_frames)
    for i in range(n_items):
        for f in range(0, own, step):
            yield slice(i, i + 1), slice(f, min(f + step + extra_frames, n_frames))


def valid(x: Tensor) -> Tensor:
    """True where all coordinates of a point are finite: ``(..., D) -> (...)``."""
    return torch.isfinite(x).all(-1)


def ascending(x: Tensor) -> Tensor:
    """Sorted along the last axis, NaN last; NumPy sorts short rows many times faster than torch."""
    if x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
        return torch.from_numpy(np.sort(x.numpy(), axis=-1))
    return x.sort(-1).values
