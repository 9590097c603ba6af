"""Agreement of bodies around joints with the silhouettes of masks.

The built-in body lies around the joints of every hypothesis, without inverse kinematics, and is
rendered softly through the windows of :class:`hypopose.types.Silhouettes`. The error of a mask is
one minus the intersection over union; parsing maps add the likelihood of their merged classes
(Dwivedi et al., ICCV 2021), see :mod:`hypopose.rendering.semantic_loss`.

Triangles that face away are left out: the others cover the same silhouette in half the time.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from hypopose.bodies import CapsuleBody
from hypopose.errors import SkeletonMismatchError
from hypopose.rendering.mask_losses import iou_loss
from hypopose.rendering.rasterizer import Picture, SoftRasterizer
from hypopose.rendering.semantic_loss import (
    SMALLEST,
    count_classes,
    semantic_loss,
    with_background,
)
from hypopose.rendering.semantics import (
    merged_labels,
    merged_prior,
    parts_of_faces,
    synthetic_prior,
)
from hypopose.rendering.views import normalized_points
from hypopose.types import Camera, Silhouettes, Skeleton

GIRTHS = (0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5)
"""Factors of the body's radii that are tried: clothes and builds."""

PARTS_WEIGHT = 0.05
"""A nat, averaged over classes, counts like this much of intersection over union."""

FEW_PIXELS = 5
"""Classes with fewer pixels in a window do not count; all others count alike."""

N_GIRTH = 64
"""Bodies that are rendered for each girth at most."""


class _Built(NamedTuple):
    body: CapsuleBody
    prior: Tensor


@cache
def _built() -> _Built:
    body = CapsuleBody()
    parts = parts_of_faces(body.part_labels, body.faces)
    return _Built(body, merged_prior(synthetic_prior(parts)))


def check_skeleton(skeleton: Skeleton) -> None:
    """Refuse joints that the built-in body does not lie around.

    Raises:
        SkeletonMismatchError: If they are others than its own.
    """
    own = _built().body.skeleton
    if skeleton.name != own.name:
        raise SkeletonMismatchError(
            f"Masks are compared with a body around the joints of {own.name!r}, these are "
            f"{skeleton.name!r}; sample with weights that write {own.name!r}."
        )


def softness(side: int) -> float:
    """Sigma of the rasterizer with which edges are a pixel wide on either side.

    Example:
        >>> round(softness(64), 6)
        0.000109
    """
    return (2 / side) ** 2 / 9


def render_bodies(
    joints: Float[Tensor, "*any n 17 3"],
    camera: Camera,
    window: Float[Tensor, "n 3"],
    side: int,
    *,
    girth: Float[Tensor, "*batch"] | float = 1.0,
    classes: bool = False,
) -> Picture:
    """Bodies around joints, seen through windows.

    Args:
        joints: Camera frame, meters.
        camera: Its batch axes are the joints' leading ones.
        window: Left, top and side of a square in pixels.
        side: Pixels of the pictures.
        girth: Factor of the body's radii; its axes are leading ones of the joints.
        classes: Render the probabilities of the merged classes, too.

    Returns:
        Pictures with the leading axes flattened.

    Example:
        >>> import hypopose
        >>> keypoints, truth = hypopose.datasets.example_pair(2)
        >>> window = torch.tensor([[0.0, 0.0, 1000.0]]).expand(2, 3)
        >>> placed = truth.joints + truth.root[:, None]
        >>> render_bodies(placed, keypoints.camera, window, 32).alpha.shape
        torch.Size([2, 32, 32])
    """
    built = _built()
    if isinstance(girth, Tensor):
        girth = girth.reshape(*girth.shape, *(1,) * (joints.dim() - 2 - girth.dim()))
    surface = built.body.around(joints, girth)
    points = normalized_points(surface.vertices, camera, window.to(joints))
    corners = _facing(points[..., surface.faces, :]).flatten(0, -4)
    colors = None
    if classes:
        colors = built.prior.to(corners).expand(len(corners), *built.prior.shape)
    return SoftRasterizer(sigma=softness(side)).render(corners, (side, side), colors)


def silhouette_errors(
    joints: Float[Tensor, "*any n 17 3"],
    camera: Camera,
    silhouettes: Silhouettes,
    *,
    girth: Float[Tensor, "*batch"] | float = 1.0,
) -> Float[Tensor, "*any n"]:
    """How far bodies around joints are from filling silhouettes.

    Args:
        joints: In the frames of the silhouettes, camera frame, meters.
        camera: Its batch axes are the joints' leading ones.
        silhouettes: What masks show.
        girth: Factor of the body's radii.

    Returns:
        0 to 1 for masks; more where a parsing map disagrees. Differentiable in the joints.

    Example:
        >>> import hypopose
        >>> keypoints, truth = hypopose.datasets.example_pair(2)
        >>> window = torch.tensor([[300.0, 200.0, 600.0]]).expand(2, 3)
        >>> placed = truth.joints + truth.root[:, None]
        >>> alpha = render_bodies(placed, keypoints.camera, window, 64).alpha
        >>> seen = Silhouettes(torch.arange(2), alpha, torch.ones_like(alpha), window)
        >>> error = silhouette_errors(placed, keypoints.camera, seen)
        >>> moved = silhouette_errors(placed + 0.1, keypoints.camera, seen)
        >>> bool((error < moved).all())
        True
    """
    side = silhouettes.inside.shape[-1]
    labels = silhouettes.labels
    picture = render_bodies(
        joints, camera, silhouettes.window, side, girth=girth, classes=labels is not None
    )
    lead = joints.shape[:-2]
    alpha = picture.alpha.reshape(*lead, side, side)
    inside, known = (
        part.to(alpha).expand_as(alpha) for part in (silhouettes.inside, silhouettes.known)
    )
    error = iou_loss(alpha, inside, known)
    if labels is None or picture.colors is None:
        return error
    truth = merged_labels(labels).expand(*lead, side, side).flatten(0, -3)
    classes = with_background(picture.colors, picture.alpha)
    certain = functional.one_hot(truth, classes.shape[1]).movedim(-1, 1).to(classes)
    trust = known.flatten(0, -3)[:, None]
    classes = trust * classes + (1 - trust) * certain.clamp(min=SMALLEST)
    counts = count_classes(truth, classes.shape[1])
    weights = torch.where(counts >= FEW_PIXELS, 1 / counts.clamp(min=1), 0.0).to(classes)
    return error + PARTS_WEIGHT * semantic_loss(classes, truth, weights).reshape(lead)


def at_side(silhouettes: Silhouettes, side: int) -> Silhouettes:
    """The same silhouettes in fewer pixels.

    Args:
        silhouettes: Of a side that is a multiple of the new one.
        side: Pixels.
    """
    step = silhouettes.inside.shape[-1] // side
    if step <= 1:
        return silhouettes

    def shrunk(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x[:, None], step)[:, 0]

    labels = silhouettes.labels
    return replace(
        silhouettes,
        inside=shrunk(silhouettes.inside),
        known=shrunk(silhouettes.known),
        labels=None if labels is None else labels[:, step // 2 :: step, step // 2 :: step],
    )


@torch.no_grad()
def fit_girth(
    joints: Float[Tensor, "*batch H n 17 3"], camera: Camera, silhouettes: Silhouettes
) -> Float[Tensor, "*batch"]:
    """The girth of :data:`GIRTHS` with which bodies fill silhouettes best on average.

    Args:
        joints: Of hypotheses in the frames of the silhouettes; a few frames are taken of many.
        camera: Its batch axes are the joints' leading ones.
        silhouettes: What masks show.

    Returns:
        One for all hypotheses; 1 without silhouettes.
    """
    n = len(silhouettes.frames)
    if not n:
        return joints.new_ones(joints.shape[:-4])
    count = max(1, N_GIRTH // joints.shape[-4])
    few = torch.linspace(0, n - 1, min(n, count)).round().long()
    small = replace(
        silhouettes,
        frames=silhouettes.frames[few],
        inside=silhouettes.inside[few],
        known=silhouettes.known[few],
        window=silhouettes.window[few],
        labels=None,
    )
    errors = torch.stack(
        [
            silhouette_errors(joints[..., few, :, :], camera, small, girth=g).nanmean((-2, -1))
            for g in GIRTHS
        ]
    )
    return joints.new_tensor(GIRTHS)[errors.argmin(0)]


def _facing(corners: Float[Tensor, "*any T 3 3"]) -> Float[Tensor, "*any T 3 3"]:
    """Triangles whose outside faces the camera; NaN for the others, which are then left out."""
    first = corners[..., 1, :2] - corners[..., 0, :2]
    second = corners[..., 2, :2] - corners[..., 0, :2]
    area = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    return torch.where((area > 0)[..., None, None], corners, torch.nan)
