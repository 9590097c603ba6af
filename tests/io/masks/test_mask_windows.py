"""Whose mask is whose, and the windows they are looked at through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from hypopose.errors import FormatError, MissingCameraError, ShapeError
from hypopose.io import Masks, silhouettes_of, with_silhouettes
from hypopose.io.mask_files import FrameMasks
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Keypoints2D, Silhouettes

W, H = 200, 100


def person(left: int, top: int, n: int = 3) -> tuple[Keypoints2D, np.ndarray]:
    """Keypoints that fill a box of 30 x 50 pixels, and the box."""
    rng = np.random.default_rng(left)
    xy = rng.uniform((left, top), (left + 30, top + 50), (n, 17, 2))
    mask = np.zeros((H, W), bool)
    mask[top : top + 50, left : left + 30] = True
    keypoints = Keypoints2D(
        torch.from_numpy(xy).float(), H36M17, camera=Camera.from_fov((W, H)), fps=5.0
    )
    return keypoints, mask


def test_the_mask_that_holds_most_keypoints_is_the_persons_and_others_hide() -> None:
    keypoints, mine = person(20, 20)
    _, theirs = person(45, 20)  # overlaps by 5 columns
    theirs[0, 0] = True
    frame = FrameMasks((theirs & ~mine, mine))
    masks = Masks("two", (W, H), (0, 1, 2), lambda number: frame)
    found = silhouettes_of(keypoints, masks, side=32)
    assert found.frames.tolist() == [0, 1, 2]
    left, top, side = found.window[0].tolist()
    share = 30 * 50 / side**2
    assert found.inside[0].mean().item() == pytest.approx(share, rel=0.02)
    columns = ((torch.arange(32) + 0.5) * side / 32 + left).tolist()
    over_them = [51 < c < 74 for c in columns]
    rows = [21 < (r + 0.5) * side / 32 + top < 69 for r in range(32)]
    assert over_them.count(True) > 3
    assert found.known[0][rows][:, over_them].max() == 0
    assert found.known[0][rows][:, [0 < c < 48 for c in columns]].min() == 1


def test_beyond_the_image_nothing_is_known() -> None:
    keypoints, mask = person(0, 50)
    found = silhouettes_of(keypoints, Masks.of(np.stack([mask] * 3)), side=32)
    left, _, side = found.window[0].tolist()
    assert left < 0
    outside = int(-left / side * 32)
    assert found.known[0, :, :outside].max() == 0
    assert found.known[0, :10, outside + 1 :].min() == 1


def test_a_mask_of_somebody_else_is_no_mask() -> None:
    keypoints, _ = person(20, 20)
    _, other = person(150, 20)
    masks = Masks.of(np.stack([other] * 3))
    found = silhouettes_of(keypoints, masks)
    assert len(found.frames) == 0
    assert found.record["frames_without_the_person"] == 3
    with pytest.raises(FormatError, match=r"no mask contains.*numbered 0 to 2.*mask_start=NUMBER"):
        with_silhouettes(keypoints, masks)


@pytest.mark.parametrize(
    ("turned", "said"),
    [
        (lambda mask: mask & False, "are empty"),
        (lambda mask: mask | True, "fill the whole image"),
        (lambda mask: ~mask, "show the background; turn them round"),
    ],
)
def test_masks_that_show_nobody_say_why(
    turned: Callable[[np.ndarray], np.ndarray], said: str
) -> None:
    keypoints, mask = person(20, 20)
    with pytest.raises(FormatError, match=said):
        with_silhouettes(keypoints, Masks.of(np.stack([turned(mask)] * 3)))
    assert len(silhouettes_of(keypoints, Masks.of(np.stack([mask] * 3))).frames) == 3


def test_frames_begin_where_it_was_said() -> None:
    keypoints, mask = person(20, 20, n=2)
    empty = np.zeros_like(mask)
    found = silhouettes_of(keypoints, Masks.of(np.stack([empty, empty, mask, mask]), start=2))
    assert found.frames.tolist() == [0, 1]


def test_masks_of_the_images_shape_are_scaled_with_a_note_and_others_refused() -> None:
    keypoints, mask = person(20, 20)
    half = np.stack([mask[::2, ::2]] * 3)
    found = silhouettes_of(keypoints, Masks.of(half), side=32)
    whole = silhouettes_of(keypoints, Masks.of(np.stack([mask] * 3)), side=32)
    assert "masks of 100 x 50 scaled to the image of 200 x 100" in found.record["notes"]
    assert (found.window - whole.window).abs().max() < 5
    with pytest.raises(FormatError, match=r"do not fit the image of 200 x 100.*image_size="):
        silhouettes_of(keypoints, Masks.of(np.ones((3, 100, 100), bool)))
    with pytest.raises(MissingCameraError, match="with_camera"):
        silhouettes_of(replace(keypoints, camera=None), Masks.of(half))


def test_frames_without_keypoints_or_masks_are_left_out() -> None:
    keypoints, mask = person(20, 20)
    xy = keypoints.xy.clone()
    xy[1] = torch.nan
    frames = (0, 1)
    masks = Masks("some", (W, H), frames, lambda number: FrameMasks((mask,)))
    found = silhouettes_of(replace(keypoints, xy=xy), masks)
    assert found.frames.tolist() == [0]
    assert found.record["frames"] == 2


def test_silhouettes_check_their_axes() -> None:
    with pytest.raises(ShapeError, match="Silhouettes of 2 frames"):
        Silhouettes(torch.arange(2), torch.zeros(3, 4, 4), torch.zeros(3, 4, 4), torch.zeros(3, 3))
