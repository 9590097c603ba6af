"""Is the spread of the hypotheses honest? Coverage, ranks, proper scores, recalibration."""

from hypopose.calibration.curves import LEVELS, CalibrationCurve, CurveAccumulator, ece
from hypopose.calibration.functionals import FUNCTIONALS
from hypopose.calibration.records import Counts, Record, Settings
from hypopose.calibration.scores import energy_score, energy_score_points

__all__ = [
    "FUNCTIONALS",
    "LEVELS",
    "CalibrationCurve",
    "Counts",
    "CurveAccumulator",
    "Record",
    "Settings",
    "ece",
    "energy_score",
    "energy_score_points",
]
