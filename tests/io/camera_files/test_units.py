"""A wrong unit is inferred where one is plausible, else refused; never believed."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from hypopose.errors import FormatError, OptionError
from hypopose.io import CameraFileWarning, load_camera, load_cameras
from hypopose.io.camera_files.units import in_meters, parse_unit, viewing_distance
from hypopose.types import Camera

SHARED = Path(__file__).parents[4] / "shared" / "cases"


def rig(distance: float, n: int = 3) -> dict[str, Camera]:
    """Cameras on a circle around the origin, looking at it."""
    cameras = {}
    for i in range(n):
        a = 2 * np.pi * i / n
        z = -np.array([np.cos(a), np.sin(a), 0.0])
        x = np.array([-np.sin(a), np.cos(a), 0.0])
        R = np.stack([x, np.cross(z, x), z])
        cameras[f"c{i}"] = Camera(
            torch.tensor([900.0, 900.0]),
            torch.tensor([640.0, 360.0]),
            (1280, 720),
            rotation=torch.from_numpy(R).float(),
            translation=torch.tensor([0.0, 0.0, distance]),
        )
    return cameras


@pytest.mark.parametrize("distance", [0.5, 3.0, 20.0, 59.0])
def test_meters_are_believed_without_a_word(distance: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = in_meters(rig(distance), "f")["c1"]
    assert scaled.translation is not None
    assert scaled.translation.tolist() == pytest.approx([0, 0, distance])


@pytest.mark.parametrize("distance", [1800.0, 4000.0, 14_000.0])
def test_millimeters_are_inferred_and_said(distance: float) -> None:
    with pytest.warns(CameraFileWarning, match=r"f: .* taken as millimeters.*unit="):
        camera = in_meters(rig(distance), "f")["c0"]
    assert camera.translation is not None
    assert camera.translation.tolist() == pytest.approx([0, 0, distance / 1000])


@pytest.mark.parametrize("distance", [90.0, 300.0, 900.0, 60_000.0, 1e7])
def test_what_several_units_or_none_explain_is_refused(distance: float) -> None:
    with pytest.raises(FormatError, match=r"not plausible in meters.*unit=mm"):
        in_meters(rig(distance), "f")


def test_a_format_of_millimeters_in_meters_is_inferred_too() -> None:
    with pytest.warns(CameraFileWarning, match="taken as meters"):
        camera = in_meters(rig(3.0), "f", documented="mm")["c0"]
    assert camera.translation is not None
    assert camera.translation[2].item() == pytest.approx(3.0)


@pytest.mark.parametrize("distance", [60.0, 118.0, 190.0])
def test_centimeters_are_not_inferred_where_inches_are_plausible(distance: float) -> None:
    with pytest.raises(FormatError, match=r"not plausible in millimeters; name the unit: .*in,"):
        in_meters(rig(distance), "f", documented="mm")


@pytest.mark.parametrize(
    ("unit", "meters"),
    [("m", 1.0), ("cm", 0.01), ("mm", 0.001), ("in", 0.0254), (0.03, 0.03)],
)
def test_a_named_unit_is_taken(unit: str | float, meters: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        camera = in_meters(rig(700.0), "f", unit)["c0"]
    assert camera.translation is not None
    assert camera.translation[2].item() == pytest.approx(700 * meters)


@pytest.mark.parametrize("unit", ["inch", "", "0", "-1", "nan", "1e9"])
def test_a_unit_that_is_none_is_refused(unit: str) -> None:
    with pytest.raises(OptionError, match="A unit is m, cm, mm, in or a number"):
        parse_unit(unit)


def test_distances_of_one_camera_and_of_parallel_ones() -> None:
    one = rig(4.0, 1)
    assert viewing_distance(list(one.values())) == pytest.approx(4.0)
    still = Camera(torch.tensor([900.0, 900.0]), torch.tensor([640.0, 360.0]), (1280, 720))
    assert viewing_distance([still]) is None
    R = torch.eye(3)
    side = [
        Camera(still.focal, still.center, still.image_size, rotation=R,
               translation=torch.tensor([x, 0.0, 0.0])) for x in (0.0, 0.2)
    ]  # fmt: skip
    assert viewing_distance(side) == pytest.approx(0.2)


@pytest.mark.shared
def test_the_millimeter_rig_is_its_meter_twin() -> None:
    folder = SHARED / "anipose-mm-two-views"
    if not folder.is_dir():
        pytest.skip(f"the rig of two views is not at {folder}")
    meters = load_cameras(folder / "calibration_m.toml")
    with pytest.warns(CameraFileWarning, match="taken as millimeters"):
        inferred = load_cameras(folder / "calibration_mm.toml")
    named = load_cameras(folder / "calibration_mm.toml", unit="mm")
    for name, camera in meters.items():
        for twin in (inferred[name], named[name]):
            torch.testing.assert_close(twin.translation, camera.translation, atol=1e-5, rtol=0)


@pytest.mark.shared
def test_the_field_cases_give_what_their_readme_says() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"the cases are not at {SHARED}")
    opencap = load_camera(SHARED / "opencap-pickle" / "cameraIntrinsicsExtrinsics.pickle")
    assert opencap.image_size == (720, 1280)
    assert opencap.translation is not None
    torch.testing.assert_close(opencap.translation, torch.tensor([0.1, 0.2, 3.0]))
    intri = SHARED / "easymocap-cameras" / "intri.yml"
    assert load_camera(intri, "02", (1280, 720)).focal.tolist() == [1100.0, 1100.0]
    with pytest.raises(FormatError, match=r"image_size=\(W, H\)"):
        load_camera(intri, "02")
    caliscope = SHARED / "caliscope-rotation-count" / "camera_array.toml"
    with pytest.warns(CameraFileWarning, match="turned by 90 degrees clockwise"):
        turned = load_camera(caliscope, "cam_0")
    assert turned.image_size == (1080, 1920)
    assert turned.center.tolist() == [540.0, 960.0]
