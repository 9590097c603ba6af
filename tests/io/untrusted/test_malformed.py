"""Malformed input: one line with file, place and cure, quickly, and never another exception."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zipfile

import fuzz_seeds
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypopose.errors import FormatError, HypoPoseError
from hypopose.io import FORMATS, inspect, load, load_people
from hypopose.io.untrusted.containers import container_kind

TRIPLES = [float(i % 3 == 2) or 100.0 + i for i in range(51)]
BODY = [float(i % 3 == 2) or 100.0 + i for i in range(75)]


def entry(**changes):
    value = {"image_id": 0, "category_id": 1, "keypoints": TRIPLES, "score": 1.0}
    return {k: v for k, v in {**value, **changes}.items() if v is not ...}


def frame(**changes):
    person = {"keypoints": [[100.0 + j, 200.0] for j in range(17)], "keypoint_scores": [1] * 17}
    person = {k: v for k, v in {**person, **changes}.items() if v is not ...}
    return {"frame_id": 0, "instances": [person]}


def people(*values):
    return {"people": [{"pose_keypoints_2d": v} for v in values]}


BAD_JSON = {
    "empty object": ({}, "JSON object with no keys"),
    "empty list": ([], "empty JSON list"),
    "list of numbers": ([1, 2, 3], "JSON list of int"),
    "list of lists": ([[1, 2], [3]], "JSON list of list"),
    "list of nulls": ([None], "JSON list of NoneType"),
    "wrong keys": ({"persons": []}, "JSON object with the keys 'persons'"),
    "nobody": (people(), "no person in any of its 1 frames"),
    "people is null": ({"people": None}, "people: expected a list, got null"),
    "person is a number": ({"people": [3]}, "person 0: expected an object, got 3"),
    "person without keypoints": ({"people": [{}]}, "person 0: no key 'pose_keypoints_2d'"),
    "wrong count": (people(BODY[:-1]), "person 0, pose_keypoints_2d.*triples, got 74 numbers"),
    "two counts": (people(BODY, BODY[:54]), "person 1: 18 keypoints, but the first person has 25"),
    "text for numbers": (people(["1"] * 75), "expected a list of numbers"),
    "booleans": (people([True] * 75), "expected a list of numbers"),
    "all zero": (people([0] * 75), "no keypoint of any person is detected"),
    "all null": (people([None] * 75), "no keypoint of any person is detected"),
    "all NaN": (people([float("nan")] * 75), "no keypoint of any person is detected"),
    "all infinite": (people([float("inf")] * 75), "no keypoint of any person is detected"),
    "huge float": (people([1e300] * 75), "keypoint 0 lies at .*outside any image"),
    "huge integer": (people([10**400] * 75), "too large"),
    "negative huge": (people([-1e9, -1e9, 1] * 25), "outside any image"),
    "fractions": (people([0.5, 0.4, 0.9] * 25), "fractions.*keypoint_scale 0"),
    "very many points": (people([1.0] * 30_000), "30000 numbers for one person"),
    "hands only": ({"people": [{"pose_keypoints_2d": []}]}, "no person in any"),
    "many people": (people(*[BODY] * 301), "frame 0 holds 301 people"),
    "no image_id": ([entry(), entry(image_id=...)], "entry 1: no key 'image_id'"),
    "negative frame": ([entry(image_id=-3)], "image_id: expected a frame number"),
    "fractional frame": ([entry(image_id=1.5)], "expected a frame number"),
    "infinite frame": ([entry(image_id=float("inf"))], "expected a frame number"),
    "frame is a list": ([entry(image_id=[1])], "expected a frame number"),
    "no animal is a person": ([entry(category_id=18)], "category 1, a person, only of 18"),
    "coco wrong count": ([entry(keypoints=TRIPLES[:30])], "10 keypoints.*describe the skeleton"),
    "second entry no object": ([entry(), 5], "entry 1: expected an object"),
    "nameless image": ([entry(image_id="a.jpg", box=[])], "no frame number in 'a.jpg'"),
    "frame range": (
        [entry(image_id="1.jpg"), entry(image_id="9000000000.jpg")],
        "frame numbers run from 1 to 9000000000",
    ),
    "instances is null": ([{"frame_id": 0, "instances": None}], "instances: expected a list"),
    "no instances": ([frame(), {"frame_id": 1}], "entry 1: no key 'instances'"),
    "3D points": ([frame(keypoints=[[1.0, 2.0, 3.0]] * 17)], "3 numbers in one"),
    "flat points": ([frame(keypoints=[1.0] * 34)], "point 0: expected a list of numbers"),
    "scores too few": ([frame(keypoint_scores=[1])], "17 keypoints but 1 keypoint_scores"),
    "no scores": ([frame(keypoint_scores=...)], "no key 'keypoints' or 'keypoint_scores'"),
    "no points": ([frame(keypoints=[])], "expected \\[x, y\\] pairs, got an empty list"),
    "unknown data set": (
        {"meta_info": {"dataset_name": "horse10"}, "instance_info": [frame()]},
        "'horse10', whose keypoints HypoPose does not know",
    ),
    "instance_info is text": ({"instance_info": "x"}, "expected a list, got text"),
}


def refusal(path, **options):
    """The one-line message of the refusal of ``load``, which ``inspect`` shares."""
    with pytest.raises(FormatError) as caught:
        load(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name.encode("utf-8", "replace")[:3].decode() in message
    assert len(message) < 1000
    with pytest.raises(FormatError):
        inspect(path, **options)
    return message


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json(name, tmp_path):
    value, expected = BAD_JSON[name]
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(value))
    message = refusal(path)
    assert re.search(expected, message), message


BAD_BYTES = {
    "empty": (b"", "an empty file"),
    "garbage": (bytes(range(128, 256)), "no keypoint format"),
    "cut off": (b'{"people": [{"pose_keypoints_2d": [1.0, 2', "not valid JSON.*cut off"),
    "deep": (b"[" * 200_000, "nested too deeply|not valid JSON"),
    "deep points": (
        b'{"people": [{"pose_keypoints_2d": ' + b"[" * 500 + b"]" * 500 + b"}]}",
        "expected a list of numbers",
    ),
    "not UTF-8": (b'{"people": "\xff\xfe\xfa"}', "not UTF-8"),
    "4301 digits": (b'{"people": [' + b"9" * 5000 + b"]}", "not valid JSON"),
    "npy magic": (b"\x93NUMPY\x01\x00", "not a readable array file"),
    "npy version": (b"\x93NUMPY\x09\x00" + b" " * 64, "npy version 9.0"),
    "npy header": (b"\x93NUMPY\x01\x00\x05\x00(((((", "not a readable array file"),
    "zip magic": (b"PK\x03\x04 and then nothing", "not a readable array file"),
    "text": (b"x,y\n1,2\n", "no keypoint format"),
}


@pytest.mark.parametrize("name", BAD_BYTES)
def test_bad_bytes(name, tmp_path):
    value, expected = BAD_BYTES[name]
    path = tmp_path / "bad.json"
    path.write_bytes(value)
    message = refusal(path)
    assert re.search(expected, message), message


def npy(array):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


BAD_ARRAYS = {
    "objects": (npy(np.array([{}, 1], dtype=object)), "an array of Python objects"),
    "text": (npy(np.array(["a"])), "an array \\(1,\\) of"),
    "one axis": (npy(np.zeros(4)), "an array \\(4,\\)"),
    "no frames": (npy(np.zeros((0, 17, 2))), "an array \\(0, 17, 2\\)"),
    "4 coordinates": (npy(np.zeros((3, 17, 4))), "x, y and perhaps confidence"),
    "complex": (npy(np.zeros((3, 17, 2), complex)), "not numbers"),
    "records": (npy(np.zeros(3, dtype=[("x", "f4")])), "not numbers"),
    "cut off": (npy(np.ones((3, 17, 2)))[:-8], "holds 808 bytes"),
    "too long": (npy(np.ones((3, 17, 2))) + b"xx", "holds 818 bytes"),
    "people last": (npy(np.ones((2, 60, 17, 2)) * 9), "60 people in 2 frames"),
    "huge": (npy(np.ones((3, 17, 2)) * 1e30), "outside any image"),
    "negative shape": (
        npy(np.ones((3, 17, 2))).replace(b"(3, 17, 2)", b"(-3,17,2) "),
        "says shape",
    ),
    "enormous shape": (
        npy(np.ones((3, 17, 2))).replace(b"(3, 17, 2)", b"(9**9,17,2"),
        "not a readable|says shape",
    ),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_bad_arrays(name, tmp_path):
    value, expected = BAD_ARRAYS[name]
    path = tmp_path / "bad.npy"
    path.write_bytes(value)
    message = refusal(path, skeleton="coco17")
    assert re.search(expected, message), message


GOOD = np.ones((3, 17, 2)) * 50
OBJECT = {"dtype": object}
BAD_NPZ = {
    "no keypoints": ({"a": GOOD, "b": GOOD}, "the archive holds a, b"),
    "nothing": ({}, "is a .npz file, in no keypoint format"),
    "scores of another shape": ({"xy": GOOD, "scores": np.ones(3)}, "confidence \\(3,\\)"),
    "bad size": ({"xy": GOOD, "image_size": np.array([-1, 3])}, "image_size is not a width"),
    "bad rate": ({"xy": GOOD, "fps": np.array(-1.0)}, "fps is not a frame rate"),
    "objects": ({"xy": np.array([{}], **OBJECT)}, "an array of Python objects"),
    "positions no dict": ({"positions_2d": np.array([1, 2], **OBJECT)}, "expected a dict"),
    "positions numeric": ({"positions_2d": GOOD}, "expected a dict, got ndarray"),
    "positions empty": ({"positions_2d": np.array({}, **OBJECT)}, "positions_2d is empty"),
    "no clips": ({"positions_2d": np.array({"v": {}}, **OBJECT)}, "positions_2d is empty"),
    "clip is text": (
        {"positions_2d": np.array({"v": {"custom": ["x"]}}, **OBJECT)},
        "v: expected \\(frames, joints, 2 or 3\\), got str",
    ),
    "clip list is a number": (
        {"positions_2d": np.array({"v": {"custom": 4}}, **OBJECT)},
        "v/custom: expected a list of arrays",
    ),
    "clip shape": (
        {"positions_2d": np.array({"v": {"custom": [np.ones((2, 3))]}}, **OBJECT)},
        "got \\(2, 3\\)",
    ),
    "joints differ": (
        {"positions_2d": np.array({"v": {"custom": [GOOD, GOOD[:, :4]]}}, **OBJECT)},
        "4 keypoints per person, but coco17 has 17",
    ),
    "own, broken": ({"metadata": np.array('{"hypopose": ')}, "'metadata' is not JSON"),
    "own, newer": (
        {"metadata": np.array('{"hypopose": "keypoints", "schema": 9}')},
        "schema 9, this version reads 1",
    ),
    "own, bare": (
        {"metadata": np.array('{"hypopose": "keypoints", "schema": 1}')},
        "no array 'xy'",
    ),
    "own, no skeleton": (
        {"metadata": np.array('{"hypopose": "keypoints", "schema": 1}'), "xy": GOOD},
        "skeleton: unexpected NoneType",
    ),
}


@pytest.mark.parametrize("name", BAD_NPZ)
def test_bad_npz(name, tmp_path):
    arrays, expected = BAD_NPZ[name]
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    own = "own" in name
    message = refusal(path, **({} if own else {"skeleton": "coco17"}))
    assert re.search(expected, message), message


def test_zip_bomb_is_refused_before_unpacking(tmp_path):
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xy.npy", "w") as file,
    ):
        for _ in range(300):
            file.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    assert "zip bomb" in refusal(path, skeleton="coco17")


def test_an_archive_that_lies_about_its_sizes(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", xy=GOOD)
    raw = (tmp_path / "a.npz").read_bytes()
    at = raw.rindex(b"PK\x01\x02") + 24
    (tmp_path / "lie.npz").write_bytes(raw[:at] + struct.pack("<I", 7) + raw[at + 4 :])
    refusal(tmp_path / "lie.npz", skeleton="coco17")


def test_a_compression_nobody_knows_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", xy=GOOD)
    raw = bytearray((tmp_path / "a.npz").read_bytes())
    for record, field in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = raw.rindex(record) + field
        raw[at : at + 2] = struct.pack("<H", 99)
    (tmp_path / "odd.npz").write_bytes(raw)
    message = refusal(tmp_path / "odd.npz", skeleton="coco17")
    assert "compression method is not supported" in message
    assert "write it again" in message


def test_folders(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "a folder without frames of OpenPose" in refusal(empty)
    assert "no .json file in the folder" in refusal(empty, format="openpose")
    assert "is a folder, but mmpose is one file" in refusal(empty, format="mmpose")
    text = json.dumps(people(BODY))
    (empty / "a_001.json").write_text(text)
    (empty / "a_01.json").write_text(text)
    assert "a_001.json and a_01.json are both frame 1" in refusal(empty)
    (empty / "a_01.json").rename(empty / "b_01.json")
    assert "several recordings (a_ and b_)" in refusal(empty)
    (empty / "b_01.json").rename(empty / "walk.json")
    assert "walk.json has no frame number" in refusal(empty)
    (empty / "walk.json").rename(empty / f"a_{'9' * 30}.json")
    assert "too large a frame number" in refusal(empty)
    (empty / f"a_{'9' * 30}.json").unlink()
    (empty / "a_2.json").write_text('{"bodies": []}')
    assert "a_2.json: no key 'people'" in refusal(empty)
    (empty / "a_2.json").write_text(text[:100])
    assert "a_2.json: line 1" in refusal(empty)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    (tmp_path / "secret_1.json").write_text(json.dumps(people(BODY)))
    (folder / "a_1.json").symlink_to(tmp_path / "secret_1.json")
    with pytest.raises(FormatError, match=r"a link out of the folder"):
        load(folder)


def test_paths(tmp_path):
    assert "does not exist" in refusal(tmp_path / "none.json")
    os.mkfifo(tmp_path / "pipe")
    assert "is not a file or folder" in refusal(tmp_path / "pipe")
    odd = tmp_path / os.fsdecode(b"bad\xff\n.json")
    odd.write_text("{}")
    message = refusal(odd)
    message.encode("utf-8")


def test_too_many_people_and_frames_at_once(tmp_path):
    entries = [entry(image_id=f"{i * 1000}.jpg", idx=i) for i in range(200)]
    (tmp_path / "many.json").write_text(json.dumps(entries))
    with pytest.raises(FormatError, match=r"200 people over 199001 frames.*person="):
        load_people(tmp_path / "many.json", min_joints=0, keep_identities=True)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(
            st.sampled_from(
                ["people", "pose_keypoints_2d", "image_id", "keypoints", "frame_id", "instances",
                 "keypoint_scores", "instance_info", "meta_info", "box", "idx", "score", "x"]
            ),
            inner,
            max_size=5,
        )
        | st.just(TRIPLES)
        | st.just(BODY)
    ),
    max_leaves=12,
)  # fmt: skip

quiet = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def attempt(path, **options):
    """A valid object, or one of our errors in one line; warnings are neither."""
    refused = ""
    try:
        info = inspect(path, **options)
    except HypoPoseError as error:
        refused = str(error)
    assert refused or info.people
    assert "\n" not in refused


@quiet
@given(JSON_VALUES, st.sampled_from([None, *FORMATS]))
def test_any_json_is_read_or_refused(tmp_path, value, kind):
    path = tmp_path / "fuzz.json"
    path.write_text(json.dumps(value))
    attempt(path, format=kind)


@quiet
@given(st.data())
def test_mangled_files_are_read_or_refused(tmp_path, write_as, figure, data):
    kinds = ["alphapose", "coco-results", "mmpose", "mmpose-topdown", "videopose3d", "arrays"]
    raw = bytearray(
        write_as(data.draw(st.sampled_from(kinds)), [[figure("coco17")]] * 2).read_bytes()
    )
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw)))]
    path = tmp_path / "mangled"
    path.write_bytes(bytes(raw))
    attempt(path)


SEEDS = {
    kind: [raw for raw in fuzz_seeds.files(kind) if container_kind(raw[:8]) is None]
    for kind in FORMATS
    # containers only: see test_containers.py; folders only: see readers/test_frame_files.py
    if kind not in ("sleap", "movement", "frame-files")
}


@quiet
@given(st.data())
def test_mangled_seeds_of_every_format_are_read_or_refused(tmp_path, data):
    kind = data.draw(st.sampled_from(sorted(SEEDS)))
    raw = bytearray(data.draw(st.sampled_from(SEEDS[kind])))
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(raw)))
        piece = data.draw(st.sampled_from([b"", b"-1", b"nan", b"1e400", b'"', b"{", b",", b"\n"]))
        raw[at : at + data.draw(st.integers(0, 3))] = piece
    path = tmp_path / "mangled"
    path.write_bytes(bytes(raw))
    attempt(path, image_size=(640, 480), format=data.draw(st.sampled_from([None, kind])))


@pytest.mark.parametrize("kind", SEEDS)
def test_seeds_of_every_format_are_read(tmp_path, kind):
    for raw in fuzz_seeds.files(kind):
        (tmp_path / "seed").write_bytes(raw)
        if b"%%" not in raw:  # the fuzzer's way to write a folder of frames
            skeleton = "coco17" if kind == "arrays" else None
            options = {"image_size": (640, 480), "skeleton": skeleton}
            assert inspect(tmp_path / "seed", **options).format == kind


@quiet
@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"[", b"{"])
)
def test_any_bytes_are_refused(tmp_path, body, start):
    path = tmp_path / "bytes"
    path.write_bytes(start + body)
    attempt(path)
