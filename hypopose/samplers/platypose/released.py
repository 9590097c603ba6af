"""Platypose as released: its camera, energies, guidance and chains, number for number.

Pierzchlewicz, da Silva, Cotton and Sinz, "Platypose: Calibrated Zero-Shot Multi-Hypothesis 3D Human
Motion Estimation" (2024). :class:`hypopose.samplers.ReleasedPlatypose` runs this; the
other samplers of a motion prior avoid what is listed here.

| released | here |
| --- | --- |
| λ, K | ``energy_scale``, ``n_substeps`` |
| E_s | what an energy returns: one number per hypothesis |
| plateau rule | :func:`guide`: ten times smaller steps after the *mean* energy rose |

Its flaws: every joint is placed on the *true* root of each frame; one step
size serves all hypotheses, so that results depend on how many share a batch; one hypothesis
that is not a number ends the guidance of all; depths near or behind the camera are not guarded.
Screen units are pixels of a 1000 px image divided by 500, less 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hypopose.diffusion.respacing import RespacedSchedule
from hypopose.errors import MissingCameraError, OptionError
from hypopose.types import Camera, NoiseSource

Energy = Callable[[Float[Tensor, "S F D"]], Float[Tensor, " S"]]
"""From clean slots, flattened per frame, to one number per hypothesis."""

UNIT_PX = 500.0
NECK = 9


@dataclass(frozen=True, eq=False)
class ReleasedCamera:
    """A camera in screen units, as the released code keeps it.

    Args:
        intrinsics: Transposed: ``[[fx, 0, 0], [skew, fy, 0], [cx, cy, 1]]``.
        rotation: World to camera.
        place: Camera center in world meters.
        radial: k1, k2 and perhaps k3.
        tangential: p1, p2.
    """

    intrinsics: Float[Tensor, "3 3"]
    rotation: Float[Tensor, "3 3"]
    place: Float[Tensor, "3"]
    radial: Float[Tensor, " n"]
    tangential: Float[Tensor, "2"]

    @staticmethod
    def of(camera: Camera) -> ReleasedCamera:
        """The same camera in screen units.

        Raises:
            MissingCameraError: If its place in the world is unknown.
        """
        if camera.rotation is None or camera.translation is None:
            raise MissingCameraError(
                "The released Platypose projects from the world, but this camera has no rotation "
                "and translation. Give it both, or use sampler='platypose'."
            )
        k = torch.zeros(3, 3, dtype=torch.float64)
        k[[0, 1], [0, 1]] = camera.focal.double() / UNIT_PX
        k[2, :2] = camera.center.double() / UNIT_PX - 1
        k[2, 2] = 1
        lens = camera.focal.new_zeros(5) if camera.distortion is None else camera.distortion
        place = -camera.rotation.T @ camera.translation
        return ReleasedCamera(k, camera.rotation, place, lens[[0, 1, 4]], lens[[2, 3]])

    def project(self, points: Float[Tensor, "*any 3"], *, lens: bool = True) -> Tensor:
        """World points to screen units; the lens acts in the precision of the intrinsics."""
        k = self.intrinsics
        h = (points - self.place) @ torch.linalg.inv(self.rotation) @ k.float()
        uv = h[..., :2] / h[..., 2:]
        if not lens:
            return uv
        f, c = torch.stack([k[0, 0], k[1, 1]]), k[2, :2]
        n = (uv - c) / f
        r2 = n.square().sum(-1, keepdim=True)
        factor = 1 + sum(a * r2 ** (i + 1) for i, a in enumerate(self.radial))
        p1, p2 = self.tangential
        x, y = n[..., :1], n[..., 1:]
        shift = torch.cat(
            [2 * p1 * x * y + p2 * (r2 + 2 * x * x), 2 * p2 * x * y + p1 * (r2 + 2 * y * y)], -1
        )
        return (n * factor + shift) * f + c

    def unproject(
        self, uv: Float[Tensor, "*any 2"], center: Float[Tensor, "*any_ 3"]
    ) -> Float[Tensor, "*any 3"]:
        """Points on rays, as far from the camera as ``center``; the lens is not undone."""
        ray = torch.cat([uv, torch.ones_like(uv[..., :1])], -1).to(self.intrinsics)
        ray = (ray @ torch.linalg.inv(self.intrinsics)).to(self.rotation)
        ray = ray / ray.norm(dim=-1, keepdim=True)
        distance = (center - self.place).norm(dim=-1, keepdim=True)
        return ray * distance @ self.rotation + self.place


@dataclass(frozen=True, eq=False)
class MultiView:
    """Weighted squared reprojection error, summed over frames and cameras: E of all experiments.

    Args:
        cameras: Who sees the motion.
        keypoints: Screen units, one per camera.
        root: The true root of each frame, world meters (consumed: an oracle).
        weights: Of squared residuals; 1 if None.
        drop_neck: Leave joint 9 out, as for keypoints of MPII; weights then have 16 joints.
        root_on: ``"all"`` joints get the root, ``"relative"`` ones only (an older variant), or
            ``"none"`` if motions are absolute already.
    """

    cameras: tuple[ReleasedCamera, ...]
    keypoints: Float[Tensor, "C F J 2"]
    root: Float[Tensor, "F 3"]
    weights: Float[Tensor, "C F K 2"] | None = None
    drop_neck: bool = False
    root_on: str = "all"

    def __call__(self, x: Float[Tensor, "S F D"]) -> Float[Tensor, " S"]:
        """One energy per hypothesis."""
        joints = x.reshape(*x.shape[:-1], -1, 3)
        if self.root_on == "all":
            joints = joints + self.root[:, None]
        elif self.root_on == "relative":
            joints = torch.cat([joints[..., :1, :], joints[..., 1:, :] + self.root[:, None]], -2)
        total = x.new_zeros(len(x))
        kept = [j for j in range(joints.shape[-2]) if not (self.drop_neck and j == NECK)]
        for c, camera in enumerate(self.cameras):
            error = (camera.project(joints) - self.keypoints[c])[..., kept, :].square()
            if self.weights is not None:
                error = error * self.weights[c]
            total = total + error.mean((-1, -2)).sum(-1)
        return total


@dataclass(frozen=True, eq=False)
class Guided:
    """What guidance did to a clean estimate.

    Args:
        x0: The pushed estimate.
        energy: Before each update.
        step_size: Used in each update: one for all hypotheses, or one each.
    """

    x0: Float[Tensor, "S F D"]
    energy: Float[Tensor, "K S"]
    step_size: Float[Tensor, "K S"]


def guide(
    x0: Float[Tensor, "S F D"],
    energy: Energy,
    energy_scale: float | Tensor,
    n_substeps: int,
    *,
    coupled: bool = True,
) -> Guided:
    """Push a clean estimate down an energy; the gradient does not pass through the network.

    Args:
        x0: Clean slots, flattened per frame.
        energy: One number per hypothesis.
        energy_scale: First step size λ, or one per hypothesis.
        n_substeps: Updates K.
        coupled: As released: the mean energy decides for all, and one hypothesis that is not a
            number stops everybody. Otherwise each decides and stops for itself.

    Returns:
        The pushed estimate and its trace, as long as updates were made.
    """
    size = torch.as_tensor(energy_scale, dtype=torch.float64).expand(len(x0)).clone()
    best = torch.full_like(size, torch.inf)
    energies, sizes = [], []
    for _ in range(n_substeps):
        value, gradient = _slope(x0, energy)
        broken = value.isnan()
        if bool(broken.all()) or (coupled and bool(broken.any())):
            break
        judged = value.double()
        judged = judged.mean().expand_as(judged) if coupled else judged
        better = judged < best * (1 - 1e-4)
        best = torch.where(better, judged, best)
        shrinks = ~better & (size - size / 10 > 1e-8)
        size = torch.where(shrinks, size / 10, size)
        energies.append(value)
        sizes.append(size)
        gradient = gradient * size[:, None, None].to(gradient)
        x0 = x0 - torch.where(broken[:, None, None], torch.zeros_like(gradient), gradient)
    none = x0.new_zeros(0, len(x0))
    return Guided(
        x0,
        torch.stack(energies) if energies else none,
        torch.stack(sizes) if sizes else none,
    )


def _slope(x0: Tensor, energy: Energy) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        x = x0.detach().requires_grad_()
        value = energy(x)
        (gradient,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), gradient


@dataclass(frozen=True, eq=False)
class ReleasedStep:
    """One step of a released chain.

    Args:
        i: Index in the chain.
        x_t: What the network read.
        x0: What it said.
        guided: What guidance made of it.
        x_next: Where the chain went.
    """

    i: int
    x_t: Tensor
    x0: Tensor
    guided: Guided
    x_next: Tensor


@torch.no_grad()
def released_chain(
    network: nn.Module,
    energy: Energy,
    chain: RespacedSchedule,
    noise: Float[Tensor, "S F D"],
    *,
    energy_scale: float = 30.0,
    n_substeps: int = 10,
    skip: int = 4,
    coupled: bool = True,
    step_noise: NoiseSource | None = None,
    callback: Callable[[ReleasedStep], None] | None = None,
) -> Float[Tensor, "S F D"]:
    """Sample slots: DDIM without new noise, or ancestral steps where there is ``step_noise``.

    Args:
        network: A motion prior.
        energy: What is to be small.
        chain: Timesteps; 20 of 50 as released.
        noise: Standard normals.
        energy_scale: λ: 30 on Human3.6M, 10 on the other data sets.
        n_substeps: K, 10 in the experiments.
        skip: Steps left out at the start; the chain then begins at a noised all-zero motion.
        coupled: See :func:`guide`.
        step_noise: Asked for the motions' shape at every step but the last.
        callback: Called after every step.

    Returns:
        The pushed estimate of the last step.

    Raises:
        OptionError: If nothing of the chain is left.
    """
    n = len(chain.timesteps)
    if not 0 <= skip < n:
        raise OptionError(f"skip lies between 0 and {n - 1}, got {skip}.")
    bars = chain.schedule
    x = noise if skip == 0 else math.sqrt(1 - bars.at(n - 1 - skip)) * noise
    x0 = x
    for i in reversed(range(n - skip)):
        t = torch.full((len(x),), chain.timesteps[i], device=x.device)
        predicted = network(x.reshape(*x.shape[:-1], -1, 3), t).flatten(-2)
        guided = guide(predicted, energy, energy_scale, n_substeps, coupled=coupled)
        x0 = guided.x0
        x_next = (
            _ddim(x, x0, i, chain)
            if step_noise is None
            else _ancestral(x, x0, i, chain, step_noise)
        )
        if callback is not None:
            callback(ReleasedStep(i, x, predicted, guided, x_next))
        x = x_next
    return x0


def _ddim(x: Tensor, x0: Tensor, i: int, chain: RespacedSchedule) -> Tensor:
    now, then = chain.schedule.at(i), chain.schedule.at(i - 1)
    eps = (x / math.sqrt(now) - x0) / math.sqrt(1 / now - 1)
    return math.sqrt(then) * x0 + math.sqrt(1 - then) * eps


def _ancestral(
    x: Tensor, x0: Tensor, i: int, chain: RespacedSchedule, noise: NoiseSource
) -> Tensor:
    variance, of_x0, of_x = (float(v[i]) for v in chain.posterior)
    mean = of_x0 * x0 + of_x * x
    return mean if i == 0 else mean + math.sqrt(variance) * noise(tuple(x.shape)).to(x)
