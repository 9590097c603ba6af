"""Distance of projected poses from their keypoints. Needs a camera, no truth."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from hypopose.cameras import project
from hypopose.errors import MissingCameraError, ShapeError, SkeletonMismatchError
from hypopose.types import Keypoints2D, Poses3D


def reprojection_error(poses: Poses3D, keypoints: Keypoints2D) -> Float[Tensor, "*batch F J"]:
    """Distance between projected joints and detected keypoints.

    Convention:
        Pixels, origin at the top-left corner. A joint 1 cm off at 2 m depth, seen with a 1000 px
        focal length, is 5 px off.

    Args:
        poses: Poses with a root, in the camera frame of the keypoints.
        keypoints: Detections with a camera; NaN where undetected.

    Returns:
        Pixels per joint; NaN where the keypoint is NaN.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        ShapeError: If the poses carry no root.
        SkeletonMismatchError: If the joint sets differ.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> keypoints, truth = example_pair()
        >>> reprojection_error(truth, keypoints).max().item() < 0.1
        True
    """
    if keypoints.camera is None:
        raise MissingCameraError(
            "The reprojection error projects joints into the image, but these keypoints carry no "
            "camera. Attach one with keypoints.with_camera(Camera.from_fov(image_size))."
        )
    if poses.root is None:
        raise ShapeError(
            "The reprojection error needs poses with a root; fit one with "
            "hypopose.cameras.fit_root."
        )
    if poses.skeleton.name != keypoints.skeleton.name:
        raise SkeletonMismatchError(
            f"Poses are {poses.skeleton.name!r}, keypoints {keypoints.skeleton.name!r}; bring the "
            "keypoints into the poses' skeleton with hypopose.skeletons.convert."
        )
    px = project(poses.joints + poses.root.unsqueeze(-2), keypoints.camera)
    return (px - keypoints.xy).norm(dim=-1)
