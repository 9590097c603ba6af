"""GCNpose, the lifter of DiffPose: one frame's 2D joints to 3D through graph layers.

Gong et al., "DiffPose: Toward More Reliable 3D Pose Estimation", CVPR 2023 (the frame setting); the
layers are GraFormer's, see :mod:`hypopose.networks.chebyshev`.

| released code | here |
| --- | --- |
| ``gconv_input``, ``gconv_output`` | ``enter``, ``leave`` |
| ``atten_layers.i``, ``gconv_layers.i`` | ``attention_blocks.i``, ``graph_blocks.i`` |
| hid_dim, num_layer, n_head | ``width``, ``n_layers``, ``n_heads`` |

Departure: the released lifter also owns a time embedding it never uses; ours does not (185,088 of
its 839,432 parameters at the official size).
"""

from __future__ import annotations

import re

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

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
from hypopose.networks.pretrained import PretrainedNetwork, renamed
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import check_clip, check_form
from hypopose.skeletons import get_skeleton

OFFICIAL_NAMES: tuple[tuple[str, str], ...] = (
    (r"^gconv_input\.", "enter."),
    (r"^gconv_output\.", "leave."),
    (r"^temb\.dense\.0\.", "time_in."),
    (r"^temb\.dense\.1\.", "time_out."),
    (r"^atten_layers\.", "attention_blocks."),
    (r"^gconv_layers\.", "graph_blocks."),
    (r"\.temb_proj\.", ".time."),
    (r"\.gconv1\.gconv\.", ".first."),
    (r"\.gconv2\.gconv\.", ".second."),
    (r"\.self_attn\.linears\.3\.", ".out."),
    (r"\.feed_forward\.A_hat$", ".adjacency"),
    (r"\.feed_forward\.gconv1\.fc\.", ".up."),
    (r"\.feed_forward\.gconv2\.fc\.", ".down."),
    (r"\.sublayer\.0\.norm\.", ".norm_attention."),
    (r"\.sublayer\.1\.norm\.", ".norm_graph."),
    (r"\.a_2$", ".gain"),
    (r"\.b_2$", ".shift"),
)
"""Patterns that turn official names into ours; q, k and v are joined besides."""


def graph_state_from_official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a released GCNpose or GCNdiff by our names.

    Args:
        state: By official names, with or without DataParallel's ``module.``.

    Returns:
        The same tensors; the three linears of q, k and v are one.

    Example:
        >>> graph_state_from_official({"module.gconv_input.bias": torch.zeros(1, 1, 4)}).keys()
        dict_keys(['enter.bias'])
    """
    ours: dict[str, Tensor] = {}
    parts: dict[str, list[Tensor]] = {}
    for official, x in sorted(state.items()):  # 0, 1, 2 are q, k, v
        name = official.removeprefix("module.")
        if match := re.fullmatch(r"(.*)self_attn\.linears\.[012]\.(\w+)", name):
            parts.setdefault(f"{match[1]}qkv.{match[2]}", []).append(x)
        else:
            ours[name] = x
    ours |= {name: torch.cat(x) for name, x in parts.items()}
    return {renamed(name, OFFICIAL_NAMES): x for name, x in ours.items()}


class GCNpose(PretrainedNetwork):
    """A lifter of single frames, in screen coordinates.

    Args:
        width: Channels.
        n_layers: Pairs of attention and graph block.
        n_heads: Attention heads.
        order: Of the Chebyshev polynomials.
        dropout: On the attention blocks' branches, in training.
        attention: Backend, see :mod:`hypopose.networks.attention`.
        skeleton: Name of the skeleton of keypoints and poses.

    Raises:
        BackendError: If the attention backend cannot run here.

    Example:
        >>> GCNpose(width=16, n_layers=1)(None, torch.randn(2, 9, 17, 2)).shape
        torch.Size([2, 1, 9, 17, 3])
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
        if width % n_heads:
            raise ShapeError(f"width must be a multiple of n_heads, got {width} and {n_heads}.")
        parents = get_skeleton(skeleton).parents
        basis = chebyshev_basis(graph_laplacian(parents), order)
        self.enter = ChebyshevConv(basis, 2, width)
        self.attention_blocks = nn.ModuleList(
            AttentionBlock(len(parents), width, n_heads, dropout, attention)
            for _ in range(n_layers)
        )
        self.graph_blocks = nn.ModuleList(GraphBlock(basis, width) for _ in range(n_layers))
        self.leave = ChebyshevConv(basis, width, 3)

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates in, any number of frames, a lifter."""
        name = self.config.skeleton
        return NetworkInfo("screen", None, name, name, forms=("lifter",))

    def lift(
        self, uv: Float[Tensor, "N J 2"], seen: Bool[Tensor, "M J"] | None = None
    ) -> Float[Tensor, "N J 3"]:
        """Poses in meters, not yet relative to the root.

        Args:
            uv: Screen coordinates.
            seen: False for joints that are not attended to; M is N or 1.
        """
        x = self.enter(uv)
        for attend, convolve in zip(self.attention_blocks, self.graph_blocks, strict=True):
            x = convolve(attend(x, seen))
        return self.leave(x)

    def forward(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F J 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F J"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Float[Tensor, "B 1 F J 3"]:
        """Lift every frame by itself; only ``keypoints`` are used.

        Raises:
            ShapeError: If it is called as a denoiser, or the number of joints differs.
        """
        check_form("GCNpose", True, x_t, t)
        check_clip("GCNpose", keypoints, None, get_skeleton(self.config.skeleton).n_joints)
        return self.lift(keypoints.flatten(0, 1)).reshape(*keypoints.shape[:-1], 3)[:, None]
