"""The lifter that MPM's encoder is fine-tuned to, and the refinement behind it.

See :mod:`hypopose.networks.mpm`.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hypopose.networks.base import NetworkInfo
from hypopose.networks.mpm_layers import (
    Layers,
    PoseEncoder,
    Reducer,
    SharedSpatial,
    check_width,
    pose_head,
)
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import check_clip, check_form
from hypopose.skeletons import get_skeleton


class MPMLifter(PretrainedNetwork):
    """The fine-tuned lifter: MPM's encoder, and strided layers down to the pose in the middle.

    Args:
        strides: Factors by which the number of frames shrinks; their product is the clip length
            (351 frames: 3, 9, 13; a factor of 1 only transforms).
        width: Channels C.
        hidden: Channels of the layers' MLPs.
        n_layers: Temporal layers.
        output: ``"center"`` for the pose in the middle, ``"sequence"`` for all (trained as a help).
        dropout: Of the encoder in training.
        skeleton: Name of the 2D and 3D skeleton.

    Raises:
        OptionError: If the width is not a multiple of eight heads.

    Example:
        >>> network = MPMLifter(strides=(3, 3), width=16, hidden=16, n_layers=1).eval()
        >>> network(None, torch.randn(2, 9, 17, 2)).shape
        torch.Size([2, 1, 1, 17, 3])
    """

    @recorded
    def __init__(
        self,
        strides: list[int] | tuple[int, ...] = (3, 3, 3, 3, 3),
        width: int = 256,
        hidden: int = 512,
        n_layers: int = 4,
        output: Literal["center", "sequence"] = "center",
        dropout: float = 0.2,
        skeleton: str = "h36m17",
    ) -> None:
        super().__init__()
        check_width(width)
        n_frames, n_joints = math.prod(strides), get_skeleton(skeleton).n_joints
        self.encoder2d = PoseEncoder(2 * n_joints, 2 * width, dropout)
        self.shared_layers_spatial = SharedSpatial(2 * width, width, dropout)
        self.shared_layers_temporal = Layers(n_layers, width, hidden, 0.1, n_frames)
        self.Transformer_reduce = Reducer(tuple(strides), width, hidden, n_frames, 0.1)
        self.fcn = pose_head(width, 3 * n_joints)
        self.fcn_1 = pose_head(width, 3 * n_joints)

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates of a whole window in."""
        c = self.config
        return NetworkInfo(
            "screen",
            math.prod(c.strides),
            c.skeleton,
            c.skeleton,
            forms=("lifter",),
            sequence_to_one=c.output == "center",
        )

    def forward(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F J 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F J"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Float[Tensor, "B 1 _F J 3"]:
        """The pose in the middle, or all; only ``keypoints`` are read.

        Args:
            x_t: None; this is a lifter.
            keypoints: Screen coordinates.
            t: None.
            confidence: Not used.
            mask: Not used: every frame of the window counts.
            context: Not used.

        Returns:
            Poses in meters, the root as predicted.

        Raises:
            ShapeError: If the clip length differs, or noise is given.
        """
        check_form("MPMLifter", True, x_t, t)
        tokens = self.encode(keypoints)
        if self.config.output == "sequence":
            return self.sequence(tokens)[:, None]
        return self.center(tokens)[:, None]

    def encode(self, keypoints: Float[Tensor, "B F J 2"]) -> Float[Tensor, "B F C"]:
        """One token per frame.

        Raises:
            ShapeError: If the clip length differs.
        """
        n_joints = get_skeleton(self.config.skeleton).n_joints
        check_clip("MPMLifter", keypoints, math.prod(self.config.strides), n_joints)
        return self.shared_layers_temporal(self.shared_layers_spatial(self.encoder2d(keypoints)).mT)

    def center(self, tokens: Float[Tensor, "B F C"]) -> Float[Tensor, "B 1 J 3"]:
        """The pose in the middle."""
        return self.fcn(self.Transformer_reduce(tokens).mT).mT.unflatten(-1, (-1, 3))

    def sequence(self, tokens: Float[Tensor, "B F C"]) -> Float[Tensor, "B F J 3"]:
        """All poses, of the tokens before the strided layers; trained beside the center's."""
        return self.fcn_1(tokens.mT).mT.unflatten(-1, (-1, 3))


class MPMRefinement(PretrainedNetwork):
    """Mixes a pose with keypoints placed at its depth; needs the camera and the root's true depth.

    Args:
        skeleton: Name of the skeleton.

    Example:
        >>> refine = MPMRefinement().eval()
        >>> xy, pose = torch.rand(1, 17, 2), torch.randn(1, 17, 3)
        >>> refine(pose, xy, torch.tensor([4.0]), torch.tensor([[2.3, 2.3, 0.0, 0.0]])).shape
        torch.Size([1, 17, 3])
    """

    @recorded
    def __init__(self, skeleton: str = "h36m17") -> None:
        super().__init__()
        n = get_skeleton(skeleton).n_joints
        self.post_refine = nn.Sequential(
            nn.Linear(6 * n, 1024), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1024, 2 * n), nn.Sigmoid()
        )

    def forward(
        self,
        pose: Float[Tensor, "B J 3"],
        keypoints: Float[Tensor, "B J 2"],
        root_depth: Float[Tensor, " B"],
        intrinsics: Float[Tensor, "B 4"],
    ) -> Float[Tensor, "B J 3"]:
        """Refine x and y.

        Args:
            pose: Meters, root-relative, the root as predicted.
            keypoints: Screen coordinates.
            root_depth: Of the root, meters. The published evaluation took the true one.
            intrinsics: Focal lengths and principal point in screen units; no distortion.

        Returns:
            Meters; depths are unchanged.
        """
        placed = self.place(pose, keypoints, root_depth, intrinsics)
        features = torch.cat([pose, placed], -1).flatten(1)
        share = self.post_refine(features).unflatten(-1, (-1, 2))
        xy = share * pose[..., :2] + (1 - share) * placed[..., :2]
        return torch.cat([xy, pose[..., 2:]], -1)

    def place(
        self,
        pose: Float[Tensor, "B J 3"],
        keypoints: Float[Tensor, "B J 2"],
        root_depth: Float[Tensor, " B"],
        intrinsics: Float[Tensor, "B 4"],
    ) -> Float[Tensor, "B J 3"]:
        """Keypoints at the predicted depths, relative to the root (whose own depth counts as 0)."""
        relative = torch.cat([torch.zeros_like(pose[:, :1, 2]), pose[:, 1:, 2]], 1)
        depth = (relative + root_depth[:, None])[..., None]
        focal, center = intrinsics[:, None, :2], intrinsics[:, None, 2:]
        points = torch.cat([(keypoints - center) / focal * depth, depth], -1)
        return points - points[:, :1]
