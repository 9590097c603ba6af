"""Hypotheses against known truth: benchmarks, scores, calibration results with intervals."""

from hypopose.calibration import Estimate
from hypopose.evaluation.accumulator import Evaluator
from hypopose.evaluation.benchmark_draws import Draw, benchmark_draws, folder_draws
from hypopose.evaluation.benchmark_loop import (
    evaluate_benchmark,
    evaluate_pair,
    measure_calibration,
)
from hypopose.evaluation.benchmark_parts import evaluate_in_parts
from hypopose.evaluation.comparison import Comparison
from hypopose.evaluation.evaluation_results import CalibrationResults, Evaluation
from hypopose.evaluation.frame_scores import METRICS, TITLES, Metric, frame_scores, is_oracle
from hypopose.evaluation.prediction_checks import check_predictions
from hypopose.evaluation.predictions import Layout, Predictions
from hypopose.evaluation.protocol_draws import SampledAnswers
from hypopose.evaluation.protocol_loop import evaluate_answers
from hypopose.evaluation.protocol_results import ProtocolEvaluation
from hypopose.evaluation.result_files import load_results, save_results
from hypopose.evaluation.summaries import calibration_results
from hypopose.evaluation.truth import read_truth

__all__ = [
    "METRICS",
    "TITLES",
    "CalibrationResults",
    "Comparison",
    "Draw",
    "Estimate",
    "Evaluation",
    "Evaluator",
    "Layout",
    "Metric",
    "Predictions",
    "ProtocolEvaluation",
    "SampledAnswers",
    "benchmark_draws",
    "calibration_results",
    "check_predictions",
    "evaluate_answers",
    "evaluate_benchmark",
    "evaluate_in_parts",
    "evaluate_pair",
    "folder_draws",
    "frame_scores",
    "is_oracle",
    "load_results",
    "measure_calibration",
    "read_truth",
    "save_results",
]
