"""Mirror images of keypoints and poses."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from hypopose.types import Skeleton


def mirrored(x: Float[Tensor, "*any J C"], skeleton: Skeleton) -> Float[Tensor, "*any J C"]:
    """Mirror image: x negated, left and right swapped.

    Args:
        x: Keypoints or poses, x first, about the middle of the view.
        skeleton: Whose joints they are.
    """
    image = x[..., list(skeleton.flip_order), :].clone()
    image[..., 0] *= -1
    return image
