"""Platypose: motions from an unconditional prior, guided towards the given keypoints.

Pierzchlewicz, da Silva, Cotton and Sinz, "Platypose: Calibrated Zero-Shot Multi-Hypothesis 3D Human
Motion Estimation" (2024). A diffusion prior over motions in the world is run from noise; after
every network evaluation its clean estimate is moved towards the keypoints, without a gradient
through the network. Further cameras, missing joints and missing frames only change the likelihood.

| paper, released code | here |
| --- | --- |
| x_t, xhat | ``x``, ``slots``: root's place, and joints relative to it |
| λ, K | ``energy_scale``, ``n_substeps`` |
| S | ``n_hypotheses`` |

* :class:`Platypose`: x0 is drawn given x_t and the keypoints, if x0 given x_t is normal about the
  network's estimate with the covariance of :mod:`hypopose.samplers.platypose.error_covariance`
  (compare Song et al., "Pseudoinverse-Guided Diffusion Models", ICLR 2023, who take the mean, and
  one variance). Keypoint covariances are variances here, so the spread of hypotheses is calibrated
  for a correct prior. The next x_t follows from the draw by the forward process; for a normal prior
  and a linear camera that is exact for any number of steps. The mean in place of the draw loses
  spread at every step.
* :class:`HeuristicPlatypose`: the paper's K gradient steps; each hypothesis has its own step size,
  a share of the largest stable one, and its own plateau rule.
* :class:`ReleasedPlatypose`: the released code, number for number; it needs the *true* root.

Departures, except in the last: no truth anywhere; where the motion stands is a latent variable that
is diffused like everything else (offset, and pitch of a camera that does not know its own); weights
come from covariance or confidence; depths are guarded; a hypothesis that is not finite is redrawn
and counted; windows of a long video are denoised together.
"""

from hypopose.samplers.platypose.heuristic import HeuristicPlatypose
from hypopose.samplers.platypose.posterior import Drawn, Platypose
from hypopose.samplers.platypose.reference import ReleasedPlatypose

__all__ = ["Drawn", "HeuristicPlatypose", "Platypose", "ReleasedPlatypose"]
