"""Is the spread of the hypotheses calibrated? Coverage, ranks, proper scores, recalibration."""

from hypopose.calibration.bootstrap import Estimate, cluster_bootstrap, paired_difference
from hypopose.calibration.calibration_curve import CalibrationCurve
from hypopose.calibration.calibrator import Calibrator
from hypopose.calibration.calibrator_files import (
    CALIBRATORS,
    describe_calibrator,
    load_calibrator,
    save_calibrator,
)
from hypopose.calibration.chain import Chain
from hypopose.calibration.conformal import ConformalBalls, Regions
from hypopose.calibration.crps import crps, crps_points
from hypopose.calibration.curve_accumulator import LEVELS, CurveAccumulator
from hypopose.calibration.curves import ece, rank_histogram
from hypopose.calibration.fitting import fit_calibrator
from hypopose.calibration.histograms import RankHistogram, benjamini_hochberg, holm
from hypopose.calibration.isotonic_radii import IsotonicRadii
from hypopose.calibration.judged_quantities import JUDGED_QUANTITIES
from hypopose.calibration.min_at_k import min_at_k, oracle_min_at_k
from hypopose.calibration.preranks import PRERANKS
from hypopose.calibration.proper_scores import energy_score, energy_score_points
from hypopose.calibration.provenance import Counts, Record, Settings
from hypopose.calibration.published_curve import PublishedCurve, cgnf_curve, platypose_curve
from hypopose.calibration.sbc import SbcResult, run_sbc, sbc_from_samples
from hypopose.calibration.spread import (
    Sharpness,
    SpreadAccumulator,
    SpreadSkill,
    sharpness,
)
from hypopose.calibration.spread_scaling import SpreadScaling
from hypopose.calibration.tarp import TarpResult, tarp

__all__ = [
    "CALIBRATORS",
    "JUDGED_QUANTITIES",
    "LEVELS",
    "PRERANKS",
    "CalibrationCurve",
    "Calibrator",
    "Chain",
    "ConformalBalls",
    "Counts",
    "CurveAccumulator",
    "Estimate",
    "IsotonicRadii",
    "PublishedCurve",
    "RankHistogram",
    "Record",
    "Regions",
    "SbcResult",
    "Settings",
    "Sharpness",
    "SpreadAccumulator",
    "SpreadScaling",
    "SpreadSkill",
    "TarpResult",
    "benjamini_hochberg",
    "cgnf_curve",
    "cluster_bootstrap",
    "crps",
    "crps_points",
    "describe_calibrator",
    "ece",
    "energy_score",
    "energy_score_points",
    "fit_calibrator",
    "holm",
    "load_calibrator",
    "min_at_k",
    "oracle_min_at_k",
    "paired_difference",
    "platypose_curve",
    "rank_histogram",
    "run_sbc",
    "save_calibrator",
    "sbc_from_samples",
    "sharpness",
    "tarp",
]
