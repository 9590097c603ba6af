"""Measured errors of detectors: noise for training, and errors by confidence.

One JSON file a detector, written by ``benchmarks/detectors.py fit`` from rendered bodies with known
3D. Errors are in pixels of a person 400 px tall, per coordinate.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.simulation.detector_noise import DetectorNoise, Errors


def measured_detectors() -> tuple[str, ...]:
    """Names of the detectors that were measured.

    Example:
        >>> measured_detectors()
        ('mediapipe',)
    """
    folder = files("hypopose.simulation") / "detectors"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".json")))


def measured_noise(detector: str) -> DetectorNoise:
    """The noise model of a measured detector, for training and simulation.

    Args:
        detector: One of :func:`measured_detectors`.

    Returns:
        COCO-17 noise with the measured size, persistence, outliers, swaps and gaps.

    Raises:
        OptionError: If it was not measured.

    Example:
        >>> measured_noise("mediapipe").skeleton
        'coco17'
    """
    noise = dict(_measured(detector)["noise"])
    errors = Errors(
        mix=tuple(noise.pop("mix")),
        outlier_scale=noise.pop("outlier_scale"),
        weights=tuple(noise.pop("weights")),
    )
    low, high = noise.pop("sigma_px")
    return DetectorNoise(sigma_px=(low, high), errors=errors, **noise)


def detector_sigma(detector: str, confidence: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Standard deviation of keypoints by their confidence.

    Args:
        detector: One of :func:`measured_detectors`.
        confidence: As the detector gives it.

    Returns:
        Pixels per coordinate, of a person 400 px tall.

    Raises:
        OptionError: If it was not measured.

    Example:
        >>> low, high = detector_sigma("mediapipe", torch.tensor([0.3, 1.0])).tolist()
        >>> low > high
        True
    """
    at, sigma = np.array(_measured(detector)["reliability"]).T
    values = np.interp(confidence.detach().cpu().double().numpy(), at, sigma)
    return torch.from_numpy(np.asarray(values)).to(confidence)


def _measured(detector: str) -> dict[str, Any]:
    if detector not in measured_detectors():
        raise OptionError(
            f"No detector {detector!r} was measured; there are {', '.join(measured_detectors())}."
        )
    text = (files("hypopose.simulation") / "detectors" / f"{detector}.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
