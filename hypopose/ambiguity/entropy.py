"""Differential entropy of joints and poses from samples.

Paper: Kozachenko and Leonenko, "Sample estimate of the entropy of a random vector", Problems of
Information Transmission 23, 1987; in the form of Kraskov, Stögbauer and Grassberger, Physical
Review E 69, 066138, 2004.

The distance from a sample to its k-th nearest neighbor says how dense the distribution is there;
averaging the logarithm over samples gives the entropy without a density model, so it holds for
distributions with several modes. Distances are measured after whitening, because depth spreads ten
times wider than the lateral directions and a ball would reach far beyond the distribution in the
narrow directions. The whitening that counts is the one within modes, so it is refined twice with
the differences between neighbors. Whitening only chooses the metric; the estimate stays in the
original units.

====================  ==========================================  ===================
symbol                meaning                                     code
====================  ==========================================  ===================
``N``, ``d``          samples, dimensions                         ``S``, ``D``
``epsilon(i)/2``      distance to the k-th neighbor               ``radius``
``c_d``               volume of the unit ball                     ``_log_ball``
``psi``               digamma                                     ``torch.digamma``
====================  ==========================================  ===================

Departures: the metric is Mahalanobis; distances below ``resolution`` count as ``resolution``, so
that coinciding samples give a low finite entropy instead of minus infinity.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.ambiguity.covariance import require_hypotheses
from hypopose.errors import OptionError
from hypopose.types import Hypotheses

_CHUNK = 2**24  # distances held at once
_N_REFINEMENTS = 2


def gaussian_entropy(covariance: Float[Tensor, "*batch D D"]) -> Float[Tensor, "*batch"]:
    """Entropy of a normal distribution, in nats.

    Args:
        covariance: Positive definite.

    Returns:
        ``(d log(2 pi e) + log det C) / 2``.

    Example:
        >>> round(gaussian_entropy(torch.eye(1)).item(), 4)
        1.4189
    """
    n = covariance.shape[-1]
    return 0.5 * (n * math.log(2 * math.pi * math.e) + torch.logdet(covariance))


def effective_std(entropy: Float[Tensor, "*any"], n_dims: int) -> Float[Tensor, "*any"]:
    """Standard deviation of the round normal distribution that has this entropy.

    Args:
        entropy: In nats.
        n_dims: Dimensions the entropy is over: 3 for a joint.

    Returns:
        In the unit of the samples, meters for joints: an entropy one can picture.

    Example:
        >>> round(effective_std(gaussian_entropy(torch.eye(3) * 0.05**2), 3).item(), 4)
        0.05
    """
    return (entropy / n_dims).exp() / math.sqrt(2 * math.pi * math.e)


def knn_entropy(
    samples: Float[Tensor, "*batch S D"], k: int = 3, resolution: float = 0.0
) -> Float[Tensor, "*batch"]:
    """Kozachenko–Leonenko entropy in a Mahalanobis metric.

    Bias on normal samples with k = 3, measured: at most 0.2 nats for D = 1, 3 and 6 from S = 20
    upwards. On two separate modes it is at most 0.1 nats with S = 20, but 0.8 nats with S = 10, D =
    3: each mode needs several times ``k`` samples. In D = 48 the estimator is of no use: reduce
    first, as :func:`pose_entropy` does.

    Args:
        samples: Draws from the distribution.
        k: Neighbor whose distance is used; larger is steadier and more biased.
        resolution: Differences below this, in the samples' unit, are not resolved.

    Returns:
        Nats. Minus infinity where samples coincide or lie in a plane and ``resolution`` is 0; NaN
        where a sample is NaN.

    Raises:
        OptionError: If there are not more than ``k`` samples.

    Example:
        >>> x = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0))
        >>> abs(knn_entropy(x) - gaussian_entropy(torch.eye(2))).item() < 0.05
        True
    """
    if not 1 <= k < samples.shape[-2]:
        raise OptionError(
            f"k-NN entropy with k={k} needs more than {max(k, 1)} samples and k of at least 1, "
            f"got {samples.shape[-2]} samples."
        )
    x = samples.double()
    batch, (n, _) = x.shape[:-2], x.shape[-2:]
    flat = x.reshape(-1, *x.shape[-2:])
    step = max(1, _CHUNK // (n * n))
    parts = [_entropy(flat[i : i + step], k, resolution) for i in range(0, len(flat), step)]
    return torch.cat(parts).reshape(batch)


def joint_entropy(
    hypotheses: Hypotheses, k: int = 3, resolution: float = 1e-3
) -> Float[Tensor, "*batch F J"]:
    """Entropy of each joint's position.

    Args:
        hypotheses: More than ``k``.
        k: Neighbor whose distance is used.
        resolution: Meters; differences below a millimeter are not resolved.

    Returns:
        Nats (of meters): compare differences, or read :func:`effective_std`. The root, which never
        moves, has the lowest value the resolution allows.

    Raises:
        OptionError: If there are not more than ``k`` hypotheses.
    """
    require_hypotheses(hypotheses, k + 1, f"Joint entropy with k={k}")
    return knn_entropy(hypotheses.joints.movedim(-4, -2), k, resolution)


def pose_entropy(
    hypotheses: Hypotheses, n_components: int = 3, k: int = 3, resolution: float = 1e-3
) -> Float[Tensor, "*batch F"]:
    """Entropy of the pose within its leading principal components.

    A pose has 48 coordinates, far more than hypotheses to fill them; the leading components, found
    per frame, hold most of what the hypotheses disagree on, and there the estimator works.

    Args:
        hypotheses: More than ``k`` and than ``n_components``.
        n_components: Principal components kept. Compare entropies at equal ``n_components`` only.
        k: Neighbor whose distance is used.
        resolution: Meters of root-sum-square joint displacement.

    Returns:
        Nats per frame; NaN where a hypothesis is NaN.

    Raises:
        OptionError: If there are too few hypotheses.
    """
    need = max(k, n_components) + 1
    require_hypotheses(hypotheses, need, f"Pose entropy in {n_components} components")
    x = hypotheses.joints.double().movedim(-4, -3).flatten(-2)
    nan = torch.isnan(x).flatten(-2).any(-1)
    scores, _ = principal_scores(x.nan_to_num(), n_components)
    value = knn_entropy(scores, k, resolution)
    return torch.where(nan, torch.full_like(value, math.nan), value)


def principal_scores(
    samples: Float[Tensor, "*batch S D"], n_components: int
) -> tuple[Float[Tensor, "*batch S M"], Float[Tensor, "*batch"]]:
    """Coordinates of samples along their leading principal components.

    Args:
        samples: Draws, one per row.
        n_components: How many to keep; at most as many as samples or coordinates.

    Returns:
        The scores, centered, and the share of the variance they keep (NaN where nothing varies).
    """
    d = samples - samples.mean(-2, keepdim=True)
    u, s, _ = torch.linalg.svd(d, full_matrices=False)
    kept = s[..., :n_components].square().sum(-1) / s.square().sum(-1)
    return u[..., :n_components] * s[..., None, :n_components], kept


def _entropy(x: Tensor, k: int, resolution: float) -> Tensor:
    """One chunk ``(N, S, D)``."""
    n, dims = x.shape[-2:]
    nan = torch.isnan(x).flatten(1).any(-1)
    d = (x - x.mean(-2, keepdim=True)).nan_to_num()
    white, log_scale, flat = _whiten(d, d, resolution)
    for _ in range(_N_REFINEMENTS):
        nearest = _distances(white).topk(k + 1, largest=False).indices[..., 1:]
        rows = torch.arange(len(d), device=d.device)[:, None, None]
        steps = (d[rows, nearest] - d[:, :, None]).flatten(1, 2)
        white, log_scale, flat_here = _whiten(d, steps, resolution)
        flat = flat | flat_here
    radius = _distances(white).kthvalue(k + 1, dim=-1).values  # the nearest is the sample itself
    floor = resolution * (-log_scale / dims).exp()
    radius = torch.maximum(radius, floor[:, None])
    digammas = torch.digamma(torch.tensor([n, k], dtype=x.dtype))
    value = (digammas[0] - digammas[1]).to(x) + _log_ball(dims)
    value = value + dims * radius.log().mean(-1) + log_scale
    value = torch.where(flat, torch.full_like(value, -math.inf), value)
    return torch.where(nan, torch.full_like(value, math.nan), value)


def _whiten(d: Tensor, reference: Tensor, resolution: float) -> tuple[Tensor, Tensor, Tensor]:
    """Measure ``d`` in units of the second moments of ``reference``: scores, log volume, flat."""
    dims = d.shape[-1]
    moments = reference.transpose(-1, -2) @ reference / reference.shape[-2]
    moments = moments + resolution**2 * torch.eye(dims, dtype=d.dtype).to(d)
    values, vectors = torch.linalg.eigh(moments)
    flat = values[:, 0] <= 1e-14 * values[:, -1]
    safe = torch.where(flat[:, None], torch.ones_like(values), values)
    return (d @ vectors) / safe.sqrt()[:, None, :], 0.5 * safe.log().sum(-1), flat


def _distances(x: Tensor) -> Tensor:
    return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")


def _log_ball(n_dims: int) -> float:
    """Logarithm of the volume of the unit ball."""
    return 0.5 * n_dims * math.log(math.pi) - math.lgamma(0.5 * n_dims + 1)
