"""``hypopose train``: start a run, continue it, or export its weights."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from hypopose.errors import FormatError, OptionError

if TYPE_CHECKING:
    from hypopose.training import TrainConfig
    from hypopose.training.recipe_files import Recipe
    from hypopose.training.stages import Stage

RESUMABLE = ("minutes", "n_frames", "device", "compile")
"""Options that may change when a run goes on."""


EXAMPLES = """\b
Examples:
  hypopose train runs/default --config default --motion motion
  hypopose train runs/default
  hypopose train runs/default --export weights/mine"""


@click.command(epilog=EXAMPLES)
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--shard",
    "shards",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Motion shard (npz) to draw from; repeat for several.",
)
@click.option(
    "--motion",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of motion shards: those that --config names are looked up there.",
)
@click.option(
    "--config",
    "config_file",
    metavar="FILE|NAME",
    help="Options as JSON, for example the training.json next to trained weights; or a recipe of "
    "several stages: a JSON file, or 'default', the recipe of the default weights.",
)
@click.option(
    "--network",
    help="What to train, with options that suit a CPU: frame-tokens, mixste2, ktpformer, "
    "motionagformer, motionbert, mhformer, gla-gcn, gcnpose, convformer, mpm, mpm-lifter, "
    "diffpose-pair, clip-tokens, pmce, or "
    "hot-NAME for one of the first six in the hourglass.",
)
@click.option(
    "--objective",
    help="Training objective: x0 (a denoiser), energy (a generator), lift, lift-mixste, "
    "lift-motionagformer (a lifter), mask or complete (mpm), diffpose-released (its pair); "
    "default: the network's.",
)
@click.option("--start", help="Weights to start from: a folder, or the name of bundled ones.")
@click.option(
    "--target",
    "keypoints",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Keypoints of people without 3D to learn from as well, as hypopose adapt does; repeat for "
    "several. What is learned: --set target.aligned=0.6, see hypopose.training.TargetOptions.",
)
@click.option("--views", "rig", help="The targets are views of one scene; file with its cameras.")
@click.option("--minutes", type=float, help="Budget of wall-clock time.")
@click.option("--n-frames", type=int, help="Budget in frames, where no minutes are given.")
@click.option("--seed", type=int, help="Decides weights, batches and noise.")
@click.option("--device", help="cpu or cuda.")
@click.option(
    "--compile/--no-compile",
    default=None,
    help="torch.compile the network: slower start, faster steps.",
)
@click.option(
    "--set",
    "others",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any other option of TrainConfig, for example bodies.tumbling=0.1 or lengths=[27,81], the "
    "value as JSON; repeat for several.",
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
    motion: Path | None,
    config_file: str | None,
    others: tuple[str, ...],
    target: Path | None,
    small: bool,
    **options: Any,
) -> None:
    """Train a network in the folder RUN, or continue the run that is there.

    Ctrl-C, or a file RUN/STOP, ends it cleanly; `hypopose train RUN` alone continues it. Averaged
    weights are written to RUN/weights, which `hypopose sample --weights RUN/weights` takes.
    """  # fmt: skip
    if target is not None:
        from hypopose.training import export

        click.echo(f"weights -> {export(run, target, small=small)}")
        return
    if small:
        raise OptionError("--small goes with --export FOLDER.")
    changes = _changes(options, others)
    if motion is not None and "shards" in changes:
        raise OptionError("Name motion once: --motion FOLDER, or --shard FILE.npz.")
    if (run / "stages.json").exists():
        _resume_stages(run, config_file, motion, changes)
        return
    recipe = _recipe(config_file)
    if recipe is None:
        _train(_configure(run, config_file, motion, changes), run)
    else:
        _train_stages(run, _stages(run, recipe, motion, changes))


def _changes(options: Mapping[str, Any], others: Sequence[str]) -> dict[str, Any]:
    """Options of training that were given, those of ``--set`` among them."""
    changes = {k: v for k, v in options.items() if v is not None and v != ()}
    for name in {"shards", "keypoints"} & set(changes):
        changes[name] = [str(path) for path in changes[name]]
    changes |= dict(_parse(item) for item in others)
    if not isinstance(changes.get("shards", ()), list | tuple):
        raise OptionError("--set shards takes a list of files; or name each with --shard.")
    return changes


def _recipe(config_file: str | None) -> Recipe | None:
    """The recipe that ``--config`` names, if it names one."""
    from hypopose.training.recipe_files import (
        is_recipe,
        load_recipe,
        read_recipe,
        read_text,
        recipe_names,
    )

    if config_file is None:
        return None
    if config_file in recipe_names():
        return load_recipe(config_file)
    text = read_text(Path(config_file))
    return read_recipe(text, config_file) if is_recipe(text) else None


def _parse(item: str) -> tuple[str, Any]:
    name, _, value = item.partition("=")
    try:
        return name.replace("-", "_"), json.loads(value)
    except json.JSONDecodeError as error:
        raise OptionError(f"--set {item}: write NAME=VALUE, the value as JSON.") from error


def _configure(
    run: Path, config_file: str | None, motion: Path | None, changes: dict[str, Any]
) -> TrainConfig:
    """The run's own options if it exists, else those of the file; then the changes."""
    from hypopose.training import TrainConfig
    from hypopose.training.recipe_files import load_recipe, shards_in

    own = run / "config.json"
    if own.exists():
        fixed = sorted(set(changes) - set(RESUMABLE))
        if config_file is not None or motion is not None or fixed:
            raise OptionError(
                f"{run} already holds a run, and only {', '.join(RESUMABLE)} may change when it "
                "goes on. Leave the other options out, or name another folder."
            )
        return _read_config(own, changes)
    if config_file is not None:
        config = _read_config(Path(config_file), changes)
        if motion is None:
            return config
        return config.with_options(shards=shards_in(motion, config.data.shards))
    if motion is not None:
        changes["shards"] = shards_in(motion, load_recipe("default").shards)
    if "shards" not in changes:
        raise OptionError("Name motion to train on: --shard FILE.npz, or --motion FOLDER.")
    return TrainConfig.from_options(**{**_suiting(changes.get("network")), **changes})


def _read_config(path: Path, changes: dict[str, Any]) -> TrainConfig:
    from hypopose.training import TrainConfig
    from hypopose.training.recipe_files import read_text

    try:
        return TrainConfig.from_json(read_text(path), **changes)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error


def _suiting(network: str | None) -> dict[str, Any]:
    """Options that suit a network, by name."""
    from hypopose.training import ARCHITECTURES

    if network is None:
        return {}
    if network not in ARCHITECTURES:
        raise OptionError(
            f"There is no network {network!r} to train; choose one of {', '.join(ARCHITECTURES)}."
        )
    return ARCHITECTURES[network].options


def _resume_stages(
    run: Path, config_file: str | None, motion: Path | None, changes: dict[str, Any]
) -> None:
    """Go on with the recipe of a folder."""
    from hypopose.training.recipe_files import recipe_names

    if changes or motion is not None or config_file not in (None, *recipe_names()):
        raise OptionError(
            f"{run} already holds a recipe, whose options are settled. Give none to go on with "
            "it, or name another folder."
        )
    _train_stages(run, None)


def _stages(
    run: Path, recipe: Recipe, motion: Path | None, changes: dict[str, Any]
) -> tuple[Stage, ...]:
    """The stages of a recipe that begins in a folder."""
    from hypopose.training.recipe_files import shards_in

    if (run / "config.json").exists():
        raise OptionError(f"{run} already holds a single run; name another folder for the recipe.")
    shards = [str(s) for s in changes.pop("shards", ())]
    if motion is None and not shards:
        raise OptionError("Name motion to train on: --motion FOLDER, or --shard FILE.npz.")
    found = shards or shards_in(cast(Path, motion), recipe.shards)
    return recipe.with_shards(found, **changes)


def _train_stages(run: Path, stages: tuple[Stage, ...] | None) -> None:
    from hypopose.training.stages import train_stages

    with _reporting(run) as report:
        weights = train_stages(run, stages, report=report)
    if weights is None:
        click.echo(f"stopped; hypopose train {run} goes on")
    else:
        click.echo(f"weights -> {weights}")


def _train(config: TrainConfig, run: Path) -> None:
    from hypopose.training import train as train_network

    with _reporting(run) as report:
        if config.target.keypoints:
            from hypopose.api.adapting import train_on_target
            from hypopose.cli.targets import read_target

            targets, placed = read_target(config.target)
            weights = train_on_target(config, run, targets, **placed, report=report)
        else:
            weights = train_network(config, run, report=report)
    click.echo(f"weights -> {weights}")


@contextmanager
def _reporting(run: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A bar that follows the log; Ctrl-C makes the file ``STOP``.

    A folder that was made here stays only if something was written into it.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    made = not run.exists()
    run.mkdir(parents=True, exist_ok=True)
    stop = run / "STOP"
    stop.unlink(missing_ok=True)
    signal.signal(signal.SIGINT, lambda *_: stop.touch())
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task("starting", total=1.0)

        def report(row: dict[str, Any]) -> None:
            seen = f"{row.get('stage', '')} {row['frames']:,} frames".strip()
            if "frames_per_s" in row:
                loss = f"{row['loss_mm']:.1f} mm" if "loss_mm" in row else f"loss {row['loss']:.4g}"
                text = f"{seen}  {row['frames_per_s']}/s  {loss}"
                bar.update(task, completed=row["share"], description=text)
            else:
                errors = (f"{k} {v:.1f}" for k, v in row.items() if k.endswith(("_mm", "_steps")))
                bar.console.print(f"{seen}: {', '.join(errors)}")

        try:
            yield report
        except BaseException:
            if made and not any(run.iterdir()):
                run.rmdir()
            raise
