"""JSON files of results: what ``hypopose evaluate -o`` and ``hypopose calibrate -o`` write.

A file of ``calibrate`` says ``"hypopose": "judgement"``, its name before 0.2; a file of
``evaluate`` has no such field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hypopose.calibration import Estimate
from hypopose.errors import FormatError
from hypopose.evaluation.evaluation_results import (
    CalibrationResults,
    CoverageRow,
    Evaluation,
    Histograms,
    OracleCurve,
    Reliability,
    Skill,
)
from hypopose.evaluation.frame_scores import TITLES, is_oracle
from hypopose.io import write_atomically


def evaluation_to_dict(evaluation: Evaluation) -> dict[str, Any]:
    """As JSON-ready data; NaN becomes None, oracle scores separately."""
    scores = {key: _row(estimate) for key, estimate in evaluation.scores.items()}
    actions = evaluation.actions.items()
    return {
        "benchmark": evaluation.benchmark,
        "sampler": evaluation.sampler,
        "settings": evaluation.settings,
        "scores": {k: v for k, v in scores.items() if not is_oracle(k)},
        "oracle_scores": {k: v for k, v in scores.items() if is_oracle(k)},
        "per_action": {a: {k: _encode(e.value) for k, e in row.items()} for a, row in actions},
        "per_action_95_percent": {
            a: {k: [e.low, e.high] for k, e in row.items() if math.isfinite(e.low)}
            for a, row in actions
        },
    }


def _row(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": _encode(estimate.value),
        "low": _encode(estimate.low),
        "high": _encode(estimate.high),
        "n_invalid_frames": estimate.n_invalid_frames,
    }


def results_to_dict(results: CalibrationResults) -> dict[str, Any]:
    """As JSON-ready data; NaN becomes None."""
    rows = [
        {
            "key": key,
            "title": TITLES.get(key, key),
            "value": _encode(e.value),
            "low": _encode(e.low),
            "high": _encode(e.high),
            "oracle": is_oracle(key),
        }
        for key, e in results.scores.items()
    ]
    data = {f.name: _encode(getattr(results, f.name)) for f in fields(results)}
    return {"hypopose": "judgement", "schema": 1, **data, "scores": rows}


def save_results(path: str | Path, results: CalibrationResults) -> None:
    """Write calibration results as JSON.

    Args:
        path: Where to; written whole or not at all.
        results: What to write.
    """
    with write_atomically(path) as temporary:
        text = json.dumps(results_to_dict(results), allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def load_results(path: str | Path) -> CalibrationResults:
    """Read calibration results, or the scores of an evaluation.

    Args:
        path: JSON that :func:`save_results` or ``hypopose evaluate -o`` wrote.

    Returns:
        The results; of an evaluation, scores and settings only.

    Raises:
        FormatError: If the file is neither.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(
            f"{path} is not JSON ({error}); give results of hypopose calibrate or evaluate."
        ) from None
    if not isinstance(data, dict) or data.get("hypopose", "judgement") != "judgement":
        raise FormatError(
            f"{path} holds no calibration results; give what hypopose calibrate -o or evaluate -o "
            "wrote."
        )
    if "hypopose" not in data:
        try:
            return from_evaluation(data)
        except FormatError as error:
            raise FormatError(f"{path}: {error}") from None
    try:
        return _decode(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(
            f"{path} holds damaged calibration results ({error!r}); write them again."
        ) from None


def from_evaluation(data: Mapping[str, Any]) -> CalibrationResults:
    """Results of scores alone, from what ``hypopose evaluate -o`` writes.

    Args:
        data: The JSON object.

    Returns:
        Scores and settings; the curves stay empty.

    Raises:
        FormatError: If it is not an evaluation.
    """
    try:
        rows = {**data["scores"], **data["oracle_scores"]}
        sampler = data.get("sampler", {"name": data.get("result", "result")})
        settings = {k: str(v) for k, v in data.get("settings", {}).items() if v is not None}
        scores = {key: _estimate(rows[key]) for key in TITLES if key in rows}
        return CalibrationResults(str(sampler["name"]), "", scores, settings)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FormatError(
            f"this JSON is not an evaluation ({error!r}); give what hypopose evaluate -o wrote."
        ) from None


def _estimate(row: Any) -> Estimate:
    """A row of scores; results of one file have a bare number each."""
    row = row if isinstance(row, dict) else {"value": row}
    return Estimate(_number(row["value"]), _number(row.get("low")), _number(row.get("high")))


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _encode(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _encode(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, np.ndarray):
        return _encode(value.tolist())
    if isinstance(value, list | tuple):
        return [_encode(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


_PARTS: dict[str, Callable[[Any], Any]] = {
    "reliability": lambda data: _optional(Reliability, data),
    "histograms": lambda data: _optional(Histograms, data),
    "skill": lambda data: _optional(Skill, data),
    "min_at_k": lambda rows: tuple(_fields(OracleCurve, row) for row in rows),
    "coverage": lambda rows: tuple(_fields(CoverageRow, row) for row in rows),
    "scores": lambda rows: {row["key"]: _estimate(row) for row in rows},
}
"""Field of the results -> how it is read; other fields are words."""


def _decode(data: Mapping[str, Any]) -> CalibrationResults:
    values = {
        f.name: _PARTS.get(f.name, lambda value: value)(data[f.name])
        for f in fields(CalibrationResults)
    }
    return CalibrationResults(**values)


def _optional(cls: type, data: Any) -> Any:
    return None if data is None else _fields(cls, data)


def _fields(cls: type, data: Mapping[str, Any]) -> Any:
    """Rebuild a dataclass of arrays, numbers and words."""
    return cls(**{f.name: _value(str(f.type), data[f.name]) for f in fields(cls)})


def _value(kind: str, value: Any) -> Any:
    if kind == "Array":
        return np.asarray(value, dtype=np.float64)  # None becomes NaN
    if kind == "float":
        return _number(value)
    return tuple(value) if kind.startswith("tuple") else value
