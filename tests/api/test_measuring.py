"""Quantities of a result: where up is, when meters may be told, what is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import hypopose
from hypopose import Hypotheses, Result
from hypopose.api import body_motion
from hypopose.api.measuring import STEADIED, steady_roots
from hypopose.cameras import fit_roots, project, world_to_cam
from hypopose.datasets import example_motion, example_pair
from hypopose.errors import OptionError, SkeletonMismatchError
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Poses3D


def result_of(world: torch.Tensor, camera: Camera, *, keep: bool = True) -> Result:
    """Hypotheses that are the truth, seen by a camera whose world is known if ``keep``."""
    cam = world_to_cam(world, camera)
    root = cam[:, 0]
    known = camera if keep else replace(camera, rotation=None, translation=None)
    seen = example_pair(len(world))[0]
    keypoints = replace(seen, xy=project(cam, replace(known, rotation=None)), camera=known)
    x = (cam - root[:, None]).expand(4, *cam.shape)
    return Result(
        Hypotheses(x, H36M17, root.expand(4, *root.shape)),
        Poses3D(x[0], H36M17, root),
        keypoints,
        seed=0,
    )


LOOKING = torch.tensor([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]])  # along -x, z up


@pytest.fixture(scope="module")
def seen() -> tuple[torch.Tensor, Camera]:
    place = torch.tensor([5.0, 0.3, 1.4])
    camera = replace(
        Camera.from_fov((1000, 1000)),
        rotation=LOOKING,
        translation=-LOOKING @ place,
        assumed=False,
    )
    return example_motion(50), camera


def test_the_camera_files_world_is_upright_whatever_its_axes(seen) -> None:
    world, camera = seen
    motion, notes = body_motion(result_of(world, camera))
    assert torch.allclose(motion.joints[0].float(), world, atol=1e-5)
    assert notes == ("vertical of the camera's world", STEADIED)
    # The same with y up in the camera's world.
    y_up = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # z-up world to y-up world
    other = replace(camera, rotation=camera.rotation @ y_up.T)
    turned, _ = body_motion(result_of(world @ y_up.T, other))
    assert torch.allclose(turned.joints[..., 2], motion.joints[..., 2], atol=1e-4)
    a, b = (hypopose.measure(result_of(w, c), "angles", "gait") for w, c in (
        (world, camera), (world @ y_up.T, other)))  # fmt: skip
    for name in a:
        assert np.allclose(a[name].values, b[name].values, atol=1e-4, equal_nan=True)


def test_without_a_world_feet_tell_the_vertical(seen) -> None:
    world, camera = seen
    tilted = replace(camera, rotation=tilt(12) @ camera.rotation)
    motion, notes = body_motion(result_of(world, tilted, keep=False))
    assert "vertical estimated from feet" in notes[0]
    lean = hypopose.measure(result_of(world, tilted, keep=False), "trunk_lean_forward")
    true = hypopose.measure(result_of(world, camera), "trunk_lean_forward")
    apart = lean["trunk_lean_forward"].mean - true["trunk_lean_forward"].mean
    assert np.abs(apart).max() < 6  # 12 without an estimate
    assert motion.placed


def tilt(degrees: float) -> torch.Tensor:
    a = torch.deg2rad(torch.tensor(degrees))
    return torch.tensor([[1, 0, 0], [0, a.cos(), -a.sin()], [0, a.sin(), a.cos()]])


def test_meters_of_an_assumed_camera_are_refused_until_something_is_known(seen) -> None:
    world, camera = seen
    guessed = result_of(world, replace(camera, assumed=True))
    with pytest.raises(OptionError, match=r"left_step_length is in m, .*height=1.78"):
        hypopose.measure(guessed, "step_length")
    assert "left_knee_flexion" in hypopose.measure(guessed, "knee_flexion")
    tall = hypopose.measure(guessed, "step_length", "stature", height=1.8)
    assert tall["stature"].mean == pytest.approx(1.8, abs=1e-4)
    with_focal = replace(
        guessed, hypotheses=replace(guessed.hypotheses, focal=torch.linspace(900, 1100, 4))
    )
    assert "left_step_length" in hypopose.measure(with_focal, "step_length")
    everything = hypopose.measure(guessed)
    assert "left_step_length" not in everything
    assert "left_relative_step_reach" in everything
    assert any("stature of the subject is unknown" in note for note in everything.notes)


def test_without_a_frame_rate_times_are_left_out_or_refused(seen) -> None:
    result = result_of(*seen)
    result = replace(result, keypoints=replace(result.keypoints, fps=None))
    with pytest.raises(OptionError, match="fps=30"):
        hypopose.measure(result, "cadence")
    found = hypopose.measure(result)
    assert "cadence" not in found
    assert found.events == ()
    assert "cadence" in hypopose.measure(result, "cadence", fps=25.0)


def test_bare_hypotheses_and_functions(seen) -> None:
    result = result_of(*seen)
    found = hypopose.measure(result.hypotheses, "knee_flexion", fps=25.0)
    whole = hypopose.measure(result, "knee_flexion")
    assert np.allclose(found["left_knee_flexion"].values, whole["left_knee_flexion"].values)
    batch = replace(result.hypotheses, joints=result.hypotheses.joints[None], root=None)
    with pytest.raises(OptionError, match="one person"):
        hypopose.measure(batch, "knee_flexion")
    with pytest.raises(SkeletonMismatchError, match="with --feet"):
        hypopose.measure(result, "ankle_flexion")


def test_jittering_roots_are_steadied_and_smoothed_results_are_left(seen) -> None:
    world, camera = seen
    result = result_of(world, camera)
    g = torch.Generator().manual_seed(0)
    noise = torch.randn(result.keypoints.xy.shape, generator=g)
    spoiled = replace(result.keypoints, xy=result.keypoints.xy + 2 * noise)
    rough = replace(result.hypotheses, root=fit_roots(result.hypotheses, spoiled))
    steady = steady_roots(rough, spoiled)
    error = [(x.root - result.hypotheses.root).diff(dim=-2).abs().mean() for x in (rough, steady)]
    assert error[1] < 0.2 * error[0]
    smoothed = replace(result, notes=("smoothed over time, acceleration 3 m/s²",))
    motion, notes = body_motion(smoothed)
    assert STEADIED not in notes
    assert torch.allclose(motion.joints[0].float(), world, atol=1e-5)


def doubts(result: Result, *what: str) -> str:
    return "\n".join(hypopose.measure(result, *what).notes)


def test_joints_that_were_not_seen_are_named(seen) -> None:
    result = result_of(*seen)
    xy = result.keypoints.xy.clone()
    hidden = [H36M17.index(name) for name in ("left_knee", "left_ankle")]
    xy[:, hidden] = torch.nan
    half = replace(result, keypoints=replace(result.keypoints, xy=xy))
    assert "left_knee, left_ankle seen in 0 %" in doubts(half, "knee_flexion").replace(
        "left_ankle, left_knee", "left_knee, left_ankle"
    )
    assert "seen in" not in doubts(result, "knee_flexion")


def test_slow_motion_and_treadmills_are_doubted(seen) -> None:
    camera, world = seen[1], example_motion(75)
    result = result_of(world, camera)
    assert "steps a minute" not in doubts(result, "cadence")
    assert "treadmill" not in doubts(result, "gait")
    slow = replace(result, keypoints=replace(result.keypoints, fps=5.0))
    assert "is not the rate at which the camera recorded; give that with --fps" in doubts(
        slow, "cadence"
    )
    running_belt = world - world[:, :1] * torch.tensor([1.0, 1.0, 0.0])
    assert "as on a treadmill" in doubts(result_of(running_belt, camera), "gait")


def test_what_is_not_there_and_what_nobody_checked_is_said(seen) -> None:
    result = result_of(*seen)
    notes = doubts(result, "jump_height", "cadence")
    assert "nothing of the kind was found for jump_height" in notes
    own = replace(result, weights="distributional-frame-small")
    assert "coverage of these intervals was not measured: sway_left" in doubts(own, "balance")
    assert "was not measured" not in doubts(own, "knee_flexion")


@pytest.mark.parametrize("n_frames", [1, 2])
def test_the_shortest_clips_are_measured(seen, n_frames: int) -> None:
    world, camera = seen
    found = hypopose.measure(result_of(world[:n_frames], camera), "all")
    assert np.isfinite(found["left_knee_flexion"].median).all()
    assert float(found["step_count"].median) == 0


def test_many_frames_a_second_give_the_same_values(seen) -> None:
    world, camera = seen
    at = torch.linspace(0, len(world) - 1, 10 * (len(world) - 1) + 1)
    i = at.floor().long().clamp(max=len(world) - 2)
    fine = torch.lerp(world[i], world[i + 1], (at - i)[:, None, None])
    fast = result_of(fine, camera)
    fast = replace(fast, keypoints=replace(fast.keypoints, fps=250.0))
    usual = result_of(world, camera)
    usual = replace(usual, keypoints=replace(usual.keypoints, fps=25.0))
    what = ("cadence", "step_length", "knee_flexion_range")
    a, b = (hypopose.measure(result, *what) for result in (fast, usual))
    for name in b:
        assert float(a[name].median) == pytest.approx(float(b[name].median), rel=0.05)
