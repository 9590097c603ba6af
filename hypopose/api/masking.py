"""Masks for a result: attached to keypoints, used once, and recorded in the result's metadata."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hypopose.aggregation.silhouette_weights import silhouette_weights, weighted_mean
from hypopose.api.sampling import aggregate, check_has_keypoints
from hypopose.errors import OptionError
from hypopose.io import Masks, load_masks, with_silhouettes
from hypopose.types import Hypotheses, Keypoints2D, Poses3D

WEIGHTS = "silhouette"
"""The aggregate that weighs hypotheses by masks."""


def open_masks(masks: Masks | str | Path | None) -> Masks | None:
    """Masks, opened if they are a path."""
    return load_masks(masks) if isinstance(masks, str | Path) else masks


def see(keypoints: Keypoints2D, masks: Masks | None) -> Keypoints2D:
    """Prepared keypoints with what masks show of their person.

    Raises:
        FormatError: If masks are of another image, or show no such person.
    """
    return keypoints if masks is None else with_silhouettes(keypoints, masks)


def sized_by(keypoints: Keypoints2D, masks: Masks | None) -> Keypoints2D:
    """Keypoints of an image whose size only the masks tell.

    Example:
        >>> import torch, numpy as np
        >>> from hypopose.skeletons import H36M17
        >>> seen = sized_by(Keypoints2D(torch.zeros(1, 17, 2), H36M17),
        ...                 Masks.of(np.zeros((1, 480, 640), bool)))
        >>> seen.image_size
        (640, 480)
    """
    if masks is None or keypoints.camera is not None or keypoints.image_size is not None:
        return keypoints
    w, h = masks.size
    note = f"image size {w} x {h} taken from the masks"
    return replace(keypoints, image_size=masks.size, notes=(*keypoints.notes, note))


def choose_aggregate(chosen: str | None, *, masks: bool, refine: bool) -> str:
    """What hypotheses become one by: masks weigh them unless they move them.

    Args:
        chosen: What the caller named, or None.
        masks: Whether there are masks.
        refine: Whether hypotheses are refined.

    Raises:
        OptionError: If masks would count for nothing, or twice.

    Example:
        >>> choose_aggregate(None, masks=True, refine=False)
        'silhouette'
        >>> choose_aggregate(None, masks=True, refine=True)
        'mean'
    """
    if chosen is None:
        return WEIGHTS if masks and not refine else "mean"
    if masks and not refine and chosen != WEIGHTS:
        raise OptionError(
            f"Masks weigh hypotheses for the aggregate 'silhouette', not for {chosen!r}; leave the "
            "aggregate out, or refine."
        )
    if masks and refine and chosen == WEIGHTS:
        raise OptionError(
            "Refinement has moved the hypotheses into the masks; weighing them again would count "
            "masks twice. Leave the aggregate out."
        )
    return chosen


def combine(
    hypotheses: Hypotheses, keypoints: Keypoints2D, method: str
) -> tuple[Poses3D, dict[str, Any], tuple[str, ...]]:
    """One motion, what masks had to do with it for the record, and notes of it.

    Args:
        hypotheses: Drawn for these keypoints.
        keypoints: Prepared; with silhouettes if there are masks.
        method: See :func:`hypopose.aggregate`.
    """
    if method != WEIGHTS or keypoints.silhouettes is None:
        return aggregate(hypotheses, keypoints, method), {}, ()
    check_has_keypoints(keypoints, "masks are found by")
    weights = silhouette_weights(hypotheses, keypoints)
    pose = weighted_mean(hypotheses, keypoints, weights)
    effective = float((1 / weights.square().sum(-2)).median())
    record = {
        **keypoints.silhouettes.record,
        "used": "weights",
        "weights": [round(w, 4) for w in weights.mean(-1).tolist()],
        "effective_hypotheses": round(effective, 2),
    }
    note = (
        f"weighted by {described(record)}: {effective:.1f} of {len(hypotheses)} hypotheses in "
        "effect"
    )
    return pose, record, (*record["notes"], note)


def described(record: dict[str, Any]) -> str:
    """Which masks, for notes.

    Example:
        >>> described({"file": "walk-masks", "frames": 50, "looks": 10})
        'the masks of walk-masks (10 looks in 50 frames)'
    """
    looks = "1 look" if record["looks"] == 1 else f"{record['looks']} looks"
    missed = record.get("frames_without_the_person", 0)
    without = f", {missed} without the person" if missed else ""
    return f"the masks of {record['file']} ({looks} in {record['frames']} frames{without})"
