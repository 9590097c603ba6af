from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hypopose.cameras import look_at
from hypopose.errors import FormatError, OptionError
from hypopose.io import (
    CameraRig,
    RigClock,
    load_camera,
    load_cameras,
    load_rig,
    save_calibration,
    save_rig,
)
from hypopose.types import Camera


@pytest.fixture
def rig() -> CameraRig:
    cameras = {}
    for i, name in enumerate(("front", "left side")):
        place = torch.tensor([4.0 - i, 1.0 + 3 * i, 1.4])
        R = look_at(torch.tensor([0.0, 0.0, 1.0]) - place)
        cameras[name] = Camera(
            torch.tensor([1500.0 + i, 1490.0]),
            torch.tensor([955.0, 545.0]),
            (1920, 1080),
            distortion=torch.tensor([-0.1, 0.02, 0.001, -0.001, 0.0]) if i else None,
            distortion_model="opencv" if i else "none",
            rotation=R,
            translation=-R @ place,
        )
    clocks = {"front": RigClock(), "left side": RigClock(-3.25, 1.2, "side.csv", 90)}
    return CameraRig(cameras, clocks, {"source": "bones", "relative_std": 0.05}, {"front": 4.0})


def test_a_rig_comes_back(rig: CameraRig, tmp_path: Path) -> None:
    save_rig(tmp_path / "rig.json", rig)
    again = load_rig(tmp_path / "rig.json")
    assert again.clocks == rig.clocks
    assert again.scale_std == 0.05
    assert again.rms_px == {"front": 4.0}
    front = load_camera(tmp_path / "rig.json", "front")
    torch.testing.assert_close(front.rotation, rig.cameras["front"].rotation)


@pytest.mark.parametrize("ending", [".json", ".toml", ".yml", ".yaml"])
def test_every_format_is_read_back(rig: CameraRig, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"calib{ending}"
    save_calibration(path, rig)
    found = load_cameras(path)
    assert list(found) == list(rig.cameras)
    for name, camera in rig.cameras.items():
        for key in ("focal", "center", "rotation", "translation"):
            torch.testing.assert_close(
                getattr(found[name], key), getattr(camera, key), atol=1e-5, rtol=1e-5
            )
        assert found[name].image_size == camera.image_size
    lens = found["left side"].distortion
    assert lens is not None
    torch.testing.assert_close(lens, rig.cameras["left side"].distortion)


def test_pose2sim_and_anipose_find_their_keys(rig: CameraRig, tmp_path: Path) -> None:
    import tomllib

    save_calibration(tmp_path / "Calib.toml", rig)
    tables = tomllib.loads((tmp_path / "Calib.toml").read_text())
    assert set(tables) == {"front", "left side", "metadata"}
    keys = {"name", "size", "matrix", "distortions", "rotation", "translation", "fisheye"}
    assert set(tables["front"]) == keys
    assert tables["front"]["fisheye"] is False
    assert len(tables["front"]["rotation"]) == 3


def test_a_lens_that_others_do_not_know_is_refused(rig: CameraRig, tmp_path: Path) -> None:
    from dataclasses import replace

    odd = replace(rig.cameras["left side"], distortion_model="vp3d")
    with pytest.raises(OptionError, match=r"write \.json"):
        save_calibration(tmp_path / "calib.toml", CameraRig({"odd": odd}))
    with pytest.raises(OptionError, match=r"not as .*calib\.xml"):
        save_calibration(tmp_path / "calib.xml", rig)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "clock",
    [{"offset": "late"}, {"rate": 0}, {"rate": float("inf")}, {"n_frames": -1}, {"source": 3}],
)
def test_impossible_clocks_are_refused(rig: CameraRig, tmp_path: Path, clock: dict) -> None:  # type: ignore[type-arg]
    path = tmp_path / "rig.json"
    save_rig(path, rig)
    values = json.loads(path.read_text())
    values["clocks"]["front"].update(clock)
    path.write_text(json.dumps(values).replace("Infinity", "1e400"))
    with pytest.raises(FormatError, match="clock of 'front'"):
        load_rig(path)


def test_cameras_without_a_place_are_no_rig(tmp_path: Path) -> None:
    flat = CameraRig({"a": Camera.from_fov((640, 480)), "b": Camera.from_fov((640, 480))})
    save_rig(tmp_path / "rig.json", flat)
    with pytest.raises(OptionError, match="find one with hypopose cameras"):
        load_rig(tmp_path / "rig.json")
