"""Videos for tests: written with PyAV from pictures made here, and a detector that knows them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from hypopose.types import Skeleton
from hypopose.video.detectors.protocol import Seen, boxes_of, nobody

DOTS = Skeleton("dots3", ("red", "green", "blue"), (-1, 0, 1))
COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


def write_clip(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    fps: float = 25,
    times: Sequence[float] | None = None,
    codec: str = "mpeg4",
    rotation: int = 0,
    ratio: tuple[int, int] | None = None,
    sound: bool = False,
    sound_after: float = 0.0,
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write RGB frames as a video; ``times`` in seconds make the rate variable."""
    import av

    frames = list(frames)
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        height, width = frames[0].shape[:2]
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p" if codec != "ffv1" else "bgr0"
        if codec == "mpeg4":
            stream.codec_context.bit_rate = 4_000_000
            stream.gop_size = 12
        if ratio is not None:
            stream.codec_context.sample_aspect_ratio = Fraction(*ratio)
        if rotation:
            stream.set_display_rotation(rotation)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream("aac", rate=8000) if sound else None
        for i, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(times[i] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio is not None:
            _silence(container, audio, len(frames) / fps + sound_after)
    return path


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    """A file with sound and no picture."""
    import av

    with av.open(str(path), "w") as container:
        _silence(container, container.add_stream("aac", rate=8000), seconds)
    return path


def _silence(container: Any, stream: Any, seconds: float) -> None:
    import av

    for i in range(max(1, round(seconds * 8000 / 1024))):
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 8000, i * 1024
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def dots(
    n: int,
    *,
    size: tuple[int, int] = (128, 96),
    start: tuple[float, float] = (20, 30),
    step: float = 2.0,
) -> tuple[list[np.ndarray], np.ndarray]:
    """Frames with three colored discs that move to the right, and where they are (n, 3, 2)."""
    width, height = size
    places = np.array(start) + np.array([[0, 0], [0, 20], [0, 40]])[None] + np.zeros((n, 1, 1))
    places[..., 0] += step * np.arange(n)[:, None]
    return [draw_dots(p, (width, height)) for p in places], places


def draw_dots(places: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A gray picture with discs of radius 6 at the places, centers of pixels at halves."""
    width, height = size
    rgb = np.full((height, width, 3), 90, np.uint8)
    y, x = np.mgrid[:height, :width] + 0.5
    for (px, py), color in zip(places, COLORS, strict=True):
        rgb[(x - px) ** 2 + (y - py) ** 2 < 36] = color
    return rgb


class DotDetector:
    """Finds the colored discs of :func:`dots`; two people at most, one a half."""

    name = "dots"
    skeleton = DOTS
    max_people: int | None = None

    def __init__(self, halves: bool = False) -> None:
        self.halves, self.n_seen, self.n_resets = halves, 0, 0

    def detect(self, rgb: np.ndarray) -> Seen:
        """Mean place of each color, in each half of the picture if ``halves``."""
        self.n_seen += 1
        width = rgb.shape[1]
        edges = (0, width // 2, width) if self.halves else (0, width)
        people = [self._person(rgb[:, a:b], a) for a, b in itertools.pairwise(edges)]
        found = [p for p in people if p is not None]
        if not found:
            return nobody(3)
        xy = np.stack(found)
        return Seen(xy, np.full(xy.shape[:2], 0.9), boxes_of(xy))

    def _person(self, rgb: np.ndarray, left: int) -> np.ndarray | None:
        places = []
        for channel in range(3):
            others = [c for c in range(3) if c != channel]
            mine = (rgb[..., channel] > 150) & (rgb[..., others] < 100).all(-1)
            if mine.sum() < 12:
                return None
            y, x = np.nonzero(mine)
            places.append((x.mean() + 0.5 + left, y.mean() + 0.5))
        return np.array(places)

    def reset(self) -> None:
        self.n_resets += 1

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}

    def close(self) -> None:
        pass
