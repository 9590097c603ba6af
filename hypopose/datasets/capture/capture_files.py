"""Which files of a folder are motion capture, of which kind, and how each becomes clips."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

import numpy as np

from hypopose.datasets.capture.amass import load_body_model, read_amass
from hypopose.datasets.capture.animation_rigs import to_h36m17
from hypopose.datasets.capture.asf_amc import AcclaimSkeleton, read_amc, read_asf
from hypopose.datasets.capture.lifter_archives import read_3dhp, read_h36m
from hypopose.datasets.capture.recorded_clip import CapturedRig, RecordedClip
from hypopose.errors import FormatError, HypoPoseError, OptionError
from hypopose.io.motion_files.bvh_rig import read_bvh
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive


@dataclass(frozen=True)
class CaptureFile:
    """One file to read.

    Args:
        path: The file.
        kind: A name in :data:`KINDS`.
    """

    path: Path
    kind: str


@dataclass(frozen=True, eq=False)
class Options:
    """Facts that files do not state.

    Args:
        license: Terms, carried along with every clip; None for what the kind implies.
        fps: Frame rate where the file has none.
        unit: See :func:`hypopose.datasets.capture.to_h36m17`.
        up: The same.
        joints: Own names of joints, the same.
        body_model: ``model.npz`` for AMASS.
        subjects: ``(pattern, name)``: files whose name fits the pattern show that person; the first
            that fits counts. Otherwise CMU's numbers or the folder's name tell.
    """

    license: str | None = None
    fps: float | None = None
    unit: str = "auto"
    up: str = "auto"
    joints: Mapping[str, str] | None = None
    body_model: Path | None = None
    subjects: Sequence[tuple[str, str]] = ()


def find_sources(place: str | Path) -> list[CaptureFile]:
    """Files of motion capture in a folder and all below it, or one file; sorted by path.

    Args:
        place: A folder or a file.

    Raises:
        FormatError: If nothing is found.
    """
    place = Path(place)
    files = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    found = [CaptureFile(path, kind) for path in files if (kind := _kind(path))]
    if not found:
        raise FormatError(
            f"{place} holds no motion capture: .bvh, .amc next to its .asf, AMASS .npz, "
            "data_3d_h36m.npz or data_*_3dhp.npz."
        )
    return found


def read_source(source: CaptureFile, options: Options) -> list[RecordedClip]:
    """Read a file.

    Args:
        source: Of :func:`find_sources`.
        options: What the file does not say.

    Returns:
        Its clips, not cleaned yet.

    Raises:
        FormatError: If it is damaged, or not what its kind promises.
        OptionError: If it cannot be read without a further option.
    """
    with naming(source.path):
        clips = KINDS[source.kind](source.path, options)
        return [_labeled(clip, source.path, options) for clip in clips]


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into one line that names it.

    Args:
        path: The file.

    Raises:
        FormatError: For every error that is not ours already.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except FormatError as error:
        raise error if str(path) in str(error) else FormatError(f"{path}: {error}") from None
    except OptionError as error:
        raise error if str(path) in str(error) else OptionError(f"{path}: {error}") from None
    except HypoPoseError:
        raise
    except (ArithmeticError, LookupError, MemoryError, OSError, RecursionError) as error:
        raise _damaged(path, error) from error
    except (AttributeError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> FormatError:
    words = " ".join(str(error).split())[:120] or type(error).__name__
    return FormatError(f"{path} is damaged, or not what its name says: {words}.")


def _kind(path: Path) -> str | None:
    """By ending; archives by the names of their arrays. None for everything else."""
    ending = path.suffix.lower()
    if ending in (".bvh", ".amc"):
        return ending[1:]
    if ending != ".npz":
        return None
    try:
        names = set(NpzArchive(Source(path)).names)
    except FormatError:
        return "unreadable"
    for needed, kind in _ARRAYS:
        if needed <= names:
            return kind
    return None


_ARRAYS = (
    ({"positions_3d"}, "h36m"),
    ({"poses", "trans"}, "amass"),
    ({"joints", "start", "length", "split"}, "shard"),
    ({"data"}, "3dhp"),
)
"""Arrays of an archive -> its kind; the first that fits counts."""


def _labeled(clip: RecordedClip, path: Path, options: Options) -> RecordedClip:
    """A clip with the subject and the terms that options state."""
    named = [who for pattern, who in options.subjects if fnmatchcase(path.name, pattern)]
    terms = clip.license if options.license is None else options.license
    return replace(clip, subject=named[0] if named else clip.subject, license=terms)


def _rig_clip(path: Path, rig: CapturedRig, options: Options, terms: str) -> list[RecordedClip]:
    fps = rig.fps or options.fps
    if fps is None:
        raise OptionError(f"{path} does not say its frame rate; pass --fps.")
    joints = to_h36m17(rig, names=options.joints, unit=options.unit, up=options.up)
    subject, action = _labels(path)
    return [RecordedClip(joints, float(fps), path.stem, subject, action, path.name, terms)]


def _labels(path: Path) -> tuple[str, str]:
    """CMU's ``05_12`` is subject 05; elsewhere the folder is the subject, the name the action."""
    cmu = re.fullmatch(r"(\d{1,3})_(\d{1,3})\w*", path.stem)
    if cmu:
        return cmu[1].zfill(2), ""
    action = re.sub(r"[_\W\d]+", " ", path.stem).strip().lower()
    return path.absolute().parent.name, action


def _bvh(path: Path, options: Options) -> list[RecordedClip]:
    return _rig_clip(path, read_bvh(path), options, "")


def _amc(path: Path, options: Options) -> list[RecordedClip]:
    asf = path.with_name(f"{_labels(path)[0]}.asf")
    beside = [asf] if asf.is_file() else sorted(path.parent.glob("*.asf"))
    if len(beside) != 1:
        raise FormatError(f"{path} needs its skeleton next to it: {asf.name}.")
    return _rig_clip(path, read_amc(path, _skeleton(beside[0]), options.fps or 120.0), options, "")


@lru_cache(maxsize=8)
def _skeleton(path: Path) -> AcclaimSkeleton:
    return read_asf(path)


def _amass(path: Path, options: Options) -> list[RecordedClip]:
    if options.body_model is None:
        raise OptionError(
            f"{path} holds parameters of a body model; pass its model.npz as --body-model."
        )
    rig = read_amass(path, _body(options.body_model))
    return _rig_clip(path, rig, options, "AMASS: non-commercial research only")


_body = lru_cache(maxsize=2)(load_body_model)


def _shard(path: Path, options: Options) -> list[RecordedClip]:
    raise FormatError(
        f"{path} is a motion shard already; train on it with hypopose train --shard {path}."
    )


def _unreadable(path: Path, options: Options) -> list[RecordedClip]:
    NpzArchive(Source(path))  # raises the error
    return []


KINDS: dict[str, Callable[[Path, Options], list[RecordedClip]]] = {
    "bvh": _bvh,
    "amc": _amc,
    "amass": _amass,
    "h36m": lambda path, options: read_h36m(path),
    "3dhp": lambda path, options: read_3dhp(path, options.fps),
    "shard": _shard,
    "unreadable": _unreadable,
}
"""Kind -> how a file of it becomes clips."""
