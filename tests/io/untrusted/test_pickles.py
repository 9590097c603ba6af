"""Object arrays are read as data: same values as numpy's own reader, and nothing ever runs."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypopose.errors import FormatError
from hypopose.io import load, load_people
from hypopose.io.untrusted.pickles import PickleRefusedError, read_pickled

ARRAYS = [
    np.arange(12, dtype="float32").reshape(2, 3, 2),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(4, dtype=">i2"),
    np.array([True, False]),
    np.array(["a", "bc"]),
    np.float64(2.5),
    np.array([1, "x", None], dtype=object),
    np.zeros((0, 17, 2)),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_arrays_of_every_protocol(array, protocol):
    value = {"S1": [array, (1, 2.5, "text", b"bytes", None, True)], "again": array}
    read = read_pickled(pickle.dumps(value, protocol=protocol))
    np.testing.assert_array_equal(read["S1"][0], array)
    assert read["S1"][0] is read["again"] or array.ndim == 0
    assert read["S1"][1] == value["S1"][1]


def test_ordered_dict():
    assert read_pickled(pickle.dumps(OrderedDict(w=640))) == {"w": 640}


class Runs:
    """A payload: unpickling it would make a file."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


def payloads(mark: Path):
    return {
        "os.system": Runs(os.system, f"touch {mark}"),
        "eval": Runs(eval, f"open({str(mark)!r}, 'w').close()"),
        "path.touch": Runs(Path.touch, mark),
        "in a list": [1, {"x": Runs(os.mkdir, str(mark))}],
        "getattr": Runs(getattr, "text", "upper"),
        "object array": np.array([Runs(os.mkdir, str(mark)), 1], dtype=object),
    }


@pytest.mark.parametrize("name", list(payloads(Path("mark"))))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_payloads_are_refused_without_running(name, protocol, tmp_path):
    mark = tmp_path / "mark"
    data = pickle.dumps(payloads(mark)[name], protocol=protocol)
    with pytest.raises(PickleRefusedError):
        read_pickled(data)
    assert not mark.exists()


def test_a_hostile_npz_is_refused_in_one_line(tmp_path):
    mark = tmp_path / "mark"
    np.savez(
        tmp_path / "a.npz",
        positions_2d=np.array({"v": Runs(os.mkdir, str(mark))}, dtype=object),
        metadata=np.array({}, dtype=object),
    )
    with pytest.raises(FormatError, match=r"needs posix.mkdir.*plain containers") as caught:
        load(tmp_path / "a.npz")
    assert "\n" not in str(caught.value)
    assert not mark.exists()


LOOP: list[object] = []
LOOP.append(LOOP)
DEEP: list[object] = []
for _ in range(100):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"\x80\x04.",
        b"\x80\x04K\x01",
        pickle.dumps(LOOP),
        pickle.dumps(DEEP),
        pickle.dumps(np.zeros(3, dtype=[("a", "f4")])),
        pickle.dumps(np.array(["2020"], dtype="M8[D]")),
        pickle.dumps(1j),
        pickle.dumps({(1, 2): 3}),
        pickle.dumps(np.arange(9.0))[:-20],
        pickle.dumps(np.arange(9.0), protocol=4).replace(b"K\x09\x85", b"K\xff\x85"),
        b"\x80\x04(cnumpy\nndarray\n.",
        b"\x80\x02cnumpy\ndtype\nX\x0a\x00\x00\x00V999999999\x85R.",
        b"\x80\x02r\xff\xff\xff\x7f.",
        b"\x80\x02j\xff\xff\xff\x7f.",
        b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x02P1\n.",
    ],
)
def test_damaged_or_foreign_pickles_are_refused(data):
    with pytest.raises(PickleRefusedError):
        read_pickled(data)


def test_shared_parts_cost_nothing_twice():
    laughs: list[object] = ["ha"]
    for _ in range(30):
        laughs = [laughs, laughs]
    value = read_pickled(pickle.dumps(laughs))
    assert value[0] is value[1]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mangled_pickles_are_refused_or_read(data):
    stream = io.BytesIO()
    np.lib.format.write_array(
        stream, np.array({"v": [np.arange(6.0)]}, dtype=object), allow_pickle=True
    )
    raw = bytearray(stream.getvalue()[128:])
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PickleRefusedError):
        read_pickled(bytes(raw))


@pytest.mark.parametrize("bad", [0x110000, 0xFFFFFFFF, 0xD800])
def test_text_that_is_no_unicode_never_reaches_python(bad, tmp_path):
    text = np.array('{"hypopose": "keypoints"}')
    stream = io.BytesIO()
    np.savez(stream, metadata=text, xy=np.ones((3, 17, 2)))
    raw = stream.getvalue().replace(text.tobytes(), text.tobytes()[:-4] + struct.pack("<I", bad))
    (tmp_path / "a.npz").write_bytes(_with_checksums(raw))
    with pytest.raises(FormatError, match="not Unicode"):
        load(tmp_path / "a.npz")
    with pytest.raises(PickleRefusedError, match="not Unicode"):
        read_pickled(pickle.dumps(np.array(["ab"])).replace(b"b\0\0\0", struct.pack("<I", bad)))


def _with_checksums(raw):
    """The same stored archive with the checksums its bytes now have."""
    fresh = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(fresh, "w") as new:
        for info in old.infolist():
            start = info.header_offset + 26
            skip = sum(struct.unpack("<HH", raw[start : start + 4])) + 4
            new.writestr(info.filename, raw[start + skip : start + skip + info.file_size])
    return fresh.getvalue()


def test_names_in_files_are_made_printable(tmp_path):
    path = tmp_path / "data_2d_custom_a.npz"
    clip = np.ones((2, 17, 2), dtype="float32") * 50
    positions = {"a\nb\ud800": {"custom": [clip]}}
    metadata = {"layout_name": "coco"}
    with path.open("wb") as file:
        np.savez(file, positions_2d=np.array(positions), metadata=np.array(metadata))
    assert list(load_people(path)) == ["a?b?"]
