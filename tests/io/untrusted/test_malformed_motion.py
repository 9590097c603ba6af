"""Mangled files of 3D motion and of cameras are read, or refused in one line."""

from __future__ import annotations

import warnings
from pathlib import Path

import fuzz_seeds
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypopose.errors import HypoPoseError
from hypopose.io import load_cameras
from hypopose.io.motion_files import MOTION_FORMATS, MotionOptions, load_motion, motion_format

SEEDS = [("motion", kind, raw) for kind, raws in fuzz_seeds.MOTION.items() for raw in raws]
SEEDS += [("camera", kind, raw) for kind, raws in fuzz_seeds.CAMERAS.items() for raw in raws]
PIECES = [b"", b"-1", b"nan", b"1e400", b'"', b"{", b"[", b",", b"\n", b"\t", b"<", b"\xff"]


def attempt(room: str, kind: str, path: Path, **told: object) -> None:
    refused = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if room == "camera":
                load_cameras(path, (640, 480))
            else:
                for motion in load_motion(path, MotionOptions(**told)).values():
                    assert motion.places.shape[1:] == (motion.skeleton.n_joints, 3)
                    assert not np.isinf(motion.places).any()
        except HypoPoseError as error:
            refused = str(error)
    assert "\n" not in refused
    assert len(refused) < 5000


NO_BODY = ("mediapipe-world", "azure-kinect-3d", "kinect-3d")
"""Seeds of points that are no body's: the format is right, the limbs are not."""


@pytest.mark.parametrize(("room", "kind", "raw"), SEEDS)
def test_seeds_are_read(room: str, kind: str, raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind if room == 'camera' else 'dat'}"
    path.write_bytes(raw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if room == "camera":
            assert load_cameras(path, (640, 480))
            return
        assert motion_format(path) == kind
        if kind not in NO_BODY:
            told = {"up": "y"} | ({"skeleton": "coco17"} if kind == "arrays-3d" else {})
            people = load_motion(path, MotionOptions(**told))
            assert {motion.format for motion in people.values()} == {kind}


def test_every_text_format_has_a_seed() -> None:
    assert set(MOTION_FORMATS) - set(fuzz_seeds.MOTION) == {"c3d", "easymocap-3d"}
    assert "motion:easymocap-3d" in fuzz_seeds.FOLDERS


@pytest.mark.parametrize("name", fuzz_seeds.FOLDERS)
def test_seeds_that_are_folders_are_read(name: str, tmp_path: Path) -> None:
    names, body = fuzz_seeds.FOLDERS[name]
    for file, part in zip(names, body.split(fuzz_seeds.BETWEEN), strict=True):
        (tmp_path / file).write_bytes(part)
    if name.startswith("camera"):
        assert load_cameras(tmp_path, (640, 480))
    else:
        (motion,) = load_motion(tmp_path, MotionOptions(skeleton="coco17", up="y")).values()
        assert motion.places.shape == (3, 17, 3)


def test_the_seed_of_c3d_is_read(tmp_path: Path) -> None:
    pytest.importorskip("ezc3d")
    (tmp_path / "a.c3d").write_bytes(fuzz_seeds.c3d())
    (motion,) = load_motion(tmp_path / "a.c3d", MotionOptions(up="y")).values()
    assert motion.places.shape == (3, 17, 3)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_mangled_seeds_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    room, kind, seed = data.draw(st.sampled_from(SEEDS))
    raw = bytearray(seed)
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 4))] = data.draw(st.sampled_from(PIECES))
    path = tmp_path / f"a.{kind if room == 'camera' else 'dat'}"
    path.write_bytes(bytes(raw))
    told = data.draw(st.sampled_from([{}, {"unit": "m", "up": "y"}, {"format": kind}]))
    attempt(room, kind, path, **(told if room == "motion" else {}))
