"""Object arrays without unpickling: an interpreter of plain containers and numeric arrays.

``numpy.save`` writes object arrays as a pickle, and a pickle is a program that may call anything.
This module reads the opcodes as data (``pickletools.genops``) and acts on them itself: it has
lists, tuples, dicts, numbers, text and bytes, and the three numpy constructors that arrays are made
of. It looks no name up, imports nothing and calls nothing that the file names; any other name, and
any opcode it does not know, is refused.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

MAX_DEPTH = 40
_DTYPE = re.compile(r"[|<>=]?[biufSUO?]\d{0,4}")
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")


class PickleRefusedError(Exception):
    """The pickle asks for more than containers and arrays, or is damaged."""

    cure = (
        "HypoPose reads plain containers and numeric arrays only, save them without Python objects"
    )


class _Mark:
    """The pickle machine's MARK."""


class _Global:
    """A name the pickle asks for; never looked up."""

    def __init__(self, module: str, name: str) -> None:
        self.key = (module, name)


class _ArrayBox:
    """An array between its reconstruction and its state."""

    def __init__(self) -> None:
        self.state: tuple[Any, ...] | None = None


class _DtypeBox:
    """A dtype between its reconstruction and its state."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype


def read_pickled(data: bytes) -> Any:
    """The value of a pickle made of containers, numbers, text and numeric arrays.

    Args:
        data: The pickle.

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
        hypopose.io.untrusted.pickles.PickleRefusedError: it asks for builtins.print
    """
    try:
        return _Resolver().resolve(_Machine().run(data))
    except PickleRefusedError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:80]
        raise PickleRefusedError(f"damaged: {type(error).__name__} {words}") from None


class _Machine:
    """The stack and the memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return self.stack.pop()
            if opcode.name in _PUSHES:
                self.stack.append(argument)
            elif opcode.name in _ACTIONS:
                _ACTIONS[opcode.name](self, argument)
            else:
                raise PickleRefusedError(f"it uses the opcode {opcode.name}")
        raise PickleRefusedError("it has no end")

    def pop_to_mark(self) -> list[Any]:
        items: list[Any] = []
        while not isinstance(item := self.stack.pop(), _Mark):
            items.append(item)
        return items[::-1]

    def pop_n(self, n: int) -> tuple[Any, ...]:
        return tuple(self.stack.pop() for _ in range(n))[::-1]

    def name(self, module: Any, name: Any) -> None:
        if (module, name) not in _CONSTRUCTORS and (module, name) != ("numpy", "ndarray"):
            raise PickleRefusedError(f"it asks for {module}.{name}"[:120])
        self.stack.append(_Global(module, name))

    def reduce(self) -> None:
        function, arguments = self.pop_n(2)
        if not isinstance(function, _Global) or function.key not in _CONSTRUCTORS:
            raise PickleRefusedError("it calls something that is no array constructor")
        self.stack.append(_CONSTRUCTORS[function.key](*arguments))

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, _ArrayBox):
            target.state = tuple(state)
        elif isinstance(target, _DtypeBox):
            target.dtype = _with_state(target.dtype, state)
        else:
            raise PickleRefusedError(f"it sets the state of a {type(target).__name__}")

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise PickleRefusedError("it appends to something that is no list")
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict):
            raise PickleRefusedError("it sets items of something that is no dict")
        self.stack[-1].update(_pairs(items))


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _put(machine: _Machine, index: int) -> None:
    machine.memo[index] = machine.stack[-1]


def _global(machine: _Machine, argument: str) -> None:
    module, _, name = argument.partition(" ")
    machine.name(module, name)


_PUSHES = frozenset((
    "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
))  # fmt: skip

_ACTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": lambda m, _: None,
    "FRAME": lambda m, _: None,
    "NONE": lambda m, _: m.stack.append(None),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "MARK": lambda m, _: m.stack.append(_Mark()),
    "POP": lambda m, _: m.stack.pop(),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "LIST": lambda m, _: m.stack.append(m.pop_to_mark()),
    "DICT": lambda m, _: m.stack.append(_pairs(m.pop_to_mark())),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.pop_to_mark())),
    "TUPLE1": lambda m, _: m.stack.append(m.pop_n(1)),
    "TUPLE2": lambda m, _: m.stack.append(m.pop_n(2)),
    "TUPLE3": lambda m, _: m.stack.append(m.pop_n(3)),
    "APPEND": lambda m, _: m.extend([m.stack.pop()]),
    "APPENDS": lambda m, _: m.extend(m.pop_to_mark()),
    "SETITEM": lambda m, _: m.set_items(list(m.pop_n(2))),
    "SETITEMS": lambda m, _: m.set_items(m.pop_to_mark()),
    "MEMOIZE": lambda m, _: _put(m, len(m.memo)),
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "GET": lambda m, i: m.stack.append(m.memo[i]),
    "BINGET": lambda m, i: m.stack.append(m.memo[i]),
    "LONG_BINGET": lambda m, i: m.stack.append(m.memo[i]),
    "GLOBAL": _global,
    "STACK_GLOBAL": lambda m, _: m.name(*m.pop_n(2)),
    "REDUCE": lambda m, _: m.reduce(),
    "BUILD": lambda m, _: m.build(),
}


def _new_array(*arguments: Any) -> _ArrayBox:
    del arguments  # class, shape and type character are repeated in the state
    return _ArrayBox()


def _new_dtype(kind: Any, *flags: Any) -> _DtypeBox:
    del flags
    text = kind.decode("ascii") if isinstance(kind, bytes) else kind
    if not isinstance(text, str) or not _DTYPE.fullmatch(text):
        raise PickleRefusedError(f"it asks for the dtype {text!r}"[:80])
    return _DtypeBox(np.dtype(text))


def _new_scalar(dtype: Any, data: Any = b"") -> Any:
    if not isinstance(dtype, _DtypeBox):
        raise PickleRefusedError("a scalar without a dtype")
    return _from_bytes(dtype.dtype, (), data).item()


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise PickleRefusedError("it encodes text as something else than latin1")
    return text.encode("latin1")


_CONSTRUCTORS: dict[tuple[str, str], Callable[..., Any]] = {
    **{(module, "_reconstruct"): _new_array for module in _ARRAY_MODULES},
    **{(module, "scalar"): _new_scalar for module in _ARRAY_MODULES},
    ("numpy", "dtype"): _new_dtype,
    ("_codecs", "encode"): _encoded,
    ("collections", "OrderedDict"): dict,
    ("__builtin__", "bytes"): lambda: b"",  # how protocols 0 to 2 spell empty bytes
}


def _with_state(dtype: np.dtype, state: Any) -> np.dtype:
    order, subarray, names, fields = state[1:5]
    if subarray is not None or names is not None or fields is not None or dtype.kind == "V":
        raise PickleRefusedError("it holds records")
    order = order.decode("ascii") if isinstance(order, bytes) else order
    if order not in ("|", "<", ">", "="):
        raise PickleRefusedError(f"byte order {order!r}"[:40])
    return dtype if order == "|" else np.dtype(order + dtype.str[1:])


def _from_bytes(dtype: np.dtype, shape: tuple[int, ...], data: Any) -> np.ndarray:
    raw = data.encode("latin1") if isinstance(data, str) else data
    if dtype.kind not in "biufSU" or not isinstance(raw, bytes):
        raise PickleRefusedError(f"an array of {dtype} that is not numbers")
    if math.prod(shape) * dtype.itemsize != len(raw) or dtype.itemsize == 0:
        raise PickleRefusedError(f"an array says shape {shape} but holds {len(raw)} bytes"[:120])
    array = np.frombuffer(raw, dtype=dtype)
    check_text(array)
    return array


def check_text(array: np.ndarray) -> None:
    """Refuse text arrays with code points that no text has: Python cannot hold them.

    Raises:
        ValueError: If there is one.
    """
    if array.dtype.kind == "U" and array.size:
        codes = array.view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
        if codes.max() > 0x10FFFF or ((codes >= 0xD800) & (codes < 0xE000)).any():
            raise ValueError("text that is no Unicode")


class _Resolver:
    """Replaces boxes by arrays, each once, refusing loops."""

    def __init__(self) -> None:
        self.done: dict[int, Any] = {}
        self.open: set[int] = set()

    def resolve(self, value: Any, depth: int = 0) -> Any:
        if not isinstance(value, (list, tuple, dict, _ArrayBox, _Mark, _Global, _DtypeBox)):
            return value
        if isinstance(value, (_Mark, _Global, _DtypeBox)):
            raise PickleRefusedError("it holds a name instead of a value")
        key = id(value)
        if key in self.done:
            return self.done[key][1]
        if key in self.open or depth > MAX_DEPTH:
            raise PickleRefusedError("its containers hold themselves or are nested too deeply")
        self.open.add(key)
        found = self._rebuild(value, depth + 1)
        self.open.discard(key)
        self.done[key] = (value, found)  # keeps value alive, so that its id stays its own
        return found

    def _rebuild(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return {_key(k): self.resolve(v, depth) for k, v in value.items()}
        if isinstance(value, _ArrayBox):
            return self._array(value, depth)
        items = [self.resolve(v, depth) for v in value]
        return tuple(items) if isinstance(value, tuple) else items

    def _array(self, box: _ArrayBox, depth: int) -> Any:
        if box.state is None or len(box.state) != 5:
            raise PickleRefusedError("an array without a state")
        _, shape, dtype, fortran, data = box.state
        _check_shape(shape, dtype)
        order: Literal["F", "C"] = "F" if fortran else "C"
        if dtype.dtype.kind != "O":
            return _from_bytes(dtype.dtype, shape, data).reshape(shape, order=order)
        if not isinstance(data, list) or len(data) != math.prod(shape):
            raise PickleRefusedError("an object array whose items do not match its shape")
        objects = np.empty(len(data), dtype=object)
        for i, item in enumerate(data):
            objects[i] = self.resolve(item, depth)
        return objects.reshape(shape, order=order)


def _check_shape(shape: Any, dtype: Any) -> None:
    sizes_ok = (
        isinstance(shape, tuple)
        and len(shape) <= 8
        and all(isinstance(n, int) and 0 <= n < 2**40 for n in shape)
    )
    if not sizes_ok or not isinstance(dtype, _DtypeBox):
        raise PickleRefusedError("an array without a shape or dtype")


def _key(key: Any) -> Any:
    if not isinstance(key, (str, int, float, bytes, bool)):
        raise PickleRefusedError(f"a dict key that is a {type(key).__name__}")
    return key
