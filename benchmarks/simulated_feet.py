"""Feet for motions that have none: they roll on the floor as the captured ankle moves.

No motion data with the licence for it carries toes, so heels and big toes are simulated on captured
ankles: the size of the foot is that of a row of the table of people
(:mod:`hypopose.simulation.people`), its pitch follows the ankle's height. A foot whose ankle is low
stands flat; behind the pelvis it rolls over the toe as the ankle rises, ahead of it the toe is up
before the strike. It points where the pelvis faces, turned out by an angle of its own.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from hypopose.cameras import project
from hypopose.quantities import BodyMotion, heading
from hypopose.simulation.detector_noise import DetectorNoise, Errors
from hypopose.simulation.people import load_people
from hypopose.simulation.random_draws import Draws
from hypopose.skeletons import BODY25, H36M21
from hypopose.types import Camera, Keypoints2D

ADULT = 18.0
TURNED_OUT_DEG = (7.0, 5.0)
STRIKE_DEG = 18.0
FOOT = ("left_heel", "left_big_toe", "right_heel", "right_big_toe")


def with_feet(motion: BodyMotion, generator: torch.Generator) -> BodyMotion:
    """A motion ``(F, 17, 3)``, z up and placed, with heels and big toes.

    Args:
        motion: Captured.
        generator: Decides the person's feet.
    """
    people = load_people()
    adults = torch.nonzero(people.age > ADULT)[:, 0]
    row = people.pick(adults[torch.randint(len(adults), (1,), generator=generator)])
    facing = heading(motion)
    feet = []
    for side, out in (("left", 1.0), ("right", -1.0)):
        ankle = motion.at(f"{side}_ankle")
        pitch = _pitch(motion, ankle, facing)
        angle = torch.randn(1, generator=generator) * TURNED_OUT_DEG[1] + TURNED_OUT_DEG[0]
        ahead = _turned(facing, out * torch.deg2rad(angle).double())
        up = torch.tensor([0.0, 0.0, 1.0]).double().expand_as(ahead)
        along = pitch.cos() * ahead - pitch.sin() * up
        normal = pitch.cos() * up + pitch.sin() * ahead
        aside = torch.linalg.cross(normal, along) * out
        for name in ("left_heel", "left_big_toe"):
            x, y, z = row.points[name][0].double()
            feet.append(ankle + x * aside + y * normal + z * along)
    whole = torch.cat((motion.joints.double(), torch.stack(feet, -2)), -2)
    return replace(motion, joints=whole, skeleton=H36M21)


def _pitch(motion: BodyMotion, ankle: Tensor, facing: Tensor) -> Tensor:
    """Radians by which the toe is below the heel, ``(F, 1)``."""
    leg = (motion.at("left_knee") - motion.at("left_ankle")).norm(dim=-1).median()
    both = torch.stack([motion.at(f"{s}_ankle")[..., 2] for s in ("left", "right")]).amin(0)
    rise = (ankle[..., 2] - both.quantile(0.05)).clamp(min=0) / (0.5 * leg)
    ahead = ((ankle - motion.at("pelvis")) * facing).sum(-1) / leg
    rolling = torch.asin(rise.clamp(max=0.85)) * torch.sigmoid(-ahead / 0.15)
    striking = torch.deg2rad(torch.tensor(STRIKE_DEG)) * torch.sigmoid((ahead - 0.35) / 0.07)
    return (rolling - striking * torch.sigmoid((rise - 0.05) / 0.02))[..., None]


def _turned(direction: Tensor, angle: Tensor) -> Tensor:
    """Level directions turned to the left."""
    x, y, z = direction.unbind(-1)
    c, s = angle.cos(), angle.sin()
    return functional.normalize(torch.stack((c * x - s * y, s * x + c * y, z), -1), dim=-1)


def seen_feet(
    cam: Tensor, camera: Camera, fps: float, generator: torch.Generator, *, noisy: bool = True
) -> Keypoints2D:
    """Ankles, heels and toes ``(F, 21, 3)`` in the picture, as a detector sees them.

    Args:
        cam: Joints of ``h36m21`` in the camera's frame.
        camera: Without a place.
        fps: Frames per second.
        generator: Of the errors.
        noisy: Whether there are errors: those of the ankles of COCO detectors.
    """
    shown = project(cam.float(), replace(camera, rotation=None, translation=None))
    names = ["left_ankle", "right_ankle", *FOOT]
    points = shown[:, [H36M21.index(n) for n in names]]
    confidence = torch.ones(points.shape[:2])
    if noisy:
        height = float((shown.amax(-2) - shown.amin(-2)).amax(-1).median())
        noise = DetectorNoise(errors=Errors(weights=(1.6,) * 17), swaps=0.0)
        unit = torch.cat((points, points[:, :1].expand(-1, 11, -1)), 1)  # as many as COCO's
        spoiled, given = noise.simulate(unit[None], torch.tensor([height]), Draws(generator))
        points, confidence = spoiled[0, :, : len(names)], given[0, :, : len(names)]
    xy = torch.full((len(cam), 25, 2), torch.nan)
    own = torch.zeros(len(cam), 25)
    for i, name in enumerate(names):
        xy[:, BODY25.index(name)], own[:, BODY25.index(name)] = points[:, i], confidence[:, i]
    return Keypoints2D(xy, BODY25, confidence=own, camera=camera, fps=fps)
