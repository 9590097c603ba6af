"""``hypopose triangulate``: people in three dimensions from several placed cameras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.jobs import FORMATS
from hypopose.cli.options import READING, shared
from hypopose.cli.overwrite import force_option, refuse_existing, refuse_overwriting
from hypopose.cli.view_files import (
    clocks_of,
    names_in_rig,
    offsets_of,
    read_views,
    view_options,
)
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.io.results import Result

EXAMPLES = """\b
Examples:
  hypopose triangulate front.json side.json --camera rig.json -o walk.npz
  hypopose triangulate cam1.csv cam2.csv --camera Calib.toml -o walk.npz --format trc
  hypopose triangulate front.json side.json --camera rig.json -o walk.npz --fuse"""


@click.command(epilog=EXAMPLES)
@click.argument("views", nargs=-1, required=True, type=click.Path(path_type=Path))
@shared(
    "skeleton", "input_format", "image_size", "fps", *READING,
    output={"help": "Result file (.npz, or an export format). Several people: OUT_person<N>."},
)  # fmt: skip
@click.option(
    "--camera",
    "camera_file",
    required=True,
    metavar="FILE",
    help="Cameras of the views by their names, in one world: rig.json of hypopose cameras, or any "
    "calibration that hypopose sample reads.",
)
@click.option(
    "--camera-unit",
    metavar="UNIT",
    help="Unit of the camera file's translations: m, cm, mm, or meters per unit.",
)
@view_options
@click.option(
    "--max-residual",
    type=float,
    default=25.0,
    show_default=True,
    metavar="PIXELS",
    help="Joints that a view disagrees with by more are left out.",
)
@click.option(
    "--fuse",
    is_flag=True,
    help="Draw hypotheses of every view with --sampler and combine them, instead of triangulating.",
)
@click.option(
    "--format",
    "file_formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="Also write every result in this format; repeat for several.",
)
@shared("sampler", "weights", "n_hypotheses", "seed", "device")
@force_option
def triangulate(views: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Reconstruct the people of VIEWS, keypoint files of placed cameras, in 3D.

    Writes one result per person, as `hypopose sample` does: positions in the first camera's frame,
    their covariances from reprojection residuals, and motions drawn from them. All commands that
    read results accept it: export (--frame world has z up), report, evaluate, render.

    With --fuse the hypotheses of single views are combined by importance weights.
    """
    from hypopose.api.several_views import bring_together, fuse_views, triangulate_views
    from hypopose.io import load_rig
    from hypopose.io.writers import check_ending
    from hypopose.multiview import Gates

    for ending in (output.suffix[1:], *options["file_formats"]):
        check_ending(f"result.{ending}")
    _check_options(options)
    for view in views:
        refuse_overwriting(view, output)
    rig = load_rig(options["camera_file"], options["image_size"], unit=options["camera_unit"])
    names = names_in_rig(views, options, rig)
    files = read_views(views, names, options, rig.cameras)
    together = bring_together(
        {file.name: file.people for file in files},
        rig,
        clocks_of(files, rig, offsets_of(options, names)),
    )
    if together.alone:
        told = ", ".join(f"person {i} of {name}" for name, i in together.alone)
        click.echo(f"left out, as no other view shows them: {told}")
    shared_options = {
        "n_hypotheses": options["n_hypotheses"],
        "seed": options["seed"],
        "source": views[0].name,
    }
    if options["fuse"]:
        chosen = {k: options[k] for k in ("sampler", "weights", "device")}
        results = fuse_views(together, **shared_options, **chosen)
    else:
        gates = Gates(residual_px=options["max_residual"])
        results = triangulate_views(
            together, scale_std=rig.scale_std, gates=gates, **shared_options
        )
    _write(results, output, options)


def _check_options(options: dict[str, Any]) -> None:
    if not options["max_residual"] > 0:
        raise OptionError(f"--max-residual is in pixels, got {options['max_residual']}.")
    if options["n_hypotheses"] < 1:
        raise OptionError(f"--n-hypotheses is 1 or more, got {options['n_hypotheses']}.")
    if not options["fuse"] and (options["sampler"] or options["weights"]):
        raise OptionError("--sampler and --weights belong to --fuse; triangulating needs neither.")


def _write(results: dict[str, Result], output: Path, options: dict[str, Any]) -> None:
    from hypopose.cli.jobs import Job
    from hypopose.io import export_result, save_result

    paths = Job(output, output).outputs_of(list(results))
    exports = [
        path.with_suffix(f".{f}")
        for path in paths
        for f in dict.fromkeys(options["file_formats"])
        if path.suffix != f".{f}"
    ]
    refuse_existing(*paths, *exports, force=options["force"])
    output.parent.mkdir(parents=True, exist_ok=True)
    for path, result in zip(paths, results.values(), strict=True):
        save_result(path, result)
        click.echo(f"person {result.person}: {result.keypoints.n_frames} frames -> {path}")
        for note in result.notes:
            click.echo(f"   {note}")
        for ending in dict.fromkeys(options["file_formats"]):
            if path.suffix == f".{ending}":
                continue
            for note in export_result(path.with_suffix(f".{ending}"), result).notes:
                click.echo(f"   {note}")
