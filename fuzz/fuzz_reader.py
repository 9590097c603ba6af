"""Coverage-guided fuzzing of one reader with atheris.

    pip install atheris
    python fuzz/fuzz_reader.py tidy -max_total_time=1200 -rss_limit_mb=4096 -timeout=20

The first argument is a format of ``hypopose.io.FORMATS``; the others are libFuzzer's. Seeds come
from ``fuzz_seeds.py``. An input passes if the reader gives a valid object or one of our errors in
one line, and if it runs nothing and opens nothing outside the given path meanwhile. HDF5, NetCDF-3
and Parquet are read in this process here, as they are in the worker one; every other input of
these skips the library and gives the reader arrays and attributes of the fuzzer's choice.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import atheris
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["hypopose.io", "hypopose.skeletons"]):
    from hypopose.errors import FormatError, HypoPoseError
    from hypopose.io import FORMATS, source
    from hypopose.io.inspection import inspect
    from hypopose.io.untrusted import containers, reading_process

import fuzz_seeds

CONTAINERS = {"deeplabcut", "sleap", "movement", "tidy"}
FRAMES = {"openpose": ".json", "yolo": ".txt"}
"""Formats whose recordings may be folders of such files."""
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class",
             "socket.connect", "ctypes.dlopen")  # fmt: skip
OURS = str(Path(reading_process.__file__).parents[1])
LIBRARIES = (sys.prefix, sys.base_prefix, OURS, "/dev/null")

_watching: list[bool] = []
_seen: list[str] = []
_work = Path(tempfile.mkdtemp(prefix="hypopose-fuzz-"))


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    if event in FORBIDDEN:
        _seen.append(f"{event} {arguments!r}"[:200])
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        path = os.fsdecode(arguments[0])
        if not path.startswith((str(_work), *LIBRARIES)):
            _seen.append(f"open {path!r}"[:200])


def _in_process(path: Path, kind: str) -> containers.Tree:
    """What the worker process does, in this one."""
    try:
        arrays, attributes = reading_process.READERS[kind](str(path), containers.FREE_BYTES)
    except Exception as error:  # the process prints it and exits with 3
        raise FormatError(" ".join(str(error).split())[:160]) from None
    kept = {name: array for name, array in arrays.items() if array.dtype.kind in "biufSU"}
    given = {p: {k: containers.with_bytes(v) for k, v in a.items()} for p, a in attributes.items()}
    return containers.Tree(kind, kept, given)


def check(path: Path, **options: Any) -> None:
    """Read it; anything but a valid object or our error in one line is a finding."""
    _seen.clear()
    _watching.append(True)
    try:
        info = inspect(path, **options)
    except HypoPoseError as error:
        message = str(error)
        if "\n" in message or len(message) > 5000:
            raise RuntimeError(f"message of {len(message)} characters, or lines") from error
    else:
        if not info.people or info.n_frames < 1 or "\n  note" in "".join(info.notes):
            raise RuntimeError(f"an invalid object: {info!r}"[:500])
        info.describe().encode("utf-8")
    finally:
        _watching.clear()
    if _seen:
        raise RuntimeError(f"forbidden: {_seen[0]}")


def _options(name: str, choice: int) -> dict[str, Any]:
    options: dict[str, Any] = {"image_size": (640, 480)}
    if choice & 1:
        options["format"] = name
    if choice & 2 or name == "arrays":
        options["skeleton"] = "coco17"
    return options


def one_file(name: str, data: bytes) -> None:
    """The bytes as a file; for OpenPose and YOLO as a folder of up to three."""
    choice, body = data[-1] if data else 0, data[:-1]
    suffix = FRAMES.get(name, "")
    if suffix and choice & 4:
        folder = _work / "frames"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for i, part in enumerate(body.split(b"\n%%\n")[:3]):
            (folder / f"a_{i}{suffix}").write_bytes(part)
        check(folder, **_options(name, choice))
        return
    path = _work / f"input{suffix}"
    path.write_bytes(body)
    check(path, **_options(name, choice))


def one_tree(name: str, data: bytes) -> None:
    """Arrays and attributes of the fuzzer's choice, under names the reader looks for."""
    given = atheris.FuzzedDataProvider(data)
    kind = "parquet" if name == "tidy" else given.PickValueInList(["hdf5", "netcdf3"])
    tree = fuzz_seeds.tree(name, kind)
    arrays, attributes = dict(tree.arrays), {k: dict(v) for k, v in tree.attributes.items()}
    for _ in range(given.ConsumeIntInRange(0, 4)):
        key = given.PickValueInList(sorted(arrays) or ["/x"])
        arrays[key] = _mangled(given, arrays.get(key, np.zeros(3)))
    for _ in range(given.ConsumeIntInRange(0, 3)):
        place = given.PickValueInList(sorted(attributes) or [""])
        values = attributes.setdefault(place, {})
        key = given.PickValueInList([*sorted(values), "fps", "image_size", "dimensions"])
        values[key] = _attribute(given, values.get(key))
    magic = {"hdf5": b"\x89HDF\r\n\x1a\n", "netcdf3": b"CDF\x01", "parquet": b"PAR1"}[kind]
    path = _work / "tree"
    path.write_bytes(magic)
    made = containers.Tree(kind, arrays, attributes)
    source.read_tree = lambda *_: made
    try:
        check(path, **_options(name, given.ConsumeIntInRange(0, 3)))
    finally:
        source.read_tree = _in_process


def _new_array(given: Any, *, text: bool) -> np.ndarray:
    if text:
        words = [given.ConsumeUnicode(12) for _ in range(given.ConsumeIntInRange(0, 20))]
        return np.array(words, dtype=np.str_)
    shape = [given.ConsumeIntInRange(0, 5) for _ in range(given.ConsumeIntInRange(0, 5))]
    return np.full(shape, given.ConsumeFloat())


def _mangled(given: Any, array: np.ndarray) -> np.ndarray:
    action = given.ConsumeIntInRange(0, 6)
    if action < 2:
        return _new_array(given, text=action == 0)
    if action == 2:
        return array.T
    if action == 3:
        return array[: given.ConsumeIntInRange(0, max(len(array), 1))] if array.ndim else array
    if action == 4 and array.dtype.kind in "if" and array.size:
        changed = array.astype(np.float64).ravel()
        changed[given.ConsumeIntInRange(0, changed.size - 1)] = given.ConsumeFloat()
        return changed.reshape(array.shape)
    if action == 5:
        return _retyped(array)
    raw = given.ConsumeBytes(24)
    return np.frombuffer(raw, dtype=np.uint8) if raw else array


def _retyped(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "U":
        return np.char.encode(array, "utf-8", "replace")
    return array.astype("S8") if array.dtype.kind == "S" else np.nan_to_num(array).astype("i4")


def _attribute(given: Any, value: Any) -> Any:
    action = given.ConsumeIntInRange(0, 4)
    if action == 0:
        return given.ConsumeFloat()
    if action == 1:
        return given.ConsumeUnicode(30)
    if action == 2:
        return [given.ConsumeInt(4) for _ in range(given.ConsumeIntInRange(0, 4))]
    if action == 3 and isinstance(value, bytes) and value:
        at = given.ConsumeIntInRange(0, len(value) - 1)
        return value[:at] + given.ConsumeBytes(4) + value[at + given.ConsumeIntInRange(0, 4) :]
    return given.ConsumeBytes(60)


def main() -> None:
    """Make the seeds, then let libFuzzer go on."""
    if len(sys.argv) < 2 or sys.argv[1] not in FORMATS:
        sys.exit(f"usage: fuzz_reader.py FORMAT [libFuzzer options]; FORMAT: {', '.join(FORMATS)}")
    name = sys.argv.pop(1)
    source.read_tree = _in_process
    warnings.simplefilter("ignore")
    corpus = _work / "corpus"
    corpus.mkdir()
    for i, data in enumerate(fuzz_seeds.files(name)):
        (corpus / f"seed{i}").write_bytes(data + (b"\x05" if b"%%" in data else b"\x01"))

    def target(data: bytes) -> None:
        if name in CONTAINERS and data[:1] < b"\x08":
            one_tree(name, data[1:])
        else:
            one_file(name, data)

    sys.addaudithook(_audit)
    atheris.Setup([sys.argv[0], *sys.argv[1:], str(corpus)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
