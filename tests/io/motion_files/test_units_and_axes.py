"""Units and axes of 3D motion: stated, told, inferred and said, or refused with a cure."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from walker import in_axes, native, walk, write_trc

from hypopose.errors import FormatError
from hypopose.io.motion_files import MotionOptions, load_motion
from hypopose.io.motion_files.motion_axes import TURNS, turned
from hypopose.io.source import DoubtfulInputWarning
from hypopose.skeletons import get_skeleton

COCO = get_skeleton("coco17").joint_names
UNITS = {"m": 1.0, "cm": 100.0, "mm": 1000.0}


def saved(folder: Path, x: np.ndarray) -> Path:
    np.save(folder / "walk.npy", x)
    return folder / "walk.npy"


def read(path: Path, **options):
    """The motion, and what was doubted."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        motion = load_motion(path, MotionOptions(**options))["0"]
    assert all(w.category is DoubtfulInputWarning for w in caught)
    return motion, [str(w.message) for w in caught]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("up", TURNS)
def test_unit_and_axis_are_inferred_and_said(unit, up, tmp_path):
    motion, doubts = read(saved(tmp_path, UNITS[unit] * in_axes(walk(COCO), up)), skeleton="coco17")
    assert np.abs(motion.places - native(walk(COCO))).max() < 1e-6
    words = {"m": "meters", "cm": "centimeters", "mm": "millimeters"}
    assert f"read in {words[unit]}" in doubts[0]
    assert ("y down" if up == "native" else f"{up} up") in doubts[1]
    told, silent = read(tmp_path / "walk.npy", skeleton="coco17", unit=unit, up=up)
    assert silent == []
    assert np.array_equal(told.places, motion.places)


@pytest.mark.parametrize("turn", TURNS.values())
def test_turns_are_rotations(turn):
    matrix = np.array(turn)
    assert np.array_equal(matrix @ matrix.T, np.eye(3))
    assert round(np.linalg.det(matrix)) == 1


def test_turned_brings_the_axis_up():
    for up, axis in {"x": (1, 0, 0), "-x": (-1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1),
                     "-z": (0, 0, -1), "native": (0, -1, 0)}.items():  # fmt: skip
        assert turned(np.array(axis, dtype=float), up).tolist() == [0, -1, 0]


def test_a_unit_that_a_file_states_wrongly_is_replaced_and_said(tmp_path):
    path = write_trc(tmp_path / "a.trc", COCO, in_axes(walk(COCO), "y"), unit="mm")
    motion, doubts = read(path)
    assert np.abs(motion.places - native(walk(COCO))).max() < 1e-5
    assert "read in meters, though it says mm" in doubts[0]


def test_an_axis_that_is_not_the_formats_is_taken_and_said(tmp_path):
    path = write_trc(tmp_path / "a.trc", COCO, in_axes(walk(COCO), "z"), unit="m")
    motion, doubts = read(path)
    assert motion.up == "z"
    assert "z up and not y up, as is usual" in doubts[0]
    told, silent = read(path, up="y")
    assert told.up == "y"
    assert silent == []


@pytest.mark.parametrize("scale", [7.3, 0.02, 1e5])
def test_no_unit_fits_and_the_cure_works(scale, tmp_path):
    path = saved(tmp_path, scale * walk(COCO))
    with pytest.raises(FormatError, match="none of m, cm and mm") as caught:
        read(path, skeleton="coco17")
    unit = re.search(r"unit=([\d.e-]+)", str(caught.value))
    motion, _ = read(path, skeleton="coco17", unit=unit.group(1).rstrip("."))
    leg = np.linalg.norm(motion.places[0, 13] - motion.places[0, 11])
    assert 0.4 < leg < 0.5


def test_a_unit_told_against_the_limbs_is_refused_and_the_cure_works(tmp_path):
    path = saved(tmp_path, 1000 * walk(COCO))
    with pytest.raises(FormatError, match="give unit=mm"):
        read(path, skeleton="coco17", unit="m")
    assert read(path, skeleton="coco17", unit="mm")[0].places[0, 0, 1] < 0


def test_a_child_is_no_centimeter_adult(tmp_path):
    motion, doubts = read(saved(tmp_path, 0.5 * walk(COCO)), skeleton="coco17")
    assert "read in meters" in doubts[0]
    assert np.abs(motion.places - 0.5 * native(walk(COCO))).max() < 1e-6


def test_points_without_limbs_need_a_unit(tmp_path):
    names = ["a", "b", "c", "d", "e"]
    path = write_trc(tmp_path / "a.trc", names, np.random.default_rng(0).normal(0, 1, (5, 5, 3)),
                     unit="parsec")  # fmt: skip
    with pytest.raises(FormatError, match="unit=m, unit=cm or unit=mm"):
        read(path)
    motion, doubts = read(path, unit="cm")
    assert doubts == []
    assert 0.0 < np.abs(motion.places).max() < 0.05


def test_nobody_upright_needs_an_axis_and_the_cure_works(tmp_path):
    lying = walk(COCO)[..., [2, 1, 0]] * [1, 1, -1]
    c, s = np.cos(0.8), np.sin(0.8)
    tilted = lying @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    path = saved(tmp_path, tilted)
    with pytest.raises(FormatError, match="up=y, up=z or, for camera frames, up=native"):
        read(path, skeleton="coco17")
    motion, _ = read(path, skeleton="coco17", up="z")
    assert np.abs(motion.places - native(tilted)).max() < 1e-6


def test_left_handed_axes_are_doubted_and_mirroring_mends_them(tmp_path):
    path = saved(tmp_path, walk(COCO) * [-1, 1, 1])
    _, doubts = read(path, skeleton="coco17", unit="m", up="z")
    assert "mirror=True" in doubts[0]
    motion, silent = read(path, skeleton="coco17", unit="m", up="z", mirror=True)
    assert silent == []
    assert np.abs(motion.places - native(walk(COCO))).max() < 1e-6


def test_a_wrong_skeleton_is_refused_and_the_right_one_named(tmp_path):
    path = saved(tmp_path, walk(COCO))
    with pytest.raises(FormatError, match=r"limbs are no person's; .*skeleton=coco17"):
        read(path, skeleton="h36m17")
    with pytest.raises(FormatError, match="order the file does not name; name it: skeleton=coco17"):
        read(path)
    with pytest.raises(FormatError, match="17 keypoints per person, but body25 has 25"):
        read(path, skeleton="body25")
    saved(tmp_path, walk(COCO)[:, :9])
    with pytest.raises(FormatError, match=r"skeleton=FILE\.toml"):
        read(path)


def test_flat_points_and_image_landmarks_are_keypoints(tmp_path):
    flat = walk(COCO)
    flat[..., 1] = 0
    with pytest.raises(FormatError, match="one plane; 2D keypoints go to hypopose sample"):
        read(saved(tmp_path, flat), skeleton="coco17")
    joints = get_skeleton("mediapipe33").joint_names
    image = in_axes(walk(joints), "native")[:, :, :3] * 0.3 + [0.2, 0.6, 0.0]
    image[..., 2] = np.random.default_rng(0).normal(0, 0.05, image.shape[:2])
    path = saved(tmp_path, image)
    with pytest.raises(FormatError, match="image landmarks, fractions of the image"):
        read(path, skeleton="mediapipe33")


def test_far_places_are_doubted(tmp_path):
    _, doubts = read(saved(tmp_path, walk(COCO, aside=(5000.0, 0, 0))), skeleton="coco17", unit="m",
                     up="z")  # fmt: skip
    assert "m from the origin" in doubts[0]
