"""``hypopose info``: what is in a keypoint or result file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli import CommandError, one_line
from hypopose.cli.options import READING, reading_given, shared
from hypopose.cli.wording import in_cli_words
from hypopose.errors import FormatError, HypoPoseError

if TYPE_CHECKING:
    from hypopose.io.results import Result
    from hypopose.types import Camera


EXAMPLES = """\b
Examples:
  hypopose info walk.json
  hypopose info walk.npz"""


@click.command(epilog=EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@shared("skeleton", "input_format", "image_size", "fps", *READING)
def info(files: tuple[Path, ...], **options: Any) -> None:
    """Show what is in FILES: format, skeleton, people, frames, gaps, camera; or a result's record.

    Exit code 0: all were read. 1: some of several were refused. 2: none was read.
    """
    refused = []
    for file in files:
        try:
            click.echo(_describe(file, options))
        except (HypoPoseError, OSError) as error:
            if len(files) == 1:
                raise
            click.echo(f"{one_line(error)}", err=True)
            refused.append(file)
    if len(refused) == len(files):
        raise CommandError(f"None of the {len(files)} files could be read.")
    if refused:
        raise SystemExit(1)


def _describe(file: Path, options: dict[str, Any]) -> str:
    from hypopose.io import inspect, load_hypotheses
    from hypopose.io.native import is_result

    try:
        result = load_hypotheses(file)
    except FormatError:
        if is_result(file):
            raise  # damaged: its keypoints alone would look like an intact file
        given = {name: options[name] for name in ("skeleton", "image_size", "fps")}
        given["format"] = options["input_format"]
        found = inspect(file, **given, **reading_given(options))
        return in_cli_words(found.describe())
    return describe_result(file, result)


def _camera_words(camera: Camera) -> str:
    state = "assumed" if camera.assumed else "given"
    fx, fy = (float(f) for f in camera.focal)
    w, h = camera.image_size
    return f"{state}: focal {fx:.1f}, {fy:.1f} px, image {w} x {h} px"


def describe_result(path: Path, result: Result) -> str:
    """A result's record as text, a line per fact.

    Args:
        path: Its file.
        result: What was in it.

    Returns:
        Lines like those of a keypoint file's description.
    """
    keypoints, camera = result.keypoints, result.keypoints.camera
    seen = int(keypoints.detected.any(-1).sum())
    rate = "not stated" if keypoints.fps is None else f"{keypoints.fps:g} Hz"
    options = ", ".join(f"{k}={v}" for k, v in result.sampler.items() if k != "name")
    lines = [
        str(path),
        "  format      HypoPose result",
        f"  source      {result.source or 'not stated'}, person {result.person}",
        f"  hypotheses  {len(result.hypotheses)}, skeleton {result.hypotheses.skeleton.name}",
        f"  frames      {keypoints.n_frames}, {seen} with keypoints",
        f"  frame rate  {rate}",
        f"  sampler     {result.sampler.get('name', 'not stated')}, seed {result.seed}",
        f"  options     {options or 'none'}",
        f"  weights     {result.weights or 'none'}",
        f"  spread      {result.spread_words}",
        f"  aggregate   {result.aggregate}",
        f"  version     {result.version}",
    ]
    if camera is not None:
        lines.insert(6, f"  camera      {_camera_words(camera)}")
    if keypoints.approximate:
        lines.append(f"  approximate {', '.join(keypoints.approximate)}")
    return "\n".join([*lines, *(f"  note        {note}" for note in result.notes)])
