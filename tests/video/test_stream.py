"""A stream hands out what the sampler draws for the window, continuously and in constant memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import hypopose
from hypopose.cli import main
from hypopose.datasets import example_pair
from hypopose.diffusion import RollingNoise
from hypopose.errors import OptionError, ShapeError
from hypopose.skeletons import COCO17
from hypopose.types import Hypotheses, Keypoints2D
from hypopose.video import CausalStream, frame_of
from hypopose.video.detectors import Seen

KEYPOINTS = hypopose.prepare(example_pair()[0])
FPS = float(KEYPOINTS.fps or 25.0)
SIZED = ("--skeleton", "coco17", "--image-size", "640", "480")


@pytest.fixture(scope="module")
def sampler():  # type: ignore[no-untyped-def]
    return hypopose.make_sampler()


def pushed(stream: CausalStream, n: int) -> list[Hypotheses | None]:
    return [stream.push(frame_of(KEYPOINTS, f), f / stream.fps) for f in range(n)]


@pytest.mark.parametrize(("look_ahead", "n_hypotheses"), [(0, 4), (3, 5)])
def test_a_stream_with_full_reach_is_the_sampler_on_its_window(
    sampler, look_ahead: int, n_hypotheses: int
) -> None:  # type: ignore[no-untyped-def]
    stream = CausalStream(
        sampler, fps=FPS, look_ahead=look_ahead, n_hypotheses=n_hypotheses, context=12, reach=12
    )
    drawn = pushed(stream, 20)[-1]
    window = replace(
        KEYPOINTS, xy=KEYPOINTS.xy[8:20], confidence=KEYPOINTS.confidence[8:20], covariance=None
    )
    noise = RollingNoise(0).window(8, 12, 8 / FPS)
    offline = sampler.sample(window, n_hypotheses, noise)
    at = 11 - look_ahead
    torch.testing.assert_close(drawn.joints[:, 0], offline.joints[:, at], rtol=0, atol=2e-6)
    torch.testing.assert_close(drawn.root[:, 0], offline.root[:, at], rtol=0, atol=2e-5)
    assert stream.seconds == pytest.approx((19 - look_ahead) / FPS)


def test_a_shorter_reach_moves_hypotheses_by_less_than_their_spread(sampler) -> None:  # type: ignore[no-untyped-def]
    near, far = (CausalStream(sampler, fps=FPS, context=27, reach=r) for r in (9, 27))
    a, b = pushed(near, 30)[-1], pushed(far, 30)[-1]
    moved = (a.joints - b.joints).norm(dim=-1).mean()
    spread = (b.joints - b.joints.mean(0)).norm(dim=-1).mean()
    assert moved < 0.5 * spread


def test_hypotheses_are_one_motion_each(sampler) -> None:  # type: ignore[no-untyped-def]
    drawn = pushed(CausalStream(sampler, fps=FPS), 40)[20:]
    joints = torch.cat([h.joints for h in drawn], 1)
    off = joints - joints.mean(0)
    step = off.diff(dim=1).norm(dim=-1).mean()
    apart = (off[:, None] - off[None]).norm(dim=-1).mean() * 20 / 19
    assert step < 0.25 * apart  # fresh noise at every push would make them equal


def test_the_first_frames_wait_and_the_last_are_finished(sampler) -> None:  # type: ignore[no-untyped-def]
    stream = CausalStream(sampler, fps=FPS, look_ahead=4, n_hypotheses=2)
    drawn = pushed(stream, 10)
    assert [d is None for d in drawn] == [True] * 4 + [False] * 6
    times = []
    for rest in stream.finish():
        assert rest.joints.shape == (2, 1, 17, 3)
        times.append(round((stream.seconds or 0.0) * FPS))
    assert times == [6, 7, 8, 9]
    assert stream.latency_s == pytest.approx(4 / FPS)


def test_memory_is_that_of_a_window() -> None:
    stream = CausalStream(hypopose.make_sampler("boneflips"), fps=FPS, n_hypotheses=2, context=9)
    for i in range(300):
        stream.push(frame_of(KEYPOINTS, i % 50), i / FPS)
    assert len(stream._window) == 9
    assert len(stream._noise._frames) <= 9


def test_frames_left_out_are_frames_without_detections(sampler) -> None:  # type: ignore[no-untyped-def]
    whole, holes = (CausalStream(sampler, fps=FPS, n_hypotheses=2) for _ in range(2))
    nothing = replace(
        frame_of(KEYPOINTS, 0),
        xy=torch.full((1, 17, 2), torch.nan),
        confidence=torch.zeros(1, 17),
    )
    for f in range(12):
        missing = f in (4, 5, 9)
        a = whole.push(nothing if missing else frame_of(KEYPOINTS, f), f / FPS)
        b = b if missing else holes.push(frame_of(KEYPOINTS, f), f / FPS)
    torch.testing.assert_close(a.joints, b.joints, rtol=0, atol=0)
    assert holes.seconds == whole.seconds


def test_detected_keypoints_in_another_skeleton_are_converted(sampler) -> None:  # type: ignore[no-untyped-def]
    rng = torch.Generator().manual_seed(0)
    xy = 200 + 100 * torch.rand(1, 17, 2, generator=rng)
    stream = CausalStream(sampler, n_hypotheses=2)
    with pytest.raises(OptionError, match="image_size"):
        stream.push(Keypoints2D(xy, COCO17), 0.0)
    drawn = stream.push(Keypoints2D(xy, COCO17, image_size=(640, 480)), 0.0)
    assert drawn.joints.shape == (2, 1, 17, 3)


def test_a_detector_turns_frames_into_poses(sampler) -> None:  # type: ignore[no-untyped-def]
    class Two:
        name, skeleton, max_people = "two", COCO17, None

        def detect(self, rgb: np.ndarray) -> Seen:
            body = np.random.default_rng(0).uniform(100, 200, (17, 2))
            xy = np.stack([body * 0.3, body])
            boxes = np.concatenate([xy.min(1), xy.max(1)], -1)
            return Seen(xy, np.ones((2, 17)), boxes)

        def reset(self) -> None: ...

        def describe(self) -> dict[str, str]:
            return {"name": self.name}

        def close(self) -> None: ...

    stream = CausalStream(sampler, n_hypotheses=2, detector=Two())
    frame = np.zeros((240, 320, 3), np.uint8)
    assert stream.push(frame, 0.0).joints.shape == (2, 1, 17, 3)
    assert stream._last is not None
    assert stream._last.max() > 150  # the larger of the two
    with pytest.raises(OptionError, match="no detector"):
        CausalStream(sampler).push(frame, 0.0)


def test_what_a_stream_cannot_take_is_refused(sampler) -> None:  # type: ignore[no-untyped-def]
    for wrong in ({"look_ahead": 9}, {"fps": 0.0}, {"reach": 3}, {"reach": 30}, {"n_hypotheses": 0},
                  {"look_ahead": 8, "reach": 8}):  # fmt: skip
        with pytest.raises(OptionError):
            CausalStream(sampler, **wrong)
    stream = CausalStream(sampler, n_hypotheses=1)
    with pytest.raises(ShapeError, match="one frame a push"):
        stream.push(KEYPOINTS, 0.0)
    stream.push(frame_of(KEYPOINTS, 0), 100.0)
    with pytest.raises(OptionError, match="push frames in order"):
        stream.push(frame_of(KEYPOINTS, 1), 2.0)


def test_a_pause_begins_a_new_window(sampler) -> None:  # type: ignore[no-untyped-def]
    stream = CausalStream(sampler, fps=FPS, n_hypotheses=2)
    pushed(stream, 3)
    stream.push(frame_of(KEYPOINTS, 3), 3600.0)
    assert stream.seconds == pytest.approx(3600.0, abs=1 / FPS)


def test_the_command_writes_a_line_a_pose(tmp_path: Path) -> None:
    from hypopose.io import save_keypoints

    save_keypoints(tmp_path / "walk.npz", KEYPOINTS)
    out = tmp_path / "live.jsonl"
    result = CliRunner().invoke(
        main, ["live", str(tmp_path / "walk.npz"), "-o", str(out), "--end", "0.4",
               "--n-hypotheses", "2", "--look-ahead", "2", "--all-hypotheses"]
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [round(line["seconds"] * FPS) for line in lines] == list(range(10))
    assert np.array(lines[0]["hypotheses"]).shape == (2, 17, 3)
    assert len(lines[0]["spread_mm"]) == 17
    assert "10 poses" in result.stderr


def piped(lines: list[str], *options: str) -> Any:
    arguments = ["live", "-", "--n-hypotheses", "2", *options]
    return CliRunner().invoke(main, arguments, input="".join(f"{line}\n" for line in lines))


def test_lines_of_a_pipe_give_what_a_file_gives(tmp_path: Path) -> None:
    from hypopose.io import save_keypoints

    lines = []
    for f in range(6):
        sure = (
            torch.ones(17, 1) if KEYPOINTS.confidence is None else KEYPOINTS.confidence[f, :, None]
        )
        rows: list[Any] = torch.cat([KEYPOINTS.xy[f], sure], -1).tolist()
        lines.append(json.dumps({"seconds": f / FPS, "keypoints": rows}))
    known = ("--skeleton", "h36m17", "--image-size", "1000", "1000", "--fps", str(FPS))
    found = piped(lines, *known)
    assert found.exit_code == 0, found.output
    poses = [json.loads(line)["joints"] for line in found.stdout.splitlines()]
    assert len(poses) == 6
    save_keypoints(tmp_path / "walk.npz", replace(KEYPOINTS, camera=None, image_size=(1000, 1000)))
    said = CliRunner().invoke(
        main, ["live", str(tmp_path / "walk.npz"), "--n-hypotheses", "2", "--end", str(5.5 / FPS)]
    )
    read = [json.loads(line)["joints"] for line in said.stdout.splitlines()]
    np.testing.assert_allclose(poses, read, atol=1e-3)


@pytest.mark.parametrize(
    ("line", "options", "words"),
    [
        ('{"keypoints": [[1, 2, 3]]}', (), "need --skeleton and --image-size"),
        ('{"keypoints": [[1, 2, 1]]}', ("--skeleton", "coco17"), "need --skeleton"),
        ('{"keypoints": [[1, 2, 1]]}', SIZED, "with 17 keypoints of coco17"),
        ("hello", SIZED, "Line 1 of the pipe"),
        ("[1]", SIZED, "Line 1 of the pipe"),
    ],
)
def test_other_lines_are_refused(line: str, options: tuple[str, ...], words: str) -> None:
    result = piped([line], *options)
    assert result.exit_code == 2
    assert words in result.stderr
