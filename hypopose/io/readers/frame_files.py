"""One file per image of a clip, in any format whose files can hold one image.

MMPose, MediaPipe, Detectron2, ViTPose and others write a file for every image they are given. A
folder of such files, numbered by the last number in their names, is one clip; so is a folder that
holds nothing else but such a folder. A file with an empty list is a frame without people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hypopose.errors import FormatError
from hypopose.io.detections import Detections
from hypopose.io.format import Format, ReadOptions
from hypopose.io.parsing.numbered_files import files_ending, numbered
from hypopose.io.source import Source

ENDINGS = (".json", ".csv", ".pbtxt", ".txt")
_PEOPLE = ("instance_info", "instances", "people", "predictions", "annots", "poses", "landmarks",
           "pose_landmarks", "keypoints", "bodies")  # fmt: skip
"""Keys of the people of an image."""
MIN_FILES = 3
"""Files from which a numbered folder is a clip and not some photos."""


@dataclass(frozen=True)
class FrameFiles:
    """The reader of folders, for the formats whose files may be one image.

    Args:
        formats: Those formats.
        folders: Formats that read folders of their own.
    """

    formats: Sequence[Format]
    folders: Sequence[Format] = ()

    def sniff(self, source: Source) -> bool:
        """A folder with a file of one image in one of the formats."""
        files = frame_paths(source) if source.is_folder else []
        kind = self._kind(files)
        if kind is None:
            return False
        # A loose format leaves the folder that holds the files to those that know it.
        return not kind.loose or not any(f.sniff(Source(files[0].parent)) for f in self.folders)

    def is_recording(self, source: Source) -> bool:
        """Whether the first, the middle and the last file are numbered images of one format."""
        files = frame_paths(source)
        try:
            paths = [path for _, path in numbered(source, files)]
        except FormatError:
            return False
        some = [paths[0], paths[len(paths) // 2], paths[-1]] if len(paths) >= MIN_FILES else []
        kind = self._kind(paths)
        return bool(some) and kind is not None and all(self._fits(kind, Source(p)) for p in some)

    def read(self, source: Source, options: ReadOptions) -> Detections:
        """Read all files."""
        files = frame_paths(source)
        kind = self._kind(files)
        if kind is None:
            raise source.error("no files of one image each in the folder", "name a file in it")
        numbers, parts = [], []
        for number, path in numbered(source, files):
            file = Source(path)
            numbers.append(number)
            if not _is_empty(file):
                if not self._fits(kind, file):
                    raise file.error(
                        f"is not one image in the format {kind.name}, as the others are",
                        "keep only the files of one clip in the folder",
                    )
                part = kind.read(file, options)
                parts.append(replace(part, frames=np.full_like(part.frames, number)))
        return _joined(source, parts, numbers, f"{len(numbers)} {kind.name} files, one a frame")

    def _kind(self, files: Sequence[Path]) -> Format | None:
        """The format of the first file that is not empty."""
        if len(files) < MIN_FILES:
            return None
        sources = (Source(path) for path in files)
        first = next((file for file in sources if not _is_empty(file)), None)
        if first is None:
            return None
        return next((f for f in self.formats if f.sniff(first) and self._fits(f, first)), None)

    def _fits(self, kind: Format, file: Source) -> bool:
        if _is_empty(file):
            return True
        return kind.sniff(file) and kind.one_image is not None and kind.one_image(file)


def frame_paths(source: Source) -> list[Path]:
    """The files of a folder, or of the only folder in it, if all have one ending."""
    found = {ending: files for ending in ENDINGS if (files := files_ending(source, ending))}
    if len(found) == 1:
        return next(iter(found.values()))
    inner = [p for p in source.path.iterdir() if p.name[0] != "."]
    if found or len(inner) != 1 or not inner[0].is_dir() or inner[0].is_symlink():
        return []
    return _files_in(Source(inner[0]))


def _files_in(source: Source) -> list[Path]:
    found = {ending: files for ending in ENDINGS if (files := files_ending(source, ending))}
    return next(iter(found.values())) if len(found) == 1 else []


def _is_empty(file: Source) -> bool:
    """A file without people: nothing at all, or an empty JSON list or object."""
    if not file.head.strip():
        return True
    if not file.is_json:
        return False
    if len(file.head.strip()) < 8 and file.json in ([], {}):
        return True
    return isinstance(file.json, dict) and any(file.json.get(key) == [] for key in _PEOPLE)


def _joined(
    source: Source, parts: Sequence[Detections], numbers: Sequence[int], note: str
) -> Detections:
    if not parts:
        raise source.error("no person in any of its files", "check that the detector saw somebody")
    first = parts[0]
    _check_skeletons(source, parts)
    return Detections(
        skeleton=first.skeleton,
        frames=np.concatenate([part.frames for part in parts]),
        xy=np.concatenate([part.xy for part in parts]),
        confidence=_confidences(parts),
        ids=tuple(i for part in parts for i in part.ids),
        first_frame=min(numbers),
        last_frame=max(numbers),
        image_size=first.image_size,
        notes=(note, *dict.fromkeys(n for part in parts for n in part.notes)),
        doubts=tuple(dict.fromkeys(d for part in parts for d in part.doubts)),
    )


def _check_skeletons(source: Source, parts: Sequence[Detections]) -> None:
    first = parts[0].skeleton
    other = next((part.skeleton for part in parts if part.skeleton != first), None)
    if other is not None:
        raise source.error(
            f"files with {first.n_joints} and {other.n_joints} keypoints",
            "keep only the files of one clip in the folder",
        )


def _confidences(parts: Sequence[Detections]) -> Float[np.ndarray, "N J"] | None:
    """The confidences of all parts; None if one has none."""
    known = [part.confidence for part in parts if part.confidence is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def frame_files(formats: Sequence[Format]) -> Format:
    """The format of folders of files in these formats."""
    reader = FrameFiles(
        [f for f in formats if f.one_image is not None],
        [f for f in formats if f.folders is not None],
    )
    return Format(
        name="frame-files",
        description="a folder of one file per image: MMPose, MediaPipe, COCO or AlphaPose JSON",
        sniff=reader.sniff,
        read=reader.read,
        folders=reader.is_recording,
    )
