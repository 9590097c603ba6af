from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hypopose.cameras import project
from hypopose.datasets import example_pair
from hypopose.errors import MissingCameraError, OptionError
from hypopose.networks.inputs import encode, encode_rays
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Keypoints2D


def camera(focal: float = 1000.0, center: tuple[float, float] = (960.0, 540.0)) -> Camera:
    return Camera(
        focal=torch.tensor([focal, focal]),
        center=torch.tensor(center),
        image_size=(1920, 1080),
    )


def turn(yaw: float, pitch: float, roll: float) -> Tensor:
    """Rotation of a camera about y, x and z, in radians."""
    (cy, sy), (cx, sx), (cz, sz) = ((math.cos(a), math.sin(a)) for a in (yaw, pitch, roll))
    about_y = torch.tensor([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = torch.tensor([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_z = torch.tensor([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


@pytest.fixture
def scene() -> Tensor:
    """Camera-frame positions of the built-in walk, in meters."""
    _, truth = example_pair(9)
    assert truth.root is not None
    return truth.joints + truth.root[:, None]


def seen(points: Tensor, by: Camera, fps: float | None = 50.0) -> Keypoints2D:
    return Keypoints2D(project(points, by), H36M17, camera=by, fps=fps)


def test_any_focal_length_and_center_look_alike(scene: Tensor) -> None:
    wide = encode(seen(scene, camera(600.0)), "subject")
    tele = encode(seen(scene, camera(2500.0, (100.0, 900.0))), "subject")
    torch.testing.assert_close(wide.xy, tele.xy, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(wide.context, tele.context, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(wide.rotation, tele.rotation, atol=1e-4, rtol=1e-4)


def test_turning_the_camera_only_rolls_what_the_network_sees(scene: Tensor) -> None:
    one = encode(seen(scene, camera()), "subject")
    turned = scene @ turn(0.3, -0.2, 0.0).mT
    two = encode(seen(turned, camera()), "subject")
    between = (two.rotation @ turn(0.3, -0.2, 0.0)) @ one.rotation.mT
    # The rotation between the two views is about the axis towards the subject.
    torch.testing.assert_close(between[2], torch.tensor([0.0, 0.0, 1.0]), atol=2e-3, rtol=0)
    torch.testing.assert_close(one.xy @ between[:2, :2].mT, two.xy, atol=2e-2, rtol=0)
    assert one.context is not None
    assert two.context is not None
    torch.testing.assert_close(one.context, two.context, atol=1e-2, rtol=0)


def test_xy_times_size_is_the_projection_in_the_turned_camera(scene: Tensor) -> None:
    encoded = encode(seen(scene, camera()), "subject")
    assert encoded.context is not None
    size = 0.1 * encoded.context[0].exp()
    net = scene @ encoded.rotation.mT
    torch.testing.assert_close(encoded.xy * size, net[..., :2] / net[..., 2:], atol=1e-5, rtol=0)
    assert encoded.xy.mean((0, 1)).norm() < 0.1  # the subject stands in the middle
    assert torch.linalg.det(encoded.rotation) == pytest.approx(1.0, abs=1e-5)


def test_the_size_feature_halves_at_twice_the_distance(scene: Tensor) -> None:
    root = scene[:, :1].mean(0, keepdim=True)
    near = encode(seen(scene + root, camera()), "subject").context
    far = encode(seen(scene + 3 * root, camera()), "subject").context
    assert near is not None
    assert far is not None
    assert (near[0] - far[0]).item() == pytest.approx(math.log(2), abs=0.02)


def test_undetected_keypoints_are_zero_and_change_nothing_else(scene: Tensor) -> None:
    keypoints = seen(scene, camera())
    xy = keypoints.xy.clone()
    xy[3, 5] = torch.nan
    confidence = torch.full(xy.shape[:-1], 0.9)
    confidence[3, 5] = torch.nan  # what a detector writes beside a gap must not matter
    gaps = encode(replace(keypoints, xy=xy, confidence=confidence), "subject")
    assert gaps.xy[3, 5].tolist() == [0.0, 0.0]
    assert gaps.confidence[3, 5] == 0
    assert gaps.confidence[0, 0] == pytest.approx(0.9)
    assert torch.isfinite(gaps.xy).all()
    complete = encode(keypoints, "subject")
    torch.testing.assert_close(gaps.xy[2], complete.xy[2], atol=0.05, rtol=0)


def test_nothing_detected_is_still_finite() -> None:
    keypoints = Keypoints2D(torch.full((2, 4, 17, 2), torch.nan), H36M17, camera=camera())
    encoded = encode(keypoints, "subject")
    assert encoded.context is not None
    assert torch.isfinite(encoded.context).all()
    assert (encoded.xy == 0).all()
    assert (encoded.confidence == 0).all()
    torch.testing.assert_close(encoded.rotation, torch.eye(3).expand(2, 3, 3))


def test_a_batch_is_encoded_clip_by_clip(scene: Tensor) -> None:
    other = scene + torch.tensor([1.0, 0.3, 2.0])
    both = encode(seen(torch.stack([scene, other]), camera()), "subject")
    for i, clip in enumerate((scene, other)):
        alone = encode(seen(clip, camera()), "subject")
        torch.testing.assert_close(both.xy[i], alone.xy)
        torch.testing.assert_close(both.rotation[i], alone.rotation)


def test_an_unknown_frame_rate_counts_as_30(scene: Tensor) -> None:
    unknown = encode(seen(scene, camera(), fps=None), "subject").context
    known = encode(seen(scene, camera(), fps=30.0), "subject").context
    assert unknown is not None
    assert known is not None
    assert (unknown == known).all()


def test_detected_keypoints_never_look_undetected() -> None:
    rays = 0.1 * torch.randn(2, 17, 2)
    assert (encode_rays(rays, torch.zeros(2, 17)).confidence == 0.05).all()


def test_screen_coordinates_keep_the_aspect(scene: Tensor) -> None:
    keypoints = seen(scene, camera())
    encoded = encode(keypoints, "screen")
    w, h = 1920, 1080
    expected = keypoints.xy / w * 2 - torch.tensor([1.0, h / w])
    torch.testing.assert_close(encoded.xy, expected)
    assert encoded.context is None
    assert (encoded.rotation == torch.eye(3)).all()


def test_errors_name_the_cure(scene: Tensor) -> None:
    bare = Keypoints2D(project(scene, camera()), H36M17)
    with pytest.raises(MissingCameraError, match="with_camera"):
        encode(bare, "subject")
    with pytest.raises(OptionError, match="image_size="):
        encode(bare, "screen")
