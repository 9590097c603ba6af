"""Metrics that never hold the data: update with batches, merge across processes, compute.

A metric turns data into sums and sums into a value. Sums are float64, so half a million frames lose
nothing; merging two halves gives the whole, and so does adding the ``state`` tensors of several
processes (``torch.distributed.all_reduce``). Frames whose value is NaN (a missing joint, a pose
that cannot be aligned) are left out of the mean and counted in ``n_invalid``; with nothing valid
the value is NaN. Joints are meters, values millimeters, as ``unit`` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import OptionError, ShapeError, SkeletonMismatchError
from hypopose.metrics.alignment import p_joint_errors
from hypopose.metrics.bones import symmetry_error
from hypopose.metrics.motion import acceleration_errors, velocity_errors
from hypopose.metrics.position import joint_errors, n_joint_errors
from hypopose.types import Hypotheses, Poses3D

FrameValues = Callable[[Hypotheses, Poses3D], Tensor]
"""Turns a batch into one value per frame, in the metric's unit."""


@dataclass(eq=False)
class MeanOverFrames:
    """The mean of a per-frame value over everything seen.

    Args:
        name: What it is; names containing ``oracle`` pick hypotheses by the truth.
        values: One value per frame from hypotheses and truth.
        unit: Unit of the values.
        lower_is_better: Direction.
        min_frames: Clips with fewer frames count as invalid instead of raising.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> truth = Poses3D(torch.randn(8, 17, 3), H36M17)
        >>> guesses = Hypotheses(truth.joints.expand(5, 8, 17, 3) + 0.003, H36M17)
        >>> metric = METRICS["mpjpe_single"]()
        >>> metric.update(guesses, truth)
        >>> round(metric.compute(), 2), metric.unit
        (5.2, 'mm')
    """

    name: str
    values: FrameValues
    unit: str = "mm"
    lower_is_better: bool = True
    min_frames: int = 1
    _sums: Tensor = field(default_factory=lambda: torch.zeros(3, dtype=torch.float64), repr=False)

    @property
    def n(self) -> int:
        """Number of frames in the mean."""
        return int(self._sums[1])

    @property
    def n_invalid(self) -> int:
        """Number of frames left out because their value is NaN."""
        return int(self._sums[2])

    @property
    def state(self) -> Float[Tensor, "3"]:
        """Sum, count and invalid count: add the states of several processes, then ``load``."""
        return self._sums.clone()

    def load(self, state: Float[Tensor, "3"]) -> None:
        """Replace the sums, for example by the sum of several processes' states."""
        self._sums = state.detach().cpu().double().clone()

    def update(self, hypotheses: Hypotheses, target: Poses3D) -> None:
        """Add one batch.

        Args:
            hypotheses: Root-relative, meters.
            target: The truth, with the same batch axes.

        Raises:
            ShapeError: If the axes do not belong together.
            SkeletonMismatchError: If the skeletons differ.
        """
        check_target(hypotheses, target)
        n_frames = target.joints.shape[:-2].numel()
        if target.joints.shape[-3] < self.min_frames:
            self._sums[2] += n_frames
            return
        values = self.values(hypotheses, target).detach().double().flatten().cpu()
        valid = values.isfinite()
        self._sums += torch.stack(
            [values[valid].sum(), valid.sum().double(), (~valid).sum().double()]
        )

    def merge(self, other: Any) -> None:
        """Add another accumulator's sums.

        Raises:
            OptionError: If the other measures something else.
        """
        if not isinstance(other, MeanOverFrames) or other.name != self.name:
            raise OptionError(f"{self.name} merges with {self.name} only, got {other!r}.")
        self._sums = self._sums + other._sums

    def compute(self) -> float:
        """The mean over valid frames; NaN if there is none."""
        return float(self._sums[0] / self._sums[1]) if self.n else float("nan")


def check_target(hypotheses: Hypotheses, target: Poses3D) -> None:
    """Refuse a truth that does not belong to the hypotheses.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        target: Should be ``(*batch, F, J, 3)`` in the same skeleton.

    Raises:
        ShapeError: If the axes differ.
        SkeletonMismatchError: If the skeletons differ.
    """
    if hypotheses.skeleton.name != target.skeleton.name:
        raise SkeletonMismatchError(
            f"Hypotheses are {hypotheses.skeleton.name!r}, the truth {target.skeleton.name!r}; "
            "compare poses of one skeleton."
        )
    x, y = hypotheses.joints.shape, target.joints.shape
    if (*x[:-4], *x[-3:]) != tuple(y):
        raise ShapeError(
            f"Hypotheses {tuple(x)} need a truth {(*x[:-4], *x[-3:])} without the hypothesis axis, "
            f"got {tuple(y)}."
        )


def _pairs(hypotheses: Hypotheses, target: Poses3D) -> tuple[Tensor, Tensor]:
    return hypotheses.joints, target.joints.unsqueeze(-4)


def _mean_pose(hypotheses: Hypotheses) -> Tensor:
    return hypotheses.joints.mean(-4)


def _single(h: Hypotheses, y: Poses3D) -> Tensor:
    return 1000 * joint_errors(*_pairs(h, y)).mean(-1).mean(-2)


def _mean(h: Hypotheses, y: Poses3D) -> Tensor:
    return 1000 * joint_errors(_mean_pose(h), y.joints).mean(-1)


def _p_single(h: Hypotheses, y: Poses3D) -> Tensor:
    return 1000 * p_joint_errors(*_pairs(h, y)).mean(-1).mean(-2)


def _p_mean(h: Hypotheses, y: Poses3D) -> Tensor:
    return 1000 * p_joint_errors(_mean_pose(h), y.joints).mean(-1)


def _n_mean(h: Hypotheses, y: Poses3D) -> Tensor:
    return 1000 * n_joint_errors(_mean_pose(h), y.joints).mean(-1)


def _clip_best(h: Hypotheses, y: Poses3D) -> Tensor:
    best = joint_errors(*_pairs(h, y)).mean((-2, -1)).amin(-1, keepdim=True)
    return 1000 * best.expand(y.joints.shape[:-2])


def _frame_best(h: Hypotheses, y: Poses3D) -> Tensor:
    return 1000 * joint_errors(*_pairs(h, y)).mean(-1).amin(-2)


def _joint_best(h: Hypotheses, y: Poses3D) -> Tensor:
    return 1000 * joint_errors(*_pairs(h, y)).amin(-3).mean(-1)


def _velocity(h: Hypotheses, y: Poses3D) -> Tensor:
    return 1000 * velocity_errors(*_pairs(h, y)).mean(-1).mean(-2)


def _velocity_mean(h: Hypotheses, y: Poses3D) -> Tensor:
    return 1000 * velocity_errors(_mean_pose(h), y.joints).mean(-1)


def _acceleration(h: Hypotheses, y: Poses3D) -> Tensor:
    return 1000 * acceleration_errors(*_pairs(h, y)).mean(-1).mean(-2)


def _pck(h: Hypotheses, y: Poses3D) -> Tensor:
    errors = joint_errors(_mean_pose(h), y.joints)
    hit = (errors < 0.150).to(errors.dtype)
    return 100 * torch.where(errors.isnan(), torch.nan, hit).mean(-1)


def _symmetry(h: Hypotheses, y: Poses3D) -> Tensor:
    del y
    frames = h.joints.movedim(-4, -3).flatten(0, -4)  # (frames, H, J, 3)
    return 1000 * torch.stack([symmetry_error(frame, h.skeleton) for frame in frames])


_TABLE: dict[str, tuple[FrameValues, str, bool, int]] = {
    "mpjpe_single": (_single, "mm", True, 1),
    "mpjpe_mean": (_mean, "mm", True, 1),
    "p_mpjpe_single": (_p_single, "mm", True, 1),
    "p_mpjpe_mean": (_p_mean, "mm", True, 1),
    "n_mpjpe_mean": (_n_mean, "mm", True, 1),
    "mpjpe_oracle_clip_best": (_clip_best, "mm", True, 1),
    "mpjpe_oracle_frame_best": (_frame_best, "mm", True, 1),
    "mpjpe_oracle_joint_best": (_joint_best, "mm", True, 1),
    "mpjve_single": (_velocity, "mm/frame", True, 2),
    "mpjve_mean": (_velocity_mean, "mm/frame", True, 2),
    "acceleration_error_single": (_acceleration, "mm/frame²", True, 3),
    "pck150_mean": (_pck, "%", False, 1),
    "symmetry_error_single": (_symmetry, "mm", True, 1),
}


def _maker(name: str) -> Callable[[], MeanOverFrames]:
    values, unit, lower_is_better, min_frames = _TABLE[name]
    return lambda: MeanOverFrames(name, values, unit, lower_is_better, min_frames)


METRICS: dict[str, Callable[[], MeanOverFrames]] = {name: _maker(name) for name in _TABLE}
"""Name -> a fresh accumulator. ``single`` is the expected error of one hypothesis, ``mean`` the
error of the mean pose; ``oracle`` names pick by the truth."""
