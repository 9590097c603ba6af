"""Options of commands that sample a benchmark, or read results and their truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hypopose.cli.options import shared
from hypopose.cli.set_option import read_settings, refuse_sampling_options
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from rich.progress import TaskID

    from hypopose.datasets import Benchmark
    from hypopose.evaluation import Draw
    from hypopose.types import Sampler

Command = TypeVar("Command", bound=Callable[..., Any])

_SAMPLING = (
    shared(
        "weights",
        "n_steps",
        "settings",
        "device",
        sampler={
            "help": "A sampler by name, mean-pose, or your own: package.module:Class or "
            "./file.py:Class. Default: the one the weights were trained for.",
        },
        n_hypotheses={"help": "3D motions per view."},
        seed={"help": "Same seed, same numbers."},
    ),
    click.option(
        "--window",
        type=int,
        help="Frames per window, to measure seams; default: what the weights recommend.",
    ),
    click.option("--limit", type=int, help="Only this many views, spread evenly; default: all."),
    click.option("--batch-size", default=16, show_default=True, help="Views sampled together."),
)

_DATA = (
    click.option(
        "--benchmark", help="Sample this benchmark; DATA is the folder of its motion shards."
    ),
    click.option(
        "--truth", type=click.Path(path_type=Path), help="Folder of truths; default: DATA/truth."
    ),
)


cluster_option = click.option(
    "--cluster",
    metavar="WHERE",
    help="Sample and score on a Dask cluster: local, slurm, or the address of a scheduler (extra "
    "hypopose[cluster]).",
)
"""``--cluster`` of commands that evaluate a benchmark in parts."""


def sampling_options(command: Command) -> Command:
    """Give a command the options of sampling a benchmark."""
    return _all(_SAMPLING, command)


def data_options(command: Command) -> Command:
    """Give a command ``--benchmark`` and ``--truth``, for a folder of motion or of results."""
    return _all(_DATA, command)


def _all(options: tuple[Callable[..., Any], ...], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def sampler_of(
    options: dict[str, Any], benchmark: Benchmark | None
) -> tuple[Sampler, dict[str, Any]]:
    """The sampler that options name, and its description; only a benchmark has a mean pose."""
    if options["sampler"] == "mean-pose" and benchmark is not None:
        names = ("weights", "n_steps", "window", "settings")
        if any(options[name] not in (None, ()) for name in names):
            raise OptionError(
                "mean-pose has no network, so it takes no --weights, --n-steps, --window or --set."
            )
        return benchmark.baseline, {"name": "mean-pose"}
    from hypopose.api import describe_sampler, make_sampler
    from hypopose.api.making import weights_label

    settings = read_settings(options["settings"])
    if options["window"] is not None:
        settings["window"] = options["window"]
    sampler = make_sampler(
        options["sampler"],
        weights=options["weights"],
        n_steps=options["n_steps"],
        device=options["device"],
        **settings,
    )
    record = describe_sampler(sampler)
    label = weights_label(sampler, options["weights"])
    return sampler, {**record, "weights": label} if label else record


@contextmanager
def cluster_of(options: dict[str, Any]) -> Iterator[Executor | None]:
    """The executor that ``--cluster`` names, or None.

    Raises:
        BackendError: If there is no such cluster.
    """
    from hypopose.distributed.cluster import check_where, cluster_executor

    if options["cluster"] is not None:
        check_where(options["cluster"])
    with cluster_executor(options["cluster"]) as executor:
        yield executor


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error; call what is given with done and total."""
    with progress_bars() as progress:
        yield lambda done, total: progress(name, done, total)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each name on standard error; call what is given with name, done and total."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=None)
            bars.update(tasks[name], completed=done, total=total)

        yield show


def method_of(options: dict[str, Any]) -> tuple[Benchmark, Sampler, str, dict[str, str]]:
    """The benchmark and the sampler that options name, the sampler's name, settings in words."""
    from hypopose.datasets import load_benchmark

    benchmark = load_benchmark(options["benchmark"])
    sampler, record = sampler_of(options, benchmark)
    words = ", ".join(f"{k}={v}" for k, v in record.items() if k != "name")
    details = {"data": f"benchmark {benchmark.name}", "sampler": f"{record['name']} {words}"}
    return benchmark, sampler, str(record["name"]), details


@contextmanager
def draws_of(
    data: Path, options: dict[str, Any], others: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, str], Iterator[Draw]]]:
    """Hypotheses and their truth, from a benchmark or from a folder of results.

    Args:
        data: Folder of the benchmark's motion shards, or of results.
        options: ``benchmark``, ``truth`` and those of :func:`sampling_options`.
        others: Options of the command that are not about sampling.

    Yields:
        Name of the method, settings in words, and the draws.
    """
    from hypopose.evaluation import benchmark_draws, folder_draws

    if not data.is_dir():
        raise OptionError(f"{data} is not a folder; see --help of this command.")
    if options["benchmark"] is None:
        refuse_sampling_options(("truth", *others))
        details = {"data": f"results in {data.name}"}
        yield data.name, details, folder_draws(data, options["truth"])
        return
    benchmark, sampler, name, details = method_of(options)
    with progress_bar(benchmark.name) as progress:
        yield (
            name,
            details,
            benchmark_draws(
                sampler,
                benchmark,
                data,
                n_hypotheses=options["n_hypotheses"],
                seed=options["seed"],
                limit=options["limit"],
                batch_size=options["batch_size"],
                progress=progress,
            ),
        )
