"""A network whose poses EpipolarPose's refinement unit corrects, pose by pose.

The unit (:mod:`hypopose.networks.refinement_unit`) was published for a lifter, whose pose it
replaces. Here what it says is added to each hypothesis, and is nothing before it has learned, so
that it also serves generators: every hypothesis is corrected by itself.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hypopose.networks.base import NetworkInfo
from hypopose.networks.hot import build_backbone
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.recorded_config import recorded
from hypopose.networks.refinement_unit import PoseStatistics, RefinementUnit
from hypopose.networks.staged import StagedNetwork
from hypopose.skeletons import get_skeleton


class RefinedNetwork(PretrainedNetwork):
    """A network and a unit that corrects its poses.

    Args:
        backbone: Config of the network, its class under ``_class_name``; one of
            :data:`hypopose.networks.hot.BACKBONES`.
        width: Of the unit.
        dropout: In the unit's training. More than 0 makes hypotheses spread in training alone.

    Raises:
        OptionError: If no such class can be wrapped.

    Example:
        >>> from hypopose.networks import FrameTokens
        >>> lifter = FrameTokens(width=16, n_layers=1, n_heads=2).eval()
        >>> refined = RefinedNetwork.wrap(lifter, width=16).eval()
        >>> keypoints = torch.randn(1, 5, 17, 2)
        >>> torch.equal(refined(None, keypoints), lifter(None, keypoints))  # nothing is learned yet
        True
    """

    mean: Tensor
    std: Tensor

    @recorded
    def __init__(self, backbone: dict[str, Any], width: int = 256, dropout: float = 0.0) -> None:
        super().__init__()
        self.network = build_backbone(backbone)
        n_joints = get_skeleton(self.network.info.skeleton).n_joints - 1
        self.unit = RefinementUnit(n_joints, width, dropout)
        nn.init.zeros_(self.unit.w4.weight)
        nn.init.zeros_(self.unit.w4.bias)
        self.register_buffer("mean", torch.zeros(n_joints, 3))
        self.register_buffer("std", torch.ones(n_joints, 3))

    @classmethod
    def wrap(cls, network: StagedNetwork, **options: Any) -> RefinedNetwork:
        """A network with a unit that has learned nothing.

        Args:
            network: Its weights are copied.
            **options: ``width``, ``dropout``.
        """
        config = {k: v for k, v in network.config.items() if not k.startswith("_")}
        found = cls({"_class_name": type(network).__name__, **config}, **options)
        found.network.load_state_dict(network.state_dict())
        return found

    @property
    def info(self) -> NetworkInfo:
        """As of the network."""
        return self.network.info

    def standardize(self, statistics: PoseStatistics) -> None:
        """Say what poses look like.

        Args:
            statistics: Of root-relative poses without the root, in the network's unit.
        """
        self.mean.copy_(statistics.mean)
        self.std.copy_(statistics.std)

    def forward(
        self,
        x_t: Float[Tensor, "B H F _R 3"] | None,
        keypoints: Float[Tensor, "B F K 2"],
        t: Float[Tensor, " B"] | None = None,
        confidence: Float[Tensor, "B F K"] | None = None,
        mask: Bool[Tensor, "B F"] | None = None,
        context: Float[Tensor, "B _C"] | None = None,
    ) -> Float[Tensor, "B _H _F J 3"]:
        """Predict x0 as the network does, see :class:`hypopose.networks.base.Network`.

        Args:
            x_t: Noisy poses; None for a lifter.
            keypoints: As ``info.inputs`` says.
            t: Timestep per clip; None for a lifter.
            confidence: If the network reads it.
            mask: Frames that exist.
            context: Of the clip, if the network reads it.
        """
        x = self.network(x_t, keypoints, t, confidence, mask, context)
        root = get_skeleton(self.info.skeleton).root
        others = [j for j in range(x.shape[-2]) if j != root]
        statistics = PoseStatistics(self.mean, self.std)
        poses = x[..., others, :] - x[..., root : root + 1, :]
        moved = self.unit(statistics.apply(poses))[1] * self.std
        more = torch.zeros_like(x)
        more[..., others, :] = moved.to(x)
        return x + more
