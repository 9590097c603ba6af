"""How far a rendered silhouette is from a mask.

Dwivedi et al., ICCV 2021 (DSR-MC), and the ordinary intersection over union.

| name | loss | of |
| --- | --- | --- |
| ``iou`` | 1 - |p t| / |p + t - p t| over all pixels | ours, the default |
| ``row_iou`` | the same for each row, averaged over rows | DSR's released training |
| ``distm`` | Σ p D / (Σ p)^1.5, D the distance to the mask | DSR's paper |

Rows without body and mask count as loss 1 in ``row_iou``, as released, so that it never reaches 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

EPSILON = 1e-6


def iou_loss(
    rendered: Float[Tensor, "*any h w"],
    mask: Float[Tensor, "*any h w"],
    known: Float[Tensor, "*any h w"] | None = None,
) -> Float[Tensor, "*any"]:
    """One minus the intersection over union.

    Args:
        rendered: 0 to 1.
        mask: 0 to 1.
        known: 0 for pixels that do not count; None if all do.

    Returns:
        0 to 1; 0 where neither has a pixel.

    Example:
        >>> half = torch.tensor([[1.0, 0.0]])
        >>> iou_loss(half, torch.ones(1, 2)).item()
        0.5
    """
    both, either = rendered * mask, rendered + mask - rendered * mask
    if known is not None:
        both, either = both * known, either * known
    union = either.sum((-2, -1))
    return torch.where(
        union > EPSILON, 1 - both.sum((-2, -1)) / union.clamp(min=EPSILON), torch.zeros_like(union)
    )


def row_iou_loss(
    rendered: Float[Tensor, "*any h w"], mask: Float[Tensor, "*any h w"]
) -> Float[Tensor, "*any"]:
    """One minus the intersection over union of each row, averaged: DSR's released loss.

    Args:
        rendered: 0 to 1.
        mask: 0 or 1.

    Example:
        >>> row_iou_loss(torch.eye(2), torch.eye(2)).item() < 1e-5
        True
    """
    both = (rendered * mask).sum(-1)
    either = (rendered + mask - rendered * mask).sum(-1)
    return (1 - both / (either + EPSILON)).mean(-1)


def distance_to_mask(mask: Float[Tensor, "*any h w"]) -> Float[Tensor, "*any h w"]:
    """Pixels to the nearest pixel of the mask; 0 inside, and everywhere if there is none.

    Args:
        mask: Above one half is inside.

    Example:
        >>> distance_to_mask(torch.tensor([[1.0, 0.0, 0.0]])).tolist()
        [[0.0, 1.0, 2.0]]
    """
    from scipy.ndimage import distance_transform_edt

    flat = mask.detach().cpu().reshape(-1, *mask.shape[-2:])
    out = torch.zeros_like(flat)
    for i, one in enumerate(flat > 0.5):
        if bool(one.any()):
            out[i] = torch.from_numpy(distance_transform_edt(~one.numpy())).to(out)
    return out.reshape(mask.shape).to(mask)


def distance_loss(
    rendered: Float[Tensor, "*any h w"],
    mask: Float[Tensor, "*any h w"],
    *,
    channels: int = 1,
) -> Float[Tensor, "*any"]:
    """How far the rendered pixels are from the mask, on average, over the root of their number.

    It pulls the body into the mask; nothing pulls it to cover the mask.

    Args:
        rendered: 0 to 1.
        mask: 0 or 1.
        channels: 3 as published: sums over three equal channels make the loss √3 smaller.

    Returns:
        0 where there is no mask.

    Example:
        >>> distance_loss(torch.ones(1, 4), torch.tensor([[1.0, 1.0, 0.0, 0.0]])).item() > 0.3
        True
    """
    distance = distance_to_mask(mask)
    total = channels * rendered.sum((-2, -1))
    return channels * (rendered * distance).sum((-2, -1)) / (total**1.5 + EPSILON)


MASK_LOSSES: dict[str, Callable[..., Tensor]] = {
    "iou": iou_loss,
    "row_iou": row_iou_loss,
    "distm": distance_loss,
}
"""Name -> loss of a rendered silhouette and a mask."""
