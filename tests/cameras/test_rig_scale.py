"""Several cameras and what they saw: limbs of a person's length, rays that meet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from walker import PLACES, rig, walk

from hypopose.cameras.rig_scale import nearest_points, rig_scale
from hypopose.cli.multi_camera import load_views
from hypopose.errors import OptionError
from hypopose.io import save_camera, save_people
from hypopose.skeletons import get_skeleton

COCO = get_skeleton("coco17")


def test_a_rig_in_meters_is_plausible() -> None:
    scale = rig_scale(rig())
    assert scale.limb == pytest.approx(0.37, abs=0.1)
    assert scale.miss < 1e-3
    assert scale.plausible
    assert scale.meets


@pytest.mark.parametrize(("unit", "words"), [(0.001, "mm"), (0.01, "cm")])
def test_a_rig_in_another_unit_is_not(unit: float, words: str) -> None:
    scale = rig_scale(rig(unit))
    assert not scale.plausible
    assert scale.unit_words() == words


def test_rays_of_a_wrong_camera_pass_each_other() -> None:
    views = rig()
    swapped = [replace(views[0], camera=views[1].camera), replace(views[1], camera=views[0].camera)]
    assert not rig_scale(swapped).meets


def test_points_are_found_where_two_cameras_see_them() -> None:
    views = rig()
    x = torch.from_numpy(walk(COCO.joint_names))
    centers = torch.tensor(PLACES)
    directions = (x.float() - centers[:, None, None]).clone()
    directions[1, 3] = torch.nan
    directions[:2, 5] = torch.nan
    points, miss = nearest_points(centers, directions)
    assert (points[:5] - x[:5]).abs().max() < 1e-5
    assert points[5].isnan().all()
    assert miss[:5].max() < 1e-6
    parallel, _ = nearest_points(torch.zeros(2, 3), torch.ones(2, 1, 1, 3))
    assert parallel.isnan().all()
    assert rig_scale([replace(v, xy=torch.full_like(v.xy, torch.nan)) for v in views]).plausible


@pytest.mark.parametrize("unit", [1.0, 0.001])
def test_the_command_refuses_a_wrong_unit_and_the_cure_works(unit: float, tmp_path: Path) -> None:
    views = rig(unit)[:2]
    for i, view in enumerate(views):
        save_people(tmp_path / f"{i}.json", {"0": replace(view, camera=None)})
        save_camera(tmp_path / f"camera{i}.json", view.camera)
    options = {
        "view_files": [(tmp_path / "1.json", str(tmp_path / "camera1.json"))],
        "camera_file": str(tmp_path / "camera0.json"), "sampler": "platypose", "weights": None,
        "input_format": None, "skeleton": None, "fps": None, "person": None, "image_size": None,
        "camera_unit": "m", "height": None, "ground": False, "camera_motion": None,
    }  # fmt: skip
    if unit == 1.0:
        assert len(load_views(options, [tmp_path / "0.json"])) == 1
        return
    with pytest.raises(OptionError, match=r"limbs are .* m long.*--camera-unit mm"):
        load_views(options, [tmp_path / "0.json"])
    assert len(load_views({**options, "camera_unit": "mm"}, [tmp_path / "0.json"])) == 1
