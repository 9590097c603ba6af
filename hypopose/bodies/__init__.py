"""Bodies with a surface: the built-in capsules, a user's own SMPL arrays, Anny."""

from hypopose.bodies.array_bodies import ArrayBody, load_arrays
from hypopose.bodies.body_model import (
    BodyModel,
    BodyParameters,
    Rest,
    Rig,
    ShapeSpace,
    Skin,
    Surface,
    at_rest,
)
from hypopose.bodies.body_parts import PARTS
from hypopose.bodies.by_name import BODIES, make_body
from hypopose.bodies.capsules import CapsuleBody
from hypopose.bodies.skinned import SkinnedBody

__all__ = [
    "BODIES",
    "PARTS",
    "ArrayBody",
    "BodyModel",
    "BodyParameters",
    "CapsuleBody",
    "Rest",
    "Rig",
    "ShapeSpace",
    "Skin",
    "SkinnedBody",
    "Surface",
    "at_rest",
    "load_arrays",
    "make_body",
]
