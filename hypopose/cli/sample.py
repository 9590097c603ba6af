"""``hypopose sample``: keypoint files in, hypotheses and a picture per person out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli import CommandError, one_line
from hypopose.cli.batch import FORMATS, Job, is_batch, plan_jobs, refuse_overwriting
from hypopose.cli.camera_options import Scene, camera_options, scene_of
from hypopose.cli.resume import Outputs, digest, made_with
from hypopose.cli.settings import read_settings, settings_option
from hypopose.cli.targets import force_option
from hypopose.cli.views import describe_views, load_views, view_option
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
    kept: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What is done with every input.

    Args:
        load: Options of ``hypopose.load_people``.
        person: One person by identity, or None for everybody.
        estimate: Options of ``hypopose.estimate``, the sampler made once.
        overview: Whether a PNG is drawn too.
        scene: What is known about camera and subject.
        refine: Whether hypotheses are refined against the keypoints.
        calibrator: Name and calibrator that mends the spread, or None.
        formats: Further formats to write every result in.
        views: Notes on the further cameras.
        made_with: What results depend on, but for the input.
        force: Whether files are replaced.
    """

    load: dict[str, Any]
    person: str | None
    estimate: dict[str, Any]
    overview: bool
    scene: Scene
    refine: bool = False
    calibrator: tuple[str, Calibrator] | None = None
    formats: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    made_with: dict[str, Any] = field(default_factory=dict)
    force: bool = False


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
    help="distributional, d3dp, boneflips, diffpose, platypose, ...; default: the weights' own.",
)
@click.option("--weights", help="Weights in the box by name, or a folder of weights.")
@click.option(
    "--aggregate",
    "method",
    default="mean",
    show_default=True,
    help="mean, median, medoid, jpma or ppma.",
)
@click.option("--image-size", type=(int, int), metavar="W H", help="Image size in pixels.")
@camera_options
@view_option
@click.option("--person", help="Only this person; default: everybody.")
@click.option("--skeleton", help="Skeleton of the keypoints, where the file does not say.")
@click.option("--input-format", help="Force the keypoint format instead of detecting it.")
@click.option("--fps", type=float, help="Frames per second, where the file does not say.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same hypotheses.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:1.")
@click.option(
    "--format",
    "file_formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="Also write every result in this format, with the settings of hypopose export; repeat "
    "for several.",
)
@settings_option
@click.option(
    "--calibrator",
    help="Mend the spread: a file that hypopose calibrate --fit wrote, or 'box' for the one beside "
    "the weights.",
)
@click.option(
    "--refine", is_flag=True, help="Move hypotheses until they reproject, as hypopose refine does."
)
@click.option("--no-overview", is_flag=True, help="Write no PNG.")
@force_option
def sample(inputs: tuple[Path, ...], output: Path, **options: Any) -> None:
    """Draw 3D motions for 2D keypoint files and write one result per person.

    INPUTS are files or folders. A folder of OpenPose frames is one input, any other folder is as
    many inputs as it holds. A bad file is reported and the others go on; a table ends the run.

    The same command again goes on where a stopped run ended: npz results of the same input and
    options are kept. Other files that exist are not touched without --force.

    Exit code 0: all done. 1: some of several inputs failed. 2: nothing was written.
    """
    jobs = plan_jobs(inputs, output)
    from hypopose import __version__
    from hypopose.api import check_aggregation, describe_sampler, make_sampler
    from hypopose.io.writers import check_ending

    for ending in (jobs[0].output.suffix[1:], *options["file_formats"]):
        check_ending(f"result.{ending}")

    check_aggregation(options["method"])
    if options["refine"] and options["calibrator"] is not None:
        raise OptionError(
            "Calibrators are fitted to hypotheses that were not refined; give --refine or "
            "--calibrator, not both."
        )
    scene = scene_of(options)
    views = load_views(options, [job.source for job in jobs])
    made = make_sampler(
        options["sampler"],
        weights=options["weights"],
        n_steps=options["n_steps"],
        device=options["device"],
        **read_settings(options["settings"]),
        **({"views": views} if views else {}),
    )
    plan = Plan(
        load=_load_options(options, scene.camera),
        person=options["person"],
        estimate={
            "sampler": made,
            "aggregate": options["method"],
            **{k: options[k] for k in _ESTIMATE_OPTIONS},
        },
        overview=not options["no_overview"],
        scene=scene,
        refine=options["refine"],
        calibrator=_calibrator(options["calibrator"], options["sampler"], options["weights"]),
        formats=options["file_formats"],
        views=describe_views(options),
        made_with=made_with(options, describe_sampler(made), __version__),
        force=options["force"],
    )
    batch = is_batch(inputs, jobs)
    _finish(_run_all(jobs, plan, batch=batch), batch=batch)


_ESTIMATE_OPTIONS = ("weights", "n_hypotheses", "seed")


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
            except Exception as error:  # a surprise in one of 200 files must not lose the others
                if not batch:
                    raise
                words = f"{type(error).__name__}: {_naming(job.source, error)}"
                rows.append(Row(str(job.source), error=f"unexpected {words}"))
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
    from hypopose.api import estimate, recalibrate, refine, share_camera
    from hypopose.io import load, load_people

    job.check_links()
    if plan.person is None:
        people = share_camera(load_people(job.source, **plan.load))
    else:
        people = {plan.person: load(job.source, person=plan.person, **plan.load)}
    if plan.views and len(people) > 1:
        raise OptionError(
            f"{job.source} shows {len(people)} people: {', '.join(people)}. Say with --person whom "
            "the other cameras saw."
        )
    made = {"input": digest(job.source), **plan.made_with}
    outputs = [_outputs(job.source, path, plan) for path in job.outputs_of(list(people))]
    kept = [files.kept(made, force=plan.force) for files in outputs]
    steps = getattr(plan.estimate["sampler"], "n_steps", 1)
    report(total=sum(result is None for result in kept) * steps)
    belief = plan.scene.belief(people, plan.estimate["sampler"], plan.estimate["seed"])
    results: list[Result] = []
    for (name, keypoints), old in zip(people.items(), kept, strict=True):
        if old is not None:
            results.append(old)
            continue
        result = estimate(
            keypoints,
            person=name,
            source=os.fsencode(job.source.name).decode("utf-8", "backslashreplace"),
            callback=lambda step: report(advance=1),
            focal=belief,
            **plan.estimate,
        )
        if plan.refine:
            result = refine(result, seed=plan.estimate["seed"])
        if plan.calibrator is not None:
            file, calibrator = plan.calibrator
            result = recalibrate(result, calibrator, name=file)
        result = plan.scene.adjust(result)
        notes = (*result.notes, *plan.views)
        results.append(replace(result, made_with=made, notes=notes))
    return [
        _write(job.source, files, result, old is not None)
        for files, result, old in zip(outputs, results, kept, strict=True)
    ]


def _outputs(source: Path, path: Path, plan: Plan) -> Outputs:
    """All files of one person, none of them an input."""
    others = [path.with_suffix(f".{f}") for f in plan.formats if path.suffix != f".{f}"]
    picture = path.with_suffix(".png") if plan.overview else None
    for other in others:
        refuse_overwriting(source, other)
    return Outputs(path, tuple(dict.fromkeys(others)), picture)


def _write(source: Path, files: Outputs, result: Result, kept: bool) -> Row:
    """Write what is not there yet: the record first, so that a stopped run knows it is done."""
    from hypopose.io import export_result, save_result
    from hypopose.report.overview import draw_overview

    files.result.parent.mkdir(parents=True, exist_ok=True)
    notes = list(() if kept else save_result(files.result, result))
    if not bool(result.hypotheses.joints.isfinite().any()):
        notes.append("no joint could be placed in any frame; too few keypoints were detected")
    for path in files.exports:
        if not (kept and path.exists()):
            notes += export_result(path, result).notes
    if files.picture is not None and not (kept and files.picture.exists()):
        draw_overview(files.picture, result)
    camera = result.keypoints.camera
    return Row(
        source=str(source),
        person=result.person,
        written=os.fspath(files.result),
        frames=str(result.keypoints.n_frames),
        camera="assumed" if camera is None or camera.assumed else "given",
        kept=kept,
        notes=tuple(f"{files.result.stem}: {note}" for note in notes),
    )


def _finish(rows: list[Row], *, batch: bool) -> None:
    """Print the summary and choose the exit code."""
    failed = [row for row in rows if row.error]
    for note in (note for row in rows for note in row.notes):
        click.echo(f"Note: {note}", err=True)
    if batch:
        _print_table(rows)
        for row in failed:
            click.echo(f"Error: {row.error}", err=True)
        click.echo(_count(rows, failed))
    else:
        for row in rows:
            who = f"{row.person}: " if len(rows) > 1 else ""
            done = "kept, made before with the same options:" if row.kept else "->"
            click.echo(f"{who}{row.frames} frames, camera {row.camera} {done} {row.written}")
    if failed and len(failed) == len(rows):
        raise CommandError("None of the inputs could be read; nothing was written.")
    if failed:
        raise SystemExit(1)


def _count(rows: list[Row], failed: list[Row]) -> str:
    """How many results there are now, and how many inputs have none."""
    kept = sum(row.kept for row in rows)
    words = [f"{len(rows) - len(failed) - kept} results written"]
    if kept:
        words.append(f"{kept} kept from an earlier run with the same options")
    words.append(f"{len(failed)} inputs failed")
    return ", ".join(words) + "."


def _print_table(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("input", "person", "frames", "camera", "result"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(row.source, row.person, row.frames, row.camera, _outcome(row))
    Console().print(table)


def _outcome(row: Row) -> str:
    if row.error:
        return "failed"
    return f"{row.written} (kept)" if row.kept else row.written
