"""Pickles of plain containers and numeric arrays, read without running anything they name.

``numpy.save`` writes object arrays as a pickle, and a pickle is a program that may call anything.
The standard library's unpickler asks :meth:`find_class` for every name; here it knows the few
names that arrays are made of and gets objects of this module for them, never numpy's own: their
state is checked before an array is built, because numpy trusts the flags of a pickled dtype. The
unpickler is the one written in Python, whose memo cannot be made to use much memory.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

_DTYPE = re.compile(r"[|<>=]?[biufSUO]?\d{0,4}")
_MAX_AXES = 8
MAX_DEPTH = 40
"""Containers inside each other, at most."""


class PickleRefusedError(Exception):
    """The pickle asks for more than containers and arrays, or is damaged."""

    cure = (
        "HypoPose reads plain containers and numeric arrays only, save them without Python objects"
    )


def read_pickled(data: bytes, *, python2: bool = False) -> Any:
    """The value of a pickle made of containers, numbers, text and numeric arrays.

    Args:
        data: The pickle.
        python2: Python 2 may have written it, whose text has bytes of any value: read as latin-1.

    Returns:
        Lists, tuples, dicts, numbers, strings, bytes, arrays.

    Raises:
        PickleRefusedError: If the pickle names anything else, or is damaged.

    Example:
        >>> import pickle
        >>> read_pickled(pickle.dumps({"w": 640, "xy": [1.5, None]}))
        {'w': 640, 'xy': [1.5, None]}
        >>> read_pickled(pickle.dumps(print))
        Traceback (most recent call last):
        ...
        hypopose.io.untrusted.pickles.PickleRefusedError: it needs builtins.print
    """
    try:
        encoding = "latin1" if python2 else "ASCII"
        return _Plain().of(_Unpickler(io.BytesIO(data), encoding=encoding).load())
    except PickleRefusedError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:80]
        raise PickleRefusedError(f"damaged: {type(error).__name__} {words}") from None


class _Unpickler(pickle._Unpickler):
    """Python's unpickler with an allow-list."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _CONSTRUCTORS:
            raise PickleRefusedError(f"it needs {module}.{name}"[:120])
        return _CONSTRUCTORS[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise PickleRefusedError("it refers to objects outside the file")

    def get_extension(self, code: int) -> None:
        raise PickleRefusedError(f"it needs the registered extension {code}")


class _Constructor:
    """What a name of the allow-list stands for: it can be called, and nothing else."""

    __slots__ = ("_build",)
    _build: Callable[..., Any]

    def __init__(self, build: Callable[..., Any]) -> None:
        object.__setattr__(self, "_build", build)

    def __call__(self, *arguments: Any) -> Any:
        return self._build(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise PickleRefusedError(f"it sets {name}"[:60])

    def __setstate__(self, state: Any) -> None:
        raise PickleRefusedError("it sets the state of a name")


class _Dtype:
    """A dtype of numbers, text or objects; its state may only change the byte order."""

    __slots__ = ("value",)

    def __init__(self, kind: Any, *flags: Any) -> None:
        del flags
        text = kind.decode("ascii") if isinstance(kind, bytes) else kind
        if not isinstance(text, str) or not _DTYPE.fullmatch(text):
            raise PickleRefusedError(f"it needs the dtype {text!r}"[:80])
        self.value = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        order, subarray, names, fields = state[1:5]
        if subarray is not None or names is not None or fields is not None:
            raise PickleRefusedError("it holds records")
        order = order.decode("ascii") if isinstance(order, bytes) else order
        if order not in ("|", "<", ">", "="):
            raise PickleRefusedError(f"byte order {order!r}"[:40])
        if order != "|":
            self.value = np.dtype(order + self.value.str[1:])


class _Array:
    """An array between its construction and the end of the pickle."""

    __slots__ = ("items", "order", "value")

    def __init__(self, *arguments: Any) -> None:
        del arguments  # class, shape and type character are repeated in the state
        self.value: np.ndarray | None = None
        self.items: list[Any] | None = None
        self.order: Literal["C", "F"] = "C"

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.fill(data, dtype, shape, "F" if fortran else "C")

    def fill(self, data: Any, dtype: Any, shape: Any, order: Literal["C", "F"]) -> None:
        if not isinstance(dtype, _Dtype) or not _is_shape(shape):
            raise PickleRefusedError("an array without a shape or dtype")
        if not dtype.value.hasobject:
            raw = _checked_bytes(dtype.value, shape, data)
            self.value = np.frombuffer(raw, dtype=dtype.value).reshape(shape, order=order)
            return
        if not isinstance(data, list) or len(data) != math.prod(shape):
            raise PickleRefusedError("an object array whose items do not match its shape")
        self.items, self.order, self.value = data, order, np.empty(shape, dtype=object)


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    """How protocol 5 spells an array."""
    array = _Array()
    array.fill(bytes(data) if isinstance(data, bytearray) else data, dtype, shape,
               "F" if order == "F" else "C")  # fmt: skip
    return array


class _Plain:
    """Replaces arrays under construction by arrays, each once, refusing loops."""

    def __init__(self) -> None:
        self.done: dict[int, tuple[Any, Any]] = {}  # keeps the old value alive, so its id is its
        self.open: set[int] = set()

    def of(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, (_Constructor, _Dtype)):
            raise PickleRefusedError("it holds a name instead of a value")
        if not isinstance(value, (list, tuple, dict, _Array)):
            return value
        key = id(value)
        if key in self.done:
            return self.done[key][1]
        if key in self.open or depth > MAX_DEPTH:
            raise PickleRefusedError("its containers hold themselves or are nested too deeply")
        self.open.add(key)
        self.done[key] = value, self._rebuilt(value, depth + 1)
        self.open.discard(key)
        return self.done[key][1]

    def _rebuilt(self, value: Any, depth: int) -> Any:
        if isinstance(value, _Array):
            return self._array(value, depth)
        if isinstance(value, dict):
            return {_key(k): self.of(v, depth) for k, v in value.items()}
        items = [self.of(v, depth) for v in value]
        return tuple(items) if isinstance(value, tuple) else items

    def _array(self, array: _Array, depth: int) -> np.ndarray:
        if array.value is None:
            raise PickleRefusedError("an array without a state")
        if array.items is None:
            return array.value
        flat = np.empty(len(array.items), dtype=object)
        for i, item in enumerate(array.items):
            flat[i] = self.of(item, depth)
        return flat.reshape(array.value.shape, order=array.order)


def _key(key: Any) -> Any:
    if not isinstance(key, (str, int, float, bytes)):
        raise PickleRefusedError(f"a dict key that is a {type(key).__name__}")
    return key


def _is_shape(shape: Any) -> bool:
    if not isinstance(shape, tuple) or len(shape) > _MAX_AXES:
        return False
    return all(type(n) is int and 0 <= n < 2**40 for n in shape)


def _checked_bytes(dtype: np.dtype, shape: tuple[int, ...], data: Any) -> bytes:
    raw = data.encode("latin1") if isinstance(data, str) else data
    if dtype.kind not in "biufSU" or not isinstance(raw, bytes):
        raise PickleRefusedError(f"an array of {dtype} that is not numbers")
    if math.prod(shape) * dtype.itemsize != len(raw) or dtype.itemsize == 0:
        raise PickleRefusedError(f"an array says shape {shape} but holds {len(raw)} bytes"[:120])
    check_text(np.frombuffer(raw, dtype=dtype))
    return raw


def check_text(array: np.ndarray) -> None:
    """Refuse text arrays with code points that no text has: Python cannot hold them.

    Raises:
        ValueError: If there is one.
    """
    if array.dtype.kind == "U" and array.size:
        codes = array.view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
        if codes.max() > 0x10FFFF or ((codes >= 0xD800) & (codes < 0xE000)).any():
            raise ValueError("text that is not Unicode")


def _new_scalar(dtype: Any, data: Any = b"") -> Any:
    if not isinstance(dtype, _Dtype):
        raise PickleRefusedError("a scalar without a dtype")
    raw = _checked_bytes(dtype.value, (), data)
    return np.frombuffer(raw, dtype=dtype.value)[0].item()


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise PickleRefusedError("it encodes text as something else than latin1")
    return text.encode("latin1")


def _refused(*arguments: Any) -> Any:
    raise PickleRefusedError("it calls something that is not an array constructor")


_CONSTRUCTORS: dict[tuple[str, str], _Constructor] = {
    **{
        (f"numpy.{core}.multiarray", name): _Constructor(build)
        for core in ("core", "_core")
        for name, build in (("_reconstruct", _Array), ("scalar", _new_scalar))
    },
    **{
        (f"numpy.{core}.numeric", "_frombuffer"): _Constructor(_from_buffer)
        for core in ("core", "_core")
    },
    ("numpy", "ndarray"): _Constructor(_refused),
    ("numpy", "dtype"): _Constructor(_Dtype),
    ("_codecs", "encode"): _Constructor(_encoded),
    ("collections", "OrderedDict"): _Constructor(dict),
    ("__builtin__", "bytes"): _Constructor(bytes),  # how protocols 0 to 2 spell empty bytes
}
