"""Labels of body parts and clothes, and the probability of each label on the parts of a body.

Dwivedi et al., ICCV 2021 (DSR), read human parsing maps of Graphonomy's 20 classes and merge them
to eight. What a triangle of a body shows is a probability over classes. The published one was
learned from clothed scans and is not part of HypoPose; :func:`synthetic_prior` is made from part
labels and rates of clothing that are stated here, not measured.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hypopose.bodies import PARTS

LABELS = (
    "background", "hat", "hair", "glove", "sunglasses", "upperclothes", "dress", "coat", "socks",
    "pants", "jumpsuits", "scarf", "skirt", "face", "left_arm", "right_arm", "left_leg",
    "right_leg", "left_shoe", "right_shoe",
)  # fmt: skip
"""Graphonomy's 20 classes."""

COLORS = (
    (0, 0, 0), (128, 0, 0), (255, 0, 0), (0, 85, 0), (170, 0, 51), (255, 85, 0), (0, 0, 85),
    (0, 119, 221), (85, 85, 0), (0, 85, 85), (85, 51, 0), (52, 86, 128), (0, 128, 0), (0, 0, 255),
    (51, 170, 221), (0, 255, 255), (85, 255, 170), (170, 255, 85), (255, 255, 0), (255, 170, 0),
)  # fmt: skip
"""Red, green and blue of the classes in its pictures."""

MERGED = (
    "background", "head", "upperclothes", "pants", "left_arm", "right_arm", "left_leg", "right_leg",
)  # fmt: skip
"""The eight classes of DSR-C."""

MERGE = (0, 1, 1, 2, 1, 2, 2, 2, 3, 3, 2, 1, 3, 1, 4, 5, 6, 7, 6, 7)
"""Merged class of each of the 20."""

MINIMAL = ("left_shoe", "right_shoe", "left_arm", "right_arm", "face")
"""Classes that fit closely: those of DSR-MC."""

MIN_PIXELS = 60
"""A class of no more pixels does not count as present."""

MARGIN_PX, MIN_SURE = 30.0, 0.3
"""Labels beyond the box of sure keypoints and this margin are background."""

_SHORT, _LONG = 0.35, 0.65
CLOTHING: dict[str, dict[str, float]] = {
    "head": {"face": 0.5, "hair": 0.45, "hat": 0.05},
    "trunk": {"upperclothes": 0.75, "coat": 0.15, "dress": 0.1},
    "hips": {"pants": 0.75, "skirt": 0.1, "dress": 0.1, "upperclothes": 0.05},
    **{
        f"{side}_{part}": rates
        for side in ("left", "right")
        for part, rates in {
            "upper_arm": {"upperclothes": _LONG, f"{side}_arm": _SHORT},
            "forearm": {f"{side}_arm": _LONG, "upperclothes": _SHORT},
            "hand": {f"{side}_arm": 0.97, "glove": 0.03},
            "thigh": {"pants": 0.75, f"{side}_leg": 0.15, "skirt": 0.1},
            "shin": {"pants": _LONG, f"{side}_leg": _SHORT},
            "foot": {f"{side}_shoe": 0.8, f"{side}_leg": 0.1, "socks": 0.1},
        }.items()
    },
}
"""How often a part shows a class: assumed."""


def synthetic_prior(
    face_parts: Int[Tensor, " T"],
    *,
    smoothing: float = 0.05,
    clothing: Mapping[str, Mapping[str, float]] = CLOTHING,
) -> Float[Tensor, "T 20"]:
    """Probabilities of the 20 classes for triangles, from their parts.

    Args:
        face_parts: Part of each triangle, an index of :data:`hypopose.bodies.PARTS`.
        smoothing: Probability that is spread over all classes.
        clothing: Rates of classes by part.

    Returns:
        Rows sum to 1.

    Example:
        >>> prior = synthetic_prior(torch.tensor([0]))
        >>> LABELS[prior[0].argmax()]
        'face'
    """
    table = torch.zeros(len(PARTS), len(LABELS))
    for part, rates in clothing.items():
        for label, rate in rates.items():
            table[PARTS.index(part), LABELS.index(label)] = rate
    table = (1 - smoothing) * table / table.sum(1, keepdim=True) + smoothing / len(LABELS)
    return table[face_parts]


def parts_of_faces(part_labels: Int[Tensor, " V"], faces: Int[Tensor, "T 3"]) -> Int[Tensor, " T"]:
    """Part of each triangle: that of two of its corners, else of the first.

    Example:
        >>> parts_of_faces(torch.tensor([3, 5, 5]), torch.tensor([[0, 1, 2]])).tolist()
        [5]
    """
    return part_labels[faces].mode(1).values


def merged_prior(prior: Float[Tensor, "T 20"]) -> Float[Tensor, "T 8"]:
    """Probabilities of the eight merged classes.

    Args:
        prior: Of the 20 classes.
    """
    merged = prior.new_zeros(len(prior), len(MERGED))
    return merged.index_add(1, torch.tensor(MERGE), prior)


def minimal_texture(
    prior: Float[Tensor, "T 20"], present: Int[Tensor, " n"] | None = None
) -> Float[Tensor, " T"]:
    """How likely triangles show one of the closely fitting classes that an image has.

    Args:
        prior: Of the 20 classes.
        present: Indices of :data:`MINIMAL`; None for all.

    Example:
        >>> minimal_texture(torch.eye(20))[LABELS.index("face")].item()
        1.0
    """
    chosen = range(len(MINIMAL)) if present is None else present.tolist()
    return prior[:, [LABELS.index(MINIMAL[i]) for i in chosen]].sum(1)


def labels_from_colors(picture: Int[Tensor, "h w 3"]) -> Int[Tensor, "h w"]:
    """Classes of a parsing map in Graphonomy's colors; other colors are background.

    Example:
        >>> labels_from_colors(torch.tensor([[[255, 85, 0]]])).tolist()
        [[5]]
    """
    labels = torch.zeros(picture.shape[:2], dtype=torch.long)
    for label, color in enumerate(COLORS):
        labels[(picture == torch.tensor(color).to(picture)).all(-1)] = label
    return labels


def near_keypoints(
    labels: Int[Tensor, "h w"], keypoints: Float[Tensor, "J 2"], confidence: Float[Tensor, " J"]
) -> Int[Tensor, "h w"]:
    """Labels with everything far from the keypoints set to background.

    Args:
        labels: Of a picture.
        keypoints: Pixels.
        confidence: Only those above :data:`MIN_SURE` count; with none of them all labels stay.
    """
    sure = keypoints[(confidence > MIN_SURE) & torch.isfinite(keypoints).all(-1)]
    if not len(sure):
        return labels
    left, top = (sure.amin(0) - MARGIN_PX).clamp(min=0).long().tolist()
    right, bottom = (sure.amax(0) + MARGIN_PX).clamp(min=0).long().tolist()
    near = torch.zeros_like(labels)
    near[top:bottom, left:right] = labels[top:bottom, left:right]
    return near


def merged_labels(labels: Int[Tensor, "*any h w"]) -> Int[Tensor, "*any h w"]:
    """Classes merged to eight.

    Example:
        >>> merged_labels(torch.tensor([[19]])).item() == MERGED.index("right_leg")
        True
    """
    return torch.tensor(MERGE)[labels]


def minimal_mask(
    labels: Int[Tensor, "h w"],
) -> tuple[Float[Tensor, "h w"], Int[Tensor, " n"]]:
    """Where closely fitting classes are, and which of them are present.

    Args:
        labels: Of the 20 classes.

    Returns:
        A mask, and indices of :data:`MINIMAL`.
    """
    counts = torch.stack([(labels == LABELS.index(name)).sum() for name in MINIMAL])
    present = (counts > MIN_PIXELS).nonzero()[:, 0]
    mask = torch.zeros(labels.shape)
    for i in present.tolist():
        mask[labels == LABELS.index(MINIMAL[i])] = 1.0
    return mask, present
