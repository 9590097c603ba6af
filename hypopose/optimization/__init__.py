"""Test-time refinement: latents that move, weights that stay."""

from hypopose.optimization.descent import Adam, Found, Visit, descend
from hypopose.optimization.offsets import (
    OffsetRefiner,
    Refined,
    hypothesis_scale,
    refine_poses,
)
from hypopose.optimization.uao import UAO, Iteration

__all__ = [
    "UAO",
    "Adam",
    "Found",
    "Iteration",
    "OffsetRefiner",
    "Refined",
    "Visit",
    "descend",
    "hypothesis_scale",
    "refine_poses",
]
