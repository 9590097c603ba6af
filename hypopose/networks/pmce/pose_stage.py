"""PMCE's first stage: the pose of the middle frame from 2D poses and image features.

You et al., "Co-evolution of pose and mesh for 3D human body estimation from video", ICCV 2023,
section 3.1. Spatial and temporal transformer blocks take turns; one norm follows all spatial
blocks, another all temporal ones, as released. A learned weighted sum over frames ends it, so that
the number of frames is fixed.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hypopose.networks.feed_forward import Mlp
from hypopose.networks.pmce.blocks import DropPath, SelfAttention


class PoseStageBlock(nn.Module):
    """Attention and MLP behind ordinary layer norms.

    Args:
        width: Channels.
        n_heads: Heads.
        mlp_ratio: Hidden over outer width.
        drop_path: How often a branch is left out in training.
    """

    def __init__(self, width: int, n_heads: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = SelfAttention(width, n_heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, round(width * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Float[Tensor, "B N C"]) -> Float[Tensor, "B N C"]:
        """Both branches."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PoseStage(nn.Module):
    """The first stage.

    Args:
        n_frames: Frames of a window.
        n_joints: Joints of the 2D and the 3D pose.
        width: Channels of a token.
        depth: Pairs of blocks.
        n_heads: Heads.
        mlp_ratio: Hidden over outer width.
        cond_dim: Channels of an image feature.
        drop_path: Of the last blocks.
    """

    def __init__(
        self,
        n_frames: int,
        n_joints: int = 17,
        width: int = 256,
        depth: int = 3,
        n_heads: int = 8,
        mlp_ratio: float = 2.0,
        cond_dim: int = 2048,
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        self.joint_embed = nn.Linear(2, width)
        self.imgfeat_embed = nn.Linear(cond_dim, width)
        self.spatial_pos_embed = nn.Parameter(torch.zeros(1, n_joints, width))
        self.temporal_pos_embed = nn.Parameter(torch.zeros(1, n_frames, width))
        rates = [drop_path * i / max(depth - 1, 1) for i in range(depth)]
        self.SpatialBlocks = nn.ModuleList(
            PoseStageBlock(width, n_heads, mlp_ratio, r) for r in rates
        )
        self.TemporalBlocks = nn.ModuleList(
            PoseStageBlock(width, n_heads, mlp_ratio, r) for r in rates
        )
        self.norm_s = nn.LayerNorm(width, eps=1e-6)
        self.norm_t = nn.LayerNorm(width, eps=1e-6)
        self.regression = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3))
        self.fusion = nn.Conv2d(n_frames, 1, 1)

    def forward(
        self, keypoints: Float[Tensor, "B T J 2"], features: Float[Tensor, "B T D"]
    ) -> Float[Tensor, "B J 3"]:
        """The middle frame's pose; millimeters after training.

        Args:
            keypoints: Screen coordinates.
            features: Of the images.
        """
        B, T, J, _ = keypoints.shape
        x = self.joint_embed(keypoints) + self.imgfeat_embed(features)[:, :, None]
        x = x + self.spatial_pos_embed
        for i, (spatial, temporal) in enumerate(
            zip(self.SpatialBlocks, self.TemporalBlocks, strict=True)
        ):
            x = self.norm_s(spatial(x.flatten(0, 1))).reshape(B, T, J, -1)
            over_time = x.transpose(1, 2).flatten(0, 1)
            if i == 0:
                over_time = over_time + self.temporal_pos_embed
            over_time = self.norm_t(temporal(over_time))
            x = over_time.reshape(B, J, T, -1).transpose(1, 2)
        return self.fusion(self.regression(x))[:, 0]
