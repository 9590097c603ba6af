"""Training of lifters that predict a scale per joint.

Wang et al., "Uncertainty-Aware Testing-Time Optimization for 3D Human Pose Estimation", IEEE TMM
2025: :func:`hypopose.networks.uncertainty_loss`. Departure: the root, which is always 0, is left
out. Its scale would fall without bound.
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hypopose.errors import OptionError
from hypopose.metrics import joint_errors
from hypopose.networks.base import Network
from hypopose.networks.scales import ScaleNetwork, uncertainty_loss
from hypopose.samplers import Lifter
from hypopose.skeletons import SKELETONS
from hypopose.training.batches import Batch
from hypopose.training.validation import HeldOut


def scale_loss(network: nn.Module, batch: Batch) -> Float[Tensor, ""]:
    """Distance over scale plus log-scale, the root left out; not a length, and often negative.

    Args:
        network: A :class:`hypopose.networks.ScaleNetwork`.
        batch: Windows.

    Raises:
        OptionError: If the network predicts no scale.
    """
    if not isinstance(network, ScaleNetwork):
        raise OptionError(
            f"{type(network).__name__} predicts no scale; train 'scale-tokens' or 'gumlp' for "
            "objective='uncertainty'."
        )
    e, target = batch.encoded, batch.target
    pose, log_scale = network.with_scale(e.xy, e.confidence, None, e.context)
    joints = _moving(network)
    return uncertainty_loss(pose[..., joints, :], log_scale[..., joints], target[..., joints, :])


@torch.no_grad()
def validate_scale(network: nn.Module, held_out: HeldOut) -> dict[str, float]:
    """Error (mm) of poses, mean scale (mm), which is to be as large, and their mean ratio.

    Args:
        network: A :class:`hypopose.networks.ScaleNetwork`.
        held_out: What it has not seen.
    """
    assert isinstance(network, ScaleNetwork)
    sampler = Lifter(cast(Network, network), flip=False)
    pose, scale = sampler.predict(held_out.keypoints)
    assert scale is not None
    error = joint_errors(pose, held_out.truth.joints)
    joints = _moving(network)
    return {
        "lift_mpjpe_mm": 1000 * float(error.mean()),
        "scale_mm": 1000 * float(scale[..., joints].mean()),
        "error_over_scale": float((error / scale)[..., joints].mean()),
    }


def _moving(network: ScaleNetwork) -> list[int]:
    skeleton = SKELETONS[network.info.skeleton]
    return [j for j in range(skeleton.n_joints) if j != skeleton.root]
