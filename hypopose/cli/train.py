"""``hypopose train``: start a run, go on with it, or export its weights."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.training import TrainConfig

RESUMABLE = ("minutes", "n_frames", "device", "compile")
"""Options that may change when a run goes on."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--shard",
    "shards",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Motion shard (npz) to draw from; repeat for several.",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Options as JSON, for example the training.json beside trained weights.",
)
@click.option(
    "--network",
    help="What to train, with options that suit a CPU: frame-tokens, mixste2, ktpformer, "
    "motionagformer, motionbert, mhformer, gla-gcn, gcnpose, convformer, mpm, mpm-lifter, or "
    "hot-NAME for one of the first six in the hourglass.",
)
@click.option(
    "--objective",
    help="What for: x0 (a denoiser), energy (a generator), lift, lift-mixste, lift-motionagformer "
    "(a lifter), mask or complete (mpm); default: the network's.",
)
@click.option("--start", help="Folder of weights to start from.")
@click.option("--minutes", type=float, help="Budget of wall-clock time.")
@click.option("--n-frames", type=int, help="Budget in frames, where no minutes are given.")
@click.option("--seed", type=int, help="Decides weights, batches and noise.")
@click.option("--device", help="cpu or cuda.")
@click.option("--compile/--no-compile", default=None, help="Compile the network: faster, later.")
@click.option(
    "--set",
    "others",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any other option of TrainConfig, the value as JSON; repeat for several.",
)
@click.option("--small", is_flag=True, help="With --export: matrices in 8 bits, half the size.")
@click.option(
    "--export",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    help="Do not train: write the weights of the latest checkpoint into this folder.",
)
def train(
    run: Path,
    config_file: Path | None,
    others: tuple[str, ...],
    target: Path | None,
    small: bool,
    **options: Any,
) -> None:
    """Train a network in the folder RUN, or go on with the run that is there.

    Ctrl-C, or a file RUN/STOP, ends it cleanly; the same command goes on later. The averaged
    weights are written to RUN/weights, which `hypopose sample --weights RUN/weights` takes.
    """  # fmt: skip
    if target is not None:
        from hypopose.training import export

        click.echo(f"weights -> {export(run, target, small=small)}")
        return
    if small:
        raise OptionError("--small goes with --export FOLDER.")
    changes = {k: v for k, v in options.items() if v is not None and v != ()}
    changes |= dict(_parse(item) for item in others)
    _train(_configure(run, config_file, changes), run)


def _parse(item: str) -> tuple[str, Any]:
    name, _, value = item.partition("=")
    try:
        return name.replace("-", "_"), json.loads(value)
    except json.JSONDecodeError as error:
        raise OptionError(f"--set {item}: write NAME=VALUE, the value as JSON.") from error


def _configure(run: Path, config_file: Path | None, changes: dict[str, Any]) -> TrainConfig:
    """The run's own options if it exists, else those of the file; then the changes."""
    from hypopose.training import TrainConfig

    changes = {k: [str(s) for s in v] if k == "shards" else v for k, v in changes.items()}
    own = run / "config.json"
    if own.exists():
        fixed = sorted(set(changes) - set(RESUMABLE))
        if config_file is not None or fixed:
            raise OptionError(
                f"{run} already holds a run, and only {', '.join(RESUMABLE)} may change when it "
                "goes on. Leave the other options out, or name another folder."
            )
        config_file = own
    if config_file is not None:
        return TrainConfig.from_json(config_file.read_text(encoding="utf-8"), **changes)
    if "shards" not in changes:
        raise OptionError("Name motion to train on: --shard FILE.npz (or --config FILE.json).")
    return TrainConfig.from_json("{}", **{**_suiting(changes.get("network")), **changes})


def _suiting(network: str | None) -> dict[str, Any]:
    """Options that suit a network, by name."""
    from hypopose.training.recipes import RECIPES

    if network is None:
        return {}
    if network not in RECIPES:
        raise OptionError(
            f"There is no network {network!r} to train; choose one of {', '.join(RECIPES)}."
        )
    return RECIPES[network].options


def _train(config: TrainConfig, run: Path) -> None:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from hypopose.training import train as train_network

    run.mkdir(parents=True, exist_ok=True)
    stop = run / "STOP"
    stop.unlink(missing_ok=True)
    signal.signal(signal.SIGINT, lambda *_: stop.touch())
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task("starting", total=1.0)

        def report(row: dict[str, Any]) -> None:
            if "loss_mm" in row:
                text = f"{row['frames']:,} frames  {row['frames_per_s']}/s  {row['loss_mm']:.1f} mm"
                bar.update(task, completed=row["share"], description=text)
            else:
                errors = (f"{k} {v:.1f}" for k, v in row.items() if k.endswith(("_mm", "_steps")))
                bar.console.print(f"{row['frames']:,} frames: {', '.join(errors)}")

        weights = train_network(config, run, report=report)
    click.echo(f"weights -> {weights}")
