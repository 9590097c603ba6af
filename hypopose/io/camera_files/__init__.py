"""Cameras on disk: our JSON, and the calibration files of other tools.

| file | tools | unit |
| --- | --- | --- |
| JSON with ``focal``, ``center``, ``image_size`` | HypoPose | m |
| JSON with ``cameras`` and ``clocks`` | ``hypopose cameras`` | m |
| JSON with ``camera_matrix``, ... or one such object a camera | scripts around OpenCV | m |
| JSON with ``intrinsics``, ``K`` by columns | ARKit, Record3D, Polycam | none |
| YAML with ``cam0`` and ``intrinsics`` | Kalibr | m |
| YAML with ``camera_matrix`` | OpenCV's FileStorage, ROS | m |
| TOML with a table a camera | Pose2Sim, anipose, FreeMoCap, Caliscope | m, or inferred |
| ``intri.yml`` and ``extri.yml`` | EasyMocap | m |
| ``cameraIntrinsicsExtrinsics.pickle`` | OpenCap | mm |
| JSON with ``Calibration`` | calib.io | m, or inferred |
| ``.qca.txt``, XML with ``calibration`` | Qualisys, Theia | mm |
| ``.xcp`` | Vicon | mm |
| XML with ``calibration`` or ``document`` | Agisoft Lens, Metashape | m, or inferred |
| ``cameras.txt`` | COLMAP | none |
| three lines of three numbers | ``numpy.savetxt`` of a matrix, Stray Scanner | none |
| a photo | its EXIF focal length | none |

A unit that puts cameras where cameras do not stand is replaced if one other is plausible, with a
:class:`CameraFileWarning`, and refused otherwise; ``unit=`` (``--camera-unit``) names it. Cameras
are ``x_cam = R x_world + t`` in meters; x right, y down, z forward.
"""

from hypopose.io.camera_files.calibration_writers import (
    check_calibration_ending,
    save_calibration,
)
from hypopose.io.camera_files.camera_json import camera_from_dict, camera_to_dict, save_camera
from hypopose.io.camera_files.loading import (
    CAMERA_FORMATS,
    load_camera,
    load_cameras,
    resized,
    split_camera_name,
)
from hypopose.io.camera_files.moving_camera import load_camera_motion
from hypopose.io.camera_files.refusals import CameraFileWarning, NoImageSizeError
from hypopose.io.camera_files.rig_file import CameraRig, RigClock, load_rig, save_rig

__all__ = [
    "CAMERA_FORMATS",
    "CameraFileWarning",
    "CameraRig",
    "NoImageSizeError",
    "RigClock",
    "camera_from_dict",
    "camera_to_dict",
    "check_calibration_ending",
    "load_camera",
    "load_camera_motion",
    "load_cameras",
    "load_rig",
    "resized",
    "save_calibration",
    "save_camera",
    "save_rig",
    "split_camera_name",
]
