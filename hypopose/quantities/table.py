"""The table of quantities by name, and how a quantity of one's own joins it.

``docs/reference/quantities.md`` shows the table with its definitions and what was measured of its
intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from hypopose.errors import HypoPoseError, OptionError
from hypopose.plugins import available, look_up
from hypopose.quantities.angles import ANGLES, joint_angle
from hypopose.quantities.body_motion import SIDES, BodyMotion
from hypopose.quantities.contacts import CONTACTS
from hypopose.quantities.gait import GAIT
from hypopose.quantities.quantity import Quantity
from hypopose.quantities.ranges import RANGES
from hypopose.quantities.segments import MASS, SEGMENTS
from hypopose.quantities.speeds import SPEEDS
from hypopose.quantities.sway import BALANCE

_NOT_NEGATIVE = {
    "ranges of motion", "segments", "center of mass", "speeds", "accelerations", "repetitions",
    "balance",
}  # fmt: skip
"""Groups whose quantities are sizes."""


def _bounded(quantity: Quantity) -> Quantity:
    """The quantity with the bound of its kind."""
    f = quantity.family
    gait = quantity.group == "gait" and not f.endswith("_symmetry") and f != "step_width"
    is_size = quantity.group in _NOT_NEGATIVE or gait or f.endswith("_angular_speed")
    return replace(quantity, least=0.0, greatest=math.inf) if is_size else quantity


QUANTITIES: dict[str, Quantity] = {
    quantity.name: _bounded(quantity)
    for quantity in (*ANGLES, *RANGES, *SEGMENTS, *MASS, *SPEEDS, *GAIT, *CONTACTS, *BALANCE)
}
"""Every quantity by its name, side first: ``left_knee_flexion``, ``trunk_lean``."""

FAMILIES: dict[str, tuple[Quantity, ...]] = {
    family: tuple(q for q in QUANTITIES.values() if q.family == family)
    for family in dict.fromkeys(q.family for q in QUANTITIES.values())
}
"""Quantities by family: the left and the right one, or the one in the middle."""

GROUPS: tuple[str, ...] = tuple(dict.fromkeys(q.group for q in QUANTITIES.values()))
"""What quantities are about, in the order of the table."""

ALL = "all"
"""Everything that can be measured."""

ANGLE = "angle:"
"""Begins the name of an angle of three joints."""

_UNITS = {
    "deg": "deg", "deg_per_s": "deg/s", "m": "m", "mm": "mm", "cm": "cm", "m_per_s": "m/s",
    "s": "s", "percent": "%", "count": "count",
}  # fmt: skip
_LENGTHS = ("m", "mm", "cm", "m_per_s")


NOT_SHOWN = {
    "hip_rotation": "hip_adduction", "knee_rotation": "knee_flexion",
    "shoulder_rotation": "shoulder_elevation", "forearm_rotation": "elbow_flexion",
    "pronation": "elbow_flexion", "wrist_flexion": "elbow_flexion",
    "pelvis_tilt": "trunk_lean_forward", "pelvic_tilt": "trunk_lean_forward",
    "ankle_inversion": "ankle_flexion", "head_rotation": "trunk_rotation",
}  # fmt: skip
"""What people ask for and joint centers do not tell, and what comes nearest."""


def choose_quantities(
    what: Sequence[str | Quantity | Callable[[BodyMotion], Tensor]],
) -> list[Quantity]:
    """Quantities by name, without repetition.

    Args:
        what: Names of :data:`QUANTITIES` (``left_knee_flexion``), of families (``knee_flexion``:
            both sides), of groups (``angles``), ``all``, ``angle:left_hip/left_knee/left_ankle``
            for the angle at the middle one of three joints, ``package.module:function`` or
            ``./file.py:function`` or an entry point of ``hypopose.quantities``; quantities; or
            functions of a :class:`BodyMotion` with one value per frame or per clip.

    Returns:
        The quantities, in the order asked for.

    Raises:
        OptionError: If there is no quantity of a name; the message suggests some.

    Example:
        >>> [q.name for q in choose_quantities(["knee_flexion", "left_knee_flexion", "trunk_lean"])]
        ['left_knee_flexion', 'right_knee_flexion', 'trunk_lean']
    """
    found: dict[str, Quantity] = {}
    for word in what:
        for quantity in _named(word) if isinstance(word, str) else (_made(word),):
            found.setdefault(quantity.name, quantity)
    return list(found.values())


def _named(name: str) -> tuple[Quantity, ...]:
    known = _of_table(name) or _of_table(_plain(name))
    if known:
        return known
    if name.startswith(ANGLE):
        return (three_joint_angle(*_three(name)),)
    if ":" not in name and name not in available("quantities", {}):
        _check_shown(_plain(name))
        close = get_close_matches(_plain(name), [*FAMILIES, *QUANTITIES, *GROUPS], n=3, cutoff=0.5)
        meant = f" Did you mean {' or '.join(close)}?" if close else ""
        raise OptionError(
            f"There is no quantity {name!r}.{meant} `hypopose measure --list` shows all; your own "
            "are package.module:function, ./file.py:function or angle:JOINT/JOINT/JOINT."
        )
    return (_made(look_up("quantities", name, QUANTITIES), name),)


def _of_table(name: str) -> tuple[Quantity, ...]:
    """Quantities of a family, of a group or of a name; none if the table has no such word."""
    if name in QUANTITIES:
        return (QUANTITIES[name],)
    of_group = (q for q in QUANTITIES.values() if name in (ALL, q.group, _plain(q.group)))
    return FAMILIES.get(name, tuple(of_group))


def names_several(word: object) -> bool:
    """Whether a word stands for a group or for all, of which what can be measured is.

    Example:
        >>> names_several("Angles"), names_several("all"), names_several("knee_flexion")
        (True, True, False)
    """
    groups = {ALL, *(_plain(group) for group in GROUPS)}
    return isinstance(word, str) and _plain(word) in groups


def _plain(name: str) -> str:
    """A name as the table writes it: small letters, the side first.

    Example:
        >>> _plain("Knee flexion"), _plain("knee_flexion_left"), _plain("ranges of motion")
        ('knee_flexion', 'left_knee_flexion', 'ranges_of_motion')
    """
    words = name.strip().lower().replace("-", " ").replace("_", " ").split()
    if words and words[-1] in SIDES:
        words = [words[-1], *words[:-1]]
    return "_".join(words)


def _check_shown(name: str) -> None:
    """Refuse what joint centers do not show.

    Raises:
        OptionError: If it is one of those.
    """
    family = name.removeprefix("left_").removeprefix("right_")
    if family in NOT_SHOWN:
        raise OptionError(
            f"{name} is not measured: joint centers do not show how a bone turns about itself, nor "
            f"hands; measure {NOT_SHOWN[family]} instead, or leave it out."
        )


def _three(name: str) -> list[str]:
    joints = name.removeprefix(ANGLE).split("/")
    if len(joints) != 3 or not all(joints):
        raise OptionError(
            f"{name!r} is not an angle of three joints; write angle:left_hip/left_knee/left_ankle "
            "with the angle at the middle joint."
        )
    return joints


def three_joint_angle(first: str, middle: str, last: str) -> Quantity:
    """The quantity of an angle at a joint.

    Args:
        first: Joint at one end.
        middle: Joint where the angle is.
        last: Joint at the other end.

    Returns:
        A quantity named ``first/middle/last``, 180° where the joints lie on a line.

    Example:
        >>> three_joint_angle("thorax", "neck", "head").name
        'thorax/neck/head'
    """
    return Quantity(
        f"{first}/{middle}/{last}",
        "deg",
        "frame",
        f"Angle at {middle} between {first} and {last}.",
        lambda motion: joint_angle(motion, first, middle, last),
        positive="extension",
    )


def _made(found: Any, name: str = "") -> Quantity:
    """A quantity as it is, or one made of a function."""
    if isinstance(found, Quantity):
        return found
    if not callable(found):
        raise OptionError(f"{name or found!r} is not a function of a motion, nor a Quantity.")
    own = str(getattr(found, "__name__", type(found).__name__))
    ending = max((e for e in _UNITS if own.endswith(f"_{e}")), key=len, default="")
    words = (getattr(found, "__doc__", None) or "Your own.").strip().splitlines()[0]
    return Quantity(own, _UNITS.get(ending, ""), "frame", words, found, scale=ending in _LENGTHS)


def sample_quantity(quantity: Quantity, motion: BodyMotion) -> tuple[Quantity, Tensor]:
    """Measure every hypothesis of a motion.

    Args:
        quantity: A row of the table, or of your own.
        motion: Hypotheses ``(H, F, J, 3)``. Functions of your own get them one by one.

    Returns:
        The quantity, which says what it turned out to be (per frame or per clip), and its samples
        ``(H, F)`` or ``(H)``.

    Raises:
        OptionError: If a function of your own returns something else than one number per frame or
            per clip, or the motion lacks what the quantity needs.
        SkeletonMismatchError: If the skeleton lacks a joint.

    Example:
        >>> from hypopose.datasets import example_motion
        >>> from hypopose.skeletons import H36M17
        >>> walk = BodyMotion(example_motion(25).expand(3, 25, 17, 3), H36M17, fps=25.0)
        >>> sample_quantity(QUANTITIES["trunk_lean"], walk)[1].shape
        torch.Size([3, 25])
    """
    if QUANTITIES.get(quantity.name) == quantity:
        return quantity, quantity.compute(motion)
    one_by_one = [replace(motion, joints=joints) for joints in motion.joints]
    rows = [_own(quantity, one) for one in one_by_one]
    per = {(): "clip", (motion.n_frames,): "frame"}.get(tuple(rows[0].shape))
    if per is None or len({row.shape for row in rows}) > 1:
        raise OptionError(
            f"{quantity.name} returned {tuple(rows[0].shape)}; a quantity is one number, or one "
            f"per frame: ({motion.n_frames},)."
        )
    return replace(quantity, per=per), torch.stack(rows).double()  # type: ignore[arg-type]


def _own(quantity: Quantity, motion: BodyMotion) -> Tensor:
    """What a function of your own returns for one motion.

    Raises:
        OptionError: If it fails, or returns no numbers.
    """
    try:
        return torch.as_tensor(quantity.compute(motion))
    except HypoPoseError:
        raise
    except Exception as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        raise OptionError(
            f"{quantity.name} failed with {words[:200]}. It gets a BodyMotion and returns one "
            "number, or one per frame."
        ) from error
