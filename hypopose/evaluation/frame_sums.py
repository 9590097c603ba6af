"""Sums of values per frame by action and sequence: means with intervals over whole sequences."""

from __future__ import annotations

import math
from collections.abc import Container, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from hypopose.calibration import Estimate, cluster_bootstrap
from hypopose.calibration.bootstrap import Array, mean_of_sums

Cell = tuple[str, Hashable]
"""An action and a sequence."""


@dataclass(eq=False)
class FrameSums:
    """Sum, number and invalid number of per-frame values, by action and sequence; mergeable."""

    table: dict[Cell, dict[str, Tensor]] = field(default_factory=dict)

    def update(self, values: Mapping[str, Tensor], cells: list[Cell]) -> None:
        """Add values ``(N, F)`` of N items; frames without a finite value count as invalid."""
        for key, frames in values.items():
            good = frames.isfinite()
            total = torch.where(good, frames, 0.0).double().sum(-1)
            sums = torch.stack([total, good.sum(-1).double(), (~good).sum(-1).double()], -1)
            for cell, row in zip(cells, sums.cpu(), strict=True):
                self._add(cell, key, row)

    def _add(self, cell: Cell, key: str, row: Tensor) -> None:
        rows = self.table.setdefault(cell, {})
        rows[key] = rows[key] + row if key in rows else row

    def merge(self, other: FrameSums) -> None:
        """Add another accumulator's sums."""
        for cell, rows in other.table.items():
            for key, row in rows.items():
                self._add(cell, key, row)

    @property
    def keys(self) -> tuple[str, ...]:
        """Scores that were seen, in order of appearance."""
        return tuple(dict.fromkeys(key for rows in self.table.values() for key in rows))

    def by_sequence(
        self, key: str, action: str | Container[Cell] | None = None
    ) -> dict[Hashable, Tensor]:
        """Sequence -> sum, number, invalid number; of one action, of some cells, or of all."""
        found: dict[Hashable, Tensor] = {}
        for cell, rows in sorted(self.table.items(), key=lambda item: str(item[0])):
            if key in rows and _chosen(cell, action):
                before = found.get(cell[1])
                found[cell[1]] = rows[key] if before is None else before + rows[key]
        return found

    def mean_of_groups(
        self, key: str, groups: Sequence[Container[Cell]], *, interval: bool = True
    ) -> Estimate | None:
        """The unweighted mean of group means, as tables of benchmarks have it.

        A resample without any sequence of a group is averaged over the other groups.

        Args:
            key: Of the score.
            groups: The cells of each.
            interval: Whether to resample sequences.

        Returns:
            None if nothing was seen; NaN if a group has no finite value.
        """
        tables = [self.by_sequence(key, cells) for cells in groups]
        sequences = list(dict.fromkeys(sequence for table in tables for sequence in table))
        if not sequences:
            return None
        nothing = torch.zeros(3, dtype=torch.float64)
        rows = torch.stack(
            [torch.stack([table.get(s, nothing) for table in tables]) for s in sequences]
        )
        total = rows.sum(0)
        value = float((total[:, 0] / total[:, 1]).mean())
        used = rows[rows[..., 1].sum(-1) > 0, :, :2].numpy()
        low = high = math.nan
        if interval and math.isfinite(value):
            low, high = (float(end) for end in cluster_bootstrap(used, _mean_of_means))
        return Estimate(value, low, high, len(used), int(total[:, 2].sum()))

    def estimate(
        self, key: str, action: str | Container[Cell] | None = None, *, interval: bool = True
    ) -> Estimate | None:
        """Mean over frames with its interval over sequences; None if nothing was seen."""
        by_sequence = self.by_sequence(key, action)
        if not by_sequence:
            return None
        rows = torch.stack(list(by_sequence.values()))
        total, n, n_invalid = rows.sum(0).tolist()
        used = rows[rows[:, 1] > 0, :2].numpy()
        if not n:
            return Estimate(math.nan, n_invalid_frames=int(n_invalid))
        low, high = cluster_bootstrap(used) if interval else (math.nan, math.nan)
        return Estimate(total / n, float(low), float(high), len(used), int(n_invalid))


def _chosen(cell: Cell, action: str | Container[Cell] | None) -> bool:
    if action is None or isinstance(action, str):
        return action in (None, cell[0])
    return cell in action


def _mean_of_means(drawn: Array) -> Array:
    """``(draws, groups, 2)`` sums and numbers to ``(draws,)``; groups that were not drawn apart."""
    return np.asarray(np.nanmean(mean_of_sums(drawn), -1))
