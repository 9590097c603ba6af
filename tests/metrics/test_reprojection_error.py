"""Reprojection error: known answer, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hypopose.datasets import example_pair
from hypopose.errors import MissingCameraError, ShapeError, SkeletonMismatchError
from hypopose.metrics import reprojection_error
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Keypoints2D, Poses3D, Skeleton


def test_a_centimetre_at_two_meters_is_five_pixels() -> None:
    camera = Camera(torch.tensor([1000.0, 1000.0]), torch.tensor([500.0, 500.0]), (1000, 1000))
    pose = Poses3D(torch.zeros(1, 17, 3), H36M17, root=torch.tensor([[0.0, 0.0, 2.0]]))
    keypoints = Keypoints2D(torch.full((1, 17, 2), 500.0), H36M17, camera=camera)
    off = replace(pose, joints=pose.joints + torch.tensor([0.01, 0.0, 0.0]))
    torch.testing.assert_close(reprojection_error(off, keypoints), torch.full((1, 17), 5.0))


def test_missing_keypoints_are_nan() -> None:
    keypoints, truth = example_pair(3)
    xy = keypoints.xy.clone()
    xy[1, 4] = torch.nan
    error = reprojection_error(truth, replace(keypoints, xy=xy))
    assert error[1, 4].isnan()
    assert int(error.isnan().sum()) == 1


def test_it_says_what_is_missing() -> None:
    keypoints, truth = example_pair(3)
    with pytest.raises(MissingCameraError, match="with_camera"):
        reprojection_error(truth, replace(keypoints, camera=None))
    with pytest.raises(ShapeError, match="fit_root"):
        reprojection_error(replace(truth, root=None), keypoints)
    other = Skeleton("other", H36M17.joint_names, H36M17.parents)
    with pytest.raises(SkeletonMismatchError, match="convert"):
        reprojection_error(replace(truth, skeleton=other), keypoints)
