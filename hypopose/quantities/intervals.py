"""Central intervals of samples that account for their number.

The k-th smallest of n samples is taken as their quantile k / (n + 1) (Weibull's positions: a value
exchangeable with the samples lies below it just as often; Hyndman and Fan, "Sample quantiles in
statistical packages", The American Statistician 50, 1996, type 6), straight lines between. So 20
samples reach the middle 90 %; a wider interval is that one, stretched about the median by the ratio
of the normal distribution's quantiles.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from hypopose.checks import check_between

LEVELS = (0.5, 0.8, 0.95)
"""Nominal coverage of the intervals in tables and figures."""


def median(samples: Float[np.ndarray, "H *rest"]) -> Float[np.ndarray, "*rest"]:
    """Median over the first axis; samples that are NaN do not count."""
    return _quantile(*_sorted(samples), 0.5)


def interval(
    samples: Float[np.ndarray, "H *rest"], level: float
) -> tuple[Float[np.ndarray, "*rest"], Float[np.ndarray, "*rest"]]:
    """Lower and upper end of the central interval, see the module.

    Args:
        samples: Values of the hypotheses; NaN where a hypothesis has none.
        level: Nominal coverage, between 0 and 1.

    Returns:
        Two arrays; NaN where fewer than two hypotheses have a value.

    Raises:
        OptionError: If the level is out of range.

    Example:
        >>> low, high = interval(np.arange(1.0, 20.0), 0.8)  # 19 samples: positions of 1/20
        >>> low.item(), high.item()
        (2.0, 18.0)
    """
    from scipy.stats import norm

    check_between(0.01, 0.999, level=level)
    ordered, n = _sorted(samples)
    tail = (1 - level) / 2
    reached = np.maximum(tail, 1 / (n + 1))
    middle = _quantile(ordered, n, 0.5)
    stretch = np.where(reached > tail, norm.ppf(tail) / norm.ppf(np.minimum(reached, 0.49)), 1.0)
    ends = [middle + stretch * (_quantile(ordered, n, p) - middle) for p in (reached, 1 - reached)]
    low, high = (np.asarray(np.where(n >= 2, end, np.nan)) for end in ends)
    return low, high


def _sorted(samples: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Samples in order, those that are NaN last, and how many are not."""
    values = np.asarray(samples, dtype=np.float64)
    return np.sort(values, axis=0), np.asarray(np.isfinite(values).sum(0))


def _quantile(
    ordered: NDArray[np.float64], n: NDArray[np.int64], p: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Type 6 of the first n of each column; NaN where n is 0."""
    last = np.maximum(n - 1, 0)
    place = np.clip(np.asarray(p) * (n + 1) - 1, 0, last)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, last)
    a, b = (np.take_along_axis(ordered, k[None], 0)[0] for k in (below, above))
    return np.asarray(a + (place - below) * (b - a))
