"""The part of masks that one person's keypoints are in: silhouettes in square windows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped

from hypopose.checks import check_positive
from hypopose.errors import FormatError, MissingCameraError
from hypopose.io.mask_files.masks import FrameMasks, Masks
from hypopose.types import ASSUMED_FPS, Keypoints2D, Silhouettes

SIDE = 64
"""Pixels of a window's side."""
MARGIN = 0.15
"""Windows go on beyond the person by this share of their longer side."""
MIN_INSIDE = 0.25
"""A mask is the person's if it contains this share of the detected keypoints at least."""
MOST_LOOKED = 20
"""Masks that are looked at to say why they do not fit."""
EVERY_S = 0.2
"""Seconds between looks: masks of neighboring frames say the same."""


def with_silhouettes(keypoints: Keypoints2D, masks: Masks) -> Keypoints2D:
    """Keypoints that carry the silhouettes of their person, and a note that says so.

    Args:
        keypoints: Of one person, with a camera.
        masks: Of the same frames.

    Raises:
        FormatError: If no mask contains the person, or masks are of another shape than the image.
        MissingCameraError: If the keypoints carry no camera.
    """
    found = silhouettes_of(keypoints, masks)
    if not len(found.frames):
        raise FormatError(_nobody(keypoints, masks))
    return replace(keypoints, silhouettes=found)


def _nobody(keypoints: Keypoints2D, masks: Masks) -> str:
    """The reason why masks do not show the person."""
    scale, _ = _scale(keypoints, masks)
    numbers = [n for n in masks.numbers if 0 <= n - masks.start < keypoints.n_frames]
    seen = [_shares(masks.read(n), keypoints.xy[n - masks.start].double().numpy() * scale)
            for n in numbers[:: max(1, len(numbers) // MOST_LOOKED)]]  # fmt: skip
    if seen and all(area == 0 for area, _ in seen):
        return f"{masks.name}: masks are empty; give masks in which the person is not 0."
    if seen and all(area == 1 for area, _ in seen):
        return f"{masks.name}: masks fill the whole image; give masks in which the rest is 0."
    if seen and all(share < 1 - MIN_INSIDE and area > 0.5 for area, share in seen):
        return f"{masks.name}: masks show the background; turn them round, the person is not 0."
    return (
        f"{masks.name}: no mask contains the person's keypoints; its frames are numbered "
        f"{masks.numbers[0]} to {masks.numbers[-1]}, and number {masks.start} is taken for the "
        "first frame of the keypoints; say which it is: mask_start=NUMBER."
    )


def _shares(frame: FrameMasks, xy: Float[np.ndarray, "J 2"]) -> tuple[float, float]:
    """Shares of the image and of the keypoints that any mask of a frame covers."""
    if not frame.people:
        return 0.0, 0.0
    whole = np.logical_or.reduce(frame.people)
    return float(whole.mean()), _share_inside(whole, xy[np.isfinite(xy).all(-1)])


def silhouettes_of(
    keypoints: Keypoints2D, masks: Masks, *, every_s: float = EVERY_S, side: int = SIDE
) -> Silhouettes:
    """What masks show of the person whom keypoints belong to.

    In every frame that is looked at, the person's mask is the one that contains most of their
    keypoints. Pixels of others, of what is marked unknown and beyond the image are not known.

    Args:
        keypoints: Of one person, with a camera.
        masks: Of the same frames; of the camera's image size, or of its shape, then scaled.
        every_s: Seconds between looks at least.
        side: Pixels of a window's side.

    Returns:
        Silhouettes of the frames that have a mask of the person, perhaps none.

    Raises:
        FormatError: If masks are of another shape than the image.
        MissingCameraError: If the keypoints carry no camera.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair(30)
        >>> masks = np.ones((30, 1000, 1000), bool)
        >>> masks[:, :5] = False
        >>> silhouettes_of(keypoints, Masks.of(masks)).frames.tolist()
        [0, 5, 10, 15, 20, 25]
    """
    check_positive(every_s=every_s, side=side)
    scale, notes = _scale(keypoints, masks)
    step = max(1, round(every_s * (keypoints.fps or ASSUMED_FPS)))
    xy = keypoints.xy.double().numpy()
    looks: list[tuple[int, _Look]] = []
    there = set(masks.numbers)
    n_missed = 0
    for f in range(keypoints.n_frames):
        due = not looks or f >= looks[-1][0] + step
        if not due or f + masks.start not in there:
            continue
        look = _look(masks.read(f + masks.start), xy[f] * scale, side)
        if look is None:
            n_missed += 1
        else:
            looks.append((f, look))
    n_frames = sum(f + masks.start in there for f in range(keypoints.n_frames))
    record = {
        "file": masks.name, "start": masks.start, "frames": n_frames, "looks": len(looks),
        "frames_without_the_person": n_missed, "notes": [*masks.notes, *notes],
    }  # fmt: skip
    return _stacked(looks, scale, side, record)


class _Look:
    """One frame: what is inside and known, in a window in pixels of the mask."""

    def __init__(
        self, inside: np.ndarray, known: np.ndarray, window: np.ndarray, labels: np.ndarray | None
    ) -> None:
        self.inside, self.known, self.window, self.labels = inside, known, window, labels


def _scale(keypoints: Keypoints2D, masks: Masks) -> tuple[float, tuple[str, ...]]:
    """Pixels of masks per pixel of the image."""
    if keypoints.camera is None:
        raise MissingCameraError(
            "Masks belong to an image, but these keypoints carry no camera. Attach one with "
            "keypoints.with_camera(Camera.from_fov(image_size))."
        )
    (w, h), (mw, mh) = keypoints.camera.image_size, masks.size
    if (w, h) == (mw, mh):
        return 1.0, ()
    if abs(mw * h - mh * w) > max(w, h):
        raise FormatError(
            f"{masks.name}: masks of {mw} x {mh} pixels do not fit the image of {w} x {h}; give "
            f"masks of the frames that the keypoints are from, or the size: image_size=({mw}, "
            f"{mh})."
        )
    return mw / w, (f"masks of {mw} x {mh} scaled to the image of {w} x {h}",)


def _look(frame: FrameMasks, xy: Float[np.ndarray, "J 2"], side: int) -> _Look | None:
    """The mask that contains most of the keypoints; None if none contains enough of them."""
    seen = xy[np.isfinite(xy).all(-1)]
    shares = [_share_inside(mask, seen) for mask in frame.people]
    if not shares or max(shares) < MIN_INSIDE:
        return None
    best = max(range(len(shares)), key=lambda i: (shares[i], -int(frame.people[i].sum())))
    mask = frame.people[best]
    if mask.all():
        return None
    known = np.ones(mask.shape, bool) if frame.unknown is None else ~frame.unknown
    for other in frame.people[:best] + frame.people[best + 1 :]:
        known &= ~other
    known |= mask
    window = _window(mask, seen)
    labels = None if frame.labels is None else _nearest(frame.labels, window, side)
    shares_of = [_shrunk(part, window, side) for part in (mask, known)]
    return _Look(shares_of[0], shares_of[1], np.array(window, float), labels)


def _share_inside(mask: Bool[np.ndarray, "h w"], xy: Float[np.ndarray, "n 2"]) -> float:
    if not len(xy):
        return 0.0
    h, w = mask.shape
    column, row = np.floor(xy).astype(np.int64).T
    inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
    hit = mask[row.clip(0, h - 1), column.clip(0, w - 1)] & inside
    return float(hit.mean())


def _window(mask: Bool[np.ndarray, "h w"], xy: Float[np.ndarray, "n 2"]) -> tuple[int, int, int]:
    """Left, top and side of a square around mask and keypoints."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    low = np.minimum(xy.min(0), (columns[0], rows[0]))
    high = np.maximum(xy.max(0), (columns[-1] + 1, rows[-1] + 1))
    side = max(8, int(np.ceil((high - low).max() * (1 + 2 * MARGIN))))
    left, top = np.floor((low + high - side) / 2).astype(int)
    return int(left), int(top), side


def _shrunk(
    part: Bool[np.ndarray, "h w"], window: tuple[int, int, int], side: int
) -> Float[np.ndarray, "s s"]:
    """The mean of each of the window's pixels; 0 beyond the image."""
    whole = _cut(part, window).astype(np.float64)
    return _means(_means(whole, side).T, side).T.astype(np.float32)


def _means(values: Float[np.ndarray, "n m"], count: int) -> Float[np.ndarray, "count m"]:
    """Means of rows over intervals of equal length, whose ends may lie within rows."""
    total = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(0)])
    at = np.linspace(0, len(values), count + 1)
    low = at.astype(int).clip(max=len(values) - 1)
    ends = total[low] + (at - low)[:, None] * values[low]
    return np.asarray(np.diff(ends, axis=0) * (count / len(values)))


def _cut(part: Shaped[np.ndarray, "h w"], window: tuple[int, int, int]) -> np.ndarray:
    left, top, side = window
    h, w = part.shape
    out = np.zeros((side, side), part.dtype)
    rows = slice(max(top, 0), max(min(top + side, h), 0))
    columns = slice(max(left, 0), max(min(left + side, w), 0))
    inner = part[rows, columns]
    r, c = rows.start - top, columns.start - left
    out[r : r + inner.shape[0], c : c + inner.shape[1]] = inner
    return out


def _nearest(
    labels: Shaped[np.ndarray, "h w"], window: tuple[int, int, int], side: int
) -> np.ndarray:
    whole = _cut(labels, window)
    at = ((np.arange(side) + 0.5) * window[2] / side).astype(int)
    return whole[at[:, None], at]


def _stacked(
    looks: list[tuple[int, _Look]], scale: float, side: int, record: dict[str, Any]
) -> Silhouettes:
    def stack(parts: list[np.ndarray], shape: tuple[int, ...]) -> torch.Tensor:
        return torch.from_numpy(np.stack(parts)) if parts else torch.zeros(0, *shape)

    labels = [look.labels for _, look in looks if look.labels is not None]
    window = stack([look.window for _, look in looks], (3,)).float() / scale
    return Silhouettes(
        frames=torch.tensor([f for f, _ in looks], dtype=torch.long),
        inside=stack([look.inside for _, look in looks], (side, side)),
        known=stack([look.known for _, look in looks], (side, side)),
        window=window,
        labels=stack(labels, (side, side)).long() if labels else None,
        record=record,
    )
