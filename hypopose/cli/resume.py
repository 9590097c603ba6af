"""Runs that were stopped: what is done already, and with which options.

A result keeps the input's digest and every option that shapes it in ``made_with``. A run that finds
a result where it would write compares: the same input and options, and the result is kept; anything
else, and a message states what differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypopose.cli.options import MASKS, READING
from hypopose.cli.overwrite import refuse_existing
from hypopose.errors import FormatError, OptionError

if TYPE_CHECKING:
    from hypopose.io import Result

_NO_SHAPE = {
    "device", "file_formats", "force", "log_file", "log_json", "n_processes", "no_overview",
    "person", "shard", "threads", "view_html",
}  # fmt: skip
"""Options that choose what is written or where it is computed, not what comes out."""

_NAMED = ("calibrator", "camera_motion", "masks", "skeleton", "weights")
"""Options that are a name, or a file or folder whose contents count."""

_LATER = ("view_files", "feet", *MASKS, *READING)
"""Options left out of the record where they are not set, so that earlier results stay valid."""


@dataclass(frozen=True)
class Outputs:
    """The files of one person.

    Args:
        result: The record, or what ``-o`` named.
        exports: The same in other formats.
        picture: The overview, or None.
        page: The page with the 3D player, or None.
        beside: Files that exports write beside theirs.
    """

    result: Path
    exports: tuple[Path, ...] = ()
    picture: Path | None = None
    page: Path | None = None
    beside: tuple[Path, ...] = ()

    def kept(self, made_with: dict[str, Any], *, force: bool) -> Result | None:
        """The result that is there already, if it is what this run would make.

        Args:
            made_with: Of this run.
            force: Whether everything is made again.

        Raises:
            OptionError: If a file is in the way.
        """
        if force:
            return None
        if self.result.suffix != ".npz" or not self.result.exists():
            files = (self.result, *self.exports, self.picture, self.page, *self.beside)
            refuse_existing(*files, force=False)
            return None
        from hypopose.io import load_hypotheses

        try:
            stored = load_hypotheses(self.result)
        except FormatError:
            raise OptionError(
                f"{self.result} exists and is not a result; give another -o, or --force to replace "
                "it."
            ) from None
        told = differences(stored.made_with, made_with)
        if told:
            raise OptionError(
                f"{self.result} was made differently ({told}); give another -o, or --force to "
                "replace it."
            )
        return stored


def made_with(
    options: Mapping[str, Any],
    sampler: dict[str, Any],
    version: str,
    plugins: Sequence[str] = (),
) -> dict[str, Any]:
    """What a run's results depend on, as plain values; add the input's digest for each.

    Args:
        options: Of the command.
        sampler: The sampler as described, defaults included.
        version: HypoPose's.
        plugins: Code from outside the package besides the sampler's.

    Returns:
        Options by name, files as digests of what they hold.
    """
    shaping = {k: v for k, v in options.items() if k not in _NO_SHAPE and k != "settings"}
    plain = {name: _plain(name, value) for name, value in shaping.items()}
    del plain["sampler"]  # the description has the details
    plain = {k: v for k, v in plain.items() if k not in _LATER or not _is_unset(v)}
    others = {"plugins": list(plugins)} if plugins else {}
    return {"version": version, "sampler": sampler, **plain, **others}


def _is_unset(value: Any) -> bool:
    return value is None or value is False or value == []


def _plain(name: str, value: Any) -> Any:
    """A value as JSON would give it back; what is a path becomes the digest of its contents."""
    if name in _CONTENTS and value is not None:
        return _CONTENTS[name](value)
    return [_plain(name, v) for v in value] if isinstance(value, (tuple, list)) else value


def _contents_of_camera(value: Any) -> str:
    from hypopose.io import split_camera_name

    path, camera = split_camera_name(str(value))
    contents = _contents(path)
    return contents if camera is None else f"{contents}:{camera}"


def _contents_of_views(value: Any) -> list[list[str]]:
    return [[digest(path), _contents_of_camera(camera)] for path, camera in value]


def _contents(value: Any) -> str:
    return digest(Path(value)) if Path(value).exists() else str(value)


_CONTENTS: dict[str, Callable[[Any], Any]] = {
    "camera_file": _contents_of_camera,
    "view_files": _contents_of_views,
    **dict.fromkeys(_NAMED, _contents),
}
"""Option that names files -> what of them counts."""


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What differs between two runs, in words; empty if nothing does.

    Example:
        >>> differences({"seed": 0, "input": "a"}, {"seed": 1, "input": "a"})
        'seed 0, now 1'
        >>> differences({}, {"seed": 1})
        'unknown options, none recorded'
    """
    if not before:
        return "unknown options, none recorded"
    a, b = dict(_flat(before)), dict(_flat(now))
    changed = [k for k in {**a, **b} if a.get(k) != b.get(k)]
    words = [
        f"the {k.replace('_', ' ')} has changed"
        if k in ("input", "camera_file", "view_files", *_NAMED)
        else f"{k} {a.get(k)}, now {b.get(k)}"
        for k in changed
    ]
    return "; ".join(words[:4]) + ("; ..." if len(words) > 4 else "")


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", list(value) if isinstance(value, tuple) else value


def digest(path: Path) -> str:
    """A short fingerprint of a file's bytes, or of all names and bytes in a folder.

    Results of ours in the folder, and what was exported beside them, do not count.

    Args:
        path: What to read.

    Returns:
        16 hexadecimal digits of SHA-256.
    """
    from hypopose.io.native import is_result

    whole = hashlib.sha256()
    inside = [] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    results = {p.with_suffix("") for p in inside if is_result(p)}
    files = [path] if path.is_file() else [p for p in inside if p.with_suffix("") not in results]
    for file in files:
        if file != path:
            whole.update(file.relative_to(path).as_posix().encode("utf-8", "surrogateescape"))
        with file.open("rb") as stream:
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()[:16]
