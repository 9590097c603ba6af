"""Calibrators one after another, each fitted on the output of the one before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hypopose.calibration.calibrator import Batch, Calibrator, FitRecord
from hypopose.calibration.isotonic_radii import IsotonicRadii
from hypopose.calibration.spread_scaling import Per, SpreadScaling
from hypopose.errors import OptionError, SkeletonMismatchError
from hypopose.types import Hypotheses


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

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The joints of the skeleton."""
        return self.steps[0].joint_names

    @property
    def fitted(self) -> FitRecord:
        """What the first step was fitted on."""
        return self.steps[0].fitted

    def to_json(self) -> dict[str, Any]:
        """The steps; :mod:`hypopose.calibration.calibrator_files` writes each as its own."""
        return {"steps": list(self.steps)}
