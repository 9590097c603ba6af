"""Feet that hold still while they stand: contacts, locked places, and legs that reach them.

1. A foot stands where its ankle, low-passed at 6 Hz, is low and slow
   (:mod:`hypopose.quantities.contacts`), for 0.1 s or longer.
2. For each contact the ankle is held at its median place; within 0.1 s before and after it moves
   there and away along a half cosine.
3. The knee follows by the law of cosines, bending in the plane in which it bent; bones keep their
   lengths. Where a leg is too short, the hips are moved by the missing length, smoothed over 0.2 s.
4. The foot keeps its direction.

Slide is the horizontal path of the ankle during contact: millimeters per contact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from hypopose.errors import OptionError
from hypopose.io.writers.rig import BoneRig, Performance, swing
from hypopose.io.writers.scene import PER_METER, ExportScene, Take
from hypopose.io.writers.take_motion import body_motion_of
from hypopose.quantities.body_motion import moving_mean
from hypopose.quantities.contacts import ankle_contact
from hypopose.quantities.foot_events import low_passed
from hypopose.types import Skeleton

SHORTEST_S, RAMP_S, YIELD_S = 0.1, 0.1, 0.2
"""Seconds: of a contact, of the way into and out of it, and over which hips give way."""

REACH = 0.9995
"""Of a straight leg, so that the knee's plane stays known."""

N_ROUNDS = 4
"""Rounds in which the hips give way."""


@dataclass(frozen=True, eq=False)
class _Leg:
    """Nodes of a leg, lengths of its bones, and when its foot stands."""

    hip: int
    knee: int
    ankle: int
    thigh: float
    shank: float
    contacts: tuple[tuple[int, int], ...]


def lock_feet(performance: Performance, scene: ExportScene, take: Take) -> Performance:
    """Hold feet still while they stand, see the module.

    Args:
        performance: A rig in motion, with nodes at hips, knees and ankles.
        scene: Its axes, unit and frame rate.
        take: The motion it was made of, which says when feet stand.

    Returns:
        The same rig; its note tells the slide before and after.

    Raises:
        OptionError: If the joints are not placed.
    """
    if scene.root != "placed":
        raise OptionError(
            "Feet are held in their place, but this motion has none: its root is unknown or left "
            "out. Sample with a camera, and leave out --root none."
        )
    legs = [_leg(performance.rig, scene, take, side) for side in ("left", "right")]
    before = performance.places()
    moved = performance
    targets = [_targets(before[:, leg.ankle], leg.contacts, scene.rate) for leg in legs]
    for _ in range(N_ROUNDS):
        moved = _yielding(moved, legs, targets, scene.rate)
    for leg, target in zip(legs, targets, strict=True):
        moved = _reaching(moved, leg, target)
    n = sum(len(leg.contacts) for leg in legs)
    words = [_slide(p.places(), legs, scene) for p in (performance, moved)]
    note = f"{performance.note}; feet locked in {n} contacts: {words[0]:.0f} mm of slide each, "
    return replace(moved, note=f"{note}{words[1]:.1f} mm after")


def _leg(rig: BoneRig, scene: ExportScene, take: Take, side: str) -> _Leg:
    skeleton = scene.skeleton
    nodes = [rig.joints.index(skeleton.index(f"{side}_{j}")) for j in ("hip", "knee", "ankle")]
    hip, knee, ankle = nodes
    thigh, shank = (float(np.linalg.norm(rig.offsets[node])) for node in (knee, ankle))
    return _Leg(hip, knee, ankle, thigh, shank, _contacts(scene, take, side))


def _contacts(scene: ExportScene, take: Take, side: str) -> tuple[tuple[int, int], ...]:
    """First frame and one past the last of each contact."""
    motion = body_motion_of(replace(scene, fps=scene.rate), take)
    smooth = low_passed(motion.joints.flatten(-2).mT.numpy(), scene.rate)
    steady = torch.from_numpy(smooth.copy()).mT.reshape(motion.joints.shape)
    down = ankle_contact(replace(motion, joints=steady), side).numpy() == 1
    edges = np.flatnonzero(np.diff(np.concatenate(([0], down.astype(int), [0]))))
    pairs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return tuple((a, b) for a, b in pairs if b - a >= SHORTEST_S * scene.rate)


def _targets(
    ankle: Float[np.ndarray, "F 3"], contacts: tuple[tuple[int, int], ...], rate: float
) -> Float[np.ndarray, "F 3"]:
    """Where an ankle shall be."""
    frames = np.arange(len(ankle))
    weight, place = np.zeros(len(ankle)), np.zeros_like(ankle)
    for start, stop in contacts:
        away = np.maximum(np.maximum(start - frames, frames - (stop - 1)), 0) / (RAMP_S * rate)
        own = np.where(away < 1, 0.5 + 0.5 * np.cos(np.pi * away), 0.0)
        more = own > weight
        weight = np.where(more, own, weight)
        place[more] = np.median(ankle[start:stop], axis=0)
    return np.asarray(ankle + weight[:, None] * (place - ankle))


def _yielding(
    performance: Performance,
    legs: list[_Leg],
    targets: list[NDArray[np.float64]],
    rate: float,
) -> Performance:
    """The hips moved towards feet that they cannot reach."""
    places, missing = performance.places(), np.zeros_like(performance.root)
    for leg, target in zip(legs, targets, strict=True):
        way = target - places[:, leg.hip]
        far = np.linalg.norm(way, axis=-1, keepdims=True)
        excess = np.maximum(far - REACH * (leg.thigh + leg.shank), 0)
        missing = missing + excess * way / np.maximum(far, 1e-9) / len(legs)
    smooth = moving_mean(torch.from_numpy(missing), round(YIELD_S * rate)).numpy()
    return replace(performance, root=performance.root + len(legs) * smooth)


def _reaching(performance: Performance, leg: _Leg, target: Float[np.ndarray, "F 3"]) -> Performance:
    """Knee and ankle moved so that the ankle is at its target."""
    rig, places, globally = performance.rig, performance.places(), performance.globally()
    hip, knee = places[:, leg.hip], places[:, leg.knee]
    way = target - hip
    far = np.linalg.norm(way, axis=-1, keepdims=True)
    along = way / np.maximum(far, 1e-9)
    far = np.clip(far, abs(leg.thigh - leg.shank) + 1e-6, REACH * (leg.thigh + leg.shank))
    before = (far**2 + leg.thigh**2 - leg.shank**2) / (2 * far)
    height = np.sqrt(np.maximum(leg.thigh**2 - before**2, 0))
    bend = knee - hip
    bend = bend - (bend * along).sum(-1, keepdims=True) * along
    bend = bend / np.maximum(np.linalg.norm(bend, axis=-1, keepdims=True), 1e-9)
    thigh = before * along + height * bend
    shank = far * along - thigh
    foot = globally[:, leg.ankle].copy()
    globally[:, leg.hip] = swing(rig.offsets[leg.knee], thigh, globally[:, leg.hip])
    globally[:, leg.knee] = swing(rig.offsets[leg.ankle], shank, globally[:, leg.knee])
    globally[:, leg.ankle] = foot
    return performance.with_globally(globally)


def has_legs(skeleton: Skeleton) -> bool:
    """Whether a joint set has both hips, knees and ankles."""
    wanted = {f"{side}_{j}" for side in ("left", "right") for j in ("hip", "knee", "ankle")}
    return wanted <= set(skeleton.joint_names)


def slide_mm(performance: Performance, scene: ExportScene, take: Take) -> float:
    """Millimeters per contact that ankles go, level, as they are; 0 without a contact.

    Args:
        performance: A rig in motion, with nodes at hips, knees and ankles.
        scene: Its axes, unit and frame rate.
        take: The motion it was made of, which says when feet stand.
    """
    legs = [_leg(performance.rig, scene, take, side) for side in ("left", "right")]
    return _slide(performance.places(), legs, scene)


def _slide(places: Float[np.ndarray, "F N 3"], legs: list[_Leg], scene: ExportScene) -> float:
    """Horizontal path of ankles in millimeters per contact; 0 without a contact."""
    level = places @ scene.to_z_up.T[:, :2] * 1000 / PER_METER[scene.unit]
    ways = [
        float(np.linalg.norm(np.diff(level[start:stop, leg.ankle], axis=0), axis=-1).sum())
        for leg in legs
        for start, stop in leg.contacts
    ]
    return float(np.mean(ways)) if ways else 0.0
