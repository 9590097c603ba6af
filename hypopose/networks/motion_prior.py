"""MotionPrior: a transformer that denoises motions in the world, with no keypoints to read.

Pierzchlewicz, da Silva, Cotton and Sinz, "Platypose: Calibrated Zero-Shot Multi-Hypothesis 3D Human
Motion Estimation" (2024); the network is that of Tevet et al., "Human Motion Diffusion Model",
ICLR 2023. One token per frame, one more for the timestep in front, post-norm encoder layers, and
the clean motion as output.

A motion is given as slots: slot 0 is the root's place in the world, the others are joints relative
to the root. Meters, z up.

| paper, released code | here |
| --- | --- |
| x_t, x0 | ``x_t``, returned |
| t, 0 .. 49 | ``t``, index of the *full* schedule |
| D, feed-forward, layers, heads | ``width``, ``hidden``, ``n_layers``, ``n_heads`` |

Departures: layers start with weights of their own (the released ones start as copies of one); the
sinusoid table is made when needed and not stored; ``scale`` (1 as released) multiplies meters
before noise is added, so that joints, which move by a third of a meter, have about unit variance.
"""

from __future__ import annotations

import copy
import math

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn import functional

from hypopose.errors import ShapeError
from hypopose.networks.attention import Backend, attention, check_backend
from hypopose.networks.base import NetworkInfo
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.recorded_config import recorded
from hypopose.networks.single_precision import single_precision
from hypopose.skeletons import SKELETONS


def position_table(n: int, width: int) -> Float[Tensor, "n width"]:
    """Interleaved sines and cosines: row p is (sin p w0, cos p w0, sin p w1, ...).

    Args:
        n: Rows.
        width: Columns, even.

    Example:
        >>> position_table(1, 4).tolist()
        [[0.0, 1.0, 0.0, 1.0]]
    """
    rate = torch.exp(torch.arange(0, width, 2).float() * (-math.log(10000.0) / width))
    angle = torch.arange(n).float()[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)


class PostNormBlock(nn.Module):
    """Attention over frames, then an MLP; each is added and then normalized."""

    def __init__(
        self, width: int, hidden: int, n_heads: int, dropout: float, backend: Backend
    ) -> None:
        super().__init__()
        self.n_heads, self.dropout = n_heads, dropout
        self.backend: Backend = backend
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_attention = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.norm_mlp = nn.LayerNorm(width)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Float[Tensor, "N T width"]) -> Float[Tensor, "N T width"]:
        """Transform every token."""
        qkv = self.qkv(x).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = attention(qkv[0], qkv[1], qkv[2], None, self.backend)
        x = self.norm_attention(x + self._drop(self.out(mixed.transpose(1, 2).flatten(2))))
        h = self._drop(functional.gelu(self.up(x)))
        normalized: Tensor = self.norm_mlp(x + self._drop(self.down(h)))
        return normalized

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class MotionPrior(PretrainedNetwork):
    """Noisy motion and timestep in, clean motion out.

    Args:
        width: Width of a token.
        hidden: Hidden width of the MLPs.
        n_layers: Blocks.
        n_heads: Attention heads.
        dropout: Share of activations dropped in training.
        scale: Diffusion runs on meters times this number.
        n_timesteps: Timesteps of the cosine schedule it was trained on.
        max_frames: Longest window of the training; longer ones run, untested.
        skeleton: Name of the skeleton.
        attention: Backend, see :mod:`hypopose.networks.attention`.

    Raises:
        ShapeError: If the width is odd or does not divide into heads.

    Example:
        >>> network = MotionPrior(width=16, hidden=32, n_layers=1).eval()
        >>> network(torch.randn(2, 9, 17, 3), torch.tensor([49, 0])).shape
        torch.Size([2, 9, 17, 3])
    """

    @recorded
    def __init__(
        self,
        width: int = 512,
        hidden: int = 1024,
        n_layers: int = 8,
        n_heads: int = 4,
        dropout: float = 0.1,
        scale: float = 1.0,
        n_timesteps: int = 50,
        max_frames: int = 255,
        skeleton: str = "h36m17",
        attention: Backend = "sdpa",
    ) -> None:
        super().__init__()
        check_backend(attention)
        if width % 2 or width % n_heads:
            raise ShapeError(
                f"width must be even and a multiple of n_heads={n_heads}, got {width}."
            )
        self.width, self.scale, self.n_timesteps = width, scale, n_timesteps
        self.max_frames, self.skeleton_name = max_frames, skeleton
        n = 3 * SKELETONS[skeleton].n_joints
        self.from_pose = nn.Linear(n, width)
        self.from_time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(
            PostNormBlock(width, hidden, n_heads, dropout, attention) for _ in range(n_layers)
        )
        self.to_pose = nn.Linear(width, n)

    @property
    def info(self) -> NetworkInfo:
        """It reads no keypoints and takes any number of frames."""
        return NetworkInfo(
            inputs="none",
            n_frames=None,
            skeleton=self.skeleton_name,
            max_frames=self.max_frames,
            forms=("prior",),
        )

    def halved(self) -> MotionPrior:
        """A copy whose blocks run in bfloat16; poses go in and out in single precision.

        Example:
            >>> network = MotionPrior(width=16, hidden=32, n_layers=1).eval()
            >>> network.halved()(torch.randn(2, 9, 17, 3), torch.tensor([49, 0])).dtype
            torch.float32
        """
        copied = copy.deepcopy(self)
        copied.blocks.to(torch.bfloat16)
        return copied

    def tokens(
        self, x_t: Float[Tensor, "N F J 3"], t: Num[Tensor, " N"]
    ) -> Float[Tensor, "N T width"]:
        """The timestep's token and the frames', with their places; what the blocks read."""
        rows = position_table(self.n_timesteps, self.width).to(x_t)[t.long()]
        tokens = torch.cat([self.from_time(rows)[:, None], self.from_pose(x_t.flatten(2))], 1)
        places = position_table(tokens.shape[1], self.width).to(x_t)
        return functional.dropout(tokens + places, self.config.dropout, self.training)

    def forward(
        self, x_t: Float[Tensor, "N F J 3"], t: Num[Tensor, " N"]
    ) -> Float[Tensor, "N F J 3"]:
        """Predict the clean motion.

        Args:
            x_t: Noisy slots: the root's place, and joints relative to it; meters times ``scale``.
            t: Timestep per motion, 0 .. n_timesteps - 1 of the full schedule.

        Returns:
            Clean slots, meters times ``scale``.
        """
        with single_precision(x_t):
            x = self.tokens(x_t, t)
        read = x.dtype
        if next(self.blocks.parameters()).dtype == torch.bfloat16:
            x = x.to(torch.bfloat16)
        for block in self.blocks:
            x = block(x)
        with single_precision(x):
            return self.to_pose(x[:, 1:].to(read)).unflatten(-1, x_t.shape[-2:])


_PLACES = {
    "input_process.poseEmbedding": "from_pose",
    "embed_timestep.time_embed": "from_time",
    "output_process.poseFinal": "to_pose",
    "seqTransEncoder.layers": "blocks",
    "self_attn.in_proj_weight": "qkv.weight",
    "self_attn.in_proj_bias": "qkv.bias",
    "self_attn.out_proj": "out",
    "linear1": "up",
    "linear2": "down",
    "norm1": "norm_attention",
    "norm2": "norm_mlp",
}


def motion_prior_name(official: str) -> str:
    """Our name of a tensor in a released checkpoint.

    Example:
        >>> motion_prior_name("seqTransEncoder.layers.0.self_attn.out_proj.bias")
        'blocks.0.out.bias'
    """
    for theirs, ours in _PLACES.items():
        official = official.replace(theirs, ours)
    return official
