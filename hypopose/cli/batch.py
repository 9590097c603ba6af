"""Which files a command means, and where their results go."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from hypopose.errors import FormatError, OptionError

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
        output: Where the result goes.
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
        stem, suffix = self.output.stem, self.output.suffix
        names = _unique([f"{stem}_person{label}" for label in labels])
        outputs = [self.output.with_name(f"{name}{suffix}") for name in names]
        for path in outputs:
            refuse_overwriting(self.source, path)
        return outputs


def refuse_overwriting(source: Path, output: Path) -> None:
    """Stop if an input would be replaced by what is made of it, ``--force`` or not.

    Raises:
        OptionError: If the two are one file.
    """
    if source.resolve() == output.resolve():
        raise OptionError(f"{source} would be replaced by its own result; give another -o.")


def plan_jobs(inputs: tuple[Path, ...], output: Path) -> list[Job]:
    """Spread folders into inputs and give every input a result path.

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
    spread = [(path, found) for path in inputs for found in _spread(path, output)]
    sources = [found for _, found in spread]
    if not sources:
        raise OptionError(
            f"{', '.join(map(str, inputs))}: no keypoint files in the folder; expected files "
            f"ending in {', '.join(sorted(DATA_SUFFIXES))}."
        )
    if sources == list(inputs) and len(inputs) == 1 and not inputs[0].exists():
        raise FormatError(f"{inputs[0]}: there is no such file or folder; check the path.")
    if is_folder_of_results(inputs, sources):
        if output.suffix[1:] in FORMATS or output.is_file():
            raise OptionError(
                f"Several inputs need a folder to write to, but -o is the file {output}; give "
                "a folder."
            )
        names = _unique([source.stem for source in sources])
        return _checked(
            [
                Job(source, output / f"{name}.npz", None if source == named else named)
                for (named, source), name in zip(spread, names, strict=True)
            ]
        )
    if output.is_dir():
        output = output / f"{sources[0].stem}.npz"
    elif output.suffix[1:] not in FORMATS:
        output = output.with_name(f"{output.name}.npz")
    return _checked([Job(sources[0], output)])


def _checked(jobs: list[Job]) -> list[Job]:
    """The jobs, if none of them replaces an input of any."""
    for job in jobs:
        for other in jobs:
            refuse_overwriting(other.source, job.output)
    return jobs


def is_folder_of_results(inputs: tuple[Path, ...], sources: list[Path]) -> bool:
    """True if ``-o`` names a folder: several inputs, or a folder that is not itself one input."""
    return len(inputs) > 1 or sources != list(inputs)


def is_batch(inputs: tuple[Path, ...], jobs: list[Job]) -> bool:
    """True if a bad input must not stop the others."""
    return is_folder_of_results(inputs, [job.source for job in jobs])


def _spread(path: Path, output: Path, top: Path | None = None) -> list[Path]:
    """A file or a folder of frames is one input; any other folder is what it holds.

    What lies in folders within it is added, but for results of ours. Links are listed, but not
    followed out of the folder that was named; those to folders within it are left out, for these
    are visited anyway.
    """
    if not path.is_dir():
        return [path]
    from hypopose.io.native import is_result

    top = top or path
    there = [child for child in sorted(path.iterdir()) if child.name[0] != "."]
    results = {child for child in there if is_result(child)}
    children = [c for c in there if c.resolve() != output.resolve() and c not in results]
    # The folder's own result may lie in it, with what --format has written beside it.
    named = output.stem if output.suffix[1:] in FORMATS else output.name
    own = path.stem if output.is_dir() else named
    ours = {r.stem for r in results if r.stem == own or r.stem.startswith(f"{own}_person")}
    frames = [child for child in children if child.stem not in ours]
    found = [path] if _is_one_input(path, frames) else _inputs(children)
    for child in _inputs(children) if path in found and len(frames) < len(children) else []:
        if child not in frames:
            click.echo(
                f"Note: {child} is taken for a table of the result beside it; name it on the "
                "command line to read it.",
                err=True,
            )
    if path not in found and sum(child.stem.endswith("_keypoints") for child in found) > 1:
        click.echo(
            f"Note: {path} holds OpenPose's frames beside other inputs, so each frame is an input "
            "of its own; frames alone in a folder are one motion.",
            err=True,
        )
    for child in children:
        if child.is_symlink() and child.is_dir():
            found += [] if child.resolve().is_relative_to(top.resolve()) else [child]
        elif child.is_dir():
            found += _spread(child, output, top)
    return found


def _inputs(children: list[Path]) -> list[Path]:
    """The files that are inputs: by their endings, and text if YOLO wrote it."""
    from hypopose.io.readers import detect_format

    found = []
    for child in children:
        if child.suffix.lower() in DATA_SUFFIXES and not child.is_dir():
            found.append(child)
        elif child.suffix.lower() == ".txt" and child.is_file():
            with suppress(FormatError):
                detect_format(child)
                found.append(child)
    return found


def _is_one_input(folder: Path, children: list[Path]) -> bool:
    """A folder of frames holds one kind of file; a mixed one holds many inputs."""
    from hypopose.io.readers import detect_format, is_recording

    endings = {p.suffix.lower() for p in children if p.is_file()} & DATA_SUFFIXES
    if len(endings) > 1 or not is_recording(folder):
        return False
    return not (endings and detect_format(folder) == "yolo")


def _unique(names: list[str]) -> list[str]:
    """Names with a number appended from the second of the same on.

    Example:
        >>> _unique(["walk", "run", "walk"])
        ['walk', 'run', 'walk_2']
    """
    unique: list[str] = []
    taken: set[str] = set()
    for name in names:
        others = (f"{name}_{n}" for n in range(2, len(names) + 2))
        # Some file systems do not tell upper case from lower case.
        unique.append(next(n for n in (name, *others) if n.casefold() not in taken))
        taken.add(unique[-1].casefold())
    return unique
