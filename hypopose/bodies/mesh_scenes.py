"""Surfaces over time, as files hold them: which motions, in which axes, colored by their spread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

COLOR_MAP = "viridis"
"""Matplotlib's name of the colors of spread: dark where hypotheses agree, yellow where not."""

SHARE_SHOWN = 0.98
"""Spread that this share of the vertices has at most gets the brightest color."""

PLAIN = (0.72, 0.72, 0.74)
"""Color of surfaces without a spread."""


@dataclass(frozen=True, eq=False)
class MeshTake:
    """One motion of a surface.

    Args:
        label: ``aggregate`` or ``h07``.
        vertices: Meters, in the file's axes; NaN in frames whose pose is unknown.
        joints: The body's, likewise.
        turns: Rotations of the pieces of the skin from where they are bound; None for surfaces
            that are no skin.
        shifts: Shifts of the pieces.
        shape: How the person is built in each frame.
    """

    label: str
    vertices: Float[np.ndarray, "F V 3"]
    joints: Float[np.ndarray, "F J 3"]
    turns: Float[np.ndarray, "F K 3 3"] | None = None
    shifts: Float[np.ndarray, "F K 3"] | None = None
    shape: Float[np.ndarray, "F S"] | None = None


@dataclass(frozen=True, eq=False)
class MeshScene:
    """Motions of one person's surface, and their metadata.

    Args:
        takes: The first is the main one.
        faces: Triangles, counter-clockwise from outside.
        part_labels: Part of each vertex, an index of :data:`hypopose.bodies.PARTS`.
        spread: How far hypotheses' surfaces differ in each frame, meters; None for one hypothesis.
        bound: Vertices where the skin is bound; None for surfaces that are no skin.
        weights: How much each piece moves a vertex.
        fps: Frames per second.
        axes: Frame, axes and unit in words.
        record: Everything else, JSON-ready.
        notes: What was assumed.
    """

    takes: tuple[MeshTake, ...]
    faces: Int[np.ndarray, "T 3"]
    part_labels: Int[np.ndarray, " V"]
    spread: Float[np.ndarray, "F V"] | None
    bound: Float[np.ndarray, "V 3"] | None
    weights: Float[np.ndarray, "V K"] | None
    fps: float
    axes: str
    record: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.takes[0].vertices)

    @property
    def spread_high(self) -> float | None:
        """Spread of the brightest color, meters."""
        if self.spread is None or not np.isfinite(self.spread).any():
            return None
        return float(np.nanquantile(self.spread, SHARE_SHOWN))

    def colors(self, spread: Float[np.ndarray, " V"] | None) -> Float[np.ndarray, "V 3"]:
        """Colors of vertices, red, green and blue of the screen, 0 to 1.

        Args:
            spread: Meters; NaN and None are plain.
        """
        n = len(self.part_labels)
        if spread is None or self.spread_high is None:
            return np.tile(PLAIN, (n, 1))
        import matplotlib as mpl

        share = np.nan_to_num(spread) / max(self.spread_high, 1e-6)
        mapped = mpl.colormaps[COLOR_MAP](np.clip(share, 0, 1))[:, :3]
        return np.where(np.isfinite(spread)[:, None], mapped, PLAIN)

    def mean_spread(self) -> Float[np.ndarray, " V"] | None:
        """Spread of each vertex over the clip, meters."""
        if self.spread is None or self.spread_high is None:
            return None
        n = np.isfinite(self.spread).sum(0)
        total = np.nansum(self.spread, 0)
        return np.where(n > 0, total / np.maximum(n, 1), np.nan)

    def header(self) -> dict[str, Any]:
        """The record with unit, axes and colors."""
        colors = None
        if self.spread_high is not None:
            colors = {"map": COLOR_MAP, "low_m": 0.0, "high_m": round(self.spread_high, 5)}
        return {**self.record, "unit": "m", "axes": self.axes, "fps": self.fps,
                "spread_colors": colors, "notes": list(self.notes)}  # fmt: skip


def nearest_known(known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each frame the nearest one that is known.

    Args:
        known: One at least.

    Example:
        >>> nearest_known(np.array([False, True, False, False, True])).tolist()
        [1, 1, 1, 4, 4]
    """
    at = np.flatnonzero(known)
    frames = np.arange(len(known))
    after = np.searchsorted(at, frames).clip(0, len(at) - 1)
    before = (after - 1).clip(0)
    nearer = np.abs(at[before] - frames) <= np.abs(at[after] - frames)
    return np.asarray(np.where(nearer, at[before], at[after]))
