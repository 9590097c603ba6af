"""Files in, files out: keypoints, cameras, results.

Layout::

    source.py       Source: a file or folder, opened once and passed to its reader
    format.py       Format (name, sniff, read) and ReadOptions: what a keypoint format is
    detections.py   Detections: what a reader returns; check_size and clean, once for all formats
    recording.py    load, load_people, read_recording: detect, read, clean, track, assemble
    inspection.py   inspect: what ``hypopose info`` shows
    results.py      Result, load_hypotheses
    native.py       HypoPose's npz layout, shared by keypoints and results
    atomic.py       write_atomically
    readers/        one file per keypoint format; the table FORMATS (a new one: a file and a line)
    parsing/        what several readers share: checked JSON, CSV rows, joint names, skeletons
    people/         tracking and identities
    camera_files/   calibration files of all tools, moving cameras
    mask_files/     masks of people: PNG files, COCO's run lengths, npz
    writers/        one file per export format; the table EXPORTERS; keypoint files
    untrusted/      untrusted arrays and pickles, native parsers in a subprocess

A reader turns a :class:`Source` into :class:`~hypopose.io.detections.Detections` and reports only
what the file states. Readers import from ``source``, ``format``, ``detections``, ``parsing`` and
``untrusted``; they do not import each other.
"""

from hypopose.io.atomic import write_atomically
from hypopose.io.camera_files import (
    CameraFileWarning,
    CameraRig,
    NoImageSizeError,
    RigClock,
    load_camera,
    load_cameras,
    load_rig,
    resized,
    save_calibration,
    save_camera,
    save_rig,
    split_camera_name,
)
from hypopose.io.camera_files.moving_camera import load_camera_motion
from hypopose.io.format import Format, ReadOptions
from hypopose.io.inspection import FileInfo, PersonInfo, inspect
from hypopose.io.mask_files import Masks, load_masks, silhouettes_of, with_silhouettes
from hypopose.io.native import save_keypoints
from hypopose.io.parsing.skeleton_detection import SkeletonGuessWarning
from hypopose.io.people.tracking import TrackingOptions, track
from hypopose.io.readers import FORMATS, detect_format
from hypopose.io.recording import OtherPeopleWarning, load, load_people
from hypopose.io.results import Result, load_hypotheses
from hypopose.io.source import Source
from hypopose.io.writers import EXPORTERS, Exported, ExportOptions, export_result, save_result
from hypopose.io.writers.keypoint_tables import save_people

__all__ = [
    "EXPORTERS",
    "FORMATS",
    "CameraFileWarning",
    "CameraRig",
    "ExportOptions",
    "Exported",
    "FileInfo",
    "Format",
    "Masks",
    "NoImageSizeError",
    "OtherPeopleWarning",
    "PersonInfo",
    "ReadOptions",
    "Result",
    "RigClock",
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
    "load_masks",
    "load_people",
    "load_rig",
    "resized",
    "save_calibration",
    "save_camera",
    "save_keypoints",
    "save_people",
    "save_result",
    "save_rig",
    "silhouettes_of",
    "split_camera_name",
    "track",
    "with_silhouettes",
    "write_atomically",
]
