"""Windows cover every frame, weights sum to one, padding repeats the ends."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hypopose.errors import OptionError
from hypopose.samplers.windows import (
    blend_weights,
    published_training_windows,
    published_windows,
    seam_jump,
    take_frames,
    window_starts,
)


@st.composite
def cuts(draw: st.DrawFn) -> tuple[int, int, int]:
    window = draw(st.integers(1, 30))
    return draw(st.integers(1, 120)), window, draw(st.integers(0, window - 1))


@given(cuts())
def test_windows_cover_the_video_and_overlap_enough(cut: tuple[int, int, int]) -> None:
    n_frames, window, overlap = cut
    starts = window_starts(*cut)
    assert starts[0] == 0
    assert starts[-1] == max(n_frames - window, 0)
    steps = [b - a for a, b in itertools.pairwise(starts)]
    assert all(0 < step <= window - overlap for step in steps)


@given(cuts())
def test_weights_of_every_frame_sum_to_one(cut: tuple[int, int, int]) -> None:
    n_frames, window, overlap = cut
    n_frames = max(n_frames, window)
    starts = window_starts(*cut)
    weights = blend_weights(starts, window, n_frames, overlap)
    total = torch.zeros(n_frames, dtype=torch.float64)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + window] += weight
    assert bool((weights > 0).all())
    assert torch.allclose(total, torch.ones_like(total))


def test_weights_change_gently_in_the_overlap() -> None:
    weights = blend_weights([0, 60], 81, 141, 21)
    assert weights[0].diff().abs().max() < 0.1
    assert torch.allclose(weights[0, 60:] + weights[1, :21], torch.ones(21, dtype=torch.float64))


@given(st.integers(1, 20), st.integers(-10, 10), st.integers(1, 30))
def test_frames_outside_repeat_the_ends(n_frames: int, start: int, length: int) -> None:
    x = torch.arange(float(n_frames)).reshape(-1, 1, 1)
    taken = take_frames(x, start, length).flatten().tolist()
    assert taken == [min(max(f, 0), n_frames - 1) for f in range(start, start + length)]


@given(st.integers(1, 100), st.integers(1, 30))
def test_published_clips_cover_the_video(n_frames: int, window: int) -> None:
    for windows in (published_windows, published_training_windows):
        covered = {f for a, b in windows(n_frames, window) for f in range(a, b)}
        assert set(range(n_frames)) <= covered


def test_seams_are_measured_apart() -> None:
    motion = torch.arange(10.0)[:, None, None].repeat(1, 17, 3)
    motion[5:] += 1.0
    at_seam, inside = seam_jump(motion, [5, 10])
    assert at_seam == pytest.approx(2 * 3**0.5)
    assert inside == pytest.approx(3**0.5)


def test_impossible_cuts_are_refused() -> None:
    with pytest.raises(OptionError, match="overlap"):
        window_starts(20, 5, 5)
    with pytest.raises(OptionError, match="seams inside"):
        seam_jump(torch.zeros(5, 1, 3), [])
