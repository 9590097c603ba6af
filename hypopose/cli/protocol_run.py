"""``hypopose evaluate --protocol``: open the folder, choose the method, measure, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.benchmark_options import progress_bar, sampler_of
from hypopose.cli.protocol_options import (
    OF_PREDICTIONS,
    OWN,
    command_line,
    details,
    refuse_others,
    variants,
)
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.datasets.protocols import ProtocolData
    from hypopose.evaluation import ProtocolEvaluation
    from hypopose.evaluation.protocol_draws import Answers

WIDTH = 120
"""Columns of text that goes elsewhere than to a terminal."""
_MEASURING = ("data", "output", "force", "metric_names", "exclude_root", "ece_groupings", "limit")


def evaluate_protocol(options: dict[str, Any]) -> ProtocolEvaluation:
    """Run what the options of ``evaluate --protocol`` say.

    Args:
        options: Parameters of the command by name.

    Raises:
        OptionError: If options contradict each other.
        FormatError: If data or predictions are not what they should be.
    """
    if options["data"] is None:
        raise OptionError(
            f"The protocol {options['protocol']} needs your copy of the data: add --data FOLDER; "
            f"hypopose data fetch-notes {options['protocol']} says where to get it."
        )
    if options["prediction"] is None:
        names = ("weights", "sampler", "n_steps", "settings", "device", "n_hypotheses", "seed",
                 "window")  # fmt: skip
        allowed = (*_MEASURING, *names, *(name for name in OWN if name not in OF_PREDICTIONS))
        refuse_others(allowed, "is for --prediction FILE, or another kind of evaluation.")
    else:
        refuse_others((*_MEASURING, *OWN), "is for sampling; these predictions exist already.")
    from hypopose.datasets.protocols import make_protocol

    protocol = make_protocol(options["protocol"], **variants(options["variant"]))
    data = protocol.open(options["data"], keypoints_needed=options["prediction"] is None)
    if options["prediction"] is None:
        return _sampled(options, data)
    return _predicted(options, data)


def _sampled(options: dict[str, Any], data: ProtocolData) -> ProtocolEvaluation:
    from hypopose.api.making import folder_of
    from hypopose.evaluation import SampledAnswers

    if options["sampler"] == "mean-pose":
        raise OptionError("mean-pose belongs to benchmarks; a protocol takes --sampler boneflips.")
    sampler, record = sampler_of(options, None)
    weights = record.get("weights")
    answers = SampledAnswers(sampler, data, options["n_hypotheses"], options["seed"])
    settings = {"seed": options["seed"]}
    method = None if weights is None else folder_of(str(weights))
    return _measured(options, data, answers, record, None, settings, method)


def _predicted(options: dict[str, Any], data: ProtocolData) -> ProtocolEvaluation:
    from hypopose.datasets.protocols.protocol_data import GROUND_TRUTH
    from hypopose.evaluation import Layout, Predictions, check_predictions
    from hypopose.evaluation.prediction_checks import scale_was_taken
    from hypopose.evaluation.protocol_results import stated
    from hypopose.io.prediction_files import read_predictions

    layout = Layout(
        options["unit"], options["axes"], options["swap_sides"], options["frame"],
        options["skeleton"] or "",
    )  # fmt: skip
    consumed = stated(details(options["consumed"]))
    path: Path = options["prediction"]
    predictions = Predictions(read_predictions(path), data, layout)
    facts = {"checks": "left out (--unchecked)"}
    if not options["unchecked"]:
        facts = check_predictions(predictions)
    if scale_was_taken(facts):
        consumed["scale"] = f"{GROUND_TRUTH} (bodies have its size in every frame)"
    record = {"name": path.stem, "prediction": path.name}
    settings = {**layout.described(), **facts}
    return _measured(options, data, predictions, record, consumed, settings, path)


def _measured(
    options: dict[str, Any],
    data: ProtocolData,
    answers: Answers,
    record: dict[str, Any],
    consumed: dict[str, str] | None,
    settings: dict[str, Any],
    method: Path | None,
) -> ProtocolEvaluation:
    from dataclasses import replace

    from hypopose.evaluation import evaluate_answers
    from hypopose.evaluation.frame_scores import choose_metrics
    from hypopose.evaluation.run_record import run_record

    with progress_bar(data.protocol) as progress:
        found = evaluate_answers(
            data,
            answers,
            method=record,
            consumed=consumed,
            clip_frames=options["clip_frames"],
            limit=options["limit"],
            metrics=choose_metrics(options["metric_names"]),
            exclude_root=options["exclude_root"],
            n_groupings=options["ece_groupings"],
            settings=settings,
            progress=progress,
        )
    provenance = {"command": command_line(), **run_record(data.hashes(), method=method)}
    return replace(found, provenance=provenance)


def print_protocol(evaluation: ProtocolEvaluation) -> None:
    """Print every table, and what the numbers depend on."""
    from rich.console import Console
    from rich.table import Table

    from hypopose.report.protocol_tables import protocol_tables, setting_rows

    settings = evaluation.settings
    click.echo(
        f"{evaluation.benchmark}, {evaluation.sampler['name']}: H = {settings['n_hypotheses']}, "
        f"{settings['n_views']} views of {settings['n_sequences']} sequences, "
        f"{settings['n_frames']} frames, joints: {settings['joints']}"
    )
    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH)
    for words in protocol_tables(evaluation):
        table = Table(title=words.title, title_justify="left")
        for i, head in enumerate(words.heads):
            table.add_column(head, justify="left" if i == 0 else "right", no_wrap=i == 0)
        for row in words.rows:
            table.add_row(*row)
        console.print(table)
    for name, said in setting_rows(evaluation):
        click.echo(f"{name}: {said}")
