"""The model as a Pyro program, and a simulator that draws from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn import functional

from hypopose.cameras import project
from hypopose.samplers.boneflips import parents_first
from hypopose.samplers.mcmc.priors import DEPTH_M, DEPTH_STD, NEAREST, PLACE_STD
from hypopose.samplers.mcmc.sampler import MCMC
from hypopose.samplers.pose_prior import PosePrior, turned
from hypopose.types import Camera, Keypoints2D, NoiseSource, Poses3D


def pose_model(
    prior: PosePrior,
    factor: Float64[Tensor, "J 2 2"],
    tails: float | None,
    observed: Float64[Tensor, "J 2"] | None = None,
    directions: Float64[Tensor, "B 3"] | None = None,
) -> Float64[Tensor, "J 3"]:
    """The model of one frame, as a Pyro program: what :class:`~.target.Target` is the density of.

    Args:
        prior: Of poses.
        factor: Cholesky factors of the keypoints' covariances on the plane z = 1 (for ``tails``,
            of their scale matrices).
        tails: Degrees of freedom of the keypoints' errors; None for normal ones.
        observed: Keypoints on the plane z = 1; drawn where None.
        directions: Bone directions relative to the heading, drawn by :meth:`PosePrior.draw`; given
            because their mixture with limits is drawn by rejection.

    Returns:
        Joints in the camera frame, meters.
    """
    import pyro
    from pyro import distributions as dist

    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    common = max(prior.length_std[0], 1e-9)
    scale = pyro.sample("scale", dist.LogNormal(zero, common * one))
    log_lengths = pyro.sample(
        "log_lengths",
        dist.MultivariateNormal(prior.lengths.log(), prior.log_length_covariance),
    )
    place = pyro.sample("place", dist.Normal(zero, PLACE_STD * one).expand([2]).to_event(1))
    depth = pyro.sample("depth", dist.LogNormal(math.log(DEPTH_M) * one, DEPTH_STD * one))
    heading = pyro.sample("heading", dist.Uniform(-math.pi * one, math.pi * one))
    if directions is None:
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        directions = prior.draw(1, generator)[0]
    pyro.factor("shape", prior.log_directions(directions) + prior.log_limits(directions))
    u = turned(directions, -heading) if prior.upright else directions
    joints: dict[int, Tensor] = {prior.skeleton.root: functional.pad(place, (0, 1), value=1.0)}
    joints[prior.skeleton.root] = joints[prior.skeleton.root] * depth
    for bone, (parent, child) in parents_first(prior.skeleton):
        joints[child] = joints[parent] + scale * log_lengths[bone].exp() * u[bone]
    x = torch.stack([joints[j] for j in range(prior.skeleton.n_joints)])
    plane = x[:, :2] / x[:, 2:]
    if tails is None:
        error = dist.MultivariateNormal(plane, scale_tril=factor)
    else:
        error = dist.MultivariateStudentT(tails * one, plane, factor)
    pyro.sample("keypoints", error.to_event(1), obs=observed)
    return x


@dataclass(frozen=True)
class ModelSimulator:
    """Draws a pose and keypoints from :func:`pose_model`, for simulation-based calibration.

    Args:
        sampler: Whose prior and detector are used.
        camera: Who sees the pose.

    Example:
        >>> from hypopose.diffusion import seeded_noise
        >>> simulate = ModelSimulator(MCMC(), Camera.from_fov((1000, 1000)))
        >>> truth, keypoints = simulate(seeded_noise(0))
        >>> truth.joints.shape, keypoints.xy.shape
        (torch.Size([1, 17, 3]), torch.Size([1, 17, 2]))
    """

    sampler: MCMC
    camera: Camera

    def __call__(self, noise: NoiseSource) -> tuple[Poses3D, Keypoints2D]:
        """Draw one pose in front of the camera, and its keypoints.

        Args:
            noise: Asked once for ``(1, 1, 1, 2)``, which seeds the draw.
        """
        import pyro

        sampler, camera = self.sampler, self.camera
        prior = sampler.prior or PosePrior.bundled()
        seed = noise((1, 1, 1, 2)).float().contiguous().view(torch.int32).flatten().tolist()
        blank = Keypoints2D(
            torch.zeros(1, prior.skeleton.n_joints, 2), prior.skeleton, camera=camera
        )
        focal = camera.focal.double()
        scaled = sampler.covariance(blank)[0] / (focal[:, None] * focal[None, :])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((seed[0] << 32) ^ seed[1])
            while True:
                trace = pyro.poutine.trace(pose_model).get_trace(
                    prior, torch.linalg.cholesky(scaled), sampler.tails
                )
                x, plane = trace.nodes["_RETURN"]["value"], trace.nodes["keypoints"]["value"]
                if bool((x[:, 2] > NEAREST).all()):
                    break
        seen = project(functional.pad(plane, (0, 1), value=1.0).to(camera.focal), camera)
        root = x[prior.skeleton.root]
        truth = Poses3D((x - root)[None].float(), prior.skeleton, root[None].float())
        return truth, Keypoints2D(seen[None], prior.skeleton, camera=camera)
