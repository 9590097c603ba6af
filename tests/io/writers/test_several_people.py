"""Several people in one file, opened again by others: ezc3d, c3d, pandas."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import replace

import numpy as np
import pytest
from handed_body import N_FRAMES, N_HYPOTHESES, placed, y_up, z_up

import hypopose
from hypopose.errors import OptionError
from hypopose.io import EXPORTERS, ExportOptions
from hypopose.io.writers import export_people
from hypopose.io.writers.several_people import label_prefixes, person_names
from hypopose.skeletons import H36M17

NAMES = list(H36M17.joint_names)
SHORT = 8
CAMERA = ExportOptions(frame="camera")


def cut(result, n, person):
    """The first frames, as another person who stands elsewhere."""
    x, pose, keypoints = result.hypotheses, result.pose, result.keypoints
    aside = x.root.new_tensor([0.7, 0.0, 0.5])
    return replace(
        result,
        person=person,
        hypotheses=replace(x, joints=x.joints[:, :n], root=x.root[:, :n] + aside),
        pose=replace(
            pose, joints=pose.joints[:n], root=pose.root[:n] + aside, std=2 * pose.std[:n]
        ),
        keypoints=replace(
            keypoints, xy=keypoints.xy[:n], confidence=keypoints.confidence[:n], covariance=None
        ),
    )


@pytest.fixture
def pair(result):
    """One called 0, and one called ann who leaves earlier."""
    return [result, cut(result, SHORT, "ann")]


def check_places(first, second, pair, axes):
    assert np.abs(first - axes(placed(pair[0]))).max() < 1e-5
    assert np.abs(second[:SHORT] - axes(placed(pair[1]))).max() < 1e-5
    assert np.isnan(second[SHORT:]).all()


def test_ezc3d_reads_both(pair, tmp_path):
    done = export_people(tmp_path / "two.c3d", pair, CAMERA)
    file = importlib.import_module("ezc3d").c3d(str(tmp_path / "two.c3d"))
    point = file["parameters"]["POINT"]
    labels, angles = point["LABELS"]["value"], point["ANGLES"]["value"]
    assert {label.partition(":")[0] for label in labels} == {"P0", "ann"}
    assert len(set(labels)) == len(labels) == len(point["DESCRIPTIONS"]["value"])
    assert max(map(len, labels)) <= 32
    assert angles == [label for label in labels if label.endswith("Angles")]
    assert len(angles) == 2 * 10
    columns = {who: [labels.index(f"{who}:{name}") for name in NAMES] for who in ("P0", "ann")}
    points = file["data"]["points"][:3].transpose(2, 1, 0) / 1000
    check_places(*(points[:, columns[who]] for who in ("P0", "ann")), pair, z_up)
    residuals = file["data"]["meta_points"]["residuals"][0].T
    sigma = 1000 * pair[0].pose.std.norm(dim=-1).numpy()
    assert np.abs(residuals[:, columns["P0"]] - sigma).max() <= 0.5 + 1e-3
    wide = np.minimum(2 * sigma[:SHORT], 255)
    assert np.abs(residuals[:SHORT, columns["ann"]] - wide).max() <= 0.5 + 1e-3
    assert (residuals[SHORT:, columns["ann"]] == -1).all()
    ours = file["parameters"]["HYPOPOSE"]
    assert len(ours["SIGMA"]["value"]) == 34
    assert [words.split()[-1] for words in ours["SOURCE"]["value"]] == ["0", "ann"]
    assert done.notes[-2:] == (
        f"ann: unknown after frame {SHORT}", "labels begin with P0:, ann:",
    )  # fmt: skip


def test_angles_stay_with_their_person(pair, tmp_path):
    ezc3d = importlib.import_module("ezc3d")
    export_people(tmp_path / "two.c3d", pair, CAMERA)
    hypopose.io.export_result(tmp_path / "ann.c3d", pair[1], CAMERA)
    both, alone = (ezc3d.c3d(str(tmp_path / f"{name}.c3d")) for name in ("two", "ann"))
    at = both["parameters"]["POINT"]["LABELS"]["value"].index("ann:LKneeAngles")
    own = alone["parameters"]["POINT"]["LABELS"]["value"].index("LKneeAngles")
    found = both["data"]["points"][:3, at, :SHORT]
    assert np.allclose(found, alone["data"]["points"][:3, own], atol=1e-3)
    assert found[0].max() > 1


def test_the_c3d_package_reads_both(pair, tmp_path):
    export_people(tmp_path / "two.c3d", pair, CAMERA)
    c3d = importlib.import_module("c3d")
    with (tmp_path / "two.c3d").open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses analog data
        reader = c3d.Reader(stream)
        labels = [label.strip() for label in reader.point_labels]
        points = np.stack([rows[:, :3] for _, rows, _ in reader.read_frames()]) / 1000
    columns = [labels.index(f"ann:{name}") for name in NAMES]
    assert np.abs(points[:SHORT, columns] - z_up(placed(pair[1]))).max() < 1e-5


def test_pandas_reads_both_from_trc(pair, tmp_path):
    done = export_people(tmp_path / "two.trc", pair, CAMERA)
    lines = (tmp_path / "two.trc").read_text().splitlines()
    assert lines[2].split("\t")[:5] == ["25", "25", str(N_FRAMES), "34", "mm"]
    assert [name for name in lines[3].split("\t")[2:] if name] == [
        f"{who}:{name}" for who in ("P0", "ann") for name in NAMES
    ]
    pandas = importlib.import_module("pandas")
    table = pandas.read_csv(tmp_path / "two.trc", sep="\t", skiprows=6, header=None)
    points = table.iloc[:, 2:].to_numpy().reshape(N_FRAMES, 34, 3) / 1000
    check_places(points[:, :17], points[:, 17:], pair, y_up)
    assert [path.name for path in tmp_path.iterdir()] == ["two.trc"]
    assert "no set-ups" in done.notes[-1]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_pandas_reads_both_from_tables(pair, tmp_path, ending):
    path = tmp_path / f"two.{ending}"
    export_people(path, pair, CAMERA)
    pandas = importlib.import_module("pandas")
    table = pandas.read_csv(path) if ending == "csv" else pandas.read_parquet(path)
    assert list(table)[:3] == ["person", "frame", "time"]
    for result, who, n in zip(pair, ("0", "ann"), (N_FRAMES, SHORT), strict=True):
        own = table[table["person"].astype(str) == who]
        assert len(own) == (1 + N_HYPOTHESES) * n * 17
        rows = own[own["hypothesis"].astype(str) == "1"]
        xyz = rows[["x", "y", "z"]].to_numpy() + rows[["root_x", "root_y", "root_z"]].to_numpy()
        assert np.abs(xyz.reshape(n, 17, 3) - placed(result, 1)).max() < 1e-5
        assert rows["joint"].tolist()[:17] == NAMES


@pytest.mark.parametrize("ending", ["c3d", "trc"])
def test_both_come_back_by_import(pair, tmp_path, ending):
    export_people(tmp_path / f"two.{ending}", pair, CAMERA)
    back = hypopose.import_motion(tmp_path / f"two.{ending}", to="h36m17")
    assert list(back) == ["P0", "ann"]
    for motion, result in zip(back.values(), pair, strict=True):
        found = motion.pose.joints.numpy()[: result.keypoints.n_frames]
        found = found - found[:, :1]
        wanted = result.pose.joints.numpy()
        assert np.linalg.norm(found[:, 3] - found[:, 6], axis=-1) == pytest.approx(
            np.linalg.norm(wanted[:, 3] - wanted[:, 6], axis=-1), abs=1e-3
        )


def test_people_with_one_name_are_numbered(result, tmp_path):
    pandas = importlib.import_module("pandas")
    pair = [result, replace(cut(result, SHORT, result.person), source="b.json")]
    done = export_people(tmp_path / "two.csv", pair)
    assert set(pandas.read_csv(tmp_path / "two.csv")["person"]) == {0, 1}
    assert "1 is person 0 of b.json" in done.notes[0]


def test_labels_are_short_and_plain():
    names = ["0", "12", "Zoë = 1", "s/" + 40 * "x", "a:b"]
    assert label_prefixes(names) == ["P0:", "P12:", "Zo____1:", "s_" + 14 * "x" + ":", "a_b:"]
    assert label_prefixes(["a/b", "a:b"]) == ["P0:", "P1:"]


def test_names_are_kept_where_they_differ(pair):
    assert person_names(pair) == (["0", "ann"], ())


def test_what_holds_one_person_says_what_holds_several(pair, tmp_path):
    several = [name for name, exporter in EXPORTERS.items() if exporter.write_people]
    assert set(several) == {"csv", "parquet", "c3d", "trc", "glb"}
    for ending in set(EXPORTERS) - set(several):
        with pytest.raises(OptionError, match=r"holds one person; export each .*\.trc, \.glb"):
            export_people(tmp_path / f"two.{ending}", pair)


def test_what_one_table_cannot_hold(pair, tmp_path):
    fast = replace(pair[1], keypoints=replace(pair[1].keypoints, fps=50.0))
    with pytest.raises(OptionError, match="different frame rates"):
        export_people(tmp_path / "two.trc", [pair[0], fast])
    export_people(tmp_path / "two.trc", [pair[0], fast], ExportOptions(fps=25.0))
    with pytest.raises(OptionError, match="one motion of each"):
        export_people(tmp_path / "two.trc", pair, ExportOptions(which="all"))
    crowd = [replace(pair[1], person=str(i)) for i in range(10)]
    with pytest.raises(OptionError, match=r"270 points over 8 frames; a \.c3d holds 255"):
        export_people(tmp_path / "crowd.c3d", crowd)
    export_people(tmp_path / "crowd.c3d", crowd[:9])
    file = importlib.import_module("ezc3d").c3d(str(tmp_path / "crowd.c3d"))
    assert len(file["parameters"]["POINT"]["LABELS"]["value"]) == 243
