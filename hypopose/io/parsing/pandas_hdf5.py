"""pandas tables in HDF5, in the formats "table" and "fixed", without unpickling.

pandas keeps column names as a pickle; :mod:`hypopose.io.untrusted.pickles` reads them and runs
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from hypopose.io.parsing.named_joints import MAX_JOINTS, MAX_VALUES
from hypopose.io.source import Source
from hypopose.io.untrusted.containers import Tree
from hypopose.io.untrusted.pickles import PickleRefusedError, read_pickled

MAX_COLUMNS = 100_000

_TABLE, _FIXED = b"frame_table", b"frame"


@dataclass(frozen=True, eq=False)
class PandasTable:
    """A table with several header rows.

    Args:
        columns: Labels of each column, one per header row.
        index: Label of each row.
        values: Rows and columns.
    """

    columns: list[tuple[Any, ...]]
    index: list[str]
    values: Float[np.ndarray, "R C"]


def has_pandas_table(source: Source) -> bool:
    """Whether an HDF5 file holds a pandas table."""
    return any(_kind(source, path) for path in source.tree.attributes)


def read_pandas_table(source: Source) -> PandasTable:
    """The only pandas table of an HDF5 file.

    Raises:
        FormatError: If there is none, or several, or it is damaged.
    """
    paths = [path for path in source.tree.attributes if _kind(source, path)]
    if not paths:
        raise source.error("no pandas table", f"it has {source.tree.listed}")
    if len(paths) > 1:
        names = ", ".join(path.lstrip("/")[:40] for path in paths[:5])
        raise source.error(f"several tables ({names})", "keep one per file")
    read = _read_table if _kind(source, paths[0]) == _TABLE else _read_fixed
    table = read(source, paths[0])
    if len(table.index) != len(table.values) or not len(table.values) or not table.columns:
        raise source.error("index and values do not match", "export it again")
    return table


def _kind(source: Source, path: str) -> bytes | None:
    kind = source.tree.attribute(path, "pandas_type")
    return kind if kind in (_TABLE, _FIXED) else None


def _read_table(source: Source, path: str) -> PandasTable:
    """The format "table" of pandas: records, column names pickled beside them."""
    place = f"{path}/table"
    columns: list[tuple[Any, ...]] = []
    blocks = []
    for names, block in _blocks(source, place):
        columns += names
        blocks.append(block)
    if not blocks or f"{place}/index" not in source.tree.arrays or len(columns) > MAX_COLUMNS:
        raise source.error("no values in the table", "export it again")
    index = source.tree.texts(f"{place}/index")
    return PandasTable(columns, index, np.concatenate(blocks, 1))


def _blocks(source: Source, place: str) -> Iterator[tuple[list[tuple[Any, ...]], np.ndarray]]:
    """Column labels and values of each block of the table."""
    tree = source.tree
    for k in range(MAX_JOINTS):
        block = tree.arrays.get(f"{place}/values_block_{k}")
        if block is None:
            return
        listed = _unpickled(source, tree.attribute(place, f"values_block_{k}_kind"))
        if block.ndim == 0 or not block.size:
            raise source.error("a table without rows", "export it again")
        block = block.reshape(len(block), -1)
        if block.dtype.kind not in "iuf" or len(listed) != block.shape[1]:
            raise source.error("columns and names do not match", "export it again")
        yield [_labels(key) for key in listed], block.astype(np.float64)


def _labels(key: Any) -> tuple[Any, ...]:
    return tuple(key) if isinstance(key, (list, tuple)) else ()


def _unpickled(source: Source, value: Any) -> list[Any]:
    try:
        listed = read_pickled(value) if isinstance(value, bytes) else None
    except PickleRefusedError as error:
        raise source.error(f"its column names are refused ({error})", error.cure) from None
    if not isinstance(listed, (list, tuple)):
        raise source.error("its column names are not a list", "export it again")
    return list(listed)


def _read_fixed(source: Source, path: str) -> PandasTable:
    """The format "fixed" of pandas: levels and codes of the columns, one block of values."""
    tree = source.tree
    levels = _levels(source, f"{path}/block0_items")
    values = tree.arrays.get(f"{path}/block0_values")
    if len(levels) not in (3, 4) or values is None or f"{path}/block1_values" in tree.arrays:
        raise source.error("no single block of DeepLabCut's columns", "export it as csv")
    columns: list[tuple[Any, ...]] = list(zip(*levels, strict=True))
    if values.dtype.kind not in "iuf" or values.ndim != 2 or len(columns) not in values.shape:
        raise source.error("columns and names do not match", "export it again")
    rows = values if values.shape[1] == len(columns) else values.T
    return PandasTable(columns, _index(tree, source, path), rows.astype(np.float64))


def _index(tree: Tree, source: Source, path: str) -> list[str]:
    if f"{path}/axis1" in tree.arrays:
        return tree.texts(f"{path}/axis1")
    return (_levels(source, f"{path}/axis1") or [[]])[-1]


def _levels(source: Source, stem: str) -> list[list[str]]:
    """Every level of a pandas MultiIndex, spelled out."""
    arrays = source.tree.arrays
    found = []
    for k in range(4):
        names, codes = f"{stem}_level{k}", f"{stem}_label{k}"
        if names not in arrays or codes not in arrays:
            break
        found.append(_level(source, source.tree.texts(names), arrays[codes].ravel()))
    if len({len(level) for level in found}) > 1:
        raise source.error("its column names are damaged", "export it again")
    return found


def _level(source: Source, texts: list[str], codes: np.ndarray) -> list[str]:
    bad = codes.dtype.kind not in "iu" or codes.size > MAX_VALUES
    if bad or (codes.size and not 0 <= codes.min() <= codes.max() < len(texts)):
        raise source.error("its column names are damaged", "export it again")
    return [texts[i] for i in codes.tolist()]
