"""Named arrays: npz for numpy and MATLAB, JSON for everything else, of the same names.

=====================  ==============  =============================================================
array                  shape           meaning
=====================  ==============  =============================================================
``pose``               (F, J, 3)       the aggregate; absent if a hypothesis was chosen
``pose_root``          (F, 3)          where its root is; absent if unknown or left out
``pose_std``           (F, J, 3)       standard deviation of the hypotheses; absent if unknown
``hypotheses``         (H, F, J, 3)    all, or the chosen one; absent if only the aggregate is
``hypotheses_root``    (H, F, 3)       absent if unknown or left out
``hypothesis``         (H,)            their numbers
``hypotheses_focal``   (H,)            focal lengths in pixels; absent if all share the camera's
``time``               (F,)            seconds; absent if the frame rate is unknown
``keypoints_xy``, ...  see the docs    the keypoints, as in a result
=====================  ==============  =============================================================

Frame, axes and unit are in ``metadata``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypopose.io import native
from hypopose.io.atomic import write_atomically
from hypopose.io.writers.scene import Defaults, ExportScene, Take

DEFAULTS = Defaults()


def named_arrays(scene: ExportScene) -> dict[str, NDArray[Any]]:
    """The arrays of the module's table."""
    arrays = _hypotheses(scene)
    for take in scene.takes:
        if take.hypothesis is None:
            arrays |= {"pose": take.joints, "pose_root": take.root, "pose_std": take.std}
    arrays["time"] = scene.times
    keypoints = native.keypoints_arrays(scene.result.keypoints)
    arrays |= {f"keypoints_{name}": value.cpu().numpy() for name, value in keypoints.items()}
    return {name: value for name, value in arrays.items() if value is not None}


def _hypotheses(scene: ExportScene) -> dict[str, NDArray[Any] | None]:
    numbered = [take for take in scene.takes if take.hypothesis is not None]
    if not numbered:
        return {}
    numbers = np.array([take.hypothesis for take in numbered])
    focal = scene.result.hypotheses.focal
    return {
        "hypotheses": np.stack([take.joints for take in numbered]),
        "hypotheses_root": _roots(numbered),
        "hypothesis": numbers,
        "hypotheses_focal": None if focal is None else focal.cpu().numpy()[numbers],
    }


def _roots(takes: list[Take]) -> NDArray[np.float64] | None:
    roots = [take.root for take in takes if take.root is not None]
    return np.stack(roots) if len(roots) == len(takes) else None


def write_npz(path: Path, scene: ExportScene) -> tuple[str, ...]:
    """Write the arrays as npz, floats as float32, nothing pickled; ``metadata`` is JSON text."""
    arrays: dict[str, Any] = {name: _single(value) for name, value in named_arrays(scene).items()}
    text = np.array(json.dumps(scene.record()))
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez(file, metadata=text, **arrays)
    return ()


def _single(value: NDArray[Any]) -> NDArray[Any]:
    return value.astype("float32") if value.dtype.kind == "f" and value.ndim > 1 else value


def write_json(path: Path, scene: ExportScene) -> tuple[str, ...]:
    """Write the record and, under ``arrays``, the arrays as nested lists; not finite is null."""
    arrays = {name: _plain(value) for name, value in named_arrays(scene).items()}
    with write_atomically(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump({**scene.record(), "arrays": arrays}, file, allow_nan=False)
        file.write("\n")
    return ()


def _plain(value: NDArray[Any]) -> Any:
    if value.dtype.kind != "f":
        return value.tolist()
    plain = np.round(value, 6).astype(object)
    plain[~np.isfinite(value)] = None
    return plain.tolist()
