"""3D motion of other programs, for ``hypopose import``.

Layout::

    file_motion.py     FileMotion: what a reader returns; MotionFormat: what a format is
    trc_markers.py, c3d_points.py, bvh_rig.py, motion_tables.py, point_arrays.py, pose_json.py
                       a format each, or a few
    motion_joints.py   whose joints the points are
    motion_units.py    units, by the lengths of limbs
    motion_axes.py     which way is up, left- and right-handed axes
    motion_loading.py  load_motion; the table MOTION_FORMATS (a new one: a module and a line)
"""

from hypopose.io.motion_files.file_motion import CapturedRig, FileMotion, MotionFormat
from hypopose.io.motion_files.motion_loading import (
    MOTION_FORMATS,
    ImportedMotion,
    MotionOptions,
    load_motion,
    motion_format,
)

__all__ = [
    "MOTION_FORMATS",
    "CapturedRig",
    "FileMotion",
    "ImportedMotion",
    "MotionFormat",
    "MotionOptions",
    "load_motion",
    "motion_format",
]
