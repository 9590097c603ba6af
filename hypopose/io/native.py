"""HypoPose's npz layout, shared by keypoint files and results.

Arrays are float32 and one JSON text, ``metadata``, holds the rest; nothing is pickled. The layout
is described in ``docs/reference/file-formats.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hypopose.errors import FormatError, HypoPoseError, ShapeError
from hypopose.io.atomic import write_atomically
from hypopose.io.camera_files import camera_from_dict, camera_to_dict
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive
from hypopose.types import Keypoints2D, Skeleton

SCHEMA = 1
MARK = "hypopose"


def save_keypoints(path: str | Path, keypoints: Keypoints2D) -> None:
    """Write keypoints to an npz that :func:`hypopose.load` reads back unchanged.

    Args:
        path: Where to; written whole or not at all.
        keypoints: One person, without batch axes; stored as float32.

    Raises:
        ShapeError: If the keypoints have batch axes.
    """
    metadata = {MARK: "keypoints", "schema": SCHEMA, **keypoints_metadata(keypoints)}
    save_arrays(path, keypoints_arrays(keypoints), metadata)


def save_arrays(
    path: str | Path, arrays: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Write float32 arrays and one JSON text as npz."""
    stored: dict[str, Any] = {
        name: value.detach().cpu().numpy().astype("float32") for name, value in arrays.items()
    }
    text = np.array(json.dumps(metadata, ensure_ascii=True))
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez(file, metadata=text, **stored)


def keypoints_arrays(keypoints: Keypoints2D) -> dict[str, Tensor]:
    """The arrays of keypoints by their names in the file.

    Raises:
        ShapeError: If the keypoints have batch axes.
    """
    if keypoints.xy.dim() != 3:
        raise ShapeError("A file holds one person's keypoints (F, J, 2); write one file each.")
    arrays = {"xy": keypoints.xy}
    for name, value in (("confidence", keypoints.confidence), ("covariance", keypoints.covariance)):
        if value is not None:
            arrays[name] = value
    return arrays


def keypoints_metadata(keypoints: Keypoints2D) -> dict[str, Any]:
    """All of the keypoints that is no array."""
    camera = keypoints.camera
    return {
        "skeleton": skeleton_to_dict(keypoints.skeleton),
        "image_size": None if keypoints.image_size is None else list(keypoints.image_size),
        "fps": keypoints.fps,
        "approximate": list(keypoints.approximate),
        "notes": list(keypoints.notes),
        "camera": None if camera is None else camera_to_dict(camera),
    }


def keypoints_from(
    source: Source, archive: NpzArchive, metadata: Any, prefix: str = ""
) -> Keypoints2D:
    """Keypoints from an opened archive.

    Raises:
        FormatError: If arrays or metadata are not what the layout says.
    """
    metadata = checked(source, metadata, dict, "keypoints")
    tensors = {
        name: tensor_from(source, archive, prefix + name)
        for name in ("xy", "confidence", "covariance")
        if prefix + name in archive.names or name == "xy"
    }
    size = metadata.get("image_size")
    if size is not None and not _is_size(size):
        raise source.error("image_size is not a width and height", "give two pixel counts")
    fps = metadata.get("fps")
    camera = metadata.get("camera")
    try:
        return Keypoints2D(
            xy=tensors["xy"],
            confidence=tensors.get("confidence"),
            covariance=tensors.get("covariance"),
            skeleton=skeleton_from_dict(source, metadata.get("skeleton")),
            image_size=None if size is None else (int(size[0]), int(size[1])),
            fps=None if fps is None else _rate(source, fps),
            approximate=texts(source, metadata.get("approximate", []), "approximate"),
            notes=texts(source, metadata.get("notes", []), "notes"),
            camera=None if camera is None else camera_from_dict(camera, str(source.path)),
        )
    except HypoPoseError as error:
        raise source.error(str(error).rstrip("."), "write the file again") from None


def _rate(source: Source, value: Any) -> float:
    rate = float(checked(source, value, (int, float), "fps"))
    if not 0 < rate < 100_000:
        raise source.error(f"{rate:g} frames per second", "give a frame rate")
    return rate


def tensor_from(source: Source, archive: NpzArchive, name: str) -> Tensor:
    """A float32 tensor from an archive.

    Raises:
        FormatError: If it is absent or holds no numbers.
    """
    array = archive.array(name)
    if array.dtype.kind not in "iuf" or array.ndim == 0:
        raise source.error(f"array {name!r} holds {array.dtype}", "store float32")
    return torch.from_numpy(array.astype("float32"))


def skeleton_to_dict(skeleton: Skeleton) -> dict[str, Any]:
    """The whole table, so that a file stays readable wherever it goes."""
    return {
        "name": skeleton.name,
        "joint_names": list(skeleton.joint_names),
        "parents": list(skeleton.parents),
        "left": list(skeleton.left),
        "right": list(skeleton.right),
    }


def skeleton_from_dict(source: Source, value: Any) -> Skeleton:
    """A skeleton from its table.

    Raises:
        FormatError: If the table is incomplete or contradicts itself.
    """
    table = checked(source, value, dict, "skeleton")
    try:
        skeleton = Skeleton(
            name=checked(source, table.get("name"), str, "skeleton name"),
            joint_names=texts(source, table.get("joint_names"), "joint_names"),
            parents=_integers(source, table.get("parents"), "parents"),
            left=_integers(source, table.get("left"), "left"),
            right=_integers(source, table.get("right"), "right"),
        )
    except HypoPoseError as error:
        raise source.error(str(error).rstrip("."), "write the file again") from None
    _check_tree(source, skeleton)
    return skeleton


def _check_tree(source: Source, skeleton: Skeleton) -> None:
    """Refuse joints that lead in a circle, and names that no terminal or table takes."""
    names = (skeleton.name, *skeleton.joint_names)
    if not all(name and len(name) <= 200 and name.isprintable() for name in names):
        raise source.error("a joint or skeleton without a printable name", "name it", "skeleton")
    lost = _joint_without_root(skeleton.parents)
    if lost is not None:
        raise source.error(
            f"the parents of {skeleton.joint_names[lost]!r} lead in a circle", "correct them",
            "skeleton",
        )  # fmt: skip


def _joint_without_root(parents: Sequence[int]) -> int | None:
    """The first joint whose parents lead in a circle; None if all lead to a root."""
    leads_to_root = [parent < 0 for parent in parents]
    for start in range(len(parents)):
        path, joint = [start], start
        while not leads_to_root[joint] and len(path) <= len(parents):
            joint = parents[joint]
            path.append(joint)
        if not leads_to_root[joint]:
            return start
        for passed in path:
            leads_to_root[passed] = True
    return None


def read_metadata(source: Source, archive: NpzArchive) -> dict[str, Any]:
    """The JSON text of an npz of ours.

    Raises:
        FormatError: If it is absent, no JSON, or of a newer schema.
    """
    text = archive.array("metadata")
    if text.dtype.kind != "U" or text.shape != ():
        raise source.error("'metadata' is not text", "this is not a file of HypoPose")
    try:
        metadata = json.loads(str(text.item()))
    except (ValueError, RecursionError):
        raise source.error("'metadata' is not JSON", "write the file again") from None
    metadata = checked(source, metadata, dict, "metadata")
    if metadata.get("schema") != SCHEMA:
        raise source.error(
            f"schema {str(metadata.get('schema'))[:20]}, this version reads {SCHEMA}",
            "update HypoPose",
        )
    return dict(metadata)


def checked(source: Source, value: Any, kind: type | tuple[type, ...], place: str) -> Any:
    """The value, if it is of the kind.

    Raises:
        FormatError: If it is not.
    """
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise source.error(f"unexpected {type(value).__name__}", "write it again", place)
    return value


def texts(source: Source, value: Any, place: str) -> tuple[str, ...]:
    """A list of texts as a tuple.

    Raises:
        FormatError: If it is anything else.
    """
    return tuple(checked(source, v, str, place) for v in checked(source, value, list, place))


def _integers(source: Source, value: Any, place: str) -> tuple[int, ...]:
    return tuple(checked(source, v, int, place) for v in checked(source, value, list, place))


def _is_size(size: Any) -> bool:
    return (
        isinstance(size, list)
        and len(size) == 2
        and all(type(n) in (int, float) and 0 < n < 100_000 for n in size)
    )


def is_native(source: Source) -> bool:
    """Whether a file is an archive whose metadata is HypoPose's JSON."""
    if not source.is_npz:
        return False
    archive = NpzArchive(source)
    if "metadata" not in archive.names or archive.is_pickled("metadata"):
        return False
    text = archive.array("metadata")
    return text.dtype.kind == "U" and text.shape == () and f'"{MARK}"' in str(text.item())[:40]


def is_result(path: Path) -> bool:
    """Whether a file is a result of ``hypopose sample``."""
    try:
        source = Source(path)
        if source.is_folder or not is_native(source):
            return False
        return bool(read_metadata(source, NpzArchive(source)).get(MARK) == "result")
    except FormatError:
        return False
