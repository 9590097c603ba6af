"""Exact hypotheses by Markov chains: a Pyro model of pose and detector, NUTS, and exact flips.

Ours. Bingham et al., "Pyro" (JMLR 2019); Hoffman and Gelman, "The No-U-Turn Sampler" (JMLR 2014);
Vehtari et al., "Rank-normalization, folding, and localization: an improved R-hat" (2021). Slow but
exact: a reference for learned samplers, because its prior and likelihood are explicit.

:func:`pose_model` is the model: a scale, bone lengths, a place and depth of the root, a heading and
bone directions (:class:`~hypopose.samplers.pose_prior.PosePrior`), and keypoints with heavy-tailed
errors of known covariance. Its posterior is narrow in 34 image coordinates, wide in depth, and has
a mode for every bone that may point towards the camera or away. Hence

* **other coordinates.** A chain moves e (keypoints' errors, whitened), the depth ζ of every joint
  relative to its parent and the root's log depth, all in units of the body's scale; bone vectors
  follow, and their lengths and directions are judged by the prior. The likelihood is then a
  standard one, and where a bone lies in the image plane its two solutions meet smoothly. The scale
  does not touch the keypoints: it is integrated out, and drawn afterwards;
* **flips.** With positions p in the image and bone lengths ℓ held, a bone's coin (near or far) is
  changed and all joints behind it are placed again: the interpretation tree of
  :class:`~hypopose.samplers.BoneFlips`. Some bones' coins, and some headings, are enumerated
  together and one combination is drawn in proportion to the posterior in (p, ℓ, coins), whose
  volume is Π |∂ζ/∂ℓ|: a Gibbs step, exact. It comes after every NUTS step, so chains visit all
  modes as often as they should, and start in likely ones. In the same coordinates the root's depth
  slides: joints of a foreshortened body follow it along a curve on which NUTS mixes slowly.

| symbol | code |
| --- | --- |
| e, ζ, log depth, heading | the columns of a position, ``(C, T, D)``; C chains, T frames |
| u, ℓ | ``directions``, ``lengths`` |
| d | ray of unit depth |
| d·v | ``slope``; its sign is the coin, ℓ / abs(d·v) is ∂ζ/∂ℓ |

Clips: lengths are shared, poses and roots are tied over time by Gaussian steps, and the pose prior
of every frame counts with the power 1/T, so that a person at rest counts once.

Chains run side by side in one Pyro kernel, on the product of their posteriors.
"""

from hypopose.samplers.mcmc.chains import Chains
from hypopose.samplers.mcmc.convergence import Convergence
from hypopose.samplers.mcmc.model import ModelSimulator, pose_model
from hypopose.samplers.mcmc.sampler import MCMC, Transition
from hypopose.samplers.mcmc.target import Target

__all__ = [
    "MCMC",
    "Chains",
    "Convergence",
    "ModelSimulator",
    "Target",
    "Transition",
    "pose_model",
]
