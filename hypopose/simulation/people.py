"""People of many sizes, and where detectors see their points: a table made with a body model.

``people.npz`` holds 4096 people (a fifth of them children) drawn with the body model Anny over age,
gender, height, weight, muscle and proportions; ``benchmarks/draw_people.py`` made it and documents
how. Nothing but simulation reads it.

| array | what |
| --- | --- |
| ``lengths`` | (P, 10) meters: hip, thigh, shin, lower and upper trunk, neck, head, shoulder, upper arm, forearm |
| ``stature``, ``age`` | (P,) meters, years |
| ``traits`` | (P, 6): gender, age, muscle, weight, height, proportions as Anny scales them, 0 to 1 |
| ``nose``, ``left_eye``, ``left_ear``, ``head_top`` | (P, 3) from the neck, in the head's frame |
| ``left_shoulder``, ``left_hip`` | (P, 3) from that joint, in the trunk's frame |
| ``left_big_toe``, ``left_small_toe``, ``left_heel`` | (P, 3) from the ankle, in the shin's frame |
| ``left_elbow``, ``left_wrist``, ``left_knee``, ``left_ankle`` | (P, 1) from that joint, along the bone that ends there |

Frames have axes towards the left, up along the part (pelvis to thorax, neck to head, ankle to
knee), and forward; "left" is where the shoulders point. Right points are mirror images.
"""  # noqa: E501 (table)

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from hypopose.errors import FormatError
from hypopose.simulation.random_draws import Draws

TABLE = Path(__file__).with_name("people.npz")
"""Where the table lies."""

FACE = ("nose", "left_eye", "left_ear")
"""Points of the head that COCO-17 names."""

ALONG = (("left_elbow", 12, 11), ("left_wrist", 13, 12), ("left_knee", 5, 4), ("left_ankle", 6, 5))
"""Points that lie along the bone from a joint's parent: name, left joint, its parent."""

HEAD_SHIFT, LOWER = (0.005, 0.03, 0.02), 0.025
"""How far data sets differ in a head's frame: SD sideways, up and forward, meters; and how much
lower above the neck than the body model's most heads lie."""

LIMB_SHIFT, MOST_OFF = 0.01, 1.3
"""Meters that points of limbs are off besides what the table says, and how much of that at most."""

_RIGHT = {12: 15, 13: 16, 11: 14, 5: 2, 6: 3, 4: 1}


@dataclass(frozen=True, eq=False)
class People:
    """Rows of the table.

    Args:
        lengths: Segments in meters, see the module.
        points: Offsets of detectors' points by name, see the module.
        stature: Meters.
        age: Years.
    """

    lengths: Float[Tensor, "P 10"]
    points: dict[str, Float[Tensor, "P _"]]
    stature: Float[Tensor, " P"]
    age: Float[Tensor, " P"]

    def __len__(self) -> int:
        return len(self.stature)

    def pick(self, index: Int[Tensor, " B"]) -> People:
        """Some of them, in the order of an index."""
        points = {name: values[index] for name, values in self.points.items()}
        return People(self.lengths[index], points, self.stature[index], self.age[index])

    def to(self, device: torch.device) -> People:
        """The same people on a device."""
        points = {name: values.to(device) for name, values in self.points.items()}
        rest = (x.to(device) for x in (self.lengths, self.stature, self.age))
        lengths, stature, age = rest
        return People(lengths, points, stature, age)


@cache
def load_people(path: Path = TABLE) -> People:
    """Read the table.

    Raises:
        FormatError: If the file is absent or no such table.

    Example:
        >>> people = load_people()
        >>> len(people), people.lengths.shape[1]
        (4096, 10)
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            table = {name: torch.from_numpy(archive[name]).float() for name in archive.files}
        lengths, stature, age = (table.pop(name) for name in ("lengths", "stature", "age"))
    except (OSError, ValueError, KeyError) as error:
        raise FormatError(f"{path} is not a table of people: {error}") from error
    table.pop("traits", None)
    return People(lengths, table, stature, age)


def axes(up: Float[Tensor, "*any 3"], left: Float[Tensor, "*any 3"]) -> Float[Tensor, "*any 3 3"]:
    """Unit vectors, in rows: towards the left, up, forward.

    Args:
        up: Kept as it is, but for its length.
        left: Turned until it is at right angles to ``up``.
    """
    up = functional.normalize(up, dim=-1)
    left = functional.normalize(left - (left * up).sum(-1, keepdim=True) * up, dim=-1)
    return torch.stack([left, up, torch.linalg.cross(left, up)], -2)


def coco_points(
    joints: Float[Tensor, "B F 17 3"],
    points: dict[str, Float[Tensor, "B _"]],
    turn: Float[Tensor, "B F"] | None = None,
) -> Float[Tensor, "B F 17 3"]:
    """COCO-17 points of Human3.6M-17 poses of people from the table.

    Args:
        joints: Meters, any right-handed frame.
        points: Offsets as in :attr:`People.points`, one row a window.
        turn: Radians by which heads look to their left of where the shoulders point.

    Returns:
        Nose, eyes, ears, then the limbs, in COCO's order.

    Example:
        >>> some = load_people().pick(torch.tensor([0, 1]))
        >>> coco_points(torch.randn(2, 5, 17, 3), some.points).shape
        torch.Size([2, 5, 17, 3])
    """
    across = joints[..., 11, :] - joints[..., 14, :]
    head = axes(joints[..., 10, :] - joints[..., 9, :], across)
    trunk = axes(joints[..., 8, :] - joints[..., 0, :], across)
    if turn is not None:
        cos, sin = turn.cos()[..., None], turn.sin()[..., None]
        left, up, front = head.unbind(-2)
        head = torch.stack([cos * left - sin * front, up, cos * front + sin * left], -2)
    found: dict[int, Tensor] = {}
    neck = joints[..., 9, :]
    for i, name in enumerate(FACE):
        for row, side in ((2 * i - 1, 1.0), (2 * i, -1.0)) if i else ((0, 1.0),):
            found[row] = neck + _turned(points[name], head, side)
    for row, name, joint in ((5, "left_shoulder", 11), (11, "left_hip", 4)):
        found[row] = joints[..., joint, :] + _turned(points[name], trunk, 1.0)
        found[row + 1] = joints[..., _RIGHT[joint], :] + _turned(points[name], trunk, -1.0)
    for (name, joint, parent), row in zip(ALONG, (7, 9, 13, 15), strict=True):
        for side, end, start in ((0, joint, parent), (1, _RIGHT[joint], _RIGHT[parent])):
            bone = functional.normalize(joints[..., end, :] - joints[..., start, :], dim=-1)
            found[row + side] = joints[..., end, :] + bone * points[name][:, None]
    return torch.stack([found[row] for row in range(17)], -2)


def draw_points_of_people(
    joints: Float[Tensor, "B F 17 3"], people: People, draws: Draws
) -> Float[Tensor, "B F 17 3"]:
    """COCO-17 points of people of the table, who look around.

    Heads are as large as theirs, turned, and moved by what data sets mean by neck and head. Limbs'
    points lie off the joints by 0 to 1.3 times what the table says, and a centimeter.

    Args:
        joints: Meters, any right-handed frame.
        people: One a window.
        draws: Random numbers.
    """
    B, F = joints.shape[:2]
    shift = draws.normal(B, 3) * joints.new_tensor(HEAD_SHIFT)
    shift[:, 1] -= LOWER
    share = draws.uniform(B, 1, high=MOST_OFF)
    points = {}
    for name, offset in people.points.items():
        if name in FACE:
            sideways = float(name == "nose")
            points[name] = offset + shift * offset.new_tensor([sideways, 1.0, 1.0])
        else:
            points[name] = share * offset + LIMB_SHIFT * draws.normal(*offset.shape)
    wave = draws.wave(B, F, 1)[..., 0, 0]
    return coco_points(joints, points, 0.35 * draws.normal(B, 1) + 0.2 * wave)


def _turned(
    offset: Float[Tensor, "B 3"], frame: Float[Tensor, "B F 3 3"], side: float
) -> Float[Tensor, "B F 3"]:
    """Offsets of windows in the frames of their poses; of the right side where ``side`` is -1."""
    offset = offset * offset.new_tensor([side, 1.0, 1.0])
    return (offset[:, None, None] @ frame)[..., 0, :]
