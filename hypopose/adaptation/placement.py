"""Training windows that look like the target's: bodies where its people stand, from its cameras.

Global position alignment (PoseDA; :func:`hypopose.simulation.global_position_alignment`) puts a body
of the source at the depth where it looks as large as a person of the target, in that person's
direction. The published form keeps the source camera's axes. Here the window gets the target's
vertical first (from a rig, or estimated from the default's hypotheses) and turns about it, so that
the pitch of the target's camera is kept.
"""  # noqa: E501

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from hypopose.adaptation.drawing import unit_camera
from hypopose.adaptation.recordings import UPRIGHT, Recording
from hypopose.cameras import axis_angle
from hypopose.simulation import (
    Bodies,
    BodyOptions,
    DetectionOptions,
    DrawBuilds,
    Draws,
    Motion,
    global_position_alignment,
)
from hypopose.skeletons import H36M17
from hypopose.training import BatchMaker
from hypopose.training.batches import Inputs

NEAREST = 0.6
"""Meters; roots are not placed nearer."""

NEAREST_JOINT = 0.25
"""Meters; windows with a joint nearer are placed anew."""

N_TRIES = 4
"""How often a window is paired anew before it is placed as in general training."""

MOST_POSES = 4096
"""Keypoints of the target that are kept to pair with."""


@dataclass(frozen=True, eq=False)
class Stands:
    """Where people of the target stand, frame by frame.

    Args:
        rays: One pose a row; NaN where undetected, the root detected.
        up: The vertical in the camera's frame.
        tilt_std: Its standard deviation in radians.
    """

    rays: Float[Tensor, "N 17 2"]
    up: Float[Tensor, "N 3"]
    tilt_std: Float[Tensor, " N"]

    @staticmethod
    def of(recordings: Sequence[Recording]) -> Stands:
        """Of frames of all recordings, evenly taken, each recording alike."""
        rays, up, std = [], [], []
        most = max(1, MOST_POSES // len(recordings))
        for recording in recordings:
            known = recording.rays[recording.placed]
            known = known[:: max(1, math.ceil(len(known) / most))]
            rays.append(known)
            own = torch.tensor(UPRIGHT) if recording.up is None else recording.up
            up.append(own.float().expand(len(known), 3))
            std.append(torch.full((len(known),), math.radians(recording.tilt_std_deg)))
        return Stands(torch.cat(rays), torch.cat(up), torch.cat(std))

    def to(self, device: torch.device) -> Stands:
        """The same on a device."""
        return Stands(*(x.to(device) for x in (self.rays, self.up, self.tilt_std)))


class AlignedBatchMaker(BatchMaker):
    """Draws training windows where the target's people stand.

    Args:
        motion: Clips to draw from.
        stands: Where people of the target stand.
        device: Where batches are made.
        bodies: How bodies are drawn.
        noise: How they are detected.
        pitched: For windows that fit nowhere.
        inputs: What the network reads, ``network.info.inputs``.
        gaps: Whether keypoints are missing.
        builds: How people are built; None for what ``bodies`` says.
        sizes: Least and greatest factor of bodies' sizes, drawn evenly in the logarithm (PoSynDA):
            larger ones are placed farther away.
    """

    def __init__(
        self,
        motion: Motion,
        stands: Stands,
        device: torch.device,
        bodies: BodyOptions | None = None,
        noise: DetectionOptions | None = None,
        pitched: float = 0.0,
        *,
        inputs: Inputs = "subject",
        gaps: bool = True,
        builds: DrawBuilds | None = None,
        sizes: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        given = (motion, device, bodies, noise, pitched)
        super().__init__(*given, inputs=inputs, gaps=gaps, builds=builds)
        self.stands = stands.to(device)
        self.camera = unit_camera()
        self.sizes = sizes

    def before_camera(
        self, bodies: Bodies, draws: Draws
    ) -> tuple[Float[Tensor, "B F J 3"], Float[Tensor, "B F J 3"]]:
        """Joints in the camera's frame, and where a detector would put them."""
        least, greatest = self.sizes
        if least < greatest or least != 1:
            share = draws.uniform(len(bodies.joints), 1, 1, 1)
            factor = least * (share * math.log(greatest / least)).exp()
            bodies = replace(bodies, joints=factor * bodies.joints, seen=factor * bodies.seen)
        return super().before_camera(bodies, draws)

    def place(
        self, joints: Float[Tensor, "B F J 3"], draws: Draws
    ) -> tuple[Float[Tensor, "B 3 3"], Float[Tensor, "B 3"]]:
        """Rotation and position of one camera a window, paired at random with the target's."""
        rotation, position = super().place(joints, draws)
        left = torch.ones(len(joints), dtype=torch.bool, device=joints.device)
        for _ in range(N_TRIES):
            R, t, fits = self._paired(joints, draws)
            new = left & fits
            rotation = torch.where(new[:, None, None], R, rotation)
            position = torch.where(new[:, None], t, position)
            left = left & ~fits
        return rotation, position

    def _paired(self, joints: Tensor, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
        B, F = joints.shape[:2]
        pick = draws.pick(torch.ones_like(self.stands.tilt_std), B)
        lean = self.stands.tilt_std[pick][:, None] * draws.normal(B, 3)
        up = functional.normalize(self.stands.up[pick] + lean, dim=-1)
        R = upright(up, draws.uniform(B, high=2 * math.pi))
        pelvis = joints[:, F // 2, 0]
        axes = (joints - pelvis[:, None, None]) @ R.mT[:, None]
        seen = global_position_alignment(
            axes[:, F // 2], self.stands.rays[pick], self.camera, H36M17, NEAREST
        )
        root = seen.joints[:, 0].nan_to_num(0.0)
        nearest = (axes[..., 2] + root[:, None, None, 2]).amin((1, 2))
        position = pelvis - (R.mT @ root[..., None])[..., 0]
        return R, position, seen.kept & (nearest > NEAREST_JOINT)


def upright(up: Float[Tensor, "B 3"], turn: Float[Tensor, " B"]) -> Float[Tensor, "B 3 3"]:
    """Rotations from a world with z up to cameras with a given vertical.

    Args:
        up: Unit vectors in the camera's frame.
        turn: Radians about the vertical.

    Example:
        >>> R = upright(torch.tensor([[0.0, -0.8, 0.6]]), torch.tensor([1.0]))
        >>> (R[0] @ torch.tensor([0.0, 0.0, 1.0])).round(decimals=4).tolist()
        [0.0, -0.800000011920929, 0.6000000238418579]
    """
    other = torch.where(
        up[:, :1].abs() < 0.9, up.new_tensor([1.0, 0.0, 0.0]), up.new_tensor([0.0, 1.0, 0.0])
    )
    first = functional.normalize(other - (other * up).sum(-1, keepdim=True) * up, dim=-1)
    frame = torch.stack([first, torch.linalg.cross(up, first), up], -1)
    vertical = up.new_tensor([0.0, 0.0, 1.0]).expand_as(up)
    return frame @ axis_angle(vertical, turn)
