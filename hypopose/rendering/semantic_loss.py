"""Cross entropy of rendered classes and a parsing map: DSR-C, after Dwivedi et al., ICCV 2021.

Departures, each an option whose other value is the published one:

* ``logits=False``: rendered numbers are probabilities, clamped and normalized, and the loss is
  their negative log likelihood. Released: they go into a softmax as if they were logits, so that
  the loss of eight classes lies between 1.3 and 2.3 whatever is rendered.
* The background is what the body leaves uncovered (:func:`with_background`). Released: the class
  background is the prior's on the body, and pixels off the body render 0 in every class.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from hypopose.rendering.semantics import MIN_PIXELS

SMALLEST = 1e-4
"""Least rendered probability."""


def class_weights(counts: Float[Tensor, "*any C"]) -> Float[Tensor, "*any C"]:
    """Weights that let rare classes count as much as frequent ones; 0 for absent ones.

    Args:
        counts: Pixels of each class.

    Returns:
        The smallest count above :data:`hypopose.rendering.semantics.MIN_PIXELS` over each count.

    Example:
        >>> class_weights(torch.tensor([200.0, 100.0, 10.0])).tolist()
        [0.5, 1.0, 0.0]
    """
    present = counts > MIN_PIXELS
    least = torch.where(present, counts, torch.inf).amin(-1, keepdim=True)
    return torch.where(present, least / counts.clamp(min=1), torch.zeros_like(counts))


def count_classes(labels: Int[Tensor, "B h w"], n_classes: int) -> Float[Tensor, "B C"]:
    """Pixels of each class.

    Example:
        >>> count_classes(torch.tensor([[[0, 2, 2]]]), 3).tolist()
        [[1.0, 0.0, 2.0]]
    """
    return functional.one_hot(labels, n_classes).flatten(1, 2).sum(1).float()


def with_background(
    classes: Float[Tensor, "B C h w"], alpha: Float[Tensor, "B h w"]
) -> Float[Tensor, "B C h w"]:
    """Rendered classes where the background is what the body leaves uncovered.

    Args:
        classes: Rendered with a background of 0; the first is the background's.
        alpha: How much the body covers.
    """
    body = classes / classes.sum(1, keepdim=True).clamp(min=SMALLEST)
    body = body[:, 1:] * alpha[:, None]
    return torch.cat([1 - body.sum(1, keepdim=True), body], 1)


def semantic_loss(
    rendered: Float[Tensor, "B C h w"],
    labels: Int[Tensor, "B h w"],
    weights: Float[Tensor, "B C"] | None = None,
    *,
    logits: bool = False,
) -> Float[Tensor, " B"]:
    """Weighted mean cross entropy over pixels.

    Args:
        rendered: Probabilities of the classes.
        labels: Of the parsing map.
        weights: Of the classes; None for those of :func:`class_weights`.
        logits: Take the rendered probabilities for logits, as released.

    Returns:
        One loss an item; 0 where no class is present.

    Example:
        >>> labels = torch.zeros(1, 10, 10, dtype=torch.long)
        >>> sure = torch.zeros(1, 3, 10, 10)
        >>> sure[:, 0] = 1.0
        >>> semantic_loss(sure, labels).item() < 1e-3
        True
    """
    if weights is None:
        weights = class_weights(count_classes(labels, rendered.shape[1]))
    if logits:
        likelihood = rendered.log_softmax(1)
    else:
        clamped = rendered.clamp(min=SMALLEST)
        likelihood = (clamped / clamped.sum(1, keepdim=True)).log()
    of_label = -likelihood.gather(1, labels[:, None])[:, 0]
    weight = weights.gather(1, labels.flatten(1)).reshape(labels.shape).to(rendered)
    return (weight * of_label).sum((1, 2)) / weight.sum((1, 2)).clamp(min=SMALLEST)
