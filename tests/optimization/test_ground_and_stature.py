from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hypopose.cameras import cam_to_world, euler_rotation, motion_to_world, project
from hypopose.datasets import example_pair
from hypopose.errors import OptionError, SkeletonMismatchError
from hypopose.optimization import estimate_ground, scale_to_height, stature
from hypopose.skeletons import COCO17, H36M17
from hypopose.types import Camera, Hypotheses


def standing(stature_m: float = 1.75) -> Tensor:
    """A straight body whose bones sum up to a stature, y down."""
    x = torch.zeros(17, 3)
    parts = {"head": -0.40, "neck": -0.33, "thorax": -0.26, "spine": -0.13,
             "right_knee": 0.245, "left_knee": 0.245, "right_ankle": 0.491, "left_ankle": 0.491,
             "left_shoulder": -0.26, "right_shoulder": -0.26, "left_elbow": -0.1,
             "right_elbow": -0.1, "left_wrist": 0.05, "right_wrist": 0.05}  # fmt: skip
    for name, y in parts.items():
        x[H36M17.index(name), 1] = y
        x[H36M17.index(name), 0] = 0.05 if "left" in name else -0.05 if "right" in name else 0.0
    x[H36M17.index("left_hip"), 0], x[H36M17.index("right_hip"), 0] = 0.05, -0.05
    share = (0.40 + 0.491) / (1 - 0.039)
    return x * stature_m / share


def test_stature_of_a_known_body() -> None:
    clip = standing(1.75).expand(5, 17, 3)
    assert float(stature(clip, H36M17)) == pytest.approx(1.75, rel=1e-4)


def test_stature_does_not_depend_on_posture_or_place() -> None:
    upright = standing()
    seated = upright.clone()
    for side in ("left", "right"):
        hip, knee, ankle = (H36M17.index(f"{side}_{j}") for j in ("hip", "knee", "ankle"))
        thigh = (upright[knee] - upright[hip]).norm()
        seated[knee] = seated[hip] + torch.tensor([0.0, 0.0, -1.0]) * thigh
        seated[ankle] = seated[knee] + upright[ankle] - upright[knee]
    turn = euler_rotation(torch.tensor([0.4, -1.0, 0.3]))
    for pose in (seated, upright @ turn.mT):
        assert float(stature(pose.expand(3, 17, 3), H36M17)) == pytest.approx(1.75, rel=1e-4)


def test_scaling_reaches_the_height_and_keeps_every_pixel() -> None:
    keypoints, truth = example_pair()
    assert truth.root is not None
    noise = 0.02 * torch.randn(4, *truth.joints.shape, generator=torch.Generator().manual_seed(0))
    many = Hypotheses(truth.joints + noise, H36M17, truth.root.expand(4, -1, -1))
    small = scale_to_height(many, 1.2)
    torch.testing.assert_close(stature(small.joints, H36M17), torch.full((4,), 1.2))
    assert keypoints.camera is not None
    assert small.root is not None
    assert many.root is not None
    torch.testing.assert_close(
        project(small.joints + small.root[..., None, :], keypoints.camera),
        project(many.joints + many.root[..., None, :], keypoints.camera),
        atol=1e-2,
        rtol=1e-4,
    )


def test_heights_nobody_has_are_refused() -> None:
    one = Hypotheses(standing().expand(1, 3, 17, 3), H36M17)
    for height in (0.1, 17.8, math.nan):
        with pytest.raises(OptionError, match=r"between 0\.5 and 2\.6 m"):
            scale_to_height(one, height)
    with pytest.raises(OptionError, match="without bone lengths"):
        scale_to_height(Hypotheses(torch.zeros(1, 3, 17, 3), H36M17), 1.7)
    with pytest.raises(SkeletonMismatchError, match="convert to 'h36m17'"):
        stature(torch.zeros(3, 17, 3), COCO17)


def walking(tilt_deg: float, *, wander: bool = True, seed: int = 0) -> tuple[Hypotheses, Tensor]:
    """Hypotheses of a person walking on a floor 1.4 m below a tilted camera; and the true up."""
    n = 150
    generator = torch.Generator().manual_seed(seed)
    t = torch.linspace(0, 12, n)
    pose = standing()[None].repeat(n, 1, 1)
    for i, side in enumerate(("left", "right")):
        # A foot rests half of the time and swings the other half.
        phase = (t + i * 0.5 * 1.0) % 1.0
        swing = (phase > 0.5) * torch.sin((phase - 0.5) * 2 * math.pi)
        for joint in (f"{side}_ankle", f"{side}_knee"):
            pose[:, H36M17.index(joint), 1] -= 0.12 * swing
            pose[:, H36M17.index(joint), 2] += 0.2 * swing
    floor = 1.4
    root = torch.zeros(n, 3)
    root[:, 1] = floor - 0.08 - pose[..., 1].amax(-1)
    root[:, 2] = 5.0
    if wander:
        # Steps: the feet rest while the path waits.
        steps = torch.floor(t)
        root[:, 0] = torch.sin(steps * 1.3)
        root[:, 2] = 5.0 + 1.5 * torch.cos(steps * 0.9)
    turn = euler_rotation(torch.tensor([math.radians(tilt_deg), 0.0, math.radians(3.0)]))
    joints = torch.cat([pose @ turn.mT] * 3).reshape(3, n, 17, 3)
    joints = joints + 0.005 * torch.randn(3, n, 17, 3, generator=generator)
    up = turn @ torch.tensor([0.0, -1.0, 0.0])
    return Hypotheses(joints - joints[..., :1, :], H36M17, (root @ turn.mT).expand(3, -1, -1)), up


@pytest.mark.parametrize("tilt", [-20.0, 0.0, 15.0])
def test_a_walk_shows_where_up_is_and_the_floor(tilt: float) -> None:
    hypotheses, up = walking(tilt)
    ground = estimate_ground(hypotheses)
    error = math.degrees(math.acos(min(1.0, float(ground.up @ up))))
    assert error < 3.0
    assert error < 3 * ground.tilt_std_deg
    camera = ground.place(Camera.from_fov((1000, 1000)))
    assert hypotheses.root is not None
    world = motion_to_world(hypotheses.joints + hypotheses.root[..., None, :], camera)
    ankles = world[..., [3, 6], 2]
    assert float(ankles.amin(-1).median()) == pytest.approx(0.08, abs=0.05)
    assert float(world[..., 10, 2].median()) == pytest.approx(1.7, abs=0.15)
    assert float(cam_to_world(torch.zeros(3), camera)[2]) == pytest.approx(1.4, abs=0.15)
    assert float(torch.linalg.det(ground.rotation)) == pytest.approx(1.0, abs=1e-5)


def test_standing_still_leaves_the_body_axis_and_its_width() -> None:
    still, _ = walking(10.0, wander=False)
    moving, _ = walking(10.0)
    wide, narrow = estimate_ground(still), estimate_ground(moving)
    assert wide.tilt_std_deg > narrow.tilt_std_deg
    assert wide.tilt_std_deg > 4.0
    assert "degrees" in wide.describe()


def test_floors_need_roots_and_frames() -> None:
    hypotheses, _ = walking(0.0)
    with pytest.raises(OptionError, match="with roots"):
        estimate_ground(Hypotheses(hypotheses.joints, H36M17))
    assert hypotheses.root is not None
    with pytest.raises(OptionError, match="two or more frames"):
        estimate_ground(Hypotheses(hypotheses.joints[:, :1], H36M17, hypotheses.root[:, :1]))
    with pytest.raises(OptionError, match="No two frames"):
        estimate_ground(
            Hypotheses(hypotheses.joints, H36M17, torch.full_like(hypotheses.root, torch.nan))
        )
