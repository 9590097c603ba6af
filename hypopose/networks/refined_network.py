"""A network whose poses a second one corrects, pose by pose.

EpipolarPose's refinement unit (:mod:`hypopose.networks.refinement_unit`) was published for a
lifter, PoSynDA's transformer (:mod:`hypopose.networks.refinement_transformer`) for hypotheses; both
replace the pose. Here what they say is added to each hypothesis, and is nothing before they have
learned, so that they also serve generators: every hypothesis is corrected by itself.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hypopose.checks import check_choice
from hypopose.networks.base import NetworkInfo
from hypopose.networks.hot import build_backbone
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.recorded_config import recorded
from hypopose.networks.refinement_transformer import RefinementTransformer
from hypopose.networks.refinement_unit import PoseStatistics, RefinementUnit
from hypopose.networks.staged import StagedNetwork
from hypopose.skeletons import get_skeleton

Refiner = Literal["unit", "transformer"]
"""What corrects poses: EpipolarPose's unit or PoSynDA's transformer."""

TRANSFORMER_LAYERS = 2
"""Of a refining transformer; 8 as released."""


class RefinedNetwork(PretrainedNetwork):
    """A network and a unit or transformer that corrects its poses.

    Args:
        backbone: Config of the network, its class under ``_class_name``; one of
            :data:`hypopose.networks.hot.BACKBONES`.
        width: Of the refiner; of a transformer a multiple of 8.
        dropout: In its training. More than 0 makes hypotheses spread in training alone.
        refiner: ``"unit"`` or ``"transformer"``.

    Raises:
        OptionError: If no such class can be wrapped, or there is no such refiner.
        ShapeError: If the width does not suit.

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
    def __init__(
        self,
        backbone: dict[str, Any],
        width: int = 256,
        dropout: float = 0.0,
        refiner: Refiner = "unit",
    ) -> None:
        super().__init__()
        check_choice("refiner", refiner, get_args(Refiner))
        self.network = build_backbone(backbone)
        body = get_skeleton(self.network.info.skeleton)
        n_joints = body.n_joints - 1
        self.unit: RefinementUnit | RefinementTransformer
        if refiner == "unit":
            self.unit = RefinementUnit(n_joints, width, dropout)
            nn.init.zeros_(self.unit.w4.weight)
            nn.init.zeros_(self.unit.w4.bias)
        else:
            self.unit = RefinementTransformer(
                width, TRANSFORMER_LAYERS, hidden=width, dropout=dropout, skeleton=body.name
            )
        self.register_buffer("mean", torch.zeros(n_joints, 3))
        self.register_buffer("std", torch.ones(n_joints, 3))

    @classmethod
    def wrap(cls, network: StagedNetwork, **options: Any) -> RefinedNetwork:
        """A network with a unit that has learned nothing.

        Args:
            network: Its weights are copied.
            **options: ``width``, ``dropout``, ``refiner``.
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
        poses = x - x[..., root : root + 1, :]
        if isinstance(self.unit, RefinementTransformer):
            poses = poses.to(self.unit.decoder.weight.dtype)
            return x + (self.unit(poses) - poses).to(x)
        others = [j for j in range(x.shape[-2]) if j != root]
        statistics = PoseStatistics(self.mean, self.std)
        moved = self.unit(statistics.apply(poses[..., others, :]))[1] * self.std
        more = torch.zeros_like(x)
        more[..., others, :] = moved.to(x)
        return x + more
