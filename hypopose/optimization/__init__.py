"""Test-time refinement: latents that move, weights that stay; also focal length, scale and floor."""

from hypopose.optimization.focal import (
    FocalBelief,
    belief_of_prior,
    estimate_focal,
    sample_with_focal,
)
from hypopose.optimization.ground import Ground, estimate_ground
from hypopose.optimization.smoothing import (
    keep_bone_lengths,
    smooth_hypotheses,
    smooth_kalman,
    smooth_one_euro,
)
from hypopose.optimization.stature import scale_to_height, stature

__all__ = [
    "FocalBelief",
    "Ground",
    "belief_of_prior",
    "estimate_focal",
    "estimate_ground",
    "keep_bone_lengths",
    "sample_with_focal",
    "scale_to_height",
    "smooth_hypotheses",
    "smooth_kalman",
    "smooth_one_euro",
    "stature",
]
