"""Lifters that also predict their expected error: a log-scale per joint.

Wang et al., "Uncertainty-Aware Testing-Time Optimization for 3D Human Pose Estimation", IEEE TMM
2025. Trained with :func:`uncertainty_loss`, ``exp(s)`` is the expected distance of a joint from its
prediction, in meters.

| paper | here |
| --- | --- |
| mu, s | ``pose``, ``log_scale`` |

:class:`ScaleTokens` is ours: :class:`hypopose.networks.FrameTokens` as a lifter, with the scale
read off the same tokens. :class:`hypopose.networks.GUMLP` is the network of the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hypopose.errors import CheckpointError
from hypopose.networks.attention import Backend
from hypopose.networks.base import NetworkInfo
from hypopose.networks.frame_tokens import FrameTokens
from hypopose.networks.pretrained import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    load_strictly,
    read_shapes,
    read_weights,
)
from hypopose.networks.recorded_config import recorded
from hypopose.networks.staged import Tokens, check_form

MIN_LOG_SCALE = -6.0
"""Below 2.5 mm a scale says nothing about people, and ``exp(-s)`` would drown other joints."""


@runtime_checkable
class ScaleNetwork(Protocol):
    """A lifter that predicts a log-scale beside the pose."""

    @property
    def info(self) -> NetworkInfo:
        """Inputs, frame dependence, skeletons."""
        ...

    def with_scale(
        self,
        keypoints: Float[Tensor, "B F K 2"],
        confidence: Float[Tensor, "B F K"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B C"] | None = None,
    ) -> tuple[Float[Tensor, "B F J 3"], Float[Tensor, "B F J"]]:
        """Poses in meters and log-scales, see :class:`hypopose.networks.Network` for arguments."""
        ...


def uncertainty_loss(
    pose: Float[Tensor, "*any 3"],
    log_scale: Float[Tensor, "*any"],
    target: Float[Tensor, "*any 3"],
) -> Float[Tensor, ""]:
    """The paper's likelihood: distance over scale, plus the log-scale.

    The distance is not squared, so this is Laplace's likelihood but for a constant: at its minimum
    ``exp(log_scale)`` is the expected distance. A distance of exactly 0 has gradient 0.

    Args:
        pose: Predicted.
        log_scale: Predicted.
        target: Truth.

    Returns:
        Mean over everything.

    Example:
        >>> pose, target = torch.tensor([[3.0, 0.0, 4.0]]), torch.zeros(1, 3)
        >>> uncertainty_loss(pose, torch.tensor([5.0]).log(), target)  # 5 / 5 + log 5
        tensor(2.6094)
    """
    distance = torch.linalg.vector_norm(target - pose, dim=-1)
    return (distance * torch.exp(-log_scale) + log_scale).mean()


class ScaleTokens(FrameTokens):
    """A transformer over frames that lifts, with a log-scale per joint.

    Args:
        width: Width of a token.
        n_layers: Blocks.
        n_heads: Attention heads.
        mlp_ratio: Hidden over outer width of the MLPs.
        n_keypoints: 2D joints read.
        n_joints: 3D joints written; the first is the root and always 0.
        n_context: Per-clip features.
        scale: Poses in meters are multiplied by it inside.
        max_frames: Longest window of the training.
        keypoint_skeleton: Name of the 2D skeleton.
        skeleton: Name of the 3D skeleton.
        n_latent: 0: a lifter reads no noise.
        base: A folder of FrameTokens weights beside this network's own, or bundled. Its tensors
            fill what the own file leaves out, so that a scale for bundled weights costs no
            second copy of them; they are not trained. None for a network that stands alone.
        attention: Backend, see :mod:`hypopose.networks.attention`.

    Example:
        >>> network = ScaleTokens(width=16, n_layers=1, n_heads=2).eval()
        >>> pose, log_scale = network.with_scale(torch.randn(2, 9, 17, 2))
        >>> pose.shape, log_scale.shape
        (torch.Size([2, 9, 17, 3]), torch.Size([2, 9, 17]))
    """

    @recorded
    def __init__(
        self,
        width: int = 192,
        n_layers: int = 4,
        n_heads: int = 8,
        mlp_ratio: float = 2.5,
        n_keypoints: int = 17,
        n_joints: int = 17,
        n_context: int = 2,
        scale: float = 3.0,
        max_frames: int = 81,
        keypoint_skeleton: str = "h36m17",
        skeleton: str = "h36m17",
        n_latent: int = 0,
        base: str | None = None,
        attention: Backend = "sdpa",
    ) -> None:
        super().__init__(
            width=width,
            n_layers=n_layers,
            n_heads=n_heads,
            mlp_ratio=mlp_ratio,
            n_keypoints=n_keypoints,
            n_joints=n_joints,
            n_context=n_context,
            scale=scale,
            max_frames=max_frames,
            keypoint_skeleton=keypoint_skeleton,
            skeleton=skeleton,
            n_latent=n_latent,
            attention=attention,
        )
        if base is not None:
            self.requires_grad_(False)
        # A lifter reads neither a noisy pose nor a noise level.
        self.from_pose.requires_grad_(False)
        self.time_embedding[0].weight.requires_grad_(False)
        last = nn.Linear(width, n_joints)
        nn.init.normal_(last.weight, std=0.02)
        nn.init.constant_(last.bias, -2.3)  # 10 cm
        self.to_scale = nn.Sequential(nn.Linear(width, width), nn.GELU(), last)
        moving = torch.ones(n_joints, 1)
        moving[0] = 0.0
        self.register_buffer("moving", moving, persistent=False)

    @classmethod
    def _load(cls, folder: Path, config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        """Fill what the own file leaves out from the base, if there is one."""
        base = {**config, **options}.get("base")
        if base is None:
            return super()._load(folder, config, options)
        path, below = folder / WEIGHTS_FILE, base_folder(folder, base) / WEIGHTS_FILE
        shapes = read_shapes(below) | read_shapes(path)
        network = cls._sized(folder / CONFIG_FILE, config, options, path, shapes)
        load_strictly(network, read_weights(below) | read_weights(path), path)
        return network

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
            forms=("lifter",),
        )

    def enter(
        self,
        x_t: Float[Tensor, "B H F J 3"] | None,
        keypoints: Float[Tensor, "B F K 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F K"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Tokens:
        """One token per frame, of keypoints alone.

        Raises:
            ShapeError: If it is given a noisy pose or a timestep.
        """
        check_form("ScaleTokens", True, x_t, t)
        return super().enter(None, keypoints, None, confidence, mask, context)

    def leave(self, tokens: Tokens) -> Float[Tensor, "N F J 3"]:
        """Poses in meters, the root at 0."""
        poses: Tensor = super().leave(tokens) * self.get_buffer("moving")
        return poses

    def with_scale(
        self,
        keypoints: Float[Tensor, "B F K 2"],
        confidence: Float[Tensor, "B F K"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B C"] | None = None,
    ) -> tuple[Float[Tensor, "B F J 3"], Float[Tensor, "B F J"]]:
        """Poses in meters and log-scales, at least :data:`MIN_LOG_SCALE`."""
        tokens = self.enter(None, keypoints, None, confidence, mask, context)
        for i in range(self.n_stages):
            tokens = self.stage(i, tokens)
        log_scale = self.to_scale(self.norm(tokens.x[:, :, 0])).float()
        return self.leave(tokens), log_scale.clamp(min=MIN_LOG_SCALE)


def base_folder(folder: Path, base: Any) -> Path:
    """The base beside a folder of weights, or the bundled one of that name.

    Args:
        folder: Of the weights that name the base.
        base: Its name.

    Raises:
        CheckpointError: If the base is not a plain name of a folder.
    """
    if not isinstance(base, str) or Path(base).name != base:
        raise CheckpointError(
            f"{folder / CONFIG_FILE}: base is the name of a folder of weights next to it."
        )
    for parent in (folder.parent, Path(__file__).parents[1] / "weights"):
        if base not in ("", ".", "..") and (parent / base).is_dir():
            return parent / base
    raise CheckpointError(
        f"{folder / CONFIG_FILE}: the base {base!r} is neither a folder of weights next to it "
        "nor bundled."
    )
