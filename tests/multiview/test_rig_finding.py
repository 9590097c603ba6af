from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from angles import angle_deg

from hypopose.errors import (
    MissingCameraError,
    OptionError,
    ShapeError,
    SkeletonMismatchError,
    UndeterminedError,
)
from hypopose.multiview import (
    FoundRig,
    find_rig,
    match_known,
    pair_people,
    projection_of,
    rig_finding,
    view_tracks,
)
from hypopose.skeletons import COCO17
from hypopose.types import Camera, Keypoints2D

Build = Callable[..., Any]


def errors_deg(scene: Any, rig: FoundRig) -> float:
    """Largest error of a rotation, and of the direction to a camera."""
    off = []
    for v in range(1, len(rig.cameras)):
        R, t = scene.pose(0, v)
        found = projection_of(rig.cameras[v])
        off += [angle_deg(R, found[:, :3]), angle_deg(R.T @ t, found[:, :3].T @ found[:, 3])]
    return max(off)


def test_two_people_three_cameras_started_apart(stage: Build) -> None:
    """Everything unknown but the focal lengths; view 1 lists people the other way round."""
    scene = stage(3, who=((0, 1), (1, 0), (0,)), noise_px=4.0, missing=0.05, starts=(6, 0, 15))
    rig = find_rig(scene.views)
    assert errors_deg(scene, rig) < 2.0
    assert rig.people.tolist() == [[0, 1], [1, 0], [0, -1]]
    assert [o.frames for o in rig.offsets] == pytest.approx([0, 6, -9], abs=0.5)
    assert rig.noise_px == pytest.approx(4, rel=0.4)
    assert 0 < rig.rotation_std_deg[1:].max() < 4
    true_angle = np.degrees(1.1)
    assert rig.baseline_deg[0, 1] == pytest.approx(true_angle, abs=12)


def test_focal_lengths_that_nobody_knows(stage: Build) -> None:
    scene = stage(3, noise_px=2.0, known=False)
    assert scene.views[0].camera.focal[0] > 1900  # what is assumed
    rig = find_rig(scene.views, offsets={"view1": 0.0, "view2": 0.0})
    focals = [float(camera.focal[0]) for camera in rig.cameras]
    assert focals == pytest.approx([1300] * 3, rel=0.1)
    assert errors_deg(scene, rig) < 3.0
    assert (rig.focal_std > 0).all()


def test_what_is_degenerate_is_refused_with_the_cure(stage: Build) -> None:
    scene = stage(2)
    one, other = scene.views
    with pytest.raises(UndeterminedError, match="no parallax"):
        find_rig([one, replace(one, name="near", rays=one.rays + 1e-5)], offsets={"near": 0.0})
    short = [replace(v, rays=v.rays[:, :1], weights=v.weights[:, :1]) for v in (one, other)]
    with pytest.raises(UndeterminedError, match="one frame only"):
        find_rig(short, offsets={"view1": 0.0})
    with pytest.raises(OptionError, match="two views or more"):
        find_rig([one])
    with pytest.raises(OptionError, match="count from view0, got 'elsewhere'"):
        find_rig([one, other], offsets={"elsewhere": 3.0})
    with pytest.raises(SkeletonMismatchError, match="convert them to one"):
        find_rig([one, replace(other, skeleton=COCO17)])


def test_views_from_one_direction_are_refused(stage: Build) -> None:
    found = find_rig(stage(3).views, max_offset=0.0)
    angles = np.array([[0.0, 3.0, 90.0], [3.0, 0.0, 90.0], [90.0, 90.0, 0.0]])
    rig_finding._check_directions(replace(found, baseline_deg=angles))  # view2 is elsewhere
    with pytest.raises(UndeterminedError, match=r"at most 3\.0 degrees apart.*30 to 120 degrees"):
        rig_finding._check_directions(replace(found, baseline_deg=np.minimum(angles, 3.0)))


def test_known_cameras_tell_who_is_who(stage: Build) -> None:
    scene = stage(3, who=((1,), (0, 1), (1, 0)), noise_px=4.0)
    clocks = find_rig(stage(3).views, offsets={"view1": 0.0, "view2": 0.0}).offsets
    found = match_known(scene.views, scene.cameras, clocks)
    assert sorted(found.T.tolist()) == [[-1, 0, 1], [0, 1, 0]]


def test_pairs_beyond_the_limit_stay_alone() -> None:
    costs = np.array([[1.0, 9.0], [9.0, 30.0], [np.nan, 2.0]])
    assert pair_people(costs, 10.0) == ((0, 0), (2, 1))
    assert pair_people(np.zeros((0, 2)), 10.0) == ()


def test_what_is_no_view_is_refused(stage: Build) -> None:
    (keypoints,) = stage(2).keypoints[0]
    with pytest.raises(ShapeError, match="shows no person"):
        view_tracks("front", [])
    with pytest.raises(MissingCameraError, match="with_camera"):
        view_tracks("front", [replace(keypoints, camera=None)])
    shorter = replace(keypoints, xy=keypoints.xy[:5])
    with pytest.raises(ShapeError, match="different frames"):
        view_tracks("front", [keypoints, shorter])
    moving = Camera(
        keypoints.camera.focal, keypoints.camera.center, (9, 9),
        rotation=keypoints.camera.rotation.expand(3, 3, 3),
    )  # fmt: skip
    with pytest.raises(OptionError, match="stand still"):
        projection_of(moving)
    other = Keypoints2D(keypoints.xy, COCO17, camera=keypoints.camera)
    with pytest.raises(SkeletonMismatchError, match="different skeletons"):
        view_tracks("front", [keypoints, other])
