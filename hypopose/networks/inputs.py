"""How keypoints are presented to a network: screen coordinates, or rays towards the subject.

``"screen"`` is what VideoPose3D, D3DP and their relatives read: pixels divided by half the image
width, centered (x in -1..1, y in -h/w..h/w).

``"subject"`` is ours. A network that reads screen coordinates must learn every focal length, crop
and place in the image. Here keypoints become *rays*, and the rays are seen by a virtual camera at
the same place, turned towards the subject, one rotation per window. Any camera and any place in the
image then look alike, because turning a camera changes no geometry. What is left is the subject's
angular size, which is divided out and given as a feature (it says how strong perspective is).

Symbols:
    ======================= ================================================================
    p                       ray of a keypoint, (x, y) where it meets the plane z = 1
    R                       rotation of the virtual camera, ``x_net = R x_cam``
    s                       subject size: RMS distance of a frame's detected joints from their
                            center in the virtual plane, median over frames
    ``xy``                  p in the virtual plane divided by s; 0 where undetected
    ``context``             log(s / 0.1), log(fps / 50)
    ======================= ================================================================

One function, :func:`encode_rays`, serves training and inference, so that they stay consistent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.cameras import to_screen, turn_towards, undistort
from hypopose.cameras.turning import Turning
from hypopose.errors import MissingCameraError, OptionError
from hypopose.types import ASSUMED_FPS, MIN_CONFIDENCE, Keypoints2D

REFERENCE_SIZE = 0.1
"""Subject size at which the size feature is 0: a standing adult about 4 m away."""

REFERENCE_FPS = 50.0
"""Frame rate at which the rate feature is 0."""

MIN_COSINE = 0.05
"""Rays further than 87 degrees from the virtual axis are held there."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """Keypoints as a network reads them.

    Args:
        xy: Normalized 2D, 0 where undetected.
        confidence: 0 where undetected, else 0.05 to 1.
        mask: True for every frame; a window that is padded sets its padding to False.
        context: Per-clip features; for ``"subject"`` log(size / 0.1) and log(fps / 50), else None.
        rotation: ``x_net = rotation @ x_cam``; one a frame, ``(*batch, F, 3, 3)``, if the camera
            was turned frame by frame.
    """

    xy: Float[Tensor, "*batch F J 2"]
    confidence: Float[Tensor, "*batch F J"]
    mask: Bool[Tensor, "*batch F"]
    context: Float[Tensor, "*batch C"] | None
    rotation: Float[Tensor, "*turned 3 3"]


def encode(
    keypoints: Keypoints2D, kind: Literal["screen", "subject", "none"], turning: Turning = "clip"
) -> Encoded:
    """Present keypoints as a network asks for them in ``network.info.inputs``.

    Args:
        keypoints: In the network's skeleton; NaN where undetected. ``"subject"`` needs a camera,
            ``"screen"`` only the image size. An unknown frame rate counts as 30 Hz.
        kind: ``"screen"`` or ``"subject"``.
        turning: For ``"subject"``: see :func:`hypopose.cameras.turn_towards`. Networks expect what
            they were trained with, ``"clip"`` for the bundled ones.

    Returns:
        The encoding; batch axes are kept, and each clip of the batch has its own rotation.

    Raises:
        MissingCameraError: If ``"subject"`` finds no camera.
        OptionError: If ``"screen"`` finds no image size, or the kind is unknown.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> from hypopose.types import Camera
        >>> camera = Camera.from_fov((1920, 1080))
        >>> xy = torch.tensor([960.0, 540.0]) + 200 * torch.randn(3, 17, 2)
        >>> encode(Keypoints2D(xy, H36M17, camera=camera), "subject").xy.shape
        torch.Size([3, 17, 2])
    """
    if kind == "screen":
        return _encode_screen(keypoints)
    if kind != "subject":
        raise OptionError(f"Networks read 'screen' or 'subject' inputs, not {kind!r}.")
    if keypoints.camera is None:
        raise MissingCameraError(
            "This network reads rays, but these keypoints carry no camera. Attach one with "
            "keypoints.with_camera(Camera.from_fov(image_size))."
        )
    rays = undistort(keypoints.xy, keypoints.camera)
    return encode_rays(rays, keypoints.confidence, keypoints.fps, turning)


def encode_rays(
    rays: Float[Tensor, "*batch F J 2"],
    confidence: Float[Tensor, "*batch F J"] | None = None,
    fps: Float[Tensor, " *batch"] | float | None = None,
    turning: Turning = "clip",
) -> Encoded:
    """Present rays as a camera turned towards the subject sees them.

    Args:
        rays: Where each keypoint's ray meets the plane z = 1 of its camera (distortion removed);
            NaN where undetected.
        confidence: 0 to 1 per keypoint; 1 where None.
        fps: Frames per second, one or one a clip; 30 is assumed where None.
        turning: See :func:`hypopose.cameras.turn_towards`.

    Returns:
        The encoding, with one rotation per clip (or per frame).

    Example:
        >>> rays = torch.tensor([0.5, 0.0]) + 0.1 * torch.randn(9, 17, 2)
        >>> e = encode_rays(rays, fps=50.0)
        >>> bool(e.xy.mean().abs() < 0.5), e.context[1].item()
        (True, 0.0)
    """
    detected = torch.isfinite(rays).all(-1)
    p = torch.where(detected[..., None], rays, torch.zeros_like(rays))
    weight = _weights(detected, confidence, p)
    virtual = turn_towards(torch.where(detected[..., None], rays, torch.nan), weight, turning)
    turned = virtual.enter(torch.cat([p, torch.ones_like(p[..., :1])], -1))
    nearest = MIN_COSINE * turned.norm(dim=-1, keepdim=True)
    plane = turned[..., :2] / torch.maximum(turned[..., 2:], nearest)
    size = _subject_size(plane, detected)
    xy = torch.where(detected[..., None], plane / size[..., None, None, None], 0.0)
    return Encoded(
        xy=xy,
        confidence=weight,
        mask=torch.ones_like(detected[..., 0]),
        context=torch.stack([(size / REFERENCE_SIZE).log(), _log_rate(fps, size)], -1),
        rotation=virtual.rotation if turning == "frame" else virtual.rotation.squeeze(-3),
    )


def _encode_screen(keypoints: Keypoints2D) -> Encoded:
    camera = keypoints.camera
    size = keypoints.image_size or (camera.image_size if camera is not None else None)
    if size is None:
        raise OptionError(
            "This network reads screen coordinates, but these keypoints carry no image size. Give "
            "it: load(path, image_size=(width, height))."
        )
    xy = torch.where(keypoints.detected[..., None], to_screen(keypoints.xy, size), torch.nan)
    return encode_screen(xy, keypoints.confidence)


def encode_screen(
    xy: Float[Tensor, "*batch F J 2"], confidence: Float[Tensor, "*batch F J"] | None = None
) -> Encoded:
    """Present screen coordinates.

    Args:
        xy: Pixels divided by half the image width, centered; NaN where undetected.
        confidence: 0 to 1 per keypoint; 1 where None.

    Returns:
        The encoding; its rotation is the identity.

    Example:
        >>> encode_screen(torch.zeros(9, 17, 2)).confidence.unique().tolist()
        [1.0]
    """
    detected = torch.isfinite(xy).all(-1)
    xy = torch.where(detected[..., None], xy, 0.0)
    identity = torch.eye(3, dtype=xy.dtype, device=xy.device)
    return Encoded(
        xy=xy,
        confidence=_weights(detected, confidence, xy),
        mask=torch.ones_like(detected[..., 0]),
        context=None,
        rotation=identity.expand(*xy.shape[:-3], 3, 3),
    )


def _weights(
    detected: Bool[Tensor, "*batch F J"],
    confidence: Float[Tensor, "*batch F J"] | None,
    like: Tensor,
) -> Float[Tensor, "*batch F J"]:
    """Confidence of detected keypoints, 0.05 to 1; 0 for the others."""
    raw = torch.ones_like(like[..., 0]) if confidence is None else confidence.to(like)
    return torch.where(detected, raw.nan_to_num(0.0).clamp(MIN_CONFIDENCE, 1.0), 0.0)


def _subject_size(
    plane: Float[Tensor, "*batch F J 2"], detected: Bool[Tensor, "*batch F J"]
) -> Float[Tensor, " *batch"]:
    """Median over frames of the RMS spread of detected joints; 0.1 if no frame has two joints."""
    n = detected.sum(-1)
    w = detected[..., None].to(plane.dtype)
    center = (plane * w).sum(-2, keepdim=True) / w.sum(-2, keepdim=True).clamp(min=1)
    spread = (((plane - center) ** 2) * w).sum((-2, -1)) / n.clamp(min=1)
    spread = torch.where(n >= 2, spread.sqrt(), torch.nan)
    size = spread.nanmedian(-1).values
    return size.nan_to_num(REFERENCE_SIZE).clamp(1e-3, 2.0)


def _log_rate(fps: Tensor | float | None, like: Tensor) -> Tensor:
    fps = ASSUMED_FPS if fps is None else fps
    rate = torch.as_tensor(fps, dtype=like.dtype, device=like.device)
    return (rate / REFERENCE_FPS).log().expand_as(like)
