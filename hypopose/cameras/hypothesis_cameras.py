"""Cameras and roots of hypotheses that each have a focal length of their own."""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from hypopose.cameras.root import fit_root
from hypopose.errors import MissingCameraError
from hypopose.types import Camera, Hypotheses, Keypoints2D


def hypothesis_camera(hypotheses: Hypotheses, camera: Camera) -> Camera:
    """The camera that sees the hypotheses: theirs if they have focal lengths, else the given one.

    Args:
        hypotheses: With or without ``focal``.
        camera: Of the keypoints.

    Returns:
        A camera for points ``(*batch, H, ..., 3)``, without extrinsics if it has a hypothesis axis.
    """
    if hypotheses.focal is None:
        return camera
    aspect = camera.focal / camera.focal.mean(-1, keepdim=True)
    focal = hypotheses.focal[..., None] * aspect.unsqueeze(-2)
    lens = camera.distortion
    return replace(
        camera,
        focal=focal,
        center=camera.center.unsqueeze(-2).expand(focal.shape),
        distortion=None if lens is None else lens.unsqueeze(-2).expand(*focal.shape[:-1], 5),
        rotation=None,
        translation=None,
    )


def fit_roots(
    hypotheses: Hypotheses, keypoints: Keypoints2D, *, smooth: float | None = None
) -> Float[Tensor, "*batch H F 3"]:
    """Fit the root of every hypothesis with its own camera.

    Args:
        hypotheses: With or without ``focal``.
        keypoints: With a camera, same skeleton.
        smooth: As in :func:`hypopose.cameras.fit_root`.

    Returns:
        Root positions in meters.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        ShapeError: If hypotheses and keypoints do not belong together.
    """
    if hypotheses.focal is None:
        return fit_root(hypotheses.joints, keypoints, smooth=smooth)
    if keypoints.camera is None:
        raise MissingCameraError(
            "Fitting roots needs the image's center, but these keypoints carry no camera. Attach "
            "one with keypoints.with_camera(Camera.from_fov(image_size))."
        )
    n = len(hypotheses)
    xy, confidence = keypoints.xy.unsqueeze(-4), keypoints.confidence
    each = replace(
        keypoints,
        xy=xy.expand(*xy.shape[:-4], n, *xy.shape[-3:]),
        confidence=None
        if confidence is None
        else confidence.unsqueeze(-3).expand(*xy.shape[:-4], n, *xy.shape[-3:-1]),
        covariance=None,
        camera=hypothesis_camera(hypotheses, keypoints.camera),
    )
    return fit_root(hypotheses.joints, each, smooth=smooth)
