"""KTPFormer: MixSTE with graph layers over bones and over neighboring frames in its first stage.

Peng, Zhou, Mok, "KTPFormer: Kinematics and Trajectory Prior Knowledge-Enhanced Transformer for 3D
Human Pose Estimation", CVPR 2024.

A graph layer over the bones (KPA) replaces the linear embedding of joints, and a pair of graph
layers over neighboring frames (TPA) precedes the first temporal attention. Both graphs have a fixed
part and a learned one. Everything after is MixSTE.

| paper, released code | here |
| --- | --- |
| KPA, TPA | ``kinematics``, ``trajectory`` |
| A (bones), A (frames) | :func:`kinematic_topology`, :func:`trajectory_topology` |
| global learnable topology, ``adj2`` | ``GraphLayer.learned`` |
| M, W | ``GraphLayer.modulation``, ``GraphLayer.weight`` |
| ``kpattention``, ``tpattention`` | ``prior_spatial``, ``prior_temporal`` |

Departures from the published code: the position embedding is added out of place (the released line
fails in the backward pass of recent torch; the values are equal). The norms of the two prior
attentions keep eps 1e-5 as released, all others 1e-6. Batch norms use their running statistics in
eval mode, as released.

**The denoiser form is our reconstruction.** The paper reports KTPFormer inside D3DP, but that code
was not released. Here KPA reads keypoints and noisy pose (five channels) and the embedding of
the timestep is added after the position of the joint; the rest is the lifter.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hypopose.errors import ShapeError
from hypopose.networks.attention import Backend, check_backend
from hypopose.networks.base import Form, NetworkInfo
from hypopose.networks.mixste import TokenBlock, name_from_official
from hypopose.networks.pretrained import renamed
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import (
    StagedNetwork,
    TimeEmbedding,
    Tokens,
    check_clip,
    check_form,
    hypotheses_mask,
    over_rows,
    repeated,
    rows_mask,
)
from hypopose.skeletons import get_skeleton

PRIOR_NAMES: tuple[tuple[str, str], ...] = (
    (r"^kpattention\.attn\.Spatial_pos_embed$", "joint_position"),
    (r"^tpattention\.attn\.Temporal_pos_embed$", "frame_position"),
    (r"^kpattention\.attn\.kpa\.", "kinematics."),
    (r"^tpattention\.attn\.tpa\.gconv1\.", "trajectory.0."),
    (r"^tpattention\.attn\.tpa\.gconv2\.", "trajectory.1."),
    (r"\.gconv\.W$", ".graph.weight"),
    (r"\.gconv\.M$", ".graph.modulation"),
    (r"\.gconv\.adj2$", ".graph.learned"),
    (r"\.gconv\.bias$", ".graph.bias"),
    (r"\.bn\.", ".norm."),
    (r"^kpattention\.(attn\.(?=norm1))?", "prior_spatial."),
    (r"^tpattention\.(attn\.(?=norm1))?", "prior_temporal."),
)
"""Patterns that turn official names of the prior stage into ours; MixSTE's do the rest."""


def ktpformer_name(name: str) -> str:
    """Our name of a tensor of the released KTPFormer.

    Example:
        >>> ktpformer_name("kpattention.attn.kpa.gconv.adj2")
        'kinematics.graph.learned'
        >>> ktpformer_name("tpattention.attn.qkv.bias")
        'prior_temporal.qkv.bias'
    """
    return name_from_official(renamed(name, PRIOR_NAMES))


def kinematic_topology(parents: Sequence[int]) -> Float[Tensor, "J J"]:
    """Half of what a joint hears comes from itself, half from the joints its bones lead to.

    Args:
        parents: Parent of each joint, -1 for the root.

    Returns:
        The identity plus the bones' adjacency with rows that sum to 1.

    Example:
        >>> kinematic_topology([-1, 0, 1])[1].tolist()
        [0.5, 1.0, 0.5]
    """
    adjacency = torch.zeros(len(parents), len(parents))
    for joint, parent in enumerate(parents):
        if parent >= 0:
            adjacency[joint, parent] = adjacency[parent, joint] = 1.0
    normalized = adjacency / adjacency.sum(1, keepdim=True).clamp(min=1.0)
    return normalized.fill_diagonal_(1.0)


def trajectory_topology(n_frames: int) -> Float[Tensor, "F F"]:
    """The same for a chain of frames.

    Example:
        >>> trajectory_topology(3)[0].tolist()
        [1.0, 1.0, 0.0]
    """
    return kinematic_topology(range(-1, n_frames - 1))


class GraphLayer(nn.Module):
    """Nodes hear themselves through one projection and their neighbors through another."""

    fixed: Tensor

    def __init__(self, n_in: int, n_out: int, topology: Tensor) -> None:
        super().__init__()
        n = len(topology)
        self.register_buffer("fixed", topology, persistent=False)
        self.weight = nn.Parameter(torch.empty(2, n_in, n_out))
        self.modulation = nn.Parameter(torch.ones(n, n_out))
        self.learned = nn.Parameter(torch.full((n, n), 1e-6))
        self.bias = nn.Parameter(torch.empty(n_out).uniform_(-(n_out**-0.5), n_out**-0.5))
        # As released: fans of the tensor with three axes, so a small start.
        nn.init.xavier_uniform_(self.weight, gain=1.414)

    def forward(
        self, x: Float[Tensor, "G N I"], mask: Bool[Tensor, "G N"] | None = None
    ) -> Float[Tensor, "G N O"]:
        """Mix nodes; masked ones are heard by none but themselves."""
        own, others = ((x @ w) * self.modulation for w in self.weight)
        if mask is not None:
            others = others * mask[..., None]
        mixing = self.fixed + self.learned
        mixing = (mixing + mixing.T) / 2
        diagonal = mixing.diagonal()
        return diagonal[:, None] * own + (mixing - diagonal.diag()) @ others + self.bias


class GraphUnit(nn.Module):
    """Graph layer, batch norm over channels, ReLU."""

    def __init__(self, n_in: int, n_out: int, topology: Tensor) -> None:
        super().__init__()
        self.graph = GraphLayer(n_in, n_out, topology)
        self.norm = nn.BatchNorm1d(n_out)

    def forward(
        self, x: Float[Tensor, "G N I"], mask: Bool[Tensor, "G N"] | None = None
    ) -> Float[Tensor, "G N O"]:
        """Statistics are over rows and nodes together."""
        return self.norm(self.graph(x, mask).transpose(1, 2)).transpose(1, 2).relu()


class KTPFormer(StagedNetwork):
    """MixSTE with kinematic and trajectory priors, as lifter or as D3DP's denoiser.

    Args:
        n_frames: Clip length T; the only one it takes.
        width: Channels C.
        depth: Spatial (and temporal) blocks after the prior stage.
        n_heads: Attention heads.
        mlp_ratio: Hidden width of the MLPs over C.
        lifter: The released form, without noisy pose and timestep.
        drop_path: Stochastic depth of the last block in training, rising linearly from 0.
        attention: Backend, see :mod:`hypopose.networks.attention`.
        keypoint_skeleton: Name of the 2D skeleton; as many joints as ``skeleton``.
        skeleton: Name of the 3D skeleton, whose bones are the kinematic graph.
        parents: Bones if they differ from the skeleton's.

    Raises:
        ShapeError: If the skeletons have different numbers of joints, or the width does not divide.

    Example:
        >>> network = KTPFormer(n_frames=3, width=16, depth=1).eval()
        >>> x_t, xy = torch.randn(2, 5, 3, 17, 3), torch.randn(2, 3, 17, 2)
        >>> network(x_t, xy, torch.tensor([999.0, 0.0])).shape
        torch.Size([2, 5, 3, 17, 3])
    """

    @recorded
    def __init__(
        self,
        n_frames: int = 243,
        width: int = 512,
        depth: int = 7,
        n_heads: int = 8,
        mlp_ratio: float = 2.0,
        lifter: bool = False,
        drop_path: float = 0.1,
        attention: Backend = "sdpa",
        keypoint_skeleton: str = "h36m17",
        skeleton: str = "h36m17",
        parents: list[int] | None = None,
    ) -> None:
        super().__init__()
        check_backend(attention)
        n_joints = get_skeleton(skeleton).n_joints
        if get_skeleton(keypoint_skeleton).n_joints != n_joints:
            raise ShapeError(
                f"KTPFormer's graph joins joints of one skeleton; {keypoint_skeleton!r} and "
                f"{skeleton!r} have different numbers of them. Choose two of equal size."
            )
        if width % n_heads or width % 2:
            raise ShapeError(f"width must be even and a multiple of n_heads, got {width}.")
        bones = kinematic_topology(parents or get_skeleton(skeleton).parents)
        chain = trajectory_topology(n_frames)
        self.kinematics = GraphUnit(2 if lifter else 5, width, bones)
        self.trajectory = nn.ModuleList(GraphUnit(width, width, chain) for _ in range(2))
        self.joint_position = nn.Parameter(torch.zeros(1, n_joints, width))
        self.frame_position = nn.Parameter(torch.zeros(1, n_frames, width))
        if not lifter:
            self.time = TimeEmbedding(width)

        def block(i: int, eps: float = 1e-6) -> TokenBlock:
            return TokenBlock(
                width, n_heads, mlp_ratio, drop_path * i / max(depth, 1), attention, eps
            )

        self.prior_spatial, self.prior_temporal = block(0, 1e-5), block(0, 1e-5)
        self.spatial = nn.ModuleList(block(i + 1) for i in range(depth))
        self.temporal = nn.ModuleList(block(i + 1) for i in range(depth))
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
        """The prior stage and ``depth`` more."""
        return 1 + len(self.spatial)

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
        """KPA, place of the joint, timestep; ``confidence`` and ``context`` are not used."""
        check_clip("KTPFormer", keypoints, self.config.n_frames, self.joint_position.shape[1])
        check_form("KTPFormer", self.config.lifter, x_t, t)
        x = keypoints[:, None]
        if x_t is not None:
            x = torch.cat([x.expand(-1, x_t.shape[1], -1, -1, -1), x_t], -1)
        n_hypotheses = x.shape[1]
        x = x.flatten(0, 1)
        x = over_rows(self.kinematics, x) + self.joint_position
        if t is not None:
            x = x + repeated(self.time(t), n_hypotheses)[:, None, None]
        return Tokens(x, hypotheses_mask(mask, n_hypotheses))

    def stage(self, i: int, tokens: Tokens) -> Tokens:
        """The prior stage (0), or a spatial and a temporal block."""
        spatial = self.prior_spatial if i == 0 else self.spatial[i - 1]
        temporal = self.prior_temporal if i == 0 else self.temporal[i - 1]
        x = self.spatial_norm(over_rows(spatial, tokens.x)).transpose(1, 2)
        if i == 0:
            x = self._follow(x, tokens.mask) + self.frame_position
        x = self.temporal_norm(over_rows(temporal, x, rows_mask(tokens.mask, x.shape[1])))
        return tokens.with_x(x.transpose(1, 2))

    def leave(self, tokens: Tokens) -> Float[Tensor, "N F J 3"]:
        """Norm and linear layer per token."""
        return self.to_pose(self.norm(tokens.x))

    def _follow(
        self, x: Float[Tensor, "N J F C"], mask: Bool[Tensor, "N F"] | None
    ) -> Float[Tensor, "N J F C"]:
        """TPA: two graph layers over the frames of each joint, with a residual."""
        rows = None if mask is None else repeated(mask, x.shape[1])
        y = x.flatten(0, 1)
        for unit in self.trajectory:
            y = unit(y, rows)
        return x + y.view_as(x)
