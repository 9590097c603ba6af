"""Places to rotations: constant bones point exactly where they should, whatever the pose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from handed_body import constant_bones, make_result, placed, y_up
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hypopose.errors import OptionError
from hypopose.io import ExportOptions
from hypopose.io.writers.bvh_animation import DEFAULTS, euler_zxy
from hypopose.io.writers.rig import bone_lengths, build_rig, perform
from hypopose.io.writers.scene import ExportScene, Take, build_scene
from hypopose.skeletons import SKELETONS
from hypopose.skeletons.wholebody import WHOLE_BODIES
from hypopose.types import Skeleton


def scene_of(joints: np.ndarray, skeleton: Skeleton, up: str = "y") -> ExportScene:
    return ExportScene(
        takes=(Take("aggregate", None, joints),),
        skeleton=skeleton,
        fps=30.0,
        unit="m",
        frame="camera",
        up=up,
        axes="",
        root="placed",
        result=make_result(),
    )


# Results are never in whole-body sets, whose fingers and faces hang on one joint.
@pytest.mark.parametrize("name", sorted(set(SKELETONS) - {s.name for s in WHOLE_BODIES}))
@pytest.mark.parametrize("up", ["y", "z"])
def test_bones_keep_their_length_and_the_seen_direction(name, up):
    skeleton = SKELETONS[name]
    joints = np.random.default_rng(0).normal(size=(9, skeleton.n_joints, 3))
    scene = scene_of(joints, skeleton, up)
    performance = perform(scene, scene.takes[0])
    at = [performance.rig.joints.index(j) for j in range(skeleton.n_joints)]
    places = performance.places()[:, at]
    lengths = bone_lengths(joints, skeleton)
    for parent, child in skeleton.bones:
        seen = joints[:, child] - joints[:, parent]
        seen *= lengths[child] / np.linalg.norm(seen, axis=-1, keepdims=True)
        assert np.abs(places[:, child] - places[:, parent] - seen).max() < 1e-8
    assert np.allclose(performance.turns @ performance.turns.swapaxes(-1, -2), np.eye(3))
    assert np.allclose(np.linalg.det(performance.turns), 1)


def test_a_rigid_torso_needs_no_helpers_turn(result):
    """A body that turns as a whole turns only its root and the limbs' rest."""
    still = result.pose.joints[:1].double().numpy()
    turns = Rotation.from_euler("y", np.linspace(0, 300, 12)[:, None], degrees=True).as_matrix()
    scene = scene_of(y_up(np.einsum("fab,jb->fja", turns, still[0])), result.hypotheses.skeleton)
    rig, found = (p := perform(scene, scene.takes[0])).rig, p.turns
    for i in range(1, len(rig.names)):
        assert np.abs(found[:, i] - found[:1, i]).max() < 1e-2, rig.names[i]
    assert "constant bones, 0.0 mm" in p.note


def test_bones_that_turn_over_or_vanish(result):
    """Straight against the rest pose, and no length at all: no NaN, places still right."""
    joints = y_up(placed(result))
    skeleton = result.hypotheses.skeleton
    knee, ankle = skeleton.index("left_knee"), skeleton.index("left_ankle")
    joints[3:6, ankle] = joints[3:6, knee] + [0, 0.45, 0]
    joints[6, ankle] = joints[6, knee]
    scene = scene_of(joints, skeleton)
    performance = perform(scene, scene.takes[0])
    assert np.isfinite(performance.turns).all()
    rig = performance.rig
    places = performance.places()
    shin = places[:, rig.joints.index(ankle)] - places[:, rig.joints.index(knee)]
    length = bone_lengths(joints, skeleton)[ankle]
    assert np.allclose(np.linalg.norm(shin, axis=-1), length)
    assert np.allclose(shin[3:6], [0, length, 0])


def test_gaps_are_bridged_and_counted(result):
    joints = result.pose.joints.clone()
    joints[2, 5] = torch.nan
    gap = replace(result, pose=replace(result.pose, joints=joints))
    scene = build_scene(gap, ExportOptions(), DEFAULTS)
    assert "1 unknown places bridged" in perform(scene, scene.takes[0]).note
    joints[:, 5] = torch.nan
    scene = build_scene(gap, ExportOptions(), DEFAULTS)
    with pytest.raises(OptionError, match="left_knee known in no frame"):
        perform(scene, scene.takes[0])


def test_lengths_are_robust_and_the_departure_is_reported(result):
    joints = y_up(placed(result))
    wrong = joints.copy()
    wrong[5, 16] += 3.0
    skeleton = result.hypotheses.skeleton
    before, after = bone_lengths(joints, skeleton), bone_lengths(wrong, skeleton)
    assert abs(before[16] - after[16]) < 0.02
    scene = scene_of(wrong, skeleton)
    performance = perform(scene, scene.takes[0])
    apart = np.linalg.norm(constant_bones(wrong) - wrong, axis=-1) * 1000
    assert f"{apart.mean():.1f} mm from the original on average" in performance.note
    assert f"{apart.max():.1f} mm at most" in performance.note


def test_skeletons_with_two_roots_are_refused():
    two = Skeleton("two", ("a", "b"), (-1, -1))
    scene = scene_of(np.zeros((3, 2, 3)), two)
    with pytest.raises(OptionError, match="several roots"):
        perform(scene, scene.takes[0])


def test_the_rest_pose_is_a_t_pose():
    skeleton = SKELETONS["h36m17"]
    rig = build_rig(skeleton, np.ones(17))
    at = dict(zip(rig.names, rig.offsets.tolist(), strict=True))
    assert at["left_wrist"] == [1, 0, 0]
    assert at["right_hip"] == [-1, 0, 0]
    assert at["left_ankle"] == [0, -1, 0]
    assert at["head"] == [0, 1, 0]
    assert at["thorax_to_left_shoulder"] == [0, 0, 0]
    z_up = build_rig(skeleton, np.ones(17), z_up=True)
    assert z_up.offsets[z_up.names.index("head")].tolist() == [0, 0, 1]
    assert all(parent < i for i, parent in enumerate(rig.parents))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-400, 400)] * 3), min_size=1, max_size=6))
def test_angles_say_the_rotation_again(angles):
    """Any rotation, gimbal lock included; scipy turns the angles back."""
    turns = np.stack([Rotation.from_euler("ZXY", a, degrees=True).as_matrix() for a in angles])
    found = euler_zxy(turns[:, None])[:, 0]
    again = Rotation.from_euler("ZXY", found, degrees=True).as_matrix()
    assert np.abs(again - turns).max() < 1e-8
    locked = Rotation.from_euler("ZXY", [30, 90, 20], degrees=True).as_matrix()
    found = euler_zxy(locked[None, None])[0, 0]
    assert np.allclose(Rotation.from_euler("ZXY", found, degrees=True).as_matrix(), locked)


def test_angles_do_not_jump():
    spin = np.arange(0, 1000, 20.0)
    turns = Rotation.from_euler("ZXY", np.stack((spin, 0.5 * spin, -spin), -1), degrees=True)
    found = euler_zxy(turns.as_matrix()[:, None])[:, 0]
    assert np.abs(np.diff(found, axis=0)).max() < 21
