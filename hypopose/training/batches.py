"""Training batches: bodies seen by cameras, detected, and encoded as the network reads them.

Networks that read rays towards the subject (:mod:`hypopose.networks.inputs`) know their camera, so
that focal lengths need not be drawn. Networks that read screen coordinates do not, so each window
gets a focal length between those of phones and telephoto lenses, and targets stay in the camera's
frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.datasets.shards import load_motion
from hypopose.networks.inputs import Encoded, encode_rays, encode_screen
from hypopose.simulation import (
    Bodies,
    BodyMaker,
    BodyOptions,
    DetectionOptions,
    DrawBuilds,
    Draws,
    Motion,
    detect,
    place_cameras,
    project_rays,
)
from hypopose.training.config import TrainConfig

FOCALS = (1.3, 3.0)
"""Focal lengths in half image widths: fields of view of 75 to 37 degrees across the image."""

Inputs = Literal["subject", "screen"]


def motion_of(config: TrainConfig, split: str) -> Motion:
    """The clips of a run's shards.

    Args:
        config: The run's options.
        split: ``"train"``, ``"val"`` or ``"test"``.
    """
    return load_motion(config.data.shards, split, exclude=config.data.exclude)


@dataclass(frozen=True, eq=False)
class Batch:
    """What one optimizer step sees.

    Args:
        encoded: Keypoints as the network reads them.
        target: Root-relative meters in the network's frame.
        error: Errors of the targets, drawn as the target's own were, for targets that are measured
            and not known: the objective ``"energy"`` adds them to its draws, so that draws without
            them are the posterior of the truth. One for each draw; None for exact targets.
        known: Joints with a target; None for all.
    """

    encoded: Encoded
    target: Float[Tensor, "B F J 3"]
    error: Float[Tensor, "B H F J 3"] | None = None
    known: Bool[Tensor, "B F J"] | None = None


@dataclass(frozen=True, eq=False)
class Views:
    """Windows of bodies as cameras and detectors see them.

    Args:
        rays: Detected keypoints; NaN where missing.
        confidence: 0 where missing.
        joints: Camera frame, meters.
        seen: The same, with joints where a detector would put them.
        fps: Frames per second.
    """

    rays: Float[Tensor, "B F J 2"]
    confidence: Float[Tensor, "B F J"]
    joints: Float[Tensor, "B F J 3"]
    seen: Float[Tensor, "B F J 3"]
    fps: Float[Tensor, " B"]


class BatchMaker:
    """Draws training windows from motion clips, on one device.

    Args:
        motion: Clips to draw from.
        device: Where batches are made.
        bodies: How bodies are drawn.
        noise: How they are detected.
        pitched: Share of windows seen by cameras of any pitch.
        inputs: What the network reads, ``network.info.inputs``.
        gaps: Whether keypoints are missing. Otherwise a joint that the detector would miss is where
            it is; for networks that read no confidences.
        builds: Draws how people are built and where detectors see their joints, in all kinds of
            windows; None for what ``bodies`` says.
    """

    def __init__(
        self,
        motion: Motion,
        device: torch.device,
        bodies: BodyOptions | None = None,
        noise: DetectionOptions | None = None,
        pitched: float = 0.0,
        *,
        inputs: Inputs = "subject",
        gaps: bool = True,
        builds: DrawBuilds | None = None,
    ) -> None:
        self.bodies = BodyMaker(motion, device, bodies, builds)
        self.noise = noise or DetectionOptions()
        self.pitched, self.gaps = pitched, gaps
        self.encode: Callable[[Views, Draws], Batch] = ENCODINGS[inputs]

    def __call__(self, B: int, F: int, generator: torch.Generator) -> Batch:
        """Draw ``B`` windows of ``F`` frames; the generator lives on the maker's device."""
        draws = Draws(generator)
        views = self.look(B, F, draws)
        return self.encode(views if self.gaps else _without_gaps(views), draws)

    def look(self, B: int, F: int, draws: Draws) -> Views:
        """Draw bodies, cameras and detections."""
        bodies = self.bodies(B, F, draws)
        cam, seen = self.before_camera(bodies, draws)
        exact = None if self.bodies.builds is not None else cam
        rays, confidence = detect(
            seen, draws, self.noise, joints=exact, gaps=self.gaps, people=bodies.people
        )
        return Views(rays, confidence, cam, seen, bodies.fps)

    def before_camera(
        self, bodies: Bodies, draws: Draws
    ) -> tuple[Float[Tensor, "B F J 3"], Float[Tensor, "B F J 3"]]:
        """Joints in the camera's frame, and where a detector would put them."""
        rotation, position = self.place(bodies.joints, draws)
        joints, seen = (
            (x - position[:, None, None]) @ rotation.mT[:, None]
            for x in (bodies.joints, bodies.seen)
        )
        return joints, seen

    def place(
        self, joints: Float[Tensor, "B F J 3"], draws: Draws
    ) -> tuple[Float[Tensor, "B 3 3"], Float[Tensor, "B 3"]]:
        """Rotation and position of one camera a window; see :func:`.place_cameras`."""
        return place_cameras(joints, draws, self.pitched)


def _without_gaps(views: Views) -> Views:
    """Missing joints are where they are, with confidence 1."""
    detected = views.rays.isfinite().all(-1)
    rays = torch.where(detected[..., None], views.rays, project_rays(views.seen))
    confidence = torch.where(detected, views.confidence, views.confidence.new_ones(()))
    return Views(rays, confidence, views.joints, views.seen, views.fps)


def _towards_subject(views: Views, draws: Draws) -> Batch:
    """Rays in a camera turned towards the subject, and joints in its frame."""
    encoded = encode_rays(views.rays, views.confidence, views.fps)
    root_relative = views.joints - views.joints[:, :, :1]
    return Batch(encoded, root_relative @ encoded.rotation.mT[:, None])


def _on_screen(views: Views, draws: Draws) -> Batch:
    """Screen coordinates of cameras with random focal lengths, and joints in their frame."""
    focal = FOCALS[0] * (FOCALS[1] / FOCALS[0]) ** draws.uniform(len(views.rays))
    xy = views.rays * focal[:, None, None, None]
    return Batch(encode_screen(xy, views.confidence), views.joints - views.joints[:, :, :1])


ENCODINGS: dict[str, Callable[[Views, Draws], Batch]] = {
    "subject": _towards_subject,
    "screen": _on_screen,
}
"""What networks read -> how windows become a batch."""
