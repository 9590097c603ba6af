"""DiffPose as in the paper: walk back from a mixture fitted to what the keypoints leave open.

Gong et al., "DiffPose: Toward More Reliable 3D Pose Estimation", CVPR 2023, section 3. The forward
process of a pose ends in a Gaussian mixture that describes the uncertainty of *this* pose. Every
hypothesis draws components and noise, keeps its components, and is denoised by a network that
looks at the keypoints. The released code (:class:`hypopose.samplers.DiffPose`) does none of it.

h_k = μ + √ā_k (h_0 - μ) + √(1 - ā_k) ε, with ε ~ N(0, Σ), and μ, Σ of the hypothesis' components.

| paper | code |
| --- | --- |
| H_K, fitted by EM | ``initial``, see :mod:`hypopose.samplers.uncertainty` |
| N = 5 | ``n_hypotheses`` |
| K, DDIM steps | ``n_timesteps``, ``n_steps`` |
| g(h_k, f_ST, k) | ``denoiser``: any denoiser of the house |
| mean of the N results | left to :mod:`hypopose.aggregation` |

Departures: the schedule is the cosine one, since the paper's never reaches its mixture; the network
predicts the clean pose, which for one shared noise per trajectory is the paper's previous state in
other words; components are drawn per joint and hypothesis, once for all frames.

A weakness of the method, which a perfect network shows too: the network is not told which component
a hypothesis drew. On a joint with two equally likely places, 60 steps, and components of weights
0.7 and 0.3 beyond them, hypotheses of the first chose its side in 70 % of draws and those of the
second in 96 %, where half would be right; over both, the two places came out even. With eta = 0,
places came out up to 7 cm inside. Prefer eta = 1.

Everything else, windows, flips, solvers, is :class:`hypopose.samplers.D3DP`'s: a mixture of one
standard normal at 0 gives its hypotheses to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.diffusion import AffineGaussian, GaussianMixture, cosine_schedule
from hypopose.errors import OptionError, ShapeError
from hypopose.samplers.d3dp import D3DP
from hypopose.samplers.schedulers import Solver
from hypopose.types import Keypoints2D, NoiseSource


@dataclass(frozen=True, eq=False)
class AffineSolver:
    """Any solver, in coordinates in which the process is standard: z = L⁻¹(x - μ).

    Args:
        solver: For the standard process.
        process: Gives μ and L.
    """

    solver: Solver
    process: AffineGaussian

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The solver's."""
        return self.solver.pairs

    def step(self, x_t: Tensor, x0: Tensor, t: int, t_next: int, noise: NoiseSource) -> Tensor:
        """Poses at t_next."""
        if t_next < 0:
            return x0
        at, clean = (self.process.whiten(x - self.process.location) for x in (x_t, x0))
        return self.process.prior(self.solver.step(at, clean, t, t_next, noise))


@dataclass(frozen=True)
class MixtureDiffPose(D3DP):
    """Walk back from a mixture of each joint's places. Fields before ``initial`` are D3DP's.

    The denoiser must have been trained on this process with these initial distributions.

    Args:
        initial: From keypoints to one mixture per frame and joint, root-relative metres in the
            camera frame; an :class:`~hypopose.samplers.uncertainty.InitialDistribution`.

    Raises:
        OptionError: If an option is out of range.
    """

    initial: Callable[[Keypoints2D], GaussianMixture] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.initial is None:
            raise OptionError(
                "MixtureDiffPose starts from a mixture: pass initial=InitialDistribution("
                "DepthPrior.from_poses(training_poses))."
            )

    def _begin(
        self, keypoints: Keypoints2D, z: Float[Tensor, "*batch H F J 3"], noise: NoiseSource
    ) -> tuple[Solver, Float[Tensor, "*batch H F J 3"]]:
        """Draw components, then begin at their means plus their noise."""
        assert self.initial is not None
        mixture = self._over_frames(self.initial(keypoints), z)
        component = torch.zeros(z.shape[:-1], dtype=torch.long)
        if mixture.n_components > 1:
            draw = noise((*z.shape[:-3], 1, z.shape[-2], 1))[..., 0]
            component = mixture.choose(draw.expand(z.shape[:-1]).cpu())
        fitted = mixture.process(component, cosine_schedule(self.n_timesteps))
        process = AffineGaussian(
            fitted.schedule,
            (fitted.location * self.scale).to(z),
            (fitted.scale * self.scale).to(z),
            triangular=True,
        )
        return AffineSolver(self._solver(), process), process.prior(z)

    def _over_frames(self, mixture: GaussianMixture, z: Tensor) -> GaussianMixture:
        """With an axis for hypotheses; padded frames repeat the last."""
        n_frames, n_joints = z.shape[-3:-1]
        batch = (*z.shape[:-4], mixture.weights.shape[-3], n_joints)
        if mixture.weights.shape[:-1] != batch or mixture.means.shape[-1] != 3:
            raise ShapeError(
                f"initial gave mixtures {tuple(mixture.means.shape)} (frames, joints, components, "
                f"coordinates) for poses {tuple(z.shape)}."
            )
        index = torch.arange(n_frames).clamp(max=mixture.weights.shape[-3] - 1)
        return GaussianMixture(
            mixture.weights.index_select(-3, index).unsqueeze(-4),
            mixture.means.index_select(-4, index).unsqueeze(-5),
            mixture.cholesky.index_select(-5, index).unsqueeze(-6),
        )
