"""``hypopose live``: 3D hypotheses of the newest frame, from a camera, a video or keypoints."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.live_input import from_file, from_footage, from_lines
from hypopose.cli.options import shared
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.api import Stream
    from hypopose.types import Hypotheses


EXAMPLES = """\b
Examples:
  hypopose live camera:0 -o live.jsonl
  hypopose live walk.json -o live.jsonl --look-ahead 4
  hypopose live - --skeleton coco17 --image-size 1280 720 < walk.jsonl"""


@click.command(epilog=EXAMPLES)
@click.argument("source")
@click.option(
    "-o",
    "--output",
    type=click.File("w", encoding="utf-8"),
    default="-",
    help="JSON Lines, one per pose; default: standard output.",
)
@shared(
    "skeleton", "image_size",
    person={"help": "Keypoint files: this person; default: the one seen most."},
    fps={"help": "Frames per second, if the source does not state them."},
)  # fmt: skip
@click.option("--detector", default="auto", show_default=True, help="As in hypopose detect.")
@click.option("--end", type=float, help="Seconds at which to stop; default: the end, or Ctrl-C.")
@shared(
    "weights", "n_hypotheses", "seed",
    sampler={"help": "As in hypopose sample; default: the fastest calibrated one."},
)  # fmt: skip
@click.option("--look-ahead", default=0, show_default=True, help="Frames to wait for, 0 to 8.")
@click.option("--all-hypotheses", is_flag=True, help="Write every hypothesis, not only the mean.")
def live(source: str, output: Any, **options: Any) -> None:
    """Draw 3D hypotheses as frames arrive: from camera:0, a video, a keypoint file or a pipe (-).

    Writes one line per pose: its time, the mean joints in meters relative to the root, their spread
    in millimeters and, with a camera, the root. A camera's frames that come too fast are skipped.

    A pipe brings one line per frame, {"seconds": 0.04, "keypoints": [[x, y, confidence], ...]}, in
    pixels; null is a keypoint that was not detected. --skeleton and --image-size say what they are.
    """
    from hypopose.io.footage import footage_kind

    kind = footage_kind(source)
    if source == "-":
        frames = from_lines(sys.stdin, options)
    else:
        frames = from_footage(source, options) if kind else from_file(source, options)
    first = next(frames, None)
    if first is None:
        raise OptionError(f"{source}: there is no frame to begin with.")
    stream = _stream(options, first[2], detects=bool(kind))
    waits, n = [], 0
    try:
        for seconds, observed, _ in _and(first, frames):
            began = time.perf_counter()
            drawn = stream.push(observed, seconds)
            waits.append(1000 * (time.perf_counter() - began))
            n += _write(output, stream, drawn, options["all_hypotheses"])
        for drawn in stream.finish():
            n += _write(output, stream, drawn, options["all_hypotheses"])
    except KeyboardInterrupt:
        pass
    _summary(waits, n, stream)


def _and(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _stream(options: dict[str, Any], rate: float, *, detects: bool) -> Stream:
    from hypopose.api import Stream

    return Stream(
        options["sampler"],
        weights=options["weights"],
        detector=options["detector"] if detects else None,
        n_hypotheses=options["n_hypotheses"],
        look_ahead=options["look_ahead"],
        fps=rate,
        seed=options["seed"],
    )


def _write(output: Any, stream: Stream, drawn: Hypotheses | None, everything: bool) -> int:
    """One line, flushed, so that what reads it is not late."""
    if drawn is None:
        return 0
    joints = drawn.joints[:, 0]
    mean = joints.mean(0)
    spread = 1000 * (joints - mean).square().sum(-1).mean(0).sqrt()
    line: dict[str, Any] = {
        "seconds": round(stream.seconds or 0.0, 4),
        "skeleton": drawn.skeleton.name,
        "joints": _rounded(mean.tolist(), 4),
        "spread_mm": _rounded(spread.tolist(), 1),
    }
    if drawn.root is not None and bool(drawn.root.isfinite().all()):
        line["root"] = _rounded(drawn.root[:, 0].mean(0).tolist(), 4)
    if everything:
        line["hypotheses"] = _rounded(joints.tolist(), 4)
    output.write(f"{json.dumps(line, separators=(',', ':'))}\n")
    output.flush()
    return 1


def _rounded(value: Any, digits: int) -> Any:
    return [_rounded(v, digits) for v in value] if isinstance(value, list) else round(value, digits)


def _summary(waits: list[float], n: int, stream: Stream) -> None:
    waits = sorted(waits)
    middle, slow = waits[len(waits) // 2], waits[min(len(waits) - 1, int(0.99 * len(waits)))]
    rate = 1000 * len(waits) / max(sum(waits), 1e-9)
    click.echo(
        f"{n} poses, {rate:.1f} frames/s, {middle:.0f} ms a frame (99 %: {slow:.0f} ms), "
        f"{1000 * stream.latency_s:.0f} ms of look-ahead.",
        err=True,
    )
