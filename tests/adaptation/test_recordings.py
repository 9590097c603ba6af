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
    assert torch.equal(split.held_back[0].keypoints.xy, walker.keypoints.xy[45:50])
    assert [clip.n_frames for clip in split.held_back] == [5, 5, 5]
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


def test_short_recordings_hold_back_enough_to_judge_by() -> None:
    split = split_recordings([Recording(example_pair(20)[0], "x")])
    assert split.used[0].n_frames == 10
    assert [clip.n_frames for clip in split.held_back] == [5, 5]


def test_frames_without_anybody_do_not_count_and_views_are_cut_alike() -> None:
    keypoints = example_pair(60)[0]
    views = []
    for view, first, last in (("a", 0, 40), ("b", 10, 30)):
        xy = torch.full_like(keypoints.xy, torch.nan)
        xy[first:last] = keypoints.xy[first:last]
        views.append(Recording(replace(keypoints, xy=xy, confidence=None), "x", view))
    split = split_recordings(views)
    assert [r.n_frames for r in split.used] == [30, 30]
    assert [(c.view, c.first_frame) for c in split.held_back] == [("a", 30), ("a", 35)]


def test_people_who_are_hardly_held_back_are_refused() -> None:
    keypoints = example_pair(60)[0]
    xy = keypoints.xy.clone()
    xy[20::2] = torch.nan
    rare = Recording(replace(keypoints, xy=xy, confidence=None), "x")
    with pytest.raises(OptionError, match="longer recordings"):
        split_recordings([rare])


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


def test_people_who_enter_late_are_looked_at_from_then_on(walker: Recording) -> None:
    xy = torch.cat([torch.full_like(walker.keypoints.xy, torch.nan)] * 5 + [walker.keypoints.xy])
    late = Recording(replace(walker.keypoints, xy=xy, confidence=None), "late")
    assert late.n_frames == 360
    used = split_recordings([late]).used[0]
    assert (used.first_frame, used.n_frames) == (300, 48)
    seen = []

    class Watching:
        skeleton = walker.keypoints.skeleton

        def sample(self, keypoints: Keypoints2D, n: int, noise: NoiseSource) -> Hypotheses:
            seen.append(keypoints)
            return Truth().sample(keypoints, n, noise)

    with_vertical(late, Watching())
    assert bool(torch.isfinite(seen[0].xy).all())
    assert seen[0].n_frames == 60
