"""Keypoint formats: one file per format, one table, and detection by contents.

A new format is one module here with a :class:`~hypopose.io.format.Format` and one line in
:data:`FORMATS`. What several readers need is in :mod:`hypopose.io.parsing`.
"""

from __future__ import annotations

from pathlib import Path

from hypopose.errors import FormatError, OptionError
from hypopose.io.footage import describe_footage, footage_kind
from hypopose.io.format import Format
from hypopose.io.parsing.depth import CURE
from hypopose.io.readers import (
    alphapose,
    alphapose_frames,
    coco_annotations,
    coco_results,
    deeplabcut,
    detectron2,
    detectron2_npz,
    easymocap_annots,
    hypopose_json,
    hypopose_npz,
    kinect,
    mediapipe_json,
    mediapipe_landmarks,
    mmpose,
    movement,
    openpose,
    plain_arrays,
    script_json,
    sleap,
    tidy_table,
    ultralytics,
    videopose3d,
    vitpose,
    wide_table,
    yolo,
)
from hypopose.io.readers.frame_files import frame_files
from hypopose.io.source import Source
from hypopose.plugins import available, look_up

_FILES = (
    openpose.FORMAT,
    coco_results.FORMAT,
    coco_annotations.FORMAT,
    alphapose.FORMAT,
    alphapose_frames.FORMAT,
    detectron2.FORMAT,
    detectron2_npz.FORMAT,
    mmpose.FORMAT,
    mediapipe_landmarks.FORMAT,
    mediapipe_json.FORMAT,
    kinect.FORMAT,
    yolo.FORMAT,
    ultralytics.FORMAT,
    vitpose.FORMAT,
    easymocap_annots.FORMAT,
    deeplabcut.FORMAT,
    sleap.FORMAT,
    movement.FORMAT,
    tidy_table.FORMAT,
    wide_table.FORMAT,
    videopose3d.FORMAT,
    hypopose_npz.FORMAT,
    hypopose_json.FORMAT,
    plain_arrays.FORMAT,
    script_json.FORMAT,
)

FORMATS: dict[str, Format] = {f.name: f for f in (*_FILES, frame_files(_FILES))}
"""Every format HypoPose reads, by name."""


def detect_format(path: str | Path) -> str:
    """The name of the format of a file or folder, judged by its contents.

    Args:
        path: A keypoint file, or a folder of them.

    Returns:
        A key of :data:`FORMATS`.

    Raises:
        FormatError: If no format, or more than one, fits.
    """
    return format_of(Source(path), None).name


def is_recording(folder: str | Path) -> bool:
    """Whether a folder is one recording, a file per frame, and not a place of many recordings.

    Args:
        folder: An existing folder.

    Returns:
        True if one format fits the folder and all of its files in this format belong together.
    """
    source = Source(folder)
    try:
        format = format_of(source, None)
        return format.folders is not None and format.folders(source)
    except FormatError:
        return False


def format_of(source: Source, name: str | None) -> Format:
    """The format named, or else the only one that fits.

    A name may be a plug-in's, see :mod:`hypopose.plugins`; those of installed packages are asked
    where none of ours fits.

    Raises:
        OptionError: If there is no format of that name.
        FormatError: If no format, or more than one, fits.
    """
    named = None if name is None else _named(name)
    footage = footage_kind(source.path)
    if footage is not None:
        problem, _, cure = describe_footage(footage).partition(": ")
        raise source.error(problem, cure)
    if named is not None:
        return named
    fitting = _fitting(source)
    if not fitting:
        raise source.error(
            f"is {source.contents}, in no keypoint format HypoPose knows",
            "write a table with the columns frame, person, joint, x, y, confidence",
        )
    if len(fitting) > 1:
        raise source.error(
            f"could be {' or '.join(f.name for f in fitting)}", "name one with format="
        )
    return fitting[0]


def _fitting(source: Source) -> list[Format]:
    """Our formats that fit; else those of installed packages; else loose ones.

    Raises:
        FormatError: If only a loose one could fit, and the source is 3D motion.
    """
    exact = [f for f in FORMATS.values() if not f.loose and f.sniff(source)]
    fitting = exact or [format for format in _installed() if format.sniff(source)]
    if fitting:
        return fitting
    _refuse_motion(source)
    return [f for f in FORMATS.values() if f.loose and f.sniff(source)]


def _refuse_motion(source: Source) -> None:
    """Refuse files of 3D motion, which another command reads.

    Raises:
        FormatError: If the source is one.
    """
    from hypopose.io.motion_files import motion_format

    kind = motion_format(source.path)
    if kind is not None:
        raise source.error(f"holds 3D motion ({kind})", CURE)


def _named(name: str) -> Format:
    """A format by name: ours, or a plug-in's.

    Raises:
        OptionError: If there is none, or it is not a :class:`Format`.
    """
    found: object = look_up("readers", name, FORMATS)
    if not isinstance(found, Format):
        raise OptionError(f"{name!r} is not a hypopose.io.Format: it needs name, sniff and read.")
    return found


def _installed() -> list[Format]:
    """The formats that installed packages register."""
    return [_named(name) for name in available("readers", {}) if name not in FORMATS]
