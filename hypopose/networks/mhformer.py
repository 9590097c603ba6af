"""MHFormer: three streams of features, refined separately, then combined by cross attention.

Li, Liu, Tang, Wang, Van Gool, "MHFormer: Multi-Hypothesis Transformer for 3D Human Pose
Estimation", CVPR 2022; here as a backbone of :mod:`hypopose.networks.hot`. The paper's
"hypotheses" are feature streams: one pose comes out, of the frame in the middle.

| paper | here |
| --- | --- |
| MHG | ``Transformer_encoder_1`` .. ``_3``: attention over the 2J coordinates of a clip |
| SHR | :class:`SelfRefinement`: each stream attends over frames by itself |
| CHI | :class:`CrossInteraction`: each stream reads the two others |

Modules carry the names of the released tensors, except inside blocks.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from hypopose.networks.attention import Backend, attention, check_backend
from hypopose.networks.base import NetworkInfo
from hypopose.networks.mixste import TokenBlock
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import (
    StagedNetwork,
    Tokens,
    check_clip,
    check_form,
    hypotheses_mask,
)
from hypopose.skeletons import get_skeleton

Streams = list[Tensor]


class CoordinateEncoder(nn.Module):
    """Transformer over the 2J coordinates, each a token with all frames as channels."""

    def __init__(self, n_frames: int, n_tokens: int, n_heads: int, backend: Backend) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, n_tokens, n_frames))
        self.blocks = nn.ModuleList(
            TokenBlock(n_frames, n_heads, 2.0, 0.0, backend) for _ in range(4)
        )
        self.norm = nn.LayerNorm(n_frames, eps=1e-6)

    def forward(self, x: Float[Tensor, "B V F"]) -> Float[Tensor, "B V F"]:
        """Attend over coordinates."""
        x = x + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class _FrameAttention(nn.Module):
    """Attention over frames; queries, keys and values from one linear layer or from three."""

    def __init__(self, width: int, n_heads: int, backend: Backend, cross: bool) -> None:
        super().__init__()
        self.n_heads, self.backend, self.cross = n_heads, backend, cross
        if cross:
            self.linear_q = nn.Linear(width, width)
            self.linear_k = nn.Linear(width, width)
            self.linear_v = nn.Linear(width, width)
        else:
            self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        if self.cross:
            parts = (self.linear_q(q), self.linear_k(k), self.linear_v(v))
        else:
            parts = self.qkv(q).chunk(3, -1)
        q, k, v = (y.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for y in parts)
        keys = None if mask is None else mask[:, None, None]
        return self.proj(attention(q, k, v, keys, self.backend).transpose(1, 2).flatten(2))


class _StreamBlock(nn.Module):
    """Three attentions, then one MLP over the three streams together."""

    def __init__(
        self, width: int, hidden: int, n_heads: int, backend: Backend, cross: bool
    ) -> None:
        super().__init__()
        for i in (1, 2, 3):
            setattr(self, f"attn_{i}", _FrameAttention(width, n_heads, backend, cross))
        self.norm_mlp = nn.LayerNorm(3 * width, eps=1e-6)
        self.up = nn.Linear(3 * width, hidden)
        self.down = nn.Linear(hidden, 3 * width)

    def forward(self, x: Float[Tensor, "N F C3"], mask: Tensor | None) -> Float[Tensor, "N F C3"]:
        """Streams side by side in the channels."""
        x = torch.cat(self.attend(list(x.chunk(3, -1)), mask), -1)
        return x + self.down(functional.gelu(self.up(self.norm_mlp(x))))

    def attend(self, x: Streams, mask: Tensor | None) -> Streams:
        """The streams after attention."""
        raise TypeError(f"{type(self).__name__} is a base class.")


class SelfRefinement(_StreamBlock):
    """Each stream attends to itself."""

    def __init__(self, width: int, hidden: int, n_heads: int, backend: Backend) -> None:
        super().__init__(width, hidden, n_heads, backend, False)
        for i in (1, 2, 3):
            setattr(self, f"norm1_{i}", nn.LayerNorm(width, eps=1e-6))

    def attend(self, x: Streams, mask: Tensor | None) -> Streams:
        """Stream by stream."""
        refined = []
        for i, stream in enumerate(x, 1):
            y = self.get_submodule(f"norm1_{i}")(stream)
            refined.append(stream + self.get_submodule(f"attn_{i}")(y, y, y, mask))
        return refined


class CrossInteraction(_StreamBlock):
    """Streams ask one and weigh another; later ones see the earlier ones updated."""

    def __init__(self, width: int, hidden: int, n_heads: int, backend: Backend) -> None:
        super().__init__(width, hidden, n_heads, backend, True)
        for i in (1, 2, 3):
            for part in (1, 2, 3):
                setattr(self, f"norm3_{i}{part}", nn.LayerNorm(width, eps=1e-6))

    def attend(self, x: Streams, mask: Tensor | None) -> Streams:
        """Queries and keys of stream 1: 2 and 3; of 2: 1 and 3; of 3: 1 and 2."""
        x = list(x)
        for i, (q, k) in enumerate(((1, 2), (0, 2), (0, 1))):
            parts = [
                self.get_submodule(f"norm3_{i + 1}{n}")(x[j]) for n, j in enumerate((q, k, i), 1)
            ]
            x[i] = x[i] + self.get_submodule(f"attn_{i + 1}")(*parts, mask)
        return x


class _StreamTransformer(nn.Module):
    """Positions, refinements, interaction and the last norm, under the released names."""

    def __init__(self, n_frames: int, sizes: tuple[Any, ...]) -> None:
        super().__init__()
        width = sizes[0]
        self.pos_embed_1 = nn.Parameter(torch.zeros(1, n_frames, width))
        self.pos_embed_2 = nn.Parameter(torch.zeros(1, n_frames, width))
        self.pos_embed_3 = nn.Parameter(torch.zeros(1, n_frames, width))
        self.SHR_blocks = nn.ModuleList(SelfRefinement(*sizes) for _ in range(2))
        self.CHI_blocks = nn.ModuleList([CrossInteraction(*sizes)])
        self.norm = nn.LayerNorm(3 * width, eps=1e-6)


class MHFormer(StagedNetwork):
    """A window of keypoints to the pose in its middle.

    Args:
        n_frames: Clip length T; the only one it takes.
        width: Channels of a stream.
        hidden: Channels of the MLPs over the three streams.
        n_heads: Heads over frames.
        n_coordinate_heads: Heads over coordinates; divides T.
        attention: Backend, see :mod:`hypopose.networks.attention`.
        skeleton: Name of the 2D and 3D skeleton.

    Example:
        >>> network = MHFormer(n_frames=9, width=16, hidden=16).eval()
        >>> network(None, torch.randn(2, 9, 17, 2)).shape
        torch.Size([2, 1, 1, 17, 3])
    """

    @recorded
    def __init__(
        self,
        n_frames: int = 351,
        width: int = 512,
        hidden: int = 1024,
        n_heads: int = 8,
        n_coordinate_heads: int = 9,
        attention: Backend = "sdpa",
        skeleton: str = "h36m17",
    ) -> None:
        super().__init__()
        check_backend(attention)
        n_joints = get_skeleton(skeleton).n_joints
        for i in (1, 2, 3):
            encoder = CoordinateEncoder(n_frames, 2 * n_joints, n_coordinate_heads, attention)
            setattr(self, f"norm_{i}", nn.LayerNorm(n_frames))
            setattr(self, f"Transformer_encoder_{i}", encoder)
            layers: list[nn.Module] = [nn.Conv1d(2 * n_joints, width, 1)]
            if n_frames <= 27:
                layers += [nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.25)]
            setattr(self, f"embedding_{i}", nn.Sequential(*layers))
        self.Transformer_hypothesis = _StreamTransformer(
            n_frames, (width, hidden, n_heads, attention)
        )
        self.regression = nn.Sequential(
            nn.BatchNorm1d(3 * width), nn.Conv1d(3 * width, 3 * n_joints, 1)
        )

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates of a whole window in, one pose out."""
        c = self.config
        return NetworkInfo(
            "screen", c.n_frames, c.skeleton, c.skeleton, forms=("lifter",), sequence_to_one=True
        )

    @property
    def n_stages(self) -> int:
        """Two refinements and one interaction."""
        return 3

    @property
    def token_width(self) -> int:
        """Three streams side by side."""
        return 3 * self.config.width

    def enter(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F J 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F J"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Tokens:
        """Three streams; ``confidence`` and ``context`` are not used, padding is seen by MHG."""
        n_joints = get_skeleton(self.config.skeleton).n_joints
        check_clip("MHFormer", keypoints, self.config.n_frames, n_joints)
        check_form("MHFormer", True, x_t, t)
        x, streams = keypoints.flatten(-2).mT, []
        for i in (1, 2, 3):
            encode = self.get_submodule(f"Transformer_encoder_{i}")
            x = x + encode(self.get_submodule(f"norm_{i}")(x))
            position = self.Transformer_hypothesis.get_parameter(f"pos_embed_{i}")
            streams.append(self.get_submodule(f"embedding_{i}")(x).mT + position)
        return Tokens(torch.cat(streams, -1)[:, :, None], hypotheses_mask(mask, 1))

    def stage(self, i: int, tokens: Tokens) -> Tokens:
        """A refinement, or the interaction and the last norm."""
        streams = self.Transformer_hypothesis
        block = streams.SHR_blocks[i] if i < 2 else streams.CHI_blocks[0]
        x = block(tokens.x[:, :, 0], tokens.mask)
        return tokens.with_x((x if i < 2 else streams.norm(x))[:, :, None])

    def leave(self, tokens: Tokens) -> Float[Tensor, "N F J 3"]:
        """Poses of all frames; only the middle one's was trained."""
        return self.regression(tokens.x[:, :, 0].mT).mT.unflatten(-1, (-1, 3))

    def forward(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F J 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F J"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Float[Tensor, "B 1 1 J 3"]:
        """The pose in the middle, see :class:`hypopose.networks.base.Network`.

        Args:
            x_t: None; this is a lifter.
            keypoints: Screen coordinates.
            t: None.
            confidence: Not used.
            mask: False for frames no other may look at after the first stage.
            context: Not used.

        Returns:
            Meters.

        Raises:
            ShapeError: If the clip length differs, or noise is given.
        """
        tokens = self.enter(x_t, keypoints, t, confidence, mask, context)
        for i in range(self.n_stages):
            tokens = self.stage(i, tokens)
        center = (keypoints.shape[1] - 1) // 2
        return self.leave(tokens)[:, None, center : center + 1]
