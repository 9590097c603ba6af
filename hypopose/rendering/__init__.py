"""Differentiable rendering of surfaces, and losses against masks and parsing maps."""

from hypopose.rendering.mask_losses import (
    MASK_LOSSES,
    distance_loss,
    distance_to_mask,
    iou_loss,
    row_iou_loss,
)
from hypopose.rendering.rasterizer import Picture, SoftRasterizer
from hypopose.rendering.semantic_loss import class_weights, semantic_loss, with_background
from hypopose.rendering.semantics import LABELS, MERGED, merged_prior, synthetic_prior
from hypopose.rendering.views import normalized_points, render_surface

__all__ = [
    "LABELS",
    "MASK_LOSSES",
    "MERGED",
    "Picture",
    "SoftRasterizer",
    "class_weights",
    "distance_loss",
    "distance_to_mask",
    "iou_loss",
    "merged_prior",
    "normalized_points",
    "render_surface",
    "row_iou_loss",
    "semantic_loss",
    "synthetic_prior",
    "with_background",
]
