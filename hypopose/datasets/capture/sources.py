"""Which files of a folder are motion capture, of which kind, and how each becomes clips."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hypopose.datasets.capture.amass import load_body_model, read_amass
from hypopose.datasets.capture.asf_amc import AcclaimSkeleton, read_amc, read_asf
from hypopose.datasets.capture.bvh_reader import read_bvh
from hypopose.datasets.capture.clips import Clip, Rig
from hypopose.datasets.capture.lifter_archives import read_3dhp, read_h36m
from hypopose.datasets.capture.rigs import to_h36m17
from hypopose.errors import FormatError, OptionError
from hypopose.io.source import Source as File
from hypopose.io.untrusted.arrays import NpzArchive


@dataclass(frozen=True)
class Source:
    """One file to read.

    Args:
        path: The file.
        kind: A name in :data:`KINDS`.
    """

    path: Path
    kind: str


@dataclass(frozen=True, eq=False)
class Options:
    """What files do not say.

    Args:
        license: Terms, carried along with every clip; None for what the kind implies.
        fps: Frame rate where the file has none.
        unit: See :func:`hypopose.datasets.capture.to_h36m17`.
        up: The same.
        joints: Own names of joints, the same.
        body_model: ``model.npz`` for AMASS.
    """

    license: str | None = None
    fps: float | None = None
    unit: str = "auto"
    up: str = "auto"
    joints: Mapping[str, str] | None = None
    body_model: Path | None = None


def find_sources(place: str | Path) -> list[Source]:
    """Files of motion capture in a folder and all below it, or one file; sorted by path.

    Args:
        place: A folder or a file.

    Raises:
        FormatError: If nothing is found.
    """
    place = Path(place)
    files = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    found = [Source(path, kind) for path in files if (kind := _kind(path))]
    if not found:
        raise FormatError(
            f"{place} holds no motion capture: .bvh, .amc beside its .asf, AMASS .npz, "
            "data_3d_h36m.npz or data_*_3dhp.npz."
        )
    return found


def read_source(source: Source, options: Options) -> list[Clip]:
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
    return KINDS[source.kind](source.path, options)


def _kind(path: Path) -> str | None:
    """By ending; archives by the names of their arrays. None for everything else."""
    ending = path.suffix.lower()
    if ending in (".bvh", ".amc"):
        return ending[1:]
    if ending != ".npz":
        return None
    try:
        names = set(NpzArchive(File(path)).names)
    except FormatError:
        return None
    if "positions_3d" in names:
        return "h36m"
    if {"poses", "trans"} <= names:
        return "amass"
    return "3dhp" if "data" in names else None


def _rig_clip(path: Path, rig: Rig, options: Options, license_words: str) -> list[Clip]:
    if rig.fps is None and options.fps is None:
        raise OptionError(f"{path} does not say its frame rate; pass --fps.")
    joints = to_h36m17(rig, names=options.joints, unit=options.unit, up=options.up)
    subject, action = _labels(path)
    return [
        Clip(
            joints,
            float(rig.fps or options.fps or 0),
            path.stem,
            subject,
            action,
            path.name,
            options.license if options.license is not None else license_words,
        )
    ]


def _labels(path: Path) -> tuple[str, str]:
    """CMU's ``05_12`` is subject 05; elsewhere the folder is the subject, the name the action."""
    cmu = re.fullmatch(r"(\d{1,3})_(\d{1,3})\w*", path.stem)
    if cmu:
        return cmu[1].zfill(2), ""
    action = re.sub(r"[_\W\d]+", " ", path.stem).strip().lower()
    return path.parent.name, action


def _bvh(path: Path, options: Options) -> list[Clip]:
    return _rig_clip(path, read_bvh(path), options, "")


def _amc(path: Path, options: Options) -> list[Clip]:
    asf = path.with_name(f"{_labels(path)[0]}.asf")
    beside = [asf] if asf.is_file() else sorted(path.parent.glob("*.asf"))
    if len(beside) != 1:
        raise FormatError(f"{path} needs its skeleton beside it: {asf.name}.")
    return _rig_clip(path, read_amc(path, _skeleton(beside[0]), options.fps or 120.0), options, "")


@lru_cache(maxsize=8)
def _skeleton(path: Path) -> AcclaimSkeleton:
    return read_asf(path)


def _amass(path: Path, options: Options) -> list[Clip]:
    if options.body_model is None:
        raise OptionError(
            f"{path} holds parameters of a body model; pass its model.npz as --body-model."
        )
    rig = read_amass(path, _body(options.body_model))
    return _rig_clip(path, rig, options, "AMASS: non-commercial research only")


_body = lru_cache(maxsize=2)(load_body_model)


def _relicensed(clips: list[Clip], options: Options) -> list[Clip]:
    if options.license is None:
        return clips
    return [Clip(**{**vars(clip), "license": options.license}) for clip in clips]


KINDS: dict[str, Callable[[Path, Options], list[Clip]]] = {
    "bvh": _bvh,
    "amc": _amc,
    "amass": _amass,
    "h36m": lambda path, options: _relicensed(read_h36m(path), options),
    "3dhp": lambda path, options: _relicensed(read_3dhp(path, options.fps), options),
}
"""Kind -> how a file of it becomes clips."""
