"""``hypopose calibrate-weights``: write next to weights how well their spread is calibrated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hypopose.cli.benchmark_options import progress_bars, sampler_of
from hypopose.cli.options import shared
from hypopose.cli.overwrite import force_option, refuse_existing

EXAMPLES = """\b
Examples:
  hypopose calibrate-weights motion runs/mine/weights
  hypopose calibrate-weights motion runs/mine/weights --benchmark people-clean"""


@click.command(epilog=EXAMPLES)
@click.argument("motion", type=click.Path(path_type=Path))
@click.argument("weights", type=click.Path(path_type=Path))
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    help="Measure on this benchmark, given once for each; default: people-clean, people-detector, "
    "test-clean and test-detector.",
)
@shared("n_hypotheses", "seed", "device")
@click.option("--limit", type=int, help="Only this many views of each; default: all.")
@click.option("--batch-size", default=16, show_default=True, help="Views sampled together.")
@force_option
def calibrate_weights(
    motion: Path, weights: Path, benchmarks: tuple[str, ...], force: bool, **options: Any
) -> None:
    """Measure the calibration of weights, and write it into their folder.

    MOTION is the folder of the benchmarks' motion shards, WEIGHTS a folder of weights, or bundled
    weights by name. The file calibration.json says which share of the joints 50, 80 and 95 %
    regions contain, and the ECE; with a calibrator.json in the folder also after recalibration.
    hypopose report cites it.
    """
    from rich.console import Console
    from rich.table import Table

    from hypopose.api.making import folder_of
    from hypopose.calibration import load_calibrator
    from hypopose.evaluation import weights_calibration as room

    folder = folder_of(weights)
    path = folder / room.NAME
    refuse_existing(path, force=force)
    unset = {"sampler": None, "n_steps": None, "window": None, "settings": ()}
    sampler, record = sampler_of(
        {**unset, "weights": str(folder), "device": options.pop("device")}, None
    )
    words = ", ".join(f"{k}={v}" for k, v in record.items() if k not in ("name", "weights"))
    beside = folder / "calibrator.json"
    with progress_bars() as progress:
        measured = room.measure_weights(
            sampler,
            folder,
            motion,
            benchmarks or room.BENCHMARKS,
            words=f"{record['name']} {words}",
            calibrator=load_calibrator(beside) if beside.is_file() else None,
            progress=progress,
            **options,
        )
    room.save_weights_calibration(folder, measured)
    table = Table("benchmark", "people", "ECE", "50 / 80 / 95 % regions contain")
    for row in measured.benchmarks:
        shares = " / ".join(f"{100 * share:.0f}" for share in row.coverage.values())
        table.add_row(row.benchmark, row.people, f"{row.ece:.3f}", f"{shares} %")
    Console().print(table)
    click.echo(f"-> {path}")
