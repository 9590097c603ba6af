"""``hypopose export``: a result, or a network, as other programs read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from hypopose.cli.camera_options import preset_option, smooth_of
from hypopose.cli.overwrite import force_option, refuse_existing, refuse_overwriting
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.io import Result
    from hypopose.io.writers import Exported

EXAMPLES = """\b
Examples:
  hypopose export walk.npz -o walk.trc -o walk.bvh
  hypopose export walk.npz -o walk.csv --motion all
  hypopose export walk_person0.npz walk_person1.npz -o both.csv -o both.c3d
  hypopose export walk.npz -o walk.glb --rig vrm --lock-feet --preset walk
  hypopose export d3dp-frame-small -o network.onnx"""


@click.command(epilog=EXAMPLES)
@click.argument(
    "sources", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "-o",
    "--output",
    "outputs",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="File to write; its ending is the format: .c3d, .trc, .mot, .bvh, .glb, .csv, .parquet, "
    ".nc, .json or .npz; .onnx for a network. Repeat for several.",
)
@click.option(
    "--motion",
    help="aggregate, all, or a hypothesis by number. Default: all in tables, else the aggregate.",
)
@click.option(
    "--frame",
    type=click.Choice(["camera", "world"]),
    help="Default: the world of the camera's file or of --ground, z up in tables; without one the "
    "camera's frame.",
)
@click.option(
    "--up",
    type=click.Choice(["native", "y", "z"]),
    help="Turn this axis up. Default: the format's; native (camera: y down) in tables.",
)
@click.option(
    "--root",
    type=click.Choice(["placed", "apart", "none"]),
    help="Add the fitted root to the joints, write it separately (tables), or leave it out.",
)
@click.option("--unit", type=click.Choice(["m", "cm", "mm"]), help="Default: the format's.")
@click.option("--fps", type=float, help="Frames per second, if the result does not state it.")
@click.option(
    "--rig",
    type=click.Choice(["mixamo", "vrm"]),
    help="For .bvh and .glb: a humanoid whose bones are named as Mixamo's or VRM's.",
)
@click.option(
    "--lock-feet",
    is_flag=True,
    help="For .bvh and .glb: keep feet still while they are on the floor.",
)
@click.option(
    "--in-place",
    is_flag=True,
    help="For .bvh and .glb: remove the horizontal movement of the root.",
)
@preset_option
@click.option(
    "--form",
    type=click.Choice(["denoiser", "lifter", "prior"]),
    help="For .onnx: what the network is called as. Default: the first of these that it can be.",
)
@force_option
@click.pass_context
def export(
    context: click.Context,
    /,
    sources: tuple[Path, ...],
    outputs: tuple[Path, ...],
    force: bool,
    **options: Any,
) -> None:
    """Write SOURCE for another program: a result (npz of hypopose sample), or a network.

    C3D, TRC, BVH and glTF hold positions with the format's axis up and the fitted root added; C3D's
    residual is each joint's standard deviation. MOT holds joint coordinates of OpenSim's full-body
    model, and setup files for Scale and Inverse Kinematics are written next to a TRC. With --motion
    all, C3D, TRC, MOT and BVH become a file per motion: OUT, OUT_h00, OUT_h01, ...

    BVH and glTF hold rotations of bones of constant length; --rig, --lock-feet, --in-place and
    --preset make them ready for animation.

    Several results are several people in one file: a glTF with a figure for each, a CSV or Parquet
    table with a column person, or a TRC or C3D whose labels begin with the person (P0:left_knee).

    With -o FILE.onnx, SOURCE is a folder of weights or the name of bundled weights, and one
    evaluation of the network is written, if onnxruntime agrees with torch on it.
    """
    form = options.pop("form")
    networks = [path for path in outputs if path.suffix.lower() == ".onnx"]
    if len(networks) not in (0, len(outputs)):
        raise OptionError("An .onnx file holds a network, other files a result; use two commands.")
    if networks:
        _refuse(context, list(options), "a network")
        if len(sources) > 1:
            raise OptionError("An .onnx file holds one network; export each to a file of its own.")
        _export_network(sources[0], networks, form, force)
        return
    _refuse(context, ["form"], "a result")
    smooth = smooth_of(options.pop("preset"))
    chosen = {**options, "which": _motion(options["motion"])}
    del chosen["motion"]
    if len(sources) > 1:
        _export_people(sources, outputs, chosen, smooth, force)
    else:
        _export_result(sources[0], outputs, chosen, smooth, force)


def _export_result(
    result: Path,
    outputs: tuple[Path, ...],
    options: dict[str, Any],
    smooth: float | None,
    force: bool,
) -> None:
    from hypopose.io import ExportOptions, export_result
    from hypopose.io.writers import export_paths

    stored, chosen = _load(result, smooth), ExportOptions(**options)
    planned = [path for output in outputs for path in export_paths(output, stored, chosen)]
    refuse_overwriting(result, *planned)
    if len({path.resolve() for path in planned}) < len(planned):
        raise OptionError("Two of the exports would be one file; give each -o a name of its own.")
    refuse_existing(*planned, force=force)
    for output in outputs:
        _say(export_result(output, stored, chosen))


def _export_people(
    results: tuple[Path, ...],
    outputs: tuple[Path, ...],
    options: dict[str, Any],
    smooth: float | None,
    force: bool,
) -> None:
    from hypopose.io import ExportOptions
    from hypopose.io.writers import export_people

    refuse_existing(*outputs, force=force)
    stored = [_load(path, smooth) for path in results]
    for output in outputs:
        _say(export_people(output, stored, ExportOptions(**options)))


def _load(path: Path, smooth: float | None) -> Result:
    from hypopose.api import adjust
    from hypopose.io import load_hypotheses

    stored = load_hypotheses(path)
    return stored if smooth is None else adjust(stored, smooth=smooth)


def _say(done: Exported) -> None:
    """Files, axes and notes of an export."""
    more = "" if len(done.paths) == 1 else f" to {done.paths[-1].name}"
    click.echo(f"-> {done.paths[0]}{more}: {done.axes}")
    if done.beside:
        click.echo(f"   also wrote: {', '.join(p.name for p in done.beside)}")
    for note in done.notes:
        click.echo(f"   {note}")


def _export_network(source: Path, outputs: list[Path], form: Any, force: bool) -> None:
    from hypopose.networks.onnx import export_onnx

    refuse_existing(*outputs, force=force)
    for output in outputs:
        done = export_onnx(source, output, form=form)
        inputs = [f"{name} [{', '.join(map(str, axes))}]" for name, axes in done.inputs.items()]
        click.echo(f"-> {done.path}: {done.form}; {', '.join(inputs)}")
        click.echo(f"   at most {done.difference:.1e} from torch, in {len(done.sizes)} sizes")


def _refuse(context: click.Context, names: list[str], kind: str) -> None:
    """Raise if an option was given that has no meaning for what is exported."""
    for name in names:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise OptionError(f"--{name} has no meaning for {kind}; leave it out.")


def _motion(word: str | None) -> str | int | None:
    """``aggregate``, ``all``, or a number.

    Example:
        >>> _motion("3"), _motion("all")
        (3, 'all')
    """
    return int(word) if word is not None and word.isdecimal() else word
