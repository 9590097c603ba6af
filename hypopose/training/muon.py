"""Muon in single precision, for processors that multiply bfloat16 slowly.

Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024): the momentum of a
matrix is turned into (nearly) its nearest orthogonal matrix, so that all directions learn alike.
``torch.optim.Muon`` does so in bfloat16, which most CPUs emulate: there it can take two thirds of a
training step. This one keeps the precision of the gradient and treats matrices of one shape at a
time. Updates are scaled to the size of AdamW's (Liu et al., "Muon is scalable for LLM training",
2025), so that one learning rate serves both.

| symbol | code |
| --- | --- |
| M, momentum | ``buffer`` |
| Newton-Schulz, X ← aX + b(XXᵀ)X + c(XXᵀ)²X | :func:`orthogonalized` |
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b, c of the paper: singular values of 0.005 to 1 come to 0.65 to 1.25 in five steps."""

ADAMW_SIZE = 0.2
"""Root mean square of AdamW's updates, which these are given."""


def orthogonalized(x: Float[Tensor, "*batch m n"], n_steps: int = 5) -> Float[Tensor, "*batch m n"]:
    """Nearly U Vᵀ of each matrix U S Vᵀ, by Newton and Schulz's iteration.

    Args:
        x: Matrices.
        n_steps: Steps of the iteration.

    Returns:
        Matrices with the same singular vectors, whose singular values lie near 1.

    Example:
        >>> u = orthogonalized(torch.randn(8, 4))
        >>> bool((torch.linalg.svdvals(u) - 1).abs().max() < 0.36)
        True
    """
    a, b, c = COEFFICIENTS
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(n_steps):
        square = x @ x.mT
        x = a * x + (b * square + c * (square @ square)) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalized, for matrices; see the module.

    Args:
        params: Matrices alone.
        lr: Learning rate, as AdamW's.
        weight_decay: Decoupled decay.
        momentum: Of the gradients, with Nesterov's look ahead.
        n_steps: Steps of :func:`orthogonalized`.

    Example:
        >>> layer = torch.nn.Linear(4, 4, bias=False)
        >>> optimizer = Muon(layer.parameters(), lr=0.1)
        >>> layer(torch.ones(1, 4)).sum().backward()
        >>> optimizer.step()
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        n_steps: int = 5,
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, {**defaults, "n_steps": n_steps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one step along the gradients that are there."""
        for group in self.param_groups:
            same: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    same[tuple(p.shape)].append(p)
            for matrices in same.values():
                self._turn(matrices, group)

    def _turn(self, matrices: list[Tensor], group: dict[str, Any]) -> None:
        """Step for matrices of one shape."""
        ahead = []
        for p in matrices:
            assert p.grad is not None  # chosen so
            state = self.state[p]
            if "buffer" not in state:
                state["buffer"] = torch.zeros_like(p)
            state["buffer"].lerp_(p.grad, 1 - group["momentum"])
            ahead.append(torch.lerp(p.grad, state["buffer"], group["momentum"]))
        updates = orthogonalized(torch.stack(ahead), int(group["n_steps"]))
        lr = group["lr"]
        size = ADAMW_SIZE * max(matrices[0].shape) ** 0.5
        for p, update in zip(matrices, updates, strict=True):
            p.mul_(1 - lr * group["weight_decay"]).sub_(update, alpha=lr * size)
