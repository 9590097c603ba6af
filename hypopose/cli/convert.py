"""``hypopose convert``: official checkpoints to folders of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from hypopose.cli.overwrite import force_option

EXAMPLES = """\b
Examples:
  hypopose convert h36m_best_epoch.bin -o weights/d3dp --from d3dp
  hypopose convert gcn.pth -o weights/diffpose --lifter gcn_xyz.pth"""


@click.command(epilog=EXAMPLES)
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="New folder.")
@click.option(
    "--from",
    "--layout",
    "layout",
    help="Method that the checkpoint belongs to: d3dp, diffpose, gla-gcn, hot, ktpformer, "
    "motionagformer, mpm, platypose, pmce or uao; default: detected by the names of its tensors.",
)
@click.option("--n-heads", type=int, help="Attention heads, if not the released number.")
@click.option(
    "--lifter", type=click.Path(path_type=Path), help="Second file of diffpose: gcn_xyz_*.pth."
)
@click.option(
    "--template",
    type=click.Path(path_type=Path),
    help="Mesh of pmce: npz of vertices, faces, joint_regressor and downsample.",
)
@click.option("--keypoint-skeleton", help="2D skeleton it reads, if not the released one.")
@click.option("--skeleton", help="3D skeleton it writes, if not the released one.")
@force_option
def convert(
    source: Path,
    output: Path,
    layout: str | None,
    n_heads: int | None,
    lifter: Path | None,
    template: Path | None,
    keypoint_skeleton: str | None,
    skeleton: str | None,
    force: bool,
) -> None:
    """Convert the official checkpoint SOURCE to a folder of weights.

    Missing and unexpected tensors, and tensors of other shapes, are listed as an error.
    The file is read in a separate process that refuses to run any code in it. Use the folder with
    `hypopose sample --weights FOLDER`.
    """
    from hypopose.networks.checkpoint_conversion import convert_checkpoint

    given: dict[str, Any] = {
        "n_heads": n_heads,
        "lifter": lifter,
        "template": template,
        "keypoint_skeleton": keypoint_skeleton,
        "skeleton": skeleton,
    }
    folder = convert_checkpoint(
        source,
        output,
        layout=layout,
        overwrite=force,
        **{name: value for name, value in given.items() if value is not None},
    )
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    click.echo(f"Wrote {folder} (layout {provenance['layout']}). {provenance['license']}")
