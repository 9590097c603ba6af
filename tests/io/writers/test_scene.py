"""What is exported: which motions, in which frame, axes and unit."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from handed_body import handedness, placed, y_up, z_up

from hypopose.cameras import cam_to_world, turn_up
from hypopose.errors import MissingCameraError, OptionError
from hypopose.io import ExportOptions
from hypopose.io.writers.scene import Defaults, bridged, build_scene
from hypopose.types import Camera

MARKERS = Defaults(which="aggregate", up="y", root="placed", unit="mm", needs_rate=True)


@pytest.mark.parametrize(("axis", "sign", "up"), [*product(range(3), (1, -1), ("y", "z"))])
def test_any_axis_is_turned_up_without_mirroring(axis, sign, up):
    turn = turn_up((axis, sign), up)
    assert np.linalg.det(turn) == pytest.approx(1)
    assert np.allclose(turn @ turn.T, np.eye(3))
    assert (turn @ (sign * np.eye(3)[axis])).tolist() == {"y": [0, 1, 0], "z": [0, 0, 1]}[up]


@pytest.mark.parametrize(("up", "expected"), [("native", lambda x: x), ("y", y_up), ("z", z_up)])
def test_camera_frame(result, up, expected):
    scene = build_scene(result, ExportOptions(frame="camera", up=up), MARKERS)
    assert np.allclose(scene.takes[0].joints, 1000 * expected(placed(result)))
    sigma = 1000 * result.pose.std.double().norm(dim=-1).numpy()
    assert np.allclose(scene.takes[0].sigma, sigma)


@pytest.mark.parametrize("up", ["native", "y", "z"])
@pytest.mark.parametrize("moving", [False, True])
def test_world_frame(result, up, moving):
    if moving:
        camera = result.keypoints.camera
        n = result.keypoints.n_frames
        shift = torch.arange(n)[:, None] * torch.tensor([0.0, 0.0, 0.1])
        camera = replace(
            camera,
            rotation=camera.rotation.expand(n, 3, 3),
            translation=camera.translation + shift,
        )
        result = replace(result, keypoints=replace(result.keypoints, camera=camera))
    scene = build_scene(result, ExportOptions(frame="world", up=up), MARKERS)
    world = cam_to_world(torch.tensor(placed(result)).float(), result.keypoints.camera).numpy()
    # The world's z is up already: with y up, z becomes -y and y becomes z.
    expected = np.stack((world[..., 0], world[..., 2], -world[..., 1]), -1) if up == "y" else world
    assert np.allclose(scene.takes[0].joints, 1000 * expected, atol=1e-2)
    assert "world frame" in scene.axes
    assert (scene.axes.count("z up") == 1) is (up != "y")
    assert (handedness(scene.takes[0].joints) == handedness(placed(result))).all()


def test_spread_in_the_world_is_taken_along_its_axes(result):
    scene = build_scene(result, ExportOptions(frame="world"), Defaults())
    turned = np.stack([take.joints for take in scene.takes[1:]])
    assert np.allclose(scene.takes[0].std, turned.std(0, ddof=1))
    assert not np.allclose(scene.takes[0].std, result.pose.std.numpy(), atol=1e-3)
    assert np.allclose(scene.takes[0].sigma, result.pose.std.norm(dim=-1).numpy(), atol=1e-5)


def test_roots(result):
    apart = build_scene(result, ExportOptions(frame="camera"), Defaults())
    assert np.allclose(apart.takes[0].joints + apart.takes[0].root[:, None], placed(result))
    assert np.allclose(apart.takes[2].joints, result.hypotheses.joints[1].numpy())
    none = build_scene(result, ExportOptions(root="none"), MARKERS)
    assert none.takes[0].root is None
    assert np.allclose(none.takes[0].joints[:, 0], 0)
    assert "relative to the root" in none.axes


def test_what_is_unknown_is_said(result):
    blind = replace(
        result,
        hypotheses=replace(result.hypotheses, root=None),
        pose=replace(result.pose, root=None),
        keypoints=replace(result.keypoints, fps=None),
    )
    scene = build_scene(blind, ExportOptions(), MARKERS)
    assert scene.root == "none"
    assert scene.rate == 30
    assert {"root unknown: the joints are relative to it", "frame rate unknown: 30 Hz assumed"} == {
        *scene.notes
    }
    assert build_scene(blind, ExportOptions(fps=50.0), MARKERS).rate == 50
    assert build_scene(blind, ExportOptions(), Defaults()).times is None


@pytest.mark.parametrize(("which", "labels"), [
    (None, ["aggregate"]), ("all", ["aggregate", "h00", "h01", "h02"]), (2, ["h02"]),
])  # fmt: skip
def test_motions(result, which, labels):
    scene = build_scene(result, ExportOptions(which=which, frame="camera"), MARKERS)
    assert [take.label for take in scene.takes] == labels
    expected = placed(result, scene.takes[-1].hypothesis)
    assert np.allclose(scene.takes[-1].joints, 1000 * y_up(expected), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"which": "best"}, "a hypothesis by its number, not 'best'"),
        ({"which": 3}, "There is no hypothesis 3; this result has 3"),
        ({"frame": "image"}, "frame is one of camera, world"),
        ({"up": "x"}, "up is one of native, y, z"),
        ({"unit": "ft"}, "unit is one of m, cm, mm"),
        ({"root": "apart"}, "cannot hold the root separately"),
        ({"fps": 0.0}, "fps must be positive"),
        ({"fps": float("nan")}, "fps must be positive"),
    ],
)
def test_options_that_make_no_sense(result, options, words):
    with pytest.raises(OptionError, match=words):
        build_scene(result, ExportOptions(**options), MARKERS)


def test_formats_that_fix_an_option_say_so(result):
    fixed = replace(MARKERS, fixed=("up",))
    assert build_scene(result, ExportOptions(up="y"), fixed).up == "y"
    with pytest.raises(OptionError, match="fixes up to 'y'"):
        build_scene(result, ExportOptions(up="z"), fixed)


def test_the_world_needs_a_camera_with_a_rotation(result):
    camera = replace(result.keypoints.camera, rotation=None)
    for given in (None, camera):
        lost = replace(result, keypoints=replace(result.keypoints, camera=given))
        with pytest.raises(MissingCameraError, match="sample with --camera"):
            build_scene(lost, ExportOptions(frame="world"), MARKERS)


def test_gaps_are_bridged_in_straight_lines():
    x = np.array([[np.nan, 1], [2, np.nan], [np.nan, np.nan], [8, np.nan]])[..., None] * np.ones(3)
    filled, n = bridged(x)
    assert filled[:, 0, 0].tolist() == [2, 2, 5, 8]
    assert filled[:, 1, 2].tolist() == [1, 1, 1, 1]
    assert n == 5
    assert np.isnan(bridged(np.full((2, 3), np.nan))[0]).all()


def test_a_camera_with_a_world_is_exported_in_it_z_up_unless_told_otherwise(result):
    world = cam_to_world(torch.tensor(placed(result)).float(), result.keypoints.camera).numpy()
    table = build_scene(result, ExportOptions(root="placed"), Defaults())
    assert table.axes == "world frame; z up; meters; joints at their places"
    assert np.allclose(table.takes[0].joints, world, atol=1e-5)
    markers = build_scene(result, ExportOptions(unit="m"), MARKERS)
    assert "world frame; y up" in markers.axes
    turned = np.stack((world[..., 0], world[..., 2], -world[..., 1]), -1)
    assert np.allclose(markers.takes[0].joints, turned, atol=1e-5)
    blind = replace(result, keypoints=replace(result.keypoints, camera=Camera.from_fov((640, 480))))
    assert "camera frame; x right; y down" in build_scene(blind, ExportOptions(), Defaults()).axes
    # y down in the camera file: z up where nobody chooses, its own axes where they are asked for.
    down = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    camera = replace(result.keypoints.camera, rotation=result.keypoints.camera.rotation @ down.T)
    other = replace(result, keypoints=replace(result.keypoints, camera=camera))
    assert "z up" in build_scene(other, ExportOptions(), Defaults()).axes
    native = build_scene(other, ExportOptions(frame="world"), Defaults())
    assert "axes of the camera file (-y up)" in native.axes


@pytest.mark.parametrize("frame", ["camera", "world"])
@pytest.mark.parametrize("up", ["native", "y", "z"])
def test_every_scene_knows_its_way_to_z_up(result, frame, up):
    scene = build_scene(result, ExportOptions(frame=frame, up=up, root="placed"), Defaults())
    upright = build_scene(result, ExportOptions(frame=frame, up="z", root="placed"), Defaults())
    assert np.allclose(scene.takes[0].joints @ scene.to_z_up.T, upright.takes[0].joints)
