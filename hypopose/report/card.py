"""What weights are known to be worth: the calibration measured on a benchmark, kept beside them."""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path

from hypopose.evaluation import CalibrationResults, load_results

NAME = "calibration.json"
"""What ``hypopose calibrate --benchmark`` wrote, in the folder of the weights."""


def card_calibration(weights: str) -> CalibrationResults | None:
    """The calibration measured for weights, if it lies beside them.

    Args:
        weights: Bundled weights by name, or a folder.

    Raises:
        FormatError: If the file is damaged.

    Example:
        >>> card_calibration("no such weights") is None
        True
    """
    if not weights:
        return None
    bundled = Path(str(files("hypopose") / "weights" / weights / NAME))
    path = Path(weights) / NAME if Path(weights).is_dir() else bundled
    return load_results(path) if path.is_file() else None


def card_sentence(weights: str, recalibrated: bool = False) -> str:
    """How well the spread of a sampler's hypotheses is calibrated, as measured elsewhere.

    Args:
        weights: Bundled weights by name, or a folder.
        recalibrated: Whether a calibrator moved the hypotheses, which the measurement knows not.

    Returns:
        One sentence; it says so if nothing was measured.
    """
    if not weights:
        return "This sampler has no weights, so no calibration was measured for it."
    known = card_calibration(weights)
    if known is None or not known.coverage:
        return f"The weights {weights} come without a measured calibration ({NAME})."
    row = known.coverage[0]
    told = [(q, c) for q, c in zip(row.levels, row.coverage, strict=True) if not math.isnan(c)]
    levels = " / ".join(f"{100 * q:.0f}" for q, _ in told)
    held = " / ".join(f"{100 * c:.0f}" for _, c in told)
    sequences = known.settings.get("sequences", "unknown").partition(",")[0]
    state = "before recalibration, " if recalibrated else ""
    return (
        f"Measured for {weights} ({state}{known.settings.get('data', 'unknown data')}, "
        f"{sequences} sequences): regions that should hold {levels} % of the truths hold {held} %."
    )
