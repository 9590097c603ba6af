"""Many stick figures over one another, where they agree opaque and where they differ transparent.

Every hypothesis is drawn once, without shades; the counts per pixel and side become opacity. So a
limb that all hypotheses put in one place is solid, and one that they spread over is a haze.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from hypopose.types import Skeleton

Colors = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]

LEFT, RIGHT, MIDDLE = (224, 123, 0), (0, 99, 166), (107, 107, 107)
ON_PAPER: Colors = (MIDDLE, RIGHT, LEFT)
"""The person's middle, right and left, as in the overview picture."""

ON_PICTURES: Colors = ((255, 255, 255), (40, 190, 255), (255, 150, 0))
"""The same, lighter: clothes and shadows are dark."""

OPACITY = 0.9
"""Of a place where all hypotheses lie."""


def draw_bodies(
    rgb: UInt8[np.ndarray, "height width 3"],
    bodies: Float[np.ndarray, "H J 2"],
    skeleton: Skeleton,
    width: int = 3,
    colors: Colors = ON_PAPER,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw stick figures over a picture.

    Args:
        rgb: The picture; it is not changed.
        bodies: Pixels of every hypothesis; bones with a NaN at an end are left out.
        skeleton: Whose bones.
        width: Of a line, in pixels.
        colors: Of the middle, the right and the left.

    Returns:
        The picture with the figures.
    """
    out = rgb.copy()
    corner, size = _box(bodies, rgb.shape, 2 * width)
    if min(size) <= 0:
        return out
    x, y = corner
    counts = _counts(bodies - np.array(corner), skeleton, size, width)
    # Opacity 0 .. OPACITY, concave: a single hypothesis of twenty can still be seen.
    opacity = OPACITY * np.sqrt(np.arange(len(bodies) + 1) / max(len(bodies), 1))
    part = out[y : y + size[1], x : x + size[0]].astype(np.float32)
    for channel, color in enumerate(colors):
        alpha = opacity[counts[..., channel]][..., None].astype(np.float32)
        part += alpha * (np.array(color, np.float32) - part)
    out[y : y + size[1], x : x + size[0]] = part.round().astype(np.uint8)
    return out


def _counts(
    bodies: Float[np.ndarray, "H J 2"], skeleton: Skeleton, size: tuple[int, int], width: int
) -> UInt8[np.ndarray, "h w 3"]:
    """How many hypotheses cover each pixel with their middle, right and left."""
    from PIL import Image, ImageDraw

    sides = side_of_joints(skeleton)
    marks = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    counts = np.zeros((size[1], size[0], 3), np.uint8)
    for body in bodies[:255]:
        image = Image.new("RGB", size)
        draw = ImageDraw.Draw(image)
        for parent, child in skeleton.bones:
            ends = body[[parent, child]]
            if np.isfinite(ends).all():
                draw.line([tuple(p) for p in ends.tolist()], marks[sides[child]], width)
        counts += np.asarray(image)
    return counts


def side_of_joints(skeleton: Skeleton) -> list[int]:
    """0 for joints in the middle, 1 for the right and 2 for the left."""
    sides = [0] * skeleton.n_joints
    for left, right in zip(skeleton.left, skeleton.right, strict=True):
        sides[left], sides[right] = 2, 1
    return sides


def _box(
    bodies: Float[np.ndarray, "H J 2"], shape: Sequence[int], margin: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Corner and size of the part of a picture that the figures touch."""
    points = bodies[np.isfinite(bodies).all(-1)]
    if not len(points):
        return (0, 0), (0, 0)
    limit = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(points.min(0)) - margin, 0, limit).astype(int)
    high = np.clip(np.ceil(points.max(0)) + margin, 0, limit).astype(int)
    size = np.maximum(high - low, 0)
    return (int(low[0]), int(low[1])), (int(size[0]), int(size[1]))


def write_text(
    rgb: UInt8[np.ndarray, "height width 3"], text: str, at: tuple[int, int]
) -> UInt8[np.ndarray, "height width 3"]:
    """A line of small text over a picture, dark on light."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    draw.rectangle(draw.textbbox(at, text), fill=(255, 255, 255))
    draw.text(at, text, fill=(30, 30, 30))
    return np.asarray(image)
