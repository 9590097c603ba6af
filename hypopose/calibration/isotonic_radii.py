"""Move each hypothesis to the radius that the truth would have at its rank."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.calibration.calibrator import (
    POINT_BYTES,
    Batch,
    FitRecord,
    Walk,
    center_and_spread,
    check_skeleton,
)
from hypopose.types import Hypotheses

EDGES = torch.logspace(-4, 4, 4001, dtype=torch.float64)
"""Bins of relative radii, 0.5 % wide."""
SHARES = torch.linspace(0.025, 0.975, 39, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class IsotonicRadii:
    """Move each hypothesis to the radius the truth would have at its rank.

    Radii are relative to the spread of their own frame, so the map is about shape and scale, and
    every frame keeps its own uncertainty. Quantiles of the hypotheses' relative radii are mapped to
    the same quantiles of the truth's (Kuleshov, Fenner and Ermon, 2018, for radii): increasing, and
    proportional beyond the last knot.

    Args:
        before: Quantiles of the hypotheses' relative radii, increasing.
        after: The same quantiles of the truth's.
        skeleton: Name of the skeleton.
        joint_names: Its joints.
        fitted: What it was fitted on.
    """

    before: Float[Tensor, "J Q"]
    after: Float[Tensor, "J Q"]
    skeleton: str
    joint_names: tuple[str, ...]
    fitted: FitRecord = field(default_factory=lambda: FitRecord(0, 0))
    kind: str = "isotonic_radii"

    @staticmethod
    def fit(
        batches: Iterable[Batch], *, n_sequences: int | None = None, source: str = ""
    ) -> IsotonicRadii:
        """Learn the quantiles.

        Each hypothesis, and the truth, is measured from the mean of the *others* and in their
        spread, so that calibrated hypotheses stay where they are, for every number of them.

        Args:
            batches: Hypotheses and truth; a list of one pair will do.
            n_sequences: Independent sequences n behind them. A new sequence differs from those
                seen, so the truth's quantiles are taken at (n + 1) / n times their share, as
                conformal prediction does; None uses them unchanged.
            source: Where the data come from, for the file.

        Raises:
            OptionError: If there is nothing to fit, or fewer than three hypotheses.
        """
        walk, counts = Walk(batches, 4 * POINT_BYTES, least=3), torch.zeros(1, dtype=torch.float64)
        for x, y in walk:
            counts = counts + _radius_counts(x, y)
        names = walk.skeleton.joint_names
        more = 1.0 if n_sequences is None else (n_sequences + 1) / n_sequences
        before, after = _quantiles(counts[0], 1.0), _quantiles(counts[1], more)
        moving = (counts.sum(-1) > 0).all(0) & (before > 0).all(-1)
        before = torch.where(moving[:, None], before, SHARES)
        after = torch.where(moving[:, None], after, SHARES)
        fitted = FitRecord(walk.n_hypotheses, walk.n_frames, source)
        return IsotonicRadii(before, after, walk.skeleton.name, names, fitted)

    def transform(self, hypotheses: Hypotheses) -> Hypotheses:
        """Hypotheses at their new radii; mean, directions, root positions and NaN stay.

        Raises:
            SkeletonMismatchError: If fitted for another skeleton.
        """
        check_skeleton(hypotheses, self.kind, self.skeleton)
        x = hypotheses.joints
        flat = x.reshape(-1, *x.shape[-4:])
        center = center_and_spread(flat)[0]
        relative = relative_radii(flat.double())[0].nan_to_num(posinf=0)
        factor = self._factor(relative.cpu()).to(flat).unsqueeze(-1)
        moved = center + factor * (flat - center)
        return replace(hypotheses, joints=moved.reshape(x.shape))

    def _factor(self, relative: Tensor) -> Tensor:
        """New over old radius for ``(..., J)`` relative radii."""
        columns = relative.movedim(-1, 0).contiguous()
        flat = columns.reshape(len(columns), -1)
        zero = torch.zeros(len(columns), 1, dtype=torch.float64)
        old, new = torch.cat([zero, self.before], -1), torch.cat([zero, self.after], -1)
        right = torch.searchsorted(old, flat).clamp(1, old.shape[-1] - 1)
        x0, x1 = old.gather(-1, right - 1), old.gather(-1, right)
        y0, y1 = new.gather(-1, right - 1), new.gather(-1, right)
        inside = y0 + (y1 - y0) * (flat - x0) / (x1 - x0).clamp(min=1e-12)
        beyond = flat * (new[:, -1:] / old[:, -1:])
        value = torch.where(flat > old[:, -1:], beyond, inside)
        factor = torch.where(flat > 0, value / flat.clamp(min=1e-12), 1)
        return factor.reshape(columns.shape).movedim(0, -1)

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build the calibrator again."""
        return {"before": self.before.tolist(), "after": self.after.tolist()}

    @staticmethod
    def from_json(fields: dict[str, Any]) -> IsotonicRadii:
        """Build the calibrator from the fields of its file."""
        before = torch.tensor(fields.pop("before"), dtype=torch.float64)
        after = torch.tensor(fields.pop("after"), dtype=torch.float64)
        return IsotonicRadii(before, after, **fields)


def relative_radii(x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """Distances from the mean of the other hypotheses, over the spread of the others.

    Args:
        x: ``(N, H, F, J, 3)``.
        y: The truth ``(N, F, J, 3)``, measured from the same means.

    Returns:
        ``(N, H, F, J)`` for hypotheses, and for the truth if given. With two hypotheses the spread
        of both takes the place of the spread of one.
    """
    finite = x.isfinite().all(-1)
    s = finite.sum(1, keepdim=True)
    center, spread = center_and_spread(x)
    d = x - center
    others = (s - 1).clamp(min=1)
    squares = spread**2 * others - (d**2).sum(-1) * s / others
    spread = torch.where(s > 2, (squares.clamp(min=0) / (s - 2).clamp(min=1)).sqrt(), spread)
    radii = d.norm(dim=-1) * s / others / spread
    if y is None:
        return radii, None
    return radii, (y.unsqueeze(1) - center + d / others.unsqueeze(-1)).norm(dim=-1) / spread


def _radius_counts(x: Tensor, y: Tensor) -> Tensor:
    """Histograms of relative radii, hypotheses then truth: ``(2, J, bins)``."""
    j = x.shape[3]
    out = []
    for radii in relative_radii(x, y):
        assert radii is not None  # the truth was given
        bins = torch.bucketize(radii, EDGES).clamp(1, len(EDGES) - 1) - 1
        index = bins + torch.arange(j) * (len(EDGES) - 1)
        good = radii.isfinite()
        counts = torch.bincount(index[good], minlength=j * (len(EDGES) - 1))
        out.append(counts.double().reshape(j, -1))
    return torch.stack(out)


def _quantiles(counts: Tensor, more: float) -> Tensor:
    """Quantiles of binned radii at ``more`` times the shares, ``(J, Q)``, strictly increasing."""
    cumulative = counts.cumsum(-1) / counts.sum(-1, keepdim=True).clamp(min=1)
    shares = (more * SHARES).clamp(max=1 - 1e-9).expand(len(counts), -1).contiguous()
    at = torch.searchsorted(cumulative.contiguous(), shares).clamp(max=len(EDGES) - 2)
    middle = (EDGES[:-1] * EDGES[1:]).sqrt()[at]
    return middle + 1e-9 * torch.arange(len(SHARES), dtype=torch.float64)
