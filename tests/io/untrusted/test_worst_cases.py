"""Files of a megabyte that make a parser work hard: every reader stays linear, or refuses them."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from hypopose.errors import HypoPoseError
from hypopose.io import inspect, load_cameras
from hypopose.skeletons import load_skeleton

MEGABYTE = 2**20
CPU_SECONDS = 30.0
"""Of the slowest case about five on an idle machine; a quadratic parser takes minutes."""


def filled(unit: str, before: str = "", after: str = "") -> str:
    return before + unit * ((MEGABYTE - len(before) - len(after)) // len(unit)) + after


KEYPOINTS = {
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
    "json strings": ("a.json", filled('"\\u0041",', "[", '""]')),
    "json annotations": ("a.json", filled("{},", '{"images":[],"annotations":[', "{}]}")),
    "csv commas": ("a.csv", filled(",")),
    "csv quotes": ("a.csv", filled('"')),
    "csv rows": ("a.csv", filled("0,a,1,1\n", "frame,joint,x,y\n")),
    "csv joints": ("a.csv", "frame,joint,x,y\n" + "".join(f"0,j{i},1,1\n" for i in range(70_000))),
    "csv people": (
        "a.csv",
        "frame,person,joint,x,y\n" + "".join(f"{i},p{i},nose,9,9\n" for i in range(2_000)),
    ),
    "csv comments": ("a.csv", filled("# a: b\n")),
    "csv columns": ("a.csv", filled("a_x,", "", "b")),
    "deeplabcut": ("a.csv", filled("net,", "scorer,", "net\n") + "bodyparts,a\ncoords,x\n"),
    "yolo rows": ("a.txt", filled("0 .5 .5 .5 .5 " + ".5 " * 34 + "\n")),
    "yolo words": ("a.txt", filled("0 ")),
    "lines": ("a.txt", filled("\n")),
}
CAMERAS = {
    "yaml brackets": ("a.yml", filled("[", "K: ")),
    "yaml numbers": ("a.yml", filled("1,", "K: [", "1]")[: MEGABYTE - 1]),
    "yaml open": ("a.yml", filled("1,", "K: [")),
    "yaml digits": ("a.yml", filled("1", "K: ")),
    "yaml sexagesimal": ("a.yml", filled(":59", "K: 1")),
    "yaml keys": ("a.yml", "\n".join(f"k{i}: 1" for i in range(80_000))),
    "yaml indents": ("a.yml", "\n".join(" " * i + "a:" for i in range(1400))),
    "toml dots": ("a.toml", filled(".a", "a", " = 1")[: 2**19]),
    "toml inline dots": ("a.toml", (filled(".a", "a = {a")[: 2**19 - 9]) + " = 1}"),
    "toml tables": ("a.toml", "\n".join(f"[a{i}]" for i in range(60_000))),
    "toml list": ("a.toml", filled("1,", "a = [")[: 2**19]),
    "toml inline": ("a.toml", filled("{a=", "a = ")[: 2**19]),
    "xml depth": ("a.xml", filled("<a>", "<calibration><camera>")),
    "xml attributes": (
        "a.xml",
        "<calibration " + " ".join(f'a{i}="1"' for i in range(80_000)) + "/>",
    ),
    "xml cameras": ("a.xml", filled("<camera/>", "<calibration>\n", "</calibration>")),
    "xml text": ("a.xcp", filled("&lt;", "<Cameras>", "</Cameras>")),
    "colmap": ("cameras.txt", filled("1 PINHOLE 1 1 1 1 1 1\n")),
    "colmap words": ("cameras.txt", filled("1 ", "1 PINHOLE 640 480 ")),
    "pickle marks": ("a.pickle", filled("(", "\x80\x02")),
    "pickle memo": ("a.pickle", filled("q\x01", "\x80\x02]")),
    "pickle lists": ("a.pickle", filled("]", "\x80\x02")),
}


def seconds(read: Callable[[Path], object], path: Path) -> float:
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(HypoPoseError):
            read(path)
    return time.process_time() - start


@pytest.mark.slow
@pytest.mark.parametrize("name", KEYPOINTS)
def test_keypoint_readers_are_linear(name: str, tmp_path: Path) -> None:
    file, text = KEYPOINTS[name]
    (tmp_path / file).write_text(text)
    taken = seconds(lambda path: inspect(path, image_size=(640, 480)), tmp_path / file)
    print(f"{name}: {taken:.2f} s")
    assert taken < CPU_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("name", CAMERAS)
def test_camera_readers_are_linear(name: str, tmp_path: Path) -> None:
    file, text = CAMERAS[name]
    (tmp_path / file).write_bytes(text.encode("latin-1"))
    taken = seconds(lambda path: load_cameras(path, (640, 480)), tmp_path / file)
    print(f"{name}: {taken:.2f} s")
    assert taken < CPU_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CAMERAS if name.startswith("toml")])
def test_skeleton_files_are_linear(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CAMERAS[name][1])
    assert seconds(load_skeleton, tmp_path / "a.toml") < CPU_SECONDS
