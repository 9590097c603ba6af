"""Which joints are uncertain together.

Papers: Székely and Rizzo, "Partial distance correlation with methods for dissimilarities", Annals
of Statistics 42, 2014 (U-centered matrices, unbiased); Gretton et al., "Measuring statistical
dependence with Hilbert–Schmidt norms", 2005, and Song et al., 2012 (the unbiased HSIC); Robert and
Escoufier, "A unifying tool for linear multivariate statistical methods: the RV coefficient", 1976.
All three are one formula: U-center the matrix of pairwise distances or kernels of each joint's
hypotheses, take the inner product of two joints' matrices, normalize by the two norms (Sejdinovic
et al., 2013).

============  ==================================  ==================================
measure       pairwise matrix                     sees
============  ==================================  ==================================
``distance``  Euclidean distance                  any dependence (squared distance correlation)
``hsic``      Gaussian kernel, median bandwidth   any dependence (normalized HSIC)
``rv``        inner product                       linear dependence (RV coefficient)
============  ==================================  ==================================
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.ambiguity.covariance import require_hypotheses
from hypopose.errors import OptionError
from hypopose.types import Hypotheses


def joint_dependence(
    hypotheses: Hypotheses, measure: str = "distance"
) -> Float[Tensor, "*batch F J J"]:
    """Pairwise dependence between the joints of a pose.

    Args:
        hypotheses: Four or more.
        measure: ``distance``, ``hsic`` or ``rv``.

    Returns:
        1 for joints that move as one, about 0 (on average exactly 0, so slightly negative values
        occur) for independent joints; NaN for joints that do not vary, like the root.

    Raises:
        OptionError: If there are fewer than four hypotheses or the measure is unknown.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> x = torch.randn(40, 1, 17, 3, generator=torch.Generator().manual_seed(0))
        >>> x[:, :, 3] = 2 * x[:, :, 2]
        >>> round(joint_dependence(Hypotheses(x, H36M17))[0, 2, 3].item(), 3)
        1.0
    """
    require_hypotheses(hypotheses, 4, "Joint dependence")
    if measure not in MEASURES:
        raise OptionError(f"measure is one of {', '.join(MEASURES)}, got {measure!r}.")
    x = hypotheses.joints.double().movedim(-4, -2)  # (*batch, F, J, H, 3)
    frames = x.reshape(-1, *x.shape[-3:])
    return torch.stack([_dependence(f, MEASURES[measure]) for f in frames]).reshape(
        *x.shape[:-2], x.shape[-3]
    )


def u_centered(matrix: Float[Tensor, "*any S S"]) -> Float[Tensor, "*any S S"]:
    """Center a symmetric matrix so that inner products of independent ones are 0 on average.

    Args:
        matrix: Pairwise distances or kernel values; the diagonal is not used.

    Returns:
        The U-centered matrix with a zero diagonal; its rows sum to zero.
    """
    n = matrix.shape[-1]
    off = matrix - torch.diag_embed(matrix.diagonal(dim1=-2, dim2=-1))
    row = off.sum(-1, keepdim=True) / (n - 2)
    total = off.sum((-2, -1), keepdim=True) / ((n - 1) * (n - 2))
    centered = off - row - row.transpose(-1, -2) + total
    return centered - torch.diag_embed(centered.diagonal(dim1=-2, dim2=-1))


def _dependence(x: Tensor, pairwise: Callable[[Tensor], Tensor]) -> Tensor:
    """One frame ``(J, H, 3)``."""
    centered = u_centered(pairwise(x)).flatten(1)
    gram = centered @ centered.T
    norm = gram.diagonal().clamp(min=0).sqrt()
    size = (x - x.mean(1, keepdim=True)).square().sum((1, 2))
    norm = torch.where(size > 1e-20, norm, torch.full_like(norm, torch.nan))
    return gram / (norm[:, None] * norm[None, :])


def _distances(x: Tensor) -> Tensor:
    return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")


def _gaussian_kernel(x: Tensor) -> Tensor:
    d = _distances(x)
    n = x.shape[-2]
    upper = torch.triu_indices(n, n, 1)
    median = d[..., upper[0], upper[1]].median(-1).values.clamp(min=1e-12)
    return torch.exp(-0.5 * (d / median[..., None, None]).square())


def _inner_product(x: Tensor) -> Tensor:
    d = x - x.mean(-2, keepdim=True)
    return d @ d.transpose(-1, -2)


MEASURES: dict[str, Callable[[Tensor], Tensor]] = {
    "distance": _distances,
    "hsic": _gaussian_kernel,
    "rv": _inner_product,
}
"""Measures of dependence by name: how pairs of hypotheses of one joint are compared."""
