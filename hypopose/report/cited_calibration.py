"""The calibration measured for the weights of a result, in words for the report."""

from __future__ import annotations

from importlib.resources import files
from itertools import groupby
from pathlib import Path

from hypopose.evaluation.weights_calibration import (
    NAME,
    BenchmarkCalibration,
    WeightsCalibration,
    load_weights_calibration,
)

LEVEL = "0.8"
"""The regions that the sentence is about."""


def calibration_sentence(weights: str, recalibrated: bool = False) -> str:
    """How many joints the regions of a sampler's hypotheses contain, as measured elsewhere.

    Args:
        weights: Bundled weights by name, or a folder.
        recalibrated: Whether a calibrator moved the hypotheses.

    Returns:
        One sentence; it says so if nothing was measured.

    Raises:
        FormatError: If the file with the measurement is damaged.

    Example:
        >>> calibration_sentence("")
        'This sampler has no weights, so no calibration was measured for it.'
    """
    if not weights:
        return "This sampler has no weights, so no calibration was measured for it."
    folder = Path(weights)
    if not folder.is_dir():
        folder = Path(str(files("hypopose") / "weights" / weights))
    known = load_weights_calibration(folder)
    if known is None or not known.benchmarks:
        return f"The weights {weights} come without a measured calibration ({NAME})."
    if not known.is_of(folder):
        return f"{NAME} of the weights {weights} was measured with other weights; measure it again."
    return _sentence(weights, known, recalibrated)


def _sentence(weights: str, known: WeightsCalibration, recalibrated: bool) -> str:
    after = recalibrated and all(row.recalibrated for row in known.benchmarks)
    state = " after recalibration" if after else " before recalibration" if recalibrated else ""
    groups = groupby(known.benchmarks, key=lambda row: row.people)
    told = "; ".join(f"{_shares(list(rows), after)} of {people}" for people, rows in groups)
    level = 100 * float(LEVEL)
    return f"Measured for {weights}{state}: {level:.0f} % regions contain {told}."


def _shares(rows: list[BenchmarkCalibration], after: bool) -> str:
    cells = [
        f"{100 * (row.recalibrated if after else row.coverage)[LEVEL]:.0f} % ({row.benchmark})"
        for row in rows
    ]
    return " and ".join(cells)
