"""Adam on latents, independently for every item.

Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015. Items (clips, hypotheses)
have their own energy, state, best point and end, so that an item's path does not depend on which
others are optimized beside it. Networks are not trained here: only latents have gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.checks import check_choice
from hypopose.errors import OptionError

Latents = tuple[Tensor, ...]
"""What is moved; every tensor's first axis counts items."""


Keep = Literal["best", "last"]
"""Which point of a descent is returned."""


@dataclass(frozen=True, eq=False)
class Visit:
    """What a callback sees before each step.

    Args:
        index: 0 .. n_steps - 1.
        latents: Where the energy was evaluated.
        gradients: There.
        energy: There.
    """

    index: int
    latents: Latents
    gradients: Latents
    energy: Float[Tensor, " N"]


@dataclass(frozen=True, eq=False)
class Found:
    """Where the descent ended.

    Args:
        latents: The best ones of every item, or the last.
        before: Energies at the start.
        after: Energies of ``latents``.
        n_steps: Steps each item took.
    """

    latents: Latents
    before: Float[Tensor, " N"]
    after: Float[Tensor, " N"]
    n_steps: Float[Tensor, " N"]


@dataclass(frozen=True)
class Adam:
    """Options of the descent.

    Args:
        n_steps: Steps at most.
        learning_rate: Size of a step, in the latents' unit.
        beta1: Memory of gradients.
        beta2: Memory of their squares.
        eps: Added to the root of the squares.
        keep: ``"best"`` returns every item's best point, so that no item ends worse than it began;
            ``"last"`` the last one, as published.
        patience: An item stops after so many steps in a row without gain; None for never.
        gain: Relative decrease of the best energy that counts as gain.

    Raises:
        OptionError: If an option is out of range.
    """

    n_steps: int = 30
    learning_rate: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    keep: Keep = "best"
    patience: int | None = 5
    gain: float = 1e-4

    def __post_init__(self) -> None:
        if self.n_steps < 0 or not self.learning_rate > 0:
            raise OptionError("n_steps is at least 0, and learning_rate positive.")
        check_choice("keep", self.keep, get_args(Keep))
        if self.patience is not None and self.patience < 1:
            raise OptionError(f"patience is at least 1, or None; got {self.patience}.")


@torch.enable_grad()
def descend(
    start: Latents,
    energy: Callable[[Latents], Float[Tensor, " N"]],
    options: Adam,
    callback: Callable[[Visit], None] | None = None,
) -> Found:
    """Lower the energy of every item.

    Args:
        start: Latents.
        energy: Of every item; items must not influence each other. Where it is not finite, the item
            keeps the best point it had.
        options: Of the descent.
        callback: Called before every step.

    Returns:
        Latents without gradients, and energies.

    Example:
        >>> target = torch.tensor([[1.0], [-3.0]])
        >>> found = descend((torch.zeros(2, 1),), lambda z: (z[0] - target).square().sum(-1),
        ...                 Adam(n_steps=200))
        >>> (found.latents[0] - target).abs().max().item() < 0.05
        True
    """
    points = tuple(z.detach().clone() for z in start)
    state = _Best(points, options)
    moments = [(torch.zeros_like(z), torch.zeros_like(z)) for z in points]
    for i in range(options.n_steps):
        for z in points:
            z.requires_grad_()
        value = energy(points)
        state.see(points, value.detach())
        if not bool(state.active.any()):
            break
        gradients = _gradients(value, points)
        if callback is not None:
            callback(Visit(i, points, gradients, value.detach()))
        points = tuple(
            _step(z.detach(), g, m, state.active, i + 1, options)
            for z, g, m in zip(points, gradients, moments, strict=True)
        )
        state.count()
    with torch.no_grad():
        state.see(points, energy(points))
    return state.found()


def _gradients(value: Tensor, points: Latents) -> Latents:
    """Of the sum over items; what is not finite moves nothing."""
    gradients = torch.autograd.grad(value.nan_to_num(0.0).sum(), points, allow_unused=True)
    return tuple(
        torch.zeros_like(z) if g is None else g.nan_to_num(0.0, 0.0, 0.0)
        for z, g in zip(points, gradients, strict=True)
    )


def _step(
    z: Tensor,
    g: Tensor,
    moments: tuple[Tensor, Tensor],
    active: Bool[Tensor, " N"],
    count: int,
    options: Adam,
) -> Tensor:
    """One step of Adam for the active items, which have all taken ``count - 1`` before."""
    first, second = moments
    first.mul_(options.beta1).add_(g, alpha=1 - options.beta1)
    second.mul_(options.beta2).addcmul_(g, g, value=1 - options.beta2)
    scale = (second / (1 - options.beta2**count)).sqrt() + options.eps
    step = options.learning_rate * (first / (1 - options.beta1**count)) / scale
    return z - step * _like(active, z).to(z.dtype)


def _like(mask: Tensor, z: Tensor) -> Tensor:
    return mask.reshape(-1, *(1,) * (z.dim() - 1))


class _Best:
    """Every item's best point so far, and whether it goes on."""

    def __init__(self, points: Latents, options: Adam) -> None:
        n = len(points[0])
        device = points[0].device
        self.options = options
        self.points = points
        self.value: Tensor | None = None
        self.before: Tensor | None = None
        self.active = torch.ones(n, dtype=torch.bool, device=device)
        self.stale = torch.zeros(n, dtype=torch.long, device=device)
        self.steps = torch.zeros(n, device=device)

    def see(self, points: Latents, value: Tensor) -> None:
        """Compare with the best; items without gain for long enough stop."""
        if self.value is None:
            self.value = self.before = value.clone()
            return
        # If the start has no finite energy, any point with one is better.
        old = self.value.nan_to_num(torch.inf)
        last = self.options.keep == "last"
        better = self.active if last else value < old
        gained = value < old - self.options.gain * old.abs().nan_to_num(0.0, 0.0, 0.0)
        self.points = tuple(
            torch.where(_like(better, z), z.detach(), kept)
            for z, kept in zip(points, self.points, strict=True)
        )
        self.value = torch.where(better, value, self.value)
        self.stale = torch.where(gained, 0, self.stale + 1)
        if self.options.patience is not None:
            self.active = self.active & (self.stale < self.options.patience)

    def count(self) -> None:
        """The active items take a step."""
        self.steps = self.steps + self.active

    def found(self) -> Found:
        """The outcome."""
        assert self.value is not None
        assert self.before is not None
        points = tuple(z.detach() for z in self.points)
        return Found(points, self.before, self.value, self.steps)
