"""DiffPose as in the paper: denoise from a mixture fitted to the ambiguity of the keypoints.

Gong et al., "DiffPose: Toward More Reliable 3D Pose Estimation", CVPR 2023, section 3. The forward
process of a pose ends in a Gaussian mixture that describes the uncertainty of *this* pose. Every
hypothesis draws components and noise, keeps its components, and is denoised by a network that
looks at the keypoints. The released code (:class:`~.released_diffpose.ReleasedDiffPose`) does none
of it.

h_k = μ + √ā_k (h_0 - μ) + √(1 - ā_k) ε, with ε ~ N(0, Σ), and μ, Σ of the hypothesis' components.

| paper | code |
| --- | --- |
| H_K, fitted by EM | ``initial``, see :mod:`hypopose.samplers.depth_prior` |
| N = 5 | ``n_hypotheses`` |
| K, DDIM steps | ``n_timesteps``, ``n_steps`` |
| g(h_k, f_ST, k) | ``network``: any denoiser of :mod:`hypopose.networks` |
| mean of the N results | left to :mod:`hypopose.aggregation` |

Departures: the schedule is the cosine one, since the paper's never reaches its mixture; the network
predicts the clean pose, which for one shared noise per trajectory is the paper's previous state in
other words; components are drawn per joint and hypothesis, once for all frames.

A weakness of the paper's g, which a perfect network has too: it does not know which component a
hypothesis drew. On a joint with two equally likely places, 60 steps, and components of weights 0.7
and 0.3 beyond them, hypotheses of the first chose its side in 70 % of draws and those of the second
in 96 %, where half would be right; over both, the two places came out even. With eta = 0, places
came out up to 7 cm inside. So our networks read it: one with latent rows (``info.n_latent ==
12 * n_joints``) is shown μ and L of every joint's component beside h_k - (1 - √ā_k) μ, see
:func:`told_rows`. Then all components lead to the same posterior.

Everything else, windows, solvers, is the base's: a mixture of one standard normal at 0 gives the
hypotheses of D3DP to the last bit (with a network that does not read its components).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.diffusion import AffineGaussian, GaussianMixture, cosine_schedule
from hypopose.errors import OptionError, ShapeError
from hypopose.networks.gcndiff import DiffPosePair, GCNdiff
from hypopose.samplers.depth_prior import InitialDistribution
from hypopose.samplers.diffusion_sampler import DiffusionSampler
from hypopose.samplers.schedulers import Solver
from hypopose.samplers.window_inputs import Windows
from hypopose.types import Keypoints2D, NoiseSource

INITIAL_FILE = "initial.safetensors"
"""Name of the initial distribution in a folder of weights."""


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
        pose, rows = torch.split(x_t, [x0.shape[-2], x_t.shape[-2] - x0.shape[-2]], -2)
        at, clean = (self.process.whiten(x - self.process.location) for x in (pose, x0))
        return torch.cat(
            [self.process.prior(self.solver.step(at, clean, t, t_next, noise)), rows], -2
        )


def told_rows(
    location: Float[Tensor, "*axes J 3"], factor: Float[Tensor, "*axes J 3 3"]
) -> Float[Tensor, "*axes 4*J 3"]:
    """How a network reads its components: rows of three, μ of every joint, then L's columns.

    Args:
        location: μ, in the units of noisy poses.
        factor: L, lower triangular.
    """
    return torch.cat([location, factor.mT.flatten(-3, -2)], -2)


@dataclass(frozen=True)
class DiffPose(DiffusionSampler):
    """Walk back from a mixture of each joint's places. Other options are the base's.

    The network must have been trained on this process with these initial distributions. A mixture
    of several components asks ``noise`` for ``(*batch, H, 1, J, 1)`` after the start.

    Args:
        initial: From keypoints to one mixture per frame and joint, root-relative meters in the
            camera frame; an :class:`~hypopose.samplers.depth_prior.InitialDistribution`.

    Raises:
        OptionError: If an option is out of range.
    """

    initial: Callable[[Keypoints2D], GaussianMixture] | None = None

    reads_latent: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.network, DiffPosePair | GCNdiff):
            raise OptionError(
                "These are the networks DiffPose released, a lifter and a refiner: sample them "
                "with sampler='diffpose-released'."
            )
        super().__post_init__()
        if self.initial is None:
            raise OptionError(
                "DiffPose starts from a mixture: pass initial=InitialDistribution("
                "DepthPrior.from_poses(training_poses))."
            )
        n_told = 12 * self.skeleton.n_joints
        if self.network.info.n_latent not in (0, n_told):
            raise OptionError(
                f"This network reads {self.network.info.n_latent} latent channels; one that "
                f"reads its components has {n_told}. Sample it with sampler='distributional'."
            )
        for name in ("flip", "mirror"):
            if self.is_told and getattr(self, name):
                raise OptionError(
                    f"{name} would mirror the pose but not its components; leave {name}=False."
                )

    @property
    def is_told(self) -> bool:
        """Whether the network reads the components its hypotheses drew."""
        return self.network.info.n_latent > 0

    @staticmethod
    def options_beside(folder: Path) -> dict[str, Any]:
        """Options that lie next to weights: ``initial.safetensors``, if it is there."""
        path = folder / INITIAL_FILE
        return {"initial": InitialDistribution.load(path)} if path.is_file() else {}

    def _begin(
        self, keypoints: Keypoints2D, z: Float[Tensor, "*batch H F J 3"], noise: NoiseSource
    ) -> tuple[Solver, Float[Tensor, "*batch H F rows 3"]]:
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
        x = process.prior(z)
        if self.is_told:
            x = torch.cat([x, told_rows(process.location, process.scale)], -2)
        return AffineSolver(self._solver(), process), x

    def _call(
        self,
        x_t: Float[Tensor, "N H L rows 3"],
        windows: Windows,
        some: list[tuple[int, int]],
        t: int,
    ) -> Float[Tensor, "N H L J 3"]:
        """Show the components in the network's frame, and the noisy pose without their share."""
        if not self.is_told:
            return super()._call(x_t, windows, some, t)
        w, b = (list(index) for index in zip(*some, strict=True))
        turn = windows.rotation[w, b].mT[:, None]
        J = self.skeleton.n_joints
        pose, location, columns = torch.split(x_t, [J, J, 3 * J], -2)
        turned = torch.unflatten(columns @ turn, -2, (J, 3)).mT
        factor = torch.linalg.cholesky(turned @ turned.mT)
        gone = 1 - math.sqrt(cosine_schedule(self.n_timesteps).at(t))
        told = torch.cat([pose - gone * location, told_rows(location @ turn, factor)], -2)
        return super()._call(told, windows, some, t)

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
