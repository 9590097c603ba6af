"""``hypopose calibrate``: is the spread honest? Judge it against the truth, and mend it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.options import shared
from hypopose.cli.overwrite import force_option, refuse_existing
from hypopose.cli.set_option import refuse_sampling_options
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.report.judgement import Judgement
    from hypopose.report.judging import Draw


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Judgement (JSON)."
)
@click.option("--benchmark", help="Sample this benchmark; DATA is the folder of its motion shards.")
@click.option(
    "--truth", type=click.Path(path_type=Path), help="Folder of truths; default: DATA/truth."
)
@click.option("--calibrator", type=click.Path(path_type=Path), help="Also judge with this one.")
@click.option("--fit", type=click.Path(path_type=Path), help="Fit a calibrator and write it here.")
@click.option(
    "--method",
    default="chain",
    show_default=True,
    help="What to fit: pose, joint, axis, isotonic, chain or conformal.",
)
@click.option("--sampler", help="For --benchmark; default: what the weights were made for.")
@click.option("--weights", help="Weights in the box by name, or a folder of weights.")
@click.option("--n-hypotheses", default=20, show_default=True, help="3D motions per view.")
@click.option("--n-steps", type=int, help="Network evaluations; default: what the weights say.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same numbers.")
@click.option("--limit", type=int, help="Only this many views, spread evenly; default: all.")
@click.option("--batch-size", default=16, show_default=True, help="Views sampled together.")
@shared("settings")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:1.")
@force_option
def calibrate(data: Path, output: Path, force: bool, **options: Any) -> None:
    """Judge hypotheses against the truth: how often do their regions hold it?

    DATA is a folder of results of hypopose sample, with the truth of each (npy or npz of (F, J, 3)
    camera-frame meters, same name) in DATA/truth; or, with --benchmark, the folder of its motion.
    The judgement goes to hypopose report; --fit writes a calibrator for
    hypopose sample --calibrator. Fit on one split and judge on another.

    Example: hypopose calibrate motion --benchmark val-clean --fit calibrator.json -o val.json
    """
    if not data.is_dir():
        raise OptionError(f"{data} is not a folder; see hypopose calibrate --help.")
    if options["benchmark"] is None:
        refuse_sampling_options(("truth", "calibrator", "fit", "method"))
    refuse_existing(output, options["fit"], force=force)
    from hypopose.calibration import Calibrator, load_calibrator, save_calibrator
    from hypopose.report.judgement import save_judgement
    from hypopose.report.judging import FITS, fit_calibrator, judge_draws

    if options["method"] not in FITS:
        raise OptionError(f"--method is one of {', '.join(FITS)}, not {options['method']!r}.")
    calibrators, fitted = {}, None
    if options["calibrator"] is not None:
        calibrators[f"with {options['calibrator'].name}"] = load_calibrator(options["calibrator"])
    with _draws(data, options) as (name, details, stream):
        draws = list(stream) if options["fit"] is not None else stream
        if isinstance(draws, list):
            fitted = fit_calibrator(draws, options["method"], details["data"])
            calibrators[f"{options['method']}, fitted on these data"] = fitted
        moving = {k: c for k, c in calibrators.items() if isinstance(c, Calibrator)}
        seed = options["seed"] if options["benchmark"] else None
        judgement = judge_draws(name, draws, calibrators=moving, seed=seed, details=details)
    if fitted is not None:
        save_calibrator(fitted, options["fit"])
        click.echo(f"-> {options['fit']}")
    save_judgement(output, judgement)
    _print(judgement)
    click.echo(f"-> {output}")


@contextmanager
def _draws(
    data: Path, options: dict[str, Any]
) -> Iterator[tuple[str, dict[str, str], Iterator[Draw]]]:
    """Name of the method, settings in words, and hypotheses with truth."""
    from rich.console import Console
    from rich.progress import Progress

    from hypopose.report.judging import benchmark_draws, folder_draws

    if options["benchmark"] is None:
        details = {"data": f"results in {data.name}"}
        yield data.name, details, folder_draws(data, options["truth"])
        return
    from hypopose.cli.evaluate import sampler_of
    from hypopose.datasets import load_benchmark

    benchmark = load_benchmark(options["benchmark"])
    sampler, record = sampler_of({"window": None, **options}, benchmark)
    words = ", ".join(f"{k}={v}" for k, v in record.items() if k != "name")
    details = {"data": f"benchmark {benchmark.name}", "sampler": f"{record['name']} {words}"}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(benchmark.name, total=None)
        yield str(record["name"]), details, benchmark_draws(
            sampler,
            benchmark,
            data,
            n_hypotheses=options["n_hypotheses"],
            seed=options["seed"],
            limit=options["limit"],
            batch_size=options["batch_size"],
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip


def _print(judgement: Judgement) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    reliability = judgement.reliability
    if reliability is not None:
        words = {w: reliability.verdicts.count(w) for w in dict.fromkeys(reliability.verdicts)}
        console.print(
            f"ECE {reliability.ece:.3f} (95 % {reliability.ece_low:.3f} to "
            f"{reliability.ece_high:.3f}; a perfect model would show {reliability.null_ece:.3f}); "
            f"joints: {', '.join(f'{n} {w}' for w, n in words.items())}"
        )
    table = Table("regions", *(f"{100 * q:.0f} %" for q in judgement.coverage[0].levels))
    for row in judgement.coverage:
        cells = ("-" if math.isnan(c) else f"{100 * c:.1f} %" for c in row.coverage)
        table.add_row(row.label, *cells)
    console.print(table)
    if "calibration" in judgement.settings:
        console.print(f"note: {judgement.settings['calibration']}")
