"""``hypopose report``: one or several methods side by side, as a page, a PDF or a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hypopose.cli.options import shared
from hypopose.cli.overwrite import force_option, refuse_existing
from hypopose.errors import OptionError

if TYPE_CHECKING:
    from hypopose.evaluation import CalibrationResults
    from hypopose.io import Result
    from hypopose.report.exhibits import Report
    from hypopose.report.panel import Scene
    from hypopose.types import Poses3D

Given = tuple[Path, "Result", "Poses3D | None"]
"""A result file, what is in it, and its truth if there is one."""


EXAMPLES = """\b
Examples:
  hypopose report walk.npz -o report.html
  hypopose report a.npz b.npz -o report.pdf --truth truth.npy"""


@click.command(epilog=EXAMPLES)
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@shared(output={"help": "report.html, report.pdf, or a folder for page, PDF, figures and tables."})
@click.option(
    "--truth",
    "truths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="npy or npz (array 'joints') of (F, J, 3) camera-frame meters: once for all result files, "
    "or once for each, in their order.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    help="A method's name in the report, one for each of RESULTS; by default its sampler.",
)
@click.option(
    "--video",
    type=click.Path(path_type=Path),
    help="What the keypoints were found in: its frames are shown under them.",
)
@click.option("--title", default="HypoPose report", show_default=True, help="Headline.")
@force_option
def report(
    results: tuple[Path, ...],
    output: Path,
    truths: tuple[Path, ...],
    names: tuple[str, ...],
    video: Path | None,
    title: str,
    force: bool,
) -> None:
    """Build a calibration and ambiguity report from RESULTS.

    RESULTS are files of hypopose sample (npz), and of hypopose calibrate or evaluate (json). Files
    of one sampler are one method: with --truth they are measured together, a file a sequence.
    Without truth the report shows what needs none and says so.
    """
    if names and len(names) != len(results):
        raise OptionError(f"Give --name once for each of the {len(results)} RESULTS, or not.")
    if output.suffix not in ("", ".html", ".pdf"):
        raise OptionError(f"{output}: a report is written as .html, .pdf or a folder.")
    refuse_existing(output, force=force)
    from hypopose.report.page import save_report

    for path in save_report(output, _gather(results, truths, names, title, video)):
        click.echo(f"-> {path}")


def _gather(
    results: tuple[Path, ...],
    truths: tuple[Path, ...],
    names: tuple[str, ...],
    title: str,
    video: Path | None,
) -> Report:
    from dataclasses import replace

    from hypopose.evaluation import load_results, read_truth
    from hypopose.io import load_hypotheses
    from hypopose.report.exhibits import Report

    files = [path for path in results if path.suffix != ".json"]
    paths = _matched(truths, files)
    found: list[CalibrationResults] = []
    groups: dict[str, list[Given]] = {}
    known: dict[str, str] = {}
    for i, path in enumerate(results):
        if path.suffix == ".json":
            measured = load_results(path)
            found.append(replace(measured, name=names[i]) if names else measured)
            continue
        stored = load_hypotheses(path)
        truth = read_truth(paths[path], stored.hypotheses) if path in paths else None
        groups.setdefault(names[i] if names else _method(stored, known), []).append(
            (path, stored, truth)
        )
    found += [_measured(name, given) for name, given in groups.items() if given[0][2]]
    alone = all(len(given) == 1 for given in groups.values())
    labels = _labels(files)
    scenes = [
        scene_of(name if alone else f"{name}, {labels[path]}", stored, truth, video)
        for name, given in groups.items()
        for path, stored, truth in given
    ]
    return Report(title, tuple(found), tuple(scenes))


def _labels(files: list[Path]) -> dict[Path, str]:
    """A short name for each file: as many of its folders as keep it apart from the others.

    Example:
        >>> list(_labels([Path("a/walk.npz"), Path("b/walk.npz")]).values())
        ['a/walk', 'b/walk']
    """
    parts = {path: path.absolute().with_suffix("").parts for path in files}
    depths = range(1, max((len(p) for p in parts.values()), default=1) + 1)
    for depth in depths:
        labels = {path: "/".join(p[-depth:]) for path, p in parts.items()}
        if len(set(labels.values())) == len(labels):
            break
    return labels


def _matched(truths: tuple[Path, ...], files: list[Path]) -> dict[Path, Path]:
    """Which truth belongs to which result file."""
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


def _method(stored: Result, known: dict[str, str]) -> str:
    """A method's name; results are one method only if nothing in their making differs."""
    mended = [f"spread {stored.spread_words}"] if stored.calibrator else []
    mended += [note for note in stored.notes if note.startswith("spread mended")]  # older files
    made = json.dumps([stored.sampler, stored.weights, len(stored.hypotheses), mended])
    if made not in known:
        name = f"{stored.sampler.get('name', 'hypotheses')} {stored.weights}".strip()
        if mended:
            name += " with calibrator"
        same = sum(other.startswith(name) for other in known.values())
        known[made] = f"{name} ({same + 1})" if same and name in known.values() else name
    return known[made]


def _measured(name: str, given: list[Given]) -> CalibrationResults:
    from hypopose.calibration import Settings
    from hypopose.evaluation import Evaluator, calibration_results

    stored = given[0][1]
    evaluator = Evaluator(settings=Settings(seed=stored.seed), distributions=True)
    for path, result, truth in given:
        if truth is None:
            continue
        same = result.keypoints.skeleton == result.hypotheses.skeleton
        keypoints = result.keypoints if same and result.keypoints.camera else None
        evaluator.add(result.hypotheses, truth, [path.resolve()], keypoints=keypoints)
    return calibration_results(name, evaluator, _words(stored))


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
    from hypopose.ambiguity import analyze
    from hypopose.report.panel import Scene

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
        settings=_words(stored),
        pictures=pictures,
    )


def _words(stored: Result) -> dict[str, str]:
    camera = stored.keypoints.camera
    return {
        "source": stored.source or "unknown",
        "sampler": ", ".join(f"{k}={v}" for k, v in stored.sampler.items()) or "unknown",
        "weights": stored.weights or "none",
        "spread": stored.spread_words,
        "aggregate": stored.aggregate or "none",
        "camera": "unknown" if camera is None else "ASSUMED" if camera.assumed else "given",
        "drawn with seed": str(stored.seed),
        "version": stored.version or "unknown",
        "notes": "; ".join(stored.notes) or "none",
    }
