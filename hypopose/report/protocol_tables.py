"""Tables of an evaluation by a protocol; the command line prints them and cards hold them.

Oracle numbers never share a table with others, and the title of every table states what the method
used of the ground truth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hypopose.calibration import Estimate
from hypopose.evaluation import ProtocolEvaluation, is_oracle
from hypopose.evaluation.frame_scores import unit_of
from hypopose.evaluation.protocol_results import takes_from_truth

ORACLE = "ORACLE: the ground truth chooses among hypotheses or places them; a bound, not a method"

NAMES = {
    "mpjpe_single_mm": "MPJPE of one hypothesis",
    "mpjpe_mean_mm": "MPJPE, P-Agg (protocol 1)",
    "mpjpe_jpma_mm": "MPJPE, J-Agg with fitted root",
    "p_mpjpe_single_mm": "P-MPJPE of one hypothesis",
    "p_mpjpe_mean_mm": "P-MPJPE, P-Agg (protocol 2)",
    "p_mpjpe_jpma_mm": "P-MPJPE, J-Agg with fitted root",
    "n_mpjpe_mean_mm": "N-MPJPE, P-Agg (protocol 3)",
    "pve_mean_mm": "PVE, P-Agg",
    "energy_score_clip_mm": "energy score per clip",
    "ece": "ECE, symmetrized ranks",
    "ece_median": "ECE of the median joint",
    "ece_cgnf": "ECE, form of cGNF",
    "ece_platypose": "ECE, form of Platypose",
    "mpjpe_oracle_joint_best_mm": "MPJPE, J-Best",
    "p_mpjpe_oracle_joint_best_mm": "P-MPJPE, J-Best",
    "mpjpe_oracle_pose_best_frame_mm": "MPJPE, P-Best per frame",
    "p_mpjpe_oracle_pose_best_frame_mm": "P-MPJPE, P-Best per frame",
    "mpjpe_oracle_pose_best_clip_mm": "MPJPE, best per clip",
    "mpjpe_oracle_pose_best_batch_mm": "MPJPE, P-Best as published",
    "p_mpjpe_oracle_pose_best_batch_mm": "P-MPJPE, P-Best as published",
    "pck_150_oracle_pose_best_batch_percent": "PCK below 150 mm, of P-Best as published",
    "auc_oracle_pose_best_batch_percent": "AUC, of P-Best as published",
    "mpjpe_oracle_jpma_true_root_mm": "MPJPE, J-Agg as published",
    "p_mpjpe_oracle_jpma_true_root_mm": "P-MPJPE, J-Agg as published",
}
"""Key -> name of multi-hypothesis tables (P-Agg, J-Agg, P-Best, J-Best are D3DP's)."""

GROUP_HEADS = {
    False: {
        "mpjpe_mean_mm": "MPJPE, P-Agg",
        "p_mpjpe_mean_mm": "P-MPJPE",
        "n_mpjpe_mean_mm": "N-MPJPE",
        "pve_mean_mm": "PVE",
        "pck_150_mean_percent": "PCK@150",
        "auc_mean_percent": "AUC",
        "mpjpe_single_mm": "one hypothesis",
        "mpjpe_jpma_mm": "JPMA, root fitted",
        "mpjve_mean_mm_per_frame": "MPJVE",
        "energy_score_joint_mm": "energy/joint",
        "ece": "ECE",
    },
    True: {
        "mpjpe_oracle_jpma_true_root_mm": "J-Agg, true root",
        "mpjpe_oracle_pose_best_batch_mm": "P-Best as published",
        "mpjpe_oracle_pose_best_frame_mm": "P-Best per frame",
        "mpjpe_oracle_joint_best_mm": "J-Best",
        "p_mpjpe_oracle_joint_best_mm": "J-Best, P-MPJPE",
        "pck_150_oracle_pose_best_batch_percent": "PCK@150, P-Best as published",
        "auc_oracle_pose_best_batch_percent": "AUC, P-Best as published",
        "pck_150_oracle_pose_best_frame_percent": "PCK@150, P-Best per frame",
        "auc_oracle_pose_best_frame_percent": "AUC, P-Best per frame",
    },
}
"""Whether of oracles -> key -> head of tables of groups."""


@dataclass(frozen=True)
class TextTable:
    """A table of words.

    Args:
        title: Stands above it.
        heads: Of the columns; the first is of the rows' names.
        rows: One word a column.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def protocol_tables(evaluation: ProtocolEvaluation) -> list[TextTable]:
    """Every table: scores, scores of oracles, groups of each kind, best of k.

    Args:
        evaluation: What was measured.

    Returns:
        In the order of reading; tables without rows are left out.
    """
    several = evaluation.settings["n_hypotheses"] > 1
    kinds = (False, True) if several else (False,)
    tables = [_score_table(evaluation, oracle) for oracle in kinds]
    for title, rows in evaluation.groupings.items():
        tables += [_group_table(evaluation, title, rows, oracle) for oracle in kinds]
    tables += [_min_at_k_table(evaluation)] if several else []
    return [table for table in tables if table.rows]


def setting_rows(evaluation: ProtocolEvaluation) -> list[tuple[str, str]]:
    """What the numbers depend on, name and words; what the method consumed comes first."""
    rows = [(f"consumed: {detail}", words) for detail, words in evaluation.consumed.items()]
    for name, value in evaluation.settings.items():
        if value not in (None, "", [], {}):
            rows.append((name.replace("_", " "), _words(value)))
    left_out = [f"{name} {n}" for name, n in frames_left_out(evaluation).items()]
    return [*rows, ("frames left out", "; ".join(left_out) or "none")]


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    return "; ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _score_table(evaluation: ProtocolEvaluation, oracle: bool) -> TextTable:
    heads = ["score", "mean of frames", "95 %", "truth used"]
    if evaluation.headline:
        n = len(evaluation.groupings.get(evaluation.headline, {}))
        heads[1:1] = [f"mean of {n} {evaluation.headline}s", "95 %"]
    rows = []
    for key, estimate in evaluation.scores.items():
        if is_oracle(key) != oracle:
            continue
        cells = [_name(evaluation, key)]
        if evaluation.headline:
            cells += _value_and_interval(key, evaluation.means.get(key))
        cells += [*_value_and_interval(key, estimate), takes_from_truth(key)]
        rows.append(tuple(cells))
    return TextTable(ORACLE if oracle else evaluation.column, tuple(heads), tuple(rows))


def _name(evaluation: ProtocolEvaluation, key: str) -> str:
    name = NAMES.get(key) or evaluation.titles.get(key, key)
    unit = unit_of(key)
    return f"{name}, {unit}" if unit and not name.endswith(unit) else name


def frames_left_out(evaluation: ProtocolEvaluation) -> dict[str, int]:
    """Scores that left frames out, because a pose cannot be aligned or joints are missing."""
    return {
        _name(evaluation, key): estimate.n_invalid_frames
        for key, estimate in evaluation.scores.items()
        if estimate.n_invalid_frames
    }


def _group_table(
    evaluation: ProtocolEvaluation,
    title: str,
    rows: Mapping[str, Mapping[str, Estimate]],
    oracle: bool,
) -> TextTable:
    wanted = GROUP_HEADS[oracle]
    keys = [key for key in wanted if any(key in row for row in rows.values())]
    cells = tuple(
        (label, str(int(row["n_frames"].value)), *(number(key, row[key].value) for key in keys))
        for label, row in rows.items()
    )
    kind = ORACLE if oracle else evaluation.column
    heads = (title, "frames", *(wanted[key] for key in keys))
    return TextTable(f"per {title}; {kind}", heads, cells if keys else ())


def _min_at_k_table(evaluation: ProtocolEvaluation) -> TextTable:
    curves = {curve.best: curve.error for curve in evaluation.min_at_k}
    n = max((len(error) for error in curves.values()), default=0)
    rows = tuple(
        (str(k), *(number("_mm", float(error[k - 1])) for error in curves.values()))
        for k in _steps(n)
    )
    heads = ("k", *(f"best per {best}, mm" for best in curves))
    return TextTable(f"MPJPE of the best of k; {ORACLE}", heads, rows)


def _steps(n: int) -> Iterator[int]:
    """1, 2, 5, 10, 20, 50, ... and n."""
    for k in (m * 10**e for e in range(6) for m in (1, 2, 5)):
        if k < n:
            yield k
    if n:
        yield n


def _value_and_interval(key: str, estimate: Estimate | None) -> list[str]:
    if estimate is None:
        return ["", ""]
    interval = ""
    if math.isfinite(estimate.low):
        interval = f"{number(key, estimate.low)}-{number(key, estimate.high)}"
    return [number(key, estimate.value), interval]


def number(key: str, value: float) -> str:
    """A value in the digits that its unit deserves; a dash for NaN.

    Example:
        >>> number("ece", 0.0312), number("mpjpe_mean_mm", 44.27)
        ('0.031', '44.3')
    """
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" if key.startswith("ece") else f"{value:.1f}"
