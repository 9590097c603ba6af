"""MotionAGFormer: attention and graph convolution side by side in every block.

Mehraban, Adeli, Taati, "MotionAGFormer: Enhancing 3D Human Pose Estimation with a
Transformer-GCNFormer Network", WACV 2024.

Each block runs two streams, spatial then temporal: one of attention, one of graph convolutions
over bones and over frames that look alike; each token mixes the streams by weights it computes.

| paper, released code | here |
| --- | --- |
| N, C, T | ``n_layers``, ``width``, ``n_frames`` |
| k, ``neighbour_num`` | ``n_neighbors`` |
| AGFormer block, ``fusion`` | :class:`DualStream`, ``fusion`` |
| V, U of a graph convolution | ``GraphConvolution.V``, ``.U`` |
| ``rep_logit``, ``dim_rep`` | ``rep_logit``, ``rep_width`` |

Modules carry the names of the released tensors.

Two kinds of norm in the graph convolutions:

* ``graph_norm="batch"`` is as released: batch norm over *nodes*, so that a temporal graph is bound
  to ``n_frames`` frames. Checkpoints need it.
* ``graph_norm="layer"`` is ours: layer norm over channels, for any number of frames. The released
  network knows the order of frames only through the batch norm's scale per frame; here sinusoids
  of the frame number are added instead.

As a denoiser (ours) it reads keypoints, confidence and noisy pose, the embedding of the timestep is
added to every token, and frames that look alike are those whose *keypoints* are alike, the same
graph at every noise level, for all joints. Other departures: degrees scale rows and columns instead
of dense diagonal matrices; with velocities (``n_channels=5``) the last frame repeats the last
velocity, so that no frame is lost.

The released lifter writes poses scaled like the image (``info.units == "screen"``), not meters.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hypopose.errors import OptionError, ShapeError
from hypopose.networks.attention import Backend, attention, check_backend
from hypopose.networks.base import Form, NetworkInfo
from hypopose.networks.feed_forward import Mlp
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import (
    StagedNetwork,
    TimeEmbedding,
    Tokens,
    check_clip,
    check_form,
    distances,
    hypotheses_mask,
    repeated,
    sinusoid,
)

NEIGHBORS: tuple[tuple[int, ...], ...] = (
    (1, 7), (0, 2), (1, 3), (2,), (0, 5), (4, 6), (5,), (0, 8), (7, 9), (8, 10), (9,),
    (8, 12), (11, 13), (12,), (8, 15), (14, 16), (15,),
)  # fmt: skip
"""Spatial graph as released, rows to neighbors; not symmetric (0 lists no 4, 8 no 11 and 14)."""

PRESETS: dict[str, dict[str, Any]] = {
    "xs": {"n_layers": 12, "width": 64, "n_frames": 27},
    "s": {"n_layers": 26, "width": 64, "n_frames": 81},
    "b": {"n_layers": 16, "width": 128, "n_frames": 243},
    "l": {"n_layers": 26, "width": 128, "n_frames": 243},
}
"""Published sizes, as arguments of :class:`MotionAGFormer`."""

Norm = Literal["batch", "layer"]


def spatial_graph() -> Float[Tensor, "17 17"]:
    """Adjacency of the 17 joints, as released."""
    adjacency = torch.zeros(17, 17)
    for joint, neighbors in enumerate(NEIGHBORS):
        adjacency[joint, list(neighbors)] = 1.0
    return adjacency


def chain_graph(n_frames: int, length: int = 1) -> Float[Tensor, "F F"]:
    """Every frame joined to itself and the next ``length`` ones.

    Example:
        >>> chain_graph(3).tolist()
        [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]
    """
    i = torch.arange(n_frames)
    step = i[None, :] - i[:, None]
    return ((step >= 0) & (step <= length)).float()


def nearest(similarity: Float[Tensor, "*rows N N"], k: int) -> Float[Tensor, "*rows N N"]:
    """1 where a row's entry is among its k largest (ties add more), else 0; no gradient.

    Example:
        >>> nearest(torch.tensor([[3.0, 1.0], [0.0, 2.0]]), 1).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    similarity = similarity.detach()
    threshold = similarity.topk(min(k, similarity.shape[-1]), -1).values[..., -1:]
    return (similarity >= threshold).to(similarity.dtype)


class MaskedSelfAttention(nn.Module):
    """Multi-head attention over the last axis but one."""

    def __init__(self, width: int, n_heads: int, bias: bool, backend: Backend) -> None:
        super().__init__()
        self.n_heads, self.backend = n_heads, backend
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.proj = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "N R S C"], mask: Tensor | None, graph: Tensor | None
    ) -> Float[Tensor, "N R S C"]:
        """Masked tokens are not looked at; the graph is the other stream's."""
        q, k, v = (
            y.unflatten(-1, (self.n_heads, -1)).transpose(2, 3) for y in self.qkv(x).chunk(3, -1)
        )
        keys = None if mask is None else mask[:, None, None, None, :]
        return self.proj(attention(q, k, v, keys, self.backend).transpose(2, 3).flatten(3))


class GraphConvolution(nn.Module):
    """relu(x + norm(D^-1/2 A D^-1/2 V x + U x)), after Kipf and Welling (2017).

    Args:
        width: Channels.
        n_nodes: Nodes, which batch norm needs to know.
        norm: ``"batch"`` over nodes, ``"layer"`` over channels.
        fixed: The graph, or None for the ``n_neighbors`` most similar nodes.
        n_neighbors: How many.
    """

    fixed: Tensor | None

    def __init__(
        self, width: int, n_nodes: int | None, norm: Norm, fixed: Tensor | None, n_neighbors: int
    ) -> None:
        super().__init__()
        self.n_neighbors = n_neighbors
        self.register_buffer("fixed", fixed, persistent=False)
        self.U = nn.Linear(width, width)
        self.V = nn.Linear(width, width)
        for layer in (self.U, self.V):
            nn.init.normal_(layer.weight, std=(2.0 / width) ** 0.5)
        self.by_node = norm == "batch"
        if norm == "batch" and n_nodes is not None:
            self.batch_norm = nn.BatchNorm1d(n_nodes)
        else:
            self.layer_norm = nn.LayerNorm(width)

    def forward(
        self, x: Float[Tensor, "N R S C"], mask: Tensor | None, graph: Tensor | None
    ) -> Float[Tensor, "N R S C"]:
        """Convolve over S; masked nodes are heard by none but themselves."""
        a = self._graph(x, graph)
        if mask is not None:
            alone = torch.eye(x.shape[2], dtype=torch.bool, device=x.device)
            a = a * (mask[:, None, None, :] | alone)
        degree = a.sum(-1, keepdim=True)
        scale = torch.where(degree > 0, degree, 1.0).rsqrt() * (degree > 0)
        y = scale * (a @ (scale * self.V(x))) + self.U(x)
        return (x + self._normed(y)).relu()

    def _normed(self, y: Tensor) -> Tensor:
        if self.by_node:
            return self.batch_norm(y.flatten(0, 1)).view_as(y)
        return self.layer_norm(y)

    def _graph(self, x: Tensor, graph: Tensor | None) -> Tensor:
        if self.fixed is not None:
            return self.fixed
        return nearest(x @ x.mT, self.n_neighbors) if graph is None else graph


class TemporalConvolutions(nn.Module):
    """Four branches of temporal convolution and pooling side by side, the input added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        part = width // 4

        def start() -> list[nn.Module]:
            return [nn.Conv2d(width, part, 1), nn.BatchNorm2d(part)]

        branches = [
            nn.Sequential(*start(), nn.ReLU(), _DilatedConvolution(part, dilation))
            for dilation in (1, 2)
        ]
        pool = nn.MaxPool2d((3, 1), stride=1, padding=(1, 0))
        branches.append(nn.Sequential(*start(), nn.ReLU(), pool, nn.BatchNorm2d(part)))
        branches.append(nn.Sequential(*start()))
        self.branches = nn.ModuleList(branches)

    def forward(
        self, x: Float[Tensor, "N R S C"], mask: Tensor | None, graph: Tensor | None
    ) -> Float[Tensor, "N R S C"]:
        """Convolve over S; masked frames read as 0 and so does what lies beyond the clip."""
        y = x.permute(0, 3, 2, 1)
        if mask is not None:
            y = y * mask[:, None, :, None]
        y = torch.cat([branch(y) for branch in self.branches], 1)
        return y.permute(0, 3, 2, 1) + x


class _DilatedConvolution(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        padding, dilations = (2 * dilation, 0), (dilation, 1)
        self.conv = nn.Conv2d(width, width, (5, 1), padding=padding, dilation=dilations)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class Mixing(nn.Module):
    """A mixer and an MLP, each after a norm, scaled by channel and added."""

    def __init__(self, width: int, mlp_ratio: float, scale: float | None, mixer: nn.Module) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.mixer = mixer
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, int(width * mlp_ratio))
        if scale is not None:
            self.layer_scale_1 = nn.Parameter(torch.full((width,), scale))
            self.layer_scale_2 = nn.Parameter(torch.full((width,), scale))
        self.scaled = scale is not None

    def forward(
        self, x: Float[Tensor, "N R S C"], mask: Tensor | None, graph: Tensor | None
    ) -> Float[Tensor, "N R S C"]:
        """Mix over S, then transform each token."""
        y = self.mixer(self.norm1(x), mask, graph)
        x = x + (y * self.layer_scale_1 if self.scaled else y)
        y = self.mlp(self.norm2(x))
        return x + (y * self.layer_scale_2 if self.scaled else y)


class DualStream(nn.Module):
    """One block: attention and graph streams, each spatial then temporal, and their mixture."""

    def __init__(self, config: dict[str, Any], n_frames: int | None) -> None:
        super().__init__()
        c = config
        self.hierarchical = c["hierarchical"]
        width = c["width"] // 2 if self.hierarchical else c["width"]

        def mixing(mixer: nn.Module) -> nn.Module:
            return Mixing(width, c["mlp_ratio"], c["layer_scale"], mixer)

        def graph(n_nodes: int | None, norm: Norm, fixed: Tensor | None) -> nn.Module:
            convolution = GraphConvolution(width, n_nodes, norm, fixed, c["n_neighbors"])
            return convolution if c["graph_only"] else mixing(convolution)

        def self_attention() -> nn.Module:
            return mixing(MaskedSelfAttention(width, c["n_heads"], c["qkv_bias"], c["attention"]))

        chain = None
        if c["graph"] == "chain" and n_frames is not None:
            chain = chain_graph(n_frames, c["chain_length"])
        self.att_spatial = self_attention()
        self.att_temporal = self_attention()
        self.graph_spatial = graph(17, c["graph_norm"], spatial_graph())
        if c["convolutions"]:
            self.graph_temporal = mixing(TemporalConvolutions(width))
        else:
            self.graph_temporal = graph(n_frames, c["graph_norm"], chain)
        self.adaptive = c["fusion"] == "adaptive" and not self.hierarchical
        if self.adaptive:
            self.fusion = nn.Linear(2 * width, 2)
            nn.init.zeros_(self.fusion.weight)
            nn.init.constant_(self.fusion.bias, 0.5)

    def forward(
        self,
        x: Float[Tensor, "N F J C"],
        mask: Bool[Tensor, "N F"] | None,
        graph: Float[Tensor, "N 1 F F"] | None,
    ) -> Float[Tensor, "N F J C"]:
        """Both streams, mixed."""
        seen, heard = x.chunk(2, -1) if self.hierarchical else (x, x)
        a = self._stream(self.att_spatial, self.att_temporal, seen, mask, None)
        if self.hierarchical:
            heard = heard + a
        g = self._stream(self.graph_spatial, self.graph_temporal, heard, mask, graph)
        if self.hierarchical:
            return torch.cat([a, g], -1)
        if not self.adaptive:
            return (a + g) / 2
        alpha = self.fusion(torch.cat([a, g], -1)).softmax(-1)
        return a * alpha[..., :1] + g * alpha[..., 1:]

    @staticmethod
    def _stream(
        spatial: nn.Module, temporal: nn.Module, x: Tensor, mask: Tensor | None, graph: Any
    ) -> Tensor:
        x = spatial(x, None, None).transpose(1, 2)
        return temporal(x, mask, graph).transpose(1, 2)


class MotionAGFormer(StagedNetwork):
    """Attention and graph streams over joints and frames, as lifter or as denoiser.

    Args:
        n_frames: Clip length; None for any (``graph_norm="layer"`` or convolutions only).
        n_layers: Blocks.
        width: Channels C.
        rep_width: Channels before the head.
        n_heads: Attention heads.
        mlp_ratio: Hidden width of the MLPs over C.
        n_neighbors: Frames a frame is joined to, itself included.
        qkv_bias: Whether queries, keys and values have biases.
        layer_scale: Start of the scale of every residual; None for none.
        fusion: ``"adaptive"`` per token, or ``"mean"``.
        hierarchical: Each stream takes half of the channels, the graph stream hears the other.
        graph: ``"similarity"`` between frames, or a ``"chain"``.
        chain_length: Following frames a frame of the chain is joined to.
        convolutions: Temporal convolutions instead of the temporal graph.
        graph_only: Bare graph convolutions, without MLP.
        graph_norm: Norm of the graph convolutions, see above.
        lifter: The released form, without noisy pose and timestep.
        n_channels: 2 for keypoints, 3 with confidence, 5 with velocities too.
        pruned: ``(i, n)`` if blocks from i on see n frames (see hypopose.networks.hot).
        units: Of a lifter's poses; ``"screen"`` as released.
        max_frames: Longest window of the training, if ``n_frames`` is None.
        attention: Backend, see :mod:`hypopose.networks.attention`.
        skeleton: Name of the 2D and 3D skeleton; its joints are in Human3.6M's order.

    Raises:
        ShapeError: If widths do not divide, or the graph needs a fixed length.

    Example:
        >>> network = MotionAGFormer(
        ...     None, n_layers=1, width=16, graph_norm="layer", lifter=False
        ... ).eval()
        >>> x_t, xy = torch.randn(2, 5, 9, 17, 3), torch.randn(2, 9, 17, 2)
        >>> network(x_t, xy, torch.tensor([999.0, 0.0])).shape
        torch.Size([2, 5, 9, 17, 3])
    """

    @recorded
    def __init__(
        self,
        n_frames: int | None = 243,
        n_layers: int = 16,
        width: int = 128,
        rep_width: int = 512,
        n_heads: int = 8,
        mlp_ratio: float = 4.0,
        n_neighbors: int = 2,
        qkv_bias: bool = False,
        layer_scale: float | None = 1e-5,
        fusion: Literal["adaptive", "mean"] = "adaptive",
        hierarchical: bool = False,
        graph: Literal["similarity", "chain"] = "similarity",
        chain_length: int = 1,
        convolutions: bool = False,
        graph_only: bool = False,
        graph_norm: Norm = "batch",
        lifter: bool = True,
        n_channels: int = 3,
        pruned: list[int] | tuple[int, int] | None = None,
        units: Literal["meters", "screen"] = "screen",
        max_frames: int | None = None,
        attention: Backend = "sdpa",
        skeleton: str = "h36m17",
    ) -> None:
        super().__init__()
        check_backend(attention)
        self._check_options()
        self.joints_embed = nn.Linear(n_channels + (0 if lifter else 3), width)
        self.pos_embed = nn.Parameter(torch.zeros(1, 17, width))
        if graph_norm == "layer":
            self.frame_embed = nn.Linear(width, width)
        if not lifter:
            self.time = TimeEmbedding(width)
        at, left = pruned or (n_layers, n_frames)
        lengths = [n_frames if i < at else left for i in range(n_layers)]
        self.layers = nn.ModuleList(DualStream(dict(self.config), n) for n in lengths)
        self.norm = nn.LayerNorm(width)
        self.rep_logit = nn.ModuleDict({"fc": nn.Linear(width, rep_width)})
        self.head = nn.Linear(rep_width, 3)

    def _check_options(self) -> None:
        c = self.config
        streams = c.width // 2 if c.hierarchical else c.width
        if streams % c.n_heads or c.width % 2 or (c.convolutions and streams % 4):
            raise ShapeError(
                f"width={c.width} must be even, and a stream's width a multiple of n_heads (and of "
                "4 with convolutions)."
            )
        if c.n_frames is None and self._is_bound():
            raise ShapeError(
                "Batch norm over frames and chains are bound to a clip length. Give n_frames, or "
                "graph_norm='layer' with graph='similarity'."
            )
        if c.n_channels not in (2, 3, 5):
            raise OptionError(f"n_channels must be 2, 3 or 5, got {c.n_channels}.")

    def _is_bound(self) -> bool:
        """Whether graphs belong to the frames of one clip length."""
        c = self.config
        return (c.graph_norm == "batch" or c.graph == "chain") and not c.convolutions

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates and confidences in; any clip length if no batch norm binds it."""
        c = self.config
        forms: tuple[Form, ...] = ("lifter",) if c.lifter else ("denoiser",)
        return NetworkInfo(
            "screen",
            c.n_frames,
            c.skeleton,
            c.skeleton,
            uses_confidence=c.n_channels > 2,
            max_frames=c.max_frames,
            forms=forms,
            units=c.units if c.lifter else "meters",
        )

    @property
    def n_stages(self) -> int:
        """One per block; the last norm belongs to the last."""
        return len(self.layers)

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
        """Keypoints, confidence (1 where None), poses, joints, timestep; no ``context``."""
        check_clip("MotionAGFormer", keypoints, self.config.n_frames, 17)
        check_form("MotionAGFormer", self.config.lifter, x_t, t)
        x = self._channels(keypoints, confidence)[:, None]
        if x_t is not None:
            x = torch.cat([x.expand(-1, x_t.shape[1], -1, -1, -1), x_t], -1)
        n = x.shape[1]
        x = self.joints_embed(x.flatten(0, 1)) + self.pos_embed
        if self.config.graph_norm == "layer":
            frame = torch.arange(x.shape[1], device=x.device, dtype=x.dtype)
            x = x + self.frame_embed(sinusoid(frame, self.config.width))[:, None]
        frames: tuple[Tensor, ...] = ()
        if t is not None:
            x = x + repeated(self.time(t), n)[:, None, None]
            frames = (repeated(keypoints.flatten(-2), n),)
        return Tokens(x, hypotheses_mask(mask, n), frames)

    def stage(self, i: int, tokens: Tokens) -> Tokens:
        """One block."""
        x = self.layers[i](tokens.x, tokens.mask, self._clean_graph(tokens))
        return tokens.with_x(self.norm(x) if i == self.n_stages - 1 else x)

    def leave(self, tokens: Tokens) -> Float[Tensor, "N F J 3"]:
        """Linear, tanh, linear per token."""
        return self.head(self.rep_logit["fc"](tokens.x).tanh())

    def _channels(
        self, keypoints: Float[Tensor, "B F J 2"], confidence: Tensor | None
    ) -> Float[Tensor, "B F J _n"]:
        parts = [keypoints]
        if self.config.n_channels > 2:
            seen = torch.ones_like(keypoints[..., 0]) if confidence is None else confidence
            parts.append(seen[..., None].to(keypoints))
        if self.config.n_channels == 5:
            velocity = keypoints.diff(dim=1)
            parts.append(torch.cat([velocity, velocity[:, -1:]], 1))
        return torch.cat(parts, -1)

    def _clean_graph(self, tokens: Tokens) -> Float[Tensor, "N 1 F F"] | None:
        """Frames whose keypoints are alike, for denoisers; lifters compare features."""
        if not tokens.frames:
            return None
        likeness = -distances(tokens.frames[0])
        if tokens.mask is not None:
            likeness = likeness.masked_fill(~tokens.mask[:, None], -torch.inf)
        return nearest(likeness, self.config.n_neighbors)[:, None]
