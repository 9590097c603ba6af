"""``hypopose fit-calibrator``: fit what corrects the spread of a sampler's hypotheses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hypopose.cli.benchmark_options import data_options, draws_of, sampling_options
from hypopose.cli.options import shared
from hypopose.cli.overwrite import force_option, refuse_existing

EXAMPLES = """\b
Examples:
  hypopose fit-calibrator results -o calibrator.json
  hypopose fit-calibrator motion -o calibrator.json --benchmark val-clean"""


@click.command(epilog=EXAMPLES)
@click.argument("data", type=click.Path(path_type=Path))
@shared(output={"help": "Calibrator (JSON), for hypopose sample --calibrator."})
@data_options
@click.option(
    "--method",
    default="chain",
    show_default=True,
    help="One factor per pose, joint or axis; isotonic radii; chain (axis, then isotonic); or "
    "conformal.",
)
@sampling_options
@force_option
def fit_calibrator(data: Path, output: Path, force: bool, **options: Any) -> None:
    """Fit a calibrator to hypotheses whose truth is known.

    DATA is a folder of results of hypopose sample, with the truth of each (npy or npz of (F, J, 3)
    camera-frame meters, same name) in DATA/truth; or, with --benchmark, the folder of its motion.
    Fit on one split, and measure on another with hypopose calibrate --calibrator.
    """
    refuse_existing(output, force=force)
    from hypopose.calibration import describe_calibrator, fitting, save_calibrator

    fitting.check_method(options["method"])
    with draws_of(data, options, ("method",)) as (_, details, stream):
        draws = list(stream)
    fitted = fitting.fit_calibrator(
        [(draw.hypotheses, draw.truth) for draw in draws],
        options["method"],
        [draw.sequences for draw in draws],
        details["data"],
    )
    save_calibrator(fitted, output)
    words = describe_calibrator(fitted, output.name)
    n_frames = sum(draw.truth.joints.shape[:2].numel() for draw in draws)
    n_sequences = len({sequence for draw in draws for sequence in draw.sequences})
    click.echo(
        f"{words['kind']} fitted on {words['fitted_on']}: {n_frames} frames of {n_sequences} "
        f"sequences, {words['fitted_hypotheses']} hypotheses each"
    )
    click.echo(f"-> {output}")
