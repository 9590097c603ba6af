"""GUMLP: the single-frame lifter of UAO, with a log-scale per joint.

Wang et al., "Uncertainty-Aware Testing-Time Optimization for 3D Human Pose Estimation", IEEE TMM
2025. Each block adds a graph convolution over joints, then two u-shaped MLPs side by side: one over
channels, one over joints. Two heads read the pose and the log-scale.

| paper, released code | here |
| --- | --- |
| mu, s | what :meth:`GUMLP.with_scale` returns |
| spatial graph, four partitions | :func:`partitioned_joints` |

Modules carry the names of the released tensors, and the encoder has no activation, as released.
Inside, joints are the first axis, so that both directions of a block are plain matrix products.
Frames are independent; the released code cannot lift more than one frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from hypopose.networks.base import NetworkInfo
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import check_clip, check_form
from hypopose.skeletons import H36M17
from hypopose.types import Skeleton

ENCODER_HIDDEN = 64
CHANNEL_HIDDEN = 256
CENTER = 7
"""The joint that the graph's directions point to: the middle of the spine."""


def partitioned_joints(skeleton: Skeleton = H36M17) -> Float[Tensor, "4 J J"]:
    """Joint v to joint w: itself, from the outside in, from the inside out, between sides.

    Args:
        skeleton: Human3.6M's.

    Returns:
        Every edge weighs one over the number of edges that end in its target.

    Example:
        >>> partitioned_joints().sum((0, 1)).allclose(torch.ones(17))
        True
    """
    n = skeleton.n_joints
    near = torch.zeros(n, n)
    for parent, child in skeleton.bones:
        near[parent, child] = near[child, parent] = 1.0
    hops = _hops(near, CENTER)
    graph = torch.zeros(4, n, n)
    graph[0].fill_diagonal_(1.0)
    graph[1] = near * (hops[:, None] > hops[None, :])
    graph[2] = near * (hops[:, None] < hops[None, :])
    for left, right in zip(skeleton.left, skeleton.right, strict=True):
        graph[3, left, right] = graph[3, right, left] = 1.0
    return graph / graph.sum((0, 1))


def _hops(near: Tensor, start: int) -> Tensor:
    """Bones between ``start`` and every joint."""
    hops = torch.full((len(near),), len(near), dtype=torch.long)
    reached = torch.zeros(len(near))
    reached[start] = 1.0
    for i in range(len(near)):
        hops = torch.where((reached > 0) & (hops > i), i, hops)
        reached = reached + near @ reached
    return hops


@dataclass(frozen=True, eq=False)
class _Sharing:
    """How joints share matrix products.

    A joint's own features and its mirror image's go through ``W_own`` and ``W_side`` and are added:
    sum and difference of a pair go through ``W_own + W_side`` and ``W_own - W_side`` instead, half
    as many products. What comes in from further out is added before its product, and what goes out
    to several joints is multiplied once. 41 rows remain of 68.

    Args:
        enter: Joints to rows.
        leave: Products of rows to joints.
        sizes: Rows of sums, differences, middle joints, from the outside, from the inside.
        degrees: Sum of every partition's edges that end in a joint: the weight of its bias.
    """

    enter: Float[Tensor, "R J"]
    leave: Float[Tensor, "J R"]
    sizes: tuple[int, ...]
    degrees: Float[Tensor, "4 J"]

    @classmethod
    def of(cls, skeleton: Skeleton = H36M17) -> _Sharing:
        """Of the graph of :func:`partitioned_joints`."""
        graph = partitioned_joints(skeleton)
        itself = torch.eye(skeleton.n_joints)
        own, left, right = graph[0], list(skeleton.left), list(skeleton.right)
        middle = [v for v in range(len(own)) if v not in (*left, *right)]
        inward = graph[1].any(0).nonzero()[:, 0]
        outward = graph[2].any(1).nonzero()[:, 0]
        enter = torch.cat(
            [
                itself[left] + itself[right],
                itself[left] - itself[right],
                itself[middle],
                graph[1].T[inward],
                itself[outward],
            ]
        )
        leave = torch.cat(
            [
                own[:, left] / 2 + own[:, right] / 2,
                own[:, left] / 2 - own[:, right] / 2,
                own[:, middle],
                itself[:, inward],
                graph[2].T[:, outward],
            ],
            1,
        )
        sizes = (len(left), len(left), len(middle), len(inward), len(outward))
        return cls(enter, leave, sizes, graph.sum(1))


class PartitionedConvolution(nn.Module):
    """One linear map per partition, summed over the joints it links."""

    enter: Tensor
    leave: Tensor
    degrees: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        sharing = _Sharing.of()
        self.sizes = sharing.sizes
        self.conv1d = nn.Conv1d(width, len(sharing.degrees) * width, 1)
        for name in ("enter", "leave", "degrees"):
            self.register_buffer(name, getattr(sharing, name), persistent=False)

    def forward(self, x: Float[Tensor, "J N C"]) -> Float[Tensor, "J N C"]:
        """Gather, map, scatter."""
        n, bias = len(self.degrees), self.conv1d.bias
        assert bias is not None
        own, inward, outward, side = self.conv1d.weight[..., 0].reshape(n, -1, x.shape[-1])
        rows = (self.enter.to(x.dtype) @ x.flatten(1)).reshape(-1, *x.shape[1:])
        maps = (own + side, own - side, own, inward, outward)
        parts = zip(torch.split(rows, list(self.sizes)), maps, strict=True)
        h = torch.cat([functional.linear(part, weight) for part, weight in parts]).flatten(1)
        shift = self.degrees.T @ bias.reshape(n, -1)
        return (self.leave.to(h.dtype) @ h).reshape(x.shape) + shift[:, None]


class DenseLayer(nn.Module):
    """Linear, GELU, dropout."""

    def __init__(self, n_in: int, n_out: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Sequential(nn.Linear(n_in, n_out), nn.GELU(), nn.Dropout(dropout))

    def forward(self, x: Float[Tensor, "*any C"]) -> Float[Tensor, "*any D"]:
        """Apply the three."""
        return self.linear(x)


class JointLayer(DenseLayer):
    """The same along the first axis, so that nothing is transposed."""

    def forward(self, x: Float[Tensor, "J N"]) -> Float[Tensor, "K N"]:
        """Apply the three."""
        linear, activation, dropout = self.linear
        assert isinstance(linear, nn.Linear)
        moved: Tensor = activation(torch.addmm(linear.bias[:, None], linear.weight, x))
        return dropout(moved)


class JointNorm(nn.LayerNorm):
    """Layer norm along the first axis."""

    def forward(self, x: Float[Tensor, "J N C"]) -> Float[Tensor, "J N C"]:
        """Over the joints of each channel."""
        off = x - x.mean(0)
        scale = (off.square().mean(0) + self.eps).rsqrt()
        return torch.addcmul(self.bias[:, None, None], off * scale, self.weight[:, None, None])


class ChannelMLP(nn.Module):
    """Down, across with a residual, up."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear_down = DenseLayer(width, CHANNEL_HIDDEN, 0.1)
        self.linear_mid = DenseLayer(CHANNEL_HIDDEN, CHANNEL_HIDDEN, 0.1)
        self.linear_up = DenseLayer(CHANNEL_HIDDEN, width, 0.1)

    def forward(self, x: Float[Tensor, "J N C"]) -> Float[Tensor, "J N C"]:
        """Over the channels of each joint."""
        down = self.linear_down(x)
        return self.linear_up(self.linear_mid(down) + down)


class JointMLP(nn.Module):
    """Up twice, across with a residual, down twice."""

    def __init__(self, n_joints: int) -> None:
        super().__init__()
        n, wide, wider = n_joints, 3 * n_joints, 6 * n_joints
        self.linear_up1 = JointLayer(n, wide, 0.05)
        self.linear_up2 = JointLayer(wide, wider, 0.05)
        self.linear_mid = JointLayer(wider, wider, 0.05)
        self.linear_down1 = JointLayer(wider, wide, 0.05)
        self.linear_down2 = JointLayer(wide, n, 0.05)

    def forward(self, x: Float[Tensor, "J N C"]) -> Float[Tensor, "J N C"]:
        """Over the joints of each channel."""
        up = self.linear_up2(self.linear_up1(x.flatten(1)))
        down = self.linear_down1(self.linear_mid(up) + up)
        return self.linear_down2(down).reshape(x.shape)


class GraphMlpBlock(nn.Module):
    """Graph convolution, then both MLPs on the same input."""

    def __init__(self, width: int, n_joints: int, drop: float) -> None:
        super().__init__()
        self.norm1 = JointNorm(n_joints, eps=1e-6)
        self.gcn1 = PartitionedConvolution(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.channel_mlp = ChannelMLP(width)
        self.norm3 = JointNorm(n_joints, eps=1e-6)
        self.spatial_mlp = JointMLP(n_joints)
        self.drop = drop

    def forward(self, x: Float[Tensor, "J N C"]) -> Float[Tensor, "J N C"]:
        """Two residual steps."""
        x = x + self._thinned(self.gcn1(self.norm1(x)))
        joints = self.spatial_mlp(self.norm3(x))
        return x + self._thinned(self.channel_mlp(self.norm2(x)) + joints)

    def _thinned(self, step: Tensor) -> Tensor:
        """Stochastic depth: whole samples skip a step in training."""
        if not self.training or not self.drop:
            return step
        kept = step.new_empty(1, step.shape[1], 1).bernoulli_(1 - self.drop)
        return step * kept / (1 - self.drop)


class LinearPair(nn.Module):
    """Two linear layers with nothing between."""

    def __init__(self, n_in: int, n_between: int, n_out: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(n_in, n_between)
        self.fc5 = nn.Linear(n_between, n_out)

    def forward(self, x: Float[Tensor, "*any C"]) -> Float[Tensor, "*any D"]:
        """Apply both."""
        return self.fc5(self.fc1(x))


class TwoHeadTrunk(nn.Module):
    """The blocks, and one norm per head."""

    def __init__(self, width: int, n_layers: int, n_joints: int, drop_path: float) -> None:
        super().__init__()
        drops = [drop_path * i / max(n_layers - 1, 1) for i in range(n_layers)]
        self.blocks = nn.ModuleList(GraphMlpBlock(width, n_joints, drop) for drop in drops)
        self.norm_mu = nn.LayerNorm(width, eps=1e-6)
        self.norm_s = nn.LayerNorm(width, eps=1e-6)

    def forward(
        self, x: Float[Tensor, "J N C"]
    ) -> tuple[Float[Tensor, "J N C"], Float[Tensor, "J N C"]]:
        """Features for the pose and for the scale."""
        for block in self.blocks:
            x = block(x)
        return self.norm_mu(x), self.norm_s(x)


class GUMLP(PretrainedNetwork):
    """Lift frames one by one, with a log-scale per joint.

    Args:
        width: Channels per joint; a multiple of 2.
        n_layers: Blocks.
        drop_path: Rate of stochastic depth in the last block.
        skeleton: Human3.6M's 17 joints.

    Example:
        >>> pose, log_scale = GUMLP(32, 2).eval().with_scale(torch.randn(2, 3, 17, 2))
        >>> pose.shape, log_scale.shape
        (torch.Size([2, 3, 17, 3]), torch.Size([2, 3, 17]))
    """

    @recorded
    def __init__(
        self,
        width: int = 512,
        n_layers: int = 3,
        drop_path: float = 0.2,
        skeleton: str = "h36m17",
    ) -> None:
        super().__init__()
        n_joints = H36M17.n_joints
        self.encoder = LinearPair(2, ENCODER_HIDDEN, width)
        self.GCN_MLP = TwoHeadTrunk(width, n_layers, n_joints, drop_path)
        self.pred_mu = LinearPair(width, width // 2, 3)
        self.pred_s = LinearPair(width, width // 2, 1)

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates in, any number of frames."""
        name = self.config.skeleton
        return NetworkInfo(
            inputs="screen",
            n_frames=None,
            keypoint_skeleton=name,
            skeleton=name,
            forms=("lifter",),
        )

    def with_scale(
        self,
        keypoints: Float[Tensor, "B F K 2"],
        confidence: Float[Tensor, "B F K"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> tuple[Float[Tensor, "B F J 3"], Float[Tensor, "B F J"]]:
        """Poses in meters and log-scales, as the network gives them.

        Args:
            keypoints: Screen coordinates.
            confidence: Not read.
            mask: Not read: frames know nothing of each other.
            context: Not read.

        Returns:
            The root of the pose is close to 0, its log-scale means nothing.

        Raises:
            ShapeError: If there are not 17 joints.
        """
        check_clip("GUMLP", keypoints, None, H36M17.n_joints)
        B, F = keypoints.shape[:2]
        joints_first = keypoints.flatten(0, 1).transpose(0, 1)
        pose, scale = self.GCN_MLP(self.encoder(joints_first.contiguous()))
        mu = self.pred_mu(pose).float().transpose(0, 1).unflatten(0, (B, F))
        s = self.pred_s(scale).float()[..., 0].transpose(0, 1).unflatten(0, (B, F))
        return mu.contiguous(), s.contiguous()

    def forward(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F K 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F K"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Float[Tensor, "B 1 F J 3"]:
        """Lift, see :class:`hypopose.networks.base.Network`.

        Raises:
            ShapeError: If it is given noise, or other than 17 joints.
        """
        check_form("GUMLP", True, x_t, t)
        return self.with_scale(keypoints)[0][:, None]
