"""Videos, pictures and cameras: recognized here, so that every command can explain what to do.

:mod:`hypopose.video` turns footage into keypoints; this file only distinguishes footage from
keypoint files, by the first bytes and the extension.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

FootageKind = Literal["video", "picture", "pictures", "sound", "camera"]

VIDEO_SUFFIXES = {
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts",
    ".wmv", ".flv", ".ogv", ".3gp", ".3g2", ".gif", ".vob", ".mxf", ".asf", ".y4m", ".h264",
    ".hevc", ".dv",
}  # fmt: skip
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
SOUND_SUFFIXES = {".wav", ".mp3", ".flac", ".m4a", ".aac", ".ogg", ".opus"}

INSTALL = "pip install 'hypopose[video]'"

HOW_TO = "docs/how-to/video.md"

_MAGIC: tuple[tuple[int, bytes, FootageKind], ...] = (
    (0, b"\x1aE\xdf\xa3", "video"),  # Matroska, WebM
    (0, b"FLV\x01", "video"),
    (0, b"\x30\x26\xb2\x75", "video"),  # ASF, WMV
    (0, b"\x00\x00\x01\xba", "video"),  # MPEG program stream
    (0, b"YUV4MPEG2", "video"),
    (0, b"GIF8", "video"),
    (8, b"AVI ", "video"),
    (8, b"WAVE", "sound"),
    (0, b"ID3", "sound"),
    (0, b"fLaC", "sound"),
    (8, b"WEBP", "picture"),
    (0, b"\xff\xd8\xff", "picture"),  # JPEG
    (0, b"\x89PNG\r\n\x1a\n", "picture"),
    (4, b"ftyp", "video"),  # MP4, MOV, 3GP
)


def footage_kind(path: str | Path) -> FootageKind | None:
    """What kind of footage a path is; None if it is none.

    Args:
        path: A file, a folder, or ``camera:0``. Files are recognized by their first bytes, else by
            their ending; a folder is footage if it holds pictures and no keypoint files.

    Returns:
        ``"video"``, ``"picture"``, ``"pictures"`` for a folder of them, ``"sound"``, ``"camera"``,
        or None.

    Example:
        >>> footage_kind("camera:0"), footage_kind("walk.mp4"), footage_kind("walk.json")
        ('camera', 'video', None)
    """
    if camera_number(path) is not None:
        return "camera"
    path = Path(path)
    if path.is_dir():
        return "pictures" if pictures_in(path) else None
    head = _head(path)
    for at, magic, kind in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return kind
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return "video"
    if suffix in SOUND_SUFFIXES:
        return "sound"
    return "picture" if suffix in PICTURE_SUFFIXES else None


def camera_number(path: str | Path) -> int | None:
    """The number in ``camera:N``; None if the path is no camera.

    Example:
        >>> camera_number("camera:2")
        2
    """
    match = re.fullmatch(r"camera:(\d{1,3})", str(path))
    return None if match is None else int(match[1])


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder that holds nothing else but hidden and Markdown files.

    Args:
        folder: An existing folder.

    Returns:
        Pictures in natural order (``2.png`` before ``10.png``); none if the folder holds other
        files too.
    """
    files = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    pictures = [p for p in files if p.suffix.lower() in PICTURE_SUFFIXES]
    others = [p for p in files if p not in pictures and p.suffix.lower() != ".md"]
    if others or not pictures:
        return []
    return sorted(pictures, key=lambda p: _natural(p.name))


def describe_footage(kind: FootageKind) -> str:
    """The problem and the cure for a command that reads keypoints.

    Example:
        >>> describe_footage("video").startswith("is a video, not a keypoint file")
        True
    """
    if kind == "sound":
        return "is a sound file, not a keypoint file"
    words = {"video": "a video", "picture": "a picture", "pictures": "a folder of pictures",
             "camera": "a camera"}  # fmt: skip
    return (
        f"is {words[kind]}, not a keypoint file: hypopose sample and hypopose detect read it after "
        f"{INSTALL}; or get keypoints from MediaPipe, RTMPose (rtmlib) or `yolo pose`, see {HOW_TO}"
    )


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError:
        return b""


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key in which numbers count as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
