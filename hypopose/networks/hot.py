"""Hourglass Tokenizer: drop similar frames in the middle of a network, recover them at its end.

Li, Liu, Liu, Wang, Cai, Sebe, "Hourglass Tokenizer for Efficient Transformer-Based 3D Human Pose
Estimation", CVPR 2024.

After some blocks, frames are clustered by density peaks and only the centers go on (TPC). At the
end one cross-attention with a learned query per frame writes all frames again (TRA). Without it,
the pose in the middle of the window is read, whose frame is then always kept.

| paper, released code | here |
| --- | --- |
| n (``layer_index``), f (``token_num``) | ``at``, ``keep`` |
| k nearest neighbors | ``n_nearest`` |
| TPC | :func:`choose_frames` |
| TRA, ``x_token`` | :class:`Recovery`, ``x_token`` |
| ``pos_embed_token`` | ``slot_position`` |

Departures from the published code:

* Two frames that are each other's nearest have equal densities by construction; the released code
  breaks the tie with fresh random numbers, so that results vary from run to run. Here they are a
  fixed low-discrepancy sequence, or given by the caller.
* Distances are computed in double precision, without the matrix product that makes d_ii nonzero.
* ``select="keypoints"`` (ours) compares frames by their keypoints. The choice is then one per clip,
  the same for all hypotheses, steps and the mirrored pass. Denoisers need it, because features of
  noisy poses would drop other frames at every step.
* ``skip`` (ours) adds each frame's features before pruning to its query, so that information
  specific to a dropped frame, such as the noise of a denoiser, is not lost.
* ``recover="interpolate"`` (ours) needs no training: the poses of dropped frames lie on the line
  between those of the kept frames before and after.
* Frames that are padding, or without keypoints, are chosen last.
* Clips of at most ``keep`` frames pass through the wrapped network as if it were not wrapped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hypopose.errors import OptionError
from hypopose.networks.attention import attention
from hypopose.networks.base import NetworkInfo
from hypopose.networks.frame_tokens import FrameTokens
from hypopose.networks.ktpformer import KTPFormer
from hypopose.networks.mhformer import MHFormer
from hypopose.networks.mixste import MixSTE2
from hypopose.networks.motionagformer import MotionAGFormer
from hypopose.networks.motionbert import MotionBERT
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import StagedNetwork, Tokens, distances, repeated

BACKBONES: dict[str, type[StagedNetwork]] = {
    "FrameTokens": FrameTokens,
    "KTPFormer": KTPFormer,
    "MHFormer": MHFormer,
    "MixSTE2": MixSTE2,
    "MotionAGFormer": MotionAGFormer,
    "MotionBERT": MotionBERT,
}
"""Networks that can be wrapped."""

GOLDEN = 0.6180339887498949


@dataclass(frozen=True, eq=False)
class Choice:
    """What clustering chose, and why.

    Args:
        index: Kept frames in order of time.
        ranked: The cluster centers by falling score; without a frame that was forced.
        density: Of each frame.
        distance: To the nearest denser frame; the largest distance for the densest.
        score: Density times distance; -inf for the forced frame.
    """

    index: Int[Tensor, "B K"]
    ranked: Int[Tensor, "B R"]
    density: Float[Tensor, "B F"]
    distance: Float[Tensor, "B F"]
    score: Float[Tensor, "B F"]


def tie_breaks(n_frames: int) -> Float[Tensor, " F"]:
    """Fixed numbers in 0..1, spread evenly, that differ from frame to frame.

    Example:
        >>> tie_breaks(3).round(decimals=2).tolist()
        [0.0, 0.62, 0.24]
    """
    return (torch.arange(n_frames, dtype=torch.float64) * GOLDEN) % 1.0


@torch.no_grad()
def choose_frames(
    features: Float[Tensor, "B F C"],
    keep: int,
    *,
    n_nearest: int = 2,
    noise: Float[Tensor, "B F"] | None = None,
    usable: Bool[Tensor, "B F"] | None = None,
    farthest: float | None = None,
    forced: int | None = None,
) -> Choice:
    """Representative frames by density peaks (Rodriguez and Laio, 2014).

    Args:
        features: What frames are compared by.
        keep: K.
        n_nearest: Neighbors, the frame itself included, whose distances make its density.
        noise: Numbers in 0..1 that break ties; None for :func:`tie_breaks`.
        usable: False for frames that are chosen last.
        farthest: Distance to frames that are not usable; None for the clip's largest plus 1. (The
            released code takes the batch's.)
        forced: A frame that is kept in any case.

    Returns:
        K frames per clip.

    Raises:
        OptionError: If fewer frames than K came, or K is not positive.

    Example:
        >>> walk = torch.tensor([0.0, 0.1, 5.0, 5.1, 9.0]).reshape(1, 5, 1)
        >>> choose_frames(walk, 2).index.tolist()
        [[1, 3]]
    """
    n_frames, width = features.shape[1:]
    if not 1 <= keep <= n_frames:
        raise OptionError(f"keep must be 1 to {n_frames}, the number of frames, got {keep}.")
    d = distances(features.double()) / width**0.5
    if usable is not None:
        far = d.amax((-2, -1), keepdim=True) + 1 if farthest is None else torch.tensor(farthest)
        d = torch.where(usable[:, None], d, far.to(d))
    nearest = d.topk(min(n_nearest, n_frames), -1, largest=False).values
    noise = tie_breaks(n_frames).to(d.device)[None] if noise is None else noise
    # In single precision, as released: some ties are only broken, and some only made, by rounding.
    density = (-(nearest**2).mean(-1)).exp().float() + 1e-6 * noise.float()
    if usable is not None:
        density = density * usable
    denser = density[:, None, :] > density[:, :, None]
    distance = torch.where(denser, d, d.amax((-2, -1), keepdim=True)).amin(-1)
    score = distance * density
    if forced is not None:
        score[:, forced] = -torch.inf
    ranked = score.topk(keep - (forced is not None), -1).indices
    index = ranked
    if forced is not None:
        index = torch.cat([index, torch.full_like(index[:, :1], forced)], -1)
    return Choice(index.sort(-1).values, ranked, density, distance, score)


class Recovery(nn.Module):
    """Cross-attention from one query per frame to the frames that are left, joint by joint."""

    def __init__(self, width: int, n_heads: int, bias: bool) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.linear_q = nn.Linear(width, width, bias=bias)
        self.linear_k = nn.Linear(width, width, bias=bias)
        self.linear_v = nn.Linear(width, width, bias=bias)
        self.proj = nn.Linear(width, width)

    def forward(
        self,
        queries: Float[Tensor, "M J F C"],
        kept: Float[Tensor, "N J K C"],
        mask: Bool[Tensor, "N K"] | None,
    ) -> Float[Tensor, "N J F C"]:
        """What the attention adds to the queries."""
        q, k, v = (
            y.unflatten(-1, (self.n_heads, -1)).transpose(2, 3)
            for y in (self.linear_q(queries), self.linear_k(kept), self.linear_v(kept))
        )
        keys = None if mask is None else mask[:, None, None, None]
        y = attention(q.expand(*k.shape[:3], -1, -1), k, v, keys)
        return self.proj(y.transpose(2, 3).flatten(3))


class Hourglass(PretrainedNetwork):
    """Any network of :data:`BACKBONES` with fewer frames in its later blocks.

    Args:
        backbone: Config of the wrapped network, its class under ``_class_name``.
        at: Blocks before frames are dropped, at least 1.
        keep: Frames that go on.
        n_nearest: Neighbors for the density of a frame, itself included.
        recover: ``"attention"`` writes all frames again; ``"interpolate"`` fills in their poses
            linearly; ``"none"`` gives the pose in the middle.
        select: Frames are compared by the ``"features"`` of their tokens (as published, lifters
            only) or by their ``"keypoints"``.
        skip: Whether queries contain the frame's features before pruning; recovering by attention
            needs it in networks of any clip length.
        n_heads: Of the recovering attention.
        qkv_bias: Whether its queries, keys and values have biases.

    Raises:
        OptionError: If options do not fit the wrapped network.

    Example:
        >>> inner = MixSTE2(n_frames=9, width=16, depth=2)
        >>> network = Hourglass.wrap(inner, at=1, keep=3, select="keypoints", skip=True).eval()
        >>> x_t, xy = torch.randn(2, 5, 9, 17, 3), torch.randn(2, 9, 17, 2)
        >>> network(x_t, xy, torch.tensor([999.0, 0.0])).shape
        torch.Size([2, 5, 9, 17, 3])
    """

    @recorded
    def __init__(
        self,
        backbone: dict[str, Any],
        at: int = 3,
        keep: int = 81,
        n_nearest: int = 2,
        recover: Literal["attention", "interpolate", "none"] = "attention",
        select: Literal["features", "keypoints"] = "features",
        skip: bool = False,
        n_heads: int = 8,
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        self.network = build_backbone(backbone)
        info, width = self.network.info, self.network.token_width
        self._check_options(info)
        if recover == "attention":
            n_queries = info.n_frames or 1
            self.slot_position = nn.Parameter(torch.zeros(1, keep, width))
            self.x_token = nn.Parameter(torch.zeros(1, n_queries, width))
            self.cross_attention = Recovery(width, n_heads, qkv_bias)

    @classmethod
    def wrap(cls, network: StagedNetwork, **options: Any) -> Hourglass:
        """Wrap a network; its weights are copied, those of the recovery are new.

        Args:
            network: A member of :data:`BACKBONES`. MotionAGFormer with batch norm must have been
                built with ``pruned=(at, keep)``.
            **options: ``at``, ``keep``, ...

        Returns:
            The wrapped network.
        """
        config = {k: v for k, v in network.config.items() if not k.startswith("_")}
        wrapped = cls({"_class_name": type(network).__name__, **config}, **options)
        wrapped.network.load_state_dict(network.state_dict())
        return wrapped

    def _check_options(self, info: NetworkInfo) -> None:
        c, n_stages = self.config, self.network.n_stages
        if not 1 <= c.at < n_stages:
            raise OptionError(f"at must be 1 to {n_stages - 1} for this network, got {c.at}.")
        if c.select == "features" and "denoiser" in info.forms:
            raise OptionError(
                "Features of noisy poses would drop other frames at every step; choose "
                "select='keypoints' for a denoiser."
            )
        if c.recover == "none" and "denoiser" in info.forms:
            raise OptionError(
                "A denoiser needs all frames; choose recover='attention', or 'interpolate'."
            )
        if info.n_frames is None and not c.skip and c.recover == "attention":
            raise OptionError("A network of any clip length has no query per frame; set skip=True.")
        self._check_graphs(info)

    def _check_graphs(self, info: NetworkInfo) -> None:
        c = self.config
        pruned = self.network.config.get("pruned")
        bound = isinstance(self.network, MotionAGFormer) and info.n_frames is not None
        if bound and (pruned is None or tuple(pruned) != (c.at, c.keep)):
            raise OptionError(
                f"The graphs of this MotionAGFormer are bound to frames; build it with "
                f"pruned=({c.at}, {c.keep})."
            )

    @property
    def info(self) -> NetworkInfo:
        """As the wrapped network's; one pose if frames are not recovered."""
        info = self.network.info
        return replace(info, sequence_to_one=info.sequence_to_one or self.config.recover == "none")

    def forward(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F K 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F K"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Float[Tensor, "B _H _F _J 3"]:
        """Predict x0 as the wrapped network does, see :class:`hypopose.networks.base.Network`.

        Args:
            x_t: Noisy poses; None for a lifter.
            keypoints: As ``info.inputs`` says.
            t: Timestep per clip; None for a lifter.
            confidence: Read if ``info.uses_confidence``, and to find frames without keypoints.
            mask: False for frames that are padding.
            context: As the wrapped network reads it.

        Returns:
            Clean poses; one if frames are not recovered or the network returns a single one.
        """
        tokens = self._begin(self.network.enter(x_t, keypoints, t, confidence, mask, context))
        index = self._index(tokens, keypoints, confidence, mask, None)
        poses = self._poses(tokens, index)
        if self.info.sequence_to_one:
            center = (keypoints.shape[1] - 1) // 2
            at = slice(center, center + 1)
            if index is not None and self.config.recover == "none":
                rank = (index < center).sum(-1)
                poses = poses[torch.arange(rank.shape[0], device=rank.device), rank][:, None]
            else:
                poses = poses[:, at]
        return poses.reshape(keypoints.shape[0], -1, *poses.shape[1:])

    def lift_kept(
        self,
        keypoints: Float[Tensor, "B F K 2"],
        confidence: Float[Tensor, "B F K"] | None = None,
        *,
        index: Int[Tensor, "B N"] | None = None,
        noise: Float[Tensor, "B F"] | None = None,
    ) -> tuple[Float[Tensor, "B _F _J 3"], Int[Tensor, "B N"]]:
        """A lifter's poses as the later blocks see them, and which frames went through.

        Args:
            keypoints: As ``info.inputs`` says.
            confidence: As in the contract.
            index: Frames to keep, for example those of the straight pass in the mirrored one.
            noise: Breaks ties, see :func:`choose_frames`.

        Returns:
            Poses (of all frames if they are recovered, else of those kept), and the kept frames.
        """
        tokens = self._begin(self.network.enter(None, keypoints, None, confidence, None, None))
        if index is None:
            index = self._index(tokens, keypoints, confidence, None, noise)
        if index is None:
            index = torch.arange(keypoints.shape[1], device=keypoints.device)
            index = index.expand(len(keypoints), -1)
            return self._poses(tokens, None), index
        return self._poses(tokens, index), index

    def _index(
        self,
        tokens: Tokens,
        keypoints: Tensor,
        confidence: Tensor | None,
        mask: Tensor | None,
        noise: Tensor | None,
    ) -> Int[Tensor, "B N"] | None:
        """Frames to keep, one choice per clip; None if all are."""
        c, n_frames = self.config, keypoints.shape[1]
        if n_frames <= c.keep:
            return None
        features, usable = keypoints.flatten(-2), mask
        if c.select == "features":
            features = tokens.x.mean(2)
        elif confidence is not None:
            detected = (confidence > 0).any(-1)
            usable = detected if mask is None else mask & detected
        forced = (n_frames - 1) // 2 if c.recover == "none" else None
        options = {"n_nearest": c.n_nearest, "noise": noise, "usable": usable, "forced": forced}
        return choose_frames(features.detach(), c.keep, **options).index

    def _begin(self, tokens: Tokens) -> Tokens:
        """The stages before frames are dropped."""
        for i in range(self.config.at):
            tokens = self.network.stage(i, tokens)
        return tokens

    def _poses(self, tokens: Tokens, index: Tensor | None) -> Float[Tensor, "N _F J 3"]:
        """The other stages, with the frames of ``index`` alone."""
        rest = tokens
        if index is not None:
            rest = tokens.keep(repeated(index, tokens.x.shape[0] // index.shape[0]))
            if self.config.recover == "attention":
                rest = rest.with_x(rest.x + self.slot_position[:, :, None])
        for i in range(self.config.at, self.network.n_stages):
            rest = self.network.stage(i, rest)
        if index is not None and self.config.recover == "attention":
            rest = tokens.with_x(self._recovered(tokens.x, rest))
        poses = self.network.leave(rest)
        if index is not None and self.config.recover == "interpolate":
            kept = repeated(index, poses.shape[0] // index.shape[0])
            return interpolated(poses, kept, tokens.x.shape[1])
        return poses

    def _recovered(self, before: Float[Tensor, "M F J C"], rest: Tokens) -> Tensor:
        # Networks may part a clip's hypotheses behind the cut.
        before = repeated(before, rest.x.shape[0] // before.shape[0])
        kept = rest.x.transpose(1, 2)
        queries = self.x_token[:, None].expand(1, kept.shape[1], -1, -1)
        if self.config.skip:
            queries = queries + before.transpose(1, 2)
        return (queries + self.cross_attention(queries, kept, rest.mask)).transpose(1, 2)


def interpolated(
    poses: Float[Tensor, "N K J 3"], index: Int[Tensor, "N K"], n_frames: int
) -> Float[Tensor, "N F J 3"]:
    """Poses of all frames from those of some, linear in time; the first and last are held.

    Args:
        poses: Of the frames in ``index``.
        index: Rising.
        n_frames: F.

    Example:
        >>> poses = torch.tensor([0.0, 4.0]).reshape(1, 2, 1, 1).expand(1, 2, 1, 3)
        >>> interpolated(poses, torch.tensor([[1, 3]]), 5)[0, :, 0, 0].tolist()
        [0.0, 0.0, 2.0, 4.0, 4.0]
    """
    frame = torch.arange(n_frames, device=index.device).expand(index.shape[0], n_frames)
    kept, last = index[:, None], index.shape[1] - 1
    after = (kept < frame[..., None]).sum(-1).clamp(max=last)
    before = ((kept <= frame[..., None]).sum(-1) - 1).clamp(min=0)
    start, end = index.gather(1, before), index.gather(1, after)
    share = ((frame - start).to(poses) / (end - start).clamp(min=1)).clamp(0, 1)[..., None, None]
    rows = torch.arange(poses.shape[0], device=poses.device)[:, None]
    return torch.lerp(poses[rows, before], poses[rows, after], share)


def build_backbone(config: dict[str, Any]) -> StagedNetwork:
    """A network of :data:`BACKBONES`, with random weights.

    Raises:
        OptionError: If no such class can be wrapped.
    """
    name = config.get("_class_name")
    if name not in BACKBONES:
        raise OptionError(f"{name!r} cannot be wrapped; choose one of {', '.join(BACKBONES)}.")
    return BACKBONES[name](**{k: v for k, v in config.items() if not k.startswith("_")})
