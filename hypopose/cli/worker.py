"""What ``hypopose sample`` does with one input: read, estimate what is not there yet, write."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from hypopose.cli.camera_options import camera_of, refuse_contradictions, smooth_of
from hypopose.cli.footage_options import (
    FOOTAGE_OPTIONS,
    as_read,
    digest_of,
    plain,
    read_footage,
    with_footage_size,
)
from hypopose.cli.jobs import Job
from hypopose.cli.multi_camera import describe_views, load_views
from hypopose.cli.options import masks_given, reading_given
from hypopose.cli.overwrite import refuse_overwriting
from hypopose.cli.resume import Outputs, digest, made_with
from hypopose.cli.set_option import read_settings
from hypopose.cli.staging import needs_staging, run_staged
from hypopose.cli.summary import SummaryRow

if TYPE_CHECKING:
    from hypopose.api import Pipeline
    from hypopose.io.results import Result
    from hypopose.types import Keypoints2D


@dataclass(frozen=True)
class Worker:
    """What is done with every input.

    Args:
        pipeline: From keypoints to results.
        reading: Options of ``hypopose.load_people``.
        made_with: What results depend on, except the input.
        person: One person by identity, or None for everybody.
        footage: Options of reading videos and pictures.
        formats: Further formats to write every result in.
        overview: Whether a PNG is drawn too.
        page: Whether a page with the 3D player is written too.
        force: Whether files are replaced.
        device: Where networks run.
    """

    pipeline: Pipeline
    reading: dict[str, Any]
    made_with: dict[str, Any]
    person: str | None = None
    footage: dict[str, Any] = field(default_factory=dict)
    formats: tuple[str, ...] = ()
    overview: bool = True
    page: bool = False
    force: bool = False
    device: str = "cpu"

    def run(
        self,
        job: Job,
        report: Callable[..., None] = lambda **_: None,
        *,
        pictures_later: bool = False,
    ) -> list[SummaryRow]:
        """Work on one input: all of its people are computed before the first file is written.

        Args:
            job: The input and where its results go.
            report: Called with ``total=`` steps and ``advance=1`` after each.
            pictures_later: Leave the pictures out; rows name those that are to be drawn.

        Returns:
            A row per person.

        Raises:
            HypoPoseError: If the input cannot be read or sampled, or a file is in the way.
        """
        from hypopose.api.pipeline import source_name

        if needs_staging(job):
            return run_staged(self, job, report)
        job.check_links()
        clock = _Clock()
        people, made = self._read(job, report)
        paths = job.outputs_of(list(people))
        files = dict(zip(people, (self._outputs(job.source, path) for path in paths), strict=True))
        kept = {name: out.kept(made, force=self.force) for name, out in files.items()}
        clock.stop("read")
        missing = [name for name, result in kept.items() if result is None]
        report(total=len(missing) * getattr(self.pipeline.sampler, "n_steps", 1))
        estimated = self.pipeline.estimate_people(
            people,
            only=missing,
            source=source_name(job.source),
            callback=lambda step: report(advance=1),
        )
        results = {name: replace(r, made_with=made) for name, r in estimated.items()}
        clock.stop("estimate")
        said = _said(people, list(results)) if "footage" in made else {}
        rows = [
            _write(
                job.source, out, results.get(name) or kept[name], kept=name not in results,
                said=said.get(name, ()),
            )
            for name, out in files.items()
        ]  # fmt: skip
        clock.stop("write")
        if not pictures_later:
            for name, row in zip(files, rows, strict=True):
                _draw(row, results.get(name) or kept[name])
        return [replace(row, seconds=clock.seconds) for row in rows]

    def _read(
        self, job: Job, report: Callable[..., None]
    ) -> tuple[dict[str, Keypoints2D], dict[str, Any]]:
        """Everybody in a keypoint file or in footage, and what results depend on."""
        from hypopose.api.pipeline import read_people
        from hypopose.io.footage import footage_kind

        if footage_kind(job.source) is None or "format" in self.reading:
            made = {"input": digest(job.source), **self.made_with}
            return read_people(job.source, self.person, **self.reading), made
        job.output.parent.mkdir(parents=True, exist_ok=True)
        found = read_footage(
            job.source,
            {**self.footage, "fps": self.reading.get("fps")},
            journal=job.output.with_name(f"{job.output.stem}.detections"),
            progress=lambda done, total: report(completed=done, total=total),
        )
        report(completed=0)
        people = as_read(found, self.reading, self.person, job.source)
        made = {"input": digest_of(job.source), **self.made_with, "footage": plain(self.footage)}
        return people, made

    def _outputs(self, source: Path, path: Path) -> Outputs:
        """All files of one person, none of them the input."""
        from hypopose.io.writers import beside_paths

        exports = [path.with_suffix(f".{f}") for f in self.formats if path.suffix != f".{f}"]
        beside = [p for export in (path, *exports) for p in beside_paths(export)]
        refuse_overwriting(source, *exports, *beside)
        picture = path.with_suffix(".png") if self.overview else None
        page = path.with_suffix(".html") if self.page else None
        return Outputs(path, tuple(dict.fromkeys(exports)), picture, page, tuple(beside))


def make_worker(options: Mapping[str, Any], jobs: tuple[Job, ...]) -> Worker:
    """Load networks, calibrator, camera and further views, once.

    Args:
        options: Of ``hypopose sample``.
        jobs: All of them; further views go with one input only.

    Raises:
        OptionError: If an option is unknown or out of range, or two contradict each other.
        FormatError: If the camera's file is not one.
    """
    from hypopose import __version__
    from hypopose.api import describe_sampler, make_pipeline
    from hypopose.api.masking import choose_aggregate
    from hypopose.api.sampling import describe_aggregation
    from hypopose.io.writers import check_ending

    for ending in (jobs[0].output.suffix[1:], *options["file_formats"]):
        check_ending(f"result.{ending}")
    refuse_contradictions(options)
    smooth = smooth_of(options.get("preset"), options["smooth"])
    options = {k: v for k, v in options.items() if k != "preset"} | {"smooth": smooth}
    footage = {name: options[name] for name in FOOTAGE_OPTIONS}
    options = {name: value for name, value in options.items() if name not in FOOTAGE_OPTIONS}
    options = with_footage_size(options, [job.source for job in jobs])
    views = load_views(options, [job.source for job in jobs])
    masks = masks_given(options, options["rotate"])
    chosen = {"masks": masks is not None, "refine": options["refine"]}
    options = {**options, "aggregate": choose_aggregate(options["aggregate"], **chosen)}
    settings: dict[str, Any] = read_settings(options["settings"])
    settings |= {"views": views} if views else {}
    pipeline = make_pipeline(
        **{name: options[name] for name in _PIPELINE},
        masks=masks,
        focal="estimate" if options["estimate_focal"] else None,
        notes=describe_views(options),
        **settings,
    )
    return Worker(
        pipeline=pipeline,
        reading=reading_options(options, jobs[0].source),
        made_with=made_with(
            options,
            describe_sampler(pipeline.sampler),
            __version__,
            describe_aggregation(options["aggregate"])[1],
        ),
        person=options["person"],
        footage=footage,
        formats=options["file_formats"],
        overview=not options["no_overview"],
        page=options["view_html"],
        force=options["force"],
        device=options["device"],
    )


_PIPELINE = (
    "sampler", "weights", "n_hypotheses", "n_steps", "aggregate", "seed", "device", "refine",
    "calibrator", "camera_motion", "smooth", "height", "ground", "feet",
    "threads",
)  # fmt: skip
"""Options of the command that the pipeline takes as they are."""


def reading_options(options: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Options of ``load_people``; what was not given is left out.

    Args:
        options: Of the command.
        source: The first input; its image size serves camera files that name none.
    """
    given = {name: options[name] for name in ("skeleton", "image_size", "fps", "rotate")}
    given |= {"format": options["input_format"], "camera": camera_of(options, source)}
    known = {name: value for name, value in given.items() if value is not None}
    return {**known, **reading_given(options)}


def _said(people: dict[str, Keypoints2D], names: list[str]) -> dict[str, tuple[str, ...]]:
    """Notes on each person from reading footage; shared ones once, with the first."""
    said: dict[str, tuple[str, ...]] = {}
    for name in names:
        before = {note for notes in said.values() for note in notes}
        said[name] = tuple(note for note in people[name].notes if note not in before)
    return said


def _write(
    source: Path, files: Outputs, result: Result | None, *, kept: bool, said: tuple[str, ...] = ()
) -> SummaryRow:
    """Write what does not exist yet: the record first, so that a stopped run knows it is done."""
    from hypopose.io import export_result, save_result

    assert result is not None  # estimated, or kept
    files.result.parent.mkdir(parents=True, exist_ok=True)
    notes = [*said, *(() if kept else save_result(files.result, result)), *_doubts(result)]
    for path in files.exports:
        if _is_wanted(path, kept):
            notes += export_result(path, result).notes
    if _is_wanted(files.page, kept):
        _write_page(source, files.page, result)
    notes += [] if kept else _said_of_masks(result)
    return SummaryRow(
        source=str(source),
        person=result.person,
        written=os.fspath(files.result),
        n_frames=result.keypoints.n_frames,
        camera=_camera_word(result.keypoints),
        kept=kept,
        notes=tuple(f"{files.result.stem}: {note}" for note in notes),
        picture=os.fspath(files.picture) if _is_wanted(files.picture, kept) else "",
    )


def _doubts(result: Result) -> list[str]:
    from hypopose.quantities.measurement_doubts import A_GUESS

    if bool(result.hypotheses.joints.isfinite().any()):
        return [note for note in result.notes if note.endswith(A_GUESS)]
    return ["no joint could be placed in any frame; too few keypoints were detected"]


def _said_of_masks(result: Result) -> list[str]:
    return [note for note in result.notes if "the masks" in note] if result.masks else []


def _camera_word(keypoints: Keypoints2D) -> str:
    return "assumed" if keypoints.camera is None or keypoints.camera.assumed else "given"


def _is_wanted(path: Path | None, kept: bool) -> TypeGuard[Path]:
    """Whether a file is to be written: always anew with a new result, else if it is not there."""
    return path is not None and not (kept and path.exists())


def _draw(row: SummaryRow, result: Result | None) -> None:
    if row.picture and result is not None:
        from hypopose.report.overview import draw_overview

        draw_overview(row.picture, result)


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def stop(self, stage: str) -> None:
        """What was done since the last stop was this stage."""
        now = time.perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now


def _write_page(source: Path, path: Path, result: Result) -> None:
    """One HTML file with the 3D player; over the frames, if the source has some."""
    from hypopose.io.footage import footage_kind
    from hypopose.report.exhibits import Report
    from hypopose.report.gather import scene_of
    from hypopose.report.page import save_page

    video = source if footage_kind(source) in ("video", "picture", "pictures") else None
    scene = scene_of(result.person or source.name, result, video=video)
    save_page(path, Report(source.name, (), (scene,)))
