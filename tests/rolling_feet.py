"""A walk whose feet roll from heel to toe, with contacts known by construction."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from standing_body import STANDING

from hypopose.quantities import BodyMotion
from hypopose.skeletons import H36M17, H36M21

STRIDE_S, STRIDE_M = 1.1, 1.3
FLAT, HEEL_OFF, TOE_OFF = 0.08, 0.38, 0.62
"""Shares of the stride, from the strike of the heel."""
TOE_UP, TOE_DOWN = np.radians(20.0), np.radians(-55.0)
HEEL, TOE, SOLE = -0.05, 0.2, 0.055
"""Meters ahead of the ankle, and below it."""
OFFSET = {"left": 0.0, "right": 0.5}
"""Of a stride."""

Array = NDArray[np.float64]


def rolling_walk(n_frames: int, fps: float) -> BodyMotion:
    """Placed, z up, along x, with heels and big toes."""
    t = np.arange(n_frames) / fps
    way = STRIDE_M / STRIDE_S * t
    places = {name: np.array(STANDING[name]) + np.stack((way, 0 * t, 0 * t), -1)
              for name in H36M17.joint_names}  # fmt: skip
    for side, y in (("left", 0.1), ("right", -0.1)):
        foot = np.array([_foot(x) for x in t / STRIDE_S + OFFSET[side]])
        foot[:, :, 0] += 0.3 - OFFSET[side] * STRIDE_M
        for name, point in zip(("ankle", "heel", "big_toe"), foot.swapaxes(0, 1), strict=True):
            places[f"{side}_{name}"] = np.stack((point[:, 0], y + 0 * t, point[:, 1]), -1)
        hip, ankle = places[f"{side}_hip"], places[f"{side}_ankle"]
        places[f"{side}_knee"] = (hip + ankle) / 2
    joints = np.stack([places[name] for name in H36M21.joint_names], 1)
    return BodyMotion(torch.from_numpy(joints), H36M21, fps)


def true_contact(n_frames: int, fps: float, side: str) -> Array:
    """1 where heel or toe stands."""
    phase = (np.arange(n_frames) / fps / STRIDE_S + OFFSET[side]) % 1
    return (phase < TOE_OFF).astype(float)


def _foot(strides: float) -> Array:
    """Ankle, heel and toe ``(3, 2)``: ahead and up, of a foot that first struck at 0."""
    phase, start = strides % 1, np.floor(strides) * STRIDE_M
    if phase < FLAT:
        return _pivoted(TOE_UP * (1 - phase / FLAT), HEEL, start)
    if phase < HEEL_OFF:
        return _pivoted(0.0, HEEL, start)
    toe = start - HEEL + TOE
    if phase < TOE_OFF:
        part = (phase - HEEL_OFF) / (TOE_OFF - HEEL_OFF)
        return _pivoted(TOE_DOWN * part**2, TOE, toe)
    part = (1 - np.cos(np.pi * (phase - TOE_OFF) / (1 - TOE_OFF))) / 2
    before = _pivoted(TOE_DOWN, TOE, toe)[0]
    after = _pivoted(TOE_UP, HEEL, start + STRIDE_M)[0]
    ankle = before + part * (after - before) + [0, 0.06 * np.sin(np.pi * part)]
    return ankle + _around_ankle(TOE_DOWN + part * (TOE_UP - TOE_DOWN))


def _pivoted(pitch: float, point: float, at: float) -> Array:
    """The foot turned about its heel or toe, which stands at a place."""
    foot = _around_ankle(pitch)
    return foot - foot[1 if point == HEEL else 2] + [at, 0]


def _around_ankle(pitch: float) -> Array:
    c, s = np.cos(pitch), np.sin(pitch)
    points = np.array([[0, 0], [HEEL, -SOLE], [TOE, -SOLE]])
    return np.asarray(points @ np.array([[c, s], [-s, c]]))
