"""JSON files of calibrators: one format, one reader per kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypopose.calibration.calibrator import Calibrator, FitRecord
from hypopose.calibration.chain import Chain
from hypopose.calibration.conformal import ConformalBalls
from hypopose.calibration.isotonic_radii import IsotonicRadii
from hypopose.calibration.spread_scaling import SpreadScaling
from hypopose.errors import FormatError
from hypopose.files import read_bounded, shown
from hypopose.io.atomic import write_atomically

MAX_BYTES = 64 * 2**20
"""A larger file is not a calibrator."""

CALIBRATORS: dict[str, Callable[[dict[str, Any]], Calibrator]] = {
    "spread_scaling": SpreadScaling.from_json,
    "isotonic_radii": IsotonicRadii.from_json,
    "conformal_balls": ConformalBalls.from_json,
    "chain": lambda fields: Chain(tuple(calibrator_from_json(step) for step in fields["steps"])),
}
"""Kinds of calibrator files and what builds each."""


def describe_calibrator(calibrator: Calibrator, file: str) -> dict[str, Any]:
    """What a result keeps of its calibrator.

    Args:
        calibrator: Any kind in :data:`CALIBRATORS`.
        file: Its file's name.

    Returns:
        ``kind``, ``file``, ``fitted_on`` (in words) and ``fitted_hypotheses`` (how many an item).

    Example:
        >>> import torch
        >>> tau = torch.ones(2, 3, dtype=torch.float64)
        >>> scaling = SpreadScaling(tau, "stick", ("a", "b"), FitRecord(20, 500, "val"))
        >>> describe_calibrator(scaling, "calibrator.json")["fitted_on"]
        'val'
    """
    fitted = calibrator.fitted
    return {
        "kind": calibrator.kind,
        "file": file,
        "fitted_on": fitted.source,
        "fitted_hypotheses": fitted.n_hypotheses,
    }


def _document(calibrator: Calibrator) -> dict[str, Any]:
    document = {"format": "hypopose-calibrator", "version": 1, "kind": calibrator.kind}
    if isinstance(calibrator, Chain):
        return document | {"steps": [_document(step) for step in calibrator.steps]}
    return document | {
        "skeleton": calibrator.skeleton,
        "joint_names": list(calibrator.joint_names),
        "fitted": vars(calibrator.fitted),
        **calibrator.to_json(),
    }


def calibrator_from_json(document: dict[str, Any]) -> Calibrator:
    """Build a calibrator from its JSON document.

    Raises:
        FormatError: If it is not one.
    """
    fields = dict(document)
    if fields.pop("format", None) != "hypopose-calibrator" or fields.pop("version", None) != 1:
        raise FormatError("This is not a calibrator of version 1; write one with save_calibrator.")
    kind = fields.pop("kind", None)
    if kind not in CALIBRATORS:
        raise FormatError(f"No calibrator is called {kind!r}; known: {', '.join(CALIBRATORS)}.")
    try:
        if "joint_names" in fields:
            fields["joint_names"] = tuple(fields["joint_names"])
            fields["fitted"] = FitRecord(**fields["fitted"])
        return CALIBRATORS[kind](fields)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"The {kind} calibrator is damaged ({error}); fit it again.") from error


def save_calibrator(calibrator: Calibrator, path: str | Path) -> None:
    """Write a calibrator as JSON; the file appears only when it is complete.

    Args:
        calibrator: Any kind in :data:`CALIBRATORS`.
        path: Where to, for example ``calibrator.json``.
    """
    text = json.dumps(_document(calibrator), indent=1)
    with write_atomically(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def load_calibrator(path: str | Path) -> Calibrator:
    """Read a calibrator.

    Args:
        path: A file of :func:`save_calibrator`.

    Returns:
        The calibrator it holds, of whichever kind.

    Raises:
        FormatError: If the file is not a calibrator; the message names it.
    """
    path = Path(path)
    try:
        document = json.loads(read_bounded(path, MAX_BYTES, "a calibrator"))
        if not isinstance(document, dict):
            raise FormatError("This is not a calibrator; write one with save_calibrator.")
        return calibrator_from_json(document)
    except FormatError as error:
        text = str(error)
        raise FormatError(
            text if text.startswith(shown(path)) else f"{shown(path)}: {text}"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(
            f"{shown(path)} is not a calibrator ({error}); write one with hypopose fit-calibrator."
        ) from error
