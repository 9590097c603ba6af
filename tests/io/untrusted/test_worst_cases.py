"""Files that make a parser work hard: every reader stays linear, or refuses them.

A case is a text of any size. Four times the text may take about four times the work: the bound is
on the growth, since the time itself depends on the machine. A quadratic parser grows sixteenfold.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from hypopose.errors import HypoPoseError
from hypopose.io import inspect, load_cameras
from hypopose.io.motion_files import MotionOptions, load_motion
from hypopose.skeletons import load_skeleton

MEGABYTE = 2**20
GROWTH = 9.0
"""Times as long for four times the text; between linear, 4, and quadratic, 16."""
NOISE_S = 0.1
"""Processor time below which nothing is told."""

Text = Callable[[int], str]


def filled(unit: str, before: str = "", after: str = "") -> Text:
    return lambda n: before + unit * ((n - len(before) - len(after)) // len(unit)) + after


def numbered(row: str, before: str = "", after: str = "") -> Text:
    """Rows with their number in place of ``#``."""

    def text(n: int) -> str:
        count = max(1, (n - len(before)) // (len(row) + 4))
        return before + "".join(row.replace("#", str(i)) for i in range(count)) + after

    return text


KEYPOINTS: dict[str, tuple[str, Text]] = {
    "proto comments": ("a.pbtxt", filled("#", "landmarks {\n", "\n}")),
    "proto comment lines": ("a.pbtxt", filled("#\n", "landmarks {\n", "}")),
    "proto spaces": ("a.pbtxt", filled(" ", "landmarks {", "}")),
    "proto braces": ("a.pbtxt", filled("landmark {}", "landmarks {", "}")),
    "proto digits": ("a.pbtxt", filled("1", "landmarks { landmark { x: ", "}}")),
    "json brackets": ("a.json", filled("[")),
    "json objects": ("a.json", filled('{"a":')),
    "json digits": ("a.json", filled("1", "[", "]")),
    "json numbers": ("a.json", filled("1,", '[{"image_id":1,"keypoints":[', "1]}]")),
    "json people": ("a.json", filled('{"a":1},', '{"people":[', "{}]}")),
    "detectron2 images": ("a.json", filled('{"pred_keypoints":[]},', "[", "{}]")),
    "detectron2 people": ("a.json", filled("[[1,2,3]],", '[{"pred_keypoints":[', "[]]}]")),
    "json strings": ("a.json", filled('"\\u0041",', "[", '""]')),
    "json annotations": ("a.json", filled("{},", '{"images":[],"annotations":[', "{}]}")),
    "json bodies": ("a.json", filled('{"bodies":[]},', '{"frames":[', '{"bodies":[{"a":1}]}]}')),
    "json lines": ("a.jsonl", filled('{"pose":{}}\n')),
    "json lines of a poor end": ("a.jsonl", filled('{"pose":{}}\n', "", "{")),
    "script people": (
        "a.json",
        filled('{"people":[' + '{"keypoints":[1,2,3]},' * 3 + "{}]},", '{"frames":[', "{}]}"),
    ),
    "script nests": ("a.json", filled('{"results":{"pose":{"points":[]}}},', "[", "{}]")),
    "script points": ("a.json", filled('{"x":1,"y":2},', '[{"keypoints":[', '{"x":1}]}]')),
    "script names": ("a.json", numbered('"j#":[1,2],', "[{", '"a":[1,2]}]')),
    "script frames": ("a.json", filled("[" + "[[9,9]," + "[8,8]," * 4 + "[9,9]]],", "[", "[]]")),
    "script texts": ("a.json", filled('"[[1,2],[1,2],[1,2],[1,2],[1,2]]",', "[", '""]')),
    "csv commas": ("a.csv", filled(",")),
    "csv quotes": ("a.csv", filled('"')),
    "csv rows": ("a.csv", filled("0,a,1,1\n", "frame,joint,x,y\n")),
    "csv joints": ("a.csv", numbered("0,j#,1,1\n", "frame,joint,x,y\n")),
    "csv people": ("a.csv", numbered("#,p#,nose,9,9\n", "frame,person,joint,x,y\n")),
    "csv people in a frame": ("a.csv", numbered("0,p#,nose,9,9\n", "frame,person,joint,x,y\n")),
    "csv comments": ("a.csv", filled("# a: b\n")),
    "csv columns": ("a.csv", filled("a_x,", "", "b")),
    "deeplabcut": ("a.csv", filled("net,", "scorer,", "net\nbodyparts,a\ncoords,x\n")),
    "yolo rows": ("a.txt", filled("0 .5 .5 .5 .5 " + ".5 " * 34 + "\n")),
    "yolo words": ("a.txt", filled("0 ")),
    "lines": ("a.txt", filled("\n")),
}
CAMERAS: dict[str, tuple[str, Text]] = {
    "kalibr cameras": (
        "a.yaml",
        numbered("cam#:\n  intrinsics: [1,1,1,1]\n", "cam0:\n  intrinsics: 1\n"),
    ),
    "yaml brackets": ("a.yml", filled("[", "K: ")),
    "yaml numbers": ("a.yml", filled("1,", "K: [", "1]")),
    "yaml open": ("a.yml", filled("1,", "K: [")),
    "yaml digits": ("a.yml", filled("1", "K: ")),
    "yaml sexagesimal": ("a.yml", filled(":59", "K: 1")),
    "yaml keys": ("a.yml", numbered("k#: 1\n")),
    "yaml indents": ("a.yml", lambda n: "\n".join(" " * i + "a:" for i in range(int(n**0.5)))),
    "toml dots": ("a.toml", filled(".a", "a", " = 1")),
    "toml inline dots": ("a.toml", filled(".a", "a = {a", " = 1}")),
    "toml tables": ("a.toml", numbered("[a#]\n")),
    "toml list": ("a.toml", filled("1,", "a = [")),
    "toml inline": ("a.toml", filled("{a=", "a = ")),
    "xml depth": ("a.xml", filled("<a>", "<calibration><camera>")),
    "xml attributes": ("a.xml", numbered('a#="1" ', "<calibration ", "/>")),
    "xml cameras": ("a.xml", filled("<camera/>", "<calibration>\n", "</calibration>")),
    "xml text": ("a.xcp", filled("&lt;", "<Cameras>", "</Cameras>")),
    "colmap": ("cameras.txt", filled("1 PINHOLE 1 1 1 1 1 1\n")),
    "colmap words": ("cameras.txt", filled("1 ", "1 PINHOLE 640 480 ")),
    "pickle marks": ("a.pickle", filled("(", "\x80\x02")),
    "pickle memo": ("a.pickle", filled("q\x01", "\x80\x02]")),
    "pickle lists": ("a.pickle", filled("]", "\x80\x02")),
}
_TRC = "PathFileType\t4\n\nr\nFrame#\tTime\tA"
_TSV = "NO_OF_FRAMES\t3\nMARKER_NAMES\tA\n"
MOTION: dict[str, tuple[str, Text]] = {
    "trc tabs": ("a.trc", filled("\t", _TRC + "\n\n\n")),
    "trc rows": ("a.trc", numbered("#\t0\t1\t2\t3\n", _TRC + "\n\n\n")),
    "trc names": ("a.trc", filled("a\t", _TRC + "\t", "\n\n\n1\t0\n")),
    "trc markers": ("a.trc", numbered("m#\t\t\t", _TRC + "\t", "\n\n\n1\t0\n")),
    "qualisys rows": ("a.tsv", numbered("#\t0\t1\t2\t3\n", _TSV)),
    "qualisys tabs": ("a.tsv", filled("\t", _TSV)),
    "qualisys names": ("a.tsv", filled("a\t", _TSV.rstrip(), "\n1\t0\n")),
    "bvh braces": ("a.bvh", filled("{ ", "HIERARCHY ", "\nMOTION\n")),
    "bvh joints": ("a.bvh", numbered("JOINT j# { ", "HIERARCHY ROOT a { ", "\nMOTION\n")),
    "bvh numbers": ("a.bvh", filled("1 ", "HIERARCHY ROOT a { OFFSET 0 0 0 CHANNELS 1 Xrotation }\n"
                                    "MOTION\nFrames: 9\nFrame Time: .1\n")),
    "wide columns": ("a.csv", numbered("a#_x,a#_y,a#_z,", "", "b\n")),
    "wide rows": ("a.csv", filled("1,2,3,1,2,3,1,2,3,1,2,3\n",
                                  ",".join(f"{j}_{a}" for j in "abcd" for a in "xyz") + "\n")),
    "tidy rows": ("a.csv", numbered("#,a,1,2,3\n", "frame,joint,x,y,z\n")),
    "wide 2D rows": ("a.csv", numbered("#,1,2,3,4,5,6,7,8\n",
                                       "frame,a_x,a_y,b_x,b_y,c_x,c_y,d_x,d_y\n")),
    "tidy people": ("a.csv", numbered("0,p#,a,1,2,3\n", "frame,person,joint,x,y,z\n")),
    "tidy frames": ("a.csv", numbered("#00,p#,a,1,2,3\n", "frame,person,joint,x,y,z\n")),
    "world": ("a.json", filled('{"pose_world_landmarks":[]},', "[", "{}]")),
    "azure": ("a.json", filled('{"bodies":[]},', '{"k4abt_x":1,"frames":[', "{}]}")),
    "azure people": ("a.json", numbered('{"bodies":[{"body_id":#,"joint_positions":[[1,2,3]]}]},',
                                        '{"k4abt_x":1,"frames":[', "{}]}")),
    "mmpose": ("a.json", filled('{"instances":[{"keypoints":[[1,2,3]]}]},', "[", "{}]")),
}  # fmt: skip

READERS: dict[str, tuple[dict[str, tuple[str, Text]], Callable[[Path], object]]] = {
    "keypoints": (KEYPOINTS, lambda path: inspect(path, image_size=(640, 480))),
    "cameras": (CAMERAS, lambda path: load_cameras(path, (640, 480))),
    "motion": (MOTION, lambda path: load_motion(path, MotionOptions(unit="m", up="y"))),
    "skeletons": ({n: c for n, c in CAMERAS.items() if n.startswith("toml")}, load_skeleton),
}
CASES = [(kind, name) for kind, (cases, _) in READERS.items() for name in cases]


def seconds(read: Callable[[Path], object], path: Path) -> float:
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(HypoPoseError):
            read(path)
    return time.process_time() - start


def growth(kind: str, name: str, folder: Path, size: int) -> tuple[float, float]:
    """Growth of the time from a quarter of the size, and the time."""
    cases, read = READERS[kind]
    file, text = cases[name]
    taken = []
    for n in (size // 4, size):
        (folder / str(n)).mkdir()
        (folder / str(n) / file).write_bytes(text(n).encode("latin-1"))
        taken.append(seconds(read, folder / str(n) / file))
    return taken[1] / max(taken[0], NOISE_S), taken[1]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_megabyte_takes_four_times_a_quarter(kind: str, name: str, tmp_path: Path) -> None:
    grown, taken = growth(kind, name, tmp_path, MEGABYTE)
    print(f"{kind}: {name}: {taken:.2f} s, {grown:.1f} times a quarter of it")
    assert grown < GROWTH


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_small_ones_are_read_or_refused(kind: str, name: str, tmp_path: Path) -> None:
    cases, read = READERS[kind]
    file, text = cases[name]
    (tmp_path / file).write_bytes(text(2**13).encode("latin-1"))
    assert seconds(read, tmp_path / file) < 60
