"""Fit a calibrator by name."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from hypopose.calibration.calibrator import Batch, Calibrator
from hypopose.calibration.chain import Chain
from hypopose.calibration.conformal import ConformalBalls
from hypopose.calibration.isotonic_radii import IsotonicRadii
from hypopose.calibration.spread_scaling import SpreadScaling
from hypopose.errors import OptionError

Labels = Sequence[Sequence[Hashable]]
Fit = Callable[[Sequence[Batch], Labels, str], Calibrator]

FITS: dict[str, Fit] = {
    "pose": lambda batches, labels, source: SpreadScaling.fit(batches, per="pose", source=source),
    "joint": lambda batches, labels, source: SpreadScaling.fit(batches, per="joint", source=source),
    "axis": lambda batches, labels, source: SpreadScaling.fit(batches, per="axis", source=source),
    "isotonic": lambda batches, labels, source: IsotonicRadii.fit(
        batches, n_sequences=_count(labels), source=source
    ),
    "chain": lambda batches, labels, source: Chain.fit(
        batches, n_sequences=_count(labels), source=source
    ),
    "conformal": lambda batches, labels, source: ConformalBalls.fit(
        batches, sequences=labels, source=source
    ),
}
"""What can be fitted: one factor per pose, joint or axis; radii; axis and radii; balls."""


def _count(labels: Labels) -> int:
    return len({label for batch in labels for label in batch})


def check_method(method: str) -> None:
    """Refuse a method of fitting that is not there, before anything is sampled.

    Raises:
        OptionError: If there is no such method.
    """
    if method not in FITS:
        raise OptionError(f"--method is one of {', '.join(FITS)}, not {method!r}.")


def fit_calibrator(
    batches: Sequence[Batch], method: str, sequences: Labels, source: str = ""
) -> Calibrator:
    """Fit a calibrator.

    Args:
        batches: Hypotheses and truth; kept in memory, since some fits look at them twice.
        method: A key of :data:`FITS`.
        sequences: For each batch, the sequence of each item.
        source: Where the data come from, for the file.

    Raises:
        OptionError: If there is no such method, or nothing to fit.
    """
    check_method(method)
    return FITS[method](batches, sequences, source)
