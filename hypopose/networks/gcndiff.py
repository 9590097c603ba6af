"""GCNdiff, the denoiser of DiffPose, and the released pair of lifter and denoiser in one folder.

Gong et al., "DiffPose: Toward More Reliable 3D Pose Estimation", CVPR 2023, as released: the state
is (u, v, x, y, z) per joint, screen coordinates beside meters, and the network predicts its noise,
scaled as the process scales it. The context embedding f_ST of the paper is an argument the released
network ignores; ours has no such argument.

Layers and names are those of :mod:`hypopose.networks.gcnpose`, with the timestep added:

| released code | here |
| --- | --- |
| ``temb.dense.0``, ``temb.dense.1`` | ``time_in``, ``time_out`` |
| ``gconv_layers.i.temb_proj`` | ``graph_blocks.i.time`` |
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from hypopose.errors import ShapeError
from hypopose.networks.attention import Backend, check_backend
from hypopose.networks.base import NetworkInfo
from hypopose.networks.chebyshev import (
    AttentionBlock,
    ChebyshevConv,
    GraphBlock,
    chebyshev_basis,
    graph_laplacian,
)
from hypopose.networks.gcnpose import GCNpose
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import sinusoid
from hypopose.skeletons import get_skeleton

CHANNELS = ("u", "v", "x", "y", "z")
"""Of the released state: screen coordinates, and meters relative to the root."""


class GCNdiff(PretrainedNetwork):
    """The noise in (u, v, x, y, z) of single frames.

    Args:
        width: Channels.
        n_layers: Pairs of attention and graph block.
        n_heads: Attention heads.
        order: Of the Chebyshev polynomials.
        dropout: On the attention blocks' branches, in training.
        attention: Backend, see :mod:`hypopose.networks.attention`.
        skeleton: Name of the skeleton.

    Raises:
        BackendError: If the attention backend cannot run here.

    Example:
        >>> import torch
        >>> network = GCNdiff(width=16, n_layers=1).eval()
        >>> network(torch.randn(4, 17, 5), torch.tensor([12.0])).shape
        torch.Size([4, 17, 5])
    """

    @recorded
    def __init__(
        self,
        width: int = 96,
        n_layers: int = 5,
        n_heads: int = 4,
        order: int = 2,
        dropout: float = 0.25,
        attention: Backend = "sdpa",
        skeleton: str = "h36m17",
    ) -> None:
        super().__init__()
        check_backend(attention)
        if width % n_heads or width % 2:
            raise ShapeError(f"width must be even and a multiple of n_heads, got {width}.")
        parents = get_skeleton(skeleton).parents
        basis = chebyshev_basis(graph_laplacian(parents), order)
        self.enter = ChebyshevConv(basis, len(CHANNELS), width)
        self.time_in = nn.Linear(width, 4 * width)
        self.time_out = nn.Linear(4 * width, 4 * width)
        self.attention_blocks = nn.ModuleList(
            AttentionBlock(len(parents), width, n_heads, dropout, attention)
            for _ in range(n_layers)
        )
        self.graph_blocks = nn.ModuleList(
            GraphBlock(basis, width, 4 * width) for _ in range(n_layers)
        )
        self.leave = ChebyshevConv(basis, width, len(CHANNELS))

    def embed_time(self, t: Float[Tensor, " M"]) -> Float[Tensor, "M W"]:
        """Sinusoids through two linears; each block activates it once more."""
        x = sinusoid(t.to(self.time_in.weight.dtype), self.config.width)
        return self.time_out(functional.silu(self.time_in(x)))

    def forward(
        self,
        x_t: Float[Tensor, "N J 5"],
        t: Float[Tensor, " M"],
        seen: Bool[Tensor, "K J"] | None = None,
    ) -> Float[Tensor, "N J 5"]:
        """Predict the noise.

        Args:
            x_t: Noisy states.
            t: Timestep per state, or one for all.
            seen: False for joints that are not attended to, per state or for all.

        Returns:
            Noise in the units of the state.
        """
        time = functional.silu(self.embed_time(t))
        x = self.enter(x_t)
        for attend, convolve in zip(self.attention_blocks, self.graph_blocks, strict=True):
            x = convolve(attend(x, seen), time)
        return self.leave(x)


class DiffPosePair(PretrainedNetwork):
    """The released lifter and denoiser, as one network that saves to one folder.

    Called, it is the lifter alone; :class:`hypopose.samplers.ReleasedDiffPose` uses both.

    Args:
        width: Channels of both.
        n_layers: Layers of both.
        n_heads: Attention heads of both.
        attention: Backend, see :mod:`hypopose.networks.attention`.
        skeleton: Name of the skeleton.
        dropout: Of both, on the attention blocks' branches, in training.

    Example:
        >>> DiffPosePair(width=16, n_layers=1).info.forms
        ('lifter',)
    """

    @recorded
    def __init__(
        self,
        width: int = 96,
        n_layers: int = 5,
        n_heads: int = 4,
        attention: Backend = "sdpa",
        skeleton: str = "h36m17",
        dropout: float = 0.25,
    ) -> None:
        super().__init__()
        given: dict[str, Any] = {
            "width": width,
            "n_layers": n_layers,
            "n_heads": n_heads,
            "dropout": dropout,
            "attention": attention,
            "skeleton": skeleton,
        }
        self.lifter = GCNpose(**given)
        self.refiner = GCNdiff(**given)

    @property
    def info(self) -> NetworkInfo:
        """The lifter's."""
        return self.lifter.info

    def forward(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F J 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F J"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Float[Tensor, "B 1 F J 3"]:
        """Lift; see :meth:`GCNpose.forward`."""
        return self.lifter(x_t, keypoints, t, confidence, mask, context)
