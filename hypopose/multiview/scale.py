"""Meters: how large a rig is that was found from keypoints.

Pixels do not determine the size of a scene, so it is taken from elsewhere: the
distance of two cameras, the stature of a person, or, where neither is known, what bones of
adults measure.

Legs (thigh and shin) of adults measure 0.85 m, arms without hand 0.53 m, averaged over the
Human3.6M skeleton, the subjects of the CMU database and a body model. Limbs of a person vary
together by 6 %, and each by 4 % more, which includes what data sets mean by a joint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hypopose.errors import OptionError, UndeterminedError
from hypopose.types import Skeleton

LIMBS = {
    "leg": (("hip", "knee", "ankle"), 0.85),
    "arm": (("shoulder", "elbow", "wrist"), 0.53),
}
"""Limbs: their joints, and their mean length in meters."""

COMMON_SD, OWN_SD = 0.06, 0.04
"""Relative spread of adults' limbs: what all of a person share, and each limb's own."""

STATURE_SD = 0.03
"""Relative error of a stature that is read off joints of a detector."""

BASELINES = (0.01, 1000.0)
STATURES = (0.5, 2.6)


@dataclass(frozen=True)
class Scale:
    """Meters per unit of a rig.

    Args:
        meters: Meters a unit.
        relative_std: Standard deviation over the value.
        source: Where it comes from, for reports.
    """

    meters: float
    relative_std: float
    source: str

    def describe(self) -> str:
        """For reports.

        Example:
            >>> Scale(2.0, 0.03, "stature 1.78 m").describe()
            'from stature 1.78 m, standard deviation 3.0 %'
        """
        return f"from {self.source}, standard deviation {100 * self.relative_std:.1f} %"


def scale_from_baseline(
    centers: Float[np.ndarray, "2 3"], meters: float, relative_std: float = 0.01
) -> Scale:
    """From the measured distance of two cameras.

    Args:
        centers: Where both stand, in the unit of the rig.
        meters: How far they are apart.
        relative_std: How well that is known.

    Raises:
        OptionError: If the distance is no distance of cameras.

    Example:
        >>> scale_from_baseline(np.array([[0.0, 0, 0], [2.0, 0, 0]]), 3.0).meters
        1.5
    """
    if not BASELINES[0] <= meters <= BASELINES[1]:
        raise OptionError(
            f"Cameras stand {BASELINES[0]:g} to {BASELINES[1]:g} m apart, got {meters:g}."
        )
    length = float(np.linalg.norm(centers[1] - centers[0]))
    return Scale(meters / length, relative_std, f"the baseline of {meters:g} m")


def scale_from_stature(measured: Float[np.ndarray, " P"], height: float) -> Scale:
    """From a person's stature.

    Args:
        measured: Statures of the people in the unit of the rig; their median is the person's.
        height: The stature in meters.

    Raises:
        OptionError: If no person is that tall.
        UndeterminedError: If no stature could be measured.
    """
    if not STATURES[0] <= height <= STATURES[1]:
        raise OptionError(
            f"A stature lies between {STATURES[0]} and {STATURES[1]} m, got {height:g}."
        )
    known = measured[np.isfinite(measured)]
    if not len(known):
        raise UndeterminedError(
            "No stature can be read off these keypoints: legs or head are hardly ever seen by two "
            "views. Give the scale as --baseline METERS, or recordings that show whole bodies."
        )
    return Scale(height / float(np.median(known)), STATURE_SD, f"the stature of {height:g} m")


def scale_from_bones(points: Float[np.ndarray, "P F J 3"], skeleton: Skeleton) -> Scale:
    """From what limbs of adults measure.

    Args:
        points: Joints of the people in the unit of the rig; NaN where unknown.
        skeleton: Of the points.

    Raises:
        UndeterminedError: If no limb could be measured.

    Example:
        >>> from hypopose.datasets.examples import example_motion
        >>> from hypopose.skeletons import H36M17
        >>> walk = example_motion(20).double().numpy()[None]
        >>> 0.9 < scale_from_bones(walk, H36M17).meters < 1.1
        True
    """
    ratios = np.array([_ratios(person, skeleton) for person in points])
    counted = np.isfinite(ratios)
    people = counted.any(-1)
    if not people.any():
        raise UndeterminedError(
            "No limb is seen by two views, so the size is not determined; give --height METERS or "
            "--baseline METERS."
        )
    each = np.array([np.mean(r[c]) for r, c in zip(ratios[people], counted[people], strict=True)])
    own = OWN_SD**2 / counted[people].sum(-1)
    std = math.sqrt(float((COMMON_SD**2 + own).mean()) / len(each))
    return Scale(math.exp(float(each.mean())), std, "bones of adults")


def _ratios(person: np.ndarray, skeleton: Skeleton) -> list[float]:
    """Logarithms of mean over measured length, per limb; NaN where it was not measured."""
    out = []
    for joints, length in LIMBS.values():
        sides = []
        for side in ("left", "right"):
            names = [f"{side}_{joint}" for joint in joints]
            if not set(names) <= set(skeleton.joint_names):
                continue
            a, b, c = (person[:, skeleton.joint_names.index(name)] for name in names)
            bones = np.linalg.norm(b - a, axis=-1) + np.linalg.norm(c - b, axis=-1)
            sides += bones[np.isfinite(bones)].tolist()
        out.append(math.log(length / float(np.median(sides))) if len(sides) >= 3 else math.nan)
    return out
