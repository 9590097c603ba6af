"""Which files ``hypopose sample`` means, and where their results go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from hypopose.cli.overwrite import refuse_overwriting
from hypopose.errors import FormatError, OptionError
from hypopose.files import portable_name
from hypopose.remote import exists, files_below, url_of

FORMATS = ("npz", "json", "csv", "parquet", "nc", "c3d", "trc", "mot", "bvh", "glb")
"""Formats a result can be written in; named here too so that ``--help`` stays quick."""

DATA_SUFFIXES = {
    ".json", ".npz", ".npy", ".csv", ".h5", ".hdf5", ".nc", ".parquet", ".pbtxt", ".slp",
}  # fmt: skip
"""Endings that make a file in a folder an input; readmes and pictures are passed over."""


@dataclass(frozen=True)
class Job:
    """One input and the result path of a lone person.

    Args:
        source: File or folder.
        output: Path of the result.
        within: The folder that was named on the command line, if the input was found in one.
    """

    source: Path
    output: Path
    within: Path | None = None

    def check_links(self) -> None:
        """Refuse an input that is a link out of the folder it was found in.

        Raises:
            FormatError: If it is.
        """
        if self.within is None or not self.source.is_symlink():
            return
        if not self.source.resolve().is_relative_to(self.within.resolve()):
            raise FormatError(
                f"{self.source} is a link out of {self.within}; copy the file, or name it on the "
                "command line."
            )

    def outputs_of(self, people: list[str]) -> list[Path]:
        """One result path a person: OUT itself for one, else OUT with each person's identity.

        Example:
            >>> [path.name for path in Job(Path("a.json"), Path("out.npz")).outputs_of(["2", "3"])]
            ['out_person2.npz', 'out_person3.npz']
        """
        if len(people) == 1:
            return [self.output]
        labels = ["".join(c if c.isalnum() or c in "-_." else "_" for c in p) for p in people]
        labels = [portable_name(label) for label in labels]
        stem, suffix = self.output.stem, self.output.suffix
        names = _unique([f"{stem}_person{label}" for label in labels])
        outputs = [self.output.with_name(f"{name}{suffix}") for name in names]
        refuse_overwriting(self.source, *outputs)
        return outputs


@dataclass(frozen=True)
class Plan:
    """All jobs of a run.

    Args:
        jobs: One per input.
        is_batch: Whether a bad input must not stop the others: there are several inputs, or a
            folder that is not itself one input.
    """

    jobs: tuple[Job, ...]
    is_batch: bool

    def shard(self, part: str | None) -> Plan:
        """One part of the inputs, of parts that have nothing in common.

        Args:
            part: ``I/N``: every N-th input from the I-th on; None for all.

        Raises:
            OptionError: If it is not two numbers, the first from 1 to the second.

        Example:
            >>> jobs = tuple(Job(Path(f"{n}.json"), Path(f"{n}.npz")) for n in "abcde")
            >>> [job.source.stem for job in Plan(jobs, True).shard("2/2").jobs]
            ['b', 'd']
        """
        if part is None:
            return self
        index, _, count = part.partition("/")
        if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
            raise OptionError(f"--shard takes I/N with I from 1 to N, for example 2/8; got {part}.")
        if not self.is_batch:
            raise OptionError("--shard splits a folder or several inputs; there is one input.")
        return Plan(self.jobs[int(index) - 1 :: int(count)], is_batch=True)


def plan_jobs(inputs: tuple[Path, ...], output: Path) -> Plan:
    """Find the inputs in folders and give every input a result path.

    Args:
        inputs: Files and folders as given.
        output: A file for one input, a folder for several.

    Returns:
        One job per input, in the order given; folders in alphabetical order.

    Raises:
        FormatError: If the only input does not exist.
        OptionError: If a folder holds nothing to read, one file is to take several results, or a
            result would replace an input.
    """
    found = [(path, source) for path in inputs for source in _inputs_below(path, output)]
    if not found:
        raise OptionError(
            f"{', '.join(map(str, inputs))}: neither keypoint files nor videos in the folder; "
            f"expected videos, or files ending in {', '.join(sorted(DATA_SUFFIXES))}."
        )
    is_batch = len(inputs) > 1 or [source for _, source in found] != list(inputs)
    jobs = _into_folder(found, output) if is_batch else [_lone_job(inputs[0], output)]
    sources = {source.resolve(): source for _, source in found}
    for job in jobs:
        if job.output.resolve() in sources:
            refuse_overwriting(sources[job.output.resolve()], job.output)
    return Plan(tuple(jobs), is_batch)


def _lone_job(source: Path, output: Path) -> Job:
    if not exists(source) and not str(source).startswith("camera:"):
        raise FormatError(f"{source}: there is no such file or folder; check the path.")
    return Job(source, _named(source, output))


def _into_folder(found: list[tuple[Path, Path]], output: Path) -> list[Job]:
    """A job for each input that was found in what was named."""
    if output.suffix[1:] in FORMATS or output.is_file():
        raise OptionError(
            f"Several inputs need a folder to write to, but -o is the file {output}; give a folder."
        )
    names = _unique([portable_name(source.stem) for _, source in found])
    return [
        Job(source, output / f"{name}.npz", None if source == named else named)
        for (named, source), name in zip(found, names, strict=True)
    ]


def _named(source: Path, output: Path) -> Path:
    """The result file of a lone input: in the folder that is there, or with an ending added."""
    if output.is_dir():
        return output / f"{portable_name(source.stem)}.npz"
    return output if output.suffix[1:] in FORMATS else output.with_name(f"{output.name}.npz")


def _inputs_below(path: Path, output: Path, top: Path | None = None) -> list[Path]:
    """A file or a folder of frames is one input; any other folder is what it holds.

    What is in folders within it is added, except results of ours. Links are listed, but not
    followed out of the folder that was named; those to folders within it are left out, since these
    are visited anyway.
    """
    url = url_of(path)
    if url is not None:
        return _remote_inputs(path, url)
    if not path.is_dir():
        return [path]
    top = top or path
    folder = _Folder.read(path, output)
    found = folder.inputs()
    for child in filter(Path.is_dir, folder.children):
        if not child.is_symlink():
            found += _inputs_below(child, output, top)
        elif not child.resolve().is_relative_to(top.resolve()):
            found.append(child)
    return found


def _remote_inputs(path: Path, url: str) -> list[Path]:
    """A file by URL, or what a folder holds: OpenPose's frames are one input."""
    found = [Path(name) for name in files_below(url)]
    if len(found) == 1 and url_of(found[0]) == url.rstrip("/"):
        return [path]
    frames = Counter(p.parent for p in found if p.name.endswith("_keypoints.json"))
    recordings = [folder for folder, n in frames.items() if n > 1]
    files = [p for p in found if p.parent not in recordings and p.suffix.lower() in DATA_SUFFIXES]
    return sorted([*recordings, *files])


@dataclass(frozen=True)
class _Folder:
    """A folder that may hold inputs.

    Args:
        path: Which.
        children: What is in it, without results, their folder and hidden files.
        frames: Those that were not written beside the folder's own result.
    """

    path: Path
    children: tuple[Path, ...]
    frames: tuple[Path, ...]

    @staticmethod
    def read(path: Path, output: Path) -> _Folder:
        from hypopose.io.native import is_result

        listed = [child for child in sorted(path.iterdir()) if child.name[0] != "."]
        results = {child for child in listed if is_result(child)}
        away = output.resolve()
        children = [c for c in listed if c not in results and c.resolve() != away]
        # The folder may contain its own result and the exports that --format wrote beside it.
        named = output.stem if output.suffix[1:] in FORMATS else output.name
        own = path.stem if output.is_dir() else named
        ours = {r.stem for r in results if r.stem == own or r.stem.startswith(f"{own}_person")}
        frames = [child for child in children if child.stem not in ours]
        return _Folder(path, tuple(children), tuple(frames))

    def inputs(self) -> list[Path]:
        """The folder itself if it is one recording, else the files in it; oddities are noted."""
        if self._is_recording():
            tables = [child for child in self.children if child not in self.frames]
            for child in _data_files(tables):
                _note(
                    f"{child} looks like a table of the result next to it; name it on the command "
                    "line to read it."
                )
            return [self.path]
        files = _data_files(self.children)
        if sum(file.stem.endswith("_keypoints") for file in files) > 1:
            _note(
                f"{self.path} holds OpenPose frames and other inputs, so each frame is an "
                "input of its own; put the frames into a folder of their own."
            )
        return files

    def _is_recording(self) -> bool:
        """A folder of frames holds one kind of file; a mixed one holds many inputs."""
        from hypopose.io.footage import pictures_in
        from hypopose.io.readers import detect_format, is_recording

        if pictures_in(self.path):
            return True
        endings = {p.suffix.lower() for p in self.frames if p.is_file()} & DATA_SUFFIXES
        if len(endings) > 1 or not is_recording(self.path):
            return False
        return not (endings and detect_format(self.path) == "yolo")


def _note(words: str) -> None:
    click.echo(f"Note: {words}", err=True)


def _data_files(children: Iterable[Path]) -> list[Path]:
    """The files that are inputs: by their endings, and text files in YOLO's format."""
    from hypopose.io.footage import VIDEO_SUFFIXES
    from hypopose.io.readers import detect_format

    found = []
    for child in children:
        if child.suffix.lower() in DATA_SUFFIXES | VIDEO_SUFFIXES and not child.is_dir():
            found.append(child)
        elif child.suffix.lower() == ".txt" and child.is_file():
            with suppress(FormatError):
                detect_format(child)
                found.append(child)
    return found


def _unique(names: list[str]) -> list[str]:
    """Names with a number appended from the second of the same on.

    Example:
        >>> _unique(["walk", "run", "walk"])
        ['walk', 'run', 'walk_2']
    """
    unique: list[str] = []
    numbers: dict[str, int] = {}
    taken: set[str] = set()
    for name in names:
        candidate = name
        while candidate.casefold() in taken:  # some file systems ignore case
            numbers[name] = numbers.get(name, 1) + 1
            candidate = f"{name}_{numbers[name]}"
        unique.append(candidate)
        taken.add(candidate.casefold())
    return unique
