"""Written keypoints come back, here and with the libraries others read them with."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from hypopose.errors import FormatError, OptionError, ShapeError
from hypopose.io import detect_format, load, load_people, save_people
from hypopose.io.writers.keypoint_tables import WRITERS
from hypopose.skeletons import COCO17, H36M17
from hypopose.skeletons.user import skeleton_from_names
from hypopose.types import Keypoints2D

pq = pytest.importorskip("pyarrow.parquet")
xr = pytest.importorskip("xarray")
pd = pytest.importorskip("pandas")

OWN = skeleton_from_names("arm3", ("neck", "left_elbow", "right_elbow"), {"left_elbow": "neck"})


def people_in(skeleton, n=2, fps=50.0):
    generator = torch.Generator().manual_seed(0)
    made = {}
    for name in ("ann", "bob")[:n]:
        xy = torch.rand(6, skeleton.n_joints, 2, generator=generator) * 400 + 20
        xy[2, 1] = torch.nan
        xy[4] = torch.nan
        confidence = torch.where(torch.isfinite(xy).all(-1), 0.25, 0.0)
        made[name] = Keypoints2D(
            xy, skeleton, confidence, image_size=(640, 480), fps=fps, approximate=("neck",)
        )
    return made


@pytest.mark.filterwarnings("ignore::hypopose.io.source.DoubtfulInputWarning")
@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("skeleton", [H36M17, OWN], ids=lambda s: s.name)
def test_everything_comes_back(tmp_path, suffix, skeleton):
    people = people_in(skeleton, n=1 if suffix == ".npz" else 2)
    path = tmp_path / f"a{suffix}"
    save_people(path, people)
    kind = {".csv": "tidy", ".parquet": "tidy", ".nc": "movement", ".json": "hypopose-json",
            ".npz": "hypopose"}[suffix]  # fmt: skip
    assert detect_format(path) == kind
    back = load_people(path)
    if suffix != ".npz":
        assert sorted(back) == sorted(people)
    for name, theirs in people.items():
        mine = back["0" if suffix == ".npz" else name]
        assert mine.skeleton == skeleton
        assert (mine.image_size, mine.fps) == ((640, 480), 50.0)
        torch.testing.assert_close(mine.xy, theirs.xy, equal_nan=True, rtol=1e-5, atol=1e-3)
        torch.testing.assert_close(mine.confidence, theirs.confidence)
        assert mine.approximate == ("neck",) or kind == "movement"


def test_others_read_it(tmp_path):
    people = people_in(COCO17)
    for suffix in (".csv", ".parquet", ".nc"):
        save_people(tmp_path / f"a{suffix}", people)
    expected = people["bob"].xy.numpy()
    for table in (
        pd.read_csv(tmp_path / "a.csv", comment="#"),
        pq.read_table(tmp_path / "a.parquet").to_pandas(),
    ):
        bob = table[table.person == "bob"].pivot(index="frame", columns="joint", values="x")
        np.testing.assert_allclose(bob[list(COCO17.joint_names)], expected[..., 0], rtol=1e-5)
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as dataset:
        assert dataset.position.dims == ("time", "space", "keypoints", "individuals")
        assert (dataset.attrs["ds_type"], dataset.attrs["fps"]) == ("poses", 50.0)
        place = dataset.position.sel(individuals="bob", keypoints="nose", space="y")
        np.testing.assert_allclose(place, expected[:, 0, 1])
        np.testing.assert_allclose(dataset.time, np.arange(6) / 50)


def test_json_is_plain_to_others(tmp_path):
    people = people_in(COCO17)
    save_people(tmp_path / "a.json", people)
    stored = json.loads((tmp_path / "a.json").read_text())
    assert stored["skeleton"]["joint_names"] == list(COCO17.joint_names)
    bob = stored["keypoints"]["bob"]
    assert bob["xy"][4] is None  # nobody was seen
    assert bob["xy"][2][1] is None  # a joint was not
    np.testing.assert_allclose(bob["xy"][3], people["bob"].xy[3], atol=1e-4)
    assert bob["confidence"][3] == [0.25] * 17


GOOD_JSON = {
    "hypopose": "keypoints", "schema": 1, "image_size": None, "fps": None, "approximate": [],
    "skeleton": {"name": "arm2", "joint_names": ["a", "b"], "parents": [-1, 0], "left": [],
                 "right": []},
    "keypoints": {"x": {"xy": [[[30, 40], None], None], "confidence": [[0.5, None], None]}},
}  # fmt: skip
BAD_JSON = {
    "schema": ({"schema": 2}, "schema 2, this version reads 1"),
    "skeleton": ({"skeleton": None}, "skeleton: unexpected NoneType"),
    "nobody": ({"keypoints": {}}, "no person in any of its 1 frames"),
    "people in a list": ({"keypoints": []}, "keypoints: expected an object"),
    "no xy": ({"keypoints": {"x": {}}}, "person 'x', xy: expected a list, got null"),
    "joints": ({"keypoints": {"x": {"xy": [[[1, 2]]]}}}, "frame 0: 1 joints, the skeleton has 2"),
    "3D": ({"keypoints": {"x": {"xy": [[[1, 2, 3], None]]}}}, "point 0|3 numbers in one"),
    "lengths": (
        {"keypoints": {"x": {"xy": [None, None], "confidence": [None]}}},
        "2 frames of xy and 1 of confidence",
    ),
    "confidences": (
        {"keypoints": {"x": {"xy": [[[1, 2], [3, 9]]], "confidence": [[1]]}}},
        "frame 0: 1 confidences",
    ),
    "rate": ({"fps": -1}, "fps is not a frame rate"),
    "size": ({"image_size": [1]}, "image_size is not a width and height"),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_json_that_is_refused(tmp_path, name):
    changed, expected = BAD_JSON[name]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD_JSON))
    assert load(path).detected.tolist() == [[True, False], [False, False]]
    path.write_text(json.dumps({**GOOD_JSON, **changed}))
    with pytest.raises(FormatError, match=expected) as caught:
        load(path, format="hypopose-json")
    assert "\n" not in str(caught.value)


def test_movement_takes_what_is_written(tmp_path):
    """Skipped where ``movement`` is not installed."""
    datasets = pytest.importorskip("movement.validators.datasets")
    for fps in (50.0, None):
        people = people_in(COCO17, fps=fps)
        save_people(tmp_path / "a.nc", people)
        with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as ours:
            datasets.ValidPosesInputs.validate(ours)
            theirs = datasets.ValidPosesInputs(
                position_array=ours.position.values,
                confidence_array=ours.confidence.values,
                individual_names=["ann", "bob"],
                keypoint_names=list(COCO17.joint_names),
                fps=fps,
                source_software="HypoPose",
            ).to_dataset()
            xr.testing.assert_equal(ours, theirs)
            assert theirs.attrs.items() <= ours.attrs.items()


def movement_dataset(walk, **attrs):
    """As movement's from_numpy lays it out, transposed to be unkind."""
    return xr.Dataset(
        {
            "position": (("time", "space", "keypoints", "individuals"),
                         np.moveaxis(walk, (0, 1, 2, 3), (3, 0, 2, 1))),
            "confidence": (("time", "keypoints", "individuals"),
                           np.full((walk.shape[1], walk.shape[2], walk.shape[0]), 0.5)),
        },
        coords={
            "time": np.arange(walk.shape[1]) / 25,
            "space": ["x", "y"],
            "keypoints": list(COCO17.joint_names),
            "individuals": ["m1", "m2"],
        },
        attrs={"fps": 25, "time_unit": "seconds", "ds_type": "poses", **attrs},
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore::hypopose.io.source.DoubtfulInputWarning")
@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
@pytest.mark.parametrize("turned", [False, True])
def test_files_of_xarray_and_movement(tmp_path, engine, turned):
    walk = np.random.default_rng(0).uniform(50, 400, (2, 5, 17, 2))
    dataset = movement_dataset(walk)
    if turned:
        dataset = dataset.transpose("individuals", "keypoints", "time", "space")
    dataset.to_netcdf(tmp_path / "a.nc", engine=engine)
    assert detect_format(tmp_path / "a.nc") == "movement"
    people = load_people(tmp_path / "a.nc")
    assert sorted(people) == ["m1", "m2"]
    assert people["m2"].fps == 25
    np.testing.assert_allclose(people["m2"].xy.numpy(), walk[1], rtol=1e-5)
    assert people["m1"].confidence.min() == 0.5


def test_what_cannot_be_written(tmp_path):
    people = people_in(COCO17)
    with pytest.raises(OptionError, match=r"written as .csv, .parquet, .nc, .json, .npz"):
        save_people(tmp_path / "a.txt", people)
    with pytest.raises(OptionError, match=r"An .npz holds one person"):
        save_people(tmp_path / "a.npz", people)
    with pytest.raises(OptionError, match=r"no people"):
        save_people(tmp_path / "a.csv", {})
    mixed = {**people, "c": Keypoints2D(torch.ones(2, 17, 2), H36M17)}
    with pytest.raises(ShapeError, match=r"one skeleton"):
        save_people(tmp_path / "a.csv", mixed)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::hypopose.io.source.DoubtfulInputWarning")
def test_odd_names_survive(tmp_path):
    people = {'a, "b"\n# c': next(iter(people_in(COCO17).values()))}
    save_people(tmp_path / "a.csv", people)
    assert load(tmp_path / "a.csv").n_frames == 6


@pytest.mark.filterwarnings("ignore::hypopose.io.source.DoubtfulInputWarning")
@pytest.mark.parametrize("name", ["=1+1", "+ann", "-1", "@sum", "'=x", "'ann", "ann"])
def test_no_name_is_a_formula_and_all_come_back(name, tmp_path):
    save_people(tmp_path / "a.csv", {name: next(iter(people_in(COCO17).values()))})
    table = pd.read_csv(tmp_path / "a.csv", comment="#", dtype=str)
    assert table.iloc[0, 1][:1] not in ("=", "+", "-", "@")
    assert list(load_people(tmp_path / "a.csv")) == [name]
