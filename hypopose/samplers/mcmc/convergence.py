"""Whether chains agree."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

BAD_R_HAT, BAD_ESS = 1.1, 50.0
"""Beyond these a warning says that the draws are not to be trusted yet."""


@dataclass(frozen=True)
class Convergence:
    """Whether chains agree; the last thing a callback sees.

    Args:
        r_hat: Largest split R-hat over joints' coordinates.
        ess: Smallest effective number of draws.
        n_divergent: Transitions in which the integrator broke down.
        flips: Share of flip steps that changed something.
        seconds: Wall-clock time.
    """

    r_hat: float
    ess: float
    n_divergent: int
    flips: float
    seconds: float

    @property
    def note(self) -> str:
        """One line for records."""
        return (
            f"MCMC: R-hat at most {self.r_hat:.2f}, at least {self.ess:.0f} effective draws, "
            f"{self.n_divergent} divergent transitions, {100 * self.flips:.0f} % of flips taken, "
            f"{self.seconds:.0f} s"
        )

    @property
    def bad(self) -> bool:
        """Whether the draws are not to be trusted."""
        return not (self.r_hat < BAD_R_HAT and self.ess > BAD_ESS)


def convergence(
    x: Float64[Tensor, "S C T J 3"], root: int, n_divergent: int, flips: float, seconds: float
) -> Convergence:
    """R-hat and effective sizes of root-relative coordinates, the worst of them."""
    from pyro.ops.stats import effective_sample_size, split_gelman_rubin

    relative = x - x[..., root : root + 1, :]
    moving = [j for j in range(x.shape[-2]) if j != root]
    y = relative[..., moving, :].transpose(0, 1).flatten(2)
    r_hat = split_gelman_rubin(y) if len(y) > 1 else torch.ones(1)
    return Convergence(
        r_hat=float(r_hat.max()),
        ess=float(effective_sample_size(y).min()),
        n_divergent=n_divergent,
        flips=flips,
        seconds=seconds,
    )
