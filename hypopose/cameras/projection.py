"""From camera-frame points to pixels and back to rays."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras.distortion import distort, invert_distortion, lead
from hypopose.types import Camera


def project_normalized(
    points: Float[Tensor, "*any 3"], *, clamp: float | None = None, min_depth: float | None = None
) -> Float[Tensor, "*any 2"]:
    """Divide by depth: X/Z and Y/Z, the undistorted normalized plane.

    Args:
        points: Camera frame, any unit of length.
        clamp: Published code limits X/Z and Y/Z to ±1, which flattens what is seen beyond 45
            degrees and stops its gradients; pass 1.0 to reproduce it. With a clamp, points behind
            the camera get a number too, as published.
        min_depth: Treat smaller depths as this one, for optimizers that need a number and a
            gradient everywhere.

    Returns:
        Normalized points; NaN for points that are not in front of the camera, unless ``clamp`` or
        ``min_depth`` says otherwise.

    Example:
        >>> project_normalized(torch.tensor([1.0, 0.5, 2.0])).tolist()
        [0.5, 0.25]
    """
    z = points[..., 2:3]
    if min_depth is not None:
        z = z.clamp(min=min_depth)
    if clamp is not None:
        return (points[..., :2] / z).clamp(-clamp, clamp)
    return points[..., :2] / torch.where(z > 0, z, torch.full_like(z, torch.nan))


def project(
    points: Float[Tensor, "*any 3"],
    camera: Camera,
    *,
    clamp: float | None = None,
    min_depth: float | None = None,
) -> Float[Tensor, "*any 2"]:
    """See camera-frame points with a camera.

    Convention:
        x right, y down, z forward; pixels with the origin at the top-left corner. The camera's
        batch axes are the leading axes of the points. Extrinsics are not applied: see
        :func:`hypopose.cameras.world_to_cam`.

    Args:
        points: Camera frame, any unit of length.
        camera: Focal length, center and lens.
        clamp: See :func:`project_normalized`; 1.0 reproduces VideoPose3D and D3DP.
        min_depth: See :func:`project_normalized`.

    Returns:
        Pixels; NaN for points that are not in front of the camera.

    Raises:
        ShapeError: If the camera's batch axes are not the points' leading axes.

    Example:
        >>> camera = Camera.from_fov((1920, 1080))
        >>> project(torch.tensor([0.0, 1.0, 4.0]), camera).round().tolist()
        [960.0, 1020.0]
    """
    xy = project_normalized(points, clamp=clamp, min_depth=min_depth)
    return distort(xy, camera) * lead(camera.focal, xy) + lead(camera.center, xy)


def undistort(px: Float[Tensor, "*any 2"], camera: Camera) -> Float[Tensor, "*any 2"]:
    """The inverse of lens and intrinsics: pixels to the normalized plane.

    Args:
        px: Pixels; NaN stays NaN.
        camera: Focal length, center and lens; its batch axes lead.

    Returns:
        X/Z and Y/Z of the ray; NaN where the lens model reaches no such pixel.

    Example:
        >>> camera = Camera.from_fov((1920, 1080))
        >>> undistort(torch.tensor([960.0, 1020.0]), camera).round(decimals=2).tolist()
        [0.0, 0.25]
    """
    return invert_distortion((px - lead(camera.center, px)) / lead(camera.focal, px), camera)


def rays(px: Float[Tensor, "*any 2"], camera: Camera) -> Float[Tensor, "*any 3"]:
    """Camera-frame directions with depth 1 through pixels, distortion undone.

    Args:
        px: Pixels; NaN stays NaN.
        camera: Focal length, center and lens; its batch axes lead.

    Returns:
        ``(X/Z, Y/Z, 1)``.

    Example:
        >>> rays(torch.tensor([960.0, 540.0]), Camera.from_fov((1920, 1080))).tolist()
        [0.0, 0.0, 1.0]
    """
    xy = undistort(px, camera)
    return torch.cat((xy, torch.ones_like(xy[..., :1])), -1)


def unproject(
    px: Float[Tensor, "*any 2"], depth: Float[Tensor, "*any"], camera: Camera
) -> Float[Tensor, "*any 3"]:
    """Camera-frame points at known depths behind pixels.

    Args:
        px: Pixels.
        depth: Distance along the optical axis (z), in the unit wanted for the points.
        camera: Focal length, center and lens; its batch axes lead.

    Returns:
        Points that :func:`project` sends back to ``px``.

    Example:
        >>> camera = Camera.from_fov((1920, 1080))
        >>> point = unproject(torch.tensor([960.0, 1020.0]), torch.tensor(4.0), camera)
        >>> point.round(decimals=2).tolist()
        [0.0, 1.0, 4.0]
    """
    return rays(px, camera) * depth[..., None]
