"""The built-in walk looks like one."""

from __future__ import annotations

import torch

from hypopose.datasets import example_motion, example_pair
from hypopose.metrics import bone_length_variation, bone_lengths, reprojection_error, symmetry_error
from hypopose.skeletons import H36M17


def test_it_is_upright_rigid_symmetric_and_left_is_left() -> None:
    x = example_motion(100).double()
    assert (x[:, 10, 2] > x[:, 0, 2] + 0.5).all()  # head above pelvis, z up
    assert (x[:, [3, 6], 2] < 0.35).all()  # feet near the floor
    assert (x[:, 4, 1] > x[:, 1, 1]).all()  # walking along +x, left is +y
    assert bone_length_variation(x, H36M17) < 0.01
    assert symmetry_error(x, H36M17) < 0.01
    lengths = bone_lengths(x, H36M17).median(0).values
    assert ((lengths > 0.08) & (lengths < 0.5)).all()
    assert torch.allclose(x[1:, 0, 0] - x[:-1, 0, 0], torch.tensor(1.2 / 25).double(), atol=1e-5)


def test_the_pair_belongs_together() -> None:
    keypoints, truth = example_pair()
    assert reprojection_error(truth, keypoints).max() < 1e-3
    assert (truth.joints[:, 0] == 0).all()
    assert ((keypoints.xy > 0) & (keypoints.xy < 1000)).all()
    assert (truth.joints[:, 10, 1] < 0).all()  # camera frame: y down
    assert (keypoints.xy[:, 4, 0] > keypoints.xy[:, 1, 0]).all()  # seen from the front
