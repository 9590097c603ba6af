"""ClipTokens: a generator that sees ten seconds at once, several frames in one token.

Ours. What a single frame does not show (how far a trunk leans, how long a shin is) is constant over
a clip, so that long clips show it. Motion is smooth, so that neighboring frames are largely
redundant: a token holds a few frames (``stride``), and a window of 486 frames costs as much as one
of 162 in :class:`hypopose.networks.FrameTokens`, whose blocks, inputs and way onto rays it shares.

The first ``n_shared`` blocks see keypoints alone and run once for all hypotheses. Then the noise
enters, through a gate that the keypoints open and close; what is known without it (a pose, and how
uncertain each joint of each frame is) is read out there:

    ``x0 = base + exp(s) * change(z)``

so that the spread can vary from frame to frame. Hypotheses are moved towards the rays of their
keypoints (:mod:`hypopose.networks.ray_projection`) and made bodies of constant bones
(:mod:`hypopose.networks.constant_bones`), in turn, ``n_rounds`` times.

It draws in one evaluation: it reads latent noise, and neither noisy poses nor a timestep.

| symbol | here |
| --- | --- |
| z | latent noise in the rows of ``x_t`` behind the joints |
| base, s | ``to_base``, of the shared tokens |
| change | ``to_change``, of the hypotheses' tokens |
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from hypopose.errors import ShapeError
from hypopose.networks.attention import Backend, check_backend
from hypopose.networks.base import NetworkInfo
from hypopose.networks.constant_bones import with_constant_bones
from hypopose.networks.frame_tokens import FrameBlock, rotary, share_head
from hypopose.networks.inputs import REFERENCE_FPS, REFERENCE_SIZE
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.ray_projection import jitter, onto_rays
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import repeated
from hypopose.skeletons import get_skeleton

WIDEST = 3.0
"""Bound of s: spreads differ by a factor of e**3 from what the noise says at most."""


class ClipTokens(PretrainedNetwork):
    """Transformer over groups of frames: keypoints and latent noise in, a motion out.

    Args:
        width: Width of a token.
        n_layers: Blocks.
        n_shared: Blocks at the start that see keypoints alone, once for all hypotheses; None for
            all but two.
        n_heads: Attention heads.
        mlp_ratio: Hidden over outer width of the MLPs.
        stride: Frames in a token.
        n_latent: Channels of latent noise, a multiple of 12.
        n_rounds: How often poses are moved towards their rays and given constant bones.
        scale: Poses in meters are multiplied by it inside.
        max_frames: Longest window of the training; longer ones run, untested.
        skeleton: Name of the skeleton of keypoints and poses.
        attention: Backend, see :mod:`hypopose.networks.attention`.

    Raises:
        ShapeError: If the width does not divide into heads of even width, or no block is left for
            keypoints or for the noise.
        BackendError: If the attention backend cannot run here.

    Example:
        >>> network = ClipTokens(width=16, n_layers=2, n_shared=1, n_heads=2).eval()
        >>> x_t, xy = torch.randn(2, 5, 10, 17 + 16, 3), torch.randn(2, 10, 17, 2)
        >>> network(x_t, xy).shape
        torch.Size([2, 5, 10, 17, 3])
    """

    @recorded
    def __init__(
        self,
        width: int = 256,
        n_layers: int = 8,
        n_shared: int | None = None,
        n_heads: int = 8,
        mlp_ratio: float = 3.0,
        stride: int = 3,
        n_latent: int = 48,
        n_rounds: int = 2,
        scale: float = 3.0,
        max_frames: int = 486,
        skeleton: str = "h36m17",
        attention: Backend = "sdpa",
    ) -> None:
        super().__init__()
        check_backend(attention)
        self.n_shared = max(1, n_layers - 2) if n_shared is None else n_shared
        if not 1 <= self.n_shared < n_layers:
            raise ShapeError(
                f"n_shared is a whole number from 1 to n_layers - 1 = {n_layers - 1}, got "
                f"{self.n_shared}."
            )
        if width % (2 * n_heads):
            raise ShapeError(f"width must be a multiple of 2 n_heads = {2 * n_heads}, got {width}.")
        if n_latent % 12 or n_latent < 12:
            raise ShapeError(f"n_latent must be a positive multiple of 12, got {n_latent}.")
        J = get_skeleton(skeleton).n_joints
        n_features, n_clip = stride * (4 * J + 4), 2 + J
        self.from_keypoints = nn.Linear(n_features, width)
        self.from_clip = nn.Linear(n_clip, width)
        self.modulation = nn.Linear(n_clip, 6 * width)
        blocks = [FrameBlock(width, n_heads, mlp_ratio, attention) for _ in range(n_layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm_shared = nn.LayerNorm(width)
        self.to_base = nn.Linear(width, stride * J * 4)
        self.from_latent = nn.Linear(n_latent, width)
        self.to_gate = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.to_change = nn.Linear(width, stride * J * 3)
        self.to_share = share_head(width, stride * J)
        self._start_small(blocks)

    def _start_small(self, blocks: list[FrameBlock]) -> None:
        """Blocks start near the identity, poses near 0, gates and spreads at 1."""
        for layer in (self.modulation, self.to_gate):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        for block in blocks:
            for layer in (block.out, block.down):
                std = layer.in_features**-0.5 / math.sqrt(2 * len(blocks))
                nn.init.normal_(layer.weight, std=std)
        for layer in (self.to_base, self.to_change):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    @property
    def info(self) -> NetworkInfo:
        """Rays towards the subject in, any clip length, confidences read, one evaluation a draw."""
        c = self.config
        return NetworkInfo(
            inputs="subject",
            n_frames=None,
            keypoint_skeleton=c.skeleton,
            skeleton=c.skeleton,
            uses_confidence=True,
            max_frames=c.max_frames,
            forms=("denoiser", "lifter"),
            n_latent=c.n_latent,
            on_rays=True,
            one_step=True,
            constant_bones=True,
        )

    def forward(
        self,
        x_t: Float[Tensor, "B H F rows 3"] | None,
        keypoints: Float[Tensor, "B F K 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F K"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Float[Tensor, "B _H F _J 3"]:
        """Draw motions, see :class:`hypopose.networks.base.Network`.

        Args:
            x_t: Latent noise in rows of three behind the joints, whose rows are not read; None for
                the lifter form, the motion of no noise.
            keypoints: ``xy`` of :func:`hypopose.networks.inputs.encode_rays`.
            t: Not read.
            confidence: 0 where undetected; all keypoints count as detected where None.
            mask: False for frames that are padding; they change no other frame.
            context: log(size / 0.1) and log(fps / 50) per clip; zeros where None.

        Returns:
            Root-relative meters; H is 1 for the lifter form.
        """
        B, F = keypoints.shape[:2]
        if confidence is None:
            confidence = torch.ones_like(keypoints[..., 0])
        if context is None:
            context = keypoints.new_zeros(B, 2)
        usable = torch.ones_like(keypoints[..., 0, 0]) if mask is None else mask.to(keypoints)
        confidence = confidence * usable[..., None]
        detected = (confidence > 0).to(keypoints.dtype)
        xy = keypoints * detected[..., None]
        clip = torch.cat([context, jitter(xy, detected)], -1)
        modulation = self.modulation(clip).unflatten(-1, (6, -1))
        visible = None
        if mask is not None:
            visible = self._grouped(usable[..., None])[:, None, None].amax((-2, -1)) > 0
        x = self._embedded(xy, confidence, detected, context) + self.from_clip(clip)[:, None]
        rope = self._rope(context, x.shape[1])
        for block in self.blocks[: self.n_shared]:
            x = block(x, modulation, rope, visible)
        known = self.norm_shared(x)
        given = self._in_frames(self.to_base(known), F)
        base, spread = given[..., :3], given[..., 3:]
        z = self._latent(x_t, x)
        H = z.shape[1]
        noise = self.from_latent(z) * (1 + self.to_gate(known))[:, None]
        x = (x[:, None] + noise).flatten(0, 1)
        modulation, visible = repeated(modulation, H), _repeated(visible, H)
        rope = (repeated(rope[0], H), repeated(rope[1], H))
        for block in self.blocks[self.n_shared :]:
            x = block(x, modulation, rope, visible)
        x = self.norm(x)
        change = self._in_frames(self.to_change(x), F).reshape(B, H, F, -1, 3)
        share = self._in_frames(self.to_share(x), F).reshape(B, H, F, -1).sigmoid()
        spread = (WIDEST * (spread / WIDEST).tanh()).exp()
        pose = base[:, None] + spread[:, None] * change
        return self._placed(pose, share, xy, detected, usable, context)

    def _latent(
        self, x_t: Float[Tensor, "B H F rows 3"] | None, x: Float[Tensor, "B T width"]
    ) -> Float[Tensor, "B H T C"]:
        """The noise of each token: that of its first frame; none for the lifter form."""
        n_latent = self.config.n_latent
        if x_t is None:
            return x.new_zeros(x.shape[0], 1, x.shape[1], n_latent)
        return self._grouped(x_t[..., -(n_latent // 3) :, :].flatten(-2))[..., 0, :]

    def _placed(
        self,
        pose: Float[Tensor, "B H F J 3"],
        share: Float[Tensor, "B H F J"],
        xy: Float[Tensor, "B F J 2"],
        detected: Float[Tensor, "B F J"],
        usable: Float[Tensor, "B F"],
        context: Float[Tensor, "B C"],
    ) -> Float[Tensor, "B H F J 3"]:
        """Poses in meters, on the rays that are trusted, with bones of constant length."""
        skeleton = get_skeleton(self.config.skeleton)
        pose = pose.float() / self.config.scale
        pose = pose - pose[..., skeleton.root : skeleton.root + 1, :]
        size = context[:, :1].exp() * REFERENCE_SIZE
        seconds = torch.arange(xy.shape[1], device=xy.device) * (-context[:, 1:2]).exp()
        seconds = (seconds / REFERENCE_FPS)[:, None]  # alike for all hypotheses
        size = size[:, None, None].expand(*pose.shape[:-2], 1)
        xy, seen = xy[:, None].expand(*pose.shape[:-1], 2), detected[:, None]
        counts = usable[:, None].expand(pose.shape[:-2])
        share = share.float() * seen
        for _ in range(self.config.n_rounds):
            pose = onto_rays(pose, xy, size, share, skeleton.root, seconds, seen)
            pose = with_constant_bones(pose, skeleton, counts)
        return pose

    def _embedded(
        self,
        xy: Float[Tensor, "B F K 2"],
        confidence: Float[Tensor, "B F K"],
        detected: Float[Tensor, "B F K"],
        context: Float[Tensor, "B C"],
    ) -> Float[Tensor, "B T width"]:
        """Tokens of joints about their center, the center, and where it lies in space."""
        n = detected.sum(-1, keepdim=True).clamp(min=1)
        center = xy.sum(-2) / n
        relative = (xy - center[..., None, :]) * detected[..., None]
        angle = center * (context[:, :1].exp() * (REFERENCE_SIZE * 10))[:, None]
        features = torch.cat([relative.flatten(-2), center, angle, confidence, detected], -1)
        return self.from_keypoints(self._grouped(features).flatten(-2))

    def _grouped(self, x: Float[Tensor, "*any F C"]) -> Float[Tensor, "*any T stride C"]:
        """Frames by tokens, the last one filled up with zeros."""
        stride = self.config.stride
        x = functional.pad(x, (0, 0, 0, -x.shape[-2] % stride))
        return x.reshape(*x.shape[:-2], x.shape[-2] // stride, stride, x.shape[-1])

    def _in_frames(self, x: Float[Tensor, "N T C"], F: int) -> Float[Tensor, "N F J D"]:
        """What tokens say of joints of frames, without the frames that were filled up."""
        J = get_skeleton(self.config.skeleton).n_joints
        return x.reshape(x.shape[0], x.shape[1] * self.config.stride, J, -1)[:, :F]

    def _rope(self, context: Float[Tensor, "B C"], n_tokens: int) -> tuple[Tensor, Tensor]:
        """Rotary positions of tokens in units of 1/50 s, ready for heads."""
        c = self.config
        time = torch.arange(n_tokens, device=context.device) * c.stride
        cos, sin = rotary(time * (-context[:, 1:2]).exp(), c.width // c.n_heads)
        return cos[:, None], sin[:, None]


def _repeated(x: Tensor | None, n: int) -> Tensor | None:
    return None if x is None else repeated(x, n)
