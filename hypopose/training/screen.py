"""Training batches in screen coordinates: the same bodies and cameras, a focal length drawn each.

Networks that read the screen (:mod:`hypopose.networks.inputs`) see nothing of the camera, so focal
lengths must be drawn: between phones and telephoto lenses, as long as half to three halves of the
image's longer side. Targets are in the camera's frame, which nobody turns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.datasets.motion import Motion
from hypopose.networks.inputs import MIN_CONFIDENCE, Encoded
from hypopose.training.batches import Batch
from hypopose.training.bodies import BodyMaker
from hypopose.training.draws import Draws
from hypopose.training.views import detect, place_cameras, project_rays

FOCALS = (1.3, 3.0)
"""Focal lengths in half image widths: fields of view of 75 to 37 degrees across the image."""


class ScreenBatchMaker:
    """Draws training windows as screen coordinates, on one device.

    Args:
        motion: Clips to draw from.
        device: Where batches are made.
        recombine: Share of windows whose body parts come from different clips.
        seated_share: Share of parts drawn from shards called ``procedural...``.
        tumbling: Share of windows whose bodies lean or fall in any direction.
        gaps: Whether keypoints are lost, for networks that read confidences. Otherwise a joint
            that the detector would lose is where it is.
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
        *,
        gaps: bool = True,
        detector: Mapping[str, Any] | None = None,
        pitched: float = 0.0,
        **of_bodies: Any,
    ) -> None:
        self.bodies = BodyMaker(motion, device, recombine, seated_share, tumbling, **of_bodies)
        self.gaps, self.detector, self.pitched = gaps, dict(detector or {}), pitched

    def __call__(self, B: int, F: int, generator: torch.Generator) -> Batch:
        """Draw ``B`` windows of ``F`` frames; the generator lives on the maker's device."""
        draws = Draws(generator)
        bodies = self.bodies(B, F, draws)
        rotation, position = place_cameras(bodies.joints, draws, self.pitched)
        cam = (bodies.joints - position[:, None, None]) @ rotation.mT[:, None]
        seen = (bodies.seen - position[:, None, None]) @ rotation.mT[:, None]
        rays, confidence = detect(seen, draws, joints=cam, gaps=self.gaps, **self.detector)
        detected = rays.isfinite().all(-1)
        if not self.gaps:
            rays = torch.where(detected[..., None], rays, project_rays(seen))
            confidence = torch.where(detected, confidence, confidence.new_ones(()))
            detected = torch.ones_like(detected)
        focal = FOCALS[0] * (FOCALS[1] / FOCALS[0]) ** draws.uniform(B)
        xy = rays * focal[:, None, None, None]
        return Batch(_encoded(xy, confidence, detected), cam - cam[:, :, :1])


def _encoded(
    xy: Float[Tensor, "B F J 2"],
    confidence: Float[Tensor, "B F J"],
    detected: Bool[Tensor, "B F J"],
) -> Encoded:
    """As :func:`hypopose.networks.inputs.encode` presents screen coordinates."""
    weight = torch.where(detected, confidence.clamp(MIN_CONFIDENCE, 1.0), 0.0)
    return Encoded(
        xy=torch.where(detected[..., None], xy, 0.0),
        confidence=weight,
        mask=torch.ones_like(detected[..., 0]),
        context=None,
        rotation=torch.eye(3, device=xy.device).expand(len(xy), 3, 3),
    )
