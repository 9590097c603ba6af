"""GLA-GCN: adaptive graph convolutions over joints, strided convolutions over time.

Yu, Zhang, Liu, Zhong, Liu, Chen, "GLA-GCN: Global-local Adaptive Graph Convolutional Network for 3D
Human Pose Estimation from Monocular Video", ICCV 2023.

Three graphs per layer (self, towards the root, away from it) are each the sum of a fixed one, a
learned one, and one computed from the features. Every second layer shortens time by its
stride until one frame is left: the pose in the middle of the window.

| paper, released code | here |
| --- | --- |
| A (three subsets) | :func:`partitioned_graph` |
| B, ``PA`` | ``AdaptiveGraph.PA`` |
| C, ``conv_a``, ``conv_b`` | the softmax in ``AdaptiveGraph.forward`` |
| ``filter_widths``, ``channels`` | ``strides``, ``width`` |

Modules carry the names of the released tensors. This is the released network: the paper also
describes an auxiliary head for the whole sequence and one output layer per joint, which the
released code for Human3.6M and HumanEva does not have. The root's prediction is not zeroed.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hypopose.errors import OptionError
from hypopose.networks.base import NetworkInfo
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import check_clip, check_form
from hypopose.skeletons import get_skeleton

EDGES: dict[str, tuple[tuple[int, int], ...]] = {
    "h36m17": (
        (1, 0), (2, 1), (3, 2), (4, 0), (5, 4), (6, 5), (7, 0), (8, 7), (9, 8), (10, 9),
        (11, 8), (12, 11), (13, 12), (14, 8), (15, 14), (16, 15),
    ),
    "humaneva15": (
        (14, 1), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (1, 0), (0, 11), (11, 12),
        (12, 13), (0, 8), (8, 9), (9, 10),
    ),
}  # fmt: skip
"""Inward edges (from, to) as released; HumanEva's have mixed directions."""

COCO_EDGES = tuple(edge for edge in EDGES["humaneva15"] if edge not in ((1, 5), (0, 8)))
"""Of the released network for COCO keypoints: a shoulder and a hip hang on nothing."""

COCO_SOURCES = (
    (11, 12), (5, 6), (5,), (7,), (9,), (6,), (8,), (10,), (11,), (13,), (15,), (12,), (14,), (16,),
    (0,),
)  # fmt: skip
"""COCO keypoints whose mean stands for each joint of ``humaneva15``; the nose for the head."""


def partitioned_graph(
    skeleton: str, edges: tuple[tuple[int, int], ...] = ()
) -> Float[Tensor, "3 J J"]:
    """Identity, inward and outward edges; columns sum to 1 where they have edges.

    Args:
        skeleton: A name in :data:`EDGES`, or any other skeleton, whose bones point to the parents.
        edges: Other edges than these.

    Example:
        >>> partitioned_graph("h36m17")[1, 0, 1].item()
        1.0
    """
    parents = get_skeleton(skeleton).parents
    edges = edges or EDGES.get(skeleton) or tuple((j, p) for j, p in enumerate(parents) if p >= 0)
    graph = torch.zeros(3, len(parents), len(parents))
    graph[0].fill_diagonal_(1.0)
    for i, j in edges:
        graph[1, j, i] = graph[2, i, j] = 1.0
    return graph / graph.sum(1, keepdim=True).clamp(min=1.0)


class AdaptiveGraph(nn.Module):
    """Graph convolution over joints with fixed, learned and computed graphs."""

    fixed: Tensor

    def __init__(self, n_in: int, width: int, graph: Tensor, dropout: float) -> None:
        super().__init__()
        inner = width // 4
        self.register_buffer("fixed", graph, persistent=False)
        self.PA = nn.Parameter(torch.full_like(graph, 1e-6))
        self.conv_a = nn.ModuleList(_convolution(n_in, inner) for _ in graph)
        self.conv_b = nn.ModuleList(_convolution(n_in, inner) for _ in graph)
        self.conv_d = nn.ModuleList(nn.Conv2d(n_in, width, 1) for _ in graph)
        for layer in self.conv_d:
            std = math.sqrt(2.0 / (width * n_in * len(graph)))
            nn.init.normal_(layer.get_parameter("weight"), std=std)
            nn.init.zeros_(layer.get_parameter("bias"))
        self.bn = nn.BatchNorm2d(width)
        nn.init.constant_(self.bn.weight, 1e-6)
        self.drop = nn.Dropout(dropout)
        self.down: nn.Module = nn.Identity()
        if n_in != width:
            self.down = nn.Sequential(_convolution(n_in, width), nn.BatchNorm2d(width))

    def forward(self, x: Float[Tensor, "B I T J"]) -> Float[Tensor, "B C T J"]:
        """Mix joints; columns of the mixing matrices are the joints written."""
        y: Tensor | float = 0.0
        for i, (a, b, d) in enumerate(zip(self.conv_a, self.conv_b, self.conv_d, strict=True)):
            p, q = a(x).flatten(1, 2), b(x).flatten(1, 2)
            mixing = (p.mT @ q / p.shape[1]).softmax(-2) + self.fixed[i] + self.PA[i]
            y = d(x @ mixing[:, None]) + y
        return (self.drop(self.bn(y)) + self.down(x)).relu()


class TemporalConvolution(nn.Module):
    """Convolution over time, batch norm."""

    def __init__(self, n_in: int, width: int, size: int, stride: int) -> None:
        super().__init__()
        self.conv = _convolution(n_in, width, size, stride)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Float[Tensor, "B I T J"]) -> Float[Tensor, "B C T2 J"]:
        """Per joint."""
        return self.bn(self.conv(x))


class Unit(nn.Module):
    """Graph convolution, temporal convolution, and a residual if time is not shortened."""

    def __init__(
        self, n_in: int, width: int, graph: Tensor, stride: int = 1, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.gcn1 = AdaptiveGraph(n_in, width, graph, dropout)
        self.tcn1 = TemporalConvolution(width, width, 9, stride)
        self.kept = stride == 1
        self.residual: nn.Module = nn.Identity()
        if n_in != width:
            self.residual = TemporalConvolution(n_in, width, 1, stride)

    def forward(self, x: Float[Tensor, "B I T J"]) -> Float[Tensor, "B C T2 J"]:
        """One spatio-temporal step."""
        y = self.tcn1(self.gcn1(x))
        return (y + self.residual(x) if self.kept else y).relu()


class GLAGCN(PretrainedNetwork):
    """A window of keypoints to the pose in its middle.

    Args:
        strides: Odd factors by which time shrinks; their product is the clip length.
        width: Channels C.
        dropout: Probability in training.
        skeleton: Name of the 3D skeleton.
        keypoint_skeleton: Name of the 2D skeleton if it is another: ``coco17``, for
            ``humaneva15``. The released network forms the 15 joints itself and does not
            normalize them.

    Raises:
        OptionError: If a stride is even, the width is not a multiple of 4, or keypoints are in a
            skeleton that it does not read.

    Example:
        >>> network = GLAGCN(strides=(3, 3), width=8).eval()
        >>> network(None, torch.randn(2, 9, 17, 2)).shape
        torch.Size([2, 1, 1, 17, 3])
    """

    @recorded
    def __init__(
        self,
        strides: list[int] | tuple[int, ...] = (3, 3, 3, 3, 3),
        width: int = 96,
        dropout: float = 0.1,
        skeleton: str = "h36m17",
        keypoint_skeleton: str | None = None,
    ) -> None:
        super().__init__()
        coco = (keypoint_skeleton, skeleton) == ("coco17", "humaneva15")
        if not coco:
            _check_same(keypoint_skeleton, skeleton)
        _check_sizes(strides, width)
        graph = partitioned_graph(skeleton, COCO_EDGES if coco else ())
        self.sources = COCO_SOURCES if coco else None
        n_inputs = 2 * graph.shape[-1]
        self.data_bn: nn.Module = nn.Identity() if coco else nn.BatchNorm1d(n_inputs)
        self.expand_gcn = Unit(2, width, graph, dropout=dropout)
        units = [Unit(width, width, graph, s, dropout) for n in strides for s in (1, n)]
        self.layers_tcngcn = nn.ModuleList(units)
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Conv1d(width, 3, 1)

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates of a whole window in, one pose out."""
        c = self.config
        return NetworkInfo(
            "screen",
            math.prod(c.strides),
            c.keypoint_skeleton or c.skeleton,
            c.skeleton,
            forms=("lifter",),
            sequence_to_one=True,
        )

    def forward(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F K 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F K"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Float[Tensor, "B 1 1 J 3"]:
        """The pose in the middle, meters; ``confidence``, ``mask`` and ``context`` are not used.

        Args:
            x_t: None; this is a lifter.
            keypoints: Screen coordinates.
            t: None.
            confidence: Not used.
            mask: Not used: every frame of the window counts.
            context: Not used.

        Returns:
            One pose per clip, the root as predicted.

        Raises:
            ShapeError: If the clip length differs, or noise is given.
        """
        check_form("GLAGCN", True, x_t, t)
        n_keypoints = get_skeleton(self.info.keypoint_skeleton).n_joints
        check_clip("GLAGCN", keypoints, self.info.n_frames, n_keypoints)
        if self.sources is not None:
            keypoints = torch.stack([keypoints[..., i, :].mean(-2) for i in self.sources], -2)
        x = self.data_bn(keypoints.flatten(-2).transpose(1, 2))
        x = self.expand_gcn(x.unflatten(1, (-1, 2)).permute(0, 2, 3, 1))
        for i, stride in enumerate(self.config.strides):
            middle = x[:, :, stride // 2 :: stride]
            x = self.drop(self.layers_tcngcn[2 * i](x))
            x = middle + self.drop(self.layers_tcngcn[2 * i + 1](x))
        return self.fc(x.mean(2)).mT[:, None, None]


def _convolution(n_in: int, n_out: int, size: int = 1, stride: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(n_in, n_out, (size, 1), (stride, 1), ((size - 1) // 2, 0))
    nn.init.kaiming_normal_(layer.weight, mode="fan_out")
    nn.init.constant_(layer.get_parameter("bias"), 0.0)
    return layer


def _check_same(keypoint_skeleton: str | None, skeleton: str) -> None:
    if keypoint_skeleton not in (None, skeleton):
        raise OptionError(
            f"GLAGCN reads keypoints in the skeleton of its poses, or coco17 for humaneva15; "
            f"got {keypoint_skeleton} for {skeleton}."
        )


def _check_sizes(strides: list[int] | tuple[int, ...], width: int) -> None:
    if any(s % 2 == 0 for s in strides) or width % 4:
        raise OptionError(
            f"strides must be odd and width a multiple of 4, got {tuple(strides)} and {width}."
        )
