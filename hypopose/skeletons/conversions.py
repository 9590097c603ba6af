"""Conversions between skeletons: named, documented, with the joints they approximate listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import SkeletonMismatchError
from hypopose.skeletons import published_conversions
from hypopose.skeletons.joint_name_conversions import recipes_by_name
from hypopose.skeletons.recipes import FORMED, Blend, Recipes, copies, detector_recipes
from hypopose.skeletons.tables import (
    BODY25,
    BODY25B,
    COCO17,
    COCO18,
    H36M16,
    H36M17,
    H36M32,
    HALPE26,
    MEDIAPIPE33,
    MPI3DHP17,
    MPI3DHP28,
    MPII16,
    SKELETONS,
)
from hypopose.skeletons.wholebody import WHOLE_BODIES
from hypopose.types import Keypoints2D, Skeleton


@dataclass(frozen=True)
class Conversion:
    """How to form one skeleton's joints from another's.

    Args:
        name: For reports and for choosing one by name.
        source: The skeleton it reads.
        target: The skeleton it writes.
        recipes: Alternatives per target joint, see :mod:`hypopose.skeletons.recipes`.
        approximate: Target joints that are formed rather than detected, or that mean something
            else in the source.
        vertical: Recipes for y where they differ from those for x (one published conversion).
        scores: Recipes for confidences; None: a joint is as sure as the least sure of its sources.
    """

    name: str
    source: Skeleton
    target: Skeleton
    recipes: Recipes
    approximate: tuple[str, ...] = ()
    vertical: Recipes | None = None
    scores: Recipes | None = None

    def describe(self) -> list[str]:
        """A line per joint that is not simply copied, and one for those that stay missing.

        Example:
            >>> get_conversion(COCO17, MPII16).describe()[0]
            'pelvis: 0.5 left_hip + 0.5 right_hip'
        """
        lines = []
        for joint in self.target.joint_names:
            options = self.recipes.get(joint, ())
            if joint in self.approximate and options:
                formula = " + ".join(f"{w:.3g} {name}" for name, w in options[0].items())
                more = {1: "", 2: ", or a stand-in"}.get(len(options), ", or stand-ins")
                lines.append(f"{joint}: {formula.removeprefix('1 ')}{more}".replace("+ -", "- "))
        missing = [j for j in self.target.joint_names if not self.recipes.get(j)]
        return [*lines, f"missing: {', '.join(missing)}"] if missing else lines


DETECTORS = (COCO17, COCO18, BODY25, BODY25B, HALPE26, MPII16, MEDIAPIPE33, *WHOLE_BODIES)
"""Skeletons of detectors, whose trunk and head joints have to be formed."""

_TO_H36M = [
    Conversion("default", s, H36M17, detector_recipes(s), approximate=FORMED) for s in DETECTORS
]
_COPIES = [
    Conversion("default", source, target, copies(source, target))
    for source, target in ((H36M32, H36M17), (H36M17, H36M16), (MPI3DHP28, MPI3DHP17))
]
_3DHP = Conversion(
    "default", MPI3DHP17, H36M17, published_conversions.mpi3dhp_recipes(), approximate=FORMED[1:]
)

CONVERSIONS: dict[tuple[str, str], Conversion] = {
    (c.source.name, c.target.name): c for c in (*_TO_H36M, *_COPIES, _3DHP)
}
"""Our conversions by (source, target). Between others, joints are matched by name, see
:mod:`hypopose.skeletons.joint_name_conversions`."""

PUBLISHED: dict[str, Conversion] = {
    c.name: c
    for c in (
        Conversion(
            "lifters-coco17",
            COCO17,
            H36M17,
            published_conversions.coco_horizontal(2.0),
            approximate=FORMED,
            vertical=published_conversions.coco_vertical(),
            scores=published_conversions.coco_scores(),
        ),
        Conversion(
            "lifters-coco17-hrnet",
            COCO17,
            H36M17,
            published_conversions.coco_horizontal(0.3),
            approximate=FORMED,
            vertical=published_conversions.coco_vertical(),
            scores=published_conversions.coco_scores(),
        ),
        Conversion(
            "lifters-mpii16", MPII16, H36M17, published_conversions.mpii_recipes(), ("spine",)
        ),
        Conversion(
            "motionbert-halpe26", HALPE26, H36M17, published_conversions.halpe_recipes(), ("spine",)
        ),
    )
}
"""Conversions of published code, by name; see :mod:`hypopose.skeletons.published_conversions`."""


def get_conversion(source: Skeleton, target: Skeleton, name: str = "default") -> Conversion:
    """Find a conversion.

    Args:
        source: The skeleton at hand.
        target: The skeleton wanted.
        name: ``"default"`` or a key of :data:`PUBLISHED`.

    Raises:
        SkeletonMismatchError: If there is none; the message lists what there is.

    Example:
        >>> get_conversion(COCO17, MPII16).approximate
        ('pelvis', 'thorax', 'neck', 'head_top')
    """
    found = _default(source, target) if name == "default" else PUBLISHED.get(name)
    if found is not None and (found.source, found.target) == (source, target):
        return found
    if source.name not in SKELETONS:
        shown = ", ".join(source.joint_names[:4]) + (", ..." if source.n_joints > 4 else "")
        raise SkeletonMismatchError(
            f"The joints ({shown}) are those of no skeleton HypoPose knows: say which of its "
            "joints they are with skeleton=FILE.toml, see docs/reference/skeletons.md; joints "
            "numbered in the order of a known skeleton need its name alone: skeleton=coco17."
        )
    others = [f"{s} -> {t}" for s, t in CONVERSIONS if s == source.name or t == target.name]
    raise SkeletonMismatchError(
        f"No conversion {name!r} leads from skeleton {source.name!r} to {target.name!r}. There are "
        f"{', '.join(others) or 'none for either'}; published ones: {', '.join(PUBLISHED)}."
    )


def _default(source: Skeleton, target: Skeleton) -> Conversion | None:
    """A conversion from the table, or one by names."""
    if (source.name, target.name) in CONVERSIONS:
        return CONVERSIONS[source.name, target.name]
    found = recipes_by_name(source, target)
    return None if found is None else Conversion("default", source, target, *found)


def convert(keypoints: Keypoints2D, to: Skeleton, *, conversion: str = "default") -> Keypoints2D:
    """Form another skeleton's keypoints, saying which of them are made up.

    Joints whose sources are missing fall back to the next alternative and stay NaN (confidence 0)
    if none is left; nothing is interpolated over time. A formed joint is as confident as its least
    confident source; its covariance assumes independent errors of the sources.

    Args:
        keypoints: Any skeleton with a conversion; ``to`` itself passes through.
        to: The skeleton wanted.
        conversion: ``"default"`` or a key of :data:`PUBLISHED`, which must lead there.

    Returns:
        New keypoints. ``approximate`` names the formed joints, ``notes`` says so.

    Raises:
        SkeletonMismatchError: If there is no such conversion.

    Example:
        >>> keypoints = Keypoints2D(torch.rand(1, 17, 2), COCO17)
        >>> convert(keypoints, H36M17).approximate
        ('pelvis', 'spine', 'thorax', 'neck', 'head')
    """
    if keypoints.skeleton == to and conversion == "default":
        return keypoints
    chosen = get_conversion(keypoints.skeleton, to, conversion)
    xy, weights = _apply(chosen, keypoints.xy)
    made_up = _approximate(chosen, keypoints.approximate)
    note = f"{', '.join(made_up)} formed from {chosen.source.name} keypoints ({chosen.name})"
    return replace(
        keypoints,
        xy=xy,
        skeleton=to,
        confidence=_confidence(chosen, keypoints, xy, weights),
        covariance=_covariance(keypoints, weights),
        approximate=made_up,
        notes=(*keypoints.notes, note) if made_up else keypoints.notes,
    )


def convert_points(
    points: Float[Tensor, "*any J C"],
    source: Skeleton,
    to: Skeleton,
    *,
    conversion: str = "default",
) -> Float[Tensor, "*any K C"]:
    """Convert bare points, 2D or 3D, with the recipes of :func:`convert`.

    Args:
        points: Joints of ``source``; NaN where missing.
        source: The skeleton at hand.
        to: The skeleton wanted.
        conversion: ``"default"`` or a key of :data:`PUBLISHED`.

    Returns:
        Joints of ``to``; NaN where they cannot be formed.

    Example:
        >>> convert_points(torch.rand(5, 28, 3), MPI3DHP28, MPI3DHP17).shape
        torch.Size([5, 17, 3])
    """
    if source == to:
        return points
    return _apply(get_conversion(source, to, conversion), points)[0]


def conversion_matrix(
    source: Skeleton, target: Skeleton, *, conversion: str = "default"
) -> Float[Tensor, "K J"]:
    """The conversion of complete keypoints as a matrix (first alternatives only).

    With ``C = conversion_matrix(...)`` keypoints convert as ``C xy`` and their errors as
    ``C Σ Cᵀ``: joints formed from the same sources err together.

    Returns:
        float64 weights. Rows sum to 1, or are zero where the joint cannot be formed.

    Raises:
        SkeletonMismatchError: If there is no such conversion, or it treats x and y differently.

    Example:
        >>> bool((conversion_matrix(COCO17, H36M17).sum(-1) - 1).abs().max() < 1e-12)
        True
    """
    chosen = get_conversion(source, target, conversion)
    if chosen.vertical is not None:
        raise SkeletonMismatchError(
            f"Conversion {chosen.name!r} treats x and y differently and is not one matrix; use "
            "the default conversion."
        )
    return _matrix(chosen.recipes, chosen)


def _apply(chosen: Conversion, points: Tensor) -> tuple[Tensor, Tensor]:
    """Converted points and the weights (..., K, J) that formed them."""
    if points.shape[-2] != chosen.source.n_joints:
        raise SkeletonMismatchError(
            f"Points {tuple(points.shape)} are not in skeleton {chosen.source.name!r}, which has "
            f"{chosen.source.n_joints} joints."
        )
    weights = _chosen_weights(chosen, torch.isfinite(points).all(-1), points.dtype)
    filled = torch.nan_to_num(points)
    formed = weights @ filled
    if chosen.vertical is not None:
        rows = _matrix(chosen.vertical, chosen).to(points)
        formed = torch.cat((formed[..., :1], (rows @ filled)[..., 1:]), -1)
    missing = (weights == 0).all(-1, keepdim=True)
    return torch.where(missing, torch.full_like(formed, torch.nan), formed), weights


def _chosen_weights(chosen: Conversion, seen: Tensor, dtype: torch.dtype) -> Tensor:
    """For every frame and target joint the first alternative whose sources are all seen."""
    shape = (*seen.shape[:-1], chosen.target.n_joints, chosen.source.n_joints)
    weights = torch.zeros(shape, dtype=dtype, device=seen.device)
    for joint, row, required in _alternatives(chosen):
        empty = (weights[..., joint, :] == 0).all(-1)
        usable = empty & seen[..., required].all(-1)
        if bool(usable.any()):
            weights[..., joint, :] += usable[..., None] * row.to(weights)
    return weights


def _alternatives(chosen: Conversion) -> Iterator[tuple[int, Tensor, list[int]]]:
    """Target joint, its row of weights, and the sources that must be seen for it."""
    for joint, name in enumerate(chosen.target.joint_names):
        for b in chosen.recipes.get(name, ()):
            row = _row(b, chosen.source)
            sources = row != 0
            if chosen.vertical is not None:
                sources = sources | (_row(chosen.vertical[name][0], chosen.source) != 0)
            yield joint, row, torch.nonzero(sources).flatten().tolist()


def _row(b: Blend, source: Skeleton) -> Tensor:
    row = torch.zeros(source.n_joints, dtype=torch.float64)
    for name, weight in b.items():
        row[source.index(name)] = weight
    return row


def _matrix(recipes: Recipes, chosen: Conversion) -> Tensor:
    """Rows of the first alternatives."""
    empty: tuple[Blend, ...] = ({},)
    return torch.stack(
        [
            _row((recipes.get(name, ()) or empty)[0], chosen.source)
            for name in chosen.target.joint_names
        ]
    )


def _confidence(
    chosen: Conversion, keypoints: Keypoints2D, xy: Tensor, weights: Tensor
) -> Tensor | None:
    if keypoints.confidence is None:
        return None
    given = torch.where(keypoints.detected, keypoints.confidence, 0.0)
    if chosen.scores is not None:
        score = given @ _matrix(chosen.scores, chosen).to(given).T
    else:
        others = torch.where(weights != 0, given[..., None, :], torch.inf)
        score = others.amin(-1)
    return torch.where(torch.isfinite(xy).all(-1), score, 0.0)


def _covariance(keypoints: Keypoints2D, weights: Tensor) -> Tensor | None:
    if keypoints.covariance is None:
        return None
    known = torch.where(keypoints.detected[..., None, None], keypoints.covariance, 0.0)
    squares = (weights * weights).to(known)
    formed = torch.einsum("...kj,...jab->...kab", squares, known)
    missing = (weights == 0).all(-1)[..., None, None]
    return torch.where(missing, torch.full_like(formed, torch.nan), formed)


def _approximate(chosen: Conversion, already: tuple[str, ...]) -> tuple[str, ...]:
    """The conversion's own approximate joints and those with an approximate source."""
    inherited = {
        name
        for name, blends in chosen.recipes.items()
        if any(set(b) & set(already) for b in blends)
    }
    names = chosen.target.joint_names
    return tuple(n for n in names if n in chosen.approximate or n in inherited)
