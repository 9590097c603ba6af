"""From a path to keypoints: detect the format, read, clean, follow people, assemble.

Nothing is interpolated: a joint or frame that was not detected is NaN with confidence 0. Whatever
was assumed on the way is in the ``notes`` of the result.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Unpack

import numpy as np
import torch
from jaxtyping import Int

from hypopose.cameras.quarter_turns import quarter_turns, turn_keypoints
from hypopose.errors import OptionError
from hypopose.io.detections import Detections, check_size, clean
from hypopose.io.doubts import doubts_about, outside_doubt, warn_of
from hypopose.io.format import Format, Reading, ReadOptions
from hypopose.io.people.enough_seen import MIN_JOINTS, too_little_seen
from hypopose.io.people.given_identities import (
    believable_identities,
    drop_identities,
    speed_doubt,
)
from hypopose.io.people.tracking import TrackingOptions, track
from hypopose.io.readers import format_of
from hypopose.io.source import Source
from hypopose.io.unusual import in_pixels, on_the_clock, resampled, y_down
from hypopose.plugins import plugin_of
from hypopose.skeletons import get_skeleton, load_skeleton
from hypopose.types import Camera, Keypoints2D, Skeleton

MAX_VALUES = 50_000_000
"""Keypoints that all people of a file may have together, missing ones included."""


class OtherPeopleWarning(UserWarning):
    """A file holds several people and only the main one was taken."""


@dataclass(frozen=True, eq=False)
class ReadRecording:
    """A file read: its format, its detections, who is who, and of whom too little was seen."""

    source: Source
    format: Format
    detections: Detections
    people: Mapping[str, Int[np.ndarray, " n"]]
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def enough(self) -> dict[str, Int[np.ndarray, " n"]]:
        """The people of whom enough was seen.

        Raises:
            FormatError: If there are no people.
        """
        kept = {name: rows for name, rows in self.people.items() if name not in self.skipped}
        if not kept:
            why = "; ".join(f"{n}: {w}" for n, w in list(self.skipped.items())[:3])
            raise self.source.error(
                f"too few joints of every person are seen ({why})", "keep them with min_joints=0"
            )
        return kept

    @property
    def skip_note(self) -> tuple[str, ...]:
        """A doubt about the people who are left out, if there are any."""
        if not self.skipped:
            return ()
        some = [f"{name} ({why})" for name, why in list(self.skipped.items())[:3]]
        more = len(self.skipped) - len(some)
        listed = ", ".join(some) + (f" and {more} more" if more else "")
        return (f"left out, too little seen: {listed}; include them with min_joints=0",)


def load(
    path: str | Path,
    *,
    format: str | None = None,
    skeleton: str | Skeleton | None = None,
    person: str | int | None = None,
    image_size: tuple[int, int] | None = None,
    fps: float | int | None = None,
    camera: Camera | None = None,
    rotate: int = 0,
    **reading: Unpack[Reading],
) -> Keypoints2D:
    """Read one person's 2D keypoints from a file or folder of any known format.

    Args:
        path: A keypoint file, or a folder of one file per frame.
        format: Name of the format; detected from the contents if None.
        skeleton: The joint set, if the format does not determine it; overrides detection. A path
            ending in ``.toml`` is a skeleton of your own, or names for one.
        person: Whose keypoints, by identity as ``hypopose info`` lists them; if None the one seen
            in most frames, with a warning if there are others.
        image_size: Width and height in pixels; overrides what the file says.
        fps: Frames per second; overrides what the file says.
        camera: The camera, if known.
        rotate: Degrees, a multiple of 90, by which keypoints, image size and camera are turned
            clockwise.
        **reading: How an unusual file is to be read: ``y_up``, ``fractions``, ``resample``,
            ``ignore_identities``, ``keep_identities``, ``min_joints``; see
            :class:`hypopose.io.format.Reading`.

    Returns:
        Pixels per frame and joint, NaN and confidence 0 where undetected. Frame 0 is the first
        frame the file speaks of; frame numbers the file leaves out are frames without detections.

    Raises:
        FormatError: If the file is not what its format says; one line with file, place and cure.
        OptionError: If an option names no format, person or size.
    """
    recording = read_recording(
        path, format, skeleton, fps, _known_size(image_size, camera), **reading
    )
    source, people = recording.source, recording.people
    rate = None if reading.get("resample") else fps
    chosen = next(iter(recording.enough)) if person is None else str(person)
    if chosen not in people:
        raise OptionError(
            f"No person {chosen!r} in {recording.source.path}; it has {_listed(people)}."
        )
    if person is None and len(people) > 1:
        others = {name: rows for name, rows in people.items() if name != chosen}
        warnings.warn(
            f"{recording.source.path}: took person {chosen!r} ({len(people[chosen])} frames) of "
            f"{len(people)}; others: {_listed(others)}. Choose with person= or use load_people.",
            OtherPeopleWarning,
            stacklevel=2,
        )
    warn_of(recording.detections.doubts, source.path.name)
    keypoints = assemble(recording, chosen, image_size, rate, camera)
    return turn_keypoints(keypoints, quarter_turns(rotate))


def load_people(
    path: str | Path,
    *,
    format: str | None = None,
    skeleton: str | Skeleton | None = None,
    image_size: tuple[int, int] | None = None,
    fps: float | int | None = None,
    camera: Camera | None = None,
    rotate: int = 0,
    **reading: Unpack[Reading],
) -> dict[str, Keypoints2D]:
    """Read the 2D keypoints of all people, tracked over time.

    Args:
        path: A keypoint file, or a folder of one file per frame.
        format: Name of the format; detected from the contents if None.
        skeleton: The joint set, if the format does not determine it; or a TOML file.
        image_size: Width and height in pixels; overrides what the file says.
        fps: Frames per second; overrides what the file says.
        camera: The camera, if known.
        rotate: See :func:`load`.
        **reading: How an unusual file is to be read, see :func:`load`.

    Returns:
        Keypoints by identity, the person seen in most frames first. All have the same frames,
        unless the file holds separate clips or images.

    Raises:
        FormatError: If the file is not what its format says, or people and frames are too many.
        OptionError: If an option names no format or size.
    """
    recording = read_recording(
        path, format, skeleton, fps, _known_size(image_size, camera), **reading
    )
    detections, names = recording.detections, list(recording.enough)
    if detections.shared_clock:
        n_frames = detections.last_frame - detections.first_frame + 1
        n_values = len(names) * n_frames * detections.skeleton.n_joints
        if n_values > MAX_VALUES:
            raise recording.source.error(
                f"{len(names)} people over {n_frames} frames are too many at once",
                "load them one by one with person=",
            )
    warn_of((*detections.doubts, *recording.skip_note), recording.source.path.name)
    rate = None if reading.get("resample") else fps
    turns = quarter_turns(rotate)
    return {
        name: turn_keypoints(assemble(recording, name, image_size, rate, camera), turns)
        for name in names
    }


def read_recording(
    path: str | Path,
    format: str | None = None,
    skeleton: str | Skeleton | None = None,
    fps: float | int | None = None,
    image_size: tuple[int, int] | None = None,
    tracking: TrackingOptions | None = None,
    **reading: Unpack[Reading],
) -> ReadRecording:
    """Read a file and find out who is who.

    Args:
        path: A keypoint file or folder.
        format: Name of the format; detected if None.
        skeleton: A name, a skeleton, or a TOML file of one; see :mod:`hypopose.skeletons.user`.
        fps: Frames per second; a person may be unseen for a second and still be the same.
        image_size: For formats that write fractions of it.
        tracking: How far people may move, if not as usual.
        **reading: How an unusual file is to be read, see :func:`load`.

    Raises:
        FormatError: If the file is not what its format says.
        OptionError: If there is no such format, or frame rate or image size are none.
    """
    _check_options(fps, image_size)
    source = Source(path)
    options = _read_options(skeleton, image_size, reading.get("resample"))
    with _bounded(source):
        kind = format_of(source, format)
        if source.is_folder and kind.folders is None:
            raise source.error(f"is a folder, but {kind.name} is one file", "name the file")
        detections = on_the_clock(kind.read(source, options), source, fps, options.resample)
        plugin = plugin_of(kind)
        if plugin is not None:
            note = f"read by {plugin.name} ({plugin.origin})"
            detections = replace(detections, notes=(*detections.notes, note))
        check_size(detections, str(source.path))
        if not kind.exact:
            detections = _usual(detections, source, options, reading)
        return _with_people(ReadRecording(source, kind, detections, {}), fps, tracking, reading)


def _usual(
    detections: Detections, source: Source, options: ReadOptions, reading: Reading
) -> Detections:
    """Cleaned detections in pixels with y down, and what is doubtful about them."""
    size = options.image_size
    if reading.get("fractions"):
        detections = in_pixels(detections, source, size)
    if reading.get("y_up"):
        detections = y_down(detections, size)
    detections = clean(detections, str(source.path))
    return detections.with_doubts(
        *doubts_about(detections, skeleton_told=options.skeleton is not None)
    )


def _with_people(
    recording: ReadRecording,
    fps: float | int | None,
    tracking: TrackingOptions | None,
    reading: Reading,
) -> ReadRecording:
    """The recording with everybody in it followed through time."""
    detections = recording.detections
    doubts: tuple[str, ...] = ()
    rate = fps or detections.fps
    if reading.get("ignore_identities"):
        detections = drop_identities(detections)
    elif not (recording.format.exact or reading.get("keep_identities")):
        detections, doubts = believable_identities(detections, rate)
    if rate is not None:
        doubts = (*doubts, *speed_doubt(detections, rate))
    gap = TrackingOptions().max_gap if rate is None else max(1, min(round(rate), 1000))
    people = track(detections, tracking or TrackingOptions(max_gap=gap))
    hertz = reading.get("resample")
    if hertz is not None:
        detections, people = resampled(detections, people, fps, hertz)
    skipped = (
        {}
        if recording.format.exact
        else too_little_seen(detections, people, reading.get("min_joints", MIN_JOINTS))
    )
    return replace(
        recording, detections=detections.with_doubts(*doubts), people=people, skipped=skipped
    )


def _check_options(fps: float | int | None, image_size: tuple[int, int] | None) -> None:
    if fps is not None and not 0 < fps < 100_000:
        raise OptionError(f"fps is frames per second, got {fps}.")
    if image_size is not None and (len(image_size) != 2 or min(image_size) <= 0):
        raise OptionError(f"image_size is width and height in pixels, got {image_size}.")


def _read_options(
    skeleton: str | Skeleton | None,
    image_size: tuple[int, int] | None,
    resample: float | int | None,
) -> ReadOptions:
    if isinstance(skeleton, str) and skeleton.lower().endswith(".toml"):
        file = load_skeleton(skeleton)
        return ReadOptions(file.skeleton, file.names, image_size, resample)
    named = get_skeleton(skeleton) if isinstance(skeleton, str) else skeleton
    return ReadOptions(skeleton=named, image_size=image_size, resample=resample)


def _known_size(
    image_size: tuple[int, int] | None, camera: Camera | None
) -> tuple[int, int] | None:
    return camera.image_size if image_size is None and camera is not None else image_size


@contextlib.contextmanager
def _bounded(source: Source) -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise source.error("nested too deeply", "this is not a keypoint file") from None
    except MemoryError:
        raise source.error("too large for this machine's memory", "split the recording") from None


def assemble(
    recording: ReadRecording,
    person: str,
    image_size: tuple[int, int] | None,
    fps: float | int | None,
    camera: Camera | None,
) -> Keypoints2D:
    """One person's rows as keypoints over all frames.

    Raises:
        OptionError: If the image size is impossible or contradicts the camera.
    """
    detections, rows = recording.detections, recording.people[person]
    first, last = frame_range(detections, rows)
    at = detections.frames[rows] - first
    shape = (last - first + 1, detections.skeleton.n_joints)
    xy = np.full((*shape, 2), np.nan, dtype=np.float32)
    xy[at] = detections.xy[rows]
    confidence = _in_time(detections.confidence, rows, at, np.zeros(shape))
    covariance = _in_time(detections.covariance, rows, at, np.full((*shape, 2, 2), np.nan))
    stated = detections.image_sizes.get(person, detections.image_size)
    given, camera = camera, camera or detections.camera
    size = _image_size(image_size, camera, stated)
    doubts: tuple[str, ...] = ()
    notes = detections.notes
    if not recording.format.exact:
        doubts, notes = outside_doubt(xy, size), _notes(detections, rows)
    if image_size is None and given is not None and stated is not None and size != stated:
        doubts = (*doubts, _other_size(given.image_size, stated))
    warn_of(doubts, recording.source.path.name)
    return Keypoints2D(
        xy=torch.from_numpy(xy),
        skeleton=detections.skeleton,
        confidence=confidence,
        covariance=covariance,
        camera=camera,
        image_size=size,
        fps=detections.fps if fps is None else float(fps),
        approximate=detections.approximate,
        notes=(*detections.doubts, *doubts, *notes),
    )


def _in_time(
    values: np.ndarray | None, rows: np.ndarray, at: np.ndarray, empty: np.ndarray
) -> torch.Tensor | None:
    """A person's values at their frames, ``empty`` elsewhere; None if there are no values."""
    if values is None:
        return None
    full = empty.astype(np.float32)
    full[at] = values[rows]
    return torch.from_numpy(full)


def frame_range(detections: Detections, rows: Int[np.ndarray, " n"]) -> tuple[int, int]:
    """First and last frame number of a person's clip: everybody's, if they share a clock."""
    if detections.shared_clock:
        return detections.first_frame, detections.last_frame
    frames = detections.frames[rows]
    return int(frames.min()), int(frames.max())


def _image_size(
    given: tuple[int, int] | None, camera: Camera | None, stated: tuple[int, int] | None
) -> tuple[int, int] | None:
    if given is not None and camera is not None and tuple(given) != camera.image_size:
        raise OptionError(
            f"image_size {given} contradicts the camera's {camera.image_size}; give one of them."
        )
    if camera is not None:
        return camera.image_size
    return stated if given is None else (int(given[0]), int(given[1]))


def _other_size(camera: tuple[int, int], stated: tuple[int, int]) -> str:
    return (
        f"the file says {stated[0]} x {stated[1]} pixels, the camera {camera[0]} x {camera[1]}: "
        "the camera's was used; name the size the keypoints were found in with image_size="
    )


def _notes(detections: Detections, rows: Int[np.ndarray, " n"]) -> tuple[str, ...]:
    """What happened to one person's frames."""
    notes = list(detections.notes)
    first, last = frame_range(detections, rows)
    if first != 0:
        notes.append(f"frame 0 is number {first} in the file")
    seen = len(np.unique(detections.frames[rows]))
    if seen < last - first + 1:
        notes.append(f"detected in {seen} of {last - first + 1} frames; the others are missing")
    return tuple(notes)


def _listed(people: Mapping[str, Int[np.ndarray, " n"]], most: int = 8) -> str:
    words = [f"{name!r} ({len(rows)})" for name, rows in list(people.items())[:most]]
    more = len(people) - len(words)
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")
