"""Read HDF5, MATLAB, NetCDF-3, Parquet or C3D in a process of its own, and write it as npz.

Run as ``python -I reading_process.py KIND SOURCE TARGET MAX_BYTES``. These files are read by C
libraries that a damaged file may crash, and may state false sizes, so this process
has limits on its memory and time, and the process that started it survives it. Links to other
files, virtual and external data and unknown filters (which load plug-ins) are refused, not
followed. Only numbers and text come back. On refusal the last line of standard error says why, and
the exit code is 3.

The npz holds one array per data set, by its path, and ``.attributes``, JSON: path -> name ->
number, text, list of those, or ``{"bytes": latin-1 text}``.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

MAX_OBJECTS = 10_000
MAX_DEPTH = 32
MAX_ATTRIBUTE_BYTES = 16 * 2**20
SAFE_FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32", 6: "scale-offset", 32000: "lzf"}

Tree = tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]
"""Arrays by path, and attributes by path and name."""


class RefusedError(Exception):
    """The file is not read, for the reason given."""


class _Budget:
    """Bytes that may still be unpacked."""

    def __init__(self, limit: int) -> None:
        self.left = self.limit = limit

    def take(self, n_bytes: int, what: str) -> None:
        if n_bytes > self.left:
            raise RefusedError(f"{what} would unpack to more than {self.limit} bytes in all")
        self.left -= n_bytes


def read_hdf5(path: str, limit: int) -> Tree:
    """All numeric and text data sets of an HDF5 file.

    Raises:
        RefusedError: If it reaches beyond itself, needs a plug-in, or is too large.
    """
    import h5py

    budget = _Budget(limit)
    arrays: dict[str, np.ndarray] = {}
    attributes: dict[str, dict[str, Any]] = {}
    with h5py.File(path, "r", locking=False) as file:
        for name, node in _walk(file):
            attributes[name] = _hdf5_attributes(node, budget)
            if isinstance(node, h5py.Dataset):
                _check_dataset(node, name, budget)
                arrays.update(_dataset(node, name))
                attributes[name].update(_dimensions(node))
    return arrays, attributes


def _walk(file: Any) -> Iterator[tuple[str, Any]]:
    import h5py

    seen: set[int] = set()
    todo = [("", file, 0)]
    while todo:
        name, node, depth = todo.pop()
        address = h5py.h5o.get_info(node.id).addr
        if address in seen:
            continue
        seen.add(address)
        if len(seen) > MAX_OBJECTS or depth > MAX_DEPTH:
            raise RefusedError("it holds too many groups, or nests them too deeply")
        yield name, node
        if isinstance(node, h5py.Group):
            todo += [(f"{name}/{key}", child, depth + 1) for key, child in _children(node)]


def _children(group: Any) -> Iterator[tuple[str, Any]]:
    import h5py

    if len(group) > MAX_OBJECTS:
        raise RefusedError("a group holds too many entries")
    for key in group:
        link = group.get(key, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise RefusedError(f"{key!r} is a link to another file")
        if isinstance(link, h5py.HardLink):
            child = group[key]
            if isinstance(child, (h5py.Group, h5py.Dataset)):
                yield key, child


def _check_dataset(node: Any, name: str, budget: _Budget) -> None:
    properties = node.id.get_create_plist()
    if node.is_virtual:
        raise RefusedError(f"{name!r} is a virtual data set, kept in other files")
    if properties.get_external_count():
        raise RefusedError(f"the data of {name!r} are kept in another file")
    for i in range(properties.get_nfilters()):
        number = properties.get_filter(i)[0]
        if number not in SAFE_FILTERS:
            raise RefusedError(f"{name!r} is packed with filter {number}; use gzip")
    if node.shape is not None:
        item = max(int(node.dtype.itemsize), 1)
        total = item * math.prod(int(n) for n in node.shape)
        chunk = item * math.prod(int(n) for n in node.chunks or ())
        budget.take(max(total, chunk if total else 0), repr(name))


def _dataset(node: Any, name: str) -> dict[str, np.ndarray]:
    if node.shape is None or 0 in node.shape:
        return {}
    if node.dtype.names:
        record = node[()]
        return {f"{name}/{field}": np.asarray(record[field]) for field in node.dtype.names}
    if node.dtype.kind == "O":
        return _objects(node, name)
    return {name: np.asarray(node[()])}


def _objects(node: Any, name: str) -> dict[str, np.ndarray]:
    """Text of varying length; other objects (references, ragged arrays) are left out."""
    import h5py

    if h5py.check_string_dtype(node.dtype) is None:
        return {}
    return {name: np.asarray(node.asstr(errors="replace")[()], dtype=np.str_)}


def _dimensions(node: Any) -> dict[str, Any]:
    """Names of the axes, where NetCDF gives every one a coordinate."""
    names = [axis[0].name.split("/")[-1] if len(axis) else "" for axis in node.dims]
    return {"dimensions": names} if names and all(names) else {}


def _hdf5_attributes(node: Any, budget: _Budget) -> dict[str, Any]:
    import h5py

    found: dict[str, Any] = {}
    if len(node.attrs) > MAX_OBJECTS:
        raise RefusedError("it holds too many attributes")
    for key in node.attrs:
        identifier = h5py.h5a.open(node.id, key.encode("utf-8", "surrogateescape"))
        size = math.prod(identifier.shape or ()) * int(identifier.dtype.itemsize)
        if size > MAX_ATTRIBUTE_BYTES:
            raise RefusedError(f"the attribute {key!r} has {size} bytes")
        budget.take(size, f"attribute {key!r}")
        if identifier.dtype.kind in "biufSO" and not identifier.dtype.names:
            found[key] = _plain(node.attrs[key])
    return found


def read_netcdf3(path: str, limit: int) -> Tree:
    """All variables of a classic NetCDF file; their dimensions as the attribute ``dimensions``.

    Raises:
        RefusedError: If it is too large.
    """
    from scipy.io import netcdf_file

    budget = _Budget(limit)
    arrays: dict[str, np.ndarray] = {}
    with netcdf_file(path, "r", mmap=False) as file:
        attributes: dict[str, dict[str, Any]] = {"": _netcdf_attributes(file)}
        for name, variable in file.variables.items():
            data = np.array(variable.data)
            budget.take(data.nbytes, repr(name))
            arrays[f"/{name}"] = data.astype(data.dtype.newbyteorder("="))
            attributes[f"/{name}"] = {
                **_netcdf_attributes(variable),
                "dimensions": [str(d) for d in variable.dimensions],
            }
    return arrays, attributes


def _netcdf_attributes(node: Any) -> dict[str, Any]:
    return {key: _plain(value) for key, value in node._attributes.items()}


def read_mat5(path: str, limit: int) -> Tree:
    """The numeric variables of a MATLAB file up to version 7; structures and cells are left out.

    Raises:
        RefusedError: If it is too large.
    """
    from scipy.io import loadmat, whosmat

    budget = _Budget(limit)
    names = []
    for name, shape, kind in whosmat(path):
        if kind in MATLAB_NUMBERS:
            budget.take(8 * math.prod(int(n) for n in shape), repr(name))
            names.append(name)
    found = loadmat(path, variable_names=names) if names else {}
    return {f"/{name}": np.asarray(found[name]) for name in names if name in found}, {}


MATLAB_NUMBERS = {
    "double", "single", "logical",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}  # fmt: skip
"""MATLAB's classes of numbers."""


def read_parquet(path: str, limit: int) -> Tree:
    """The columns of a flat Parquet table; null is NaN in numbers and empty in text.

    Raises:
        RefusedError: If it has nested columns, or is too large.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path, memory_map=False, thrift_string_size_limit=MAX_ATTRIBUTE_BYTES)
    metadata = file.metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    if metadata.num_columns > 1000 or len(groups) > 100_000:
        raise RefusedError("it has too many columns or row groups")
    budget = _Budget(limit)
    budget.take(sum(max(g.total_byte_size, 0) for g in groups), "the table")
    budget.take(16 * max(metadata.num_rows, 0) * metadata.num_columns, "the table")
    table = file.read(use_threads=False)
    arrays: dict[str, np.ndarray] = {}
    for field in table.schema:
        column = table.column(field.name).combine_chunks()
        if pa.types.is_dictionary(field.type):
            column = column.cast(field.type.value_type)
        arrays[f"/{field.name}"] = _column(column, field.name)
    extra = table.schema.metadata or {}
    texts = {_text(k): _text(v) for k, v in extra.items() if len(v) < MAX_ATTRIBUTE_BYTES}
    return arrays, {"": texts}


def _column(column: Any, name: str) -> np.ndarray:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        # Codes and words: a name that is repeated a million times is kept once.
        encoded = column.cast(pa.string()).fill_null("").dictionary_encode()
        words = encoded.dictionary.to_pylist()
        if words and max(map(len, words)) * len(words) > MAX_ATTRIBUTE_BYTES:
            raise RefusedError(f"the texts of column {name!r} are too long")
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        longest = max(map(len, words), default=0)
        if longest * len(codes) > 2**30:
            raise RefusedError(f"the texts of column {name!r} are too long")
        return np.array(words, dtype=np.str_)[codes] if words else np.zeros(0, dtype="U1")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
    raise RefusedError(f"column {name!r} holds {kind}, not numbers or text"[:200])


def read_c3d(path: str, limit: int) -> Tree:
    """Points of a C3D file, ``(F, N, 3)``, NaN where there are none, and its POINT parameters.

    Raises:
        RefusedError: If it is too large.
    """
    import ezc3d

    budget = _Budget(limit)
    with open(path, "rb") as file:
        header = np.frombuffer(file.read(24), dtype="<i2")
    n_frames, n_points = int(np.uint16(header[4])) - int(np.uint16(header[3])) + 1, int(header[1])
    budget.take(64 * max(n_frames, 0) * max(n_points, 0), "its points")
    stored = ezc3d.c3d(path)
    points = np.asarray(stored["data"]["points"], dtype=np.float64)
    if points.ndim != 3:
        raise RefusedError("it holds no points")
    found = {}
    for name, parameter in stored["parameters"].get("POINT", {}).items():
        if isinstance(parameter, dict) and "value" in parameter:
            value = np.asarray(parameter["value"])
            budget.take(value.nbytes, f"POINT:{name}")
            found[name] = _plain(value.ravel())
    first = stored["header"]["points"]["first_frame"]
    return {"/points": points[:3].transpose(2, 1, 0)}, {"": {**found, "FIRST": int(first)}}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> Any:
    """An attribute as JSON."""
    if isinstance(value, np.ndarray):
        return [_plain(v) for v in value.ravel()[:MAX_OBJECTS]]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    if isinstance(value, bytes):  # numpy's byte strings too
        return {"bytes": value.decode("latin-1")}
    return str(value) if isinstance(value, str) else None


READERS: dict[str, Callable[[str, int], Tree]] = {
    "hdf5": read_hdf5,
    "mat5": read_mat5,
    "netcdf3": read_netcdf3,
    "parquet": read_parquet,
    "c3d": read_c3d,
}


LIBRARIES = {
    "hdf5": "h5py",
    "mat5": "scipy.io",
    "netcdf3": "scipy.io",
    "parquet": "pyarrow.parquet",
    "c3d": "ezc3d",
}
"""What reads them; imported before memory is limited, so that the limit is for the file."""

SPARE_BYTES = {"hdf5": 2**29, "mat5": 2**29, "netcdf3": 2**29, "parquet": 3 * 2**30, "c3d": 2**29}
"""Room beside what a file may unpack to. Arrow reserves much that it never touches."""


def limit_resources(kind: str, max_bytes: int, seconds: int) -> None:
    """Bound this process where the system can (not on Windows)."""
    try:
        import resource
    except ImportError:
        return
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            taken = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:  # not Linux
        taken = 3 * 2**30
    room = taken + SPARE_BYTES[kind] + 3 * max_bytes
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> int:
    """Read the file and write its contents."""
    kind, source, target, max_bytes, seconds = sys.argv[1:6]
    try:
        importlib.import_module(LIBRARIES[kind])
        limit_resources(kind, int(max_bytes), int(seconds))
        arrays, attributes = READERS[kind](source, int(max_bytes))
        kept = {name: array for name, array in arrays.items() if array.dtype.kind in "biufSU"}
        listed: dict[str, Any] = {f"a{i}": array for i, array in enumerate(kept.values())}
        texts = {"names": list(kept), "attributes": attributes}
        np.savez(target, index=np.array(json.dumps(texts, ensure_ascii=True)), **listed)
    except ModuleNotFoundError as error:
        print(f"missing:{error.name}", file=sys.stderr)
        return 4
    except Exception as error:
        words = " ".join(f"{error}".split())[:160] or type(error).__name__
        print(words, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
