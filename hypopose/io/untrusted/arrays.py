"""Read .npy and .npz without running anything they contain, within size limits.

``numpy.load`` unpickles object arrays if allowed to, and unpacks an archive member of any stated
size. Here sizes are checked against the archive's directory before anything is unpacked, array
shapes against the bytes that are there, and object arrays go through
:mod:`hypopose.io.untrusted.pickles`, an interpreter of plain containers and numeric arrays.
"""

from __future__ import annotations

import io
import math
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.lib import format as npy

from hypopose.errors import FormatError
from hypopose.io.source import Source
from hypopose.io.untrusted.pickles import PickleRefusedError, check_text, read_pickled

FREE_BYTES = 64 * 2**20
"""An archive that unpacks to less than this is never called a bomb."""
MAX_BYTES = 4 * 2**30
MAX_RATIO = 200
MAX_MEMBERS = 1000
HEADER_BYTES = 2**17
"""An npy header is at most 64 KiB long."""

_NPY_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    SyntaxError,
    tokenize.TokenError,
    OverflowError,
    RecursionError,
    MemoryError,
    EOFError,
)
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    UnicodeError,
)


@contextmanager
def as_npy_error(source: Source) -> Iterator[None]:
    """Turn what reading arrays may raise into one FormatError that names the file."""
    try:
        yield
    except FormatError:
        raise
    except PickleRefusedError as error:
        raise source.error(f"its pickled arrays are refused ({error})", error.cure) from None
    except (*_ZIP_ERRORS, *_NPY_ERRORS) as error:
        words = " ".join(str(error).split())[:120] or type(error).__name__
        raise source.error(f"not a readable array file ({words})", "write it again") from None


class NpzArchive:
    """The members of an npz file, read one at a time.

    Args:
        source: The file.

    Raises:
        FormatError: If it is no archive, or unpacks to far more than its size explains.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        with as_npy_error(source), zipfile.ZipFile(source.path) as archive:
            members = archive.infolist()
        self._check_sizes(members)
        self.names = [m.filename.removesuffix(".npy") for m in members]
        if len(set(self.names)) != len(self.names):
            raise source.error("the archive holds one name twice", "write it again")

    def _check_sizes(self, members: list[zipfile.ZipInfo]) -> None:
        total = sum(m.file_size for m in members)
        packed = self._source.path.stat().st_size
        allowed = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * packed))
        if total > allowed or len(members) > MAX_MEMBERS:
            raise self._source.error(
                f"{packed} bytes would unpack to {total} in {len(members)} arrays",
                "this looks like a zip bomb; save the arrays uncompressed if it is not",
            )

    def array(self, name: str) -> np.ndarray:
        """A numeric, boolean or text array.

        Raises:
            FormatError: If it is absent, damaged, or holds Python objects.
        """
        return read_npy(self._source, self._bytes(name), name)

    def is_pickled(self, name: str) -> bool:
        """Whether an array holds Python objects; judged by its header."""
        with as_npy_error(self._source):
            return self._peek(name)[2].hasobject

    def n_axes(self, name: str) -> int:
        """How many axes an array has; judged by its header."""
        with as_npy_error(self._source):
            return len(self._peek(name)[0])

    def pickled(self, name: str) -> Any:
        """The plain containers and numeric arrays of an object array."""
        with as_npy_error(self._source):
            stream = io.BytesIO(self._bytes(name))
            shape, _, dtype = _header(stream)
            if not dtype.hasobject:
                return read_npy(self._source, stream.getvalue(), name)
            values = read_pickled(stream.read())
            if isinstance(values, np.ndarray) and values.shape == shape == ():
                return values.item()
            return values

    def _peek(self, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
        """The header of an array; no more of it is unpacked."""
        return _header(io.BytesIO(self._bytes(name, HEADER_BYTES)))

    def _bytes(self, name: str, n: int = -1) -> bytes:
        with as_npy_error(self._source), zipfile.ZipFile(self._source.path) as archive:
            stored = set(archive.namelist())
            member = f"{name}.npy" if f"{name}.npy" in stored else name
            if member not in stored:
                raise self._source.error(f"no array {name!r}", f"it has {', '.join(self.names)}")
            with archive.open(member) as file:
                return file.read(n)


def read_npy(source: Source, data: bytes, name: str = "array") -> np.ndarray:
    """A numeric, boolean or text array from the bytes of an .npy file.

    Raises:
        FormatError: If the bytes are damaged, or the array holds Python objects.
    """
    with as_npy_error(source):
        stream = io.BytesIO(data)
        shape, fortran, dtype = _header(stream)
        if dtype.kind not in "biufSU":
            raise source.error(
                f"array {name!r} holds {dtype}, not numbers",
                "save it as a float32 array",
            )
        count = math.prod(shape)
        body = data[stream.tell() :]
        if min(shape, default=0) < 0 or count * dtype.itemsize != len(body):
            raise source.error(
                f"array {name!r} says shape {shape} of {dtype} but holds {len(body)} bytes",
                "the file may be cut off, write it again",
            )
        flat = np.frombuffer(body, dtype=dtype, count=count)
        check_text(flat)
        return flat.reshape(shape, order="F" if fortran else "C")


def read_ragged(source: Source, data: bytes) -> Any:
    """An .npy file that may be an object array: then its plain containers and numeric arrays.

    Raises:
        FormatError: If the bytes are damaged, or hold more than containers and arrays.
    """
    with as_npy_error(source):
        stream = io.BytesIO(data)
        shape, _, dtype = _header(stream)
        if not dtype.hasobject:
            return read_npy(source, data)
        values = read_pickled(data[stream.tell() :])
        return [values] if shape == () else list(values)


def _header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old headers of Python 2, deprecated dtype spellings
        version = npy.read_magic(stream)
        readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"npy version {version[0]}.{version[1]}")
        shape, fortran, dtype = readers[version](stream)
    if dtype.hasobject and dtype.kind != "O":
        raise ValueError(f"records of {dtype}")
    return tuple(int(n) for n in shape), bool(fortran), dtype
