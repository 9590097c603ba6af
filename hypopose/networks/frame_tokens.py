"""FrameTokens: a denoiser made for CPUs, one token per frame.

Ours. MixSTE2 and its relatives spend one token on each joint of each frame, 17 times as many as
here. One token per frame carries all joints (2D, confidence, noisy 3D), so that attention runs over
time only and a video costs a fraction. It reads keypoints through a camera turned towards the
subject (``info.inputs == "subject"``, :mod:`hypopose.networks.inputs`), so that one network serves
any focal length.

The noise level and the clip's features modulate every block (adaLN with one shared projection and a
small table per block: Peebles and Xie, "Scalable diffusion models with transformers", ICCV 2023;
Chen et al., "PixArt-α", ICLR 2024). Positions are rotary and count *time*, not frames (Su et al.,
"RoFormer", 2021), so that one network reads 15 and 60 Hz, and clips of any length.

With ``on_rays`` the network's pose is moved towards the keypoints' rays by learned weights, and the
jitter of keypoints is a further input (:mod:`hypopose.networks.ray_projection`).

With ``n_shared`` the first blocks see keypoints alone, as the lifter form does: they run once for
all hypotheses of a clip and do not depend on the noise level; noise enters between two blocks.

| symbol | here |
| --- | --- |
| x_t, x0, t | ``x_t``, returned, ``t`` |
| noise level embedding | ``_embed_time`` |
| keypoint features | ``_condition``: joints about their center, the center, confidences |
| perspective encoding, K⁻¹ (u, v, 1) | ``_rays``, with ``perspective=True`` |
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from hypopose.errors import ShapeError
from hypopose.networks.attention import Backend, attention, check_backend
from hypopose.networks.base import NetworkInfo
from hypopose.networks.constant_bones import with_constant_bones
from hypopose.networks.inputs import REFERENCE_FPS, REFERENCE_SIZE
from hypopose.networks.ray_projection import jitter, onto_rays
from hypopose.networks.recorded_config import recorded
from hypopose.networks.single_precision import single_precision
from hypopose.networks.staged import StagedNetwork, Tokens, hypotheses_mask, repeated, rows_mask
from hypopose.skeletons import get_skeleton

Rope = tuple[Tensor, Tensor]


class FrameBlock(nn.Module):
    """Pre-norm transformer block over frames, modulated by the noise level."""

    def __init__(self, width: int, n_heads: int, mlp_ratio: float, backend: Backend) -> None:
        super().__init__()
        hidden = int(width * mlp_ratio)
        self.n_heads = n_heads
        self.backend: Backend = backend
        self.norm_attention = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width, elementwise_affine=False)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        # Scale, shift and gate of attention and of the MLP; gates start at 1.
        start = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0, 1.0])
        self.modulation = nn.Parameter(start[:, None].repeat(1, width))

    def forward(
        self,
        x: Float[Tensor, "N F width"],
        shared: Float[Tensor, "N 6 width"],
        rope: Rope,
        mask: Bool[Tensor, "N 1 1 F"] | None,
    ) -> Float[Tensor, "N F width"]:
        """Attend over frames, then transform each frame."""
        m = (self.modulation + shared)[:, :, None]
        h = torch.addcmul(m[:, 1], self.norm_attention(x), 1 + m[:, 0])
        qkv = self.qkv(h).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = _rotate(qkv[:2], rope)
        h = attention(q, k, qkv[2], mask, self.backend)
        x = torch.addcmul(x, m[:, 2], self.out(h.transpose(1, 2).flatten(2)).to(x.dtype))
        h = torch.addcmul(m[:, 4], self.norm_mlp(x), 1 + m[:, 3])
        h = functional.relu(self.up(h), inplace=True)
        h = h * h if h.requires_grad else h.mul_(h)  # no new memory where no gradient needs the old
        return torch.addcmul(x, m[:, 5], self.down(h).to(x.dtype))


class FrameTokens(StagedNetwork):
    """Transformer over frames: keypoints and a noisy motion in, a clean motion out.

    Args:
        width: Width of a token.
        n_layers: Blocks.
        n_heads: Attention heads.
        mlp_ratio: Hidden over outer width of the MLPs.
        n_keypoints: 2D joints read.
        n_joints: 3D joints written.
        n_context: Per-clip features; the first two are log size and log frame rate.
        scale: Poses in meters are multiplied by it inside, so that they have unit variance.
        max_frames: Longest window of the training; longer ones run, untested.
        keypoint_skeleton: Name of the 2D skeleton.
        skeleton: Name of the 3D skeleton.
        n_latent: Channels of latent noise read beside the noisy pose, a multiple of 12; 0 for a
            denoiser.
        attention: Backend, see :mod:`hypopose.networks.attention`.
        perspective: Also reads every keypoint's original ray, not divided by the subject's size
            (PersPose's perspective encoding: Hao and Li, ICCV 2025). Keypoints and the size tell
            the same, so the bundled weights do without.
        n_shared: Blocks at the start that see keypoints alone, once for all hypotheses of a clip;
            noisy poses, latent noise and the noise level enter behind them.
        on_rays: Poses are moved towards the rays of their keypoints, each joint as far as the
            network trusts its keypoint, and every keypoint's jitter is read
            (:mod:`hypopose.networks.ray_projection`).
        one_step: Weights that were trained to draw from pure noise only: samplers refuse more
            evaluations.
        constant_bones: Whether a hypothesis keeps its bone lengths over a clip
            (:mod:`hypopose.networks.constant_bones`).

    Raises:
        ShapeError: If the width does not divide into heads of even width, no block is left for
            the noise, or joints are to lie on rays of another skeleton's keypoints.
        BackendError: If the attention backend cannot run here.

    Example:
        >>> network = FrameTokens(width=16, n_layers=1, n_heads=2).eval()
        >>> x_t, xy = torch.randn(2, 5, 9, 17, 3), torch.randn(2, 9, 17, 2)
        >>> network(x_t, xy, torch.tensor([999.0, 0.0])).shape
        torch.Size([2, 5, 9, 17, 3])
    """

    @recorded
    def __init__(
        self,
        width: int = 256,
        n_layers: int = 6,
        n_heads: int = 8,
        mlp_ratio: float = 3.0,
        n_keypoints: int = 17,
        n_joints: int = 17,
        n_context: int = 2,
        scale: float = 3.0,
        max_frames: int = 81,
        keypoint_skeleton: str = "h36m17",
        skeleton: str = "h36m17",
        n_latent: int = 0,
        attention: Backend = "sdpa",
        perspective: bool = False,
        n_shared: int = 0,
        on_rays: bool = False,
        one_step: bool = False,
        constant_bones: bool = False,
    ) -> None:
        super().__init__()
        check_backend(attention)
        self._check_sizes()
        self.scale = scale
        self.n_heads = n_heads
        self.from_keypoints = nn.Linear(4 * n_keypoints + 4, width)
        self.from_context = nn.Linear(n_context, width)
        self.from_pose = nn.Linear(3 * n_joints + n_latent, width)
        self.lift_token = nn.Parameter(torch.zeros(width))
        self.time_embedding = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.time_token = nn.Linear(width, width)
        self.time_modulation = nn.Linear(width, 6 * width)
        blocks = [FrameBlock(width, n_heads, mlp_ratio, attention) for _ in range(n_layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width)
        self.to_pose = nn.Linear(width, 3 * n_joints)
        self._start_small(blocks)
        self.from_rays = nn.Linear(2 * n_keypoints, width, bias=False) if perspective else None
        if self.from_rays is not None:
            nn.init.normal_(self.from_rays.weight, std=0.01)
        self.from_jitter = nn.Linear(n_keypoints, width, bias=False) if on_rays else None
        self.to_share = share_head(width, n_joints) if on_rays else None
        if self.from_jitter is not None:
            nn.init.normal_(self.from_jitter.weight, std=0.01)

    def _check_sizes(self) -> None:
        c = self.config
        if not 0 <= c.n_shared < c.n_layers:
            raise ShapeError(
                f"n_shared is a whole number up to n_layers - 1 = {c.n_layers - 1}, got "
                f"{c.n_shared!r}."
            )
        if c.width % (2 * c.n_heads):
            raise ShapeError(
                f"width must be a multiple of 2 n_heads = {2 * c.n_heads}, got {c.width}."
            )
        if c.n_latent % 12:
            raise ShapeError(f"n_latent must be a multiple of 12, got {c.n_latent}.")
        other = c.keypoint_skeleton != c.skeleton or c.n_keypoints != c.n_joints
        if c.on_rays and other:
            raise ShapeError(
                f"on_rays needs a keypoint for every joint: {c.n_keypoints} of "
                f"{c.keypoint_skeleton} are not {c.n_joints} of {c.skeleton}."
            )

    def _start_small(self, blocks: list[FrameBlock]) -> None:
        """Blocks start near the identity, poses near 0, the noise level without effect."""
        nn.init.zeros_(self.time_modulation.weight)
        nn.init.zeros_(self.time_modulation.bias)
        for block in blocks:
            for layer in (block.out, block.down):
                std = layer.in_features**-0.5 / math.sqrt(2 * len(blocks))
                nn.init.normal_(layer.weight, std=std)
        nn.init.normal_(self.to_pose.weight, std=0.02)

    @property
    def info(self) -> NetworkInfo:
        """Rays towards the subject in, any clip length, confidences read."""
        c = self.config
        return NetworkInfo(
            inputs="subject",
            n_frames=None,
            keypoint_skeleton=c.keypoint_skeleton,
            skeleton=c.skeleton,
            uses_confidence=True,
            max_frames=c.max_frames,
            forms=("denoiser", "lifter"),
            n_latent=c.n_latent,
            on_rays=c.on_rays,
            one_step=c.one_step,
            constant_bones=c.constant_bones,
        )

    @property
    def n_stages(self) -> int:
        """One per block."""
        return len(self.blocks)

    @property
    def token_width(self) -> int:
        """Width of a token."""
        return self.config.width

    def enter(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F K 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F K"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Tokens:
        """One token per frame; positions and what modulates the blocks go along.

        Args:
            x_t: Noisy poses in meters (divided by the sampler's scale), the latent noise in further
                rows of three behind the joints; None for the lifter form.
            keypoints: ``xy`` of :func:`hypopose.networks.inputs.encode_rays`.
            t: Timestep per clip, 0 .. n_timesteps - 1; the lifter form needs none.
            confidence: 0 where undetected; all keypoints count as detected where None.
            mask: False for frames that are padding; they change no other frame.
            context: log(size / 0.1) and log(fps / 50) per clip; zeros where None.

        Returns:
            Tokens; J is 1.
        """
        B, F = keypoints.shape[:2]
        if confidence is None:
            confidence = torch.ones_like(keypoints[..., 0])
        if context is None:
            context = keypoints.new_zeros(B, self.config.n_context)
        if self.config.n_shared:
            return self._enter_shared(x_t, keypoints, t, confidence, mask, context)
        level = self._embed_time(t, keypoints)
        # Everything the hypotheses of a clip share is embedded once.
        condition = (
            self._condition(keypoints, confidence, context, mask) + self.time_token(level)[:, None]
        )
        noisy = self.lift_token if x_t is None else self._embed_pose(x_t)
        x = condition[:, None] + noisy
        H = x.shape[1]
        shared = self._modulation(level)
        frames = (*self._rope(context, F), *self._seen(keypoints, confidence, context, mask))
        return Tokens(
            x=x.flatten(0, 1)[:, :, None],
            mask=hypotheses_mask(mask, H),
            frames=tuple(repeated(y, H) for y in frames),
            clips=(repeated(shared, H),),
        )

    def _enter_shared(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F K 2"],
        t: Float[Tensor, " B"] | None,
        confidence: Float[Tensor, "B F K"],
        mask: Bool[Tensor, "B F"] | None,
        context: Float[Tensor, "B C"],
    ) -> Tokens:
        """The lifter form's tokens, one row a clip; what hypotheses add to them goes along."""
        still = self._embed_time(None, keypoints)
        given = self.time_token(still) + self.lift_token
        x = self._condition(keypoints, confidence, context, mask) + given[:, None]
        frames: tuple[Tensor, ...] = self._rope(context, x.shape[1])
        frames = (*frames, *self._seen(keypoints, confidence, context, mask))
        clips: tuple[Tensor, ...] = (self._modulation(still),)
        if x_t is not None:
            level = self._embed_time(t, keypoints)
            noisy = self._embed_pose(x_t) + self.time_token(level)[:, None, None]
            frames = (*frames, noisy.transpose(1, 2))
            clips = (*clips, self._modulation(level))
        return Tokens(x=x[:, :, None], mask=mask, frames=frames, clips=clips)

    def _parted(self, tokens: Tokens) -> Tokens:
        """One row a hypothesis: features of the clip and what each hypothesis adds."""
        *frames, noisy = tokens.frames
        H = noisy.shape[2]
        return Tokens(
            x=(tokens.x + noisy).transpose(1, 2).flatten(0, 1)[:, :, None],
            mask=hypotheses_mask(tokens.mask, H),
            frames=tuple(repeated(y, H) for y in frames),
            clips=(repeated(tokens.clips[1], H),),
        )

    def stage(self, i: int, tokens: Tokens) -> Tokens:
        """Attend over frames, then transform each frame."""
        if i == self.config.n_shared and len(tokens.clips) > 1:
            tokens = self._parted(tokens)
        cos, sin = tokens.frames[:2]
        visible = rows_mask(tokens.mask, 1)
        x = self.blocks[i](
            tokens.x[:, :, 0], tokens.clips[0], (cos[:, None], sin[:, None]), visible
        )
        return tokens.with_x(x[:, :, None])

    def leave(self, tokens: Tokens) -> Float[Tensor, "N F J 3"]:
        """Clean poses in meters, the root about 0."""
        x = self.norm(tokens.x[:, :, 0])
        with single_precision(x):
            pose = self.to_pose(x.to(self.to_pose.weight.dtype)).float() / self.scale
        pose = self._onto_rays(pose.unflatten(-1, (-1, 3)), x, tokens)
        if not self.config.constant_bones:
            return pose
        usable = None if tokens.mask is None else tokens.mask.to(pose.dtype)
        return with_constant_bones(pose, get_skeleton(self.config.skeleton), usable)

    def _onto_rays(
        self, pose: Float[Tensor, "N F J 3"], x: Float[Tensor, "N F width"], tokens: Tokens
    ) -> Float[Tensor, "N F J 3"]:
        """Poses moved towards the rays of their keypoints, if the network has ``on_rays``."""
        if self.to_share is None:
            return pose
        # Behind a cut (Hourglass) hypotheses may have parted from the clip they see.
        seen = repeated(tokens.frames[2], x.shape[0] // tokens.frames[2].shape[0])
        xy, detected, size, seconds = (
            seen[..., :2],
            seen[..., 2],
            seen[..., 0, 3:4],
            seen[..., 0, 4],
        )
        share = self.to_share(x).float().sigmoid() * detected
        root = get_skeleton(self.config.skeleton).root
        return onto_rays(pose, xy, size, share, root, seconds, detected)

    def _seen(
        self,
        xy: Float[Tensor, "B F K 2"],
        confidence: Float[Tensor, "B F K"],
        context: Float[Tensor, "B C"],
        mask: Bool[Tensor, "B F"] | None,
    ) -> tuple[Float[Tensor, "B F K 5"], ...]:
        """Keypoints, whether they were detected, the subject's size and the time, for rays."""
        if self.to_share is None:
            return ()
        detected = (confidence > 0).to(xy.dtype)
        size = (context[:, :1].exp() * REFERENCE_SIZE)[:, None].expand_as(detected)
        if mask is not None:
            detected = detected * mask[..., None]
        seconds = torch.arange(xy.shape[1], device=xy.device) * (-context[:, 1:2]).exp()
        seconds = (seconds / REFERENCE_FPS)[..., None].expand_as(detected)
        xy = xy * detected[..., None]
        return (torch.cat([xy, torch.stack([detected, size, seconds], -1)], -1),)

    def _condition(
        self,
        xy: Float[Tensor, "B F K 2"],
        confidence: Float[Tensor, "B F K"],
        context: Float[Tensor, "B C"],
        mask: Bool[Tensor, "B F"] | None,
    ) -> Float[Tensor, "B F width"]:
        """Per-frame features: joints about their center, the center, and where it lies in space."""
        detected = (confidence > 0).to(xy.dtype)
        n = detected.sum(-1, keepdim=True).clamp(min=1)
        center = (xy * detected[..., None]).sum(-2) / n
        relative = (xy - center[..., None, :]) * detected[..., None]
        # Ten times the tangent of the angle between the frame's center and the virtual axis.
        angle = center * (context[:, :1].exp() * (REFERENCE_SIZE * 10))[:, None]
        features = torch.cat([relative.flatten(-2), center, angle, confidence, detected], -1)
        token = self.from_keypoints(features) + self.from_context(context)[:, None]
        if self.from_jitter is not None:
            usable = detected if mask is None else detected * mask[..., None]
            token = token + self.from_jitter(jitter(xy, usable))[:, None]
        if self.from_rays is None:
            return token
        return token + self.from_rays(_rays(xy, context).flatten(-2))

    def _embed_pose(self, x_t: Float[Tensor, "B H F J 3"]) -> Float[Tensor, "B H F width"]:
        """Noisy poses at unit variance, and the latent noise as it is."""
        n = self.config.n_joints
        pose, latent = x_t[..., :n, :] * self.scale, x_t[..., n:, :]
        return self.from_pose(torch.cat([pose, latent], -2).flatten(-2))

    def _embed_time(self, t: Tensor | None, keypoints: Tensor) -> Float[Tensor, "B width"]:
        """Sinusoids of the timestep through a small MLP; zeros in for the lifter form."""
        width = self.config.width
        if t is None:
            return self.time_embedding(keypoints.new_zeros(keypoints.shape[0], width))
        i = torch.arange(width // 2, device=t.device)
        angles = t.to(keypoints.dtype)[:, None] * torch.exp(i * (-math.log(1e4) / (width // 2)))
        return self.time_embedding(torch.cat([angles.cos(), angles.sin()], -1))

    def _modulation(self, level: Float[Tensor, "B width"]) -> Float[Tensor, "B 6 width"]:
        """Modulation of every block by the noise level."""
        return self.time_modulation(functional.silu(level)).unflatten(-1, (6, -1))

    def _rope(self, context: Tensor, F: int) -> Rope:
        """Cosines and sines (B, F, D/2) of rotary positions in units of 1/50 s."""
        time = torch.arange(F, device=context.device) * (-context[:, 1:2]).exp()
        return rotary(time, self.config.width // self.n_heads)


def rotary(time: Float[Tensor, "*any F"], width: int) -> Rope:
    """Cosines and sines (*any, F, width / 2) of positions, turning once in 1 to 200 units."""
    period = torch.exp(torch.linspace(0.0, math.log(200.0), width // 2, device=time.device))
    angles = time[..., None] / period
    return angles.cos(), angles.sin()


def share_head(width: int, n_joints: int) -> nn.Sequential:
    """How far each joint is trusted to lie on its ray, as logits; little at first."""
    out = nn.Linear(width, n_joints)
    nn.init.zeros_(out.weight)
    nn.init.constant_(out.bias, -1.0)
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), out)


def _rays(xy: Float[Tensor, "B F K 2"], context: Float[Tensor, "B C"]) -> Float[Tensor, "B F K 2"]:
    """Ten times where rays meet the plane z = 1 of the turned camera; 0 where undetected."""
    return xy * (context[:, :1].exp() * (REFERENCE_SIZE * 10))[:, None, None]


def _rotate(x: Float[Tensor, "n N heads F D"], rope: Rope) -> Float[Tensor, "n N heads F D"]:
    """Turn pairs of channels by their position's angles."""
    cos, sin = rope[0].to(x.dtype), rope[1].to(x.dtype)
    a, b = x.chunk(2, -1)
    return torch.cat([torch.addcmul(a * cos, b, sin, value=-1), torch.addcmul(b * cos, a, sin)], -1)
