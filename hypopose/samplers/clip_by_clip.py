"""Samplers that draw clip by clip: one clip of a batch, and its part of the batch's noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from hypopose.types import Keypoints2D, NoiseSource


def one_clip(keypoints: Keypoints2D, i: int, batch: tuple[int, ...]) -> Keypoints2D:
    """One clip of a batch.

    Args:
        keypoints: With or without batch axes.
        i: Number of the clip in the flattened batch.
        batch: Batch axes.
    """
    if not batch:
        return keypoints
    xy = keypoints.xy.reshape(-1, *keypoints.xy.shape[-3:])[i]
    own: dict[str, Any] = {"xy": xy}
    for name, n_own in (("confidence", 2), ("covariance", 4)):
        value = getattr(keypoints, name)
        if value is not None:
            own[name] = value.reshape(-1, *value.shape[value.dim() - n_own :])[i]
    camera = keypoints.camera
    if camera is not None and camera.focal.dim() > 1:
        names = ("focal", "center", "distortion", "rotation", "translation")
        parts = {n: getattr(camera, n) for n in names}
        taken: dict[str, Any] = {
            n: v if v is None else v.flatten(0, len(batch) - 1)[i] for n, v in parts.items()
        }
        own["camera"] = replace(camera, **taken)
    return replace(keypoints, **own)


class SharedNoise:
    """Hands each clip of a batch its part of draws that are made for the whole batch.

    Args:
        noise: Asked for the whole batch.
        batch: Batch axes.
    """

    def __init__(self, noise: NoiseSource, batch: tuple[int, ...]) -> None:
        self.noise, self.batch, self.draws = noise, batch, list[Tensor]()

    def of(self, item: int) -> NoiseSource:
        """The source of one clip."""
        asked = iter(range(10**9))

        def source(shape: tuple[int, ...]) -> Tensor:
            k = next(asked)
            if k == len(self.draws):
                self.draws.append(self.noise((*self.batch, *shape)))
            return self.draws[k].reshape(-1, *shape)[item]

        return source
