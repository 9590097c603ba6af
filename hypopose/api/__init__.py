"""The verbs: load, sample, aggregate, evaluate; estimate does all that ``hypopose sample`` does.

Only these functions guess: keypoints of another skeleton are converted to the one the sampler
reads, and keypoints without a camera get an assumed one, marked so. Packages below raise instead.
"""

from hypopose.api.adapting import adapt
from hypopose.api.added_feet import add_feet
from hypopose.api.completion import complete
from hypopose.api.estimation import estimate, estimate_file, estimate_people
from hypopose.api.importing import import_motion
from hypopose.api.making import (
    BUNDLED_WEIGHTS,
    DEFAULT_SAMPLER,
    calibrator_beside,
    default_sampler,
    default_weights,
    describe_sampler,
    make_sampler,
)
from hypopose.api.measuring import body_motion, measure
from hypopose.api.named_detectors import Stream, detect
from hypopose.api.pipeline import Pipeline, make_pipeline
from hypopose.api.postprocessing import adjust, aggregate_result, recalibrate, refine
from hypopose.api.sampling import (
    aggregate,
    check_aggregation,
    estimate_focal,
    evaluate,
    prepare,
    sample,
    share_camera,
)
from hypopose.io import load, load_hypotheses, load_people, save_result

__all__ = [
    "BUNDLED_WEIGHTS",
    "DEFAULT_SAMPLER",
    "Pipeline",
    "Stream",
    "adapt",
    "add_feet",
    "adjust",
    "aggregate",
    "aggregate_result",
    "body_motion",
    "calibrator_beside",
    "check_aggregation",
    "complete",
    "default_sampler",
    "default_weights",
    "describe_sampler",
    "detect",
    "estimate",
    "estimate_file",
    "estimate_focal",
    "estimate_people",
    "evaluate",
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
