"""Are ranks uniform? Null distributions, simultaneous bands, tests, multiplicity.

Säilynoja, Bürkner and Vehtari, "Graphical test for discrete uniformity and its applications in
goodness-of-fit evaluation and multiple sample comparison", 2022: pointwise bands are widened until
the whole curve stays inside with the wanted probability.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hypopose.calibration.ranks import coverage_matrix

Array = NDArray[np.float64]


@lru_cache(maxsize=64)
def null_coverage(
    n: int, n_hypotheses: int, levels: tuple[float, ...], n_draws: int = 4000, seed: int = 0
) -> Array:
    """Coverage curves of a perfectly calibrated model seen through ``n`` observations.

    Args:
        n: Independent observations.
        n_hypotheses: S.
        levels: Nominal levels.
        n_draws: Simulated experiments.
        seed: Seed of the simulation.

    Returns:
        ``(n_draws, L)`` coverage per experiment.
    """
    import torch

    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n, np.full(n_hypotheses + 1, 1 / (n_hypotheses + 1)), size=n_draws)
    share = coverage_matrix(torch.tensor(levels, dtype=torch.float64), n_hypotheses)[:-1].numpy()
    return np.asarray(counts @ share / n, dtype=np.float64)


def simultaneous_band(curves: Array, confidence: float = 0.95) -> tuple[Array, Array]:
    """A band that holds a whole curve with the given probability.

    Args:
        curves: ``(n_draws, L)`` simulated under the null.
        confidence: Probability that a null curve lies inside at all L levels.

    Returns:
        Lower and upper edge, each ``(L,)``.
    """
    n = len(curves)
    ascending = np.sort(curves, axis=0)
    at_most = np.stack([np.searchsorted(a, c, "right") for a, c in zip(ascending.T, curves.T,
                        strict=True)])  # fmt: skip
    below = np.stack([np.searchsorted(a, c, "left") for a, c in zip(ascending.T, curves.T,
                      strict=True)])  # fmt: skip
    tail = np.minimum(at_most, n - below).min(0)
    trim = int(np.sort(tail)[min(n - 1, int(np.floor((1 - confidence) * n)))])
    trim = max(1, trim)
    return ascending[trim - 1], ascending[n - trim]
