"""The ECE in the forms of published tables, streamed: sums of their curves by sequence.

Both forms depend on the number of hypotheses and are here to be compared with tables that state it;
:mod:`hypopose.calibration` says how they are defined.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hypopose.calibration import (
    Estimate,
    PublishedCurve,
    cgnf_curve,
    cluster_bootstrap,
    platypose_curve,
)
from hypopose.calibration.bootstrap import Array
from hypopose.types import Hypotheses, Poses3D

if TYPE_CHECKING:
    from hypopose.evaluation.benchmark_draws import Draw

FORMS: dict[str, Callable[[Hypotheses, Poses3D], PublishedCurve]] = {
    "ece_cgnf": cgnf_curve,
    "ece_platypose": platypose_curve,
}
"""Key of the score -> the published curve of a batch."""


PUBLISHED_TITLES = {
    "ece_cgnf": "ECE in the form of cGNF (grows as hypotheses get fewer)",
    "ece_platypose": "ECE in the form of Platypose (root row kept; grows likewise)",
}
"""Key of the score -> what tables call it."""


@dataclass(eq=False)
class PublishedSums:
    """Sums of published curves; mergeable.

    Args:
        table: Form -> sequence -> ``(21, J, 2)``: sum of comparisons, and how many items.
    """

    table: dict[str, dict[Hashable, Tensor]] = field(default_factory=dict)

    def update(self, draw: Draw) -> None:
        """Add a draw; clips with a number that is not finite are left out, as the forms ask."""
        known = draw.hypotheses.joints.isfinite().all(-1).flatten(1).all(-1)
        known &= draw.truth.joints.isfinite().all(-1).flatten(1).all(-1)
        rows = known.nonzero().flatten()
        if not len(rows):
            return
        x = Hypotheses(draw.hypotheses.joints[rows], draw.hypotheses.skeleton)
        y = Poses3D(draw.truth.joints[rows], draw.truth.skeleton)
        sequences = [draw.sequences[i] for i in rows.tolist()]
        for form, curve_of in FORMS.items():
            per_item = curve_of(x, y).per_item
            per_clip = per_item.reshape(len(rows), -1, *per_item.shape[1:])
            sums = torch.stack([per_clip.nansum(1), per_clip.isfinite().sum(1).double()], -1)
            for sequence, row in zip(sequences, sums, strict=True):
                self._add(form, sequence, row)

    def _add(self, form: str, sequence: Hashable, row: Tensor) -> None:
        rows = self.table.setdefault(form, {})
        rows[sequence] = rows[sequence] + row if sequence in rows else row

    def merge(self, other: PublishedSums) -> None:
        """Add another one's sums."""
        for form, rows in other.table.items():
            for sequence, row in rows.items():
                self._add(form, sequence, row)

    def scores(self, intervals: bool = True) -> dict[str, Estimate]:
        """The ECE of every form.

        Args:
            intervals: Whether to resample sequences; the published ECE is biased upwards in every
                resample, so that an interval may lie above the value.
        """
        found = {}
        for form, by_sequence in self.table.items():
            rows = torch.stack(list(by_sequence.values())).numpy()
            low = high = float("nan")
            if intervals:
                low, high = (float(end) for end in cluster_bootstrap(rows, _ece))
            found[form] = Estimate(float(_ece(rows.sum(0, keepdims=True))[0]), low, high, len(rows))
        return found


def _ece(drawn: Array) -> Array:
    """``(draws, 21, J, 2)`` sums to ``(draws,)``: mean distance of the median joint's curve."""
    levels = np.linspace(0, 1, drawn.shape[1])
    curve = np.nanmedian(drawn[..., 0] / drawn[..., 1], axis=-1)
    return np.asarray(np.abs(curve - levels).mean(-1))
