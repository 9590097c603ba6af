"""MixSTE2, the denoiser of D3DP, and its plain lifter form.

Zhang et al., "MixSTE: Seq2seq Mixed Spatio-Temporal Encoder for 3D Human Pose Estimation in Video",
CVPR 2022 (the lifter); Shan et al., "Diffusion-Based 3D Human Pose Estimation with Multi-Hypothesis
Aggregation", ICCV 2023 (the denoiser).

One token per joint and frame. Blocks attend over the joints of a frame and over the frames of a
joint in turn. The denoiser reads the noisy 3D pose beside the 2D keypoint, and the timestep as an
embedding added to every token.

| paper, released code | here |
| --- | --- |
| C, depth, T, J | ``width``, ``depth``, ``n_frames``, ``n_joints`` |
| ``Spatial_patch_to_embedding`` | ``embed`` |
| ``STEblocks``, ``TTEblocks`` | ``spatial``, ``temporal`` |
| ``Spatial_pos_embed``, ``Temporal_pos_embed`` | ``joint_position``, ``frame_position`` |

Departures, none of which changes a number beyond rounding: the first linear acts on keypoints and
poses apart, so that keypoints are embedded once and not once a hypothesis; attention is fused.
Added: ``mask`` keeps padded frames out of temporal attention (the released code has no mask).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from hypopose.errors import ShapeError
from hypopose.networks.attention import Backend, attention, check_backend
from hypopose.networks.base import Form, NetworkInfo
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
    sinusoid,
)

OFFICIAL_NAMES: tuple[tuple[str, str], ...] = (
    (r"^Spatial_patch_to_embedding\.", "embed."),
    (r"^Spatial_pos_embed$", "joint_position"),
    (r"^Temporal_pos_embed$", "frame_position"),
    (r"^time_mlp\.1\.", "time_in."),
    (r"^time_mlp\.3\.", "time_out."),
    (r"^STEblocks\.", "spatial."),
    (r"^TTEblocks\.", "temporal."),
    (r"^Spatial_norm\.", "spatial_norm."),
    (r"^Temporal_norm\.", "temporal_norm."),
    (r"^head\.0\.", "norm."),
    (r"^head\.1\.", "to_pose."),
    (r"\.norm1\.", ".norm_attention."),
    (r"\.attn\.qkv\.", ".qkv."),
    (r"\.attn\.proj\.", ".out."),
    (r"\.norm2\.", ".norm_mlp."),
    (r"\.mlp\.fc1\.", ".up."),
    (r"\.mlp\.fc2\.", ".down."),
)
"""Patterns that turn the names of official checkpoints into ours."""


def name_from_official(name: str) -> str:
    """Our name of a tensor of the released MixSTE or MixSTE2.

    Example:
        >>> name_from_official("STEblocks.3.attn.qkv.bias")
        'spatial.3.qkv.bias'
    """
    return renamed(name, OFFICIAL_NAMES)


class TokenBlock(nn.Module):
    """Pre-norm transformer block over the tokens of a row, with stochastic depth in training."""

    def __init__(
        self,
        width: int,
        n_heads: int,
        mlp_ratio: float,
        drop: float,
        backend: Backend,
        attention_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.n_heads, self.drop, self.backend = n_heads, drop, backend
        self.norm_attention = nn.LayerNorm(width, eps=attention_eps)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width, eps=1e-6)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(
        self, x: Float[Tensor, "rows N C"], mask: Bool[Tensor, "rows 1 1 N"] | None = None
    ) -> Float[Tensor, "rows N C"]:
        """Attend, then transform every token."""
        qkv = self.qkv(self.norm_attention(x)).unflatten(-1, (3, self.n_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = attention(q, k, v, mask, self.backend).transpose(1, 2).flatten(2)
        x = x + self._drop_rows(self.out(attended))
        return x + self._drop_rows(self.down(functional.gelu(self.up(self.norm_mlp(x)))))

    def _drop_rows(self, x: Tensor) -> Tensor:
        if not self.training or self.drop == 0.0:
            return x
        keep = 1.0 - self.drop
        return x * torch.empty(len(x), 1, 1, device=x.device).bernoulli_(keep).div_(keep).to(x)


class MixSTE2(StagedNetwork):
    """Alternating spatial and temporal transformer over a clip of fixed length.

    Args:
        n_frames: Clip length T; the only one it takes.
        width: Channels C.
        depth: Number of spatial (and of temporal) blocks.
        n_heads: Attention heads.
        mlp_ratio: Hidden width of the MLPs over C.
        n_joints: Joints, of the keypoints and of the poses.
        lifter: The plain lifter form: no noisy pose, no timestep.
        drop_path: Stochastic depth of the last block in training, rising linearly from 0.
        attention: Backend, see :mod:`hypopose.networks.attention`.
        keypoint_skeleton: Name of the 2D skeleton.
        skeleton: Name of the 3D skeleton.

    Raises:
        BackendError: If the attention backend cannot run here.

    Example:
        >>> network = MixSTE2(n_frames=3, width=16, depth=1).eval()
        >>> x_t, xy = torch.randn(2, 5, 3, 17, 3), torch.randn(2, 3, 17, 2)
        >>> network(x_t, xy, torch.tensor([999.0, 0.0])).shape
        torch.Size([2, 5, 3, 17, 3])
    """

    @recorded
    def __init__(
        self,
        n_frames: int = 243,
        width: int = 512,
        depth: int = 8,
        n_heads: int = 8,
        mlp_ratio: float = 2.0,
        n_joints: int = 17,
        lifter: bool = False,
        drop_path: float = 0.1,
        attention: Backend = "sdpa",
        keypoint_skeleton: str = "h36m17",
        skeleton: str = "h36m17",
    ) -> None:
        super().__init__()
        check_backend(attention)
        if width % n_heads or width % 2:
            raise ShapeError(f"width must be even and a multiple of n_heads, got {width}.")
        self.embed = nn.Linear(2 if lifter else 5, width)
        self.joint_position = nn.Parameter(torch.zeros(1, n_joints, width))
        self.frame_position = nn.Parameter(torch.zeros(1, n_frames, width))
        if not lifter:
            self.time_in = nn.Linear(width, 2 * width)
            self.time_out = nn.Linear(2 * width, width)
        rates = [drop_path * i / max(depth - 1, 1) for i in range(depth)]
        blocks = [
            nn.ModuleList(TokenBlock(width, n_heads, mlp_ratio, rate, attention) for rate in rates)
            for _ in range(2)
        ]
        self.spatial, self.temporal = blocks
        self.spatial_norm = nn.LayerNorm(width, eps=1e-6)
        self.temporal_norm = nn.LayerNorm(width, eps=1e-6)
        self.norm = nn.LayerNorm(width)
        self.to_pose = nn.Linear(width, 3)

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates in, one clip length, no confidences."""
        c = self.config
        forms: tuple[Form, ...] = ("lifter",) if c.lifter else ("denoiser",)
        return NetworkInfo("screen", c.n_frames, c.keypoint_skeleton, c.skeleton, forms=forms)

    @property
    def n_stages(self) -> int:
        """One per spatial and temporal block."""
        return len(self.spatial)

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
        """Keypoints, poses, joints and timestep; ``confidence`` and ``context`` are not used."""
        check_clip("MixSTE2", keypoints, self.config.n_frames, self.config.n_joints)
        check_form("MixSTE2", self.config.lifter, x_t, t)
        x = self._tokens(x_t, keypoints, t)
        return Tokens(x.flatten(0, 1), hypotheses_mask(mask, x.shape[1]))

    def stage(self, i: int, tokens: Tokens) -> Tokens:
        """Attend over joints, then over frames; the first stage adds the place in the clip."""
        x = self.spatial_norm(over_rows(self.spatial[i], tokens.x)).transpose(1, 2)
        if i == 0:
            x = x + self.frame_position
        rows = rows_mask(tokens.mask, x.shape[1])
        x = self.temporal_norm(over_rows(self.temporal[i], x, rows)).transpose(1, 2)
        return tokens.with_x(x)

    def leave(self, tokens: Tokens) -> Float[Tensor, "N F J 3"]:
        """Norm and linear layer per token."""
        return self.to_pose(self.norm(tokens.x))

    def _tokens(self, x_t: Tensor | None, keypoints: Tensor, t: Tensor | None) -> Tensor:
        """Embed the 2D once per clip, the poses once per hypothesis, and the timestep."""
        weight = self.embed.weight
        condition = functional.linear(keypoints, weight[:, :2], self.embed.bias)[:, None]
        if x_t is None or t is None:
            return condition + self.joint_position
        x = condition + functional.linear(x_t, weight[:, 2:])
        return x + self.joint_position + self._embed_time(t)[:, None, None, None]

    def _embed_time(self, t: Tensor) -> Tensor:
        x = sinusoid(t.to(self.embed.weight.dtype), self.config.width)
        return self.time_out(functional.gelu(self.time_in(x)))
