"""Training batches: bodies, seen by cameras, found by detectors, as the network reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.datasets.motion import Motion
from hypopose.networks.inputs import Encoded, encode_rays
from hypopose.training.bodies import BodyMaker
from hypopose.training.draws import Draws
from hypopose.training.views import detect, place_cameras


@dataclass(frozen=True, eq=False)
class Batch:
    """What one optimizer step sees.

    Args:
        encoded: Keypoints as the network reads them.
        target: Root-relative meters in the network's frame.
    """

    encoded: Encoded
    target: Float[Tensor, "B F J 3"]


class BatchMaker:
    """Draws training windows from motion clips, on one device.

    Args:
        motion: Clips to draw from.
        device: Where batches are made.
        recombine: Share of windows whose body parts come from different clips.
        seated_share: Share of parts drawn from shards called ``procedural...``.
        tumbling: Share of windows whose bodies lean or fall in any direction.
        detector: Options of :func:`hypopose.training.views.detect`, by name.
        pitched: Share of windows seen by cameras of any pitch.
        **of_bodies: Further options of :class:`hypopose.training.bodies.BodyMaker`.
    """

    def __init__(
        self,
        motion: Motion,
        device: torch.device,
        recombine: float = 0.6,
        seated_share: float = 0.3,
        tumbling: float = 0.0,
        detector: Mapping[str, Any] | None = None,
        pitched: float = 0.0,
        **of_bodies: Any,
    ) -> None:
        self.detector, self.pitched = dict(detector or {}), pitched
        self.bodies = BodyMaker(motion, device, recombine, seated_share, tumbling, **of_bodies)

    def __call__(self, B: int, F: int, generator: torch.Generator) -> Batch:
        """Draw ``B`` windows of ``F`` frames; the generator lives on the maker's device."""
        draws = Draws(generator)
        bodies = self.bodies(B, F, draws)
        rotation, position = place_cameras(bodies.joints, draws, self.pitched)
        cam = (bodies.joints - position[:, None, None]) @ rotation.mT[:, None]
        seen = (bodies.seen - position[:, None, None]) @ rotation.mT[:, None]
        rays, confidence = detect(seen, draws, joints=cam, **self.detector)
        encoded = encode_rays(rays, confidence, bodies.fps)
        return Batch(encoded, (cam - cam[:, :, :1]) @ encoded.rotation.mT[:, None])
