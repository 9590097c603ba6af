"""Units of 3D motion: the unit that gives limbs plausible lengths.

A unit that a file states, or that its format fixes, is used if limbs then have a person's length.
Otherwise the only one of meters, centimeters and millimeters that gives such limbs is taken, with a
note; if none does, the file is refused.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from hypopose.io.camera_files.units import METERS, parse_unit
from hypopose.io.parsing.joint_words import usual_names
from hypopose.io.source import Source
from hypopose.skeletons import SKELETONS

LIMBS: dict[tuple[str, str], tuple[float, float]] = {
    ("hip", "knee"): (0.15, 0.65),
    ("knee", "ankle"): (0.15, 0.65),
    ("shoulder", "elbow"): (0.1, 0.45),
    ("elbow", "wrist"): (0.08, 0.4),
}
"""Ends of a limb -> meters it may be long, toddlers to giants."""
FITTING = 0.7
"""Share of the limbs that must have a person's length."""
WORDS = {"m": "meters", "cm": "centimeters", "mm": "millimeters"}


def limb_lengths(
    points: Float[np.ndarray, "F N 3"], names: list[str]
) -> dict[tuple[str, str], list[float]]:
    """Median lengths of the limbs that are there, in the unit of the points."""
    found: dict[tuple[str, str], list[float]] = {}
    for upper, lower in LIMBS:
        for side in ("left", "right"):
            ends = f"{side}_{upper}", f"{side}_{lower}"
            if set(ends) <= set(names):
                limb = points[:, names.index(ends[0])] - points[:, names.index(ends[1])]
                length = np.linalg.norm(limb, axis=-1)
                if np.isfinite(length).any():
                    found.setdefault((upper, lower), []).append(float(np.nanmedian(length)))
    return found


def fits(lengths: dict[tuple[str, str], list[float]], meters: float) -> bool:
    """Whether limbs have a person's length in a unit of so many meters.

    Example:
        >>> fits({("hip", "knee"): [450.0, 452.0]}, 0.001)
        True
    """
    good = [
        LIMBS[limb][0] <= meters * value <= LIMBS[limb][1]
        for limb, values in lengths.items()
        for value in values
    ]
    return bool(good) and float(np.mean(good)) >= FITTING


def meters_per_unit(
    source: Source,
    lengths: dict[tuple[str, str], list[float]],
    told: str | float | None,
    stated: str | float | None,
) -> tuple[float, str]:
    """Meters per unit, and a doubt or note where it was not simply stated.

    Args:
        source: The file, for messages.
        lengths: Of limbs, in the file's unit.
        told: What the user says, or None.
        stated: What the file or its format says, or None.

    Returns:
        Meters per unit, and one sentence, empty if there is nothing to say.

    Raises:
        FormatError: If no unit gives limbs of people, or the user's does not and another does.
        OptionError: If the user's is no unit.
    """
    fitting = [unit for unit, meters in METERS.items() if fits(lengths, meters)]
    shown = _shown(lengths)
    if told is not None:
        return _told(source, lengths, told, fitting, shown)
    if not lengths:
        if stated is None:
            raise source.error(
                "has no limbs by name (hip and knee, shoulder and elbow, ...) that would tell the "
                "unit", "name it: unit=m, unit=cm or unit=mm",
            )  # fmt: skip
        return parse_unit(stated), f"the unit {stated} is as stated: no limbs by name to check it"
    if stated is not None and fits(lengths, parse_unit(stated)):
        return parse_unit(stated), ""
    if len(fitting) == 1:
        says = "" if stated is None else f", though it says {stated}"
        return METERS[fitting[0]], (
            f"read in {WORDS[fitting[0]]}{says}: {shown} units; unit= says otherwise"
        )
    raise source.error(
        f"limbs ({shown} units) have a person's length in none of m, cm and mm",
        f"give the meters in one unit, for an adult unit={_suggested(lengths):.2g}",
    )


def _told(
    source: Source,
    lengths: dict[tuple[str, str], list[float]],
    told: str | float,
    fitting: list[str],
    shown: str,
) -> tuple[float, str]:
    meters = parse_unit(told)
    if not lengths or fits(lengths, meters):
        return meters, ""
    if len(fitting) == 1:
        raise source.error(
            f"{shown} units, which is not a human length with the unit {told}",
            f"give unit={fitting[0]}",
        )
    return meters, f"limbs do not have human lengths with the unit {told}: {shown} units"


def skeletons_that_fit(points: Float[np.ndarray, "F N 3"]) -> list[str]:
    """Known skeletons of as many joints whose limbs then have a person's length in some unit.

    Args:
        points: In any unit; their order is not known.

    Returns:
        Names, those with equal limbs left and right first.
    """
    found = {}
    for skeleton in SKELETONS.values():
        if skeleton.n_joints == points.shape[1]:
            lengths = limb_lengths(points, usual_names(skeleton.joint_names))
            if any(fits(lengths, meters) for meters in METERS.values()):
                found[skeleton.name] = _unequal(lengths)
    return sorted(found, key=lambda name: found[name])


def _unequal(lengths: dict[tuple[str, str], list[float]]) -> float:
    """How much limbs of the two sides differ: the mean of their logarithms' differences."""
    apart = [abs(float(np.log(v[0] / v[1]))) for v in lengths.values() if len(v) == 2 and min(v)]
    return float(np.mean(apart)) if apart else 0.0


def _shown(lengths: dict[tuple[str, str], list[float]]) -> str:
    if not lengths:
        return "no limbs"
    (upper, lower), values = next(iter(lengths.items()))
    return f"{upper} to {lower} is {np.median(values):.3g}"


def _suggested(lengths: dict[tuple[str, str], list[float]]) -> float:
    """Meters per unit with which limbs have an adult's length."""
    adult = {("hip", "knee"): 0.44, ("knee", "ankle"): 0.43, ("shoulder", "elbow"): 0.29,
             ("elbow", "wrist"): 0.26}  # fmt: skip
    ratios = [adult[limb] / v for limb, values in lengths.items() for v in values if v > 0]
    return float(np.median(ratios)) if ratios else 1.0
