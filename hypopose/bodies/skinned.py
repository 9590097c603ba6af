"""Bodies whose vertices follow bones by linear blend skinning."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float, Int
from torch import Tensor

from hypopose.bodies.body_model import BodyParameters, Rest, Rig, ShapeSpace, Skin, Surface
from hypopose.bodies.kinematics import forward_kinematics, skin
from hypopose.skeletons import H36M17
from hypopose.types import Skeleton


class SkinnedBody(ABC):
    """Everything that follows from bones, weights and a rest pose.

    Args:
        name: For records and messages.
        rig: The bones.
        shapes: What is known of builds.
        faces: Triangles.
        part_labels: Of the vertices.
        weights: Of skinning.
    """

    skeleton: Skeleton = H36M17

    def __init__(
        self,
        name: str,
        rig: Rig,
        shapes: ShapeSpace,
        faces: Int[Tensor, "T 3"],
        part_labels: Int[Tensor, " V"],
        weights: Float[Tensor, "V B"],
    ) -> None:
        self.name, self.rig, self.shapes = name, rig, shapes
        self.faces, self.part_labels, self.weights = faces, part_labels, weights

    @abstractmethod
    def rest(self, shape: Float[Tensor, "*n S"]) -> Rest:
        """Bones and joints of people before they are posed."""

    @abstractmethod
    def rest_vertices(self, shape: Float[Tensor, "*n S"]) -> Float[Tensor, "*n V 3"]:
        """Vertices of people before they are posed."""

    def pose_offsets(self, rotations: Float[Tensor, "*n B 3 3"]) -> Tensor | None:
        """What a pose adds to the rest vertices before skinning; None for nothing."""
        del rotations
        return None

    def joints(self, parameters: BodyParameters) -> Float[Tensor, "*n J 3"]:
        """The skeleton's joints."""
        rest, turns, shifts = self._posed(parameters)
        return skin(rest.joints, self.rig.joint_weights.to(turns), turns, shifts)

    def __call__(self, parameters: BodyParameters) -> Surface:
        """Vertices and joints."""
        rest, turns, shifts = self._posed(parameters)
        vertices = self.rest_vertices(parameters.shape)
        offsets = self.pose_offsets(parameters.rotations)
        if offsets is not None:
            vertices = vertices + offsets
        vertices = vertices.expand(*turns.shape[:-3], *vertices.shape[-2:])
        return Surface(
            vertices=skin(vertices, self.weights.to(turns), turns, shifts),
            joints=skin(rest.joints, self.rig.joint_weights.to(turns), turns, shifts),
            faces=self.faces,
            part_labels=self.part_labels,
        )

    def bind(self, shape: Float[Tensor, " S"]) -> Skin:
        """The surface of one person at rest; what poses add to it is left out."""
        return Skin(self.rest_vertices(shape), self.weights)

    def pieces(
        self, parameters: BodyParameters
    ) -> tuple[Float[Tensor, "*n B 3 3"], Float[Tensor, "*n B 3"]]:
        """Rotations and shifts of the bones from the rest pose."""
        _, turns, shifts = self._posed(parameters)
        return turns, shifts

    def _posed(self, parameters: BodyParameters) -> tuple[Rest, Tensor, Tensor]:
        """The rest pose with the parameters' axes; rotations and shifts of bones."""
        rest = self.rest(parameters.shape)
        lead = parameters.origin.shape[:-1]
        bones = rest.bones.expand(*lead, *rest.bones.shape[-2:])
        turns, places = forward_kinematics(
            parameters.rotations, parameters.origin, bones, self.rig.parents
        )
        shifts = places - (turns @ bones[..., None])[..., 0]
        joints = rest.joints.expand(*lead, *rest.joints.shape[-2:])
        return Rest(bones, joints), turns, shifts
