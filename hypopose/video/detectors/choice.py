"""Which detector: by name, or the best that is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from hypopose.errors import BackendError, OptionError
from hypopose.io.footage import HOW_TO, INSTALL
from hypopose.video.detectors.mediapipe import MediaPipe
from hypopose.video.detectors.protocol import Detector
from hypopose.video.detectors.rtmpose import RTMPose


def _rtmpose(models: Path | None) -> Detector:
    return RTMPose(models)


def _mediapipe(models: Path | None) -> Detector:
    if models is not None:
        raise OptionError("--detector-models is for rtmpose; MediaPipe carries its own models.")
    return MediaPipe()


DETECTORS: dict[str, tuple[str, Callable[[Path | None], Detector]]] = {
    "rtmpose": ("rtmlib", _rtmpose),
    "mediapipe": ("mediapipe", _mediapipe),
}
"""Name -> the module it needs and how it is made; the first that is installed is the default."""


def choose_detector(name: str = "auto", models: Path | None = None) -> tuple[Detector, str]:
    """A detector by name, or the best one that works here.

    Args:
        name: A key of :data:`DETECTORS`, or ``"auto"``.
        models: Folder of models, for detectors that read them from files.

    Returns:
        The detector, and a line that says which it is and why.

    Raises:
        OptionError: If there is no such detector.
        BackendError: If it, or none at all, works here.
    """
    if name != "auto":
        if name not in DETECTORS:
            raise OptionError(
                f"There is no detector {name!r}; choose one of auto, {', '.join(DETECTORS)}."
            )
        return DETECTORS[name][1](models), f"detector {name}"
    failed: list[str] = []
    for candidate, (module, make) in DETECTORS.items():
        if importlib.util.find_spec(module) is None or (models and candidate != "rtmpose"):
            continue
        try:
            made = make(models)
        except BackendError as error:
            failed.append(f"{candidate}: {error}")
            continue
        why = "; ".join([f"detector {candidate}, found by --detector auto", *failed])
        return made, why
    if failed:
        raise BackendError(failed[0])
    raise BackendError(
        f"No detector is installed: {INSTALL}. Or get keypoints elsewhere, from MediaPipe, RTMPose "
        f"(rtmlib) or `yolo pose`, and give HypoPose the keypoint file: see {HOW_TO}."
    )
