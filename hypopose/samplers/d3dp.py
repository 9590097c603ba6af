"""D3DP: diffusion from noise to poses, conditioned on keypoints.

Shan et al., "Diffusion-Based 3D Human Pose Estimation with Multi-Hypothesis Aggregation",
ICCV 2023.

Every hypothesis starts as Gaussian noise. A network that reads the keypoints predicts the clean
pose, a DDIM step moves part of the way there, and with eta = 1 new noise keeps hypotheses apart.

| paper, released code | here |
| --- | --- |
| H, K | ``n_hypotheses``, ``n_steps`` |
| y_t, y_0, T | ``x_t``, ``x0``, ``n_timesteps`` |
| scale | ``scale``: poses times it have about the noise's variance |
| 1.1 | ``clamp``, in meters |

Departures from the published code, all without effect on one clip at scale 1:

* the released code returns scaled poses; these are meters at any scale;
* videos of any length, see :mod:`hypopose.samplers.diffusion_sampler`. Released clips have
  unrelated hypotheses;
* other solvers than DDIM (:mod:`hypopose.samplers.schedulers`);
* without flip the released code cannot run; here it does what the paper says.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypopose.samplers.diffusion_sampler import DiffusionSampler


@dataclass(frozen=True)
class D3DP(DiffusionSampler):
    """The published method: the options of :class:`DiffusionSampler` with the paper's defaults.

    Raises:
        OptionError: If an option is out of range.
    """
