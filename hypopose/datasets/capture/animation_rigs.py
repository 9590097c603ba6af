"""From the joints of a rig to Human3.6M's 17, in meters, z up.

Rigs are recognized by the names of their joints. Points that few rigs have are formed alike for
all, so that they mean the same in shards of different sources:

| joint | from |
| --- | --- |
| pelvis | middle of the hips |
| spine | 48 % of the way from pelvis to thorax, along the rig's own spine |
| thorax | neck base moved along the spine's axis to the height of the shoulders |
| neck/nose | where the head bone begins |
| head | 11.5 cm further (scaled with the legs) along the head bone |
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from hypopose.datasets.capture.recorded_clip import CapturedRig, leg_length
from hypopose.errors import FormatError, OptionError
from hypopose.io.parsing.finite_numbers import LARGEST
from hypopose.skeletons import H36M17

LEG = 0.897
"""Thigh and shin of the mean body in meters."""

HEAD_LENGTH = 0.115
SPINE_SHARE = 0.476
THORAX_LENGTH = 0.11
"""What cgspeed's conversion of CMU leaves out of the trunk, in meters."""

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "cmu": 0.0254 / 0.45}
"""Unit -> meters. ``cmu``: the inches over 0.45 of CMU's own files."""

SIDED = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
MIDDLE = ("spine", "neck", "head_base", "head_end")

RIGS: dict[str, dict[str, str]] = {
    "cmu-bvh": {
        "hip": "{Left}UpLeg", "knee": "{Left}Leg", "ankle": "{Left}Foot",
        "shoulder": "{Left}Arm", "elbow": "{Left}ForeArm", "wrist": "{Left}Hand",
        "spine": "LowerBack Spine Spine1", "neck": "Neck", "head_base": "Head",
        "head_end": "Head_end", "marks": "LHipJoint LowerBack",
    },
    "mixamo": {
        "hip": "{Left}UpLeg", "knee": "{Left}Leg", "ankle": "{Left}Foot",
        "shoulder": "{Left}Arm", "elbow": "{Left}ForeArm", "wrist": "{Left}Hand",
        "spine": "Spine Spine1 Spine2", "neck": "Neck", "head_base": "Head",
        "head_end": "Head_end HeadTop_End", "marks": "Spine",
    },
    "daz": {
        "hip": "{l}Thigh", "knee": "{l}Shin", "ankle": "{l}Foot",
        "shoulder": "{l}Shldr", "elbow": "{l}ForeArm", "wrist": "{l}Hand",
        "spine": "abdomen chest", "neck": "neck", "head_base": "head", "head_end": "head_end",
        "marks": "abdomen",
    },
    "asf": {
        "hip": "{l}hipjoint", "knee": "{l}femur", "ankle": "{l}tibia",
        "shoulder": "{l}clavicle", "elbow": "{l}humerus", "wrist": "{l}radius",
        "spine": "lowerback upperback", "neck": "thorax", "head_base": "upperneck",
        "head_end": "head", "marks": "lhipjoint lowerback",
    },
    "smpl": {
        "hip": "{left}_hip", "knee": "{left}_knee", "ankle": "{left}_ankle",
        "shoulder": "{left}_shoulder", "elbow": "{left}_elbow", "wrist": "{left}_wrist",
        "spine": "spine1 spine2 spine3", "neck": "neck", "head_base": "head", "head_end": "",
        "marks": "spine3",
    },
}  # fmt: skip
"""Rig -> its names of what is needed; ``marks`` must all be there. In the order they are tried."""

LEGS = (0.25, 1.7)
"""Thigh and shin of people together, children included, in meters."""

_OTHER_SIDE = {"{Left}": ("Left", "Right"), "{l}": ("l", "r"), "{left}": ("left", "right")}


def to_h36m17(
    rig: CapturedRig,
    *,
    names: Mapping[str, str] | None = None,
    unit: str = "auto",
    up: str = "auto",
) -> Float[np.ndarray, "F 17 3"]:
    """Make Human3.6M's 17 joints of a rig.

    Args:
        rig: Any with joints of legs, arms, spine and head.
        names: Own names where the rig is unknown: ``left_hip``, ..., ``right_wrist``, ``neck``,
            ``head_base``, and where there are some ``spine`` (several, separated by spaces) and
            ``head_end``.
        unit: A name in :data:`UNITS`; ``"auto"`` takes the one that gives an adult's legs.
        up: ``"y"`` or ``"z"``; ``"auto"`` takes the axis that head and ankles differ in.

    Returns:
        Meters, z up, right-handed.

    Raises:
        FormatError: If the rig is not recognized.
        OptionError: If names, unit or axis do not exist.
    """
    if not (np.abs(rig.positions[np.isfinite(rig.positions)]) < LARGEST).all():
        raise FormatError("Its joints are farther away than any person's.")
    if names is None and _is_h36m17(rig):
        return _as_it_is(rig, unit, up)
    kind, table = recognized(rig) if names is None else ("own", _own(rig, names))
    at = {part: rig.positions[:, list(columns)] for part, columns in table.items() if columns}
    if kind == "cmu-bvh":
        _restore_cmu(at)
    meters = _unit(at, unit)
    _check_legs(leg_length(_legs(at)) * meters, unit)
    at = {part: value * meters for part, value in at.items()}
    at = {part: _z_up(value, _up(at, up)) for part, value in at.items()}
    return _assembled(at)


def _is_h36m17(rig: CapturedRig) -> bool:
    """Whether it has the 17 joints themselves, as HypoPose exports them."""
    return {_plain(name) for name in H36M17.joint_names} <= {_plain(name) for name in rig.names}


def _as_it_is(rig: CapturedRig, unit: str, up: str) -> Float[np.ndarray, "F 17 3"]:
    """The 17 joints of a rig that has them."""
    columns = {_plain(name): i for i, name in reversed(list(enumerate(rig.names)))}
    order = [columns[_plain(name)] for name in H36M17.joint_names]
    parts = {name: rig.positions[:, [i]] for name, i in zip(H36M17.joint_names, order, strict=True)}
    at = {**parts, "head_base": parts["neck"]}
    meters = _unit(at, unit)
    _check_legs(leg_length(_legs(at)) * meters, unit)
    return _z_up(rig.positions[:, order] * meters, _up(at, up))


def _check_legs(meters: float, unit: str) -> None:
    """Raise unless thigh and shin have a person's length."""
    if not LEGS[0] <= meters <= LEGS[1]:
        raise FormatError(
            f"Thigh and shin are {meters:.3g} m long together in --unit {unit}; people's are "
            f"{LEGS[0]:g} to {LEGS[1]:g} m. State the file's unit: --unit {' or '.join(UNITS)}."
        )


def recognized(rig: CapturedRig) -> tuple[str, dict[str, tuple[int, ...]]]:
    """The kind of a rig, and the columns of its parts.

    Raises:
        FormatError: If none fits.
    """
    columns = {_plain(name): i for i, name in reversed(list(enumerate(rig.names)))}
    for kind, words in RIGS.items():
        if all(_plain(mark) in columns for mark in words["marks"].split()):
            table = _table(columns, words)
            if all(table[part] for part in _needed()):
                return kind, table
    listed = ", ".join(rig.names[:12])
    raise FormatError(
        f"These joints are of no known rig ({listed}, ...); name them with --joints FILE, a TOML "
        f"or JSON file with {', '.join(_needed())} = the names in your file."
    )


def _needed() -> list[str]:
    return [f"{side}_{part}" for side in ("left", "right") for part in SIDED] + [
        "neck",
        "head_base",
    ]


def _plain(name: str) -> str:
    """Lower-case letters and digits, without a prefix such as ``mixamorig:``."""
    return re.sub(r"[^a-z0-9]", "", name.rsplit(":", maxsplit=1)[-1].lower())


def _table(columns: dict[str, int], words: dict[str, str]) -> dict[str, tuple[int, ...]]:
    table: dict[str, tuple[int, ...]] = {}
    for side in (0, 1):
        for part in SIDED:
            name = words[part]
            for mark, sides in _OTHER_SIDE.items():
                name = name.replace(mark, sides[side])
            table[f"{('left', 'right')[side]}_{part}"] = _found(columns, name)
    for part in MIDDLE:
        found = _found(columns, words[part])
        table[part] = found if part == "spine" else found[:1]
    return table


def _found(columns: dict[str, int], names: str) -> tuple[int, ...]:
    return tuple(columns[_plain(n)] for n in names.split() if _plain(n) in columns)


def _own(rig: CapturedRig, names: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    known = {*_needed(), *MIDDLE}
    unknown = sorted(set(names) - known)
    if unknown:
        raise OptionError(
            f"--joints names {unknown[0]!r}, which is not a part; the parts are "
            f"{', '.join(sorted(known))}."
        )
    columns = {_plain(name): i for i, name in reversed(list(enumerate(rig.names)))}
    table = {part: _found(columns, names.get(part, "")) for part in known}
    absent = [part for part in _needed() if not table[part]]
    if absent:
        listed = ", ".join(rig.names[:40])
        raise OptionError(
            f"--joints names no joint of this file for {', '.join(absent)}; its joints are "
            f"{listed}."
        )
    return table


def _restore_cmu(at: dict[str, np.ndarray]) -> None:
    """Put back the thorax bone and the wrists that cgspeed's conversion of CMU lost."""
    below, above = at["spine"][:, -2], at["spine"][:, -1]
    legs = leg_length(_legs(at))
    bone = _unit_vector(above - below) * THORAX_LENGTH * legs / LEG
    at["spine"] = np.concatenate([at["spine"], (above + bone)[:, None]], 1)
    carried = ("neck", "head_base", "head_end")
    limbs = tuple(f"{side}_{p}" for side in ("left", "right") for p in SIDED[3:])
    for part in carried + limbs:
        if part in at:
            at[part] = at[part] + bone[:, None]
    for side in ("left", "right"):
        elbow, hand = at[f"{side}_elbow"], at[f"{side}_wrist"]
        at[f"{side}_wrist"] = elbow + 1.5 * (hand - elbow)


def _legs(at: dict[str, np.ndarray]) -> np.ndarray:
    """The 17 joints with legs alone, as :func:`leg_length` reads them."""
    x = np.zeros((len(at["neck"]), 17, 3))
    for joint, part in ((1, "right_hip"), (2, "right_knee"), (3, "right_ankle"),
                        (4, "left_hip"), (5, "left_knee"), (6, "left_ankle")):  # fmt: skip
        x[:, joint] = at[part][:, 0]
    return x


def _unit(at: dict[str, np.ndarray], unit: str) -> float:
    if unit in UNITS:
        return UNITS[unit]
    if unit != "auto":
        raise OptionError(f"unit={unit!r} is not one of auto, {', '.join(UNITS)}.")
    legs = leg_length(_legs(at))
    if not legs > 0:
        raise FormatError("The legs of this rig have no length; is it a motion at all?")
    return min(UNITS.values(), key=lambda meters: abs(np.log(legs * meters / LEG)))


def _up(at: dict[str, np.ndarray], up: str) -> str:
    if up in ("y", "z"):
        return up
    if up != "auto":
        raise OptionError(f"up={up!r} is not one of auto, y, z.")
    ankles = (at["left_ankle"] + at["right_ankle"])[:, 0] / 2
    rise = np.nanmean(at["head_base"][:, 0] - ankles, 0)
    return "y" if abs(rise[1]) > abs(rise[2]) else "z"


def _z_up(x: np.ndarray, up: str) -> np.ndarray:
    return x if up == "z" else np.stack([x[..., 0], -x[..., 2], x[..., 1]], -1)


def _unit_vector(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)


def _assembled(at: dict[str, np.ndarray]) -> Float[np.ndarray, "F 17 3"]:
    x = _legs(at)
    names = {name: i for i, name in enumerate(H36M17.joint_names)}
    for side in ("left", "right"):
        for part in SIDED[3:]:
            x[:, names[f"{side}_{part}"]] = at[f"{side}_{part}"][:, 0]
    pelvis = (x[:, 1] + x[:, 4]) / 2
    neck, head_base = at["neck"][:, 0], at["head_base"][:, 0]
    axis = _unit_vector(neck - pelvis)
    shoulders = (x[:, names["left_shoulder"]] + x[:, names["right_shoulder"]]) / 2
    drop = np.median(((shoulders - neck) * axis).sum(-1))
    thorax = neck + drop * axis
    head_axis = at["head_end"][:, 0] - head_base if "head_end" in at else head_base - neck
    spine = at.get("spine", np.zeros((len(x), 0, 3)))
    x[:, 0], x[:, 8] = pelvis, thorax
    x[:, 7] = _along(np.concatenate([pelvis[:, None], spine, thorax[:, None]], 1), SPINE_SHARE)
    x[:, 9] = head_base
    x[:, 10] = head_base + _unit_vector(head_axis) * HEAD_LENGTH * leg_length(x) / LEG
    return x


def _along(points: Float[np.ndarray, "F n 3"], share: float) -> Float[np.ndarray, "F 3"]:
    """The point at a share of a polyline's length, the same piece in every frame."""
    pieces = np.linalg.norm(np.diff(points, axis=1), axis=-1).mean(0)
    ends = np.cumsum(pieces) / pieces.sum()
    i = min(int(np.searchsorted(ends, share)), len(pieces) - 1)
    begin = ends[i - 1] if i else 0.0
    inside = (share - begin) / max(ends[i] - begin, 1e-9)
    return points[:, i] + inside * (points[:, i + 1] - points[:, i])
