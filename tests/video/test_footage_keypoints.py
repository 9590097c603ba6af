"""People are followed within scenes, runs go on where they stopped, memory does not grow."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from footage import DotDetector, dots, draw_dots, write_clip

from hypopose.video import Clip, DetectOptions, detect_people, footage_keypoints, open_footage
from hypopose.video.journal import Stretch
from hypopose.video.timing import constant_clock, resample

pytest.importorskip("av", reason="PyAV is not installed")
pytestmark = pytest.mark.video


def two_people(n: int, cross: bool) -> list[np.ndarray]:
    left, right = np.array([[20.0, 20], [20, 40], [20, 60]]), np.array([[170.0, 20], [170, 40],
                                                                       [170, 60]])  # fmt: skip
    step = np.array([50.0 / n, 0])
    frames = []
    for i in range(n):
        a, b = left + i * step, right - i * step
        if cross and i >= n // 2:  # they change places at once, in the middle
            a, b = b, a
        rgb = draw_dots(a, (200, 96))
        both = draw_dots(b, (200, 96))
        rgb[:, 100:] = both[:, 100:]
        frames.append(rgb)
    return frames


def test_two_people_are_followed_apart(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "two.mp4", two_people(20, cross=False))
    people = detect_people(path, DotDetector(halves=True))
    assert set(people) == {"0", "1"}
    x = np.stack([k.xy[:, 0, 0].numpy() for k in people.values()])
    assert sorted(x[:, 0].round()) == [20, 170]
    assert np.abs(np.diff(x, axis=1)).max() < 4


def test_a_cut_breaks_tracks_and_says_so(tmp_path: Path) -> None:
    first, _ = dots(12)
    second, _ = dots(12, start=(60, 34))
    bright = [np.where(f == 90, 240, f).astype(np.uint8) for f in second]
    path = write_clip(tmp_path / "cut.mp4", [*first, *bright])
    people = detect_people(path, DotDetector())
    assert len(people) == 2
    seen = [k.detected.any(-1).numpy() for k in people.values()]
    assert (seen[0] ^ seen[1]).all()
    assert any("scene cut at 0.48 s" in n for n in people["0"].notes)


def test_a_stopped_run_goes_on_to_the_same_keypoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footage_keypoints, "STRETCH", 10)
    frames, _ = dots(30)
    path, journal = write_clip(tmp_path / "clip.mp4", frames), tmp_path / "out.part"
    whole = detect_people(path, DotDetector())["0"]

    class Stops(DotDetector):
        def detect(self, rgb: np.ndarray):  # type: ignore[no-untyped-def]
            if self.n_seen == 17:
                raise KeyboardInterrupt
            return super().detect(rgb)

    with pytest.raises(KeyboardInterrupt):
        detect_people(path, Stops(), journal=journal)
    with journal.open("a") as file:
        file.write('{"seconds":[0.4')  # the line that was being written
    rest = DotDetector()
    again = detect_people(path, rest, journal=journal)["0"]
    assert rest.n_seen == 20
    np.testing.assert_array_equal(again.xy.numpy(), whole.xy.numpy())
    other = DotDetector()
    detect_people(path, other, journal=journal, made_with={"input": "another"})
    assert other.n_seen == 30


def test_stretches_survive_being_written() -> None:
    stretch = Stretch([0.0, 0.04], [1])
    xy = np.array([[1.234, 5.678], [np.nan, np.nan], [7.0, 8.0]])
    stretch.add(1, xy, np.array([0.9, 0.0, 1.0]))
    back = Stretch.from_line(stretch.to_line())
    np.testing.assert_array_equal(back.xy[0], stretch.xy[0])
    np.testing.assert_array_equal(back.confidence[0], stretch.confidence[0])
    assert (back.frames, back.cuts, back.seconds) == ([1], [1], [0.0, 0.04])
    json.loads(stretch.to_line())


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    def peak(n: int) -> int:
        path = write_clip(tmp_path / f"{n}.mp4", dots(20, size=(320, 240), step=1)[0] * (n // 20))
        tracemalloc.start()
        reader = open_footage(path)
        assert sum(1 for _ in reader.frames()) == n
        reader.close()
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(200) < peak(20) + 320 * 240 * 3 * 2


def test_a_detector_limit_is_said(tmp_path: Path) -> None:
    detector = DotDetector()
    detector.max_people = 1
    path = write_clip(tmp_path / "clip.mp4", dots(6)[0])
    assert "dots sees one person a frame at most" in detect_people(path, detector)["0"].notes


def test_progress_counts_frames(tmp_path: Path) -> None:
    path, told = write_clip(tmp_path / "clip.mp4", dots(7)[0]), []
    detect_people(path, DotDetector(), progress=lambda done, total: told.append((done, total)))
    assert told == [(i + 1, 7) for i in range(7)]


def test_the_rate_given_overrides_timestamps(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", dots(6)[0])
    assert detect_people(path, DotDetector(), DetectOptions(Clip(), fps=50.0))["0"].fps == 50


def test_long_gaps_are_not_bridged() -> None:
    seconds = np.array([0.0, 0.04, 0.08, 0.4, 0.44, 0.47])
    clock = constant_clock(seconds, None)
    xy = np.tile(seconds[:, None, None], (1, 3, 2))
    out, sure = resample(xy, np.ones((6, 3)), seconds, clock)
    known = np.isfinite(out[:, 0, 0])
    np.testing.assert_allclose(out[known, 0, 0], clock.times[known], atol=1e-9)
    assert (~known).sum() >= 6
    assert (sure[~known] == 0).all()
