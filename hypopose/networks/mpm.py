"""MPM: masked pose modeling, one token per frame, for 2D and 3D poses alike.

Zhang, Chai, Jiang, Ye, Song, Hwang, Wang, "MPM: A Unified 2D-3D Human Pose Representation via
Masked Pose Modeling", arXiv 2306.17201.

2D and 3D poses enter through encoders of their own and share everything after. In pretraining,
joints and whole frames are hidden, and three tasks fill them in: 2D from 2D, 3D from 3D, and 3D
from 2D. The same network completes missing joints; its encoder starts the lifter.

| paper, released code | here |
| --- | --- |
| pretraining and completion networks | :class:`MPM` with ``decoder_depth`` 1 and 2 |
| fine-tuned lifter, ``fcn``, ``fcn_1`` (VTE) | :class:`.MPMLifter`, pose in the middle, all poses |
| refine head | :class:`.MPMRefinement` |
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

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hypopose.networks.base import NetworkInfo
from hypopose.networks.mpm_layers import (
    Layers,
    Norm,
    PoseEncoder,
    SharedSpatial,
    check_width,
    pose_head,
)
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import check_clip, check_form
from hypopose.skeletons import get_skeleton


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
        check_width(width)
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


def _hidden(confidence: Tensor | None) -> Tensor | None:
    return None if confidence is None else confidence <= 0
