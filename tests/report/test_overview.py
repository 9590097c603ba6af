"""The picture shows the person upright, not mirrored, and says what was assumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba

from hypopose import Camera, Hypotheses, Keypoints2D, Poses3D, Result, get_skeleton
from hypopose.datasets import example_pair
from hypopose.report.overview import (
    LEFT,
    RIGHT,
    draw_overview,
    overview_figure,
    side_colors,
    spread_mm,
)

SKELETON = get_skeleton("h36m17")
PNG = b"\x89PNG\r\n\x1a\n"


def result_of(keypoints: Keypoints2D, truth: Poses3D, n: int = 3) -> Result:
    offsets = torch.linspace(-0.1, 0.1, n)[:, None, None, None] * torch.tensor([0.0, 0.0, 1.0])
    joints = truth.joints + offsets * (torch.arange(17) > 0)[:, None]
    return Result(
        Hypotheses(joints, SKELETON), truth, keypoints, seed=4,
        sampler={"name": "boneflips"}, aggregate="mean", person="7", source="walk.json",
    )  # fmt: skip


@pytest.fixture
def result() -> Result:
    return result_of(*example_pair(20))


def drawn(axes: Any, color: str) -> np.ndarray:
    """Ends of the thickest bones of one color on a panel, in the panel's own coordinates."""
    thick = [c for c in axes.collections if isinstance(c, LineCollection)][-1]
    pairs = zip(thick.get_segments(), thick.get_colors(), strict=True)
    return np.concatenate([s for s, c in pairs if np.allclose(c, to_rgba(color))])


def test_writes_a_png_and_nothing_else(result: Result, tmp_path: Path) -> None:
    draw_overview(tmp_path / "out.png", result)
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]
    assert (tmp_path / "out.png").read_bytes().startswith(PNG)


def test_front_view_is_upright_and_as_the_camera_sees(result: Result) -> None:
    figure = overview_figure(result, n_columns=1)
    image, front = figure.axes[0], figure.axes[1]
    assert image.yaxis_inverted()
    assert not front.yaxis_inverted()
    head, ankle = SKELETON.index("head"), SKELETON.index("left_ankle")
    body = result.pose.joints[10]
    assert -body[head, 1] > -body[ankle, 1]
    thick = front.collections[-1].get_segments()
    heights = np.concatenate(thick)[:, 1]
    assert heights.max() == pytest.approx(-float(body[:, 1].min()), abs=0.05)
    assert heights.min() == pytest.approx(-float(body[:, 1].max()), abs=0.05)


@pytest.mark.parametrize("panel", [0, 1])
def test_left_stays_on_the_side_where_the_camera_sees_it(result: Result, panel: int) -> None:
    """The walker comes obliquely towards the camera: their left is on the image's right."""
    axes = overview_figure(result, n_columns=1).axes[panel]
    assert drawn(axes, LEFT)[:, 0].mean() > drawn(axes, RIGHT)[:, 0].mean()
    assert not axes.xaxis_inverted()


def test_side_view_puts_depth_to_the_right(result: Result) -> None:
    nearer = result.pose.joints.clone()
    nearer[:, SKELETON.index("left_wrist"), 2] = -0.8  # towards the camera
    moved = replace(result, pose=replace(result.pose, joints=nearer))
    side = overview_figure(moved, n_columns=1).axes[2]
    assert drawn(side, LEFT)[:, 0].min() == pytest.approx(-0.8, abs=1e-6)
    assert not side.xaxis_inverted()


def title_of(result: Result) -> str:
    return str(overview_figure(result, n_columns=1).get_suptitle())


def test_title_says_source_sampler_seed_and_given_camera(result: Result) -> None:
    title = title_of(result)
    for words in ("walk.json", "person 7", "boneflips", "seed 4", "camera given"):
        assert words in title


def test_title_says_that_a_camera_was_assumed(result: Result) -> None:
    keypoints = result.keypoints.with_camera(Camera.from_fov((1000, 1000)))
    assert "ASSUMED" in title_of(replace(result, keypoints=keypoints))
    assert "no camera" in title_of(replace(result, keypoints=replace(keypoints, camera=None)))


def test_missing_joints_and_frames_are_drawn_as_gaps(result: Result, tmp_path: Path) -> None:
    xy = result.keypoints.xy.clone()
    xy[:, 3] = torch.nan
    xy[5:9] = torch.nan
    joints = result.hypotheses.joints.clone()
    joints[:, :, 3] = torch.nan
    gappy = replace(
        result,
        keypoints=replace(result.keypoints, xy=xy, confidence=None, fps=None),
        hypotheses=replace(result.hypotheses, joints=joints),
    )
    assert "4 without any keypoint" in title_of(gappy)
    draw_overview(tmp_path / "gaps.png", gappy)


def test_nothing_detected_still_draws(result: Result, tmp_path: Path) -> None:
    nothing = torch.full_like(result.keypoints.xy, torch.nan)
    empty = replace(result, keypoints=replace(result.keypoints, xy=nothing, confidence=None))
    draw_overview(tmp_path / "empty.png", empty)


def test_one_frame(tmp_path: Path) -> None:
    draw_overview(tmp_path / "one.png", result_of(*example_pair(1)))


def test_spread_is_the_rms_distance_to_the_mean() -> None:
    joints = torch.randn(50, 2, 17, 3, dtype=torch.float64)
    offsets = joints.numpy() - joints.numpy().mean(0)
    expected = 1000 * np.sqrt((offsets**2).sum(-1).mean(0))
    assert np.allclose(spread_mm(Hypotheses(joints, SKELETON)).numpy(), expected)


def test_colors_tell_sides_apart() -> None:
    colors = side_colors(SKELETON)
    assert {colors[j] for j in SKELETON.left} == {LEFT}
    assert {colors[j] for j in SKELETON.right} == {RIGHT}
