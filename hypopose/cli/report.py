"""``hypopose report``: one or several methods side by side, as a page, a PDF or a folder."""

from __future__ import annotations

from pathlib import Path

import click

from hypopose.cli.options import shared
from hypopose.cli.overwrite import force_option, refuse_existing
from hypopose.errors import OptionError

EXAMPLES = """\b
Examples:
  hypopose report walk.npz -o report.html
  hypopose report a.npz b.npz -o report.pdf --truth truth.npy"""


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
    help="What the keypoints were found in: its frames are shown under them.",
)
@click.option("--title", default="HypoPose report", show_default=True, help="Headline.")
@force_option
def report(
    results: tuple[Path, ...],
    output: Path,
    truths: tuple[Path, ...],
    names: tuple[str, ...],
    video: Path | None,
    title: str,
    force: bool,
) -> None:
    """Build a calibration and ambiguity report from RESULTS.

    RESULTS are files of hypopose sample (npz), and of hypopose calibrate or evaluate (json). Files
    of one sampler are one method: with --truth they are measured together, a file a sequence.
    Without truth the report shows what needs none and says so.
    """
    if names and len(names) != len(results):
        raise OptionError(f"Give --name once for each of the {len(results)} RESULTS, or not.")
    if output.suffix not in ("", ".html", ".pdf"):
        raise OptionError(f"{output}: a report is written as .html, .pdf or a folder.")
    refuse_existing(output, force=force)
    from hypopose.report.gather import gather
    from hypopose.report.page import save_report

    for path in save_report(output, gather(results, truths, names, title, video)):
        click.echo(f"-> {path}")
