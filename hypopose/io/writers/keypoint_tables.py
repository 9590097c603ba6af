"""Keypoints out, for people who go on with other tools: tidy CSV, Parquet, NetCDF, JSON, our npz.

All but the npz hold several people and can be read back, by HypoPose and by what reads these
formats; layouts are in ``docs/reference/file-formats.md``. Only the npz keeps covariances and the
camera.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hypopose.errors import BackendError, OptionError, ShapeError
from hypopose.io.atomic import write_atomically
from hypopose.io.native import save_keypoints, skeleton_to_dict
from hypopose.io.parsing.csv_rows import as_cell
from hypopose.io.writers.keypoint_json import write_json
from hypopose.skeletons import SKELETONS
from hypopose.types import Keypoints2D

COLUMNS = ("frame", "person", "joint", "x", "y", "confidence")


def save_people(path: str | Path, people: Mapping[str, Keypoints2D]) -> None:
    """Write people's keypoints in the format of the path's ending.

    Args:
        path: Ends in ``.csv``, ``.parquet``, ``.nc``, ``.json`` or, for one person, ``.npz``;
            written whole or not at all.
        people: By identity, all in one skeleton, without batch axes.

    Raises:
        OptionError: If the ending is none of these, or an npz is to hold several people.
        ShapeError: If the keypoints have batch axes or several skeletons.
        BackendError: If the library for the format is not installed.

    Example:
        >>> import tempfile
        >>> from dataclasses import replace
        >>> from hypopose.datasets import example_pair
        >>> from hypopose.io import load_people
        >>> walk, _ = example_pair(5)
        >>> two = {"a": walk, "b": replace(walk, xy=walk.xy + 200)}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_people(Path(folder) / "two.csv", two)
        ...     sorted(load_people(Path(folder) / "two.csv"))
        ['a', 'b']
    """
    if not people:
        raise OptionError(f"{path}: there are no people to write.")
    check_writable(path, people)
    if len({k.skeleton for k in people.values()}) > 1 or any(
        k.xy.dim() != 3 for k in people.values()
    ):
        raise ShapeError("A file holds people in one skeleton, each (F, J, 2).")
    with write_atomically(path) as temporary:
        WRITERS[Path(path).suffix.lower()](temporary, people)


def check_writable(path: str | Path, people: Collection[str] = ()) -> None:
    """Refuse what :func:`save_people` could not write, before work is spent on it.

    Args:
        path: The file to be written.
        people: Who is to be in it, where that is known.

    Raises:
        OptionError: If keypoints are not written with such an ending, or an npz is to hold several
            people.

    Example:
        >>> check_writable("two.csv", ["a", "b"])
    """
    ending = Path(path).suffix.lower()
    if ending not in WRITERS:
        raise OptionError(f"{path}: keypoints are written as {', '.join(WRITERS)}; name one so.")
    if ending == ".npz" and len(people) > 1:
        raise OptionError(
            f"An .npz holds one person, these are {', '.join(list(people)[:8])}; choose one, or "
            "write .csv, .parquet, .nc or .json."
        )


def _write_npz(path: Path, people: Mapping[str, Keypoints2D]) -> None:
    save_keypoints(path, next(iter(people.values())))


def _facts(people: Mapping[str, Keypoints2D]) -> dict[str, str]:
    """What is true of everybody, as texts."""
    first = next(iter(people.values()))
    known = SKELETONS.get(first.skeleton.name) == first.skeleton
    table = json.dumps(skeleton_to_dict(first.skeleton), ensure_ascii=True)
    facts = {"skeleton": first.skeleton.name if known else table}
    sizes = {k.image_size for k in people.values()}
    if len(sizes) == 1 and first.image_size is not None:
        facts["image_size"] = "{} {}".format(*first.image_size)
    if first.fps is not None and len({k.fps for k in people.values()}) == 1:
        facts["fps"] = f"{first.fps:.9g}"
    if first.approximate:
        facts["approximate"] = " ".join(first.approximate)
    return facts


def _rows(people: Mapping[str, Keypoints2D]) -> Iterator[tuple[Any, ...]]:
    """Frame, person, joint, x, y, confidence; missing values are NaN."""
    for person, keypoints in people.items():
        xy = keypoints.xy.detach().cpu().numpy()
        given = keypoints.confidence
        confidence = np.full(xy.shape[:2], np.nan) if given is None else given.cpu().numpy()
        for frame in range(len(xy)):
            for j, joint in enumerate(keypoints.skeleton.joint_names):
                x, y = xy[frame, j]
                yield (
                    frame,
                    as_cell(person),
                    as_cell(joint),
                    float(x),
                    float(y),
                    float(confidence[frame, j]),
                )


def _has_confidence(people: Mapping[str, Keypoints2D]) -> bool:
    return any(k.confidence is not None for k in people.values())


def _write_csv(path: Path, people: Mapping[str, Keypoints2D]) -> None:
    n = len(COLUMNS) if _has_confidence(people) else len(COLUMNS) - 1
    with path.open("w", encoding="utf-8", newline="") as file:
        for name, value in _facts(people).items():
            file.write(f"# {name}: {value}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS[:n])
        for row in _rows(people):
            cells = ["" if v != v else f"{v:.6g}" for v in row[3:n]]  # noqa: PLR0124 - NaN
            writer.writerow([*row[:3], *cells])


def _write_parquet(path: Path, people: Mapping[str, Keypoints2D]) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise _missing("Parquet", "pyarrow") from None
    n = len(COLUMNS) if _has_confidence(people) else len(COLUMNS) - 1
    parts = []
    for person, k in people.items():
        f, j = k.xy.shape[:2]
        given = np.full((f, j), np.nan) if k.confidence is None else k.confidence.cpu().numpy()
        xy = k.xy.detach().cpu().numpy().astype("float32").reshape(-1, 2)
        names = pa.array(k.skeleton.joint_names)
        values = (
            pa.array(np.repeat(np.arange(f), j)),
            pa.DictionaryArray.from_arrays(np.zeros(f * j, dtype="int32"), pa.array([person])),
            pa.DictionaryArray.from_arrays(np.tile(np.arange(j, dtype="int32"), f), names),
            pa.array(xy[:, 0]),
            pa.array(xy[:, 1]),
            pa.array(given.astype("float32").ravel()),
        )
        parts.append(pa.table(dict(zip(COLUMNS[:n], values[:n], strict=True))))
    table = pa.concat_tables(parts).replace_schema_metadata(_facts(people))
    with path.open("wb") as stream:
        pq.write_table(table, stream)


def _write_netcdf(path: Path, people: Mapping[str, Keypoints2D]) -> None:
    try:
        import h5netcdf  # noqa: F401 - the engine xarray is told to use
        import xarray as xr
    except ModuleNotFoundError as error:
        raise _missing("NetCDF", str(error.name)) from None
    first = next(iter(people.values()))
    n_frames = max(k.n_frames for k in people.values())
    shape = (n_frames, 2, first.skeleton.n_joints, len(people))
    position = np.full(shape, np.nan, dtype="float32")
    confidence = np.full((shape[0], *shape[2:]), np.nan, dtype="float32")
    for i, k in enumerate(people.values()):
        position[: k.n_frames, ..., i] = k.xy.detach().cpu().numpy().swapaxes(1, 2)
        if k.confidence is not None:
            confidence[: k.n_frames, :, i] = k.confidence.cpu().numpy()
    facts: dict[str, Any] = _facts(people)
    rate = float(facts.pop("fps", 0.0))
    unit = {"fps": rate, "time_unit": "seconds"} if rate else {"time_unit": "frames"}
    time = np.arange(n_frames) / rate if rate else np.arange(n_frames)
    dataset = xr.Dataset(
        {
            "position": (("time", "space", "keypoints", "individuals"), position),
            "confidence": (("time", "keypoints", "individuals"), confidence),
        },
        coords={
            "time": time,
            "space": ["x", "y"],
            "keypoints": list(first.skeleton.joint_names),
            "individuals": list(people),
        },
        attrs={"ds_type": "poses", "source_software": "HypoPose", **unit, **facts},
    )
    dataset.to_netcdf(path, engine="h5netcdf")


def _missing(kind: str, library: str) -> BackendError:
    return BackendError(
        f"Writing {kind} needs {library}, which is not installed; pip install 'hypopose[formats]'."
    )


WRITERS: dict[str, Callable[[Path, Mapping[str, Keypoints2D]], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".nc": _write_netcdf,
    ".json": write_json,
    ".npz": _write_npz,
}
"""Endings and who writes them."""
