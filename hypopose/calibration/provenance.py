"""What a calibration result was computed from; needed to compare it with another."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypopose.errors import OptionError


@dataclass(frozen=True)
class Settings:
    """How truth and hypotheses were prepared before they came here.

    Args:
        alignment: ``"none"``, or the name of the alignment. Alignment to the truth (Procrustes)
            before a calibration check uses the truth and flatters the hypotheses.
        ground_truth: What was used of the truth: ``"none"`` if it was only compared
            with, else for example ``"root position"``.
        seed: Seed of the hypotheses, if known.
        unit: Unit of the joints, for reports.
    """

    alignment: str = "none"
    ground_truth: str = "none"
    seed: int | None = None
    unit: str = "m"


@dataclass(frozen=True)
class Counts:
    """How many observations were used, and which were odd.

    Args:
        observations: Comparisons of one truth value with its hypotheses, over all cells.
        sequences: Independent units they come from.
        missing_truth: Observations skipped because the truth is NaN.
        no_hypothesis: Observations skipped because every hypothesis is NaN.
        nan_hypotheses: Single hypotheses left out of a used observation because they are NaN.
        tied: Observations whose truth ties with a hypothesis; the tie is split evenly.
        identical: Observations whose hypotheses are all the same: a point prediction.
    """

    observations: int = 0
    sequences: int = 0
    missing_truth: int = 0
    no_hypothesis: int = 0
    nan_hypotheses: int = 0
    tied: int = 0
    identical: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, k) + getattr(other, k) for k in self.__dataclass_fields__))


@dataclass(frozen=True)
class Record:
    """The conventions behind a result: two results compare only if these agree.

    Args:
        n_hypotheses: Hypotheses per observation, S.
        cells: What was judged, by name: joints, axes, bones.
        root: What became of the root joint.
        settings: What the caller says about alignment, ground truth, seed and unit.
        counts: Observations used, skipped and odd.
        notes: Further remarks.
    """

    n_hypotheses: int
    cells: tuple[str, ...]
    root: str
    settings: Settings = field(default_factory=Settings)
    counts: Counts = field(default_factory=Counts)
    notes: tuple[str, ...] = ()

    def merged(self, other: Record) -> Record:
        """The record of both halves.

        Raises:
            OptionError: If the halves follow different conventions.
        """
        mine = replace(self, counts=Counts(), notes=())
        theirs = replace(other, counts=Counts(), notes=())
        if mine != theirs:
            raise OptionError(
                f"Only results with the same conventions merge; {mine} is not {theirs}. "
                "Recompute one with the other's settings."
            )
        notes = tuple(dict.fromkeys((*self.notes, *other.notes)))
        return replace(self, counts=self.counts + other.counts, notes=notes)
