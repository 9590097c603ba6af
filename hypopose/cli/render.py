"""``hypopose render``: hypotheses over the frames of a video, as a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hypopose.cli.overwrite import force_option, refuse_existing

EXAMPLES = """\b
Examples:
  hypopose render walk.npz --video walk.mp4 -o overlay.mp4"""


@click.command(epilog=EXAMPLES)
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Video to write: .mp4, .gif, .mkv, .mov or .webm.",
)
@click.option(
    "--video",
    type=click.Path(path_type=Path),
    help="Video the keypoints were found in; without it, a plain background.",
)
@click.option("--start", type=float, help="Seconds of the video at which the results begin.")
@click.option("--every", type=int, default=1, help="Draw only every N-th frame of the video.")
@click.option("--max-side", default=960, show_default=True, help="Pixels of the longer side.")
@click.option(
    "--n-shown", default=50, show_default=True, help="Maximum number of hypotheses drawn."
)
@click.option("--no-side", is_flag=True, help="Leave out the side view.")
@force_option
def render(results: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Draw the hypotheses of RESULTS, the people of one recording, over its frames.

    Lines are solid where hypotheses agree and transparent where they differ. Orange is the person's
    left, blue the right.
    """
    from hypopose.cli.footage_options import progress_bar
    from hypopose.io import load_hypotheses
    from hypopose.video import Clip
    from hypopose.video.encode import check_video_ending
    from hypopose.video.overlay import render as draw

    check_video_ending(output)
    refuse_existing(output, force=options["force"])
    loaded = [load_hypotheses(path) for path in results]
    read_from = loaded[0].made_with.get("footage") or {}
    start = read_from.get("start", 0.0) if options["start"] is None else options["start"]
    clip = Clip(start=start, every=options["every"], max_side=options["max_side"])
    with progress_bar(f"drawing {output.name}") as advance:
        n = draw(
            output, loaded, options["video"], clip=clip, start=start,
            n_shown=options["n_shown"], side=not options["no_side"], progress=advance,
        )  # fmt: skip
    click.echo(
        f"Wrote {output}: {n} frames, {len(loaded)} {'person' if len(loaded) == 1 else 'people'}."
    )
