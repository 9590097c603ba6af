"""Footage is recognized by its first bytes, and every reader says what to do with it."""

from __future__ import annotations

from pathlib import Path

import pytest

import hypopose
from hypopose.errors import FormatError
from hypopose.io.footage import footage_kind, pictures_in

HEADS = {
    "video": [b"\x00\x00\x00\x20ftypisom", b"RIFF....AVI LIST", b"\x1aE\xdf\xa3....", b"GIF89a.."],
    "picture": [b"\xff\xd8\xff\xe0....", b"\x89PNG\r\n\x1a\n..", b"RIFF....WEBPVP8 "],
    "sound": [b"RIFF....WAVEfmt ", b"ID3\x04....", b"fLaC...."],
}


@pytest.mark.parametrize(("kind", "head"), [(k, h) for k, hs in HEADS.items() for h in hs])
def test_first_bytes_count_more_than_the_ending(tmp_path: Path, kind: str, head: bytes) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(head + bytes(100))
    assert footage_kind(path) == kind


def test_a_keypoint_file_is_no_footage(tmp_path: Path) -> None:
    path = tmp_path / "walk.json"
    path.write_text("{}")
    assert footage_kind(path) is None


def test_pictures_come_in_natural_order_and_among_themselves(tmp_path: Path) -> None:
    for name in ("10.png", "9.png", "README.md", ".hidden"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in pictures_in(tmp_path)] == ["9.png", "10.png"]
    assert footage_kind(tmp_path) == "pictures"
    (tmp_path / "9.txt").write_text("0 0.5 0.5")  # YOLO's labels beside their pictures
    assert footage_kind(tmp_path) is None


@pytest.mark.parametrize("format", [None, "openpose"])
def test_readers_of_keypoints_name_the_install_line(tmp_path: Path, format: str | None) -> None:
    path = tmp_path / "walk.mp4"
    path.write_bytes(b"\x00\x00\x00\x20ftypisom" + bytes(100))
    with pytest.raises(FormatError) as error:
        hypopose.load(path, format=format)
    line = str(error.value)
    assert "walk.mp4: is a video" in line
    assert "pip install 'hypopose[video]'" in line
    assert all(word in line for word in ("MediaPipe", "RTMPose", "yolo pose", "video.md"))
