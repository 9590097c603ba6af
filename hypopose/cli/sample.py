"""``hypopose sample``: keypoint files in, hypotheses and a picture per person out."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli import CommandError, one_line
from hypopose.cli.batch import FORMATS, Job, is_batch, plan_jobs
from hypopose.cli.camera_options import Scene, camera_options, scene_of
from hypopose.errors import HypoPoseError, OptionError

if TYPE_CHECKING:
    from hypopose.calibration import Calibrator
    from hypopose.io.results import Result
    from hypopose.types import Camera


@dataclass(frozen=True)
class Row:
    """One line of the summary: what became of a person, or of a file that failed."""

    source: str
    person: str = ""
    written: str = ""
    frames: str = ""
    camera: str = ""
    error: str = ""


@dataclass(frozen=True)
class Plan:
    """What is done with every input.

    Args:
        load: Options of ``hypopose.load_people``.
        person: One person by identity, or None for everybody.
        estimate: Options of ``hypopose.estimate``, the sampler made once.
        overview: Whether a PNG is drawn too.
        scene: What is known about camera and subject.
        calibrator: Name and calibrator that mends the spread, or None.
    """

    load: dict[str, Any]
    person: str | None
    estimate: dict[str, Any]
    overview: bool
    scene: Scene
    calibrator: tuple[str, Calibrator] | None = None


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Result file; a folder for several inputs. Several people: OUT_<person>.",
)
@click.option("--n-hypotheses", default=20, show_default=True, help="3D motions to draw.")
@click.option("--n-steps", type=int, help="Network evaluations; default: what the weights say.")
@click.option(
    "--sampler",
    help="distributional, d3dp, boneflips or diffpose; default: what the weights were made for.",
)
@click.option("--weights", help="Weights in the box by name, or a folder of weights.")
@click.option(
    "--aggregate",
    "method",
    default="jpma",
    show_default=True,
    help="jpma, ppma, mean, median or medoid.",
)
@click.option("--image-size", type=(int, int), metavar="W H", help="Image size in pixels.")
@camera_options
@click.option("--person", help="Only this person; default: everybody.")
@click.option("--skeleton", help="Skeleton of the keypoints, where the file does not say.")
@click.option("--input-format", help="Force the keypoint format instead of detecting it.")
@click.option("--fps", type=float, help="Frames per second, where the file does not say.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same hypotheses.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:1.")
@click.option(
    "--format", "file_format", type=click.Choice(FORMATS), help="Default: OUT's ending, else npz."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any option of the sampler: --set flip=false --set precision=bfloat16.",
)
@click.option(
    "--calibrator",
    help="Mend the spread: a file that hypopose calibrate --fit wrote, or 'box' for the one beside "
    "the weights.",
)
@click.option("--no-overview", is_flag=True, help="Write no PNG.")
def sample(inputs: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Draw 3D motions for 2D keypoint files and write one result per person.

    INPUTS are files or folders. A folder of OpenPose frames is one input, any other folder is as
    many inputs as it holds. A bad file is reported and the others go on; a table ends the run.

    Exit code 0: all done. 1: some of several inputs failed. 2: nothing was written.
    """
    jobs = plan_jobs(inputs, output, options["file_format"])
    from hypopose.api import check_aggregation, make_sampler

    check_aggregation(options["method"])
    scene = scene_of(options)
    made = make_sampler(
        options["sampler"],
        weights=options["weights"],
        n_steps=options["n_steps"],
        device=options["device"],
        **_settings(options["settings"]),
    )
    plan = Plan(
        load=_load_options(options, scene.camera),
        person=options["person"],
        estimate={"sampler": made, **{k: options[k] for k in _ESTIMATE_OPTIONS}},
        overview=not options["no_overview"],
        scene=scene,
        calibrator=_calibrator(options["calibrator"], options["sampler"], options["weights"]),
    )
    batch = is_batch(inputs, jobs)
    _finish(_run_all(jobs, plan, batch=batch), batch=batch)


_ESTIMATE_OPTIONS = ("weights", "n_hypotheses", "method", "seed")


def _calibrator(
    choice: str | None, sampler: str | None, weights: str | None
) -> tuple[str, Calibrator] | None:
    """The calibrator and its file's name, read before anything is sampled."""
    if choice is None:
        return None
    from hypopose.api import calibrator_beside
    from hypopose.calibration import Calibrator, load_calibrator

    path = calibrator_beside(weights, sampler) if choice == "box" else Path(choice)
    calibrator = load_calibrator(path)
    if not isinstance(calibrator, Calibrator):
        raise OptionError(
            f"{path} holds {calibrator.kind}, which gives regions and moves no hypothesis; fit "
            "another with hypopose calibrate --fit --method chain."
        )
    return path.name, calibrator


def _mended(result: Result, name: str, calibrator: Calibrator) -> Result:
    """The result with an honest spread: hypotheses moved, roots and aggregate made anew."""
    from dataclasses import replace

    from hypopose.api import aggregate
    from hypopose.cameras import fit_roots
    from hypopose.skeletons import convert

    moved, keypoints = calibrator.transform(result.hypotheses), result.keypoints
    if moved.root is not None and keypoints.camera is not None:
        if keypoints.skeleton.name != moved.skeleton.name:
            keypoints = convert(keypoints, moved.skeleton)
        moved = replace(moved, root=fit_roots(moved, keypoints))
    return replace(
        result,
        hypotheses=moved,
        pose=aggregate(moved, result.keypoints, result.aggregate),
        notes=(*result.notes, f"spread mended by {calibrator.kind} from {name}"),
    )


def _settings(words: tuple[str, ...]) -> dict[str, Any]:
    """``NAME=VALUE`` words as options: JSON values (numbers, true, null), else text.

    Example:
        >>> _settings(("eta=0.5", "flip=false", "scheduler=unipc"))
        {'eta': 0.5, 'flip': False, 'scheduler': 'unipc'}
    """
    settings: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name in ("denoiser", "skeleton", "n_steps", "weights", "device"):
            raise OptionError(
                f"--set takes NAME=VALUE with an option of the sampler, got {word!r}."
            )
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings


def _load_options(options: dict[str, Any], camera: Camera | None) -> dict[str, Any]:
    """Options of ``load_people``."""
    chosen = {
        "format": options["input_format"],
        "skeleton": options["skeleton"],
        "image_size": options["image_size"],
        "fps": options["fps"],
        "camera": camera,
    }
    return {k: v for k, v in chosen.items() if v is not None}


def _run_all(jobs: list[Job], plan: Plan, *, batch: bool) -> list[Row]:
    """Work through the jobs with a progress bar; one bad file of several does not stop the rest."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    rows: list[Row] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        files = progress.add_task("all inputs", total=len(jobs), visible=batch)
        for job in jobs:
            task = progress.add_task(job.source.name, total=None)
            report = partial(progress.update, task)
            try:
                with _warnings_as_lines():
                    rows += _run_job(job, plan, report)
            except (HypoPoseError, OSError) as error:
                if not batch:
                    raise
                rows.append(Row(str(job.source), error=_naming(job.source, error)))
            progress.remove_task(task)
            progress.advance(files)
    return rows


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print each warning once, as one line on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for message in dict.fromkeys(str(w.message) for w in caught if w.category is not None):
        click.echo(f"Warning: {' '.join(message.split())}", err=True)


def _naming(source: Path, error: Exception) -> str:
    """An error as one line that names its file."""
    line = one_line(error)
    return line if str(source) in line else f"{source}: {line}"


def _run_job(job: Job, plan: Plan, report: Callable[..., None]) -> list[Row]:
    """One input: all of its people are computed before the first file is written."""
    from hypopose.api import estimate, share_camera
    from hypopose.io import load, load_people

    if plan.person is None:
        people = share_camera(load_people(job.source, **plan.load))
    else:
        people = {plan.person: load(job.source, person=plan.person, **plan.load)}
    outputs = job.outputs_of(list(people))
    report(total=len(people) * getattr(plan.estimate["sampler"], "n_steps", 1))
    belief = plan.scene.belief(people, plan.estimate["sampler"], plan.estimate["seed"])
    results: list[Result] = []
    for name, keypoints in people.items():
        results.append(
            estimate(
                keypoints,
                person=name,
                source=job.source.name,
                callback=lambda step: report(advance=1),
                focal=belief,
                **plan.estimate,
            )
        )
    if plan.calibrator is not None:
        results = [_mended(result, *plan.calibrator) for result in results]
    results = [plan.scene.adjust(result) for result in results]
    return [
        _write(job.source, path, result, plan)
        for path, result in zip(outputs, results, strict=True)
    ]


def _write(source: Path, path: Path, result: Result, plan: Plan) -> Row:
    from hypopose.io import RESULT_WRITERS
    from hypopose.report.overview import draw_overview

    path.parent.mkdir(parents=True, exist_ok=True)
    RESULT_WRITERS[path.suffix[1:]](path, result)
    if plan.overview:
        draw_overview(path.with_suffix(".png"), result)
    camera = result.keypoints.camera
    return Row(
        source=str(source),
        person=result.person,
        written=os.fspath(path),
        frames=str(result.keypoints.n_frames),
        camera="assumed" if camera is None or camera.assumed else "given",
    )


def _finish(rows: list[Row], *, batch: bool) -> None:
    """Print the summary and choose the exit code."""
    failed = [row for row in rows if row.error]
    if batch:
        for row in failed:
            click.echo(f"Error: {row.error}", err=True)
        _print_table(rows)
    else:
        for row in rows:
            who = f"{row.person}: " if len(rows) > 1 else ""
            click.echo(f"{who}{row.frames} frames, camera {row.camera} -> {row.written}")
    if failed and len(failed) == len(rows):
        raise CommandError("None of the inputs could be read; nothing was written.")
    if failed:
        raise SystemExit(1)


def _print_table(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("input", "person", "frames", "camera", "result"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(row.source, row.person, row.frames, row.camera, row.written or "failed")
    Console().print(table)
