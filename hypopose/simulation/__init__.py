"""Simulated observations: bodies in motion, virtual cameras, and 2D detectors with their errors."""

from hypopose.simulation.bodies import Bodies, BodyMaker, BodyOptions, Builds, DrawBuilds
from hypopose.simulation.coco_points import coco_joints
from hypopose.simulation.detector_noise import (
    COCO_BENCHMARK,
    COCO_TRAINING,
    H36M_TRAINING,
    DetectorNoise,
    Errors,
    Gaps,
    Sides,
)
from hypopose.simulation.mixed_detections import (
    DetectionOptions,
    detect,
    detect_as_coco,
    project_rays,
)
from hypopose.simulation.motion import Motion
from hypopose.simulation.people import People, load_people
from hypopose.simulation.position_alignment import (
    Placed,
    align_clips,
    global_position_alignment,
    random_pairs,
    redistribute,
)
from hypopose.simulation.random_draws import Draws
from hypopose.simulation.virtual_cameras import CameraDistribution, place_cameras

__all__ = [
    "COCO_BENCHMARK",
    "COCO_TRAINING",
    "H36M_TRAINING",
    "Bodies",
    "BodyMaker",
    "BodyOptions",
    "Builds",
    "CameraDistribution",
    "DetectionOptions",
    "DetectorNoise",
    "DrawBuilds",
    "Draws",
    "Errors",
    "Gaps",
    "Motion",
    "People",
    "Placed",
    "Sides",
    "align_clips",
    "coco_joints",
    "detect",
    "detect_as_coco",
    "global_position_alignment",
    "load_people",
    "place_cameras",
    "project_rays",
    "random_pairs",
    "redistribute",
]
