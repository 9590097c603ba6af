"""The parts that MPM and its lifter share: encoders, layers over frames, heads.

Modules carry the names of the released tensors; see :mod:`hypopose.networks.mpm`.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hypopose.errors import OptionError
from hypopose.networks.attention import attention

N_HEADS = 8


class Norm(nn.Module):
    """Layer norm with the unbiased deviation, eps added to it; not torch's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a_2 = nn.Parameter(torch.ones(width))
        self.b_2 = nn.Parameter(torch.zeros(width))

    def forward(self, x: Float[Tensor, "*any C"]) -> Float[Tensor, "*any C"]:
        """Per token."""
        centered = x - x.mean(-1, keepdim=True)
        return self.a_2 * centered / (x.std(-1, keepdim=True) + 1e-6) + self.b_2


class PoseEncoder(nn.Module):
    """Flattened poses to features, frame by frame."""

    def __init__(self, n_in: int, width: int, dropout: float) -> None:
        super().__init__()
        self.fc_1 = nn.Conv1d(n_in, width, 1)
        self.bn_1 = nn.BatchNorm1d(width)
        self.act = nn.Sequential(nn.LeakyReLU(0.2), nn.Dropout(dropout))

    def forward(self, x: Float[Tensor, "B F J D"]) -> Float[Tensor, "B C F"]:
        """Channels are joint by joint."""
        return self.act(self.bn_1(self.fc_1(x.flatten(2).mT)))


class _Residual(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.w1, self.w2 = nn.Conv1d(width, width, 1), nn.Conv1d(width, width, 1)
        self.batch_norm1, self.batch_norm2 = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        self.act = nn.Sequential(nn.LeakyReLU(0.2), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.batch_norm1(self.w1(x)))
        return x + self.act(self.batch_norm2(self.w2(y)))


class SharedSpatial(nn.Module):
    """A residual unit per frame and a linear layer, shared by 2D and 3D."""

    def __init__(self, width: int, n_out: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_Residual(width, dropout)])
        self.fc_2 = nn.Conv1d(width, n_out, 1)

    def forward(self, x: Float[Tensor, "B I F"]) -> Float[Tensor, "B C F"]:
        """Frame by frame."""
        return self.fc_2(self.layers[0](x))


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, visible: Tensor | None) -> Tensor:
        q, k, v = (
            linear(x).unflatten(-1, (N_HEADS, -1)).transpose(1, 2) for linear in self.linears[:3]
        )
        keys = None if visible is None else visible[:, None, None]
        return self.linears[3](attention(q, k, v, keys).transpose(1, 2).flatten(2))


class _FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.w_1, self.w_2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.w_2(self.drop(self.w_1(x).relu()))


class _StridedFeedForward(nn.Module):
    def __init__(self, width: int, hidden: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.w_1 = nn.Conv1d(width, hidden, 1)
        self.w_2 = nn.Conv1d(hidden, width, 3, stride=stride, padding=1)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.w_2(self.drop(self.w_1(x.mT).relu())).mT


class Layer(nn.Module):
    """Attention over frames, then an MLP; with a stride, only every stride-th frame goes on."""

    def __init__(self, width: int, hidden: int, dropout: float, stride: int | None = None) -> None:
        super().__init__()
        self.stride = stride or 1
        self.self_attn = _Attention(width)
        self.feed_forward: nn.Module = _FeedForward(width, hidden, dropout)
        if stride is not None:
            self.feed_forward = _StridedFeedForward(width, hidden, stride, dropout)
        self.sublayer = nn.ModuleList(nn.ModuleDict({"norm": Norm(width)}) for _ in range(2))
        self.drop = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "B F C"], visible: Bool[Tensor, "B F"] | None = None
    ) -> Float[Tensor, "B F2 C"]:
        """Hidden frames are not looked at."""
        x = x + self.drop(self.self_attn(self._norm(0, x), visible))
        return x[:, :: self.stride] + self.drop(self.feed_forward(self._norm(1, x)))

    def _norm(self, i: int, x: Tensor) -> Tensor:
        return self.sublayer.get_submodule(f"{i}.norm")(x)


class Layers(nn.Module):
    """A stack of layers, with positions of its own if asked."""

    def __init__(
        self, n_layers: int, width: int, hidden: int, dropout: float, n_frames: int | None = None
    ) -> None:
        super().__init__()
        layers = nn.ModuleList(Layer(width, hidden, dropout) for _ in range(n_layers))
        self.model = nn.ModuleDict({"layers": layers})
        if n_frames is not None:
            self.pos_embedding = nn.Parameter(torch.randn(1, n_frames, width))
        self.placed = n_frames is not None

    def forward(
        self, x: Float[Tensor, "B F C"], visible: Bool[Tensor, "B F"] | None = None
    ) -> Float[Tensor, "B F C"]:
        """Hidden frames are not looked at."""
        x = x + self.pos_embedding if self.placed else x
        for layer in self.model.get_submodule("layers").children():
            x = layer(x, visible)
        return x


class Reducer(nn.Module):
    """Strided layers, from all frames to one."""

    def __init__(
        self, strides: tuple[int, ...], width: int, hidden: int, n_frames: int, dropout: float
    ) -> None:
        super().__init__()
        model = nn.Module()
        model.layers = nn.ModuleList(Layer(width, hidden, dropout, s) for s in strides)
        for i in range(min(3, len(strides))):
            position = nn.Parameter(torch.randn(1, n_frames, width))
            model.register_parameter(f"pos_embedding_{i + 1}", position)
        self.model = model

    def forward(self, x: Float[Tensor, "B F C"]) -> Float[Tensor, "B F2 C"]:
        """The first three layers have positions, counted in the frames that are left."""
        for i, layer in enumerate(self.model.get_submodule("layers").children()):
            if i < 3:
                x = x + self.model.get_parameter(f"pos_embedding_{i + 1}")[:, : x.shape[1]]
            x = layer(x)
        return x


def pose_head(width: int, n_out: int) -> nn.Sequential:
    """Batch norm and a linear layer per frame."""
    return nn.Sequential(nn.BatchNorm1d(width), nn.Conv1d(width, n_out, 1))


def check_width(width: int) -> None:
    """Raise unless the heads divide the width."""
    if width % N_HEADS:
        raise OptionError(f"width must be a multiple of {N_HEADS}, got {width}.")
