"""Test-time optimization: what keypoints say about a camera, a motion, a pose, after sampling."""

from hypopose.optimization.focal import (
    FocalBelief,
    belief_of_prior,
    estimate_focal,
    sample_with_focal,
)

__all__ = [
    "FocalBelief",
    "belief_of_prior",
    "estimate_focal",
    "sample_with_focal",
]
