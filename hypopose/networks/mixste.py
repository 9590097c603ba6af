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

import math
import re

import torch
from diffusers.configuration_utils import register_to_config
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from hypopose.errors import ShapeError
from hypopose.networks.attention import Backend, attention, check_backend
from hypopose.networks.base import NetworkInfo
from hypopose.networks.pretrained import PretrainedNetwork

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
    for pattern, ours in OFFICIAL_NAMES:
        name = re.sub(pattern, ours, name)
    return name


class Block(nn.Module):
    """Pre-norm transformer block over the tokens of a row, with stochastic depth in training."""

    def __init__(
        self, width: int, n_heads: int, mlp_ratio: float, drop: float, backend: Backend
    ) -> None:
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.n_heads, self.drop, self.backend = n_heads, drop, backend
        self.norm_attention = nn.LayerNorm(width, eps=1e-6)
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


class MixSTE2(PretrainedNetwork):
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

    @register_to_config
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
            nn.ModuleList(Block(width, n_heads, mlp_ratio, rate, attention) for rate in rates)
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
        return NetworkInfo("screen", c.n_frames, c.keypoint_skeleton, c.skeleton)

    def forward(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F J 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F J"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Float[Tensor, "B H F J 3"]:
        """Predict x0; ``confidence`` and ``context`` are not used.

        Args:
            x_t: Noisy poses; None for the lifter.
            keypoints: Screen coordinates.
            t: Timestep per clip, 0 .. 999; None for the lifter.
            confidence: Not used.
            mask: False for frames no other frame may look at.
            context: Not used.

        Returns:
            Clean poses, H = 1 for the lifter.

        Raises:
            ShapeError: If the clip length differs, or a lifter is given noise or the reverse.
        """
        self._check(x_t, keypoints, t)
        x = self._tokens(x_t, keypoints, t)
        n_hypotheses = x.shape[1]
        x = x.flatten(0, 1)
        rows = None
        if mask is not None:
            n = n_hypotheses * self.config.n_joints
            rows = mask.repeat_interleave(n, 0)[:, None, None, :]
        position: Tensor = self.frame_position
        for spatial, temporal in zip(self.spatial, self.temporal, strict=True):
            x = self.spatial_norm(_over_rows(spatial, x)).transpose(1, 2)
            x = self.temporal_norm(_over_rows(temporal, x + position, rows)).transpose(1, 2)
            position = torch.zeros((), device=x.device, dtype=x.dtype)
        return self.to_pose(self.norm(x)).unflatten(0, (-1, n_hypotheses))

    def _tokens(self, x_t: Tensor | None, keypoints: Tensor, t: Tensor | None) -> Tensor:
        """Embed the 2D once per clip, the poses once per hypothesis, and the timestep."""
        weight = self.embed.weight
        condition = functional.linear(keypoints, weight[:, :2], self.embed.bias)[:, None]
        if x_t is None or t is None:
            return condition + self.joint_position
        x = condition + functional.linear(x_t, weight[:, 2:])
        return x + self.joint_position + self._embed_time(t)[:, None, None, None]

    def _embed_time(self, t: Tensor) -> Tensor:
        half = self.config.width // 2
        step = math.log(10000) / (half - 1)
        frequencies = torch.exp(torch.arange(half, device=t.device) * -step)
        angles = t.to(frequencies)[:, None] * frequencies
        sinusoid = torch.cat([angles.sin(), angles.cos()], -1).to(self.embed.weight.dtype)
        return self.time_out(functional.gelu(self.time_in(sinusoid)))

    def _check(self, x_t: Tensor | None, keypoints: Tensor, t: Tensor | None) -> None:
        c = self.config
        if keypoints.shape[1:3] != (c.n_frames, c.n_joints):
            raise ShapeError(
                f"This MixSTE2 takes clips of {c.n_frames} frames and {c.n_joints} joints, got "
                f"{tuple(keypoints.shape[1:3])}; samplers cut longer videos and pad shorter ones."
            )
        if c.lifter != (x_t is None) or c.lifter != (t is None):
            needs = "x_t=None and t=None" if c.lifter else "a noisy pose x_t and a timestep t"
            form = "lifter" if c.lifter else "denoiser"
            raise ShapeError(f"This MixSTE2 is a {form}: it needs {needs}.")


def _over_rows(
    block: nn.Module,
    x: Float[Tensor, "N rows tokens C"],
    mask: Bool[Tensor, "M 1 1 tokens"] | None = None,
) -> Float[Tensor, "N rows tokens C"]:
    return block(x.flatten(0, 1), mask).unflatten(0, x.shape[:2])
