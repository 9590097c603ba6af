"""The assumed camera of keypoints without one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from hypopose.errors import OptionError
from hypopose.types import Camera, Keypoints2D

VIDEO_SIZES: tuple[tuple[int, int], ...] = tuple(
    size
    for w, h in ((320, 240), (640, 360), (640, 480), (854, 480), (1280, 720), (1280, 960),
                 (1920, 1080), (2560, 1440), (2704, 1520), (3840, 2160), (4096, 2160))
    for size in ((w, h), (h, w))
)  # fmt: skip
"""Sizes that cameras and phones record, either way up."""

NEAR = 0.125
"""A common size is accepted if its middle lies within this share of its longer side."""


def estimate_image_size(*people: Keypoints2D) -> tuple[int, int]:
    """Guess the image size from where keypoints fall.

    Cameras are pointed at people: among common video sizes that contain all keypoints, take the
    one whose middle lies nearest to the middle of the keypoints' extent. If none lies near, take
    the size that leaves equal margins on both sides of the extent.

    Args:
        people: Everyone seen in one video, in pixels with the origin at the top-left corner.

    Returns:
        Width and height in pixels; no keypoint lies right of or below it.

    Raises:
        OptionError: If nothing was detected, or the numbers are not pixels.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> xy = torch.rand(1, 17, 2) * 300 + torch.tensor([800.0, 400.0])
        >>> estimate_image_size(Keypoints2D(xy, H36M17))
        (1920, 1080)
    """
    seen = torch.cat([person.xy[person.detected].double() for person in people])
    if len(seen) == 0:
        raise OptionError(
            "No keypoint was detected, so the image size cannot be estimated; pass "
            "image_size=(W, H)."
        )
    low, high = seen.amin(0), seen.amax(0)
    if float((high - low).max()) <= 4.0:
        raise OptionError(
            f"Keypoints span {float((high - low).max()):.2g} px, which looks normalized; convert "
            "them to pixels (hypopose.cameras.from_screen) or pass image_size=(W, H)."
        )
    middle = (low + high) / 2
    fits = {
        math.dist((s[0] / 2, s[1] / 2), middle.tolist()): s
        for s in VIDEO_SIZES
        if s[0] >= float(high[0]) and s[1] >= float(high[1])
    }
    nearest = min(fits, default=math.inf)
    if nearest < math.inf and nearest <= NEAR * max(fits[nearest]):
        return fits[nearest]
    w, h = (torch.maximum(high, 2 * middle)).ceil().int().tolist()
    return w, h


def resolve_camera(keypoints: Keypoints2D, scene: Sequence[Keypoints2D] = ()) -> Keypoints2D:
    """Give keypoints a camera if they have none, and say so in their notes.

    Only :mod:`hypopose.api` assumes one. A known image size gets :meth:`Camera.from_fov` with its
    default of 53.13 degrees along the longer side; an unknown one is estimated first, see
    :func:`estimate_image_size`.

    Args:
        keypoints: With or without camera and image size.
        scene: The other people of the same video, so that all get the same estimate.

    Returns:
        The same keypoints if they carry a camera; else with a camera marked ``assumed=True``, the
        image size, and one note per assumption.

    Raises:
        OptionError: If the image size is unknown and cannot be estimated.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> keypoints = Keypoints2D(torch.rand(1, 17, 2), H36M17, image_size=(1920, 1080))
        >>> resolve_camera(keypoints).notes[0]
        'camera assumed: field of view 53.13 degrees along the longer side (focal length 1920 px)'
    """
    if keypoints.camera is not None:
        return keypoints
    size, notes = keypoints.image_size, keypoints.notes
    if size is None:
        size = estimate_image_size(keypoints, *scene)
        notes = (*notes, f"image size estimated from the keypoints' extent: {size[0]} x {size[1]}")
        if bool((keypoints.xy[keypoints.detected] < 0).any()):
            notes = (*notes, "some keypoints lie left of or above the image (negative pixels)")
    camera = Camera.from_fov(size)
    notes = (
        *notes,
        "camera assumed: field of view 53.13 degrees along the longer side "
        f"(focal length {camera.focal[0].item():.0f} px)",
    )
    return replace(keypoints.with_camera(camera), notes=notes)
