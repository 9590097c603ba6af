"""The built-in body: capsules around bones of the Human3.6M skeleton.

It needs no files. One capsule lies around every bone, two more make the trunk as wide as the hips
and the shoulders; an octagon at each end and a point beyond it make 18 vertices a capsule, 324 in
all. Radii are those of an adult, times the girth. Vertices follow the joints without any inverse
kinematics, and are smooth in them: each capsule is turned by the smallest rotation from where it
lies at rest in the frame of the hips, or of the shoulders.

The last number of the shape is the logarithm of the girth; the others are logarithms of segment
lengths over the mean ones.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from hypopose.bodies.body_model import BodyParameters, Rest, Rig, ShapeSpace, Skin, Surface
from hypopose.bodies.body_parts import PARTS
from hypopose.bodies.kinematics import forward_kinematics, swing
from hypopose.bodies.proportions import BONE_LENGTHS, BONE_PAIRS, SEGMENTS
from hypopose.skeletons import H36M17
from hypopose.types import Skeleton


class Capsule(NamedTuple):
    """A piece of the body.

    Args:
        start: Joint where it begins.
        end: Joint where it ends.
        radius_start: Meters.
        radius_end: Meters.
        reach: Meters by which it extends beyond the end.
        part: Name in :data:`hypopose.bodies.PARTS`.
    """

    start: int
    end: int
    radius_start: float
    radius_end: float
    reach: float
    part: str


_MIDDLE = (
    Capsule(0, 7, 0.115, 0.115, 0.0, "trunk"),
    Capsule(7, 8, 0.12, 0.115, 0.0, "trunk"),
    Capsule(8, 9, 0.06, 0.055, 0.0, "head"),
    Capsule(9, 10, 0.08, 0.09, 0.03, "head"),
)
_RIGHT = (
    Capsule(0, 1, 0.11, 0.1, 0.0, "hips"),
    Capsule(1, 2, 0.085, 0.06, 0.0, "right_thigh"),
    Capsule(2, 3, 0.058, 0.042, 0.06, "right_shin"),
    Capsule(8, 14, 0.08, 0.07, 0.0, "trunk"),
    Capsule(14, 15, 0.055, 0.045, 0.0, "right_upper_arm"),
    Capsule(15, 16, 0.042, 0.032, 0.12, "right_forearm"),
    Capsule(1, 14, 0.09, 0.09, 0.0, "trunk"),
)


def _mirrored(capsule: Capsule) -> Capsule:
    order = H36M17.flip_order
    ends = (order[capsule.start], order[capsule.end])
    return Capsule(*ends, *capsule[2:5], capsule.part.replace("right", "left"))


CAPSULES = (*_MIDDLE, *_RIGHT, *map(_mirrored, _RIGHT))
"""The pieces of the body."""

HIP_JOINTS = (0, 1, 2, 3, 4, 5, 6, 7)
"""Capsules that end in these joints lie in the frame of the hips; others in the shoulders'."""

N_SIDES = 8
"""Corners of a capsule's cross-section."""

_CORNER = math.pi / (N_SIDES * math.sin(math.pi / N_SIDES))
"""Corners lie so far out that the cross-section is as wide as the circle, averaged over views."""

_UP, _DOWN, _LEFT, _RIGHT_SIDE = (0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0)
REST_DIRECTIONS = (
    *(_RIGHT_SIDE, _DOWN, _DOWN),
    *(_LEFT, _DOWN, _DOWN),
    *(_UP, _UP, _UP, _UP),
    *(_LEFT, _LEFT, _LEFT),
    *(_RIGHT_SIDE, _RIGHT_SIDE, _RIGHT_SIDE),
)
"""Where bones point at rest: upright, arms to the sides; x left, y up, z forward."""


class CapsuleBody:
    """The built-in body.

    Example:
        >>> body = CapsuleBody()
        >>> body.faces.shape, len(body.part_labels)
        (torch.Size([576, 3]), 324)
        >>> body.around(torch.randn(2, 17, 3)).vertices.shape
        torch.Size([2, 324, 3])
    """

    name = "capsules"
    skeleton: Skeleton = H36M17

    def __init__(self) -> None:
        parents = H36M17.parents
        movers = torch.zeros(17, 17)
        movers[range(17), [max(p, 0) for p in parents]] = 1.0
        aims = tuple(tuple(c for c, p in enumerate(parents) if p == j) for j in range(17))
        self.rig = Rig(H36M17.joint_names, parents, aims, movers)
        n = len(SEGMENTS) + 1
        mean = torch.zeros(n)
        scale = torch.full((n,), 0.1)
        self.shapes = ShapeSpace(
            (*SEGMENTS, "girth"), mean, scale, mean - math.log(4), mean + math.log(2)
        )
        self.faces = _faces()
        self.part_labels = torch.tensor(
            [PARTS.index(c.part) for c in CAPSULES for _ in range(2 * N_SIDES + 2)]
        )
        self._ends = torch.tensor([[c.start, c.end] for c in CAPSULES])
        self._from_hips = torch.tensor([c.end in HIP_JOINTS for c in CAPSULES])
        self._local = _local_vertices()
        rest = self.rest(mean).joints
        self._rest_frames = _frames(rest, self._from_hips)
        self._rest_directions = self._directions(rest)[0]

    def rest(self, shape: Float[Tensor, "*n S"]) -> Rest:
        """Bones and joints of people who stand with their arms to the sides; the same points."""
        pairs = torch.tensor(BONE_PAIRS)
        lengths = shape.new_tensor(BONE_LENGTHS) * shape[..., pairs].exp()
        offsets = lengths[..., None] * shape.new_tensor(REST_DIRECTIONS)
        places = [offsets.new_zeros(*shape.shape[:-1], 3)]
        for bone, (parent, _) in enumerate(H36M17.bones):
            places.append(places[parent] + offsets[..., bone, :])
        joints = torch.stack(places, -2)
        return Rest(joints, joints)

    def joints(self, parameters: BodyParameters) -> Float[Tensor, "*n 17 3"]:
        """The skeleton's joints."""
        bones = self.rest(parameters.shape).bones
        bones = bones.expand(*parameters.origin.shape[:-1], 17, 3)
        turns, origin = parameters.rotations, parameters.origin
        return forward_kinematics(turns, origin, bones, self.rig.parents)[1]

    def __call__(self, parameters: BodyParameters) -> Surface:
        """Vertices and joints."""
        girth = parameters.shape[..., -1].exp()
        return self.around(self.joints(parameters), girth)

    def around(
        self, joints: Float[Tensor, "*n 17 3"], girth: Float[Tensor, "*m"] | float = 1.0
    ) -> Surface:
        """Capsules around given joints.

        Args:
            joints: Meters, in any right-handed frame.
            girth: Factor of all radii; leading axes of the joints', or one number.

        Returns:
            A surface that is differentiable in joints and girth; NaN where joints are NaN.
        """
        direction, length = self._directions(joints)
        turns = self._turns(joints, direction)
        local = self._local.to(joints)
        offset, (share, pole, reach) = local[..., :3], local[..., 3:].unbind(-1)
        wide = girth[..., None, None] if isinstance(girth, Tensor) else girth
        around = (turns[..., None, :, :] @ offset[..., None])[..., 0]
        along = share * length[..., None] + pole * wide + reach
        start = joints[..., self._ends[:, 0], :]
        factor = wide[..., None] if isinstance(wide, Tensor) else wide
        vertices = start[..., None, :] + along[..., None] * direction[..., None, :]
        vertices = vertices + factor * around
        return Surface(vertices.flatten(-3, -2), joints, self.faces, self.part_labels)

    def bind(self, shape: Float[Tensor, " S"]) -> Skin:
        """The surface of one person at rest; each vertex belongs to its capsule."""
        rest = self.around(self.rest(shape).joints, shape[-1].exp())
        owner = torch.arange(len(CAPSULES)).repeat_interleave(2 * N_SIDES + 2)
        return Skin(rest.vertices, functional.one_hot(owner, len(CAPSULES)).to(rest.vertices))

    def pieces(
        self, parameters: BodyParameters
    ) -> tuple[Float[Tensor, "*n K 3 3"], Float[Tensor, "*n K 3"]]:
        """Where capsules are. The two at the trunk's sides also change their length in poses."""
        rest = self.rest(parameters.shape).joints
        joints = self.joints(parameters)
        turns = self._turns(joints, self._directions(joints)[0])
        before = self._turns(rest, self._directions(rest)[0])
        turns = turns @ before.mT
        start = joints[..., self._ends[:, 0], :]
        origin = rest[..., self._ends[:, 0], :]
        return turns, start - (turns @ origin[..., None])[..., 0]

    def _directions(
        self, joints: Float[Tensor, "*n 17 3"]
    ) -> tuple[Float[Tensor, "*n K 3"], Float[Tensor, "*n K"]]:
        """Unit vectors along capsules, and how long they are."""
        ends = joints[..., self._ends, :]
        along = ends[..., 1, :] - ends[..., 0, :]
        length = along.norm(dim=-1)
        return along / length.clamp(min=1e-6)[..., None], length

    def _turns(
        self, joints: Float[Tensor, "*n 17 3"], direction: Float[Tensor, "*n K 3"]
    ) -> Float[Tensor, "*n K 3 3"]:
        """Rotations of capsules from where they lie at rest."""
        frames = _frames(joints, self._from_hips)
        frames = frames @ self._rest_frames.to(frames).mT
        expected = (frames @ self._rest_directions.to(frames)[..., None])[..., 0]
        return swing(expected, direction) @ frames


@cache
def capsule_body() -> CapsuleBody:
    """The built-in body, made once.

    Example:
        >>> capsule_body() is capsule_body()
        True
    """
    return CapsuleBody()


def _frames(joints: Float[Tensor, "*n 17 3"], from_hips: Tensor) -> Float[Tensor, "*n K 3 3"]:
    """Axes in columns (left, up, forward) of the hips or the shoulders, for each capsule."""
    found = []
    for left, right, top in ((4, 1, 7), (11, 14, 8)):
        side = functional.normalize(joints[..., left, :] - joints[..., right, :], dim=-1)
        up = joints[..., top, :] - joints[..., 0, :]
        up = functional.normalize(up - (up * side).sum(-1, keepdim=True) * side, dim=-1)
        found.append(torch.stack([side, up, torch.linalg.cross(side, up)], -1))
    hips, shoulders = (frame[..., None, :, :] for frame in found)
    return torch.where(from_hips[:, None, None], hips, shoulders)


def _local_vertices() -> Float[Tensor, "K P 6"]:
    """Of each vertex at rest: offset from the axis, share of the length, pole, reach.

    A vertex lies at ``start + (share length + girth pole + reach) direction + girth offset``.
    """
    rest = torch.tensor(REST_DIRECTIONS, dtype=torch.float32)
    places = [torch.zeros(3)]
    for bone, (parent, _) in enumerate(H36M17.bones):
        places.append(places[parent] + BONE_LENGTHS[bone] * rest[bone])
    rows = []
    for capsule in CAPSULES:
        direction = functional.normalize(places[capsule.end] - places[capsule.start], dim=-1)
        first = torch.linalg.cross(direction, torch.tensor([0.0, 0.0, 1.0]))
        first = functional.normalize(first, dim=-1)
        second = torch.linalg.cross(direction, first)
        angle = torch.arange(N_SIDES) * (2 * math.pi / N_SIDES) + math.pi / N_SIDES
        ring = angle.cos()[:, None] * first + angle.sin()[:, None] * second
        axis = torch.zeros(1, 3)
        a, b = capsule.radius_start, capsule.radius_end
        rows.append(
            torch.cat(
                [
                    _vertex(axis, 0.0, -a, 0.0),
                    _vertex(ring * a * _CORNER, 0.0, 0.0, 0.0),
                    _vertex(ring * b * _CORNER, 1.0, 0.0, capsule.reach),
                    _vertex(axis, 1.0, b, capsule.reach),
                ]
            )
        )
    return torch.stack(rows)


def _vertex(offset: Tensor, share: float, pole: float, reach: float) -> Tensor:
    rest = offset.new_tensor([share, pole, reach]).expand(len(offset), 3)
    return torch.cat([offset, rest], 1)


def _faces() -> Int[Tensor, "T 3"]:
    """Two fans and a band a capsule, counter-clockwise from outside."""
    n = N_SIDES
    one = []
    for i in range(n):
        j = (i + 1) % n
        one += [(0, 1 + j, 1 + i), (2 * n + 1, 1 + n + i, 1 + n + j)]
        one += [(1 + i, 1 + j, 1 + n + j), (1 + i, 1 + n + j, 1 + n + i)]
    base = torch.tensor(one)
    steps = torch.arange(len(CAPSULES)) * (2 * n + 2)
    return (base + steps[:, None, None]).flatten(0, 1)
