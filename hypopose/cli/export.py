"""``hypopose export``: a result as other programs read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hypopose.cli.targets import force_option, refuse_existing
from hypopose.errors import OptionError


@click.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "outputs",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="File to write; its ending is the format: .c3d, .trc, .mot, .bvh, .glb, .csv, .parquet, "
    ".nc, .json or .npz. Repeat for several.",
)
@click.option(
    "--motion",
    help="aggregate, all, or a hypothesis by number. Default: all in tables, else the aggregate.",
)
@click.option(
    "--frame",
    type=click.Choice(["camera", "world"]),
    default="camera",
    show_default=True,
    help="world needs a camera with rotation.",
)
@click.option(
    "--up",
    type=click.Choice(["native", "y", "z"]),
    help="Turn this axis up. Default: the format's; native (camera: y down) in tables.",
)
@click.option(
    "--root",
    type=click.Choice(["placed", "apart", "none"]),
    help="Add the fitted root to the joints, keep it beside them (tables), or leave it out.",
)
@click.option("--unit", type=click.Choice(["m", "cm", "mm"]), help="Default: the format's.")
@click.option("--fps", type=float, help="Frames per second, where the result does not say.")
@force_option
def export(
    result: Path, outputs: tuple[Path, ...], motion: str | None, force: bool, **options: Any
) -> None:
    """Write RESULT (npz of hypopose sample) for another program.

    C3D, TRC, MOT, BVH and glTF hold places with the format's axis up and the fitted root added;
    C3D's residual is each joint's standard deviation. With --motion all, C3D, TRC, MOT and BVH
    become a file per motion: OUT, OUT_h00, OUT_h01, ...

    Example: hypopose export walk.npz -o walk.c3d -o walk.bvh
    """
    from hypopose.io import ExportOptions, export_result, load_hypotheses
    from hypopose.io.export import export_paths

    stored = load_hypotheses(result)
    chosen = ExportOptions(which=_motion(motion), **options)
    planned = [path for output in outputs for path in export_paths(output, stored, chosen)]
    for path in planned:
        if path.resolve() == result.resolve():
            raise OptionError(f"{path} would be replaced by its own export; give another -o.")
    refuse_existing(*planned, force=force)
    for output in outputs:
        done = export_result(output, stored, chosen)
        more = "" if len(done.paths) == 1 else f" to {done.paths[-1].name}"
        click.echo(f"-> {done.paths[0]}{more}: {done.axes}")
        for note in done.notes:
            click.echo(f"   {note}")


def _motion(word: str | None) -> str | int | None:
    """``aggregate``, ``all``, or a number.

    Example:
        >>> _motion("3"), _motion("all")
        (3, 'all')
    """
    return int(word) if word is not None and word.isdecimal() else word
