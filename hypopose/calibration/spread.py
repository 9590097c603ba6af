"""Whether the spread predicts the error: spread-skill, sparsification, sharpness.

Fortin, Abaza, Anctil and Turcotte, "Why should ensemble spread match the RMSE of the ensemble
mean?" (2014); ENCE: Levi, Gispan, Giladi and Fetaya (2019); sparsification (AUSE): Ilg et al.,
"Uncertainty estimates and multi-hypotheses networks for optical flow" (2018).

    spread^2     mean over observations of tr Cov(x_s) (S+1)/S, what the error of the mean should be
    skill^2      mean of |y - mean_s x_s|^2
    ratio        spread / skill: 1 when reliable, below 1 overconfident
    AUSE         area between the error left after dropping the most uncertain joints and the error
                 left after dropping the worst ones, relative to the error of all

Spread is judged against the mean hypothesis. Sharpness needs no truth and is not a quality measure
alone: maximize it subject to calibration (Gneiting, Balabdaoui and Raftery, 2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hypopose.calibration.paired_arrays import blocks, paired
from hypopose.calibration.proper_scores import half_pair_distance
from hypopose.errors import OptionError
from hypopose.types import Hypotheses, Poses3D


@dataclass(frozen=True, eq=False)
class SpreadSkill:
    """How the spread of hypotheses relates to the error of their mean.

    Args:
        joints: Names of the joints.
        ratio_per_joint: ``(K,)`` spread over skill per joint.
        spread: ``(B,)`` root mean square spread in bins of increasing spread (equal counts).
        skill: ``(B,)`` root mean square error in the same bins.
        ratio: Spread over skill of everything.
        ence: Mean over bins of ``|skill - spread|`` / spread.
        spearman: Rank correlation between spread and error.
        kept: ``(P,)`` fractions of joints kept, 1 down to 0.05.
        sparsification: ``(P,)`` mean error of the joints kept if the most uncertain go first.
        oracle_sparsification: ``(P,)`` the same if the worst go first (uses the truth).
        n: Observations.
    """

    joints: tuple[str, ...]
    ratio_per_joint: Tensor
    spread: Tensor
    skill: Tensor
    ratio: float
    ence: float
    spearman: float
    kept: Tensor
    sparsification: Tensor
    oracle_sparsification: Tensor
    n: int

    @property
    def ause(self) -> float:
        """Area between the two sparsification curves over the mean error; 0 is best."""
        gap = self.sparsification - self.oracle_sparsification
        return float(torch.trapezoid(gap.flip(0), self.kept.flip(0)) / self.sparsification[0])

    def selective_error(self, kept: float) -> float:
        """Mean error of the most certain share ``kept`` of the joints."""
        nearest = int((self.kept - kept).abs().argmin())
        return float(self.sparsification[nearest])


@dataclass(eq=False)
class SpreadAccumulator:
    """Streams hypotheses and truth into a :class:`SpreadSkill`; mergeable.

    Memory: eight bytes per observation (its spread and its error), whatever S is.

    Args:
        joints: Joints by index; all but the root if None (fixed by the first batch).
        n_bins: Bins of the diagram.

    Raises:
        OptionError: From ``update`` with one hypothesis, which has no spread.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> scale = torch.rand(500, 1, 1, 3, 1, generator=g)
        >>> x = scale * torch.randn(500, 21, 1, 3, 3, generator=g)
        >>> spread = SpreadAccumulator()
        >>> spread.update(x[:, 1:], x[:, 0])
        >>> result = spread.compute()
        >>> abs(result.ratio - 1) < 0.05, result.spearman > 0.5
        (True, True)
    """

    joints: Sequence[int] | None = None
    n_bins: int = 10
    _names: tuple[str, ...] = field(default=(), init=False, repr=False)
    _seen: Tensor = field(default_factory=lambda: torch.empty(2, 0, 0), init=False, repr=False)
    _n: int = field(default=0, init=False, repr=False)

    def update(self, hypotheses: Hypotheses | Tensor, truth: Poses3D | Tensor) -> None:
        """Add a batch ``(*batch, H, F, J, 3)`` with its truth ``(*batch, F, J, 3)``."""
        pairs = paired(hypotheses, truth)
        if pairs.n_hypotheses < 2:
            raise OptionError("One hypothesis has no spread; draw two or more.")
        self.joints = pairs.judged_joints(self.joints)
        self._names = tuple(pairs.names()[j] for j in self.joints)
        n, s, f = pairs.x.shape[:3]
        for items, frames in blocks(n, f, 3 * s * len(self.joints) * 3 * pairs.x.element_size()):
            x = pairs.x[items, :, frames][..., list(self.joints), :]
            y = pairs.y[items, frames][..., list(self.joints), :]
            finite = x.isfinite().all(-1, keepdim=True)
            count = finite.sum(1).clamp(min=1)
            mean = torch.where(finite, x, 0).sum(1) / count
            squares = torch.where(finite, (x - mean.unsqueeze(1)) ** 2, 0).sum(1).sum(-1)
            m = count.squeeze(-1)
            variance = torch.where(m > 1, squares / (m - 1) * (m + 1) / m, torch.nan)
            both = torch.stack([variance.sqrt(), (y - mean).norm(dim=-1)])
            self._append(both.flatten(1, 2))

    def _append(self, both: Tensor) -> None:
        """Keep ``(2, n, K)`` in one buffer that doubles: small ones fragment memory."""
        n = self._n + both.shape[1]
        if n > self._seen.shape[1]:
            grown = torch.empty(2, max(n, 2 * self._seen.shape[1]), both.shape[2])
            if self._n:
                grown[:, : self._n] = self._seen[:, : self._n]
            self._seen = grown
        self._seen[:, self._n : n] = both
        self._n = n

    def merge(self, other: SpreadAccumulator) -> None:
        """Add another accumulator's observations."""
        if other._n:
            self._append(other._seen[:, : other._n])
        self._names = self._names or other._names
        self.joints = self.joints or other.joints

    def compute(self) -> SpreadSkill:
        """The summary of everything seen so far.

        Raises:
            OptionError: If nothing usable was seen.
        """
        if not self._n:
            raise OptionError("No data yet; call update(hypotheses, truth) first.")
        spread, error = self._seen[:, : self._n].double()
        used = spread.isfinite() & error.isfinite()
        ratio = [
            float(spread[u, k].square().mean().sqrt() / error[u, k].square().mean().sqrt())
            for k, u in enumerate(used.T)
        ]
        spread, error = spread[used], error[used]
        if not len(spread):
            raise OptionError("Every observation is NaN; there is nothing to judge.")
        order = spread.argsort()
        bins = [b for b in order.tensor_split(self.n_bins) if len(b)]
        binned_spread = torch.stack([spread[b].square().mean().sqrt() for b in bins])
        binned_skill = torch.stack([error[b].square().mean().sqrt() for b in bins])
        kept = torch.arange(20, 0, -1, dtype=torch.float64) / 20
        return SpreadSkill(
            joints=self._names,
            ratio_per_joint=torch.tensor(ratio, dtype=torch.float64),
            spread=binned_spread,
            skill=binned_skill,
            ratio=float(spread.square().mean().sqrt() / error.square().mean().sqrt()),
            ence=float(((binned_skill - binned_spread).abs() / binned_spread).mean()),
            spearman=_spearman(spread, error),
            kept=kept,
            sparsification=_left_over(error[order], kept),
            oracle_sparsification=_left_over(error.sort().values, kept),
            n=len(spread),
        )


def _left_over(error: Tensor, kept: Tensor) -> Tensor:
    """Mean of the first share of errors, for each share."""
    mean = error.cumsum(0) / torch.arange(1, len(error) + 1, dtype=torch.float64)
    return mean[(kept * len(error)).ceil().long().clamp(1, len(error)) - 1]


def _spearman(a: Tensor, b: Tensor) -> float:
    ranks = torch.stack([a.argsort().argsort(), b.argsort().argsort()]).double()
    return float(torch.corrcoef(ranks)[0, 1]) if len(a) > 1 else float("nan")


@dataclass(frozen=True, eq=False)
class Sharpness:
    """How wide the hypotheses are, per joint and without any truth; unit of the inputs.

    Args:
        levels: ``(L,)`` nominal levels.
        radius: ``(L, J)`` mean radius of the ball around the median that holds the share.
        distance_to_mean: ``(J,)`` mean distance of hypotheses to their mean.
        pair_distance: ``(J,)`` mean distance between two hypotheses.
        std: ``(J, 3)`` root mean square standard deviation per axis (x right, y down, z depth).
        log_det: ``(J,)`` mean log determinant of the joint covariance; -inf if it is flat.
    """

    levels: Tensor
    radius: Tensor
    distance_to_mean: Tensor
    pair_distance: Tensor
    std: Tensor
    log_det: Tensor


def sharpness(
    hypotheses: Hypotheses | Tensor, *, levels: Sequence[float] = (0.5, 0.8, 0.95)
) -> Sharpness:
    """Measure the width of hypotheses.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)`` with two hypotheses or more, without NaN.
        levels: Shares of hypotheses the balls hold.

    Raises:
        OptionError: If there is one hypothesis only, or a NaN.

    Example:
        >>> x = torch.randn(400, 1, 2, 3, generator=torch.Generator().manual_seed(0))
        >>> (sharpness(2 * x).pair_distance / sharpness(x).pair_distance).round().tolist()
        [2.0, 2.0]
    """
    x = hypotheses.joints if isinstance(hypotheses, Hypotheses) else hypotheses
    x = x.detach().reshape(-1, *x.shape[-4:])
    if x.shape[1] < 2 or not bool(x.isfinite().all()):
        raise OptionError("Sharpness needs two hypotheses or more, and no NaN.")
    shares = torch.tensor(list(levels)).to(x)
    parts: list[tuple[Tensor, ...]] = []
    n, s, f, j = x.shape[:4]
    for items, frames in blocks(n, f, 8 * s * j * 3 * x.element_size()):
        block = x[items, :, frames].transpose(1, 2).flatten(0, 1)
        mean = block.mean(1, keepdim=True)
        centered = (block - mean).double()
        radius = (block - block.quantile(0.5, dim=1, keepdim=True)).norm(dim=-1)
        covariance = torch.einsum("msja,msjb->mjab", centered, centered) / (s - 1)
        parts.append(
            (
                radius.quantile(shares, dim=1).double().sum(1),
                centered.norm(dim=-1).mean(1).sum(0),
                2 * half_pair_distance(block.transpose(1, 2)).sum(0),
                covariance.diagonal(dim1=-2, dim2=-1).sum(0),
                torch.linalg.slogdet(covariance).logabsdet.sum(0),
            )
        )
    radius, to_mean, pair, variance, log_det = (sum(p, torch.zeros(())).cpu() / (n * f) for p in
                                                zip(*parts, strict=True))  # fmt: skip
    return Sharpness(shares.double().cpu(), radius, to_mean, pair, variance.sqrt(), log_det)
