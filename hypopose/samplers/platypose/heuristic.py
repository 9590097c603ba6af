"""Platypose by the paper's gradient steps: see :mod:`hypopose.samplers.platypose`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.checks import check_positive
from hypopose.samplers.platypose.error_covariance import ErrorCovariance
from hypopose.samplers.platypose.likelihood import Placement, View, conditioned, descent, look
from hypopose.samplers.platypose.posterior import Platypose
from hypopose.types import NoiseSource


@dataclass(frozen=True)
class HeuristicPlatypose(Platypose):
    """Platypose whose clean estimates walk down the reprojection error.

    Args:
        energy_scale: λ, the step size; None for a fifth of the stability bound.
        n_substeps: K, gradient steps per network evaluation.

    Raises:
        OptionError: If an option is out of range.
    """

    energy_scale: float | None = None
    n_substeps: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(energy_scale=self.energy_scale, n_substeps=self.n_substeps)

    def _fresh(self, n: int, basis: Tensor, noise: NoiseSource) -> None:
        """No draws: gradient steps end at one point."""

    def _moved(
        self,
        joints: Float[Tensor, "H F J 3"],
        place: Float[Tensor, "H 4"],
        errors: ErrorCovariance,
        variance: float,
        views: tuple[View, ...],
        regressor: Float[Tensor, "K J"] | None,
        placement: Placement,
        fresh: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, Tensor]:
        """The placement from a Gaussian update, the joints from gradient steps."""
        _, place = conditioned(
            joints, place, errors, variance, views, regressor, placement, fresh=fresh, n_rounds=1
        )
        at = placement.at(place)
        return push(joints, at, views, regressor, self.energy_scale, self.n_substeps), place


def push(
    joints: Float[Tensor, "H F J 3"],
    placed: Float[Tensor, "H 4"],
    views: tuple[View, ...],
    regressor: Float[Tensor, "K J"] | None,
    energy_scale: float | None,
    n_substeps: int,
) -> Float[Tensor, "H F J 3"]:
    """The paper's guidance, one step size per hypothesis.

    The energy is half the mean over keypoints of the squared reprojection error, summed over frames
    and cameras, in units of half the image, weighted by 6.25 px over the keypoint's deviation,
    squared. Its curvature at a joint is about ``w (f / z)² / K``: steps above ``2 K z² / (w f²)``
    diverge. The default is a fifth of that at the most curved joint of the hypothesis, as the
    paper's λ = 30 is at 5 m. A step size is divided by ten after its hypothesis'
    energy rose.

    Args:
        joints: Clean estimates, meters.
        placed: Offset and pitch.
        views: Keypoints.
        regressor: From joints to keypoints; None if they are the same.
        energy_scale: Step size; None for a fifth of the bound.
        n_substeps: Steps.
    """
    offset, pitch = placed[:, None, None, :3], placed[:, 3]
    n_points = joints.shape[2] if regressor is None else len(regressor)
    unit = 0.0125**2 / n_points

    def seen(x: Tensor) -> Tensor:
        return (x if regressor is None else regressor @ x) + offset

    best = torch.full((len(joints),), torch.inf, dtype=joints.dtype)
    if energy_scale is None:
        slopes = [look(seen(joints), pitch, view).slope for view in views]
        size = 0.2 * _largest_step(slopes, unit, regressor)
    else:
        size = torch.full_like(best, energy_scale)
    for _ in range(n_substeps):
        found = [descent(seen(joints), pitch, view) for view in views]
        energy = torch.stack([e for e, _ in found]).sum(0) * unit / 2
        better = energy < best * (1 - 1e-4)
        best = torch.where(better, energy, best)
        size = torch.where(better, size, size / 10)
        down = torch.stack([d for _, d in found]).sum(0) * unit
        down = down if regressor is None else regressor.mT @ down
        joints = joints + size[:, None, None, None] * down
    return joints


def _largest_step(
    slopes: list[Tensor], unit: float, regressor: Tensor | None
) -> Float[Tensor, " H"]:
    """Beyond it steps at the most curved joint of a hypothesis diverge."""
    curved = sum(slope.square().sum((-1, -2)) for slope in slopes)
    norm = 1.0 if regressor is None else float(torch.linalg.matrix_norm(regressor, 2)) ** 2
    return 2 / (unit * norm * cast(Tensor, curved).amax((1, 2))).clamp(min=1e-12)
