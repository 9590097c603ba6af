from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hypopose.errors import UndeterminedError
from hypopose.multiview import TimeOffset, checked_offset, estimate_offset
from hypopose.multiview.camera_tracks import at_times

Build = Callable[..., Any]


@pytest.mark.parametrize("starts", [(0, 17), (23, 0), (4, 4)])
def test_an_offset_is_found_to_a_fraction_of_a_frame(stage: Build, starts: tuple[int, ...]) -> None:
    one, other = stage(2, noise_px=4.0, missing=0.1, starts=starts).views
    found = estimate_offset(
        one.rays[0], other.rays[0], (one.weights[0], other.weights[0]), most=40.0, fps=25.0
    )
    assert found.frames == pytest.approx(starts[0] - starts[1], abs=0.5)
    assert found.determined
    checked = checked_offset(found, "other")
    assert checked.frames == (0 if starts[0] == starts[1] else found.frames)


def test_a_rate_is_found(stage: Build) -> None:
    """The second camera films 5 frames while the first films 4."""
    one, other = stage(2, noise_px=2.0).views
    times = np.arange(0, one.n_frames - 1, 0.8)
    quicker = at_times(other.rays, times)[0]
    found = estimate_offset(
        one.rays[0], quicker, most=10.0, rates=(1.0, 1.25, 0.8), free_rate=True, fps=30.0
    )
    assert found.rate == pytest.approx(1.25, rel=0.01)
    assert found.times(np.array([40.0]))[0] == pytest.approx(50, abs=1)


def test_numbers_of_frames_come_first(stage: Build) -> None:
    one, other = stage(2, starts=(0, 20)).views
    found = estimate_offset(one.rays[0], other.rays[0], most=5.0, fps=25.0, around=-20.0)
    assert found.frames == pytest.approx(-20, abs=0.2)
    assert checked_offset(found, "other", around=-20.0).frames == -20


def test_somebody_who_stands_still_tells_no_offset(stage: Build) -> None:
    one, other = stage(2).views
    rng = np.random.default_rng(0)
    still = [np.repeat(v.rays[0, :1], 80, 0) + 0.003 * rng.normal(size=(80, 17, 2))
             for v in (one, other)]  # fmt: skip
    assert not estimate_offset(*still, most=30.0, fps=25.0).determined


def test_no_offset_is_taken_where_nothing_speaks_against_it() -> None:
    undecided = TimeOffset(9.0, 1.0, 0.003, contrast=1.05, in_step=1.04)
    assert checked_offset(undecided, "side", around=2.0).frames == 2.0
    nearly = TimeOffset(0.1, 1.0, 0.003, contrast=3.0, in_step=1.5)
    assert checked_offset(nearly, "side").frames == 0.0


def test_several_offsets_that_fit_are_refused_with_the_option_that_says_it() -> None:
    doubtful = TimeOffset(12.0, 1.0, 0.003, contrast=1.05, in_step=1.6)
    with pytest.raises(UndeterminedError, match=r"not determined.*--offset side FRAMES"):
        checked_offset(doubtful, "side")


def test_recordings_that_do_not_overlap_are_refused(stage: Build) -> None:
    one, other = stage(2).views
    with pytest.raises(UndeterminedError, match="larger --max-offset"):
        estimate_offset(one.rays[0, :20], other.rays[0, :20], most=5.0, around=60.0)


def test_moments_between_frames_are_on_a_line() -> None:
    x = np.arange(4.0)[None, :, None, None].repeat(2, -1)
    x[:, 3] = np.nan
    found = at_times(x, np.array([-1.0, 0.25, 2.0, 2.5, 9.0]))[0, :, 0, 0]
    np.testing.assert_array_equal(found, [np.nan, 0.25, 2.0, np.nan, np.nan])
