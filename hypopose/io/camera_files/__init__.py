"""Cameras on disk: our JSON, and the calibration files of other tools.

| file | tools |
| --- | --- |
| JSON with ``focal``, ``center``, ``image_size`` | HypoPose |
| JSON with ``camera_matrix``, ... or one such object a camera | scripts around OpenCV |
| YAML with ``camera_matrix`` | OpenCV's FileStorage, ROS |
| TOML with a table a camera | Pose2Sim, anipose |
| ``cameras.txt`` | COLMAP |
| a photo | its EXIF focal length |

Our JSON: pixels and meters; ``x_cam = R x_world + t``. ``focal`` is one number or two,
``distortion`` is ``[k1, k2, p1, p2, k3]`` and comes with its model (``opencv``, ``h36m`` or
``vp3d``). A camera that moves has one rotation and translation a frame.
"""

from hypopose.io.camera_files.camera_json import camera_from_dict, camera_to_dict, save_camera
from hypopose.io.camera_files.loading import (
    load_camera,
    load_cameras,
    resized,
    split_camera_name,
)
from hypopose.io.camera_files.moving_camera import load_camera_motion

__all__ = [
    "camera_from_dict",
    "camera_to_dict",
    "load_camera",
    "load_camera_motion",
    "load_cameras",
    "resized",
    "save_camera",
    "split_camera_name",
]
