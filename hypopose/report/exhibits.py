"""The contents of a report, before it becomes a page or a PDF: tables, figures and sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from hypopose.ambiguity import SecondCamera, second_camera
from hypopose.bodies.mesh_scenes import MeshScene
from hypopose.calibration import Estimate
from hypopose.errors import OptionError
from hypopose.evaluation.evaluation_results import CalibrationResults, CoverageRow
from hypopose.evaluation.frame_scores import TITLES, is_oracle, unit_of
from hypopose.quantities import Measurement, Measurements
from hypopose.report import clip_figures, figures
from hypopose.report.cited_calibration import calibration_sentence
from hypopose.report.mesh_pictures import mesh_figure
from hypopose.report.panel import Scene
from hypopose.report.plotting import svg
from hypopose.report.quantity_figures import file_word, quantity_figure
from hypopose.types import Hypotheses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

THESE_FILES = "these files"
"""What a method measured on the files of the report is called beside its results elsewhere."""

ANGLES_DEG = (0.0, 15.0, 30.0, 45.0, 60.0, 90.0)

NO_TRUTH = (
    "Calibration needs truth. Nothing here says whether the spread is calibrated: how often the "
    "truth lies inside a region can only be counted where it is known. Give it with --truth, or "
    "add results of hypopose calibrate on a data set. What follows needs no truth."
)


@dataclass(frozen=True, eq=False)
class Report:
    """What a report is made of: arrays and words, no files.

    Args:
        title: Headline.
        results: Methods compared with the truth, side by side; may be empty.
        scenes: Clips to look at, with or without truth; may be empty.
        remarks: Sentences that open the report.
        people: What was measured of each person: a table of values and a figure per quantity.
        surfaces: Bodies fitted to clips, by the clips' names.

    Raises:
        OptionError: If there is neither a result nor a scene, or two of them share a name.
    """

    title: str
    results: tuple[CalibrationResults, ...] = ()
    scenes: tuple[Scene, ...] = ()
    remarks: tuple[str, ...] = ()
    people: tuple[Measurements, ...] = ()
    surfaces: tuple[tuple[str, MeshScene], ...] = ()

    def __post_init__(self) -> None:
        if not self.results and not self.scenes:
            raise OptionError("A report needs at least one result or one scene.")
        for kind in ("results", "scenes"):
            names = [part.name for part in getattr(self, kind)]
            if len(set(names)) < len(names):
                raise OptionError(
                    f"Two of the report's {kind} share a name: {', '.join(names)}; rename one."
                )


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A figure with its words.

    Args:
        key: File name without ending.
        title: Heading.
        caption: How to read it.
        figure: The matplotlib figure.
        needs_truth: Whether the truth went into it.
    """

    key: str
    title: str
    caption: str
    figure: Figure
    needs_truth: bool

    @cached_property
    def svg(self) -> bytes:
        """The figure as SVG, drawn when it is first asked for."""
        return svg(self.figure)


@dataclass(frozen=True)
class Table:
    """A table as text.

    Args:
        key: File name without ending.
        title: Heading.
        note: How to read it.
        head: Column names.
        rows: Cells; the first of a row names it.
        oracle: Whether the numbers pick by the truth: such tables are separate.
    """

    key: str
    title: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    oracle: bool = False


def exhibits(report: Report) -> tuple[Exhibit, ...]:
    """All figures of a report, in reading order.

    Args:
        report: What to show.

    Returns:
        Those of the results first; parts that no method has are left out.
    """
    found = [
        Exhibit(key, title, caption, draw(having), True)
        for key, part, title, caption, draw in _JUDGED
        if (having := [j for j in report.results if getattr(j, part)])
    ]
    for i, scene in enumerate(report.scenes):
        if len(scene.hypotheses) > 1:
            found.append(
                Exhibit(f"trajectories_{i}", f"Trajectories: {scene.name}", _TRAJECTORIES,
                        clip_figures.trajectory_figure(scene), scene.truth is not None)
            )  # fmt: skip
        if scene.ambiguity is not None:
            found += [
                Exhibit(f"{key}_{i}", f"{title}: {scene.name}", caption,
                        draw(scene.name, scene.ambiguity), False)
                for key, title, caption, draw in _SEEN
            ]  # fmt: skip
    found += [_surface(i, *named) for i, named in enumerate(report.surfaces)]
    cameras = [(s.name, _second_camera(s.hypotheses)) for s in report.scenes if s.ambiguity]
    if cameras:
        found.append(
            Exhibit("second_camera", "What a second camera would remove", _SECOND_CAMERA,
                    clip_figures.second_camera_figure(cameras), False)
        )  # fmt: skip
    return (*found, *quantity_exhibits(report.people))


def _surface(index: int, name: str, scene: MeshScene) -> Exhibit:
    """Three moments of a fitted body from two sides, and how near its joints are."""
    known = np.flatnonzero(np.isfinite(scene.takes[0].vertices).all((1, 2)))
    frames = {int(known[round(share * (len(known) - 1))]) for share in _MOMENTS if len(known)}
    record = scene.record
    words = (
        f"The body {record['body']!r} fitted to the aggregate. {_SURFACE} Error of the fit: the "
        f"body's joints are {record['joint_error_aggregate_mm']:.1f} mm from the aggregate's, and "
        f"{record['joint_error_mm']:.1f} mm from the hypotheses'."
    )
    figure = mesh_figure(scene, sorted(frames) or [0])
    return Exhibit(f"surface_{index}", f"Surface: {name}", words, figure, False)


def quantity_exhibits(people: Sequence[Measurements]) -> tuple[Exhibit, ...]:
    """A figure for every quantity per frame that was measured.

    Args:
        people: Who was measured; may be empty.
    """
    families = {
        m.quantity.family: m.quantity
        for person in people
        for m in person.values()
        if m.quantity.per == "frame"
    }
    return tuple(
        Exhibit(f"quantity_{file_word(family)}", family.replace("_", " "),
                f"{quantity.definition} {_QUANTITY}", quantity_figure(family, people), False)
        for family, quantity in families.items()
    )  # fmt: skip


def tables(report: Report) -> tuple[Table, ...]:
    """All tables of a report: scores, oracle scores separately, coverage, settings.

    Args:
        report: What to show.

    Returns:
        Tables whose columns are methods; empty ones are left out.
    """
    made = [
        _score_table(report.results, oracle=False),
        _score_table(report.results, oracle=True),
        _coverage_table(report.results),
        quantity_table(report.people),
        _settings_table(report),
    ]
    return tuple(table for table in made if table.rows)


def findings(report: Report) -> tuple[str, ...]:
    """The opening sentences, a summary of the figures.

    Args:
        report: What to show.

    Returns:
        The report's remarks, then a sentence a judged method, then a warning where one is due.
    """
    said = [*report.remarks]
    for result in report.results:
        r = result.reliability
        if r is not None:
            counts = {word: r.verdicts.count(word) for word in dict.fromkeys(r.verdicts)}
            joints = ", ".join(f"{n} {word}" for word, n in counts.items())
            said.append(
                f"{result.name}: ECE {r.ece:.3f} where a perfect model would show "
                f"{r.null_ece:.3f} on as much data; of {len(r.verdicts)} joints {joints}."
            )
            if not math.isfinite(r.ece_low):
                said.append(
                    f"{result.name} was judged on a single sequence: intervals cannot be given, "
                    "and the bands take its frames for independent, which they are not."
                )
    return tuple(said)


def scene_findings(scene: Scene, n_most: int = 12) -> tuple[str, ...]:
    """What a scene's hypotheses disagree on, in sentences.

    Args:
        scene: With an ambiguity analysis, or without.
        n_most: Sentences at most; how many were left out is said.

    Returns:
        Sentences without any truth.
    """
    settings = scene.settings or {}
    card: tuple[str, ...] = ()
    if "weights" in settings:
        weights = settings["weights"].removesuffix("none")
        moved = not settings.get("spread", "").startswith("as sampled")
        card = (calibration_sentence(weights, moved),)
    if scene.ambiguity is None:
        return (*card, "Too few hypotheses to analyze their ambiguity: five are needed.")
    said = scene.ambiguity.sentences()
    left = len(said) - n_most
    return (*card, *said[:n_most], *([f"and {left} more of the kind"] if left > 0 else []))


def _second_camera(hypotheses: Hypotheses) -> SecondCamera:
    """At most 60 hypotheses and 40 frames: a mean over joints and frames needs no more."""
    h = torch.linspace(0, len(hypotheses) - 1, min(60, len(hypotheses))).round().long()
    n_frames = hypotheses.joints.shape[1]
    f = torch.linspace(0, n_frames - 1, min(40, n_frames)).round().long()
    root = None if hypotheses.root is None else hypotheses.root[h][:, f]
    few = Hypotheses(hypotheses.joints[h][:, f], hypotheses.skeleton, root)
    return second_camera(few, ANGLES_DEG)


def _score_table(results: Sequence[CalibrationResults], oracle: bool) -> Table:
    rows_of = [{k: e for k, e in r.scores.items() if is_oracle(k) == oracle} for r in results]
    keys = dict.fromkeys(key for rows in rows_of for key in rows)
    key, title, note = _ORACLE_SCORES if oracle else _SCORES
    return Table(
        key=key,
        title=title,
        note=note,
        head=("score", *(r.name for r in results)),
        rows=tuple(_score_row(key, rows_of) for key in keys),
        oracle=oracle,
    )


def _score_row(key: str, rows_of: Sequence[Mapping[str, Estimate]]) -> tuple[str, ...]:
    unit = unit_of(key)
    title = f"{TITLES.get(key, key)} ({unit})" if unit else TITLES.get(key, key)
    return (title, *(_score(key, rows.get(key)) for rows in rows_of))


def _coverage_table(results: Sequence[CalibrationResults]) -> Table:
    shown = [(r.name, row) for r in results for row in r.coverage]
    blank = any(bool(np.isnan(row.coverage).any()) for _, row in shown)
    recalibrated = any(len(r.coverage) > 1 for r in results)
    levels = next((row.levels for _, row in shown), ())
    return Table(
        key="coverage",
        title="Coverage before and after recalibration" if recalibrated else "Coverage",
        note="How many truths lie inside the regions that should hold the share in the head. In "
        "brackets the 95 % interval, whole sequences resampled." + (f" {_BLANK}" if blank else ""),
        head=("method", *(f"{100 * v:.0f} %" for v in levels)),
        rows=tuple((f"{name}, {row.label}", *_coverage_cells(row)) for name, row in shown),
    )


def _coverage_cells(row: CoverageRow) -> tuple[str, ...]:
    ends = zip(row.coverage, row.low, row.high, strict=True)
    return tuple(_percent(value, low, high) for value, low, high in ends)


def quantity_table(people: Sequence[Measurements]) -> Table:
    """Values per clip with 80 % intervals, a column a person; of others their mean over frames.

    Args:
        people: Who was measured; may be empty.
    """
    cells: dict[tuple[str, str], dict[int, str]] = {}
    for i, person in enumerate(people):
        for measurement in person.values():
            for statistic, value in measurement.over_frames().items():
                key = (_quantity_name(measurement, statistic), statistic)
                cells.setdefault(key, {})[i] = _quantity_cell(value)
    notes = list(dict.fromkeys(note for person in people for note in person.notes))
    return Table(
        key="quantities",
        title="Quantities",
        note=" ".join([_QUANTITIES, *(f"{note[0].upper()}{note[1:]}." for note in notes if note)]),
        head=("quantity", *(f"person {person.person}" for person in people)),
        rows=tuple((name, *(own.get(i, "-") for i in range(len(people))))
                   for (name, _), own in cells.items() if {*own.values()} != {"-"}),
    )  # fmt: skip


def _quantity_name(measurement: Measurement, statistic: str) -> str:
    unit = f" ({measurement.quantity.unit})" if measurement.quantity.unit else ""
    of = "" if statistic == "value" else f", {statistic}"
    return f"{measurement.quantity.name.replace('_', ' ')}{of}{unit}"


def _quantity_cell(measurement: Measurement) -> str:
    """Median, 80 % interval and its measured coverage; a dash if few have a value."""
    middle, share = float(measurement.median), float(measurement.share)
    if math.isnan(middle) or share < _RARE:
        return "-"
    low, high = (float(end) for end in measurement.interval(0.8))
    words = f"{middle:.4g}" if math.isnan(low) else f"{middle:.4g} ({low:.4g} to {high:.4g})"
    held = measurement.evidence.get(0.8)
    words += "" if held is None else f"; such intervals held {100 * held:.0f} %"
    return words if share > 0.99 else f"{words}; {100 * share:.0f} % of the hypotheses have it"


def _settings_table(report: Report) -> Table:
    """A column per method: how it was measured, and how its clips were made."""
    columns = {r.name: dict(r.settings) for r in report.results}
    for scene in report.scenes:
        _merge(columns.setdefault(_column(scene, columns), {}), scene.settings or {})
    names = dict.fromkeys(name for words in columns.values() for name in words)
    return Table(
        key="settings",
        title="Settings and ground truth" if report.results else "Settings",
        note="What the numbers depend on. Compare methods only where these agree.",
        head=("setting", *columns),
        rows=tuple((name, *(words.get(name, "") for words in columns.values())) for name in names),
    )


def _column(scene: Scene, columns: Mapping[str, object]) -> str:
    """The column of a scene: its method's, that of the method on these files, or its own."""
    method = scene.method or scene.name
    here = f"{method}, {THESE_FILES}"
    return here if here in columns else method


def _merge(words: dict[str, str], more: Mapping[str, str]) -> None:
    """Add settings; where several clips of a method differ, all values stand."""
    for name, value in more.items():
        told = words.setdefault(name, value)
        if value not in told.split(" | "):
            words[name] = f"{told} | {value}"


def _score(key: str, estimate: Estimate | None) -> str:
    if estimate is None or math.isnan(estimate.value):
        return "-"
    digits = 3 if key.startswith("ece") else 1
    value = f"{estimate.value:.{digits}f}"
    if math.isnan(estimate.low):
        return value
    return f"{value} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def _percent(value: float, low: float, high: float) -> str:
    if math.isnan(value):
        return "-"
    text = f"{100 * value:.1f} %"
    return text if math.isnan(low) else f"{text} ({100 * low:.1f} to {100 * high:.1f})"


_SCORES = (
    "scores",
    "Scores",
    "Lower is better. In brackets the 95 % interval, whole sequences resampled.",
)
_ORACLE_SCORES = (
    "oracle_scores",
    "Oracle scores",
    "ORACLE: the truth picked the hypothesis. No method can reach these numbers, and a spread that "
    "is too wide improves them.",
)
_BLANK = (
    "Blank: too few hypotheses to tell; H of them resolve levels up to H / (H + 1), the truths "
    "beyond all of them being of one rank."
)

_TRAJECTORIES = (
    "Every joint relative to the root, in the camera's axes, about its mean over the clip. Line: "
    "median of the hypotheses; bands: their middle 50 and 90 %; dashed black: the truth, if known."
)

_MOMENTS = (0.25, 0.5, 0.75)
"""Shares of a clip at which surfaces are shown."""

_SURFACE = (
    "Color: root mean square distance of the hypotheses' surfaces from their mean, root joints on "
    "each other. No truth involved."
)

_QUANTITY = (
    "Lines are medians over the hypotheses, bands their middle 50, 80 and 95 %; orange and dashed "
    "is the person's left. Where people walk, the right part shows the gait cycle."
)

_QUANTITIES = (
    "Median over the hypotheses and 80 % interval in brackets; per frame as mean, least and "
    "greatest over the clip. Values that fewer than half of the hypotheses have are left out. "
    "Definitions: hypopose measure --list."
)

_RARE = 0.5
"""Share of the hypotheses that must have a value."""

_SECOND_CAMERA = (
    "Spread that would remain, mean over joints and frames, if a second camera at the same "
    "distance looked on from this angle and measured to 15 mm. Dotted: as it is now. An upper "
    "bound: every hypothesis is judged by the others."
)

_JUDGED: tuple[tuple[str, str, str, str, Callable[[Sequence[CalibrationResults]], Figure]], ...] = (
    ("calibration", "reliability", "Calibration curves",
     "How often the truth lies inside the ball that should hold the nominal share of hypotheses. "
     "On the diagonal it is calibrated; below it the hypotheses are overconfident, above it "
     "underconfident. Joints are compared with themselves. The ECE is that of the curve which many "
     "hypotheses would show, so that their number does not matter.", figures.calibration_figure),
    ("body", "reliability", "Over- and underconfidence per joint",
     "Mean of coverage minus level in percentage points. Purple and minus: overconfident, the "
     "spread is too narrow. Orange and plus: underconfident. A tick: within the band of a "
     "calibrated joint. Skeletons whose joints the drawing does not know are shown as bars.",
     figures.body_figure),
    ("pit", "histograms", "PIT histograms per camera axis",
     "Rank of the true coordinate among the hypotheses, all joints. Flat is calibrated; a U is "
     "overconfident, a hump underconfident, a slope a bias. Dashed: where a calibrated model's "
     "bars stay, 95 %.", figures.histogram_figure),
    ("spread_skill", "skill", "Spread and error",
     "Left: error of the mean hypothesis against the spread, in ten bins; on the diagonal the "
     "spread tells the error. Right: the error left when the least certain joints are dropped; "
     "dotted what an oracle would reach.", figures.skill_figure),
    ("min_at_k", "min_at_k", "Best of k hypotheses (ORACLE)",
     "Expected error of the best of k hypotheses if the truth picked it. No method can reach it; "
     "it rewards spread whether calibrated or not.", figures.min_at_k_figure),
    ("coverage", "coverage", "Coverage of 50, 80 and 95 % regions",
     "Black bars are the nominal levels, markers what was measured: as sampled and, where there "
     "is one, after recalibration. Whiskers: 95 % over sequences. A level without a marker needs "
     "more hypotheses.", figures.coverage_figure),
)  # fmt: skip

_SEEN = (
    ("spread", "Spread over time",
     "Root-mean-square distance of the hypotheses to their mean, the part of it that is depth, the "
     "entropy of the joints as a standard deviation, and the number of modes. No truth involved.",
     clip_figures.spread_figure),
    ("dependence", "Joints uncertain together",
     "1: knowing one joint settles the other. 0: independent. Mean over frames. No truth involved.",
     clip_figures.dependence_figure),
)  # fmt: skip
