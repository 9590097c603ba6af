"""``hypopose evaluate``: a sampler on a benchmark or by a protocol, or a result file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.benchmark_options import (
    cluster_of,
    cluster_option,
    progress_bar,
    sampler_of,
    sampling_options,
)
from hypopose.cli.options import shared
from hypopose.cli.overwrite import force_option, refuse_existing
from hypopose.cli.protocol_options import OWN, protocol_options, refuse_others
from hypopose.cli.set_option import refuse_sampling_options
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.evaluation import Estimate, Evaluation


EXAMPLES = """\b
Examples:
  hypopose evaluate walk.npz --truth truth.npy
  hypopose evaluate --benchmark test-clean --data motion --sampler boneflips -o scores.json
  hypopose evaluate --protocol h36m --data h36m --weights mine --n-hypotheses 20
  hypopose evaluate --protocol 3dhp --data 3dhp --prediction theirs.npz --unit mm"""


@click.command(epilog=EXAMPLES)
@click.argument("result", required=False, type=click.Path(path_type=Path))
@shared(output={"required": False, "help": "JSON file to write."})
@click.option("--benchmark", help="A bundled benchmark by name, or a definition file.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of the benchmark's motion shards, or of the protocol's files.",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    help="For RESULT: npy or npz (array 'joints') of (F, J, 3) camera-frame meters, or what "
    "hypopose import made.",
)
@protocol_options
@sampling_options
@cluster_option
@click.option(
    "--metric",
    "metric_names",
    multiple=True,
    metavar="NAME",
    help="Also this metric: a name such as auc_mean_percent, or your own as module:Name or "
    "./file.py:Name; repeat for several.",
)
@click.option(
    "--exclude-root",
    is_flag=True,
    help="Leave the root joint, always 0 mm, out of errors; it counts otherwise.",
)
@click.option(
    "--ece-groupings",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Groupings of the hypotheses that the ECE is averaged over; more are less noisy.",
)
@force_option
def evaluate(result: Path | None, output: Path | None, force: bool, **options: Any) -> None:
    """Measure a sampler on a benchmark or by a protocol, or RESULT against --truth.

    Prints a table, oracle scores separately; -o also writes JSON. A benchmark adds 95 % intervals
    over sequences, per-action scores, settings, and what was used of the truth. A protocol is a
    published way to evaluate on a data set that you have; it also scores predictions of other
    methods.
    """
    if sum(x is not None for x in (result, options["benchmark"], options["protocol"])) != 1:
        raise OptionError(
            "Give one of: --benchmark NAME --data FOLDER (--benchmark synthetic alone), --protocol "
            "NAME --data FOLDER, or RESULT --truth FILE."
        )
    refuse_existing(output, options["card"], force=force)
    data = _evaluated(result, options)
    if output is not None:
        from hypopose.io import write_atomically

        with write_atomically(output) as temporary:
            temporary.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n")
        click.echo(f"-> {output}")


def _evaluated(result: Path | None, options: dict[str, Any]) -> dict[str, Any]:
    """Measure, print, and give what -o writes."""
    if options["protocol"] is not None:
        return _evaluate_protocol(options)
    others = [p.name or "" for p in click.get_current_context().command.params]
    refuse_others(tuple(name for name in others if name not in OWN), "is for --protocol.")
    if result is not None:
        refuse_sampling_options(("truth", "metric_names", "exclude_root", "ece_groupings"))
        data = _evaluate_result(result, options["truth"], options)
        _print_pair(data["scores"])
        _print_pair(data["oracle_scores"], "ORACLE: picks by the truth, no method can reach it")
        _explain_blanks(data["scores"].values())
        click.echo(f"root joint: {data['settings']['root_joint']}")
        return data
    from hypopose.evaluation.result_files import evaluation_to_dict

    evaluation = _evaluate_benchmark(options)
    _print(evaluation)
    return evaluation_to_dict(evaluation)


def _evaluate_protocol(options: dict[str, Any]) -> dict[str, Any]:
    from hypopose.cli.protocol_run import evaluate_protocol, print_protocol
    from hypopose.evaluation.protocol_results import protocol_to_dict

    evaluation = evaluate_protocol(options)
    print_protocol(evaluation)
    if options["card"] is not None:
        from hypopose.report.protocol_card import write_card

        write_card(options["card"], evaluation)
        click.echo(f"-> {options['card']}")
    return protocol_to_dict(evaluation)


def _evaluate_benchmark(options: dict[str, Any]) -> Evaluation:
    from hypopose.datasets import load_benchmark
    from hypopose.evaluation import evaluate_benchmark

    benchmark = load_benchmark(options["benchmark"])
    if options["data"] is None and not benchmark.is_built_in:
        raise OptionError(
            "This benchmark needs its motion: add --data FOLDER with the shards; the benchmark "
            "'synthetic' needs none."
        )
    sampler, record = sampler_of(options, benchmark)
    with cluster_of(options) as executor, progress_bar(benchmark.name) as progress:
        return evaluate_benchmark(
            sampler,
            benchmark,
            Path(options["data"] or ".").absolute(),
            n_hypotheses=options["n_hypotheses"],
            seed=options["seed"],
            limit=options["limit"],
            batch_size=options["batch_size"],
            **_what_to_measure(options),
            sampler_record=record,
            progress=progress,
            executor=executor,
        )


def _what_to_measure(options: dict[str, Any]) -> dict[str, Any]:
    from hypopose.evaluation.frame_scores import choose_metrics

    return {
        "metrics": choose_metrics(options["metric_names"]),
        "exclude_root": options["exclude_root"],
        "n_groupings": options["ece_groupings"],
    }


def _evaluate_result(path: Path, truth: Path | None, options: dict[str, Any]) -> dict[str, Any]:
    if truth is None:
        raise OptionError(f"{path} needs a truth to compare with: add --truth FILE.")
    from hypopose.evaluation import evaluate_pair, is_oracle, read_truth
    from hypopose.evaluation.benchmark_loop import root_words
    from hypopose.io import load_hypotheses

    stored = load_hypotheses(path)
    target = read_truth(truth, stored.hypotheses)
    seen = stored.keypoints.camera is not None and bool(stored.keypoints.detected.any())
    keypoints = stored.keypoints if seen else None
    scores = evaluate_pair(stored.hypotheses, keypoints, target, **_what_to_measure(options))
    return {
        "result": path.name,
        "truth": truth.name,
        "settings": {"root_joint": root_words(options["exclude_root"])},
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
    if len(evaluation.actions) > 1:
        console.print(_action_table(evaluation))
    console.print(f"root joint: {settings['root_joint']}")
    _explain_blanks(_known(score.value) for score in evaluation.scores.values())


def _score_table(evaluation: Evaluation, oracle: bool) -> Any:
    from rich.table import Table

    from hypopose.evaluation import TITLES, is_oracle
    from hypopose.evaluation.frame_scores import unit_of

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
            table.add_row(
                TITLES.get(key, key), unit_of(key), _number(key, score.value), interval, left_out
            )
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
        cells = [_cell(key, row[key], with_range="95" in head) for key, head in heads.items()]
        table.add_row(action, str(int(row["n_frames"].value)), *cells)
    return table


def _cell(key: str, estimate: Estimate, *, with_range: bool) -> str:
    value = _number(key, estimate.value)
    if not with_range or math.isnan(estimate.low):
        return value
    return f"{value} ({_range(key, estimate.low, estimate.high)})"


def _explain_blanks(values: Iterable[float | None]) -> None:
    if None in values:
        click.echo("-: not resolved by these data (H hypotheses resolve levels up to H / (H + 1))")


def _print_pair(scores: dict[str, float | None], title: str | None = None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("score", "value", title=title, title_justify="left")
    for key, value in scores.items():
        table.add_row(key, "-" if value is None else f"{value:.4g}")
    Console().print(table)


def _number(key: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" if key.startswith("ece") else f"{value:.1f}"


def _range(key: str, low: float, high: float) -> str:
    return f"{_number(key, low)} to {_number(key, high)}"
