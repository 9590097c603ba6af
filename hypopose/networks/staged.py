"""Networks that work in stages: embed, one block after another, read out the pose.

A network cut like this can be entered between two blocks, which is how
:class:`hypopose.networks.hot.Hourglass` drops frames in the middle of any of them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional

from hypopose.errors import ShapeError
from hypopose.networks.pretrained import PretrainedNetwork


@dataclass(frozen=True, eq=False)
class Tokens:
    """Features between two stages; N counts clips times hypotheses.

    Args:
        x: Features; J is 1 where a token holds a whole frame.
        mask: False for frames no other frame may look at.
        frames: What else belongs to frames, each ``(N, F, ...)``.
        clips: What belongs to whole clips, each ``(N, ...)``.
    """

    x: Float[Tensor, "N F J C"]
    mask: Bool[Tensor, "N F"] | None = None
    frames: tuple[Tensor, ...] = ()
    clips: tuple[Tensor, ...] = ()

    def with_x(self, x: Float[Tensor, "N F2 J2 C2"]) -> Tokens:
        """The same beside other features."""
        return replace(self, x=x)

    def keep(self, index: Int[Tensor, "N K"]) -> Tokens:
        """Only the frames of ``index``, in its order."""
        rows = torch.arange(index.shape[0], device=index.device)[:, None]
        return Tokens(
            x=self.x[rows, index],
            mask=None if self.mask is None else self.mask[rows, index],
            frames=tuple(y[rows, index] for y in self.frames),
            clips=self.clips,
        )


class StagedNetwork(PretrainedNetwork):
    """Base of networks that embed, pass through ``n_stages`` blocks, and read out poses."""

    @property
    @abstractmethod
    def n_stages(self) -> int:
        """Number of blocks."""

    @property
    @abstractmethod
    def token_width(self) -> int:
        """Channels C of the tokens."""

    @abstractmethod
    def enter(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F K 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F K"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Tokens:
        """Tokens before the first stage; N is B times H, hypotheses of a clip side by side."""

    @abstractmethod
    def stage(self, i: int, tokens: Tokens) -> Tokens:
        """Block ``i``, with the norms that follow it."""

    @abstractmethod
    def leave(self, tokens: Tokens) -> Float[Tensor, "N F J 3"]:
        """Poses of the tokens after the last stage."""

    def forward(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F K 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F K"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Float[Tensor, "B _H F _J 3"]:
        """Predict x0, see :class:`hypopose.networks.base.Network`.

        Args:
            x_t: Noisy poses; None for a lifter.
            keypoints: As ``info.inputs`` says.
            t: Timestep per clip, 0 .. 999; None for a lifter.
            confidence: Read if ``info.uses_confidence``.
            mask: False for frames no other frame may look at.
            context: Read by networks with subject inputs.

        Returns:
            Clean poses, H = 1 for a lifter.

        Raises:
            ShapeError: If the clip length differs, or a lifter is given noise or the reverse.
        """
        tokens = self.enter(x_t, keypoints, t, confidence, mask, context)
        for i in range(self.n_stages):
            tokens = self.stage(i, tokens)
        poses = self.leave(tokens)
        return poses.reshape(keypoints.shape[0], -1, *poses.shape[1:])


def check_form(name: str, lifter: bool, x_t: Tensor | None, t: Tensor | None) -> None:
    """Raise unless a lifter gets keypoints alone, and a denoiser a noisy pose and a timestep.

    Raises:
        ShapeError: If it does not.
    """
    if lifter != (x_t is None) or lifter != (t is None):
        needs = "x_t=None and t=None" if lifter else "a noisy pose x_t and a timestep t"
        form = "lifter" if lifter else "denoiser"
        raise ShapeError(f"This {name} is a {form}: it needs {needs}.")


def check_clip(name: str, keypoints: Tensor, n_frames: int | None, n_joints: int) -> None:
    """Raise unless keypoints ``(B, F, J, 2)`` have the frames and joints the network was built for.

    Raises:
        ShapeError: If they do not.
    """
    frames, joints = keypoints.shape[1:3]
    if frames != (n_frames or frames) or joints != n_joints:
        length = "any number of" if n_frames is None else n_frames
        raise ShapeError(
            f"This {name} takes clips of {length} frames and {n_joints} joints, got "
            f"{(frames, joints)}; samplers cut longer videos and pad shorter ones."
        )


def repeated(x: Shaped[Tensor, "N *any"], n: int) -> Shaped[Tensor, "M *any"]:
    """Every row ``n`` times, copies side by side; unlike ``repeat_interleave`` for any N in ONNX.

    Example:
        >>> repeated(torch.tensor([3, 5]), 2).tolist()
        [3, 3, 5, 5]
    """
    return x[:, None].expand(-1, n, *x.shape[1:]).flatten(0, 1)


def distances(x: Float[Tensor, "*any N C"]) -> Float[Tensor, "*any N N"]:
    """Euclidean distances between rows, exactly 0 on the diagonal.

    Example:
        >>> distances(torch.tensor([[0.0], [3.0]])).tolist()
        [[0.0, 3.0], [3.0, 0.0]]
    """
    if torch.compiler.is_exporting():  # ONNX has no cdist
        return (x[..., :, None, :] - x[..., None, :, :]).square().sum(-1).sqrt()
    return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")


def hypotheses_mask(mask: Bool[Tensor, "B F"] | None, n: int) -> Bool[Tensor, "N F"] | None:
    """A mask per clip, repeated for its hypotheses."""
    return None if mask is None else repeated(mask, n)


def sinusoid(t: Float[Tensor, "*any"], width: int) -> Float[Tensor, "*any width"]:
    """Sines and cosines of a timestep or frame number, as D3DP embeds timesteps.

    Example:
        >>> sinusoid(torch.zeros(1), 4).tolist()
        [[0.0, 0.0, 1.0, 1.0]]
    """
    half = width // 2
    steps = torch.arange(half, device=t.device) * (-math.log(10000) / max(half - 1, 1))
    angles = t[..., None] * torch.exp(steps)
    return torch.cat([angles.sin(), angles.cos()], -1)


class TimeEmbedding(nn.Module):
    """D3DP's embedding of the timestep: sinusoids, a hidden layer of twice the width, GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, t: Float[Tensor, " B"]) -> Float[Tensor, "B C"]:
        """One vector per clip."""
        x = sinusoid(t.to(self.up.weight.dtype), self.up.in_features)
        return self.down(functional.gelu(self.up(x)))


def over_rows(
    block: nn.Module,
    x: Float[Tensor, "N rows tokens C"],
    mask: Bool[Tensor, "M 1 1 tokens"] | None = None,
) -> Float[Tensor, "N rows tokens D"]:
    """Apply a block of sequences to every row."""
    return block(x.flatten(0, 1), mask).unflatten(0, x.shape[:2])


def rows_mask(mask: Bool[Tensor, "N F"] | None, n_rows: int) -> Bool[Tensor, "M 1 1 F"] | None:
    """A key mask for ``n_rows`` rows per clip."""
    return None if mask is None else repeated(mask, n_rows)[:, None, None, :]
