"""Split conformal prediction: balls with guaranteed coverage, for any sampler.

Vovk, Gammerman and Shafer (2005); whole sequences as units: Lee, Barber and Willett, "Distribution-
free inference with hierarchical data" (2023); Mondrian groups: Vovk, Lindsay, Nouretdinov and
Gammerman (2003); blocks: Chernozhukov, Wüthrich and Zhu (2018).

    score_kfj    distance of the truth from the mean hypothesis, over the spread if scaled
    F_k          distribution of the scores of unit k = 1..n (a sequence, or a block of frames)
    radius       least r with sum_k F_k(r) / (n + 1) >= level

A random frame of a new sequence, exchangeable with those fitted, is covered at least this often.
Frames of one sequence are not exchangeable with those of another, so n counts sequences: a level
above n / (n + 1) has no finite radius. Blocks make more units, and promise less: blocks of one
sequence are taken for independent.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hypopose.calibration.calibrator import (
    POINT_BYTES,
    Batch,
    FitRecord,
    Walk,
    center_and_spread,
    check_skeleton,
)
from hypopose.calibration.paired_arrays import paired
from hypopose.errors import OptionError, ShapeError
from hypopose.types import Hypotheses, Poses3D, Skeleton

Groups = str | Mapping[str, Sequence[str]]
"""``joint`` (each its own), ``all``, or joint names by group."""


@dataclass(frozen=True, eq=False)
class Regions:
    """A ball per joint and frame.

    Args:
        center: Mean hypothesis, in the frame and unit of the hypotheses.
        radius: Radius in the same unit; infinite where too few units were fitted.
        level: Nominal coverage.
    """

    center: Float[Tensor, "*batch F J 3"]
    radius: Float[Tensor, "*batch F J"]
    level: float

    def contains(self, truth: Poses3D | Tensor) -> Tensor:
        """``(*batch, F, J)`` 1 where the truth is inside, 0 outside, NaN where it is unknown."""
        y = truth.joints if isinstance(truth, Poses3D) else truth
        distance = (y.to(self.center) - self.center).norm(dim=-1)
        return torch.where(distance.isfinite(), (distance <= self.radius).to(distance), torch.nan)


@dataclass(frozen=True, eq=False)
class ConformalBalls:
    """Conformal radii per level and joint group.

    Args:
        levels: Nominal levels.
        radii: Radius per group and level: in meters, or in spreads of the hypotheses if scaled.
        group_of: Group of each joint.
        group_names: A name per group.
        scaled: Whether radii are in units of the spread (the root of the trace of the covariance).
        n_units: Sequences or blocks behind the guarantee.
        skeleton: Name of the skeleton.
        joint_names: Its joints.
        fitted: What it was fitted on.

    Example:
        >>> from hypopose.skeletons import get_skeleton
        >>> g, skeleton = torch.Generator().manual_seed(0), get_skeleton("h36m17")
        >>> x = torch.randn(400, 6, 1, 17, 3, generator=g)
        >>> fit, new = x[:200], x[200:]
        >>> pair = Hypotheses(fit[:, 1:], skeleton), Poses3D(fit[:, 0], skeleton)
        >>> balls = ConformalBalls.fit([pair], levels=(0.8,))
        >>> regions = balls.regions(Hypotheses(new[:, 1:], skeleton), 0.8)
        >>> inside = regions.contains(new[:, 0])[..., 1:]
        >>> 0.77 < inside.mean().item() < 0.83
        True
    """

    levels: tuple[float, ...]
    radii: Float[Tensor, "G L"]
    group_of: Int[Tensor, "J"]
    group_names: tuple[str, ...]
    scaled: bool
    n_units: int
    skeleton: str
    joint_names: tuple[str, ...]
    fitted: FitRecord = field(default_factory=lambda: FitRecord(0, 0))
    kind: str = "conformal_balls"

    @staticmethod
    def fit(
        batches: Iterable[Batch],
        *,
        levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95),
        sequences: Iterable[Sequence[Hashable]] | None = None,
        block: int | None = None,
        groups: Groups = "joint",
        scaled: bool = True,
        source: str = "",
    ) -> ConformalBalls:
        """Compute the radii.

        Args:
            batches: Hypotheses and truth; a list of one pair will do.
            levels: Nominal levels.
            sequences: For each batch, the sequence of each item; None: every item is its own.
            block: Frames per unit, to cut sequences into blocks; None: whole sequences.
            groups: Joints that share a radius (Mondrian groups).
            scaled: Measure distances in spreads of the hypotheses: wide where they are.
            source: Where the data come from, for the file.

        Raises:
            OptionError: If an option is out of range, or there is nothing to fit.
        """
        _check_fit(levels, block)
        labels: Iterator[Sequence[Hashable] | None]
        labels = itertools.repeat(None) if sequences is None else iter(sequences)
        scores, units = [], []
        ids: dict[Hashable, int] = {}
        skeleton, s = None, 0
        for i, (hypotheses, truth) in enumerate(batches):
            scores.append(_scores(hypotheses, truth, scaled))
            units.append(_units(scores[-1], next(labels), block, i, ids))
            skeleton, s = hypotheses.skeleton, len(hypotheses)
        if skeleton is None:
            raise OptionError("There is nothing to fit: no batch came.")
        n_frames = sum(x.shape[0] * x.shape[1] for x in scores)
        group_of, names_of_groups = joint_groups(skeleton, groups)
        flat = torch.cat([x.flatten(0, 1) for x in scores])
        unit = torch.cat([u.flatten() for u in units])
        radii = torch.stack(
            [
                _radii(flat[:, group_of == g], unit, len(ids), levels)
                for g in range(len(names_of_groups))
            ]
        )
        return ConformalBalls(
            tuple(levels), radii, group_of, names_of_groups, scaled, len(ids),
            skeleton.name, skeleton.joint_names, FitRecord(s, n_frames, source),
        )  # fmt: skip

    def regions(self, hypotheses: Hypotheses, level: float) -> Regions:
        """Balls around the mean hypothesis.

        Args:
            hypotheses: In the skeleton it was fitted for, about as many as fitted with.
            level: One of the fitted levels.

        Raises:
            OptionError: If the level was not fitted.
            SkeletonMismatchError: If fitted for another skeleton.
        """
        if level not in self.levels:
            raise OptionError(f"Radii were fitted for {self.levels}, not {level}; fit it as well.")
        check_skeleton(hypotheses, self.kind, self.skeleton)
        x = hypotheses.joints
        center, spread = center_and_spread(x.reshape(-1, *x.shape[-4:]))
        radius = self.radii[:, self.levels.index(level)][self.group_of].to(x)
        radius = radius * spread if self.scaled else radius.expand(spread.shape)
        batch = x.shape[:-4]
        return Regions(
            center.reshape(*batch, *x.shape[-3:]), radius.reshape(*batch, *x.shape[-3:-1]), level
        )

    def transform(self, hypotheses: Hypotheses) -> Hypotheses:
        """Hypotheses whose balls around the mean have the conformal radii.

        In each frame a joint's distances from the mean are scaled such that the share q of the
        hypotheses lies within the conformal radius of every fitted level q; factors are
        interpolated between levels, and constant beyond the first and the last finite one. Mean,
        directions and NaN stay.

        Raises:
            SkeletonMismatchError: If fitted for another skeleton.
        """
        check_skeleton(hypotheses, self.kind, self.skeleton)
        x = hypotheses.joints
        flat = x.reshape(-1, *x.shape[-4:])
        center, spread = center_and_spread(flat)
        offset = flat - center
        distance = offset.norm(dim=-1).double().movedim(1, -1)  # (N, F, J, H)
        unit = spread.squeeze(1).double() if self.scaled else torch.ones_like(distance[..., 0])
        factor = torch.ones_like(distance)
        for j in range(distance.shape[-2]):
            factor[..., j, :] = self._factors(j, distance[..., j, :], unit[..., j, None])
        moved = offset * factor.movedim(-1, 1).unsqueeze(-1).to(offset)
        moved = center + moved - center_and_spread(moved)[0]
        return replace(hypotheses, joints=moved.reshape(x.shape))

    def _factors(self, joint: int, distance: Tensor, unit: Tensor) -> Tensor:
        """New over old distance ``(N, F, H)`` of one joint; ``unit`` is that of the radii."""
        radii = self.radii[self.group_of[joint]].double()
        known = radii.isfinite()
        if not bool(known.any()) or not bool((distance > 0).any()):
            return torch.ones_like(distance)
        levels = torch.tensor(self.levels, dtype=torch.float64)[known]
        n = distance.shape[-1]
        rising = distance.nan_to_num(nan=torch.inf)
        order = rising.argsort(-1)
        own = torch.arange(1, n + 1, dtype=torch.float64) / (n + 1)
        at_levels = interpolated(
            levels.expand(*order.shape[:-1], -1), own, rising.gather(-1, order)
        )
        # The mean includes each hypothesis but not the truth: n / (n - 1) corrects for that.
        wanted = radii[known] * unit * (n - 1) / n
        ratio = torch.where(at_levels > 0, wanted / at_levels.clamp(min=1e-12), 1)
        in_order = interpolated(own.expand(*order.shape[:-1], -1), levels, ratio)
        return torch.empty_like(distance).scatter_(-1, order, in_order)

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build the calibrator again."""
        finite = [[r if r < float("inf") else None for r in row] for row in self.radii.tolist()]
        return {
            "levels": list(self.levels),
            "radii": finite,
            "group_of": self.group_of.tolist(),
            "group_names": list(self.group_names),
            "scaled": self.scaled,
            "n_units": self.n_units,
        }

    @staticmethod
    def from_json(fields: dict[str, Any]) -> ConformalBalls:
        """Build the calibrator from the fields of its file."""
        rows = [[float("inf") if r is None else r for r in row] for row in fields.pop("radii")]
        return ConformalBalls(
            levels=tuple(fields.pop("levels")),
            radii=torch.tensor(rows, dtype=torch.float64),
            group_of=torch.tensor(fields.pop("group_of")),
            group_names=tuple(fields.pop("group_names")),
            **fields,
        )


def _check_fit(levels: Sequence[float], block: int | None) -> None:
    if not all(0 < q < 1 for q in levels) or (block is not None and block < 1):
        raise OptionError(
            f"Levels lie between 0 and 1 and a block has a frame or more; got {tuple(levels)} and "
            f"{block}."
        )


def interpolated(at: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Piecewise linear values ``(..., A)`` at ``at``, constant beyond the knots.

    Args:
        at: ``(..., A)``.
        knots: ``(K,)`` increasing.
        values: ``(..., K)`` at the knots.

    Example:
        >>> x = torch.tensor([0.0, 0.25, 2.0])
        >>> interpolated(x, torch.tensor([0.0, 0.5, 1.0]), torch.tensor([0.0, 4.0, 6.0])).tolist()
        [0.0, 2.0, 6.0]
    """
    if len(knots) == 1:
        return values.expand(*values.shape[:-1], at.shape[-1])
    at = at.clamp(knots[0], knots[-1]).contiguous()
    right = torch.searchsorted(knots, at).clamp(1, len(knots) - 1)
    share = (at - knots[right - 1]) / (knots[right] - knots[right - 1])
    values = values.expand(*at.shape[:-1], len(knots))
    low, high = values.gather(-1, right - 1), values.gather(-1, right)
    return low + share * (high - low)


def joint_groups(skeleton: Skeleton, groups: Groups) -> tuple[Tensor, tuple[str, ...]]:
    """Group of each joint, and the groups' names; joints in no group share ``others``.

    Raises:
        OptionError: If the grouping has no such name.
        SkeletonMismatchError: If it names a joint the skeleton lacks.

    Example:
        >>> hand = Skeleton("hand", ("wrist", "thumb", "index"), (-1, 0, 0))
        >>> joint_groups(hand, {"fingers": ["thumb", "index"]})
        (tensor([1, 0, 0]), ('fingers', 'others'))
    """
    if groups == "joint":
        return torch.arange(skeleton.n_joints), skeleton.joint_names
    if groups == "all":
        return torch.zeros(skeleton.n_joints, dtype=torch.long), ("all",)
    if isinstance(groups, str):
        raise OptionError(f"groups is 'joint', 'all' or a mapping of names, got {groups!r}.")
    names = [*groups, "others"]
    group_of = torch.full((skeleton.n_joints,), len(groups))
    for g, joints in enumerate(groups.values()):
        group_of[[skeleton.index(joint) for joint in joints]] = g
    if not bool((group_of == len(groups)).any()):
        names.pop()
    return group_of, tuple(names)


def _scores(hypotheses: Hypotheses, truth: Poses3D, scaled: bool) -> Tensor:
    """Distances of the truth ``(N, F, J)``, over the spread if scaled."""
    n, f, j = paired(hypotheses, truth).y.shape[:3]
    parts = []
    for x, y in Walk([(hypotheses, truth)], 2 * POINT_BYTES, least=2 if scaled else 1):
        center, spread = center_and_spread(x)
        distance = (y.unsqueeze(1) - center).norm(dim=-1)
        relative = torch.where(spread > 0, distance / spread, torch.inf)
        at_center = (distance == 0) & (spread == 0)
        score = torch.where(at_center, 0, relative) if scaled else distance
        parts.append(torch.where(distance.isfinite(), score, torch.nan).reshape(-1, j))
    return torch.cat(parts).reshape(n, f, j)


def _units(
    scores: Tensor,
    names: Sequence[Hashable] | None,
    block: int | None,
    batch: int,
    ids: dict[Hashable, int],
) -> Tensor:
    """Number of the unit each frame belongs to, ``(N, F)``; ``ids`` grows."""
    n, f = scores.shape[:2]
    if names is not None and len(names) != n:
        raise ShapeError(f"{n} items need as many sequence labels, got {len(names)}.")
    out = torch.empty(n, f, dtype=torch.long)
    for i in range(n):
        sequence = (batch, i) if names is None else names[i]
        for start in range(0, f, block or f):
            key = (sequence, start, batch, i) if block else sequence
            out[i, start : start + (block or f)] = ids.setdefault(key, len(ids))
    return out


def _radii(scores: Tensor, unit: Tensor, n_units: int, levels: Sequence[float]) -> Tensor:
    """Conformal quantiles ``(L,)`` of ``(M, joints)`` scores, every unit weighing the same."""
    weight_of = unit[:, None].expand_as(scores)[scores.isnan().logical_not()]
    values = scores[scores.isnan().logical_not()].double()
    counts = torch.bincount(weight_of, minlength=n_units).double()
    present = int((counts > 0).sum())
    weights = 1 / counts[weight_of] / (present + 1)
    order = values.argsort()
    cumulative = weights[order].cumsum(0)
    at = torch.searchsorted(cumulative, torch.tensor(list(levels), dtype=torch.float64) - 1e-12)
    padded = torch.cat([values[order], torch.tensor([torch.inf], dtype=torch.float64)])
    return padded[at]
