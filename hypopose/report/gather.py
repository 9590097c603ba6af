"""From files to a report: group files by method, and name the methods."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hypopose.ambiguity import analyze
from hypopose.calibration import Settings
from hypopose.errors import OptionError
from hypopose.evaluation import (
    CalibrationResults,
    Evaluator,
    calibration_results,
    load_results,
    read_truth,
)
from hypopose.io import Result, load_hypotheses
from hypopose.report.exhibits import THESE_FILES, Report
from hypopose.report.panel import Scene
from hypopose.types import Poses3D

Measured = tuple[str, str, CalibrationResults]
"""Method, what it was measured on, and what came out."""


@dataclass(frozen=True, eq=False)
class Given:
    """A result file, the method it belongs to, and its truth if there is one."""

    path: Path
    result: Result
    truth: Poses3D | None
    method: str


def gather(
    paths: Sequence[Path],
    truths: Sequence[Path] = (),
    names: Sequence[str] = (),
    title: str = "HypoPose report",
    video: Path | None = None,
) -> Report:
    """Read files and measure what comes with a truth.

    Args:
        paths: Results of ``hypopose sample`` (npz), and of ``calibrate`` or ``evaluate`` (json).
        truths: One for all result files, or one for each.
        names: A method for each of the paths; by default the sampler's name. Files of one method
            are one column.
        title: Headline.
        video: What the keypoints were found in, shown under them; None for no pictures.

    Raises:
        FormatError: If a file is not what it should be.
        OptionError: If the numbers of files do not belong together.
    """
    if names and len(names) != len(paths):
        raise OptionError(f"Give --name once for each of the {len(paths)} RESULTS, or not.")
    named = dict(zip(paths, names, strict=True)) if names else {}
    files = {
        of_json: [p for p in paths if (p.suffix == ".json") == of_json] for of_json in (True, False)
    }
    given = _given(files[False], truths, named)
    measured = [*_read(files[True], named), *_measure(given)]
    twice = Counter(method for method, _, _ in measured)
    results = tuple(
        replace(result, name=f"{method}, {data}" if twice[method] > 1 else method)
        for method, data, result in measured
    )
    return Report(title, results, _scenes(given, video))


def _read(paths: Sequence[Path], named: Mapping[Path, str]) -> list[Measured]:
    """Method, data and results of files that ``calibrate`` or ``evaluate`` wrote."""
    read = [(path, load_results(path)) for path in paths]
    return [(named.get(path, result.name), _data_of(result), result) for path, result in read]


def _measure(given: Sequence[Given]) -> list[Measured]:
    """The same for result files with a truth."""
    methods = dict.fromkeys(g.method for g in given if g.truth is not None)
    return [
        (method, THESE_FILES, _measured([g for g in given if g.method == method]))
        for method in methods
    ]


def _data_of(result: CalibrationResults) -> str:
    """What a calibration was measured on, in a word or two."""
    return result.settings.get("data", result.settings.get("split", "other data")).removeprefix(
        "benchmark "
    )


def _given(files: list[Path], truths: Sequence[Path], named: Mapping[Path, str]) -> list[Given]:
    truth_of = match_truths(truths, files)
    results = {path: load_hypotheses(path) for path in files}
    methods = named or method_names(results)
    return [
        Given(
            path,
            result,
            read_truth(truth_of[path], result.hypotheses) if path in truth_of else None,
            methods[path],
        )
        for path, result in results.items()
    ]


def match_truths(truths: Sequence[Path], files: Sequence[Path]) -> dict[Path, Path]:
    """Which truth belongs to which result file.

    Raises:
        OptionError: If there are several truths, but not one for each file.
    """
    if not truths:
        return {}
    if len(truths) == 1:
        return dict.fromkeys(files, truths[0])
    if len(truths) != len(files):
        raise OptionError(
            f"Give --truth once for all, or once for each of the {len(files)} result files; got "
            f"{len(truths)}."
        )
    return dict(zip(files, truths, strict=True))


def method_names(results: Mapping[Path, Result]) -> dict[Path, str]:
    """A name for each result's method; results are one method only if they were made alike.

    Returns:
        The sampler's name; with the weights where another method has the same, and numbered where
        that does not tell them apart either.
    """
    made = {path: _made(result) for path, result in results.items()}
    first = {key: results[path] for path, key in reversed(made.items())}
    order = list(dict.fromkeys(made.values()))
    short = {key: _short_name(first[key]) for key in order}
    names = dict(short)
    for key in order:
        if Counter(short.values())[short[key]] > 1 and first[key].weights:
            names[key] = f"{short[key]} ({first[key].weights})"
    seen: Counter[str] = Counter()
    for key in order:
        name = names[key]
        seen[name] += 1
        names[key] = f"{name} ({seen[name]})" if seen[name] > 1 else name
    return {path: names[key] for path, key in made.items()}


def _made(result: Result) -> str:
    calibrated = [note for note in result.notes if note.startswith("spread mended")]  # older files
    spread = [result.spread_words] if result.calibrator else []
    return json.dumps([result.sampler, result.weights, len(result.hypotheses), spread + calibrated])


def _short_name(result: Result) -> str:
    name = str(result.sampler.get("name", "hypotheses"))
    older = any(note.startswith("spread mended") for note in result.notes)
    return f"{name} with calibrator" if result.calibrator or older else name


def _measured(given: Sequence[Given]) -> CalibrationResults:
    stored = given[0].result
    evaluator = Evaluator(settings=Settings(seed=stored.seed), distributions=True)
    for g in given:
        if g.truth is None:
            continue
        same = g.result.keypoints.skeleton == g.result.hypotheses.skeleton
        seen = g.result.keypoints.camera and bool(g.result.keypoints.detected.any())
        keypoints = g.result.keypoints if same and seen else None
        evaluator.add(g.result.hypotheses, g.truth, [g.path.resolve()], keypoints=keypoints)
    return calibration_results(given[0].method, evaluator, settings_of(stored))


def _scenes(given: Sequence[Given], video: Path | None) -> tuple[Scene, ...]:
    files = Counter(g.method for g in given)
    alone = all(n == 1 for n in files.values())
    labels = labels_of([g.path for g in given])
    return tuple(
        replace(
            scene_of(
                g.method if alone else f"{g.method}, {labels[g.path]}", g.result, g.truth, video
            ),
            method=g.method,
        )
        for g in given
    )


def scene_of(
    name: str, stored: Result, truth: Poses3D | None = None, video: Path | None = None
) -> Scene:
    """One clip as a report shows it.

    Args:
        name: What tables and menus call it.
        stored: The result.
        truth: Its truth, or None.
        video: What it was seen in, or None.

    Raises:
        OptionError: If the video shows pictures of another size.
    """
    pictures = None
    if video is not None:
        from hypopose.video.thumbnails import thumbnails

        pictures = thumbnails(video, stored)
    many = len(stored.hypotheses) >= 5
    return Scene(
        name=name,
        hypotheses=stored.hypotheses,
        keypoints=stored.keypoints,
        pose=stored.pose,
        truth=truth,
        ambiguity=analyze(stored.hypotheses) if many else None,
        settings=settings_of(stored),
        pictures=pictures,
    )


def labels_of(files: Sequence[Path]) -> dict[Path, str]:
    """A short name for each file: as many of its folders as keep it apart from the others.

    Example:
        >>> list(labels_of([Path("a/walk.npz"), Path("b/walk.npz")]).values())
        ['a/walk', 'b/walk']
    """
    parts = {path: path.absolute().with_suffix("").parts for path in files}
    depths = range(1, max((len(p) for p in parts.values()), default=1) + 1)
    for depth in depths:
        labels = {path: "/".join(p[-depth:]) for path, p in parts.items()}
        if len(set(labels.values())) == len(labels):
            break
    return labels


def settings_of(result: Result) -> dict[str, str]:
    """How a result came about, in words."""
    sampler = ", ".join(f"{k}={v}" for k, v in result.sampler.items())
    return {
        "source": result.source or "unknown",
        "sampler": sampler or "unknown",
        "weights": result.weights or "none",
        "spread": result.spread_words,
        "aggregate": result.aggregate or "none",
        "camera": _camera_words(result),
        "drawn with seed": str(result.seed),
        "version": result.version or "unknown",
        "notes": "; ".join(result.notes) or "none",
    }


def _camera_words(result: Result) -> str:
    camera = result.keypoints.camera
    if camera is None:
        return "unknown"
    return "ASSUMED" if camera.assumed else "given"
