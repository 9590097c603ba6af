"""What a body with a surface is: parameters in, vertices, joints, faces and part labels out.

A body is a tree of bones. Its parameters are a rotation of every bone against its parent, where the
first bone begins, and numbers for the person's build. Every body also gives the joints of
one of HypoPose's skeletons, so that it can be fitted to hypotheses.

At rest bodies look along z, with x to their left and y up, unless the model says otherwise; the
first rotation turns them into any other frame. All lengths are meters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hypopose.errors import ShapeError
from hypopose.types import Skeleton


@dataclass(frozen=True, eq=False)
class Rig:
    """A tree of bones.

    Args:
        names: Of the bones.
        parents: Of each bone; they come before their children, and -1 marks the first.
        aims: For each bone the joints of the skeleton that determine its rotation; none for bones
            that keep their rotation against the parent.
        joint_weights: How much each bone moves a joint of the skeleton; rows sum to 1.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    aims: tuple[tuple[int, ...], ...]
    joint_weights: Float[Tensor, "J B"]


@dataclass(frozen=True, eq=False)
class ShapeSpace:
    """The numbers for a person's build.

    Args:
        names: What they are.
        mean: Of an average person.
        scale: How far people usually are from it.
        low: Least.
        high: Greatest.
    """

    names: tuple[str, ...]
    mean: Float[Tensor, " S"]
    scale: Float[Tensor, " S"]
    low: Float[Tensor, " S"]
    high: Float[Tensor, " S"]


@dataclass(frozen=True, eq=False)
class BodyParameters:
    """Pose and build of bodies.

    Args:
        rotations: Of each bone against its parent; identity at rest.
        origin: Where the first bone begins, meters.
        shape: How the person is built; the same leading axes, some of which may be 1.
    """

    rotations: Float[Tensor, "*n B 3 3"]
    origin: Float[Tensor, "*o 3"]
    shape: Float[Tensor, "*m S"]

    def __post_init__(self) -> None:
        if self.rotations.shape[:-3] != self.origin.shape[:-1]:
            raise ShapeError(
                f"Rotations {tuple(self.rotations.shape)} and origins {tuple(self.origin.shape)} "
                "do not belong together: give one origin a body."
            )


@dataclass(frozen=True, eq=False)
class Rest:
    """A body before it is posed.

    Args:
        bones: Where bones begin.
        joints: The skeleton's joints.
    """

    bones: Float[Tensor, "*n B 3"]
    joints: Float[Tensor, "*n J 3"]


@dataclass(frozen=True, eq=False)
class Surface:
    """Bodies in their poses, in the frame that the first rotation leads to.

    Args:
        vertices: Meters.
        joints: Of the body's skeleton, meters.
        faces: Triangles, counter-clockwise from outside.
        part_labels: Part of each vertex, an index of :data:`hypopose.bodies.PARTS`.
    """

    vertices: Float[Tensor, "*n V 3"]
    joints: Float[Tensor, "*n J 3"]
    faces: Int[Tensor, "T 3"]
    part_labels: Int[Tensor, " V"]


@dataclass(frozen=True, eq=False)
class Skin:
    """How a surface follows rigid pieces, for formats that store animations this way.

    Args:
        vertices: Where they are bound.
        weights: How much each piece moves a vertex; rows sum to 1.
    """

    vertices: Float[Tensor, "V 3"]
    weights: Float[Tensor, "V K"]


@runtime_checkable
class BodyModel(Protocol):
    """A body with a surface."""

    @property
    def name(self) -> str:
        """For records and messages."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """Whose joints it gives."""
        ...

    @property
    def rig(self) -> Rig:
        """Its bones."""
        ...

    @property
    def shapes(self) -> ShapeSpace:
        """What it knows of builds."""
        ...

    @property
    def faces(self) -> Int[Tensor, "T 3"]:
        """Triangles, counter-clockwise from outside."""
        ...

    @property
    def part_labels(self) -> Int[Tensor, " V"]:
        """Part of each vertex."""
        ...

    def rest(self, shape: Float[Tensor, "*n S"]) -> Rest:
        """Bones and joints of people before they are posed."""
        ...

    def joints(self, parameters: BodyParameters) -> Float[Tensor, "*n J 3"]:
        """The skeleton's joints alone: quicker than the surface."""
        ...

    def __call__(self, parameters: BodyParameters) -> Surface:
        """Vertices and joints."""
        ...

    def bind(self, shape: Float[Tensor, " S"]) -> Skin:
        """The surface of one person as pieces, for animations."""
        ...

    def pieces(
        self, parameters: BodyParameters
    ) -> tuple[Float[Tensor, "*n K 3 3"], Float[Tensor, "*n K 3"]]:
        """Where the pieces of :meth:`bind` are: rotations and shifts from where they are bound."""
        ...


def at_rest(body: BodyModel, shape: Float[Tensor, "*n S"]) -> BodyParameters:
    """Parameters of people who stand as the model was made, the first bone where it was.

    Args:
        body: A model.
        shape: How they are built.
    """
    bones = body.rest(shape).bones
    turns = torch.eye(3, dtype=bones.dtype).expand(*bones.shape, 3)
    return BodyParameters(turns, bones[..., 0, :], shape)
