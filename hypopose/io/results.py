"""Results on disk: everything a run found, and everything needed to run it again.

npz is the full record and loads back; json holds the same for other languages; csv is a tidy table,
one row per frame, joint and hypothesis. ``docs/file-formats.md`` writes the layouts down.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from hypopose.errors import HypoPoseError, OptionError, ShapeError, SkeletonMismatchError
from hypopose.io import own_npz
from hypopose.io.atomic import write_atomically
from hypopose.io.own_npz import checked, texts
from hypopose.io.safe_arrays import NpzArchive
from hypopose.io.source import Source
from hypopose.types import Hypotheses, Keypoints2D, Poses3D

CSV_COLUMNS = (
    "frame", "joint", "hypothesis",
    "x", "y", "z", "std_x", "std_y", "std_z", "root_x", "root_y", "root_z",
)  # fmt: skip

_HYPOTHESES = ("hypotheses", "hypotheses_root", "hypotheses_focal")


@dataclass(frozen=True, eq=False)
class Result:
    """One person's hypotheses, their aggregate, and how they came about.

    Args:
        hypotheses: (H, F, J, 3), without batch axes.
        pose: The aggregate, with its standard deviation if known.
        keypoints: What was sampled from, converted to the network's skeleton, camera included.
        seed: Seed of the noise.
        sampler: The sampler's options and its ``name``.
        weights: Which weights.
        aggregate: How the aggregate was made.
        person: Identity in the source file.
        source: Name of the source file.
        version: HypoPose's version.
        notes: What was assumed on the way.

    Raises:
        ShapeError: If something has batch axes, or frames disagree.
        SkeletonMismatchError: If hypotheses and pose have different skeletons.
    """

    hypotheses: Hypotheses
    pose: Poses3D
    keypoints: Keypoints2D
    seed: int
    sampler: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    aggregate: str = ""
    person: str = "0"
    source: str = ""
    version: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.hypotheses.joints.dim() != 4 or self.pose.joints.dim() != 3:
            raise ShapeError("A result is one person's, without batch axes; make one for each.")
        frames = {self.hypotheses.joints.shape[1], self.pose.joints.shape[0]}
        if self.keypoints.xy.dim() != 3 or frames != {self.keypoints.n_frames}:
            raise ShapeError(
                f"Hypotheses and pose have {sorted(frames)} frames, the keypoints "
                f"{self.keypoints.n_frames}; a result is about the same frames."
            )
        if self.hypotheses.skeleton != self.pose.skeleton:
            raise SkeletonMismatchError(
                f"The hypotheses are {self.hypotheses.skeleton.name}, the pose is "
                f"{self.pose.skeleton.name}; aggregate without converting."
            )


def save_result(path: str | Path, result: Result) -> None:
    """Write a result in the format of its ending: .npz, .json or .csv.

    Args:
        path: Where to; written whole or not at all.
        result: What to write.

    Raises:
        OptionError: If the ending is another one, the sampler's options are not plain values, or
            the folder is absent.
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in RESULT_WRITERS:
        raise OptionError(f"Results are written as .npz, .json or .csv, not as {str(path)!r}.")
    RESULT_WRITERS[ending](path, result)


def write_npz(path: str | Path, result: Result) -> None:
    """Write a result as npz: float32 arrays and one JSON text, nothing pickled.

    Args:
        path: Where to; written whole or not at all.
        result: What to write.
    """
    keypoints = own_npz.keypoints_arrays(result.keypoints)
    arrays = {
        **_pose_arrays(result),
        **{f"keypoints_{name}": value for name, value in keypoints.items()},
    }
    own_npz.save_arrays(path, arrays, _metadata(result))


def load_hypotheses(path: str | Path) -> Result:
    """Read a result back.

    Args:
        path: An npz that :func:`save_result` or ``hypopose sample`` wrote.

    Returns:
        The result, float32.

    Raises:
        FormatError: If the file is no result, or is damaged.
    """
    source = Source(path)
    if not source.is_npz or not own_npz.sniff(source):
        raise source.error("is no result of HypoPose's", "give the .npz of hypopose sample")
    archive = NpzArchive(source)
    metadata = own_npz.read_metadata(source, archive)
    if metadata.get("hypopose") != "result":
        raise source.error("holds keypoints, no hypotheses", "give the .npz of hypopose sample")
    tensors = {
        name: own_npz.tensor_from(source, archive, name)
        for name in (*_HYPOTHESES, "pose", "pose_root", "pose_std")
        if name in archive.names or name in ("hypotheses", "pose")
    }
    skeleton = own_npz.skeleton_from_dict(source, metadata.get("skeleton"))
    words = {
        key: checked(source, metadata.get(key), str, key)
        for key in ("weights", "aggregate", "person", "source", "version")
    }
    try:
        return Result(
            hypotheses=Hypotheses(
                tensors["hypotheses"],
                skeleton,
                tensors.get("hypotheses_root"),
                tensors.get("hypotheses_focal"),
            ),
            pose=Poses3D(
                tensors["pose"], skeleton, tensors.get("pose_root"), tensors.get("pose_std")
            ),
            keypoints=own_npz.keypoints_from(
                source, archive, metadata.get("keypoints"), "keypoints_"
            ),
            seed=checked(source, metadata.get("seed"), int, "seed"),
            sampler=checked(source, metadata.get("sampler"), dict, "sampler"),
            notes=texts(source, metadata.get("notes"), "notes"),
            **words,
        )
    except HypoPoseError as error:
        raise source.error(str(error).rstrip("."), "write the file again") from None


def write_json(path: str | Path, result: Result) -> None:
    """Write a result as JSON: the metadata of the npz and its arrays as nested lists.

    Args:
        path: Where to; written whole or not at all.
        result: What to write; what is not a finite number becomes null.
    """
    keypoints = own_npz.keypoints_arrays(result.keypoints)
    arrays = {
        **{name: _plain(value) for name, value in _pose_arrays(result).items()},
        **{f"keypoints_{name}": _plain(value) for name, value in keypoints.items()},
    }
    with write_atomically(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump({**_metadata(result), "arrays": arrays}, file, allow_nan=False)
        file.write("\n")


def write_csv(path: str | Path, result: Result) -> None:
    """Write a result as a tidy table in metres, one row per frame, joint and hypothesis.

    ``x, y, z`` are root-relative in the camera frame; add ``root_x, root_y, root_z`` for places in
    it. The hypothesis is a number, or ``aggregate``; only the aggregate has ``std_x, std_y,
    std_z``.

    Args:
        path: Where to; written whole or not at all.
        result: What to write; what is unknown or not finite is left empty.
    """
    with (
        write_atomically(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        writer.writerows(_rows(result))


RESULT_WRITERS: dict[str, Callable[[str | Path, Result], None]] = {
    "npz": write_npz,
    "json": write_json,
    "csv": write_csv,
}
"""How ``hypopose sample --format`` writes."""


def _pose_arrays(result: Result) -> dict[str, Tensor]:
    arrays = {
        "hypotheses": result.hypotheses.joints,
        "hypotheses_root": result.hypotheses.root,
        "hypotheses_focal": result.hypotheses.focal,
        "pose": result.pose.joints,
        "pose_root": result.pose.root,
        "pose_std": result.pose.std,
    }
    return {name: value for name, value in arrays.items() if value is not None}


def _metadata(result: Result) -> dict[str, Any]:
    try:
        sampler = json.loads(json.dumps(result.sampler, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(f"Sampler options must be plain values to be stored: {error}.") from None
    return {
        "hypopose": "result",
        "schema": own_npz.SCHEMA,
        "version": result.version,
        "source": result.source,
        "person": result.person,
        "skeleton": own_npz.skeleton_to_dict(result.hypotheses.skeleton),
        "seed": result.seed,
        "sampler": sampler,
        "weights": result.weights,
        "aggregate": result.aggregate,
        "notes": list(result.notes),
        "units": {"hypotheses": "m, camera frame, root-relative", "keypoints": "px"},
        "keypoints": own_npz.keypoints_metadata(result.keypoints),
    }


def _plain(value: Tensor) -> Any:
    return _finite(value.detach().cpu().tolist())


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return value if math.isfinite(value) else None


def _rows(result: Result) -> Iterator[list[Any]]:
    names = result.hypotheses.skeleton.joint_names
    pose, std, root = result.pose.joints, result.pose.std, result.pose.root
    yield from _block("aggregate", names, pose, std, root)
    for h in range(len(result.hypotheses)):
        roots = result.hypotheses.root
        joints = result.hypotheses.joints[h]
        yield from _block(str(h), names, joints, None, None if roots is None else roots[h])


def _block(
    hypothesis: str,
    names: tuple[str, ...],
    joints: Tensor,
    std: Tensor | None,
    root: Tensor | None,
) -> Iterator[list[Any]]:
    places = joints.tolist()
    spreads = None if std is None else std.tolist()
    roots = None if root is None else root.tolist()
    empty = ["", "", ""]
    for f, frame in enumerate(places):
        where = empty if roots is None else _cells(roots[f])
        for j, place in enumerate(frame):
            spread = empty if spreads is None else _cells(spreads[f][j])
            yield [f, names[j], hypothesis, *_cells(place), *spread, *where]


def _cells(values: list[float]) -> list[str]:
    return [f"{v:.6f}" if math.isfinite(v) else "" for v in values]
