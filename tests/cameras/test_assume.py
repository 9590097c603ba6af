"""Guessing a camera, and saying so."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import normals, random_camera, seeds

from hypopose.cameras import estimate_image_size, resolve_camera
from hypopose.errors import OptionError
from hypopose.skeletons import H36M17
from hypopose.types import Keypoints2D


def around(x: float, y: float, spread: float = 60.0) -> Keypoints2D:
    return Keypoints2D(torch.tensor([x, y]) + spread * normals(0, 3, 17, 2).float(), H36M17)


def test_a_given_camera_is_left_alone() -> None:
    keypoints = around(900, 500).with_camera(random_camera(0))
    assert resolve_camera(keypoints) is keypoints


def test_a_known_size_gets_an_assumed_camera() -> None:
    keypoints = Keypoints2D(normals(0, 1, 17, 2), H36M17, image_size=(1080, 1920))
    resolved = resolve_camera(keypoints)
    assert resolved.camera is not None
    assert resolved.camera.assumed
    assert resolved.image_size == resolved.camera.image_size == (1080, 1920)
    assert resolved.camera.focal.tolist() == pytest.approx([1920, 1920], rel=1e-3)
    assert len(resolved.notes) == 1
    assert "assumed" in resolved.notes[0]


@pytest.mark.parametrize(
    ("x", "y", "size"),
    [(960, 540, (1920, 1080)), (540, 960, (1080, 1920)), (320, 240, (640, 480))],
)
def test_people_stand_in_the_middle_of_common_sizes(x, y, size) -> None:
    resolved = resolve_camera(around(x, y))
    assert resolved.image_size == size
    assert any("estimated" in note for note in resolved.notes)


@given(seed=seeds, scale=st.floats(10, 4000), offset=st.floats(0, 9000))
@settings(max_examples=50, deadline=None)
def test_the_estimated_size_contains_all_keypoints(seed, scale, offset) -> None:
    xy = normals(seed, 2, 17, 2)
    xy = offset + scale * (xy - xy.amin())
    w, h = estimate_image_size(Keypoints2D(xy, H36M17))
    assert w >= xy[..., 0].max()
    assert h >= xy[..., 1].max()


def test_uncommon_sizes_leave_equal_margins() -> None:
    xy = (500 + 50 * normals(0, 1, 17, 2)).float()
    xy[0, :2] = torch.tensor([[100.0, 50.0], [1300.0, 650.0]])
    assert estimate_image_size(Keypoints2D(xy, H36M17)) == (1400, 700)


def test_people_of_one_video_get_one_size() -> None:
    left, right = around(300, 540), around(1620, 540)
    sizes = {
        resolve_camera(left, [right]).image_size,
        resolve_camera(right, [left]).image_size,
    }
    assert sizes == {(1920, 1080)}


def test_negative_pixels_are_noted() -> None:
    assert any("negative" in note for note in resolve_camera(around(50, 300)).notes)


def test_what_cannot_be_guessed_is_refused() -> None:
    nothing = Keypoints2D(torch.full((2, 17, 2), torch.nan), H36M17)
    with pytest.raises(OptionError, match="pass image_size"):
        resolve_camera(nothing)
    normalized = Keypoints2D(normals(0, 2, 17, 2) / 4, H36M17)
    with pytest.raises(OptionError, match="normalized"):
        resolve_camera(normalized)
