"""Scale the spread around the mean hypothesis by factors that minimize the energy score."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

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
from hypopose.calibration.proper_scores import half_pair_distance
from hypopose.types import Hypotheses

Per = Literal["pose", "joint", "axis"]
TAUS = torch.logspace(-4, 5, 91, base=2.0, dtype=torch.float64)
"""Factors tried, 1/16 to 32; the best is refined by a parabola."""


@dataclass(frozen=True, eq=False)
class SpreadScaling:
    """Scale the spread around the mean hypothesis: ``x' = c + tau (x - c)``.

    The mean c of S hypotheses wanders itself, so the factor applied is
    ``sqrt((S tau^2 + 1) / (S + 1))``: tau for many hypotheses, and right for few.

    Args:
        tau: Factor per joint and axis of the camera frame (x right, y down, z depth); above 1
            widens.
        skeleton: Name of the skeleton.
        joint_names: Its joints.
        fitted: What it was fitted on.

    Example:
        >>> import torch
        >>> from hypopose.types import Hypotheses, Poses3D
        >>> from hypopose.skeletons import get_skeleton
        >>> g, skeleton = torch.Generator().manual_seed(0), get_skeleton("h36m17")
        >>> x = torch.randn(300, 21, 1, 17, 3, generator=g)
        >>> narrow = Hypotheses(0.5 * x[:, 1:], skeleton)
        >>> scaling = SpreadScaling.fit([(narrow, Poses3D(x[:, 0], skeleton))], per="pose")
        >>> round(scaling.tau[1, 0].item(), 1)
        2.0
    """

    tau: Float[Tensor, "J 3"]
    skeleton: str
    joint_names: tuple[str, ...]
    fitted: FitRecord = field(default_factory=lambda: FitRecord(0, 0))
    kind: str = "spread_scaling"

    @staticmethod
    def fit(batches: Iterable[Batch], *, per: Per = "axis", source: str = "") -> SpreadScaling:
        """Choose the factors that minimize the fair energy score.

        The score of one coordinate (the CRPS) decides for ``axis``, that of each joint for
        ``joint``, the sum over joints for ``pose``. It is convex in tau.

        Args:
            batches: Hypotheses and truth; a list of one pair will do.
            per: What has its own factor.
            source: Where the data come from, for the file.

        Raises:
            OptionError: If there is nothing to fit, or one hypothesis only.
        """
        walk, total = Walk(batches, 12 * POINT_BYTES), torch.zeros(1, dtype=torch.float64)
        for x, y in walk:
            total = total + _scores_at(x, y, per)
        names = walk.skeleton.joint_names
        if per == "pose":
            total = total.sum(1, keepdim=True)
        tau = _minimum(total).T.expand(-1, 3) if per != "axis" else _minimum(total).reshape(-1, 3)
        tau = tau.expand(len(names), 3).clone()
        tau[walk.skeleton.root] = 1
        fitted = FitRecord(walk.n_hypotheses, walk.n_frames, source)
        return SpreadScaling(tau, walk.skeleton.name, names, fitted)

    def transform(self, hypotheses: Hypotheses) -> Hypotheses:
        """Hypotheses with the scaled spread; mean, root positions and NaN stay.

        Raises:
            SkeletonMismatchError: If fitted for another skeleton.
        """
        check_skeleton(hypotheses, self.kind, self.skeleton)
        x = hypotheses.joints
        flat = x.reshape(-1, *x.shape[-4:])
        center, s = center_and_spread(flat)[0], flat.shape[1]
        # With spread tau the truth is on average as far from the hypotheses as they are from each
        # other.
        factor = ((s * self.tau**2 + 1) / (s + 1)).sqrt().to(flat)
        moved = center + factor * (flat - center)
        return replace(hypotheses, joints=moved.reshape(x.shape))

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build the calibrator again."""
        return {"tau": self.tau.tolist()}

    @staticmethod
    def from_json(fields: dict[str, Any]) -> SpreadScaling:
        """Build the calibrator from the fields of its file."""
        tau = torch.tensor(fields.pop("tau"), dtype=torch.float64)
        return SpreadScaling(tau, **fields)


def _scores_at(x: Tensor, y: Tensor, per: Per) -> Tensor:
    """Summed fair energy score at each of T taus: ``(T, J)``, or ``(T, 3 J)`` per axis."""
    center, _ = center_and_spread(x)
    d, miss = x - center, y.unsqueeze(1) - center
    if per == "axis":
        d, miss = d.flatten(-2).unsqueeze(-1), miss.flatten(-2).unsqueeze(-1)
    used = (d.isfinite().all(-1).all(1, keepdim=True) & miss.isfinite().all(-1)).squeeze(1)
    d, miss = d.nan_to_num(), miss.nan_to_num()
    pair = half_pair_distance(d.movedim(1, -2))
    scores = []
    s = x.shape[1]
    for tau in TAUS.tolist():
        # The sample mean of S hypotheses is itself noisy. This factor gives c + a d the spread that
        # tau has for the underlying distribution, so that tau does not depend on S.
        a = math.sqrt(max(0.0, (s * tau**2 - 1) / (s - 1)))
        error = (a * d - miss).norm(dim=-1).mean(1)
        scores.append(torch.where(used, error - tau * pair, 0).sum((0, 1)))
    return torch.stack(scores)


def _minimum(scores: Tensor) -> Tensor:
    """Where each column of ``(T, K)`` is least, ``(1, K)``, refined by a parabola in log tau."""
    best = scores.argmin(0).clamp(1, len(TAUS) - 2)
    k = torch.arange(scores.shape[1])
    low, mid, high = scores[best - 1, k], scores[best, k], scores[best + 1, k]
    bend = low - 2 * mid + high
    shift = torch.where(bend > 0, 0.5 * (low - high) / bend, 0).clamp(-1, 1)
    step = math.log2(float(TAUS[1] / TAUS[0]))
    return (TAUS.log2()[best] + shift * step).exp2().unsqueeze(0)
