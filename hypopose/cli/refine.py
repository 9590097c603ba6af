"""``hypopose refine``: move the hypotheses of a result file until they reproject."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from hypopose.cli.options import MASKS, masks_given, shared
from hypopose.cli.overwrite import force_option, refuse_existing

if TYPE_CHECKING:
    from torch import Tensor

    from hypopose.io.results import Result


EXAMPLES = """\b
Examples:
  hypopose refine walk.npz -o walk-refined.npz
  hypopose refine walk.npz -o walk-refined.npz --spread follow
  hypopose refine walk.npz -o walk-refined.npz --mask walk-masks/"""


@click.command(epilog=EXAMPLES)
@click.argument("result", type=click.Path(path_type=Path))
@shared(
    *MASKS,
    n_steps={"default": 30, "show_default": True, "help": "Maximum number of descent steps."},
    seed={"help": "Same seed, same result."},
    output={"help": "Result file to write: npz, or any ending that hypopose export writes."},
)
@click.option(
    "--root",
    type=click.Choice(["fitted", "joint", "given"]),
    default="fitted",
    show_default=True,
    help="Root position: fitted to the keypoints, moved with the pose, or from --root-file.",
)
@click.option(
    "--root-file",
    type=click.Path(path_type=Path),
    help="For --root given: npy of (F, 3) camera-frame meters.",
)
@click.option(
    "--spread",
    type=click.Choice(["posterior", "follow"]),
    default="posterior",
    show_default=True,
    help="Keep the spread that the keypoints leave open, or move all hypotheses to the keypoints.",
)
@force_option
def refine(
    result: Path,
    output: Path,
    root: Literal["fitted", "joint", "given"],
    root_file: Path | None,
    spread: str,
    n_steps: int,
    seed: int,
    force: bool,
    **mask_options: Any,
) -> None:
    """Refine the hypotheses of RESULT against its keypoints and write a new result file.

    Joints whose hypotheses disagree move most. No hypothesis ends with a higher energy than it
    started with. With --mask, hypotheses move into the person's masks, too.
    """
    from hypopose.api import refine as refined
    from hypopose.io import load_hypotheses, save_result
    from hypopose.io.writers import check_ending

    check_ending(output)
    refuse_existing(output, force=force)
    stored = load_hypotheses(result)
    positions = None if root_file is None else _positions(root_file, stored)
    changed = refined(
        stored,
        root=root,
        root_positions=positions,
        spread=spread,
        n_steps=n_steps,
        seed=seed,
        masks=masks_given(mask_options),
    )
    for note in save_result(output, replace(changed, made_with={})):
        click.echo(f"Note: {note}", err=True)
    if changed.masks and changed.masks != stored.masks:
        click.echo(f"Note: {changed.notes[-1]}", err=True)
    before, after = _reprojection_px(stored), _reprojection_px(changed)
    click.echo(f"reprojection {before:.1f} px -> {after:.1f} px (median over joints) -> {output}")


def _positions(path: Path, result: Result) -> Tensor:
    import torch

    from hypopose.io.source import Source
    from hypopose.io.untrusted.arrays import read_npy

    source = Source(path)
    values = read_npy(source, source.read_bytes())
    expected = (result.keypoints.n_frames, 3)
    if values.shape != expected or values.dtype.kind not in "iuf":
        raise source.error(
            f"holds {values.dtype} {values.shape}, the result needs root positions {expected}",
            "give camera-frame meters, one row per frame",
        )
    return torch.from_numpy(values.astype("float32"))


def _reprojection_px(result: Result) -> float:
    """Median over hypotheses, frames and joints; roots are fitted where there are none."""
    from hypopose.api import prepare
    from hypopose.cameras import fit_roots, hypothesis_camera, project

    x = result.hypotheses
    keypoints = prepare(result.keypoints, x.skeleton.name)
    assert keypoints.camera is not None  # prepare checks it
    root = fit_roots(x, keypoints) if x.root is None else x.root
    px = project(x.joints + root[..., None, :], hypothesis_camera(x, keypoints.camera))
    return float((px - keypoints.xy).norm(dim=-1).nanmedian())
