"""MotionBERT's backbone: two transformers that attend over joints and frames in opposite orders.

Zhu, Ma, Liu, Liu, Wu, Wang, "MotionBERT: A Unified Perspective on Learning Human Motion
Representations", ICCV 2023; here as a lifter and as a backbone of :mod:`hypopose.networks.hot`.

| paper, released code | here |
| --- | --- |
| DSTformer | :class:`MotionBERT` |
| ``blocks_st``, ``blocks_ts`` | the same: joints first, frames first |
| ``ts_attn``, α | the same: the mixture of both streams, per token |
| ``pre_logits`` | the same: motion representation |

Modules carry the names of the released tensors, except inside blocks.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hypopose.networks.attention import Backend, check_backend
from hypopose.networks.base import NetworkInfo
from hypopose.networks.mixste import TokenBlock
from hypopose.networks.pretrained import renamed
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import (
    StagedNetwork,
    Tokens,
    check_clip,
    check_form,
    hypotheses_mask,
    over_rows,
    rows_mask,
)
from hypopose.skeletons import get_skeleton

OFFICIAL_NAMES: tuple[tuple[str, str], ...] = (
    (r"\.norm1_([st])\.", r".\1.norm_attention."),
    (r"\.attn_([st])\.qkv\.", r".\1.qkv."),
    (r"\.attn_([st])\.proj\.", r".\1.out."),
    (r"\.norm2_([st])\.", r".\1.norm_mlp."),
    (r"\.mlp_([st])\.fc1\.", r".\1.up."),
    (r"\.mlp_([st])\.fc2\.", r".\1.down."),
    (r"\.s\.", ".spatial."),
    (r"\.t\.", ".temporal."),
)
"""Patterns that turn the names of official checkpoints into ours."""


def motionbert_name(name: str) -> str:
    """Our name of a tensor of the released MotionBERT.

    Example:
        >>> motionbert_name("blocks_st.0.attn_t.proj.bias")
        'blocks_st.0.temporal.out.bias'
    """
    return renamed(name, OFFICIAL_NAMES)


class Pair(nn.Module):
    """A spatial and a temporal block, in either order."""

    def __init__(
        self, width: int, n_heads: int, mlp_ratio: float, spatial_first: bool, backend: Backend
    ) -> None:
        super().__init__()
        self.spatial_first = spatial_first
        self.spatial = TokenBlock(width, n_heads, mlp_ratio, 0.0, backend)
        self.temporal = TokenBlock(width, n_heads, mlp_ratio, 0.0, backend)

    def forward(
        self, x: Float[Tensor, "N F J C"], mask: Bool[Tensor, "N F"] | None
    ) -> Float[Tensor, "N F J C"]:
        """One after the other."""
        rows = rows_mask(mask, x.shape[2])
        if self.spatial_first:
            x = over_rows(self.spatial, x)
        x = over_rows(self.temporal, x.transpose(1, 2), rows).transpose(1, 2)
        return x if self.spatial_first else over_rows(self.spatial, x)


class MotionBERT(StagedNetwork):
    """The two-stream lifter.

    Args:
        n_frames: Clip length T; the only one it takes.
        width: Channels C.
        depth: Pairs of blocks in each stream.
        n_heads: Attention heads.
        mlp_ratio: Hidden width of the MLPs over C.
        rep_width: Channels of the motion representation.
        attention: Backend, see :mod:`hypopose.networks.attention`.
        skeleton: Name of the 2D and 3D skeleton.

    Example:
        >>> network = MotionBERT(n_frames=9, width=16, depth=1, rep_width=8).eval()
        >>> network(None, torch.randn(2, 9, 17, 2)).shape
        torch.Size([2, 1, 9, 17, 3])
    """

    @recorded
    def __init__(
        self,
        n_frames: int = 243,
        width: int = 256,
        depth: int = 5,
        n_heads: int = 8,
        mlp_ratio: float = 4.0,
        rep_width: int = 512,
        attention: Backend = "sdpa",
        skeleton: str = "h36m17",
    ) -> None:
        super().__init__()
        check_backend(attention)
        n_joints = get_skeleton(skeleton).n_joints

        def stream(first: bool) -> nn.ModuleList:
            return nn.ModuleList(
                Pair(width, n_heads, mlp_ratio, first, attention) for _ in range(depth)
            )

        self.joints_embed = nn.Linear(3, width)
        self.pos_embed = nn.Parameter(torch.zeros(1, n_joints, width))
        self.temp_embed = nn.Parameter(torch.zeros(1, n_frames, 1, width))
        self.blocks_st, self.blocks_ts = stream(True), stream(False)
        self.ts_attn = nn.ModuleList(nn.Linear(2 * width, 2) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pre_logits = nn.ModuleDict({"fc": nn.Linear(width, rep_width)})
        self.head = nn.Linear(rep_width, 3)
        self.apply(_start)
        for mixture in self.ts_attn:
            nn.init.zeros_(mixture.get_parameter("weight"))
            nn.init.constant_(mixture.get_parameter("bias"), 0.5)

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates and confidences in."""
        c = self.config
        return NetworkInfo(
            "screen", c.n_frames, c.skeleton, c.skeleton, uses_confidence=True, forms=("lifter",)
        )

    @property
    def n_stages(self) -> int:
        """One per pair; the last norm belongs to the last."""
        return len(self.blocks_st)

    @property
    def token_width(self) -> int:
        """C."""
        return self.config.width

    def enter(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F J 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F J"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Tokens:
        """Keypoints and confidence (1 where None), place of joint and frame; no ``context``."""
        check_clip("MotionBERT", keypoints, self.config.n_frames, self.pos_embed.shape[1])
        check_form("MotionBERT", True, x_t, t)
        if confidence is None:
            confidence = torch.ones_like(keypoints[..., 0])
        x = torch.cat([keypoints, confidence[..., None].to(keypoints)], -1)
        x = self.joints_embed(x) + self.pos_embed + self.temp_embed
        return Tokens(x, hypotheses_mask(mask, 1))

    def stage(self, i: int, tokens: Tokens) -> Tokens:
        """Both streams, mixed."""
        st = self.blocks_st[i](tokens.x, tokens.mask)
        ts = self.blocks_ts[i](tokens.x, tokens.mask)
        alpha = self.ts_attn[i](torch.cat([st, ts], -1)).softmax(-1)
        x = st * alpha[..., :1] + ts * alpha[..., 1:]
        return tokens.with_x(self.norm(x) if i == self.n_stages - 1 else x)

    def leave(self, tokens: Tokens) -> Float[Tensor, "N F J 3"]:
        """Linear, tanh, linear per token."""
        return self.head(self.pre_logits["fc"](tokens.x).tanh())


def _start(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
