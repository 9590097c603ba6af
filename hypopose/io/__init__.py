"""Keypoint files in, results out: one file per format, one table."""

from hypopose.io.atomic import write_atomically
from hypopose.io.base import Format, ReadOptions
from hypopose.io.camera_files import (
    load_camera,
    load_cameras,
    resized,
    save_camera,
    split_camera_name,
)
from hypopose.io.camera_motion import load_camera_motion
from hypopose.io.evidence import SkeletonGuessWarning
from hypopose.io.export import EXPORTERS, Exported, ExportOptions, export_result, save_result
from hypopose.io.formats import FORMATS, detect_format
from hypopose.io.front_door import OtherPeopleWarning, load, load_people
from hypopose.io.info import FileInfo, PersonInfo, inspect
from hypopose.io.keypoint_files import save_people
from hypopose.io.own_npz import save_keypoints
from hypopose.io.results import Result, load_hypotheses
from hypopose.io.source import Source
from hypopose.io.tracking import TrackingOptions, track

__all__ = [
    "EXPORTERS",
    "FORMATS",
    "ExportOptions",
    "Exported",
    "FileInfo",
    "Format",
    "OtherPeopleWarning",
    "PersonInfo",
    "ReadOptions",
    "Result",
    "SkeletonGuessWarning",
    "Source",
    "TrackingOptions",
    "detect_format",
    "export_result",
    "inspect",
    "load",
    "load_camera",
    "load_camera_motion",
    "load_cameras",
    "load_hypotheses",
    "load_people",
    "resized",
    "save_camera",
    "save_keypoints",
    "save_people",
    "save_result",
    "split_camera_name",
    "track",
    "write_atomically",
]
