"""Graph layers of DiffPose: Chebyshev convolutions over the bones, attention, a learned graph.

Zhao, Wang, Tian, "GraFormer: Graph-Oriented Transformer for 3D Pose Estimation", CVPR 2022, as
Gong et al., "DiffPose", CVPR 2023, use it.

| released code | here |
| --- | --- |
| G, L = I - D^-½ G D^-½ | rows of the bones' adjacency made to sum to 1; :func:`graph_laplacian` |
| T_0 .. T_K | :func:`chebyshev_basis` |
| ``gconv``, ``GraphConv`` | :class:`ChebyshevConv`; ReLU follows in :class:`GraphBlock` |
| ``atten_layers`` | :class:`AttentionBlock` |
| ``A_hat`` | ``AttentionBlock.adjacency`` |
| ``temb_proj`` | ``GraphBlock.time`` |

Kept as released: the Laplacian is neither symmetric nor scaled to [-1, 1]; the weights' initial
spread is far below Xavier's; the norm divides by the unbiased deviation plus 1e-6.

Departures: q, k and v are one product; there is no dropout on attention weights; column sums of the
learned graph below 0, which would give NaN, count as 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from hypopose.errors import ShapeError
from hypopose.networks.attention import Backend, attention

CONV_DROPOUT = 0.1
"""Fixed in the released code, whatever its configuration says."""


def graph_laplacian(parents: Sequence[int]) -> Float[Tensor, "J J"]:
    """I minus the bones' adjacency (with loops), rows summing to 1.

    Args:
        parents: Parent of each joint, -1 for the root.

    Example:
        >>> graph_laplacian([-1, 0]).tolist()
        [[0.5, -0.5], [-0.5, 0.5]]
    """
    adjacency = torch.eye(len(parents))
    for joint, parent in enumerate(parents):
        if parent >= 0:
            adjacency[joint, parent] = adjacency[parent, joint] = 1.0
    return torch.eye(len(parents)) - adjacency / adjacency.sum(1, keepdim=True)


def chebyshev_basis(laplacian: Float[Tensor, "J J"], order: int = 2) -> Float[Tensor, "K J J"]:
    """T_0 = I, T_1 = L, T_k = 2 L T_{k-1} - T_{k-2}, up to ``order``.

    Example:
        >>> chebyshev_basis(torch.eye(2))[2].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    basis = [torch.eye(len(laplacian)), laplacian]
    while len(basis) <= order:
        basis.append(2 * laplacian @ basis[-1] - basis[-2])
    return torch.stack(basis[: order + 1])


class ChebyshevConv(nn.Module):
    """Joints hear their neighborhoods, one projection per Chebyshev term.

    Args:
        basis: Of the graph.
        n_in: Channels in.
        n_out: Channels out.
    """

    hops: Tensor

    def __init__(self, basis: Float[Tensor, "K J J"], n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(len(basis), 1, n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(1, 1, n_out))
        nn.init.xavier_normal_(self.weight)
        # T_0 is the identity; the others stand above one another, for one product.
        self.register_buffer("hops", basis[1:].flatten(0, 1).clone(), persistent=False)

    def forward(self, x: Float[Tensor, "N J C"]) -> Float[Tensor, "N J D"]:
        """Sum over k of T_k x W_k, plus the bias."""
        heard = torch.cat([x, *(self.hops @ x).chunk(len(self.weight) - 1, 1)], -1)
        return heard @ self.weight.flatten(0, 2) + self.bias


class DeviationNorm(nn.Module):
    """Channels minus their mean over their unbiased deviation plus 1e-6, scaled and shifted."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))
        self.shift = nn.Parameter(torch.zeros(width))

    def forward(self, x: Float[Tensor, "*any C"]) -> Float[Tensor, "*any C"]:
        """Normalize the last axis."""
        # Not var_mean, which takes longer on CPUs than the products around it.
        x = x - x.mean(-1, keepdim=True)
        deviation = torch.linalg.vector_norm(x, dim=-1, keepdim=True) / (x.shape[-1] - 1) ** 0.5
        return torch.addcmul(self.shift, x / (deviation + 1e-6), self.gain)


class AttentionBlock(nn.Module):
    """Joints attend to joints; then two linear layers along a learned graph. Both are residual.

    Args:
        n_joints: J.
        width: Channels C.
        n_heads: Attention heads.
        dropout: On both branches.
        backend: See :mod:`hypopose.networks.attention`.
    """

    def __init__(
        self, n_joints: int, width: int, n_heads: int, dropout: float, backend: Backend
    ) -> None:
        super().__init__()
        self.n_heads, self.dropout, self.backend = n_heads, dropout, backend
        self.norm_attention = DeviationNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_graph = DeviationNorm(width)
        self.adjacency = nn.Parameter(torch.eye(n_joints))
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(
        self, x: Float[Tensor, "N J C"], seen: Bool[Tensor, "M J"] | None = None
    ) -> Float[Tensor, "N J C"]:
        """Attend, then pass along the graph.

        Args:
            x: Features.
            seen: False for joints that are not attended to; M is N or 1.
        """
        x = x + self._dropped(self.attend(self.norm_attention(x), seen))
        return x + self._dropped(self.pass_on(self.norm_graph(x)))

    def attend(
        self, x: Float[Tensor, "N J C"], seen: Bool[Tensor, "M J"] | None
    ) -> Float[Tensor, "N J C"]:
        """Attention over the joints."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        mask = None if seen is None else seen[:, None, None]
        return self.out(attention(q, k, v, mask, self.backend).transpose(1, 2).flatten(2))

    def pass_on(self, x: Float[Tensor, "N J C"]) -> Float[Tensor, "N J C"]:
        """Two linear layers, each after the normalized learned graph."""
        root = (self.adjacency.sum(0).clamp(min=0.0) + 1e-5).rsqrt()
        graph = root[:, None] * self.adjacency * root
        return self.down(graph @ functional.relu(self.up(graph @ x)))

    def _dropped(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class GraphBlock(nn.Module):
    """Two Chebyshev convolutions around a residual; the timestep enters between them.

    Args:
        basis: Of the graph.
        width: Channels C.
        time_width: Channels of the time embedding; None for a network without timesteps.
    """

    def __init__(
        self, basis: Float[Tensor, "K J J"], width: int, time_width: int | None = None
    ) -> None:
        super().__init__()
        self.first = ChebyshevConv(basis, width, width)
        self.second = ChebyshevConv(basis, width, width)
        self.time = None if time_width is None else nn.Linear(time_width, width)

    def forward(
        self, x: Float[Tensor, "N J C"], time: Float[Tensor, "M W"] | None = None
    ) -> Float[Tensor, "N J C"]:
        """Convolve twice.

        Args:
            x: Features.
            time: Embedded timesteps, after their activation; M is N or 1.

        Raises:
            ShapeError: If the timestep is missing, or not expected.
        """
        if (self.time is None) != (time is None):
            raise ShapeError("A graph block takes a timestep if, and only if, it was built so.")
        h = self._active(self.first(x))
        if self.time is not None:
            h = h + self.time(time)[:, None]
        return x + self._active(self.second(h))

    def _active(self, x: Tensor) -> Tensor:
        return functional.dropout(functional.relu(x), CONV_DROPOUT, self.training)
