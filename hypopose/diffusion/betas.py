"""The noise schedules of DiffPose's released code, by their names there.

Gong et al., "DiffPose: Toward More Reliable 3D Pose Estimation", CVPR 2023. Its configurations use
``linear`` from 1e-4 to 1e-3 over 51 timesteps, which ends at ᾱ = 0.972: the process stays far from
pure noise. For one that reaches it, use :func:`hypopose.diffusion.cosine_schedule`.

Departure: the released code forms products of betas in single precision; ours are double, which
moves its samples by up to 1e-5 m.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float64
from torch import Tensor

from hypopose.checks import check_choice
from hypopose.errors import OptionError


def named_betas(
    kind: str, n_timesteps: int, start: float = 1e-4, end: float = 1e-3
) -> Float64[Tensor, " T"]:
    """Variance added per timestep.

    Args:
        kind: A name in :data:`BETAS`.
        n_timesteps: T.
        start: First beta (of ``linear``, ``quad``, ``sigmoid``).
        end: Last beta; the only one of ``const``.

    Returns:
        For :class:`hypopose.diffusion.Schedule`, which takes all but ``jsd``: that one ends at
        beta = 1, nothing but noise.

    Raises:
        OptionError: If no schedule has that name, or there are no timesteps.

    Example:
        >>> [round(beta, 6) for beta in named_betas("quad", 3, 1e-4, 1e-2).tolist()]
        [0.0001, 0.003025, 0.01]
    """
    check_choice("betas", kind, BETAS)
    if n_timesteps < 1:
        raise OptionError(f"A schedule needs at least one timestep, got {n_timesteps}.")
    return BETAS[kind](n_timesteps, start, end)


def _line(n: int, start: float, end: float) -> Tensor:
    return torch.linspace(start, end, n, dtype=torch.float64)


def _quad(n: int, start: float, end: float) -> Tensor:
    return _line(n, start**0.5, end**0.5) ** 2


def _const(n: int, start: float, end: float) -> Tensor:
    return torch.full((n,), end, dtype=torch.float64)


def _jsd(n: int, start: float, end: float) -> Tensor:
    return 1.0 / _line(n, float(n), 1.0)


def _sigmoid(n: int, start: float, end: float) -> Tensor:
    return torch.sigmoid(_line(n, -6.0, 6.0)) * (end - start) + start


BETAS: dict[str, Callable[[int, float, float], Tensor]] = {
    "linear": _line,
    "quad": _quad,
    "const": _const,
    "jsd": _jsd,
    "sigmoid": _sigmoid,
}
"""Name -> function of (n_timesteps, start, end)."""
