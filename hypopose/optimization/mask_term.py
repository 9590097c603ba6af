"""Masks as one more term of the energy that refinement lowers.

``Σ_looks  (F / n) e / τ``: e is one minus the intersection over union of the mask and a body around
the hypothesis, τ what e may differ by among equally good poses, F / n the frames a look stands for.
Gradients pass through the soft silhouette (Liu et al., ICCV 2019) to joints and root.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from hypopose.cameras import hypothesis_camera
from hypopose.rendering.silhouettes import at_side, check_skeleton, fit_girth, silhouette_errors
from hypopose.types import Camera, Hypotheses, Keypoints2D, Silhouettes

MASK_ERROR = 0.005
"""τ: sharper than for weights, which a few hypotheses must share."""

SIDE = 32
"""Pixels of the side of pictures while descending."""


@dataclass(frozen=True, eq=False)
class MaskTerm:
    """The term for items N = batch times H.

    Args:
        lead: Batch axes and H.
        camera: Of the hypotheses.
        silhouettes: What masks show.
        girth: Factor of the body's radii.
        weight: Of one minus the intersection over union of a look.
    """

    lead: tuple[int, ...]
    camera: Camera
    silhouettes: Silhouettes
    girth: Float[Tensor, "*batch"]
    weight: float

    @classmethod
    def of(
        cls,
        hypotheses: Hypotheses,
        keypoints: Keypoints2D,
        root: Float[Tensor, "N F 3"],
        mask_error: float,
    ) -> MaskTerm | None:
        """The term; None for keypoints without silhouettes.

        Args:
            hypotheses: As they came.
            keypoints: With a camera.
            root: Where hypotheses are, camera-frame meters.
            mask_error: τ.

        Raises:
            SkeletonMismatchError: If hypotheses have other joints than the body.
        """
        seen = keypoints.silhouettes
        if seen is None or not len(seen.frames):
            return None
        check_skeleton(hypotheses.skeleton)
        assert keypoints.camera is not None  # refinement checked it
        shape = hypotheses.joints.shape
        camera = hypothesis_camera(hypotheses, keypoints.camera)
        placed = hypotheses.joints + root.reshape(*shape[:-2], 1, 3)
        girth = fit_girth(placed[..., seen.frames, :, :].float(), camera, seen)
        weight = shape[-3] / len(seen.frames) / mask_error
        return cls(tuple(shape[:-3]), camera, at_side(seen, SIDE), girth, weight)

    def __call__(
        self, joints: Float[Tensor, "N F J 3"], root: Float[Tensor, "N F 3"]
    ) -> Float[Tensor, " N"]:
        """The energy of every item.

        Args:
            joints: Root-relative meters.
            root: Camera-frame meters.
        """
        frames = self.silhouettes.frames
        placed = joints[:, frames] + root[:, frames, None]
        placed = placed.reshape(*self.lead, *placed.shape[1:])
        errors = silhouette_errors(placed, self.camera, self.silhouettes, girth=self.girth)
        return self.weight * errors.sum(-1).reshape(-1)

    def describe(self) -> str:
        """Which masks, for notes.

        Example:
            >>> import torch
            >>> empty = torch.zeros(0, 4, 4)
            >>> seen = Silhouettes(torch.zeros(0).long(), empty, empty, torch.zeros(0, 3),
            ...                    record={"file": "masks", "looks": 7})
            >>> MaskTerm((), Camera.from_fov((8, 8)), seen, torch.ones(()), 1.0).describe()
            'the masks of masks (7 looks)'
        """
        record = self.silhouettes.record
        return f"the masks of {record.get('file', 'a caller')} ({record.get('looks')} looks)"
