"""Is the spread of the hypotheses honest? Coverage, ranks, proper scores, recalibration."""

from hypopose.calibration.bootstrap import (
    Interval,
    ScoreAccumulator,
    cluster_bootstrap,
    paired_difference,
    sequence_sums,
)
from hypopose.calibration.conformal import ConformalBalls, Regions
from hypopose.calibration.crps import crps, crps_points
from hypopose.calibration.curves import (
    LEVELS,
    CalibrationCurve,
    CurveAccumulator,
    ece,
    rank_histogram,
)
from hypopose.calibration.functionals import FUNCTIONALS
from hypopose.calibration.histograms import RankHistogram, benjamini_hochberg, holm
from hypopose.calibration.intervals import ball_score, interval_score
from hypopose.calibration.known_posteriors import (
    ArmPosterior,
    PlacesPosterior,
    energy_distance,
)
from hypopose.calibration.min_at_k import min_at_k, oracle_min_at_k
from hypopose.calibration.moments import dawid_sebastiani
from hypopose.calibration.preranks import PRERANKS
from hypopose.calibration.published import PublishedCurve, cgnf_curve, platypose_curve
from hypopose.calibration.recalibration import (
    CALIBRATORS,
    Calibrator,
    Chain,
    IsotonicRadii,
    SpreadScaling,
    apply_calibrator,
    describe_calibrator,
    load_calibrator,
    save_calibrator,
)
from hypopose.calibration.records import Counts, Record, Settings
from hypopose.calibration.sbc import PoseSimulator, SbcResult, run_sbc, sbc_from_samples
from hypopose.calibration.scores import energy_score, energy_score_points
from hypopose.calibration.spread import (
    Sharpness,
    SpreadAccumulator,
    SpreadSkill,
    sharpness,
)
from hypopose.calibration.strata import StratifiedCurves, by_detection, by_label, by_value, speeds
from hypopose.calibration.tarp import TarpResult, tarp
from hypopose.calibration.variogram import variogram_score

__all__ = [
    "CALIBRATORS",
    "FUNCTIONALS",
    "LEVELS",
    "PRERANKS",
    "ArmPosterior",
    "CalibrationCurve",
    "Calibrator",
    "Chain",
    "ConformalBalls",
    "Counts",
    "CurveAccumulator",
    "Interval",
    "IsotonicRadii",
    "PlacesPosterior",
    "PoseSimulator",
    "PublishedCurve",
    "RankHistogram",
    "Record",
    "Regions",
    "SbcResult",
    "ScoreAccumulator",
    "Settings",
    "Sharpness",
    "SpreadAccumulator",
    "SpreadScaling",
    "SpreadSkill",
    "StratifiedCurves",
    "TarpResult",
    "apply_calibrator",
    "ball_score",
    "benjamini_hochberg",
    "by_detection",
    "by_label",
    "by_value",
    "cgnf_curve",
    "cluster_bootstrap",
    "crps",
    "crps_points",
    "dawid_sebastiani",
    "describe_calibrator",
    "ece",
    "energy_distance",
    "energy_score",
    "energy_score_points",
    "holm",
    "interval_score",
    "load_calibrator",
    "min_at_k",
    "oracle_min_at_k",
    "paired_difference",
    "platypose_curve",
    "rank_histogram",
    "run_sbc",
    "save_calibrator",
    "sbc_from_samples",
    "sequence_sums",
    "sharpness",
    "speeds",
    "tarp",
    "variogram_score",
]
