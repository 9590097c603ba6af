"""``hypopose calibrate``: how often do regions of the hypotheses contain the truth?"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.benchmark_options import (
    cluster_of,
    cluster_option,
    data_options,
    draws_of,
    method_of,
    progress_bar,
    sampling_options,
)
from hypopose.cli.options import shared, warn_of_former
from hypopose.cli.overwrite import force_option, refuse_existing
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.calibration import Calibrator
    from hypopose.evaluation import CalibrationResults


EXAMPLES = """\b
Examples:
  hypopose calibrate results -o calibration.json
  hypopose calibrate results -o calibration.json --calibrator calibrator.json
  hypopose calibrate motion -o calibration.json --benchmark test-clean"""


@click.command(epilog=EXAMPLES)
@click.argument("data", type=click.Path(path_type=Path))
@shared(output={"help": "Calibration results (JSON), for hypopose report."})
@data_options
@sampling_options
@cluster_option
@shared(
    calibrator={
        "help": "Also measure after recalibration with this file, or with 'bundled', the one "
        "shipped with the weights.",
    },
)
@click.option("--exclude-root", is_flag=True, help="Leave the root joint out of errors.")
@click.option("--fit", type=click.Path(path_type=Path), hidden=True)
@click.option("--method", default="chain", hidden=True)
@force_option
def calibrate(data: Path, output: Path, force: bool, **options: Any) -> None:
    """Measure calibration: how often do regions of the hypotheses contain the truth?

    DATA is a folder of results of hypopose sample, with the truth of each (npy or npz of (F, J, 3)
    camera-frame meters, same name) in DATA/truth; or, with --benchmark, the folder of its motion.
    The results go to hypopose report. To fit a calibrator, see hypopose fit-calibrator.
    """
    refuse_existing(output, options["fit"], force=force)
    from hypopose.api.making import calibrator_file
    from hypopose.calibration import load_calibrator, save_calibrator
    from hypopose.calibration.fitting import check_method, fit_calibrator
    from hypopose.evaluation import measure_calibration, save_results

    check_method(options["method"])
    calibrators, fitted = {}, None
    if options["calibrator"] is not None:
        path = calibrator_file(options["calibrator"], options["weights"], options["sampler"])
        calibrators[f"with {path.name}"] = load_calibrator(path)
    others = ("calibrator", "exclude_root", "fit", "method")
    if options["cluster"] is not None:
        results = _on_cluster(data, options, calibrators)
        save_results(output, results)
        _print(results)
        click.echo(f"-> {output}")
        return
    with draws_of(data, options, others) as (name, details, stream):
        draws = list(stream) if options["fit"] is not None else stream
        if isinstance(draws, list):
            warn_of_former("calibrate --fit", "fit-calibrator")
            fitted = fit_calibrator(
                [(draw.hypotheses, draw.truth) for draw in draws],
                options["method"],
                [draw.sequences for draw in draws],
                details["data"],
            )
            calibrators[f"{options['method']}, fitted on these data"] = fitted
        results = measure_calibration(
            name,
            draws,
            calibrators=calibrators,
            seed=options["seed"] if options["benchmark"] else None,
            details=details,
            exclude_root=options["exclude_root"],
        )
    if fitted is not None:
        save_calibrator(fitted, options["fit"])
        click.echo(f"-> {options['fit']}")
    save_results(output, results)
    _print(results)
    click.echo(f"-> {output}")


def _on_cluster(
    data: Path, options: dict[str, Any], calibrators: dict[str, Calibrator]
) -> CalibrationResults:
    """The same measurement, parts of the benchmark at a time on many machines."""
    from hypopose.calibration import Settings
    from hypopose.evaluation import Evaluator, calibration_results, evaluate_in_parts

    if options["benchmark"] is None or options["fit"] is not None:
        raise OptionError("--cluster samples a benchmark: add --benchmark NAME.")
    benchmark, sampler, name, details = method_of(options)
    new = partial(
        Evaluator,
        settings=Settings(seed=options["seed"]),
        exclude_root=options["exclude_root"],
        distributions=True,
    )
    names = ("n_hypotheses", "seed", "limit", "batch_size")
    with cluster_of(options) as executor, progress_bar(benchmark.name) as progress:
        assert executor is not None  # --cluster was given
        evaluator, _ = evaluate_in_parts(
            executor, sampler, new, benchmark, data.absolute(),
            calibrators=calibrators, progress=progress, **{k: options[k] for k in names},
        )  # fmt: skip
    return calibration_results(name, evaluator, details)


def _print(results: CalibrationResults) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    reliability = results.reliability
    if reliability is not None:
        words = {w: reliability.verdicts.count(w) for w in dict.fromkeys(reliability.verdicts)}
        console.print(
            f"ECE {reliability.ece:.3f} (95 % {reliability.ece_low:.3f} to "
            f"{reliability.ece_high:.3f}; a perfect model would show {reliability.null_ece:.3f}); "
            f"joints: {', '.join(f'{n} {w}' for w, n in words.items())}"
        )
    table = Table("regions", *(f"{100 * q:.0f} %" for q in results.coverage[0].levels))
    for row in results.coverage:
        cells = ("-" if math.isnan(c) else f"{100 * c:.1f} %" for c in row.coverage)
        table.add_row(row.label, *cells)
    console.print(table)
    if "calibration" in results.settings:
        console.print(f"note: {results.settings['calibration']}")
