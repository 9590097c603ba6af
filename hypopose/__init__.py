"""HypoPose: 2D keypoints in, many plausible 3D motions out, with calibrated uncertainty.

Names load when they are first used, so that ``import hypopose`` is quick and loads no plotting
library.

Example:
    >>> import hypopose
    >>> hypopose.get_skeleton("h36m17").n_joints
    17
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hypopose.api import (
        Stream,
        adapt,
        adjust,
        aggregate,
        complete,
        detect,
        estimate,
        estimate_file,
        estimate_focal,
        estimate_people,
        evaluate,
        import_motion,
        load,
        load_hypotheses,
        load_people,
        make_pipeline,
        make_sampler,
        measure,
        prepare,
        recalibrate,
        refine,
        sample,
        save_result,
        share_camera,
    )
    from hypopose.errors import HypoPoseError
    from hypopose.io.results import Result
    from hypopose.skeletons import get_skeleton
    from hypopose.types import Camera, Hypotheses, Keypoints2D, Poses3D, Skeleton

__all__ = [
    "Camera",
    "HypoPoseError",
    "Hypotheses",
    "Keypoints2D",
    "Poses3D",
    "Result",
    "Skeleton",
    "Stream",
    "adapt",
    "adjust",
    "aggregate",
    "complete",
    "detect",
    "estimate",
    "estimate_file",
    "estimate_focal",
    "estimate_people",
    "evaluate",
    "get_skeleton",
    "import_motion",
    "load",
    "load_hypotheses",
    "load_people",
    "make_pipeline",
    "make_sampler",
    "measure",
    "prepare",
    "recalibrate",
    "refine",
    "sample",
    "save_result",
    "share_camera",
]

_HOMES = {
    "Camera": "types",
    "HypoPoseError": "errors",
    "Hypotheses": "types",
    "Keypoints2D": "types",
    "Poses3D": "types",
    "Result": "io.results",
    "Skeleton": "types",
    "get_skeleton": "skeletons",
    "load": "io",
    "load_hypotheses": "io",
    "load_people": "io",
    "save_result": "io",
}
_ROOMS = {
    "adaptation",
    "aggregation",
    "ambiguity",
    "bodies",
    "calibration",
    "cameras",
    "datasets",
    "diffusion",
    "distributed",
    "evaluation",
    "io",
    "metrics",
    "multiview",
    "networks",
    "optimization",
    "quantities",
    "rendering",
    "report",
    "samplers",
    "skeletons",
    "training",
    "video",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"hypopose.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'hypopose' has no attribute {name!r}")
    home = importlib.import_module(f"hypopose.{_HOMES.get(name, 'api')}")
    value = getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS, "__version__"])
