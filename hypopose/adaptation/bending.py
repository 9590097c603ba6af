"""Windows of bodies that a generator changes for the target's camera (PoseDA, reconstructed).

Source bodies stand where the target's people stand; :class:`.LocalAugmentation` bends, resizes and
turns them there. Its generator and critics take a step with every batch, before the network does.
Bodies that can no longer be placed keep their original pose.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.adaptation.placement import AlignedBatchMaker
from hypopose.simulation import Bodies, Draws
from hypopose.simulation.anatomy import trunk_axes
from hypopose.training import LocalAugmentation
from hypopose.types import Camera

MIDDLE = 50.0
"""Where rays of 0 lie in the image of :func:`wide_camera`."""


def wide_camera() -> Camera:
    """A camera with a pixel per unit of the plane z = 1 that sees nearly everything before it."""
    size = round(2 * MIDDLE)
    return Camera(torch.ones(2), torch.full((2,), MIDDLE), (size, size))


class BentBatchMaker(AlignedBatchMaker):
    """Draws training windows where the target's people stand, of bodies a generator changes.

    Args:
        *given: Of :class:`.AlignedBatchMaker`.
        augmentation: Generator and critics; new ones if None.
        seed: Of new ones.
        **options: Of :class:`.AlignedBatchMaker`.
    """

    def __init__(
        self,
        *given: Any,
        augmentation: LocalAugmentation | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(*given, **options)
        self.augmentation = augmentation or LocalAugmentation("h36m17", seed=seed)

    def before_camera(
        self, bodies: Bodies, draws: Draws
    ) -> tuple[Float[Tensor, "B F J 3"], Float[Tensor, "B F J 3"]]:
        """Joints in the camera's frame, and where a detector would put them."""
        joints, seen = super().before_camera(bodies, draws)
        pick = draws.pick(torch.ones_like(self.stands.tilt_std), len(joints))
        keypoints = (self.stands.rays[pick] + MIDDLE).cpu()
        source, camera = joints.cpu(), wide_camera()
        if len(source) > 1:
            middle = source[:, source.shape[1] // 2, None]
            self.augmentation.step(middle, keypoints, camera)
        placed = self.augmentation.augment(source, keypoints, camera)
        kept = placed.kept.all(1).to(joints.device)[:, None, None, None]
        bent = torch.where(kept, placed.joints.nan_to_num(0.0).to(joints), joints)
        off = (seen - joints) @ trunk_axes(joints - joints[:, :, :1]).mT
        return bent, bent + off @ trunk_axes(bent - bent[:, :, :1])
