"""Projection, distortion, rays, world and camera frames, screen coordinates, fitting the root."""

from hypopose.cameras.assume import estimate_image_size, resolve_camera
from hypopose.cameras.distortion import distort, invert_distortion
from hypopose.cameras.frames import (
    cam_to_world,
    motion_to_world,
    world_to_cam,
)
from hypopose.cameras.hypothesis_cameras import fit_roots, hypothesis_camera
from hypopose.cameras.projection import project, project_normalized, rays, undistort, unproject
from hypopose.cameras.root import fit_root
from hypopose.cameras.rotations import (
    axis_angle,
    euler_rotation,
    look_at,
    look_at_rotation,
    rotation_from_quaternion,
)
from hypopose.cameras.screen import camera_from_screen, from_screen, screen_intrinsics, to_screen
from hypopose.cameras.turning import VirtualCamera, turn_towards
from hypopose.cameras.upright import CAMERA_UP, turn_up, up_axis

__all__ = [
    "CAMERA_UP",
    "VirtualCamera",
    "axis_angle",
    "cam_to_world",
    "camera_from_screen",
    "distort",
    "estimate_image_size",
    "euler_rotation",
    "fit_root",
    "fit_roots",
    "from_screen",
    "hypothesis_camera",
    "invert_distortion",
    "look_at",
    "look_at_rotation",
    "motion_to_world",
    "project",
    "project_normalized",
    "rays",
    "resolve_camera",
    "rotation_from_quaternion",
    "screen_intrinsics",
    "to_screen",
    "turn_towards",
    "turn_up",
    "undistort",
    "unproject",
    "up_axis",
    "world_to_cam",
]
