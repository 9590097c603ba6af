"""``hypopose mesh``: surfaces for the hypotheses of a result."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.options import shared
from hypopose.cli.overwrite import force_option, refuse_existing, refuse_overwriting

if TYPE_CHECKING:
    from hypopose.bodies.mesh_scenes import MeshScene

EXAMPLES = """\b
Examples:
  hypopose mesh walk.npz -o walk.glb
  hypopose mesh walk.npz -o walk.ply --frame 20 --picture walk.png
  hypopose mesh walk.npz -o surfaces.npz --motion all --body anny"""


@click.command(epilog=EXAMPLES)
@click.argument("result", type=click.Path(path_type=Path))
@shared(
    output={"help": "File to write: .glb (animated), .ply (one frame) or .npz (everything)."},
)
@click.option(
    "--body",
    default="capsules",
    show_default=True,
    help="capsules (built in), anny (extra hypopose[mesh]), or an npz with the arrays of SMPL or "
    "SMPL-X.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Decode surfaces with these weights of hypopose train --network pmce, instead of fitting.",
)
@click.option(
    "--shape",
    type=click.Choice(["shared", "hypothesis", "frame"]),
    default="shared",
    show_default=True,
    help="What has one body shape: all frames and hypotheses, each hypothesis, or each frame.",
)
@click.option(
    "--motion",
    default="aggregate",
    show_default=True,
    help="aggregate, all, or a hypothesis by number. The spread is that of all hypotheses.",
)
@click.option("--frame", type=int, help="Only this frame; default: all, for .ply the middle one.")
@click.option(
    "--up",
    type=click.Choice(["native", "y", "z"]),
    help="Turn this axis up. Default: y; native (camera: y down) for .npz.",
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    help="Also draw one frame from the front and from the side into this PNG.",
)
@force_option
def mesh(
    result: Path, output: Path, motion: str, frame: int | None, up: str | None,
    picture: Path | None, weights: Path | None, force: bool, **options: Any,
) -> None:  # fmt: skip
    """Fit a body with a surface to every hypothesis of RESULT.

    Vertices carry the spread of the hypotheses in meters, and show it as a color: dark where
    surfaces agree, yellow where they differ.
    """
    from hypopose.api.decoded_meshes import decode_meshes
    from hypopose.api.meshes import make_meshes
    from hypopose.bodies.mesh_files import mesh_ending
    from hypopose.errors import OptionError
    from hypopose.io import load_hypotheses

    ending = mesh_ending(output)
    if ending == "glb" and up not in (None, "y"):
        raise OptionError("glTF has y up; leave out --up, or write .npz or .ply.")
    refuse_overwriting(result, output, *([] if picture is None else [picture]))
    if picture is not None and picture.resolve() == output.resolve():
        raise OptionError(f"{output} cannot be surface and picture; give another --picture.")
    refuse_existing(output, picture, force=force)
    stored = load_hypotheses(result)
    start = time.perf_counter()
    given: dict[str, Any] = {
        "motion": int(motion) if motion.isdecimal() else motion,
        "up": up or ("native" if ending == "npz" else "y"),
    }
    if weights is None:
        say = partial(click.echo, err=True)
        scene = make_meshes(stored, say=say, **given, **options)
    else:
        scene = decode_meshes(stored, weights, **given)
    seconds = time.perf_counter() - start
    _write(output, picture, scene, frame)
    record = scene.record
    click.echo(
        f"{scene.n_frames} frames, {record['n_hypotheses']} hypotheses in {seconds:.1f} s; joint "
        f"error {record['joint_error_mm']:.1f} mm (aggregate "
        f"{record['joint_error_aggregate_mm']:.1f} mm) -> {output}: {scene.axes}"
    )


def _write(output: Path, picture: Path | None, scene: MeshScene, frame: int | None) -> None:
    """Surface and picture; nothing is written where the picture cannot be drawn."""
    from hypopose.bodies.mesh_files import save_mesh
    from hypopose.report.mesh_pictures import frame_figure, save_figure

    drawn = None if picture is None else frame_figure(scene, frame)
    for note in save_mesh(output, scene, frame):
        click.echo(f"Note: {note}", err=True)
    if picture is not None and drawn is not None:
        save_figure(picture, drawn)
