"""Test-time refinement (latents move, weights stay); focal length, stature, floor, smoothing."""

from hypopose.optimization.descent import Adam, Found, Visit, descend
from hypopose.optimization.focal import (
    FocalPosterior,
    belief_of_prior,
    estimate_focal,
    sample_with_focal,
)
from hypopose.optimization.ground import Ground, estimate_ground
from hypopose.optimization.offsets import (
    OffsetRefiner,
    Refined,
    hypothesis_scale,
    refine_poses,
)
from hypopose.optimization.smoothing import (
    keep_bone_lengths,
    smooth_hypotheses,
    smooth_kalman,
)
from hypopose.optimization.stature import scale_to_height, stature
from hypopose.optimization.uao import UAO, Iteration

__all__ = [
    "UAO",
    "Adam",
    "FocalPosterior",
    "Found",
    "Ground",
    "Iteration",
    "OffsetRefiner",
    "Refined",
    "Visit",
    "belief_of_prior",
    "descend",
    "estimate_focal",
    "estimate_ground",
    "hypothesis_scale",
    "keep_bone_lengths",
    "refine_poses",
    "sample_with_focal",
    "scale_to_height",
    "smooth_hypotheses",
    "smooth_kalman",
    "stature",
]
