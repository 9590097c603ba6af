"""Scores of a method under a protocol, and what they used of the ground truth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from hypopose.calibration import Estimate
from hypopose.datasets.protocols.protocol_data import GROUND_TRUTH, Detail
from hypopose.errors import OptionError
from hypopose.evaluation.evaluation_results import Evaluation, OracleCurve
from hypopose.evaluation.frame_scores import is_oracle
from hypopose.evaluation.result_files import evaluation_to_dict

DETAILS: tuple[Detail, ...] = get_args(Detail)
NOT_STATED = "not stated"
TRUTHS = ("truth", "gt", "ground-truth", "ground_truth", GROUND_TRUTH)
"""Words for what was taken from the ground truth."""


@dataclass(frozen=True, eq=False)
class ProtocolEvaluation(Evaluation):
    """What a method reached by a protocol.

    Args:
        headline: The grouping whose unweighted mean tables publish; empty for none.
        means: Key -> the unweighted mean over the rows of that grouping.
        groupings: Title -> row -> scores, with ``n_frames``.
        min_at_k: Best of k by the truth.
        titles: Key -> what tables call it.
        consumed: What the method took before it answered, detail -> words.
        provenance: Hashes, version, command, machine.
    """

    headline: str = ""
    means: dict[str, Estimate] = field(default_factory=dict)
    groupings: dict[str, dict[str, dict[str, Estimate]]] = field(default_factory=dict)
    min_at_k: tuple[OracleCurve, ...] = ()
    titles: dict[str, str] = field(default_factory=dict)
    consumed: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def taken(self) -> tuple[str, ...]:
        """Details that the method took from the ground truth."""
        return tuple(k for k, words in self.consumed.items() if words.startswith(GROUND_TRUTH))

    @property
    def column(self) -> str:
        """What numbers that no oracle chose are worth, as the title of their table."""
        if self.taken:
            return f"NOT DEPLOYABLE: the method was given the true {', '.join(self.taken)}"
        unknown = [k for k, words in self.consumed.items() if words == NOT_STATED]
        if unknown:
            return f"AS SUBMITTED: whether the true {', '.join(unknown)} was used is not stated"
        return "DEPLOYABLE: the method was given nothing of the ground truth"


def stated(consumed: Mapping[str, str]) -> dict[str, str]:
    """What the author of predictions says the method took; the rest is not stated.

    Args:
        consumed: Detail -> words; ``truth`` or ``gt`` for what came from the ground truth.

    Raises:
        OptionError: If there is no such detail.

    Example:
        >>> stated({"keypoints": "gt"})["keypoints"]
        'ground truth'
    """
    for detail in consumed:
        if detail not in DETAILS:
            raise OptionError(
                f"There is no detail {detail!r} to state; choose among {', '.join(DETAILS)}."
            )
    words: dict[str, str] = dict.fromkeys(DETAILS, NOT_STATED)
    for detail, said in consumed.items():
        words[detail] = GROUND_TRUTH if said.strip().lower() in TRUTHS else said.strip()
    return words


def takes_from_truth(key: str) -> str:
    """What a score itself takes from the ground truth, beside comparing with it.

    Example:
        >>> takes_from_truth("p_mpjpe_oracle_joint_best_mm")
        'root, rotation, scale; choice per joint'
    """
    if key.startswith(("crps", "energy", "mpjpe", "mpjve", "ece", "coverage", "pck", "auc", "pve")):
        alignment = "root"
    else:
        alignment = {"p_": "root, rotation, scale", "n_": "root, scale"}.get(key[:2], "")
    choice = next((words for part, words in _CHOICES.items() if part in key), "")
    return "; ".join(word for word in (alignment, choice) if word) or "nothing"


_CHOICES = {
    "oracle_joint_best": "choice per joint",
    "oracle_pose_best_frame": "choice per frame",
    "oracle_pose_best_clip": "choice per clip",
    "oracle_pose_best_batch": "choice per batch of clips",
    "oracle_jpma_true_root": "path of the root",
}


def protocol_to_dict(evaluation: ProtocolEvaluation) -> dict[str, Any]:
    """As JSON-ready data: what ``hypopose evaluate -o`` writes; oracle scores separately.

    Args:
        evaluation: Of :func:`~.protocol_loop.evaluate_answers`.
    """
    groupings = {
        title: {
            label: {"scores": _scores(row, False), "oracle_scores": _scores(row, True)}
            for label, row in rows.items()
        }
        for title, rows in evaluation.groupings.items()
    }
    return {
        **evaluation_to_dict(evaluation),
        "column": evaluation.column,
        "consumed": evaluation.consumed,
        "mean_over": evaluation.headline,
        "means": _scores(evaluation.means, False),
        "oracle_means": _scores(evaluation.means, True),
        "groupings": groupings,
        "oracle_min_at_k_mm": {
            curve.best: [_number(value) for value in curve.error] for curve in evaluation.min_at_k
        },
        "provenance": evaluation.provenance,
    }


def _scores(scores: Mapping[str, Estimate], oracle: bool) -> dict[str, dict[str, float | None]]:
    return {
        key: {"value": _number(e.value), "low": _number(e.low), "high": _number(e.high)}
        for key, e in scores.items()
        if is_oracle(key) == oracle
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
