"""Tables of quantities, read back by pandas and xarray."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from hypopose.datasets import example_motion
from hypopose.errors import OptionError
from hypopose.io.writers.measurements import measurement_paths, write_measurements
from hypopose.quantities import (
    BodyMotion,
    Measurement,
    Measurements,
    choose_quantities,
    find_feet,
    foot_events,
)
from hypopose.skeletons import H36M17


@pytest.fixture(scope="module")
def people() -> list[Measurements]:
    g = torch.Generator().manual_seed(0)
    x = example_motion(75).double() + 0.02 * torch.randn(6, 1, 17, 3, generator=g)
    motion = BodyMotion(x, H36M17, 25.0)
    measured = {
        q.name: Measurement(q, q.compute(motion), 25.0)
        for q in choose_quantities(["knee_flexion", "trunk_lean", "cadence", "squat_depth"])
    }
    first = Measurements(measured, "0", "walk.json", 75, 25.0, tuple(foot_events(motion)),
                         find_feet(motion), ("vertical known",))  # fmt: skip
    short = {n: replace(m, samples=m.samples[..., :50] if m.samples.dim() == 2 else m.samples)
             for n, m in measured.items()}  # fmt: skip
    return [first, replace(first, measured=short, person="=ann", n_frames=50, events=())]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_hold_what_was_measured(people, tmp_path, ending) -> None:
    pandas = importlib.import_module("pandas")
    read = pandas.read_csv if ending == "csv" else pandas.read_parquet
    done = write_measurements(tmp_path / f"a.{ending}", people, samples=True)
    assert done == measurement_paths(tmp_path / f"a.{ending}", people, samples=True)
    assert [p.stem for p in done] == ["a", "a_summary", "a_events", "a_samples"]
    frames, summary, events, samples = (read(p) for p in done)
    knee = people[0]["left_knee_flexion"]
    own = frames[(frames["person"].astype(str) == "0") & (frames["quantity"] == "knee_flexion")]
    rows = own[own["side"] == "left"]
    assert rows["frame"].tolist() == list(range(75))
    assert rows["time"].tolist() == pytest.approx(np.arange(75) / 25, rel=1e-5)
    assert rows["median"].to_numpy() == pytest.approx(knee.median, rel=1e-4)
    assert rows["low_95"].to_numpy() == pytest.approx(knee.interval(0.95)[0], rel=1e-4, abs=1e-4)
    assert set(rows["unit"]) == {"deg"}
    assert set(frames["person"].astype(str)) == {"0", "'=ann" if ending == "csv" else "=ann"}
    cadence = summary[summary["quantity"] == "cadence"].iloc[0]
    assert cadence["median"] == pytest.approx(float(people[0]["cadence"].median), rel=1e-4)
    assert cadence[["statistic", "share", "intervals"]].tolist() == ["value", 1.0, "as sampled"]
    no_squat = summary[summary["quantity"] == "squat_depth"].iloc[0]
    assert np.isnan(no_squat["mean"])
    assert no_squat["share"] == 0
    greatest = summary[(summary["quantity"] == "trunk_lean") & (summary["statistic"] == "greatest")]
    assert len(greatest) == 2
    assert len(events) == len(people[0].events)
    assert set(events["probability"]) == {1.0}
    one = samples[(samples["quantity"] == "knee_flexion") & (samples["side"] == "right")]
    one = one[one["person"].astype(str) == "0"]
    found = one["value"].to_numpy().reshape(6, 75)
    assert found == pytest.approx(people[0]["right_knee_flexion"].values, rel=1e-4, abs=1e-4)
    assert one["hypothesis"].tolist()[75] == 1


def test_netcdf_holds_people_side_by_side(people, tmp_path) -> None:
    xarray = importlib.import_module("xarray")
    (path,) = write_measurements(tmp_path / "a.nc", people, samples=True)
    with xarray.open_dataset(path, engine="scipy") as data:
        knee = data["left_knee_flexion"]
        assert knee.dims == ("individuals", "time", "statistic")
        assert knee.attrs["units"] == "deg"
        mean = knee.sel(individuals="person_0", statistic="mean").to_numpy()
        assert mean == pytest.approx(people[0]["left_knee_flexion"].mean)
        assert np.isnan(knee.sel(individuals="person_=ann").to_numpy()[50:]).all()
        assert data["cadence"].dims == ("individuals", "statistic")
        assert data["trunk_lean_samples"].sizes["hypothesis"] == 6
        assert data.attrs["notes"] == "vertical known"
        assert data["time"].to_numpy()[-1] == pytest.approx(74 / 25)


def test_only_values_per_clip_make_one_table(people, tmp_path) -> None:
    only = replace(people[0], measured={"cadence": people[0]["cadence"]}, events=())
    (path,) = write_measurements(tmp_path / "a.csv", [only])
    assert path.read_text().splitlines()[0].startswith("person,quantity,side,unit,statistic,mean")


def test_nothing_and_other_endings_are_refused(people, tmp_path) -> None:
    with pytest.raises(OptionError, match=r"\.csv, \.parquet or \.nc"):
        write_measurements(tmp_path / "a.xlsx", people)
    with pytest.raises(OptionError, match="Nothing was measured"):
        write_measurements(tmp_path / "a.csv", [replace(people[0], measured={}, events=())])
