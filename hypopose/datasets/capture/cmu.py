"""The CMU motion capture database as a motion shard, from its ASF and AMC files.

The files are at http://mocap.cs.cmu.edu (``allasfamc.zip``, or a subject at a time). This package
lists which trials are used, who is in which split, and what the result should look like
(``cmu_trials.csv``, ``cmu_subjects.csv``); it holds no motion. Trials that are left out show the
skeleton of another subject, leave the volume, or only calibrate.

The database asks for: "The data used in this project was obtained from mocap.cs.cmu.edu. The
database was created with funding from NSF EIA-0196217."
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from jaxtyping import Float

from hypopose.datasets.capture.animation_rigs import to_h36m17
from hypopose.datasets.capture.asf_amc import AcclaimSkeleton, read_amc, read_asf
from hypopose.datasets.capture.capture_files import naming
from hypopose.datasets.capture.recorded_clip import RecordedClip, cleaned
from hypopose.errors import FormatError

LICENSE = "CMU mocap (free for all uses, no resale of the data itself)"

FPS = 120.0
"""Frame rate of the database's AMC files, which do not state it."""

LENGTH_TOLERANCE = 0.02
"""Clips as long as listed differ by less than this share, or by a few frames."""

BONE_TOLERANCE = 0.02
"""Bones as long as listed differ by less than this share."""

_LIMBS = (((1, 2), (4, 5)), ((2, 3), (5, 6)), ((11, 12), (14, 15)), ((12, 13), (15, 16)))
_LIMB_NAMES = ("thigh", "shin", "upper arm", "forearm")


@dataclass(frozen=True)
class Trial:
    """One recording of the database.

    Args:
        number: Subject and trial, for example ``"001_03"``.
        split: ``"train"``, ``"val"`` or ``"test"``.
        action: What is shown; empty if not known.
        frames: Of its clips at 50 Hz, as they were made before; empty if they never were.
        replaces: Clips of other shards that show the same on a foreign skeleton.
    """

    number: str
    split: str
    action: str
    frames: tuple[int, ...]
    replaces: tuple[str, ...]

    @property
    def subject(self) -> str:
        """For example ``"cmu001"``."""
        return f"cmu{self.number[:3]}"


@lru_cache(maxsize=1)
def trials() -> dict[str, Trial]:
    """The trials that are used, by number.

    Example:
        >>> trials()["001_03"].split
        'train'
    """
    rows = _table("cmu_trials.csv")
    return {
        row["trial"]: Trial(
            row["trial"],
            row["split"],
            row["action"],
            tuple(map(int, row["frames"].split())),
            tuple(row["replaces"].split()),
        )
        for row in rows
    }


@lru_cache(maxsize=1)
def limb_lengths() -> dict[str, tuple[float, ...]]:
    """Lengths of thigh, shin, upper arm and forearm in meters, by subject.

    Example:
        >>> limb_lengths()["cmu001"]
        (0.412, 0.423, 0.289, 0.293)
    """
    names = ("thigh", "shin", "upper_arm", "forearm")
    rows = _table("cmu_subjects.csv")
    return {row["subject"]: tuple(float(row[name]) for name in names) for row in rows}


def _table(name: str) -> list[dict[str, str]]:
    text = (files("hypopose.datasets.capture") / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def find_trials(folder: str | Path) -> dict[str, Path]:
    """AMC files of listed trials in a folder and all below it, by number.

    Args:
        folder: With ``01/01_01.amc`` or the like, and each subject's ``01.asf`` beside it.

    Raises:
        FormatError: If there is none.
    """
    known = trials()
    found = {}
    for path in sorted(Path(folder).rglob("*.[aA][mM][cC]")):
        parts = re.fullmatch(r"(\d{1,3})_(\d{1,3})", path.stem)
        number = f"{int(parts[1]):03}_{int(parts[2]):02}" if parts else ""
        if number in known and path.is_file():
            found[number] = path
    if not found:
        raise FormatError(
            f"{folder} holds none of the {len(known)} trials; unpack allasfamc.zip of "
            "mocap.cs.cmu.edu there, which has files such as 01/01_01.amc and 01/01.asf."
        )
    return found


def read_trial(trial: Trial, path: Path) -> list[RecordedClip]:
    """Clips of a trial at 50 Hz, on its subject's own skeleton.

    Args:
        trial: Of :func:`trials`.
        path: Its AMC file, beside the ASF file of its subject.

    Raises:
        FormatError: If a file is absent or damaged.
    """
    with naming(path):
        rig = read_amc(path, _skeleton(_asf_beside(path)), FPS)
        joints = to_h36m17(rig, unit="cmu", up="y")
    flags = f"replaces:{'|'.join(trial.replaces)}" if trial.replaces else ""
    clip = RecordedClip(
        joints,
        FPS,
        f"cmu_{trial.number}__own",
        trial.subject,
        trial.action,
        f"mocap.cs.cmu.edu/{path.name}",
        LICENSE,
        flags=flags,
    )
    return cleaned(clip)


def _asf_beside(path: Path) -> Path:
    subject = path.stem.split("_")[0]
    beside = sorted(path.parent.glob("*.[aA][sS][fF]"))
    own = [asf for asf in beside if asf.stem.lstrip("0") == subject.lstrip("0")]
    if len(own) != 1:
        raise FormatError(f"{path} needs its skeleton next to it: {subject}.asf.")
    return own[0]


@lru_cache(maxsize=4)
def _skeleton(path: Path) -> AcclaimSkeleton:
    return read_asf(path)


def doubts(trial: Trial, clips: list[RecordedClip]) -> Iterator[str]:
    """What is unlike the list: other lengths, bones of another person.

    Args:
        trial: Of :func:`trials`.
        clips: Of :func:`read_trial`.
    """
    frames = [len(clip.joints) for clip in clips]
    if trial.frames and not _alike(frames, trial.frames):
        yield f"{' + '.join(map(str, frames)) or 'no'} frames, listed {_sum(trial.frames)}"
    listed = limb_lengths().get(trial.subject)
    if listed is None or not clips:
        return
    own = measured_limbs(np.concatenate([clip.joints for clip in clips]))
    for name, length, expected in zip(_LIMB_NAMES, own, listed, strict=True):
        if abs(length / expected - 1) > BONE_TOLERANCE:
            yield f"{name} of {length:.3f} m, listed {expected:.3f}: another subject's skeleton?"


def measured_limbs(joints: Float[np.ndarray, "F 17 3"]) -> tuple[float, ...]:
    """Median lengths of thigh, shin, upper arm and forearm, both sides averaged, in meters."""
    lengths = []
    for pair in _LIMBS:
        sides = [np.linalg.norm(joints[:, a] - joints[:, b], axis=-1) for a, b in pair]
        lengths.append(float(sum(np.median(side) for side in sides)) / 2)
    return tuple(lengths)


def _alike(frames: list[int], listed: tuple[int, ...]) -> bool:
    total, expected = sum(frames), sum(listed)
    same = len(frames) == len(listed)
    return same and abs(total - expected) <= max(5, LENGTH_TOLERANCE * expected)


def _sum(frames: tuple[int, ...]) -> str:
    return " + ".join(map(str, frames))
