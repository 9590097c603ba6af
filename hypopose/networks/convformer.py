"""ConvFormer: attention whose queries, keys and values are convolutions with mixed kernels.

Diaz-Arias and Shin, "ConvFormer: Parameter Reduction in Transformer Models for 3D Human Pose
Estimation by Leveraging Dynamic Multi-Headed Convolutional Attention", The Visual Computer 40,
2024.

No code or weights were published. This is written from the paper, and the paper's table of
parameter counts (kernel sets, lengths, depths) holds for it; counts say nothing about activations,
scales, paddings or the split into heads, so equality with the authors' network cannot be claimed.

| paper | here |
| --- | --- |
| d, B_s, B_t, h | ``width``, ``n_spatial``, ``n_temporal``, ``n_heads`` |
| kernel set, η | ``kernels``, ``DynamicConvolution.shares`` (softmax of them) |
| DMHCSA | :class:`ConvolutionalAttention` |

Inferred, not in the paper: bias and same-padding of the convolutions, GELU, the logits' scale
(1/√ of a head's width), the split of the *feature* axis into heads, the output projection over the
convolution's channel axis (the counts demand it), norms over the feature axis, kernel 1 of the
last convolution.

Spatial blocks convolve along joints with channels d. Temporal blocks convolve along the features of
all joints with *frames* as channels, so that a network is bound to its clip length.
Ours: ``sequence=True`` leaves the last convolution over frames out, and every frame has a pose.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from hypopose.errors import OptionError
from hypopose.networks.attention import Backend, attention, check_backend
from hypopose.networks.base import NetworkInfo
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import check_clip, check_form
from hypopose.skeletons import get_skeleton


class DynamicConvolution(nn.Module):
    """Convolutions of several kernel sizes, added with learned shares that sum to 1."""

    def __init__(self, channels: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv1d(channels, channels, k, padding=k // 2) for k in kernels
        )
        self.shares = nn.Parameter(torch.zeros(len(kernels)))

    def forward(self, x: Float[Tensor, "N channels L"]) -> Float[Tensor, "N channels L"]:
        """Convolve along the last axis."""
        outputs = torch.stack([branch(x) for branch in self.branches])
        return torch.einsum("k,k...->...", self.shares.softmax(0), outputs)


class ConvolutionalAttention(nn.Module):
    """Attention over the tokens of a row; q, k and v are dynamic convolutions.

    Args:
        channels: Of the convolutions.
        over_tokens: Whether tokens are the channels (and features what is convolved along).
        n_heads: Parts of the feature axis.
        kernels: Sizes.
        dropout: Of q, k and v in training.
        backend: Of the attention.
    """

    def __init__(
        self,
        channels: int,
        over_tokens: bool,
        n_heads: int,
        kernels: tuple[int, ...],
        dropout: float,
        backend: Backend,
    ) -> None:
        super().__init__()
        self.over_tokens, self.n_heads, self.backend = over_tokens, n_heads, backend
        self.qkv = nn.ModuleList(DynamicConvolution(channels, kernels) for _ in range(3))
        self.drop = nn.Dropout(dropout)
        self.project = nn.Linear(channels, channels)

    def forward(self, x: Float[Tensor, "N S L"]) -> Float[Tensor, "N S L"]:
        """Attend over S."""
        rows = x if self.over_tokens else x.mT
        parts = (self.drop(convolve(rows)) for convolve in self.qkv)
        q, k, v = (
            (y if self.over_tokens else y.mT).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for y in parts
        )
        y = attention(q, k, v, None, self.backend).transpose(1, 2).flatten(2)
        return self.project(y.mT).mT if self.over_tokens else self.project(y)


class ConvolutionalBlock(nn.Module):
    """Convolutional attention and an MLP of twice the width, with stochastic depth in training."""

    def __init__(self, width: int, attend: ConvolutionalAttention, drop_path: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attend = attend
        self.norm_mlp = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.drop_path = drop_path

    def forward(self, x: Float[Tensor, "N S L"]) -> Float[Tensor, "N S L"]:
        """Attend, then transform each token."""
        x = x + self._drop_rows(self.attend(self.norm_attention(x)))
        return x + self._drop_rows(self.down(functional.gelu(self.up(self.norm_mlp(x)))))

    def _drop_rows(self, x: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0.0:
            return x
        keep = 1.0 - self.drop_path
        return x * torch.empty(len(x), 1, 1, device=x.device).bernoulli_(keep).div_(keep).to(x)


class ConvFormer(PretrainedNetwork):
    """A window of keypoints to the pose in its middle, or to all poses.

    Args:
        n_frames: Clip length T; the only one it takes.
        width: Channels d of a joint.
        n_spatial: Blocks over joints.
        n_temporal: Blocks over frames.
        n_heads: Attention heads.
        kernels: Odd sizes of the convolutions.
        sequence: A pose per frame (ours).
        dropout: Of queries, keys and values in training.
        drop_path: Stochastic depth in training.
        attention: Backend, see :mod:`hypopose.networks.attention`.
        skeleton: Name of the 2D and 3D skeleton.

    Raises:
        OptionError: If a kernel is even, or the width does not divide into heads.

    Example:
        >>> network = ConvFormer(n_frames=9, width=8).eval()
        >>> network(None, torch.randn(2, 9, 17, 2)).shape
        torch.Size([2, 1, 1, 17, 3])
    """

    @recorded
    def __init__(
        self,
        n_frames: int = 243,
        width: int = 32,
        n_spatial: int = 2,
        n_temporal: int = 2,
        n_heads: int = 8,
        kernels: list[int] | tuple[int, ...] = (7, 7, 7),
        sequence: bool = False,
        dropout: float = 0.2,
        drop_path: float = 0.2,
        attention: Backend = "sdpa",
        skeleton: str = "h36m17",
    ) -> None:
        super().__init__()
        check_backend(attention)
        if any(k % 2 == 0 for k in kernels) or width % n_heads:
            raise OptionError(
                f"kernels must be odd and width a multiple of n_heads, got {tuple(kernels)} and "
                f"{width}."
            )
        n_joints = get_skeleton(skeleton).n_joints
        full = n_joints * width

        def blocks(n: int, size: int, channels: int, over_tokens: bool) -> nn.ModuleList:
            options = (n_heads, tuple(kernels), dropout, attention)
            return nn.ModuleList(
                ConvolutionalBlock(
                    size, ConvolutionalAttention(channels, over_tokens, *options), drop_path
                )
                for _ in range(n)
            )

        self.embed = nn.Linear(2, width)
        self.joint_position = nn.Parameter(torch.zeros(n_joints, width))
        self.frame_position = nn.Parameter(torch.zeros(n_frames, full))
        self.spatial = blocks(n_spatial, width, width, False)
        self.temporal = blocks(n_temporal, full, n_frames, True)
        self.to_pose = nn.Linear(full, 3 * n_joints)
        if not sequence:
            self.to_one = nn.Conv1d(n_frames, 1, 1)

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates of a whole window in."""
        c = self.config
        return NetworkInfo(
            "screen",
            c.n_frames,
            c.skeleton,
            c.skeleton,
            forms=("lifter",),
            sequence_to_one=not c.sequence,
        )

    def forward(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F J 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F J"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Float[Tensor, "B 1 _F J 3"]:
        """Poses in meters; ``confidence``, ``mask`` and ``context`` are not used.

        Args:
            x_t: None; this is a lifter.
            keypoints: Screen coordinates.
            t: None.
            confidence: Not used.
            mask: Not used: every frame of the window counts.
            context: Not used.

        Returns:
            The pose in the middle, or of every frame with ``sequence``.

        Raises:
            ShapeError: If the clip length differs, or noise is given.
        """
        check_form("ConvFormer", True, x_t, t)
        check_clip("ConvFormer", keypoints, self.config.n_frames, len(self.joint_position))
        x = (self.embed(keypoints) + self.joint_position).flatten(0, 1)
        for block in self.spatial:
            x = block(x)
        x = x.flatten(1).unflatten(0, keypoints.shape[:2]) + self.frame_position
        for block in self.temporal:
            x = block(x)
        poses = self.to_pose(x)
        if not self.config.sequence:
            poses = self.to_one(poses)
        return poses.unflatten(-1, (-1, 3))[:, None]
