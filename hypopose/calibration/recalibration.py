"""Make the spread honest: fit on one split, transform another, and say how far off it still is.

A calibrator is a frozen object with ``fit`` (on hypotheses whose truth is known), ``transform`` (on
hypotheses whose truth is not), and a JSON file. Three of them move hypotheses along the line from
their mean and so keep the mean, the order in time and the coherence of each hypothesis; the fourth,
:class:`hypopose.calibration.conformal.ConformalBalls`, gives regions with a guarantee.

    SpreadScaling    x' = c + tau (x - c): one factor per pose, joint or axis
    IsotonicRadii    |x' - c| = g(|x - c|) with g increasing: also changes the shape
    Chain            one after another

Joints are moved on their own, so bone lengths of single hypotheses change a little; ``per="pose"``
changes them least.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.calibration.arrays import blocks, paired
from hypopose.calibration.scores import half_pair_distance
from hypopose.errors import FormatError, OptionError, SkeletonMismatchError
from hypopose.io.atomic import write_atomically
from hypopose.types import Hypotheses, Poses3D, Skeleton

Batch = tuple[Hypotheses, Poses3D]
"""Hypotheses and their truth, in one skeleton."""

POINT_BYTES = 24
"""One 3D point in double precision."""
Per = Literal["pose", "joint", "axis"]


@runtime_checkable
class Calibrator(Protocol):
    """Moves hypotheses so that their spread is honest."""

    @property
    def kind(self) -> str:
        """Its key in :data:`CALIBRATORS`."""
        ...

    @property
    def skeleton(self) -> str:
        """Name of the skeleton it was fitted for."""
        ...

    def transform(self, hypotheses: Hypotheses) -> Hypotheses:
        """The same hypotheses with an honest spread."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build the calibrator again."""
        ...


@dataclass(frozen=True)
class FitRecord:
    """What a calibrator was fitted on.

    Args:
        n_hypotheses: Hypotheses per item; other numbers may be transformed.
        n_frames: Frames used.
        source: Where the data come from, in words.
    """

    n_hypotheses: int
    n_frames: int
    source: str = ""


def center_and_spread(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of the finite hypotheses and the root of the trace of their covariance.

    Args:
        x: ``(N, H, F, J, 3)``.

    Returns:
        ``(N, 1, F, J, 3)`` and ``(N, 1, F, J)``; NaN and 0 where fewer than two are finite.
    """
    finite = x.isfinite().all(-1, keepdim=True)
    n = finite.sum(1, keepdim=True)
    center = torch.where(finite, x, 0).sum(1, keepdim=True) / n
    squares = torch.where(finite, (x - center) ** 2, 0).sum((1, -1)).unsqueeze(1)
    return center, (squares / (n.squeeze(-1) - 1).clamp(min=1)).sqrt()


def _checked(hypotheses: Hypotheses, kind: str, skeleton: str) -> None:
    if hypotheses.skeleton.name != skeleton:
        raise SkeletonMismatchError(
            f"This {kind} calibrator was fitted for skeleton {skeleton!r}, the hypotheses are in "
            f"{hypotheses.skeleton.name!r}; convert them or fit another."
        )


class Walk:
    """Go through batches in bounded memory, and remember what they were.

    Args:
        batches: Hypotheses and truth in one skeleton, with one number of hypotheses.
        bytes_per_point: Working memory per hypothesis and joint.
        least: Fewest hypotheses that will do.
    """

    def __init__(self, batches: Iterable[Batch], bytes_per_point: int, least: int = 2) -> None:
        self._batches = batches
        self._least = least
        self._bytes = bytes_per_point
        self._skeleton: Skeleton | None = None
        self.n_hypotheses = 0
        self.n_frames = 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Blocks of hypotheses ``(n, H, f, J, 3)`` and truth ``(n, f, J, 3)``, float64.

        Raises:
            SkeletonMismatchError: If skeletons differ.
            OptionError: If there are fewer than two hypotheses, or another number than before.
        """
        for hypotheses, truth in self._batches:
            self._note(hypotheses)
            pairs = paired(hypotheses, truth)
            n, s, f, j = pairs.x.shape[:4]
            self.n_frames += n * f
            for items, frames in blocks(n, f, s * j * self._bytes):
                yield (
                    pairs.x[items, :, frames].double().cpu(),
                    pairs.y[items, frames].double().cpu(),
                )

    def _note(self, hypotheses: Hypotheses) -> None:
        s = len(hypotheses)
        if self._skeleton is not None and hypotheses.skeleton.name != self._skeleton.name:
            raise SkeletonMismatchError(
                f"All batches must be in one skeleton; got {hypotheses.skeleton.name!r} after "
                f"{self._skeleton.name!r}."
            )
        if s < self._least or self.n_hypotheses not in (0, s):
            raise OptionError(
                f"This fit needs {self._least} hypotheses or more, the same number in every batch; "
                f"got {s} after {self.n_hypotheses}."
            )
        self._skeleton, self.n_hypotheses = hypotheses.skeleton, s

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the batches.

        Raises:
            OptionError: If no batch came.
        """
        if self._skeleton is None:
            raise OptionError("There is nothing to fit: no batch came.")
        return self._skeleton


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
        _checked(hypotheses, self.kind, self.skeleton)
        x = hypotheses.joints
        flat = x.reshape(-1, *x.shape[-4:])
        center, s = center_and_spread(flat)[0], flat.shape[1]
        # A truth of spread tau is as far from these hypotheses as they are from each other.
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
        # The mean wanders with its S hypotheses; this factor gives c + a d the spread tau has for
        # the distribution they come from, so that tau does not depend on S.
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
                conformal prediction does; None takes them as they are.
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
        _checked(hypotheses, self.kind, self.skeleton)
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


@dataclass(frozen=True, eq=False)
class Chain:
    """Apply calibrators one after another; fit each on the output of the one before.

    Args:
        steps: Calibrators of one skeleton.

    Raises:
        OptionError: If there is none.
        SkeletonMismatchError: If skeletons differ.
    """

    steps: tuple[Calibrator, ...]
    kind: str = "chain"

    def __post_init__(self) -> None:
        if not self.steps:
            raise OptionError("A chain needs at least one calibrator.")
        if len({step.skeleton for step in self.steps}) > 1:
            raise SkeletonMismatchError("All calibrators of a chain must have one skeleton.")

    @property
    def skeleton(self) -> str:
        """Name of the skeleton."""
        return self.steps[0].skeleton

    @staticmethod
    def fit(
        batches: Iterable[Batch],
        *,
        per: Per = "axis",
        n_sequences: int | None = None,
        source: str = "",
    ) -> Chain:
        """Fit spread scaling, then isotonic radii on what it gives.

        Args:
            batches: Hypotheses and truth; a list of one pair will do.
            per: What has its own factor.
            n_sequences: See :meth:`IsotonicRadii.fit`.
            source: Where the data come from, for the file.
        """
        kept = list(batches)
        scaling = SpreadScaling.fit(kept, per=per, source=source)
        moved = ((scaling.transform(hypotheses), truth) for hypotheses, truth in kept)
        radii = IsotonicRadii.fit(moved, n_sequences=n_sequences, source=source)
        return Chain((scaling, radii))

    def transform(self, hypotheses: Hypotheses) -> Hypotheses:
        """Hypotheses after every step."""
        for step in self.steps:
            hypotheses = step.transform(hypotheses)
        return hypotheses

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build the calibrator again."""
        return {"steps": [_document(step) for step in self.steps]}

    @staticmethod
    def from_json(fields: dict[str, Any]) -> Chain:
        """Build the calibrator from the fields of its file."""
        return Chain(tuple(calibrator_from_json(step) for step in fields["steps"]))


CALIBRATORS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "spread_scaling": SpreadScaling.from_json,
    "isotonic_radii": IsotonicRadii.from_json,
    "chain": Chain.from_json,
}
"""Kinds of calibrator files and what builds each."""


def describe_calibrator(calibrator: Any, file: str) -> dict[str, Any]:
    """What a result keeps of the calibrator that mended it.

    Args:
        calibrator: Any kind in :data:`CALIBRATORS`.
        file: Its file's name.

    Returns:
        ``kind``, ``file``, ``fitted_on`` (in words) and ``fitted_hypotheses`` (how many an item).

    Example:
        >>> tau = torch.ones(2, 3, dtype=torch.float64)
        >>> scaling = SpreadScaling(tau, "stick", ("a", "b"), FitRecord(20, 500, "val"))
        >>> describe_calibrator(scaling, "calibrator.json")["fitted_on"]
        'val'
    """
    fitted = (calibrator.steps[0] if calibrator.kind == "chain" else calibrator).fitted
    return {
        "kind": calibrator.kind,
        "file": file,
        "fitted_on": fitted.source,
        "fitted_hypotheses": fitted.n_hypotheses,
    }


def _document(calibrator: Any) -> dict[str, Any]:
    document = {"format": "hypopose-calibrator", "version": 1, "kind": calibrator.kind}
    if calibrator.kind != "chain":
        document |= {"skeleton": calibrator.skeleton, "joint_names": list(calibrator.joint_names),
                     "fitted": vars(calibrator.fitted)}  # fmt: skip
    return document | calibrator.to_json()


def calibrator_from_json(document: dict[str, Any]) -> Any:
    """Build a calibrator from its JSON document.

    Raises:
        FormatError: If it is not one.
    """
    fields = dict(document)
    if fields.pop("format", None) != "hypopose-calibrator" or fields.pop("version", None) != 1:
        raise FormatError("This is not a calibrator of version 1; write one with save_calibrator.")
    kind = fields.pop("kind", None)
    if kind not in CALIBRATORS:
        raise FormatError(f"No calibrator is called {kind!r}; known: {', '.join(CALIBRATORS)}.")
    try:
        if "joint_names" in fields:
            fields["joint_names"] = tuple(fields["joint_names"])
            fields["fitted"] = FitRecord(**fields["fitted"])
        return CALIBRATORS[kind](fields)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"The {kind} calibrator is damaged ({error}); fit it again.") from error


def save_calibrator(calibrator: Any, path: str | Path) -> None:
    """Write a calibrator as JSON; the file appears only when it is complete.

    Args:
        calibrator: Any kind in :data:`CALIBRATORS`.
        path: Where to, for example ``calibrator.json``.
    """
    text = json.dumps(_document(calibrator), indent=1)
    with write_atomically(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def load_calibrator(path: str | Path) -> Any:
    """Read a calibrator.

    Args:
        path: A file of :func:`save_calibrator`.

    Returns:
        The calibrator it holds, of whichever kind.

    Raises:
        FormatError: If the file is not a calibrator; the message names it.
    """
    path = Path(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise FormatError("This is not a calibrator; write one with save_calibrator.")
        return calibrator_from_json(document)
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: {error}") from error


def apply_calibrator(hypotheses: Hypotheses, path: str | Path) -> Hypotheses:
    """Read a calibrator and transform hypotheses with it.

    Args:
        hypotheses: In the skeleton the calibrator was fitted for.
        path: A file of :func:`save_calibrator`.

    Raises:
        FormatError: If the file is not a calibrator.
        OptionError: If it gives regions rather than hypotheses (conformal balls).
        SkeletonMismatchError: If fitted for another skeleton.
    """
    calibrator = load_calibrator(path)
    if not isinstance(calibrator, Calibrator):
        raise OptionError(
            f"{path} holds {calibrator.kind}, which gives regions and moves no hypothesis; use a "
            "spread_scaling, isotonic_radii or chain calibrator here."
        )
    return calibrator.transform(hypotheses)
