"""``hypopose cameras``: find where cameras stand from people who move in all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hypopose.cli.options import READING, shared
from hypopose.cli.overwrite import force_option, refuse_existing, refuse_overwriting
from hypopose.cli.view_files import (
    cameras_of_views,
    offsets_of,
    read_views,
    view_names,
    view_options,
    with_focal,
)

EXAMPLES = """\b
Examples:
  hypopose cameras front.json side.json -o rig.json --height 1.78
  hypopose cameras cam1.csv cam2.csv -o rig.json -o Calib.toml --baseline 5.2
  hypopose cameras front.json side.json -o rig.json --camera lenses.toml --max-offset 0"""


@click.command(epilog=EXAMPLES)
@click.argument("views", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "outputs",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="File to write: .json for hypopose, .toml for Pose2Sim and anipose, .yml for OpenCV. "
    "Repeat for several.",
)
@shared("skeleton", "input_format", "image_size", "fps", *READING)
@click.option("--height", type=float, help="Stature of the people in meters: sets the scale.")
@click.option(
    "--baseline", type=float, help="Distance of the first two cameras in meters: sets the scale."
)
@click.option(
    "--camera",
    "camera_file",
    metavar="FILE",
    help="Focal lengths and distortion: one camera for all views, or one named like each view. "
    "Without it, --focal and --fov, focal lengths are estimated too.",
)
@click.option("--focal", type=float, help="Focal length of all views in pixels.")
@click.option("--fov", type=float, help="Field of view of all views, longer side, in degrees.")
@view_options
@click.option(
    "--max-offset",
    type=click.FloatRange(0, 600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Largest time offset between recordings; 0 if they are synchronized.",
)
@shared("seed")
@force_option
def cameras(views: tuple[Path, ...], outputs: tuple[Path, ...], **options: Any) -> None:
    """Find the cameras of VIEWS, keypoint files of the same people by several cameras at once.

    People who walk around replace a calibration board: rotations, positions, unknown focal lengths
    and time offsets between recordings are estimated from their joints. Without --height or
    --baseline, people are taken for average adults.

    Frames are numbered as in the first view. `hypopose triangulate` and `hypopose sample --view`
    take the rig. If the recordings do not determine the cameras, an error says what would.
    """
    from hypopose.api.rigs import find_cameras
    from hypopose.io import save_calibration
    from hypopose.io.camera_files import check_calibration_ending

    for output in outputs:
        check_calibration_ending(output)
        for view in views:
            refuse_overwriting(view, output)
    refuse_existing(*outputs, force=options["force"])
    names = view_names(views, options["names"])
    files = read_views(views, names, options, cameras_of_views(options, views, names))
    found = find_cameras(
        with_focal(files, options),
        height=options["height"],
        baseline=options["baseline"],
        offsets=offsets_of(options, names) | _in_step(options, names),
        max_offset=options["max_offset"],
        first_frames={file.name: file.first_frame for file in files},
        sources={file.name: file.path.name for file in files},
        seed=options["seed"],
    )
    click.echo(found.describe())
    for output in outputs:
        click.echo(f"-> {output}: {save_calibration(output, found.rig)}")


def _in_step(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """Offsets of zero where offsets are not estimated."""
    if options["max_offset"] > 0:
        return {}
    given = {name for name, _ in options["offsets"]}
    return {name: 0.0 for name in names[1:] if name not in given}
