"""Recorded motion to draw from: clips of 17 joints in world coordinates."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Motion:
    """Clips of one split, end to end.

    Args:
        joints: World positions in meters, z up, all clips concatenated.
        start: First frame of each clip.
        length: Frames of each clip.
        fps: Frames per second.
        names: One name a clip.
        actions: What each clip shows.
        shards: The shard each clip came from.
        subjects: Who moves in each clip; empty if unknown.
    """

    joints: Float[Tensor, "N J 3"]
    start: Int[Tensor, " clips"]
    length: Int[Tensor, " clips"]
    fps: float
    names: tuple[str, ...]
    actions: tuple[str, ...]
    shards: tuple[str, ...]
    subjects: tuple[str, ...] = ()

    @property
    def n_clips(self) -> int:
        """Number of clips."""
        return len(self.names)

    def clip(self, i: int) -> Float[Tensor, "F J 3"]:
        """Joints of clip ``i``."""
        first = int(self.start[i])
        return self.joints[first : first + int(self.length[i])]
