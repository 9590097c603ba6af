"""``hypopose evaluate``: a sampler on a benchmark, or a result file against its truth."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.options import shared
from hypopose.cli.overwrite import force_option, refuse_existing
from hypopose.cli.set_option import read_settings, refuse_sampling_options
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.datasets import Benchmark
    from hypopose.report.evaluation import Evaluation
    from hypopose.types import Sampler


@click.command()
@click.argument("result", required=False, type=click.Path(path_type=Path))
@click.option("--benchmark", help="A benchmark in the box by name, or a definition file.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of the benchmark's motion shards."
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    help="For RESULT: npy or npz (array 'joints') of (F, J, 3) camera-frame meters.",
)
@click.option("--sampler", help="A sampler, or mean-pose; default: what the weights were made for.")
@click.option("--weights", help="Weights in the box by name, or a folder of weights.")
@click.option("--n-hypotheses", default=20, show_default=True, help="3D motions per view.")
@click.option("--n-steps", type=int, help="Network evaluations; default: what the weights say.")
@click.option(
    "--window", type=int, help="Frames per window, to see seams; default: what the weights say."
)
@click.option("--seed", default=0, show_default=True, help="Same seed, same numbers.")
@click.option("--limit", type=int, help="Only this many views, spread evenly; default: all.")
@click.option("--batch-size", default=16, show_default=True, help="Views sampled together.")
@shared("settings")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:1.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file to write.")
@force_option
def evaluate(result: Path | None, output: Path | None, force: bool, **options: Any) -> None:
    """Measure a sampler on a benchmark, or RESULT against --truth.

    Prints a table, oracle scores apart; -o also writes JSON. A benchmark adds 95 % intervals over
    sequences, per-action scores, settings, and what was taken from the truth.

    Example: hypopose evaluate --benchmark test-clean --data motion --sampler boneflips
    """
    if (result is None) == (options["benchmark"] is None):
        raise OptionError("Give either --benchmark NAME --data FOLDER, or RESULT --truth FILE.")
    refuse_existing(output, force=force)
    if result is not None:
        refuse_sampling_options(("truth",))
        data = _evaluate_result(result, options["truth"])
        _print_pair(data["scores"])
        _print_pair(data["oracle_scores"], "ORACLE: picks by the truth, no method can reach it")
        _explain_blanks(data["scores"].values())
    else:
        evaluation = _evaluate_benchmark(options)
        _print(evaluation)
        data = evaluation.to_dict()
    if output is not None:
        from hypopose.io import write_atomically

        with write_atomically(output) as temporary:
            temporary.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n")
        click.echo(f"-> {output}")


def _evaluate_benchmark(options: dict[str, Any]) -> Evaluation:
    if options["data"] is None:
        raise OptionError("A benchmark needs its motion: add --data FOLDER with the shards.")
    from rich.console import Console
    from rich.progress import Progress

    from hypopose.datasets import load_benchmark
    from hypopose.report.evaluation import evaluate_benchmark

    benchmark = load_benchmark(options["benchmark"])
    sampler, record = sampler_of(options, benchmark)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(benchmark.name, total=None)
        return evaluate_benchmark(
            sampler,
            benchmark,
            options["data"],
            n_hypotheses=options["n_hypotheses"],
            seed=options["seed"],
            limit=options["limit"],
            batch_size=options["batch_size"],
            sampler_record=record,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def sampler_of(options: dict[str, Any], benchmark: Benchmark) -> tuple[Sampler, dict[str, Any]]:
    """The sampler that options name, and its description."""
    if options["sampler"] == "mean-pose":
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


def _evaluate_result(path: Path, truth: Path | None) -> dict[str, Any]:
    if truth is None:
        raise OptionError(f"{path} needs a truth to compare with: add --truth FILE.")
    from hypopose.io import load_hypotheses
    from hypopose.report.evaluation import evaluate_pair, is_oracle
    from hypopose.report.judging import read_truth

    stored = load_hypotheses(path)
    scores = evaluate_pair(
        stored.hypotheses, stored.keypoints, read_truth(truth, stored.hypotheses)
    )
    return {
        "result": path.name,
        "truth": truth.name,
        "scores": {k: _known(v) for k, v in scores.items() if not is_oracle(k)},
        "oracle_scores": {k: _known(v) for k, v in scores.items() if is_oracle(k)},
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _print(evaluation: Evaluation) -> None:
    from rich.console import Console

    console = Console()
    settings = evaluation.settings
    console.print(
        f"{evaluation.benchmark}, {evaluation.sampler['name']}: "
        f"{settings['n_hypotheses']} hypotheses, {settings['n_views']} views of "
        f"{settings['n_sequences']} sequences, {settings['n_frames']} frames, "
        f"{settings['frames_per_second']} frames/s"
    )
    for oracle in (False, True):
        console.print(_score_table(evaluation, oracle))
    console.print(_action_table(evaluation))
    _explain_blanks(_known(score.value) for score in evaluation.scores.values())


def _score_table(evaluation: Evaluation, oracle: bool) -> Any:
    from rich.table import Table

    from hypopose.report.evaluation import TITLES, is_oracle

    title = "ORACLE: picks by the truth, no method can reach it" if oracle else None
    table = Table(title=title, title_justify="left")
    for name, justify in (
        ("score", "left"),
        ("unit", "left"),
        ("value", "right"),
        ("95 % interval", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("frames left out", justify="right")
    for key, score in evaluation.scores.items():
        if is_oracle(key) == oracle:
            interval = "" if math.isnan(score.low) else _range(key, score.low, score.high)
            left_out = str(score.n_invalid_frames or "")
            table.add_row(TITLES[key], _unit(key), _number(key, score.value), interval, left_out)
    return table


def _action_table(evaluation: Evaluation) -> Any:
    from rich.table import Table

    heads = {
        "mpjpe_mean_mm": "mean (95 %)",
        "mpjpe_single_mm": "single",
        "mpjpe_jpma_mm": "JPMA",
        "p_mpjpe_mean_mm": "P-MPJPE",
        "energy_score_joint_mm": "energy/joint (95 %)",
        "ece": "ECE",
        "mpjpe_oracle_joint_best_mm": "oracle joint-best",
    }
    title = "per action (mm; intervals of all scores with -o)"
    table = Table("action", "frames", *heads.values(), title=title, title_justify="left")
    for action, row in evaluation.actions.items():
        ends = evaluation.action_intervals.get(action, {})
        cells = [
            _number(key, row[key])
            + (f" ({_range(key, *ends[key])})" if "95" in head and key in ends else "")
            for key, head in heads.items()
        ]
        table.add_row(action, str(int(row["n_frames"])), *cells)
    return table


def _explain_blanks(values: Iterable[float | None]) -> None:
    if None in values:
        click.echo(
            "-: cannot be told from these data (H hypotheses resolve levels up to H / (H + 1))"
        )


def _print_pair(scores: dict[str, float | None], title: str | None = None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("score", "value", title=title, title_justify="left")
    for key, value in scores.items():
        table.add_row(key, "-" if value is None else f"{value:.4g}")
    Console().print(table)


def _unit(key: str) -> str:
    for ending, unit in (("_mm_per_frame", "mm/frame"), ("_mm", "mm"), ("_percent", "%")):
        if key.endswith(ending):
            return unit
    return ""


def _number(key: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" if key.startswith("ece") else f"{value:.1f}"


def _range(key: str, low: float, high: float) -> str:
    return f"{_number(key, low)} to {_number(key, high)}"
