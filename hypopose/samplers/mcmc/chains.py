"""Chains of a target in one Pyro kernel, flips in between."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn import functional

from hypopose.samplers.mcmc.priors import DEPTH_STD, NEAREST
from hypopose.samplers.mcmc.target import Target
from hypopose.samplers.pose_prior import turned

if TYPE_CHECKING:
    from pyro.infer import NUTS

TYPICAL = 0.2
"""Radians to which the components of a prior hold a bone, about; it decides speed only."""

HEADINGS = 8
"""Headings tried with flips of the trunk: plus and minus the present one, in quarter turns."""


class Chains:
    """Chains in one Pyro kernel, flips in between.

    Args:
        target: What they sample.
        n_chains: How many.
        n_warmup: Transitions during which the kernel adapts.
    """

    def __init__(self, target: Target, n_chains: int, n_warmup: int) -> None:
        self.target = target
        self.n_taken = self.n_tried = self.n_steps = 0
        # Chains live at shift + sign * basis y. Flips move the shift and mirror the sign, so that
        # all modes look alike to the kernel; the basis makes them approximately isotropic. Flips
        # act on position and sign as one group, so the posterior stays what they leave unchanged.
        self.shift = self._start(n_chains)
        self.sign = torch.ones_like(self.shift)
        self.basis = self._basis(self.shift)
        self.y = torch.zeros_like(self.shift).flatten(1)
        self.kernel = self._kernel(n_warmup)

    @property
    def n_divergent(self) -> int:
        """Transitions in which the integrator broke down."""
        return len(self.kernel.diagnostics()["divergences"])

    @property
    def flips(self) -> float:
        """Share of flip steps that changed something."""
        return self.n_taken / max(1, self.n_tried)

    @property
    def position(self) -> Float64[Tensor, "C T D"]:
        """Where chains are."""
        return self._at(self.y)

    def _at(self, y: Float64[Tensor, "C TD"]) -> Float64[Tensor, "C T D"]:
        return self.shift + self.sign * (self.basis @ y[..., None]).view_as(self.shift)

    def step(self) -> None:
        """One transition of all chains, then flips."""
        moved = self.kernel.sample({f"chain{i}": y for i, y in enumerate(self.y)})
        self.y = torch.stack([moved[f"chain{i}"].detach() for i in range(len(self.y))])
        self.n_steps += 1
        with torch.no_grad():
            new, mirror = self._flip(self.position, wide=self.n_steps % 8 == 0)
            new = self._slide(new)
            self.sign = self.sign * mirror
            self.shift = new - (self._at(self.y) - self.shift)
        self.kernel.clear_cache()

    def _kernel(self, n_warmup: int) -> NUTS:
        from pyro.infer import NUTS

        names = [f"chain{i}" for i in range(len(self.y))]
        kernel = NUTS(
            potential_fn=self._potential,
            target_accept_prob=0.8,
            max_tree_depth=5,
            step_size=0.2,
        )
        kernel.initial_params = dict(zip(names, self.y, strict=True))
        kernel.setup(n_warmup)
        return kernel

    def _potential(self, params: dict[str, Tensor]) -> Tensor:
        y = torch.stack([params[f"chain{i}"] for i in range(len(self.shift))])
        energy = -self.target.log_density(self._at(y)).sum()
        return torch.where(torch.isfinite(energy), energy, 1e10)

    def _start(self, n_chains: int) -> Float64[Tensor, "C T D"]:
        """Bones of their mean lengths on their keypoints, random coins; then many flips."""
        target = self.target
        T, J = target.center.shape[:2]
        n_bones = len(target.prior.skeleton.bones)
        p = target.center.expand(n_chains, T, J, 2)
        coin = (torch.rand(n_chains, 1, n_bones) < 0.5).double() * 2 - 1
        length = target.prior.lengths.expand(n_chains, T, n_bones)
        depth, _ = target.walk(p, length, target.start_depth, coin.expand(n_chains, T, n_bones))
        heading = (2 * math.pi * torch.rand(n_chains, 1, dtype=torch.float64)).expand(n_chains, T)
        nothing = p.new_zeros(n_chains, T, target.n_coordinates)
        position = target.join(nothing, depth.clamp(min=2 * NEAREST), heading)
        # A little off the plane z = 1 of the parent, so that every bone has a coin.
        position = position + 0.01 * torch.randn_like(position)
        with torch.no_grad():
            for i in range(6 * n_bones):
                position, _ = self._flip(position, wide=i % 2 == 0)
                position = self._slide(position)
        self.n_taken = self.n_tried = 0
        return position

    def _basis(self, position: Float64[Tensor, "C T D"]) -> Float64[Tensor, "C TD TD"]:
        """A factor of the posterior's covariance about a position, per chain.

        Gauss-Newton: errors, lengths over their deviations, directions as if the prior held them
        to :data:`TYPICAL` radians, root and heading.
        """
        target = self.target

        def residuals(flat: Tensor) -> Tensor:
            at = flat.view_as(position[0])
            lengths, u = target.bones(at)
            white = target.white_lengths(lengths)
            local = turned(u, at[:, -1]) if target.prior.upright else u
            errors = at[:, : 2 * target.prior.skeleton.n_joints]
            parts = [errors, local / TYPICAL, at[:, -1], at[:, -2] / DEPTH_STD]
            ties = [target.ties(at)] if len(at) > 1 else []
            return torch.cat([white, *(part.flatten() for part in parts), *ties])

        factors = []
        for at in position:
            jacobian: Tensor = torch.func.jacrev(residuals)(at.flatten())
            precision = jacobian.mT @ jacobian + 1e-6 * torch.eye(at.numel(), dtype=at.dtype)
            lower = torch.linalg.cholesky(precision)
            eye = torch.eye(at.numel(), dtype=at.dtype)
            factors.append(torch.linalg.solve_triangular(lower.mT, eye, upper=True))
        return torch.stack(factors)

    def _flip(
        self, position: Float64[Tensor, "C T D"], *, wide: bool
    ) -> tuple[Float64[Tensor, "C T D"], Float64[Tensor, "C 1 D"]]:
        """One Gibbs step over flips: where chains go, and the signs of what was mirrored.

        Narrow: three bones, 8 combinations. Wide: the sets of a random partition of the bones into
        four, 16 combinations, with 8 headings each.
        """
        B = len(self.target.prior.skeleton.bones)
        if wide:
            sets = functional.one_hot(torch.randint(5, (B,)), 5)[:, :4].mT.bool()
            # One set is all of them, so that whole bodies are mirrored in depth.
            sets[0] = True
        else:
            sets = functional.one_hot(torch.randperm(B)[:3], B).bool()
        generators = torch.where(sets, -1.0, 1.0).double()
        bits = torch.cartesian_prod(*[torch.tensor([False, True])] * len(sets))
        bits = bits.reshape(-1, len(sets))
        signs = torch.where(bits[..., None], generators, 1.0).prod(1)
        headings = HEADINGS if wide and self.target.prior.upright else 1
        places, log_density = self.target.flipped(position, signs, headings)
        chosen = _drawn(log_density, 0)
        self.n_tried += len(chosen)
        self.n_taken += int((chosen > 0).sum())
        new = places[chosen, torch.arange(len(chosen))]
        mirror = torch.ones_like(position[:, :1])
        n_bones, turn = len(self.target.prior.skeleton.bones), chosen % headings
        mirror[:, 0, -2 - n_bones : -2] = signs[chosen // headings]
        mirror[:, 0, -1] = torch.where(turn % 2 == 0, 1.0, -1.0)
        return torch.where((chosen == 0)[:, None, None], position, new), mirror

    def _slide(self, position: Float64[Tensor, "C T D"]) -> Float64[Tensor, "C T D"]:
        """One Gibbs step over the root's depth, image positions, lengths and coins held.

        A grid of 16 log depths is laid so that the present one is anywhere in it, at random; that
        makes choosing from it in proportion to the posterior exact.
        """
        n = 16
        present = int(torch.randint(n, ()))
        step = 0.2 * 0.01 ** float(torch.rand(()))
        zoom = (step * (torch.arange(n, dtype=torch.float64) - present)).exp()[:, None, None]
        keep = torch.ones(n, len(self.target.prior.skeleton.bones), dtype=torch.float64)
        places, log_density = self.target.flipped(position, keep, 1, zoom)
        chosen = _drawn(log_density, present)
        new = places[chosen, torch.arange(len(chosen))]
        return torch.where((chosen == present)[:, None, None], position, new)


def _drawn(log_density: Float64[Tensor, "N C"], present: int) -> Tensor:
    """Rows drawn in proportion to their density; the present one where all are impossible."""
    gumbel = -torch.empty_like(log_density).exponential_().log()
    chosen = (log_density + gumbel).argmax(0)
    possible = torch.isfinite(log_density.gather(0, chosen[None])[0])
    return torch.where(possible, chosen, present)
