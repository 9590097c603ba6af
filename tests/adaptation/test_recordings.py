from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hypopose.adaptation import Recording, split_recordings
from hypopose.adaptation.recordings import with_vertical
from hypopose.datasets import example_pair
from hypopose.errors import MissingCameraError, OptionError
from hypopose.types import Hypotheses, Keypoints2D, NoiseSource


def test_the_last_part_is_held_back(walker: Recording) -> None:
    split = split_recordings([walker], 0.25)
    assert torch.equal(split.used[0].keypoints.xy, walker.keypoints.xy[:45])
    assert torch.equal(split.held_back[0].keypoints.xy, walker.keypoints.xy[45:54])
    assert [clip.n_frames for clip in split.held_back] == [9, 6]
    assert split.held_back[0].first_frame == 45


def test_long_recordings_are_held_back_in_clips(walker: Recording) -> None:
    xy = walker.keypoints.xy.repeat(20, 1, 1)
    long = replace(walker, keypoints=replace(walker.keypoints, xy=xy, confidence=None))
    held_back = split_recordings([long], 0.5).held_back
    assert [clip.n_frames for clip in held_back] == [81] * 7 + [33]


@pytest.mark.parametrize("share", [0.0, 0.95])
def test_impossible_shares_are_refused(walker: Recording, share: float) -> None:
    with pytest.raises(OptionError, match=r"between 0 and 0\.9"):
        split_recordings([walker], share)


def test_nobody_is_refused() -> None:
    with pytest.raises(OptionError, match="one person at least"):
        split_recordings([])


def test_people_seen_too_briefly_are_refused() -> None:
    with pytest.raises(OptionError, match="Only 10 frames show 'x'"):
        Recording(example_pair(10)[0], "x")


def test_keypoints_without_a_camera_are_refused() -> None:
    with pytest.raises(MissingCameraError, match="with_camera"):
        Recording(replace(example_pair(30)[0], camera=None), "x")


class Truth:
    """A sampler that knows."""

    skeleton = example_pair(2)[0].skeleton

    def sample(self, keypoints: Keypoints2D, n_hypotheses: int, noise: NoiseSource) -> Hypotheses:
        truth = example_pair(60)[1]
        assert truth.root is not None
        return Hypotheses(truth.joints[None], truth.skeleton, truth.root[None])


def test_the_vertical_comes_from_feet_unless_it_is_known(walker: Recording) -> None:
    found = with_vertical(walker, Truth())
    assert found.up is not None
    assert float(found.up[1]) < -0.7  # against the image's y
    assert found.tilt_std_deg >= 4
    known = replace(walker, up=torch.tensor([0.0, -0.8, 0.6]))
    assert with_vertical(known, Truth()) is known
