"""Noise for a window that moves over an endless video: the noise of a frame never changes.

A live stream samples a window of the newest frames again and again. With new noise each time, a
hypothesis would jump to another motion at every frame. Here noise belongs to frames of the video:
what is drawn for frame 1000 is the same in every window that holds it, what is constant over a
video stays constant, and slow waves (:mod:`hypopose.diffusion.latent`) run on in absolute time.
Memory is that of one window.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.diffusion.latent import N_WAVES, correlation_times
from hypopose.errors import OptionError
from hypopose.types import NoiseSource

SHORTEST = N_WAVES + 1
"""Frames of the shortest window."""


class RollingNoise:
    """Standard normals that belong to the frames of an endless video.

    Args:
        seed: Any integer.

    Example:
        >>> rolling = RollingNoise(0)
        >>> now, next_ = rolling.window(0, 9, 0.0), rolling.window(1, 9, 0.04)
        >>> x, y = now((2, 9, 17, 3)), next_((2, 9, 17, 3))
        >>> bool((x[:, 1:] == y[:, :-1]).all())
        True
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._frames: OrderedDict[tuple[int, int], Tensor] = OrderedDict()
        self._fixed: dict[int, Tensor] = {}

    def window(self, first: int, length: int, seconds: float) -> NoiseSource:
        """The noise of a window; frames before it are forgotten.

        Args:
            first: Number of its first frame in the video; may be negative.
            length: How many frames: at least :data:`SHORTEST`, because lengths of axes tell what a
                draw is for.
            seconds: When its first frame was taken.

        Returns:
            A source for one run of a sampler, which asks for the same kinds of draws each time.

        Raises:
            OptionError: If the window is too short.
        """
        if length < SHORTEST:
            raise OptionError(f"A moving window has at least {SHORTEST} frames, got {length}.")
        draws = 0

        def source(shape: tuple[int, ...]) -> Tensor:
            nonlocal draws
            draw, draws = draws, draws + 1
            if shape[-3] == length:
                return self._of_frames(draw, first, shape)
            fixed = self._of_video(draw, shape)
            return _turned(fixed, seconds) if shape[-3] == N_WAVES else fixed

        return source

    def _of_frames(self, draw: int, first: int, shape: tuple[int, ...]) -> Tensor:
        each = (*shape[:-3], *shape[-2:])
        keys = [(draw, f) for f in range(first, first + shape[-3])]
        for key in keys:
            if key not in self._frames or self._frames[key].shape != each:
                self._frames[key] = self._normals(f"{key[0]}/frame/{key[1]}", each)
        old = [k for k in self._frames if k[0] == draw and k[1] < first]
        for key in old:
            del self._frames[key]
        return torch.stack([self._frames[key] for key in keys], -3)

    def _of_video(self, draw: int, shape: tuple[int, ...]) -> Tensor:
        if draw not in self._fixed or self._fixed[draw].shape != shape:
            self._fixed[draw] = self._normals(f"{draw}/video", shape)
        return self._fixed[draw]

    def _normals(self, name: str, shape: tuple[int, ...]) -> Tensor:
        digest = hashlib.sha256(f"{self._seed}/{name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
        return torch.randn(shape, generator=generator)


def _turned(waves: Float[Tensor, "*batch K C 3"], seconds: float) -> Float[Tensor, "*batch K C 3"]:
    """Waves whose phase at 0 is what the given ones have at ``seconds``."""
    frequency = waves[..., 0] / correlation_times(waves.shape[-2], waves.device)
    angle = frequency.double() * seconds
    cos, sin = angle.cos().float(), angle.sin().float()
    a, b = waves[..., 1], waves[..., 2]
    return torch.stack([waves[..., 0], a * cos + b * sin, b * cos - a * sin], -1)
