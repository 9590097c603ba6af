"""3D predictions of any method: arrays of joints by where they stand in a file.

Read are npy, npz, HDF5, MATLAB, JSON and pickle files. They may hold one array for everything, or
dictionaries, lists and groups by sequence, nested in any way: every array is listed under the path
that leads to it, ``S9/Directions 1/0``. Nothing in a file is run. Arrays of npy and npz files are
read one at a time, when they are asked for. Which sequence a path means, and in what unit and frame
the numbers are, is for :mod:`hypopose.evaluation.predictions` to find out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hypopose.errors import FormatError
from hypopose.files import check_regular
from hypopose.io.source import Source
from hypopose.io.untrusted.arrays import NpzArchive, as_npy_error, read_ragged
from hypopose.io.untrusted.pickles import PickleRefusedError, read_pickled

MAX_ARRAYS = 100_000
MAX_PICKLE_BYTES = 2**31
N_AXES = 3
"""Frames, joints, coordinates."""
_SEPARATORS = re.compile(r"[\s/\\._:-]+")

Load = Callable[[], np.ndarray]


@dataclass(frozen=True, eq=False)
class PredictionFile:
    """The arrays of a file.

    Args:
        path: The file.
        loads: Path inside the file -> a call that reads the array.
        from_matlab: Whether axes are in MATLAB's order, ``(3, J, 1, N)``, or reversed by HDF5.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "mine.npz"
        >>> np.savez(path, **{"S9/Eating/0": np.zeros((8, 17, 3))})
        >>> read_predictions(path).array("S9/Eating/0").shape
        (8, 17, 3)
    """

    path: Path
    loads: Mapping[str, Load]
    from_matlab: bool = False

    @property
    def listed(self) -> str:
        """The paths, shortened for messages."""
        names = [name or "an array without a name" for name in self.loads]
        return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")

    def array(self, place: str) -> np.ndarray:
        """Read one array; joints of MATLAB files come as ``(N, J, 3)``.

        Args:
            place: A key of :attr:`loads`.

        Raises:
            FormatError: If it is damaged.
        """
        array = self.loads[place]()
        return frames_first(array) if self.from_matlab else array

    def error(self, problem: str, cure: str) -> FormatError:
        """One line that names the file."""
        return Source(self.path).error(problem, cure)


def words_of(place: str) -> tuple[str, ...]:
    """A path as words that do not depend on how it is written.

    Example:
        >>> words_of("S9_Directions 1.54138969") == words_of("s9/directions/1/54138969")
        True
    """
    return tuple(word for word in _SEPARATORS.split(place.lower()) if word)


def read_predictions(path: str | Path) -> PredictionFile:
    """List the arrays of a file of predictions.

    Args:
        path: ``.npy``, ``.npz``, ``.h5``, ``.mat``, ``.json``, ``.pkl``; judged by content, pickles
            by their name.

    Returns:
        The numeric arrays with at least two axes; text, numbers and vectors are left out.

    Raises:
        FormatError: If the file is none of these, is damaged, or holds no such array.
        BackendError: If the library that reads it is not installed.
    """
    source = Source(check_regular(path, "predictions (npz, npy, h5, mat, json, pkl)"))
    found: dict[str, Load] = {}
    for place, load in _arrays(source):
        if place in found:
            raise source.error(f"holds {place!r} twice", "rename one")
        found[place] = load
        if len(found) > MAX_ARRAYS:
            raise source.error(f"holds more than {MAX_ARRAYS} arrays", "join those of a sequence")
    if not found:
        raise source.error(
            "holds no arrays of joints", "save (frames, joints, 3), or one such array a sequence"
        )
    return PredictionFile(source.path, found, source.head.startswith(b"MATLAB"))


def _arrays(source: Source) -> Iterator[tuple[str, Load]]:
    if source.is_npz:
        return _in_npz(source)
    if source.is_npy:
        return _in_npy(source)
    if source.container is not None:
        leaves = {name.strip("/"): array for name, array in source.tree.arrays.items()}
        return _numeric(source, leaves)
    if source.is_json:
        return _numeric(source, source.json)
    if source.path.suffix.lower() in (".pkl", ".pickle", ".p"):
        return _numeric(source, _unpickled(source))
    raise source.error(
        f"{source.contents} holds no predictions", "save them as npz, npy, h5, mat, json or pkl"
    )


def _in_npz(source: Source) -> Iterator[tuple[str, Load]]:
    archive = NpzArchive(source)
    for name in archive.names:
        if archive.is_pickled(name):
            yield from _numeric(source, {name: archive.pickled(name)})
        elif archive.n_axes(name) >= 2:
            yield name, partial(archive.array, name)


def _in_npy(source: Source) -> Iterator[tuple[str, Load]]:
    with as_npy_error(source):
        try:
            mapped = np.load(source.path, mmap_mode="r", allow_pickle=False)
        except ValueError:  # an object array, or damaged: then the next line raises
            mapped = None
    if mapped is None:
        return _numeric(source, read_ragged(source, source.read_bytes()))
    return _numeric(source, mapped)


def _unpickled(source: Source) -> Any:
    if source.path.stat().st_size > MAX_PICKLE_BYTES:
        raise source.error("more than 2 GiB of pickle", "save the arrays as npz")
    try:
        return read_pickled(source.read_bytes(), python2=True)
    except PickleRefusedError as error:
        raise source.error(f"its pickle is refused ({error})", error.cure) from None


def _numeric(source: Source, value: Any, place: str = "") -> Iterator[tuple[str, Load]]:
    """Arrays with two axes or more in nested containers, by the path that leads there."""
    items = _children(value)
    if items is not None:
        for key, child in items:
            yield from _numeric(source, child, f"{place}/{key}" if place else str(key))
        return
    if isinstance(value, (list, tuple)):
        array = _as_array(value)
        if array is None and _depth(value) > N_AXES:  # a list of arrays, not one
            yield from _numeric(source, dict(enumerate(value)), place)
            return
        if array is None:
            raise source.error(
                "lists of unequal length, or not of numbers", "give every frame the same joints",
                place,
            )  # fmt: skip
        value = array
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf" and value.ndim >= 2:
        yield place, partial(_same, value)


def _children(value: Any) -> list[tuple[Any, Any]] | None:
    """Keys and values of what holds further containers; None for numbers and arrays."""
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return list(enumerate(value.ravel()))
    if isinstance(value, (list, tuple)) and not _is_nested_numbers(value):
        return list(enumerate(value))
    return None


def _is_nested_numbers(value: Any) -> bool:
    """Whether the first thing inside nested lists is a number."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _depth(value: Any) -> int:
    """How many lists stand around the first number."""
    depth = 0
    while isinstance(value, (list, tuple)) and value:
        value, depth = value[0], depth + 1
    return depth


def _as_array(value: Any) -> np.ndarray | None:
    try:
        return np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError):
        return None


def _same(array: np.ndarray) -> np.ndarray:
    return array


def frames_first(array: np.ndarray) -> np.ndarray:
    """MATLAB's ``(C, J, 1, N)`` or its reverse, ``(N, 1, J, C)``, as ``(N, J, C)``; C is 2 or 3.

    Example:
        >>> frames_first(np.zeros((3, 17, 1, 9))).shape
        (9, 17, 3)
    """
    if array.ndim >= 3 and array.shape[0] in (2, 3) and array.shape[-1] not in (2, 3):
        array = array.T
    return array.squeeze(1) if array.ndim == 4 and array.shape[1] == 1 else array
