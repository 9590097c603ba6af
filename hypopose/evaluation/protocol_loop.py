"""Evaluate a sampler, or predictions of any method, by a published protocol.

The one accumulator of :mod:`hypopose.evaluation` keeps the sums; what is added here is which
numbers the tables of a protocol show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hypopose.calibration import Estimate
from hypopose.calibration.bootstrap import N_DRAWS
from hypopose.datasets.protocols import ProtocolData
from hypopose.errors import OptionError
from hypopose.evaluation.accumulator import Evaluator
from hypopose.evaluation.benchmark_loop import root_words
from hypopose.evaluation.evaluation_results import OracleCurve
from hypopose.evaluation.frame_scores import TITLES, Metric, choose_metrics
from hypopose.evaluation.protocol_draws import CLIP_FRAMES, AnsweredView, Answers, answered_views
from hypopose.evaluation.protocol_metrics import protocol_metrics
from hypopose.evaluation.protocol_results import ProtocolEvaluation
from hypopose.evaluation.published_best import BATCH_TITLES, POSE, BatchBest
from hypopose.evaluation.published_ece import PUBLISHED_TITLES
from hypopose.evaluation.summaries import notes_of
from hypopose.evaluation.vertex_errors import VERTEX_TITLES, vertex_errors


def evaluate_answers(
    data: ProtocolData,
    answers: Answers,
    *,
    method: dict[str, Any],
    consumed: Mapping[str, str] | None = None,
    clip_frames: int = CLIP_FRAMES,
    limit: int | None = None,
    metrics: Mapping[str, Metric] | None = None,
    exclude_root: bool = False,
    n_groupings: int = 1,
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ProtocolEvaluation:
    """Compare a method's answers with the truth of a protocol.

    Args:
        data: The views, of ``make_protocol(name).open(folder)``.
        answers: :class:`~.protocol_draws.SampledAnswers` or :class:`~.predictions.Predictions`.
        method: Its record; ``name`` is what tables call it.
        consumed: What the method took from the truth; None for what the protocol gives samplers.
        clip_frames: Frames of a clip at most.
        limit: Only this many views, spread evenly.
        metrics: The default ones and those asked for; None for the default ones.
        exclude_root: Leave the root joint out of errors where the protocol counts it.
        n_groupings: Groupings of the hypotheses that the ECE is averaged over.
        settings: Further settings for the record.
        progress: Called with views done and views in all.

    Returns:
        Scores with intervals: over all frames, as means of groups, and per group.

    Raises:
        OptionError: If an option is out of range.
        FormatError: If predictions do not fit a view.
    """
    if clip_frames < 1:
        raise OptionError("clip_frames must be at least 1.")
    without_root = exclude_root or data.exclude_root
    evaluator = Evaluator(
        protocol_metrics(
            dict(choose_metrics() if metrics is None else metrics),
            pck_joints=_judged(data, without_root),
            gaps=data.gaps,
        ),
        exclude_root=without_root,
        n_groupings=n_groupings,
        min_at_k=True,
        published_ece=True,
    )
    seconds = 0.0
    for view in answered_views(data, answers, limit=limit, progress=progress):
        _judge(evaluator, view, data, clip_frames)
        seconds += view.answer.seconds
    record = {
        **_record(data, evaluator, clip_frames, limit),
        "sampling_seconds": round(seconds, 3),
        "frames_per_second": round(evaluator.n_frames / seconds, 1) if seconds else None,
        **(settings or {}),
    }
    groupings = _groupings(data, evaluator)
    return ProtocolEvaluation(
        benchmark=data.protocol,
        sampler=method,
        settings=record,
        scores=evaluator.scores(),
        actions=groupings.get(data.headline, {}),
        headline=data.headline,
        means=_means(data, evaluator),
        groupings=groupings,
        min_at_k=_oracle_curves(data, evaluator),
        titles={
            **TITLES,
            **PUBLISHED_TITLES,
            **BATCH_TITLES,
            **VERTEX_TITLES,
            **{key: metric.title for key, metric in evaluator.metrics.items()},
        },
        consumed={str(k): said for k, said in (consumed or data.consumed).items()},
    )


def _judge(evaluator: Evaluator, view: AnsweredView, data: ProtocolData, clip_frames: int) -> None:
    """Add the scores of one view."""
    best = None if evaluator.exclude_root else _published_best(view, data, clip_frames)
    for frames, draw in view.draws(clip_frames):
        compared = evaluator.update(draw)
        if best is not None and not data.gaps:
            best.add(frames, compared)
    if best is not None:
        _keep(evaluator, view, best.values())
    if data.surface is not None:
        counted = torch.from_numpy(view.entry.counted)
        found = vertex_errors(view, data.surface)
        _keep(evaluator, view, {key: (counted, values) for key, values in found.items()})


def _record(
    data: ProtocolData, evaluator: Evaluator, clip_frames: int, limit: int | None
) -> dict[str, Any]:
    """What was evaluated, and how."""
    beside = " beside the root, which only aligns" if data.exclude_root else ""
    return {
        "variant": dict(data.variant),
        "joints": f"{data.n_joints} of {data.source_skeleton.name}{beside}",
        "n_hypotheses": evaluator.n_hypotheses,
        "n_views": len(data.entries) if limit is None else min(limit, len(data.entries)),
        "n_sequences": len({sequence for _, sequence in evaluator.sums.table}),
        "n_frames": evaluator.n_frames,
        "clip_frames": clip_frames,
        "limit": limit,
        "p_best": _p_best_words(data, evaluator, clip_frames),
        "root_joint": root_words(evaluator.exclude_root),
        "intervals": f"95 %, {N_DRAWS} bootstrap draws of whole sequences",
        "notes": list(data.notes),
        **notes_of(evaluator.curve()),
    }


def _oracle_curves(data: ProtocolData, evaluator: Evaluator) -> tuple[OracleCurve, ...]:
    """The best of k hypotheses; not per clip where frames are missing."""
    return tuple(
        OracleCurve(best, np.asarray(curve.numpy(), dtype=np.float64))
        for best, curve in evaluator.best_of_k().items()
        if not (data.gaps and best == "clip")
    )


def _published_best(view: AnsweredView, data: ProtocolData, clip_frames: int) -> BatchBest | None:
    """P-Best as D3DP's code has it; None where no table does, or frames were not answered."""
    if data.batches is None or not view.whole or len(view.answer.joints) < 2:
        return None
    truth = view.truth.joints
    return BatchBest.of(
        view.answer.joints.to(truth), truth, data.batches, clip_frames, view.entry.counted,
        _judged(data, False),
    )  # fmt: skip


def _keep(
    evaluator: Evaluator, view: AnsweredView, found: Mapping[str, tuple[Tensor, Tensor]]
) -> None:
    """Add values of a view, key -> frames and a value for each, to those of its actions."""
    labels = np.empty(view.entry.n_frames, dtype=object)
    for action, shown in view.entry.parts.items():
        labels[shown] = action
    for key, (frames, values) in found.items():
        for action in view.entry.parts:
            own = torch.from_numpy(labels[frames.numpy()] == action)
            evaluator.sums.update({key: values[own][None]}, [(action, view.entry.sequence)])


def _p_best_words(data: ProtocolData, evaluator: Evaluator, clip_frames: int) -> str | None:
    """Which P-Best the tables print."""
    if evaluator.n_hypotheses < 2:
        return None
    per_frame = "per frame: the best hypothesis of every frame"
    if POSE not in evaluator.sums.keys:
        return per_frame
    clips = 0 if data.batches is None else data.batches.clips
    return (
        f"{per_frame}; as published: one hypothesis for every batch of {clips} clips of "
        f"{clip_frames} frames (D3DP's code)"
    )


def _judged(data: ProtocolData, without_root: bool) -> tuple[int, ...] | None:
    """Joints of PCK among those that errors are computed of."""
    if data.pck_joints is None:
        return None
    root = data.skeleton.root
    return tuple(j - (without_root and j > root) for j in data.pck_joints)


def _means(data: ProtocolData, evaluator: Evaluator) -> dict[str, Estimate]:
    """Unweighted means over the rows of the headline grouping that were seen."""
    seen = set(evaluator.sums.table)
    rows = [cells & seen for cells in data.groupings.get(data.headline, {}).values()]
    rows = [cells for cells in rows if cells]
    found = {key: evaluator.sums.mean_of_groups(key, rows) for key in evaluator.keys}
    return {key: mean for key, mean in found.items() if mean is not None}


def _groupings(
    data: ProtocolData, evaluator: Evaluator
) -> dict[str, dict[str, dict[str, Estimate]]]:
    seen = set(evaluator.sums.table)
    return {
        title: {
            label: _row(evaluator, cells, label if title == "action" else None)
            for label, cells in rows.items()
            if cells & seen
        }
        for title, rows in data.groupings.items()
    }


def _row(
    evaluator: Evaluator, cells: frozenset[tuple[str, str]], action: str | None
) -> dict[str, Estimate]:
    """Scores of some cells; calibration too if they are one action."""
    if action is not None:
        scores = evaluator.scores(action)
    else:
        found = {key: evaluator.sums.estimate(key, cells) for key in evaluator.keys}
        scores = {key: estimate for key, estimate in found.items() if estimate is not None}
    counts = evaluator.sums.by_sequence(next(iter(evaluator.metrics)), cells)
    n_frames = sum(float(row[1:].sum()) for row in counts.values())
    return {"n_frames": Estimate(n_frames), **scores}
