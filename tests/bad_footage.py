"""Broken, empty and odd footage, made of frames that a detector sees somebody in.

Each maker takes where to write and the frames, and returns what it wrote. Tests make them of
colored discs, ``benchmarks/bad_videos.py`` of a rendered walk.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from footage import write_clip, write_sound
from PIL import Image

Frames = Sequence[np.ndarray]
Maker = Callable[[Path, Frames], Path]


# --- nothing that could be read -----------------------------------------------------------------


def empty(path: Path, frames: Frames) -> Path:
    path.write_bytes(b"")
    return path


def text(path: Path, frames: Frames) -> Path:
    path.write_text("not a video at all\n" * 50)
    return path


def zeros(path: Path, frames: Frames) -> Path:
    path.write_bytes(bytes(50_000))
    return path


def headless(path: Path, frames: Frames) -> Path:
    """An mp4 whose index, at the end, was never written."""
    data = write_clip(path, frames).read_bytes()
    path.write_bytes(data[: data.rindex(b"moov") - 4])
    return path


def sound(path: Path, frames: Frames) -> Path:
    return write_sound(path)


def sleeve(path: Path, frames: Frames) -> Path:
    """Music with a picture on its sleeve: an ID3 tag before MP3."""
    import io

    import av

    music, cover = io.BytesIO(), io.BytesIO()
    with av.open(music, "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), "s16p", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    Image.fromarray(frames[0]).save(cover, "JPEG")
    picture = b"\0image/jpeg\0\3\0" + cover.getvalue()
    block = b"APIC" + struct.pack(">IH", len(picture), 0) + picture
    length = bytes(len(block) >> shift & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\3\0\0" + length + block + music.getvalue())
    return path


def nobody(path: Path, frames: Frames) -> Path:
    return write_clip(path, gray(frames))


def one_pixel(path: Path, frames: Frames) -> Path:
    return write_pixels(path, [f[:1, :1] for f in frames], "gray")


def only_header(path: Path, frames: Frames) -> Path:
    """A Matroska file that ends before its first frame."""
    data = write_clip(path, frames).read_bytes()
    path.write_bytes(data[: data.index(b"\x1fC\xb6u") + 20])
    return path


def keypoints_in_disguise(path: Path, frames: Frames) -> Path:
    path.write_text('{"hypopose": "keypoints"}')
    return path


def broken_picture(path: Path, frames: Frames) -> Path:
    Image.fromarray(frames[0]).save(path)
    path.write_bytes(path.read_bytes()[:200])
    return path


def missing(path: Path, frames: Frames) -> Path:
    return path


def no_pictures(path: Path, frames: Frames) -> Path:
    path.mkdir()
    return path


def unequal_pictures(path: Path, frames: Frames) -> Path:
    path.mkdir()
    Image.fromarray(frames[0]).save(path / "1.png")
    Image.fromarray(frames[0][:50]).save(path / "2.png")
    return path


# --- a part of which can be read ----------------------------------------------------------------


def cut_to(share: float, codec: str = "mpeg4", **options: str) -> Maker:
    """A file that ends after a share of its bytes."""

    def make(path: Path, frames: Frames) -> Path:
        data = write_clip(path, frames, codec=codec, options=options).read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        return path

    return make


def scratched(codec: str) -> Maker:
    """Some bytes of every eighth kilobyte overwritten."""

    def make(path: Path, frames: Frames) -> Path:
        data = bytearray(write_clip(path, frames, codec=codec).read_bytes())
        index = data.rfind(b"moov")
        for at in range(4000, (index if index > 0 else len(data)) - 1000, 8000):
            data[at : at + 300] = bytes(300)
        path.write_bytes(bytes(data))
        return path

    return make


def resized(path: Path, frames: Frames) -> Path:
    """The second half has another shape, as after a phone was turned."""
    half = len(frames) // 2
    other = [f[: f.shape[0] // 4 * 2] for f in frames[half:]]
    return joined(path, frames[:half], other)


def shrunk(path: Path, frames: Frames) -> Path:
    """The second half has the same shape in fewer pixels, as in calls over a slow network."""
    half = len(frames) // 2
    return joined(path, frames[:half], [f[::2, ::2] for f in frames[half:]])


# --- odd, and read whole ------------------------------------------------------------------------


def clip(codec: str = "mpeg4", **options: Any) -> Maker:
    """A video as ``write_clip`` makes it."""
    return lambda path, frames: write_clip(path, frames, codec=codec, **options)


def one_frame(path: Path, frames: Frames) -> Path:
    return write_clip(path, frames[:1])


def variable(path: Path, frames: Frames) -> Path:
    steps = np.random.default_rng(0).uniform(0.02, 0.06, len(frames))
    return write_clip(path, frames, times=np.cumsum(steps))


def large(path: Path, frames: Frames) -> Path:
    """Ten frames of 3840 pixels."""
    times = 3840 // frames[0].shape[1]
    return write_clip(path, [f.repeat(times, 0).repeat(times, 1) for f in frames[:10]])


def dropped(path: Path, frames: Frames) -> Path:
    """An AVI in which five frames were dropped by the recorder, which it notes as empty."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        _sized(stream, frames[0], "yuv420p")
        for i in (*range(10), *range(15, len(frames))):
            frame = av.VideoFrame.from_ndarray(frames[i], format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def picture_series(path: Path, frames: Frames) -> Path:
    """GIF, animated WebP or PNG, or a TIFF of several pages."""
    pictures = [Image.fromarray(f) for f in frames]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40)
    return path


def wrong_ending(path: Path, frames: Frames) -> Path:
    """A Matroska file that is called something else."""
    return write_clip(path.with_suffix(".mkv"), frames).rename(path)


def cut(path: Path, frames: Frames) -> Path:
    """A new scene in other light."""
    return write_clip(path, [*frames, *(255 - (255 - f) // 4 for f in frames)])


def comes_and_goes(path: Path, frames: Frames) -> Path:
    return write_clip(path, [*frames[:12], *gray(frames), *frames[14:]])


def interlaced(path: Path, frames: Frames) -> Path:
    """Odd lines are a frame later than even ones."""
    woven = [f.copy() for f in frames[:-1]]
    for frame, after in zip(woven, frames[1:], strict=True):
        frame[1::2] = after[1::2]
    return write_pixels(path, woven, "yuv420p", codec="mpeg2video", flags="+ilme+ildct")


def pixels(pixel_format: str, codec: str = "ffv1", **options: str) -> Maker:
    """Other pixels than phones write: deep, transparent, gray."""
    return lambda path, frames: write_pixels(path, frames, pixel_format, codec=codec, **options)


def odd_size(path: Path, frames: Frames) -> Path:
    return write_pixels(path, [f[:-1, :-1] for f in frames], "bgr0")


def two_videos(path: Path, frames: Frames) -> Path:
    import av

    with av.open(str(path), "w") as container:
        streams = [container.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream in streams:
            _sized(stream, frames[0], "yuv420p")
        for stream, shown in zip(streams, (frames, gray(frames)), strict=True):
            for rgb in shown:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
            container.mux(stream.encode())
    return path


def long_sound(path: Path, frames: Frames) -> Path:
    """Sound that goes on for eight seconds after the last frame."""
    return write_clip(path, frames, sound=True, sound_after=8.0)


def jumps_back(path: Path, frames: Frames) -> Path:
    """Two recordings one after the other, each with times from 0."""
    half = len(frames) // 2
    return joined(path, frames[:half], frames[half:])


def edited(path: Path, frames: Frames) -> Path:
    """An mp4 whose edit list leaves out the first fifth of a second, as trimming on phones does."""
    data = bytearray(write_clip(path, frames).read_bytes())
    at = data.index(b"elst")
    _, _, count = data[at + 4], data[at + 5 : at + 8], struct.unpack(">I", data[at + 8 : at + 12])
    assert count == (1,)
    scale_at = data.index(b"mdhd") + 16
    (scale,) = struct.unpack(">I", data[scale_at : scale_at + 4])
    (length, begin) = struct.unpack(">Ii", data[at + 12 : at + 20])
    data[at + 12 : at + 20] = struct.pack(">Ii", length - 200, begin + scale // 5)
    path.write_bytes(bytes(data))
    return path


# --- writing ------------------------------------------------------------------------------------


def gray(frames: Frames) -> list[np.ndarray]:
    """Eight frames of nothing, as large as the others."""
    return [np.full_like(frames[0], 90)] * 8


def joined(path: Path, first: Frames, second: Frames) -> Path:
    """Two transport streams in one file."""
    one = write_clip(path.with_name(f"one{path.suffix}"), first, codec="libx264")
    other = write_clip(path.with_name(f"other{path.suffix}"), second, codec="libx264")
    path.write_bytes(one.read_bytes() + other.read_bytes())
    one.unlink()
    other.unlink()
    return path


def write_pixels(
    path: Path, frames: Frames, pixel_format: str, *, codec: str = "ffv1", **options: str
) -> Path:
    """Frames in a pixel format of one's own."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        _sized(stream, frames[0], pixel_format)
        for rgb in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            container.mux(stream.encode(frame.reformat(format=pixel_format)))
        container.mux(stream.encode())
    return path


def _sized(stream: Any, frame: np.ndarray, pixel_format: str) -> None:
    stream.height, stream.width = frame.shape[:2]
    stream.pix_fmt = pixel_format
    stream.codec_context.time_base = Fraction(1, 25)


# --- the list -----------------------------------------------------------------------------------

REFUSED: tuple[tuple[str, Maker, str], ...] = (
    ("empty.mp4", empty, "is an empty file"),
    ("text.mp4", text, "cannot be opened as a video"),
    ("zeros.avi", zeros, "cannot be opened as a video"),
    ("headless.mp4", headless, "cut off or damaged"),
    ("sound.m4a", sound, "only sound"),
    ("sound.mp4", sound, "only sound"),
    ("sleeve.mp3", sleeve, "only sound"),
    ("nobody.mp4", nobody, "sees no person in any of 8 frames"),
    ("pixel.mkv", one_pixel, "sees no person"),
    ("header.mkv", only_header, "not one frame"),
    ("keypoints.mov", keypoints_in_disguise, "cannot be opened as a video"),
    ("broken.png", broken_picture, "not a picture that can be read"),
    ("missing.mp4", missing, "does not exist"),
    ("folder.mp4", no_pictures, "is a folder without pictures"),
    ("folder", no_pictures, "is a folder without pictures"),
    ("unequal", unequal_pictures, "put pictures of one size into a folder"),
    ("keypoints.json", keypoints_in_disguise, "not a video"),
)
"""Name, maker, and words of the one line that is printed."""

READ: tuple[tuple[str, Maker, str], ...] = (
    ("half.mkv", cut_to(0.5), "cut off"),
    ("half.avi", cut_to(0.5), "cut off"),
    ("nearly.avi", cut_to(0.9, "mpeg4"), "cut off"),
    ("nearly.mkv", cut_to(0.9), "cut off"),
    ("half.mp4", cut_to(0.5, movflags="faststart"), "cut off"),
    ("nearly.mp4", cut_to(0.9, movflags="faststart"), "cut off"),
    ("half.ts", cut_to(0.5), "frames at 25 frames/s"),
    ("scratched.ts", scratched("mpeg4"), "damaged"),
    ("scratched.mp4", scratched("mpeg4"), "damaged"),
    ("resized.ts", resized, "change shape at 0.48 s"),
    ("shrunk.ts", shrunk, "25 frames at 25 frames/s"),
    ("one.mp4", one_frame, "1 frame at 25"),
    ("sound.mkv", clip(sound=True), "25 frames at 25 frames/s"),
    ("long_sound.mkv", long_sound, "25 frames at 25 frames/s"),
    ("long_sound.mp4", long_sound, "25 frames at 25 frames/s"),
    ("matroska.json", wrong_ending, "25 frames at 25 frames/s"),
    ("cut.mp4", cut, "scene cut at 1.00 s"),
    ("gone.mp4", comes_and_goes, "23 of 31 frames; the others are missing"),
    ("turned.mp4", clip(rotation=90), "25 frames at 25 frames/s"),
    ("wide.mp4", clip(ratio=(2, 1)), "stretched"),
    ("variable.mkv", variable, "variable frame rate"),
    ("dropped.avi", dropped, "frames missing in the file: 5 of 25"),
    ("large.mp4", large, "10 frames at 25 frames/s"),
    ("clip.gif", picture_series, "25 frames at 25 frames/s"),
    ("clip.webp", picture_series, "25 frames at 25 frames/s"),
    ("clip.png", picture_series, "25 frames at 25 frames/s"),
    ("clip.tiff", picture_series, "25 frames at 25 frames/s"),
    ("stream.mpg", clip("libx264"), "25 frames at 25 frames/s"),
    ("stream.vob", clip("libx264"), "25 frames at 25 frames/s"),
    ("stream.h264", clip("libx264"), "25 frames at 25 frames/s"),
    ("clip.wmv", clip("wmv2"), "25 frames at 25 frames/s"),
    ("clip.flv", clip("flv"), "25 frames at 25 frames/s"),
    ("clip.mxf", clip("mpeg2video"), "25 frames at 25 frames/s"),
    ("clip.y4m", pixels("yuv420p", "wrapped_avframe"), "25 frames at 25 frames/s"),
    ("interlaced.mpg", interlaced, "interlaced"),
    ("deep.mkv", pixels("yuv420p10le"), "25 frames at 25 frames/s"),
    ("alpha.webm", pixels("yuva420p", "libvpx-vp9"), "25 frames at 25 frames/s"),
    ("odd.mkv", odd_size, "25 frames at 25 frames/s"),
    ("two.mkv", two_videos, "the first of 2 video streams"),
    ("back.ts", jumps_back, "time stamps jump"),
    ("edited.mp4", edited, "frames at 25 frames/s"),
)
"""Name, maker, and words of one of the lines that are printed."""

COLORLESS = ("gray.mkv", pixels("gray"), "25 frames at 25 frames/s")
"""Read too, by detectors that need no color."""
