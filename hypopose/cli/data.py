"""``hypopose data``: convert motion capture to training shards; where published data come from."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hypopose.cli.overwrite import force_option, refuse_existing
from hypopose.errors import FormatError, HypoPoseError, OptionError

if TYPE_CHECKING:
    from hypopose.datasets.capture import CaptureFile, Options, RecordedClip

MAX_JOINTS_BYTES = 1_000_000
"""Files that name joints are smaller."""


@click.group()
def data() -> None:
    """Prepare motion for training, and say where published data sets come from."""


@data.command()
@click.argument("places", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Shard (npz).")
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    metavar="[PATTERN=]NAME",
    help="Subject of all files, or of those that match PATTERN ('anna*=anna'); default: CMU's "
    "numbers, else the folder's name.",
)
@click.option("--val", multiple=True, metavar="SUBJECT", help="Subject of the validation split.")
@click.option("--test", multiple=True, metavar="SUBJECT", help="Subject of the test split.")
@click.option("--license", "license_words", help="Terms of the data, kept with every clip.")
@click.option("--fps", type=float, help="Frame rate, if a file does not state it; AMC: 120.")
@click.option(
    "--unit", default="auto", show_default=True, help="m, cm, mm, inch, cmu; auto: by the legs."
)
@click.option("--up", default="auto", show_default=True, help="y or z; auto: where the head is.")
@click.option(
    "--joints",
    "joints_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="TOML or JSON that names the joints of a rig of your own: left_hip = ...",
)
@click.option(
    "--body-model",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="model.npz of SMPL-H or SMPL-X, for AMASS.",
)
@force_option
def prepare(places: tuple[Path, ...], output: Path, force: bool, **options: Any) -> None:
    """Make a motion shard of capture files: BVH, CMU's ASF/AMC, AMASS, Human3.6M, 3DHP.

    PLACES are files or folders with subfolders. Clips become Human3.6M's 17 joints at 50 Hz,
    meters, z up, floor at 0; jumps are cut out. Files that cannot be read are reported and skipped.

    Exit code 0: all done. 1: some files failed. 2: nothing was written.

    Example: hypopose data prepare captures/ -o mine.npz --subject 'anna*=anna' --test anna
    """
    refuse_existing(output, force=force)
    from hypopose.datasets.capture import Options

    chosen = Options(
        license=options["license_words"],
        fps=_rate(options["fps"]),
        unit=options["unit"],
        up=options["up"],
        joints=_joints(options["joints_file"]),
        body_model=options["body_model"],
        subjects=[_named(item) for item in options["subjects"]],
    )
    report = FailureCount()
    clips = list(_prepared(places, chosen, report))
    _write(output, clips, report, options["val"], options["test"])


@data.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Shard (npz).")
@force_option
def cmu(folder: Path, output: Path, force: bool) -> None:
    """Make the shard of the CMU database, on the subjects' own skeletons, from its ASF/AMC files.

    FOLDER holds the unpacked allasfamc.zip of mocap.cs.cmu.edu. Trials, splits and expected lengths
    come with HypoPose; differences are reported. In training, these clips replace those of the same
    trials in cmu_permissive.npz.

    Exit code 0: all done. 1: some files failed. 2: nothing was written.

    Example: hypopose data cmu all_asfamc/ -o cmu_own_bodies.npz
    """
    refuse_existing(output, force=force)
    from hypopose.datasets.capture.cmu import doubts, find_trials, read_trial, trials

    known, found = trials(), find_trials(folder)
    report = FailureCount()
    clips: list[RecordedClip] = []
    for number, path in found.items():
        try:
            made = read_trial(known[number], path)
        except HypoPoseError as error:
            report.failed(path, error)
            continue
        for doubt in doubts(known[number], made):
            click.echo(f"doubt   {path}: {doubt}", err=True)
        clips += made
    absent = sorted(set(known) - set(found))
    if absent:
        listed = ", ".join(absent[:8]) + (", ..." if len(absent) > 8 else "")
        click.echo(f"{len(absent)} of {len(known)} trials are not in {folder}: {listed}", err=True)
    people = {split: {t.subject for t in known.values() if t.split == split} for split in SPLITS}
    there = {clip.subject for clip in clips}
    _write(output, clips, report, sorted(people["val"] & there), sorted(people["test"] & there))
    click.echo(ACKNOWLEDGMENT)


@data.command("fetch-notes")
@click.argument("name", required=False)
def fetch_notes(name: str | None) -> None:
    """Say where to get the data set NAME of a protocol, its terms, and how to lay it out.

    Nothing is downloaded. Without NAME the names are listed.

    Example: hypopose data fetch-notes h36m
    """
    from hypopose.datasets.protocols import PROTOCOLS
    from hypopose.datasets.protocols import fetch_notes as notes_of

    if name is None:
        for known, protocol in PROTOCOLS.items():
            click.echo(f"{known:10} {protocol.title}")
        return
    click.echo(notes_of(name).rstrip())


SPLITS = ("val", "test")

ACKNOWLEDGMENT = (
    "The data used in this project was obtained from mocap.cs.cmu.edu. The database was created "
    "with funding from NSF EIA-0196217."
)
"""What the database asks its users to state."""


class FailureCount:
    """Counts the files that failed, and says each."""

    def __init__(self) -> None:
        self.n_failed = 0

    def failed(self, path: Path, error: Exception) -> None:
        """Say that a file could not be read."""
        self.n_failed += 1
        words = str(error) if str(path) in str(error) else f"{path}: {error}"
        click.echo(f"failed  {words}", err=True)


def _prepared(
    places: Sequence[Path], options: Options, report: FailureCount
) -> Iterator[RecordedClip]:
    """Clips of all places that could be read."""
    from hypopose.datasets.capture import find_sources

    seen: dict[str, int] = {}
    for place in places:
        try:
            sources = find_sources(place)
        except HypoPoseError as error:
            report.failed(place, error)
            continue
        for source in sources:
            for clip in _read(source, options, report):
                yield _unique(clip, seen)


def _read(source: CaptureFile, options: Options, report: FailureCount) -> list[RecordedClip]:
    """Cleaned clips of a file; none if it failed."""
    from hypopose.datasets.capture import cleaned, read_source
    from hypopose.datasets.capture.capture_files import naming

    try:
        with naming(source.path):
            found = [piece for clip in read_source(source, options) for piece in cleaned(clip)]
    except HypoPoseError as error:
        report.failed(source.path, error)
        return []
    frames = sum(len(clip.joints) for clip in found)
    click.echo(f"read    {source.path} ({source.kind}): {len(found)} clips, {frames} frames")
    return found


def _unique(clip: RecordedClip, seen: dict[str, int]) -> RecordedClip:
    """A clip of a name that was there before (in another folder) gets a number."""
    from dataclasses import replace

    seen[clip.name] = seen.get(clip.name, 0) + 1
    n = seen[clip.name]
    return clip if n == 1 else replace(clip, name=f"{clip.name}_{n}")


def _write(
    output: Path,
    clips: Sequence[RecordedClip],
    report: FailureCount,
    val: Sequence[str],
    test: Sequence[str],
) -> None:
    """Write the shard and say what is in it; exit code 1 if files failed."""
    from hypopose.datasets.capture import write_shard

    frames_of = write_shard(output, clips, val=val, test=test)
    words = ", ".join(f"{split} {n}" for split, n in frames_of.items() if n)
    click.echo(f"{output}: {len(clips)} clips; frames: {words}; {report.n_failed} files failed")
    terms = sorted({clip.license for clip in clips})
    click.echo(f"terms: {'; '.join(t or 'not stated' for t in terms)}")
    if report.n_failed:
        raise SystemExit(1)


def _named(item: str) -> tuple[str, str]:
    """``NAME`` for all files, or ``PATTERN=NAME``."""
    pattern, found, name = item.rpartition("=")
    if not name.strip():
        raise OptionError(f"--subject {item}: write NAME, or PATTERN=NAME.")
    return (pattern if found else "*"), name.strip()


def _rate(fps: float | None) -> float | None:
    if fps is not None and not 1 <= fps <= 2000:
        raise OptionError(f"--fps lies between 1 and 2000, got {fps:g}.")
    return fps


def _joints(path: Path | None) -> dict[str, str] | None:
    if path is None:
        return None
    try:
        if not path.is_file() or path.stat().st_size > MAX_JOINTS_BYTES:
            raise FormatError(f"{path} is not a file of at most 1 MB.")
        text = path.read_text(encoding="utf-8")
        names = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"{path} is neither TOML nor JSON: {error}.") from error
    if not isinstance(names, dict) or not all(isinstance(v, str) for v in names.values()):
        raise OptionError(f"{path} must map names of parts to names of joints.")
    return names
