"""Lengths of the Human3.6M skeleton's bones, and which bones are as long as each other."""

from __future__ import annotations

BONE_LENGTHS = (
    0.133, 0.443, 0.454, 0.133, 0.443, 0.454, 0.233, 0.257, 0.121, 0.115,
    0.151, 0.279, 0.252, 0.151, 0.279, 0.252,
)  # fmt: skip
"""Mean lengths in meters, in the order of ``H36M17.bones``: the published Human3.6M skeleton."""

BONE_PAIRS = (0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 7, 8, 9)
"""Bones with the same number have the same length: left as right."""

SEGMENTS = (
    "hip", "thigh", "shin", "lower_trunk", "upper_trunk", "neck", "head", "shoulder", "upper_arm",
    "forearm",
)  # fmt: skip
"""What the numbers of :data:`BONE_PAIRS` stand for."""
