"""``hypopose adapt``: weights adapted to your own cameras and people, from keypoints without 3D."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.options import READING, shared
from hypopose.cli.overwrite import force_option, refuse_existing, refuse_overwriting
from hypopose.cli.targets import read_targets
from hypopose.cli.view_files import view_options

if TYPE_CHECKING:
    from hypopose.adaptation import Adapted

EXAMPLES = """\b
Examples:
  hypopose adapt monday.json tuesday.json -o weights/studio --motion motion
  hypopose adapt walk.json -o weights/anna --height 1.12
  hypopose adapt front.json side.json back.json -o weights/lab --views rig.json"""


@click.command(epilog=EXAMPLES)
@click.argument("keypoints", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of weights to write. An unfinished run is kept next to it, in OUTPUT.adapting.",
)
@shared("skeleton", "input_format", "image_size", "fps", *READING)
@click.option(
    "--views",
    "rig_file",
    metavar="RIG",
    help="The files are views of the same people at the same time, and this is where the cameras "
    "are: rig.json of hypopose cameras. They label each other.",
)
@click.option("--minutes", type=float, help="Time of training, instead of frames.")
@click.option(
    "--n-frames",
    type=int,
    help="Frames of training: repeats exactly. Default: 80,000 (a minute), 1,200,000 with "
    "--views (6 to 12 minutes).",
)
@click.option(
    "--motion",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of motion shards that is replayed, best those the weights were trained on. "
    "Default: synthetic figures, whose movements are limited.",
)
@click.option("--height", type=float, help="Stature of the people in meters, if all share it.")
@click.option(
    "--camera",
    "camera_file",
    metavar="FILE",
    help="Cameras of the files: one for all, or one of each file's name.",
)
@click.option("--camera-unit", metavar="UNIT", help="Unit of RIG: m, cm or mm; default: inferred.")
@click.option("--focal", type=float, help="Focal length of all files in pixels.")
@click.option("--fov", type=float, help="Field of view of all files, longer side, in degrees.")
@view_options
@click.option(
    "--rank",
    type=click.IntRange(0, 4096),
    default=0,
    show_default=True,
    help="Train low-rank adapters of this rank only; 0 trains everything.",
)
@shared(
    weights={"help": "Weights to start from: a bundled name, or a folder."},
    settings={"help": "Any other option of adaptation: --set teacher=0 --set learning_rate=1e-4."},
    seed={"help": "Decides batches and noise."},
    device={},
)
@force_option
def adapt(keypoints: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Adapt weights to the people and cameras of KEYPOINTS, files without 3D.

    The network trains on motions placed where these people are, on bodies like theirs; several
    views are labels for each other. The last fifth of every file is not used for training: weights
    are written if a proper score on it improved; otherwise nothing is, and the exit code is 1.

    Ctrl-C stops cleanly; the same command continues. `hypopose sample WALK --weights OUTPUT` takes
    the result.
    """
    from hypopose.api.adapting import adapt as adapt_weights

    for path in keypoints:
        refuse_overwriting(path, output)
    refuse_existing(output, force=options["force"])
    targets, placed = read_targets(keypoints, options)
    with _reporting(output) as report:
        adapted = adapt_weights(
            targets,
            output,
            **placed,
            **_chosen(options),
            weights=options["weights"],
            motion=options["motion"],
            report=report,
            say=click.echo,
        )
    _conclude(adapted, output)


def _chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of adaptation, as far as they are given."""
    from hypopose.cli.set_option import read_settings

    names = ("minutes", "n_frames", "height", "rank", "seed", "device")
    given = {name: options[name] for name in names if options[name] is not None}
    return {**given, **read_settings(options["settings"])}


@contextmanager
def _reporting(output: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A bar that follows the log; Ctrl-C makes the run's file ``STOP``."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from hypopose.adaptation.adapt_run import RUN_ENDING

    stop = output.with_name(output.name + RUN_ENDING) / "STOP"

    def end(*_: object) -> None:
        if not stop.parent.is_dir():
            raise KeyboardInterrupt
        stop.touch()

    before = signal.signal(signal.SIGINT, end)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, transient=True) as bar:
            task = bar.add_task("starting", total=1.0, start=False, visible=False)

            def report(row: dict[str, Any]) -> None:
                bar.start_task(task)
                text = f"{row['frames']:,} frames  {row.get('frames_per_s', 0)}/s"
                bar.update(task, completed=row["share"], description=text, visible=True)

            yield report
    finally:
        signal.signal(signal.SIGINT, before)


def _conclude(adapted: Adapted, output: Path) -> None:
    """Print the result; exit 1 if nothing improved."""
    from hypopose.adaptation.card import lines

    if not adapted.is_finished:
        click.echo("stopped; the same command goes on")
        return
    if adapted.changes:
        click.echo("held back (no 3D; lower is better), before -> after, with standard error:")
        click.echo("\n".join(lines(adapted.changes)))
    if adapted.forgetting:
        click.echo("validation motion of other people, mm:")
        click.echo("\n".join(lines(adapted.forgetting)))
    else:
        click.echo("forgetting is not known: the motion has no validation split of 27 frames")
    if not adapted.has_improved:
        click.echo(
            f"Nothing is written: {adapted.against}. Longer recordings, --views, --height or "
            "--motion may help.",
            err=True,
        )
        raise click.exceptions.Exit(1)
    if adapted.share < 1:
        kept = round(100 * adapted.share)
        click.echo(f"{kept} % of the way, so that little is forgotten")
    click.echo(f"weights -> {output}")
