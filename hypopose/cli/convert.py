"""``hypopose convert``: official checkpoints to folders of weights."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="New folder.")
@click.option("--layout", default="d3dp", show_default=True, help="Whose checkpoint it is.")
@click.option("--n-heads", default=8, show_default=True, help="Attention heads (not in the file).")
@click.option(
    "--keypoint-skeleton", default="h36m17", show_default=True, help="2D skeleton it reads."
)
@click.option("--skeleton", default="h36m17", show_default=True, help="3D skeleton it writes.")
def convert(
    source: Path, output: Path, layout: str, n_heads: int, keypoint_skeleton: str, skeleton: str
) -> None:
    """Turn the official checkpoint SOURCE into a folder of weights.

    The file is read in a separate process that refuses to run any code in it. Use the folder with
    `hypopose sample --weights FOLDER`.
    """
    from hypopose.networks.convert import convert_checkpoint

    folder = convert_checkpoint(
        source,
        output,
        layout=layout,
        n_heads=n_heads,
        keypoint_skeleton=keypoint_skeleton,
        skeleton=skeleton,
    )
    click.echo(f"Wrote {folder}.")
