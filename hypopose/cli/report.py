"""``hypopose report``: one or several methods side by side, as a page, a PDF or a folder."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.options import shared
from hypopose.cli.overwrite import force_option, refuse_existing
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.bodies.mesh_scenes import MeshScene
    from hypopose.quantities import Measurements
    from hypopose.report.exhibits import Report

EXAMPLES = """\b
Examples:
  hypopose report walk.npz -o report.html
  hypopose report a.npz b.npz -o report.pdf --truth truth.npy
  hypopose report walk.npz -o report.html --what knee_flexion,gait --height 1.78
  hypopose report walk.npz -o report.html --mesh"""


@click.command(epilog=EXAMPLES)
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@shared(output={"help": "report.html, report.pdf, or a folder for page, PDF, figures and tables."})
@click.option(
    "--truth",
    "truths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="npy or npz (array 'joints') of (F, J, 3) camera-frame meters: once for all result files, "
    "or once for each, in their order.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    help="A method's name in the report, one for each of RESULTS; by default its sampler. Files of "
    "one name are one column.",
)
@click.option(
    "--video",
    type=click.Path(path_type=Path),
    help="Video the keypoints were found in: its frames are shown under them.",
)
@click.option(
    "--what",
    multiple=True,
    metavar="NAME,...",
    help="Also measure these quantities, as hypopose measure does: a table and a figure each.",
)
@click.option("--height", type=float, help="With --what: the subject's stature in meters.")
@click.option(
    "--recalibrate", is_flag=True, help="With --what: stretch intervals, as hypopose measure does."
)
@click.option(
    "--mesh",
    is_flag=True,
    help="Also fit a body with a surface and show it; see hypopose mesh.",
)
@click.option("--body", help="With --mesh: capsules (default), anny, or an npz of SMPL's arrays.")
@click.option("--title", default="HypoPose report", show_default=True, help="Headline.")
@force_option
def report(
    results: tuple[Path, ...],
    output: Path,
    truths: tuple[Path, ...],
    names: tuple[str, ...],
    video: Path | None,
    title: str,
    mesh: bool,
    body: str | None,
    force: bool,
    **measuring: Any,
) -> None:
    """Build a calibration and ambiguity report from RESULTS.

    RESULTS are files of hypopose sample (npz), and of hypopose calibrate or evaluate (json). Files
    of one sampler are one method: with --truth they are measured together, one sequence per file.
    Without --truth, calibration is not measured, and the report states so.
    """
    if names and len(names) != len(results):
        raise OptionError(f"Give --name once for each of the {len(results)} RESULTS, or not.")
    if output.suffix not in ("", ".html", ".pdf"):
        raise OptionError(f"{output}: a report is written as .html, .pdf or a folder.")
    if not measuring["what"] and (measuring["height"] or measuring["recalibrate"]):
        raise OptionError("--height and --recalibrate are about quantities; add --what NAME.")
    if body is not None and not mesh:
        raise OptionError("--body is about surfaces; add --mesh.")
    refuse_existing(output, force=force)
    from hypopose.report.gather import gather
    from hypopose.report.page import save_report

    gathered = gather(results, truths, names, title, video)
    if measuring["what"]:
        gathered = replace(gathered, people=_people(results, measuring))
    if mesh:
        gathered = replace(gathered, surfaces=_surfaces(results, gathered, body or "capsules"))
    for path in save_report(output, gathered):
        click.echo(f"-> {path}")


def _surfaces(
    results: tuple[Path, ...], gathered: Report, body: str
) -> tuple[tuple[str, MeshScene], ...]:
    """Bodies fitted to every result of ``hypopose sample``."""
    from hypopose.api.meshes import make_meshes
    from hypopose.bodies import make_body
    from hypopose.io import load_hypotheses

    sampled = [path for path in results if path.suffix != ".json"]
    if not sampled:
        raise OptionError("--mesh fits results of hypopose sample (npz); give one, or leave it.")
    model = make_body(body, partial(click.echo, err=True))
    return tuple(
        (scene.name, make_meshes(load_hypotheses(path), body=model))
        for scene, path in zip(gathered.scenes, sampled, strict=True)
    )


def _people(results: tuple[Path, ...], options: dict[str, Any]) -> tuple[Measurements, ...]:
    """The measured quantities of every result of ``hypopose sample``."""
    from hypopose.cli.measure import measured_people

    sampled = [path for path in results if path.suffix != ".json"]
    if not sampled:
        raise OptionError(
            "--what measures results of hypopose sample (npz); give one, or leave it."
        )
    return tuple(measured_people(sampled, {**options, "fps": None}))
