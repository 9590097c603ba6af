"""Joint coordinates as OpenSim's full-body model names and signs them.

Names, axes and signs are those of Rajagopal, Dembia, DeMers, Delp, Hicks and Delp, "Full-body
musculoskeletal model for muscle-driven simulation of human gait", IEEE Transactions on Biomedical
Engineering 63, 2016: body axes x forward, y up, z right; the ground has y up.

==========================================  =====================================================
coordinate                                  rotation
==========================================  =====================================================
``pelvis_tilt``, ``_list``, ``_rotation``   pelvis in the ground: body-fixed z, x, y
``hip_flexion_r``, ``_adduction_``,         thigh in the pelvis: z, x, y; adduction and rotation
``_rotation_``                              of the left mirrored
``knee_angle_r``                            positive in flexion
``ankle_angle_r``                           positive in dorsiflexion; needs heel and big toe
``lumbar_extension``, ``_bending``,         trunk in the pelvis: z, x, y
``_rotation``
``arm_flex_r``, ``arm_add_r``,              upper arm in the trunk: z, x, y; left mirrored
``arm_rot_r``
``elbow_flex_r``                            positive in flexion
``pelvis_tx``, ``_ty``, ``_tz``             place of the pelvis' origin, meters
==========================================  =====================================================

Rotations that joint centers do not determine are set as follows. The pelvis' up is the lower trunk
(pelvis to spine, or to the thorax), so pelvic tilt and lumbar extension are not separated as they
would be by markers on the pelvis. Rotation of thigh and upper arm about themselves follows the
plane of the bent knee or elbow, fading to 0 between 30 and 10 degrees of flexion, where there is no
plane, and at most 60 degrees (90 for arms). Arms raised sideways by 90 degrees are the singular
pose of this order of rotations. The pelvis' origin lies 5.6 cm ahead of the middle of the hip
joints and 7.8 cm above it, as in the generic model.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.quantities.angles import ankle_flexion, elbow_flexion, knee_flexion
from hypopose.quantities.body_motion import BodyMotion, unit
from hypopose.quantities.bridging import unwrapped

HIPS_IN_PELVIS = (-0.0563, -0.0785, 0.0)
"""Middle of the hip joints in the generic model's pelvis, meters."""

PLACE = ("pelvis_tx", "pelvis_ty", "pelvis_tz")
"""The coordinates that are lengths."""

FADE_DEG = (10.0, 30.0)
"""Flexion of knee or elbow between which the rotation about the long axis fades in."""

_PER_RADIAN = 180 / math.pi


def opensim_coordinates(motion: BodyMotion) -> dict[str, Float[Tensor, "*batch F"]]:
    """Coordinates by name, see the module.

    Args:
        motion: With hips, knees, ankles, shoulders, elbows, wrists, pelvis and thorax.

    Returns:
        Degrees, and meters of the pelvis' place, which are left out if the motion is not placed.
        Angles do not jump by whole turns over time.

    Raises:
        SkeletonMismatchError: If the skeleton lacks one of these joints.

    Example:
        >>> from hypopose.datasets import example_motion
        >>> from hypopose.skeletons import H36M17
        >>> walk = BodyMotion(example_motion(25), H36M17, fps=25.0)
        >>> found = opensim_coordinates(walk)
        >>> len(found), bool(found["knee_angle_r"].max() > 30)
        (25, True)
    """
    pelvis, torso = _pelvis(motion), _torso(motion)
    found = _named(_angles_zxy(pelvis), "pelvis_tilt", "pelvis_list", "pelvis_rotation")
    if motion.placed:
        hips = _ground(motion.middle("hip"))
        origin = hips - pelvis @ hips.new_tensor(HIPS_IN_PELVIS)
        found |= _named(origin, *PLACE)
    for side in ("right", "left"):
        found |= _leg(motion, pelvis, side)
    lumbar = _angles_zxy(pelvis.mT @ torso)
    found |= _named(lumbar, "lumbar_extension", "lumbar_bending", "lumbar_rotation")
    for side in ("right", "left"):
        found |= _arm(motion, torso, side)
    return {name: v if name in PLACE else unwrapped(v) for name, v in found.items()}


def _named(columns: Tensor, *names: str) -> dict[str, Tensor]:
    return dict(zip(names, columns.unbind(-1), strict=True))


def _ground(points: Tensor) -> Tensor:
    """Z up to OpenSim's ground, y up."""
    return torch.stack((points[..., 0], points[..., 2], -points[..., 1]), -1)


def _axes(right: Tensor, up: Tensor) -> Tensor:
    """Matrices whose columns are forward, up and right in the ground."""
    z = unit(_ground(right))
    up = _ground(up)
    y = unit(up - (up * z).sum(-1, keepdim=True) * z)
    return torch.stack((torch.linalg.cross(y, z), y, z), -1)


def _lower(motion: BodyMotion) -> Tensor:
    return motion.at("spine" if motion.has("spine") else "thorax")


def _pelvis(motion: BodyMotion) -> Tensor:
    right = motion.at("right_hip") - motion.at("left_hip")
    return _axes(right, _lower(motion) - motion.at("pelvis"))


def _torso(motion: BodyMotion) -> Tensor:
    start = _lower(motion) if motion.has("spine") else motion.at("pelvis")
    right = motion.at("right_shoulder") - motion.at("left_shoulder")
    return _axes(right, motion.at("thorax") - start)


def _angles_zxy(rotation: Float[Tensor, "*any 3 3"]) -> Float[Tensor, "*any 3"]:
    """Body-fixed angles of ``R = Rz Rx Ry`` in degrees, in this order."""
    r = rotation
    x = torch.asin(r[..., 2, 1].clamp(-1, 1))
    z = torch.atan2(-r[..., 0, 1], r[..., 1, 1])
    y = torch.atan2(-r[..., 2, 0], r[..., 2, 2])
    return torch.stack((z, x, y), -1) * _PER_RADIAN


def _leg(motion: BodyMotion, pelvis: Tensor, side: str) -> dict[str, Tensor]:
    end = side[0]
    thigh = motion.at(f"{side}_knee") - motion.at(f"{side}_hip")
    shank = motion.at(f"{side}_ankle") - motion.at(f"{side}_knee")
    knee = knee_flexion(motion, side)
    flexion, adduction, rotation = _limb(pelvis, thigh, shank, knee, side, bends=-1.0)
    found = {
        f"hip_flexion_{end}": flexion,
        f"hip_adduction_{end}": adduction,
        f"hip_rotation_{end}": rotation.clamp(-60, 60),
        f"knee_angle_{end}": knee,
    }
    if motion.has(f"{side}_heel", f"{side}_big_toe"):
        found[f"ankle_angle_{end}"] = ankle_flexion(motion, side)
    return found


def _arm(motion: BodyMotion, torso: Tensor, side: str) -> dict[str, Tensor]:
    end = side[0]
    upper = motion.at(f"{side}_elbow") - motion.at(f"{side}_shoulder")
    fore = motion.at(f"{side}_wrist") - motion.at(f"{side}_elbow")
    elbow = elbow_flexion(motion, side)
    flexion, adduction, rotation = _limb(torso, upper, fore, elbow, side, bends=1.0)
    return {
        f"arm_flex_{end}": flexion,
        f"arm_add_{end}": adduction,
        f"arm_rot_{end}": rotation.clamp(-90, 90),
        f"elbow_flex_{end}": elbow,
    }


def _limb(
    frame: Tensor, upper: Tensor, lower: Tensor, flexion: Tensor, side: str, bends: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Flexion, adduction and rotation of a limb's upper segment in its parent's frame.

    Args:
        frame: Axes of the parent.
        upper: Direction of the upper segment, z up.
        lower: Direction of the lower one.
        flexion: Of the joint between them, degrees.
        side: A left limb adducts and rotates the other way.
        bends: 1 if the lower segment bends forward, -1 if backward.
    """
    mirror = 1.0 if side == "right" else -1.0
    d = unit((frame.mT @ _ground(upper)[..., None])[..., 0])
    z, x = torch.atan2(d[..., 0], -d[..., 1]), torch.asin(-d[..., 2].clamp(-1, 1))
    s = (frame.mT @ _ground(lower)[..., None])[..., 0]
    # The lower segment in the axes of the upper one before it turns about itself.
    sx = z.cos() * s[..., 0] + z.sin() * s[..., 1]
    sy = -z.sin() * s[..., 0] + z.cos() * s[..., 1]
    sz = -x.sin() * sy + x.cos() * s[..., 2]
    turn = torch.atan2(-bends * sz, bends * sx) * _PER_RADIAN
    low, high = FADE_DEG
    share = ((flexion - low) / (high - low)).clamp(0, 1)
    fade = share * share * (3 - 2 * share)
    return z * _PER_RADIAN, mirror * x * _PER_RADIAN, mirror * fade * turn
