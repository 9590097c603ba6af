"""MPM: masked pose modeling, one token per frame, for 2D and 3D poses alike.

Zhang, Chai, Jiang, Ye, Song, Hwang, Wang, "MPM: A Unified 2D-3D Human Pose Representation via
Masked Pose Modeling", arXiv 2306.17201.

2D and 3D poses enter through encoders of their own and share everything after. In pretraining,
joints and whole frames are hidden, and three tasks fill them in: 2D from 2D, 3D from 3D, and 3D
from 2D. The same network completes missing joints; its encoder starts the lifter.

| paper, released code | here |
| --- | --- |
| pretraining and completion networks | :class:`MPM` with ``decoder_depth`` 1 and 2 |
| fine-tuned lifter, ``fcn``, ``fcn_1`` (VTE) | :class:`MPMLifter`, pose in the middle, all poses |
| refine head | :class:`MPMRefinement` |
| masked 2D, masked 3D, 2D-to-3D losses | :func:`pretext_losses` |
| spatial, temporal, tube masks | ``hidden`` (B, F, J) and ``visible`` (B, F) |

Modules carry the names of the released tensors. Departures, without effect on numbers in eval mode:

* masks are per sample, joint and frame; hidden frames are kept out of attention by a mask, not cut
  out, so that samples may hide different frames (and exactly one);
* attention weights have no dropout in training;
* norms that the released code stores and never applies do not exist here.

Frames the ``mask`` of the network contract leaves out are hidden frames.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hypopose.errors import OptionError
from hypopose.networks.attention import attention
from hypopose.networks.base import NetworkInfo
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import check_clip, check_form
from hypopose.skeletons import get_skeleton

TUBES: dict[int, tuple[tuple[int, ...], ...]] = {
    3: ((1, 2, 3), (14, 15, 16), (11, 12, 13), (4, 5, 6)),
    2: (
        (1, 2, 3, 4, 5, 6),
        (11, 12, 13, 14, 15, 16),
        (1, 2, 3, 14, 15, 16),
        (4, 5, 6, 11, 12, 13),
    ),
}
"""Joints hidden together in completion, by the number of coordinates; Human3.6M's order."""

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


class MPM(PretrainedNetwork):
    """Fills in hidden joints and frames of 2D and 3D poses, and lifts 2D with gaps.

    In the network contract it is a lifter: keypoints with confidence 0 are hidden joints.

    Args:
        n_frames: Clip length T; the only one it takes.
        width: Channels C.
        hidden: Channels of the layers' MLPs.
        n_layers: Temporal layers.
        decoder_depth: Layers of each decoder: 1 in pretraining, 2 for completion.
        dropout: Probability in training.
        skeleton: Name of the 2D and 3D skeleton (``h36m16`` without the neck).

    Raises:
        OptionError: If the width is not a multiple of eight heads.

    Example:
        >>> network = MPM(n_frames=9, width=16, hidden=16, n_layers=1).eval()
        >>> xy, missing = torch.randn(2, 9, 17, 2), torch.zeros(2, 9, 17, dtype=torch.bool)
        >>> missing[:, :, 3] = True
        >>> filled = network.complete(xy, missing)
        >>> bool((filled == xy).all(-1)[~missing].all()), filled[missing].shape
        (True, torch.Size([18, 2]))
    """

    @recorded
    def __init__(
        self,
        n_frames: int = 243,
        width: int = 256,
        hidden: int = 512,
        n_layers: int = 4,
        decoder_depth: int = 1,
        dropout: float = 0.1,
        skeleton: str = "h36m17",
    ) -> None:
        super().__init__()
        _check_width(width)
        n_joints = get_skeleton(skeleton).n_joints
        self.spatial_mask_token2d = nn.Parameter(torch.randn(1, 1, 2))
        self.spatial_mask_token3d = nn.Parameter(torch.randn(1, 1, 3))
        self.temporal_mask_token = nn.Parameter(torch.randn(1, 1, width))
        self.dec_pos_embedding = nn.Parameter(torch.randn(1, n_frames, width))
        self.encoder2d = PoseEncoder(2 * n_joints, 2 * width, dropout)
        self.encoder3d = PoseEncoder(3 * n_joints, 2 * width, dropout)
        self.shared_layers_spatial = SharedSpatial(2 * width, width, dropout)
        self.shared_layers_temporal = Layers(n_layers, width, hidden, dropout, n_frames)
        self.encoder_LN = Norm(width)
        self.decoder2d = Layers(decoder_depth, width, hidden, dropout)
        self.decoder3d = Layers(decoder_depth, width, hidden, dropout)
        self.fcn_dec2d = pose_head(width, 2 * n_joints)
        self.fcn_dec3d = pose_head(width, 3 * n_joints)

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates in, with gaps; one clip length."""
        c = self.config
        return NetworkInfo(
            "screen", c.n_frames, c.skeleton, c.skeleton, uses_confidence=True, forms=("lifter",)
        )

    def forward(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F J 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F J"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Float[Tensor, "B 1 F J 3"]:
        """Lift keypoints with gaps.

        Args:
            x_t: None; this is a lifter.
            keypoints: Screen coordinates.
            t: None.
            confidence: 0 for hidden joints; nothing is hidden where None.
            mask: False for hidden frames.
            context: Not used.

        Returns:
            Poses in meters.

        Raises:
            ShapeError: If the clip length differs, or noise is given.
        """
        check_form("MPM", True, x_t, t)
        return self.decode(self.encode(keypoints, _hidden(confidence), mask), 3)[:, None]

    def encode(
        self,
        points: Float[Tensor, "B F J D"],
        hidden: Bool[Tensor, "B F J"] | None = None,
        visible: Bool[Tensor, "B F"] | None = None,
    ) -> Float[Tensor, "B F C"]:
        """Features of 2D (D = 2) or 3D poses, without what is hidden.

        Args:
            points: Screen coordinates, or meters.
            hidden: Joints replaced by the mask token.
            visible: False for frames replaced by the mask token.

        Returns:
            One token per frame, hidden ones included.

        Raises:
            ShapeError: If the clip length differs.
        """
        n_dims = points.shape[-1]
        n_joints = get_skeleton(self.config.skeleton).n_joints
        check_clip("MPM", points, self.config.n_frames, n_joints)
        if hidden is not None:
            token = self.get_parameter(f"spatial_mask_token{n_dims}d")
            points = torch.where(hidden[..., None], token.to(points), points)
        x = self.shared_layers_spatial(self.get_submodule(f"encoder{n_dims}d")(points)).mT
        x = self.encoder_LN(self.shared_layers_temporal(x, visible))
        if visible is not None:
            x = torch.where(visible[..., None], x, self.temporal_mask_token)
        return x + self.dec_pos_embedding

    def decode(self, tokens: Float[Tensor, "B F C"], n_dims: int) -> Float[Tensor, "B F J D"]:
        """Poses of the tokens: 2D on the screen, or 3D in meters."""
        x = self.get_submodule(f"decoder{n_dims}d")(tokens)
        return self.get_submodule(f"fcn_dec{n_dims}d")(x.mT).mT.unflatten(-1, (-1, n_dims))

    def complete(
        self, points: Float[Tensor, "B F J D"], missing: Bool[Tensor, "B F J"]
    ) -> Float[Tensor, "B F J D"]:
        """Fill in missing joints of 2D or 3D poses; the others stay as they are.

        Args:
            points: Screen coordinates, or root-relative meters; anything (NaN) where missing.
            missing: True where to fill in.

        Returns:
            Completed points.
        """
        filled = self.decode(self.encode(points, missing), points.shape[-1])
        return torch.where(missing[..., None], filled, points)


def pretext_losses(
    network: MPM,
    points: Float[Tensor, "B F J D"],
    hidden: Bool[Tensor, "B F J"],
    visible: Bool[Tensor, "B F"] | None = None,
    target: Float[Tensor, "B F J 3"] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """The pretext tasks on one batch; the errors count every joint, hidden or not.

    Args:
        network: In training.
        points: 2D on the screen, or 3D in meters.
        hidden: Joints hidden from it.
        visible: False for frames hidden from it.
        target: 3D of the same clips, for lifting 2D.

    Returns:
        ``"2d"`` or ``"3d"``, the mean error of the reconstruction, and ``"lift"`` if there is a
        target. The paper weighs them 5, 2 and, with paired data, 5, 5 and 1.
    """
    n_dims = points.shape[-1]
    tokens = network.encode(points, hidden, visible)
    losses = {f"{n_dims}d": (network.decode(tokens, n_dims) - points).norm(dim=-1).mean()}
    if target is not None:
        losses["lift"] = (network.decode(tokens, 3) - target).norm(dim=-1).mean()
    return losses


def random_masks(
    n_clips: int, n_frames: int, n_joints: int, n_hidden: int, rate: float, seed: int
) -> tuple[Bool[Tensor, "B F J"], Bool[Tensor, "B F"]]:
    """Masks of pretraining: some joints of each frame, some frames of each clip.

    Args:
        n_clips: B.
        n_frames: F.
        n_joints: J.
        n_hidden: Joints hidden in each frame (5 in the paper).
        rate: Share of hidden frames (0.6 in the paper).
        seed: Same seed, same masks.

    Returns:
        Hidden joints, and visible frames.

    Example:
        >>> hidden, visible = random_masks(1, 27, 17, 5, 0.6, seed=0)
        >>> hidden.sum(-1).unique().tolist(), int(visible.sum())
        ([5], 11)
    """
    generator = torch.Generator().manual_seed(seed)
    ranks = torch.rand(n_clips, n_frames, n_joints, generator=generator).argsort(-1).argsort(-1)
    frames = torch.rand(n_clips, n_frames, generator=generator).argsort(-1).argsort(-1)
    return ranks < n_hidden, frames >= int(n_frames * rate)


def tube_masks(
    modes: Int[Tensor, " B"], n_dims: Literal[2, 3], n_frames: int, seed: int = 0
) -> Bool[Tensor, "B F 17"]:
    """Masks of completion: the same joints in all frames, limbs together.

    Args:
        modes: 0 to 3 for the limbs of :data:`TUBES`; m > 3 for m - 3 random joints.
        n_dims: Whether 2D or 3D poses are completed.
        n_frames: F.
        seed: For random joints.

    Returns:
        True where hidden.

    Example:
        >>> tube_masks(torch.tensor([0, 9]), 2, 1).sum(-1).tolist()
        [[6], [6]]
    """
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.zeros(len(modes), 17, dtype=torch.bool)
    for row, mode in zip(hidden, modes.tolist(), strict=True):
        joints = torch.randperm(17, generator=generator)[: mode - 3]
        row[list(TUBES[n_dims][mode]) if mode < 4 else joints] = True
    return hidden[:, None].repeat(1, n_frames, 1)


class MPMLifter(PretrainedNetwork):
    """The fine-tuned lifter: MPM's encoder, and strided layers down to the pose in the middle.

    Args:
        strides: Factors by which the number of frames shrinks; their product is the clip length
            (351 frames: 3, 9, 13; a factor of 1 only transforms).
        width: Channels C.
        hidden: Channels of the layers' MLPs.
        n_layers: Temporal layers.
        output: ``"center"`` for the pose in the middle, ``"sequence"`` for all (trained as a help).
        dropout: Of the encoder in training.
        skeleton: Name of the 2D and 3D skeleton.

    Raises:
        OptionError: If the width is not a multiple of eight heads.

    Example:
        >>> network = MPMLifter(strides=(3, 3), width=16, hidden=16, n_layers=1).eval()
        >>> network(None, torch.randn(2, 9, 17, 2)).shape
        torch.Size([2, 1, 1, 17, 3])
    """

    @recorded
    def __init__(
        self,
        strides: list[int] | tuple[int, ...] = (3, 3, 3, 3, 3),
        width: int = 256,
        hidden: int = 512,
        n_layers: int = 4,
        output: Literal["center", "sequence"] = "center",
        dropout: float = 0.2,
        skeleton: str = "h36m17",
    ) -> None:
        super().__init__()
        _check_width(width)
        n_frames, n_joints = math.prod(strides), get_skeleton(skeleton).n_joints
        self.encoder2d = PoseEncoder(2 * n_joints, 2 * width, dropout)
        self.shared_layers_spatial = SharedSpatial(2 * width, width, dropout)
        self.shared_layers_temporal = Layers(n_layers, width, hidden, 0.1, n_frames)
        self.Transformer_reduce = Reducer(tuple(strides), width, hidden, n_frames, 0.1)
        self.fcn = pose_head(width, 3 * n_joints)
        self.fcn_1 = pose_head(width, 3 * n_joints)

    @property
    def info(self) -> NetworkInfo:
        """Screen coordinates of a whole window in."""
        c = self.config
        return NetworkInfo(
            "screen",
            math.prod(c.strides),
            c.skeleton,
            c.skeleton,
            forms=("lifter",),
            sequence_to_one=c.output == "center",
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
        """The pose in the middle, or all; only ``keypoints`` are read.

        Args:
            x_t: None; this is a lifter.
            keypoints: Screen coordinates.
            t: None.
            confidence: Not used.
            mask: Not used: every frame of the window counts.
            context: Not used.

        Returns:
            Poses in meters, the root as predicted.

        Raises:
            ShapeError: If the clip length differs, or noise is given.
        """
        check_form("MPMLifter", True, x_t, t)
        tokens = self.encode(keypoints)
        if self.config.output == "sequence":
            return self.sequence(tokens)[:, None]
        return self.center(tokens)[:, None]

    def encode(self, keypoints: Float[Tensor, "B F J 2"]) -> Float[Tensor, "B F C"]:
        """One token per frame.

        Raises:
            ShapeError: If the clip length differs.
        """
        n_joints = get_skeleton(self.config.skeleton).n_joints
        check_clip("MPMLifter", keypoints, math.prod(self.config.strides), n_joints)
        return self.shared_layers_temporal(self.shared_layers_spatial(self.encoder2d(keypoints)).mT)

    def center(self, tokens: Float[Tensor, "B F C"]) -> Float[Tensor, "B 1 J 3"]:
        """The pose in the middle."""
        return self.fcn(self.Transformer_reduce(tokens).mT).mT.unflatten(-1, (-1, 3))

    def sequence(self, tokens: Float[Tensor, "B F C"]) -> Float[Tensor, "B F J 3"]:
        """All poses, of the tokens before the strided layers; trained beside the center's."""
        return self.fcn_1(tokens.mT).mT.unflatten(-1, (-1, 3))


class MPMRefinement(PretrainedNetwork):
    """Mixes a pose with keypoints placed at its depth; needs the camera and the root's true depth.

    Args:
        skeleton: Name of the skeleton.

    Example:
        >>> refine = MPMRefinement().eval()
        >>> xy, pose = torch.rand(1, 17, 2), torch.randn(1, 17, 3)
        >>> refine(pose, xy, torch.tensor([4.0]), torch.tensor([[2.3, 2.3, 0.0, 0.0]])).shape
        torch.Size([1, 17, 3])
    """

    @recorded
    def __init__(self, skeleton: str = "h36m17") -> None:
        super().__init__()
        n = get_skeleton(skeleton).n_joints
        self.post_refine = nn.Sequential(
            nn.Linear(6 * n, 1024), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1024, 2 * n), nn.Sigmoid()
        )

    def forward(
        self,
        pose: Float[Tensor, "B J 3"],
        keypoints: Float[Tensor, "B J 2"],
        root_depth: Float[Tensor, " B"],
        intrinsics: Float[Tensor, "B 4"],
    ) -> Float[Tensor, "B J 3"]:
        """Refine x and y.

        Args:
            pose: Meters, root-relative, the root as predicted.
            keypoints: Screen coordinates.
            root_depth: Of the root, meters. The published evaluation took the true one.
            intrinsics: Focal lengths and principal point in screen units; no distortion.

        Returns:
            Meters; depths are unchanged.
        """
        placed = self.place(pose, keypoints, root_depth, intrinsics)
        features = torch.cat([pose, placed], -1).flatten(1)
        share = self.post_refine(features).unflatten(-1, (-1, 2))
        xy = share * pose[..., :2] + (1 - share) * placed[..., :2]
        return torch.cat([xy, pose[..., 2:]], -1)

    def place(
        self,
        pose: Float[Tensor, "B J 3"],
        keypoints: Float[Tensor, "B J 2"],
        root_depth: Float[Tensor, " B"],
        intrinsics: Float[Tensor, "B 4"],
    ) -> Float[Tensor, "B J 3"]:
        """Keypoints at the predicted depths, relative to the root (whose own depth counts as 0)."""
        relative = torch.cat([torch.zeros_like(pose[:, :1, 2]), pose[:, 1:, 2]], 1)
        depth = (relative + root_depth[:, None])[..., None]
        focal, center = intrinsics[:, None, :2], intrinsics[:, None, 2:]
        points = torch.cat([(keypoints - center) / focal * depth, depth], -1)
        return points - points[:, :1]


def _check_width(width: int) -> None:
    if width % N_HEADS:
        raise OptionError(f"width must be a multiple of {N_HEADS}, got {width}.")


def _hidden(confidence: Tensor | None) -> Tensor | None:
    return None if confidence is None else confidence <= 0
