"""``hypopose evaluate --protocol 3dhp`` on synthetic folders in both layouts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from protocol_folders import DHP_CAMERAS, dictionary, make_3dhp, make_3dhp_archive
from protocol_numbers import (
    distances,
    j_agg,
    mean_of_means,
    per_frame,
    relative,
    stitched_best,
)
from scipy.io import savemat

from hypopose.cli import main
from hypopose.datasets.protocols import make_protocol
from hypopose.errors import FormatError

h5py = pytest.importorskip("h5py", reason="needs pip install 'hypopose[formats]'")
Sequences = dict[str, dict[str, np.ndarray]]
ROOT = 14
FOURTEEN = [j for j in range(17) if j not in (14, 15, 16)]
SCENES = {"studio, green screen": ("TS1", "TS2"), "studio, no green screen": ("TS3", "TS4"),
          "outdoor": ("TS5", "TS6")}  # fmt: skip


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", "--protocol", "3dhp", *map(str, arguments)])


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sequences]:
    folder = tmp_path_factory.mktemp("3dhp") / "mpi_inf_3dhp_test_set"
    return folder.parent, make_3dhp(folder, SOME)


SOME = {"TS1": 9, "TS3": 5, "TS4": 6, "TS6": 8}
"""Not all: every file is read in a process of its own."""
PARTIAL = ("--variant", "partial=true")


def hypotheses(sequences: Sequences, annotation: str = "annot3") -> dict[str, np.ndarray]:
    """``(H, F, 17, 3)`` millimeters; TS4 errs most."""
    rng = np.random.default_rng(5)
    found = {}
    for name, x in sequences.items():
        y = relative(x[annotation], ROOT)
        noise = rng.normal(0, 90 if name == "TS4" else 50, (3, *y.shape))
        noise[:, :, ROOT] = 0
        found[name] = 0.98 * y + noise
    return found


def pck(x: np.ndarray, y: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """``(F,)`` percent of the 14 joints strictly below, averaged over thresholds."""
    off = distances(x, y)[..., FOURTEEN]
    return 100 * (off[..., None] < thresholds).mean((-1, -2))


def expected(
    sequences: Sequences, x: dict[str, np.ndarray], annotation: str, joints: int
) -> tuple[dict[str, list[np.ndarray]], list[str]]:
    """Key -> values of valid frames, sequence by sequence."""
    names, table = list(sequences), {}
    for name in names:
        valid = sequences[name]["valid_frame"] > 0
        y = relative(sequences[name][annotation], ROOT)[valid] / 1000
        mine = x[name][:, valid] / 1000
        some = list(range(17)) if joints == 17 else FOURTEEN
        values = per_frame(mine[:, :, some], y[:, some])
        mean, off = mine.mean(0), distances(mine, y)
        best = np.take_along_axis(mine, off[..., some].mean(-1).argmin(0)[None, :, None, None], 0)
        nearest = np.take_along_axis(mine, off.argmin(0)[None, ..., None], 0)
        for key, thresholds in (("pck_150", np.array([150.0])), ("auc", np.arange(0, 151, 5.0))):
            values[f"{key}_mean_percent"] = pck(mean, y, thresholds)
            values[f"{key}_oracle_pose_best_frame_percent"] = pck(best[0], y, thresholds)
            values[f"{key}_oracle_joint_best_percent"] = pck(nearest[0], y, thresholds)
        for key, value in values.items():
            if "mpjve" not in key:
                table.setdefault(key, []).append(value)
    return table, names


@pytest.mark.parametrize(
    ("annotation", "joints", "layout"),
    [("annot3", 17, "official"), ("univ_annot3", 14, "official"), ("univ_annot3", 17, "archive")],
)
def test_numbers_equal_the_independent_ones(
    official: tuple[Path, Sequences], tmp_path: Path, annotation: str, joints: int, layout: str
) -> None:
    folder, sequences = official
    if layout == "archive":
        folder = tmp_path / "data"
        make_3dhp_archive(folder, annotation, SOME)
    x = hypotheses(sequences, annotation)
    np.savez(tmp_path / "theirs.npz", **x)
    out = tmp_path / "out.json"
    done = call(
        "--data", folder, "--prediction", tmp_path / "theirs.npz", "--unit", "mm", "-o", out,
        *PARTIAL,
        "--variant", f"annotation={annotation}", "--variant", f"joints={joints}",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    data = json.loads(out.read_text())
    scores = data["scores"] | data["oracle_scores"]
    means = data["means"] | data["oracle_means"]
    table, names = expected(sequences, x, annotation, joints)
    for key, values in table.items():
        assert scores[key]["value"] == pytest.approx(np.concatenate(values).mean(), rel=1e-6), key
        assert means[key]["value"] == pytest.approx(mean_of_means(values, names), rel=1e-6), key
    for scene, members in SCENES.items():
        assert set(members) & set(names)
        of_scene = [v for v, n in zip(table["pck_150_mean_percent"], names, strict=True)
                    if n in members]  # fmt: skip
        found = data["groupings"]["scene"][scene]["scores"]["pck_150_mean_percent"]["value"]
        assert found == pytest.approx(np.concatenate(of_scene).mean())
    assert ("activity" in data["groupings"]) == (layout == "official")
    assert not any("mpjve" in key or "clip" in key for key in scores)
    assert data["mean_over"] == "sequence"


def test_pose_best_as_the_released_code_chooses_it(
    official: tuple[Path, Sequences], tmp_path: Path
) -> None:
    """Over frames that are not valid too; PCK, AUC and MPJPE of the valid ones."""
    folder, sequences = official
    x = hypotheses(sequences)
    for array in x.values():
        array[1, ::3] += np.linspace(0, 90, array[1, ::3].size).reshape(array[1, ::3].shape)
    np.savez(tmp_path / "theirs.npz", **x)
    out = tmp_path / "out.json"
    done = call("--data", folder, "--prediction", tmp_path / "theirs.npz", "--unit", "mm",
                "-o", out, "--clip-frames", 2, *PARTIAL)  # fmt: skip
    assert done.exit_code == 0, done.output
    values: dict[str, list[np.ndarray]] = {"mpjpe": [], "pck_150": [], "auc": []}
    for name, arrays in sequences.items():
        valid = arrays["valid_frame"] > 0
        y, mine = relative(arrays["annot3"], ROOT) / 1000, x[name] / 1000
        mine = mine - mine[:, :, ROOT, None]
        index = stitched_best(distances(mine, y).mean(-1), 2, 2)
        chosen = np.take_along_axis(mine, index[None, :, None, None], 0)[0]
        values["mpjpe"].append(distances(chosen, y).mean(-1)[valid])
        values["pck_150"].append(pck(chosen, y, np.array([150.0]))[valid])
        values["auc"].append(pck(chosen, y, np.arange(0, 151, 5.0))[valid])
    found = json.loads(out.read_text())
    for key, unit in (("mpjpe", "mm"), ("pck_150", "percent"), ("auc", "percent")):
        name = f"{key}_oracle_pose_best_batch_{unit}"
        expected = mean_of_means(values[key], list(sequences))
        assert found["oracle_means"][name]["value"] == pytest.approx(expected, rel=1e-6), key
    activities = found["groupings"]["activity"]
    assert list(activities) == ["Stand/Walk", "Exercise", "Sit on Chair"]
    assert name in activities["Exercise"]["oracle_scores"]
    valid_only = {k: v[:, sequences[k]["valid_frame"] > 0] for k, v in x.items()}
    np.savez(tmp_path / "theirs.npz", **valid_only)
    done = call("--data", folder, "--prediction", tmp_path / "theirs.npz", "--unit", "mm",
                "-o", out, "--force", *PARTIAL)  # fmt: skip
    found = json.loads(out.read_text())
    assert "mpjpe_oracle_pose_best_batch_mm" not in found["oracle_scores"]


def test_the_published_aggregation(tmp_path: Path) -> None:
    sequences = make_3dhp_archive(tmp_path / "data", "annot3", SOME)
    x = hypotheses(sequences)
    np.savez(tmp_path / "theirs.npz", **x)
    out = tmp_path / "out.json"
    done = call("--data", tmp_path / "data", "--prediction", tmp_path / "theirs.npz",
                "--unit", "mm", "-o", out, *PARTIAL)  # fmt: skip
    assert done.exit_code == 0, done.output
    values = []
    for name, arrays in sequences.items():
        valid = arrays["valid_frame"] > 0
        y = arrays["annot3"][valid]
        mine = x[name][:, valid]
        placed = mine + y[None, :, ROOT, None]
        fx, fy, cx, cy = DHP_CAMERAS[name]
        pixels = placed[..., :2] / placed[..., 2:] * [fx, fy] + [cx, cy]
        keypoints = arrays["annot2"][valid]
        values.append(j_agg(mine / 1000, relative(y, ROOT) / 1000, pixels, keypoints)[0])
    found = json.loads(out.read_text())["oracle_scores"]["mpjpe_oracle_jpma_true_root_mm"]["value"]
    assert found == pytest.approx(np.concatenate(values).mean(), rel=1e-6)


def test_results_for_the_official_tool_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    sequences = make_3dhp_archive(folder)
    x = {name: value[0] for name, value in hypotheses(sequences).items()}
    savemat(tmp_path / "inference_data.mat", {k: v.T[:, :, None] for k, v in x.items()})
    out = tmp_path / "out.json"
    done = call("--data", folder, "--prediction", tmp_path / "inference_data.mat", "--unit", "mm",
                "--consumed", "keypoints=truth", "-o", out)  # fmt: skip
    assert done.exit_code == 0, done.output
    data = json.loads(out.read_text())
    assert data["column"] == "NOT DEPLOYABLE: the method was given the true keypoints"
    table, _ = expected(sequences, {k: v[None] for k, v in x.items()}, "annot3", 17)
    found = data["scores"]["auc_mean_percent"]["value"]
    assert found == pytest.approx(np.concatenate(table["auc_mean_percent"]).mean())
    assert "ORACLE" not in done.output  # of one hypothesis it says nothing new


def test_a_sampler_of_other_joints_is_converted(tmp_path: Path) -> None:
    make_3dhp_archive(tmp_path)
    done = call("--data", tmp_path, "--sampler", "boneflips", "--n-hypotheses", 2, "--limit", 2,
                "-o", tmp_path / "out.json")  # fmt: skip
    assert done.exit_code == 0, done.output
    data = json.loads((tmp_path / "out.json").read_text())
    assert data["scores"]["mpjpe_mean_mm"]["value"] < 600
    assert data["column"] == "NOT DEPLOYABLE: the method was given the true keypoints"


def rewrite(name: str, change: Callable) -> Callable[[Path], None]:
    """A folder with one data set of TS3 changed or left out."""

    def damage(folder: Path) -> None:
        with h5py.File(folder / "TS3" / "annot_data.mat", "r+") as file:
            array = change(file[name][()])
            del file[name]
            if array is not None:
                file[name] = array

    return damage


def cut(folder: Path) -> None:
    path = folder / "TS3" / "annot_data.mat"
    path.write_bytes(path.read_bytes()[:1500])


def pickled(folder: Path) -> None:
    (folder / "TS3" / "annot_data.mat").write_bytes(b"\x80\x04 not MATLAB")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a sequence is missing": (lambda f: (f / "TS5" / "annot_data.mat").unlink(), "TS5/annot_data"),
    "no sequence": (
        lambda f: [p.rename(f / f"x{p.name}") for p in sorted(f.iterdir())], "neither TS1 to TS6",
    ),
    "cut off": (cut, "not a readable HDF5 file"),
    "another kind of file": (pickled, "is not a MATLAB file"),
    "no annot3": (rewrite("annot3", lambda x: None), "lacks the variable annot3; it has"),
    "no marks": (rewrite("valid_frame", lambda x: None), "lacks the variable valid_frame"),
    "nothing is valid": (rewrite("valid_frame", lambda x: 0 * x), "TS3 has no valid frame"),
    "marks of another length": (rewrite("valid_frame", lambda x: x[:-1]), "valid is (4,), not (5)"),
    "28 joints": (
        rewrite("annot3", lambda x: np.repeat(x, 2, axis=2)), "annot3 is (5, 34, 3), not (any, 17",
    ),
    "keypoints of other frames": (rewrite("annot2", lambda x: x[:-1]), "2D is (4, 17, 2), not (5"),
    "meters": (rewrite("annot3", lambda x: x / 1000), "bring them to millimeters"),
    "NaN": (rewrite("annot3", lambda x: x * np.nan), "holds NaN or infinity"),
    "normalized keypoints": (rewrite("annot2", lambda x: x / 1024 - 1), "give pixels"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_folder_is_refused(tmp_path: Path, kind: str) -> None:
    make_3dhp(tmp_path, {"TS3": 5, "TS5": 4})
    damage, says = DAMAGES[kind]
    damage(tmp_path)
    with pytest.raises(FormatError) as error:
        make_protocol("3dhp", partial=kind != "a sequence is missing").open(tmp_path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_part_is_accepted_by_name(tmp_path: Path) -> None:
    make_3dhp(tmp_path, {"TS2": 5, "TS6": 5})
    with pytest.raises(FormatError, match=r"lacks TS1/annot_data.mat, TS3/.*partial=true"):
        make_protocol("3dhp").open(tmp_path)
    data = make_protocol("3dhp", partial=True).open(tmp_path)
    assert [entry.name for entry in data.entries] == ["TS2", "TS6"]
    assert "PARTIAL DATA: without TS1" in data.notes[-1]


@pytest.mark.parametrize("held", ["annot3", "univ_annot3"])
def test_an_archive_is_known_by_its_reprojection(tmp_path: Path, held: str) -> None:
    make_3dhp_archive(tmp_path, held)
    other = {"annot3": "univ_annot3", "univ_annot3": "annot3"}[held]
    assert make_protocol("3dhp", annotation=held).open(tmp_path).entries
    with pytest.raises(FormatError, match=f"it holds {held}; add --variant annotation={held}"):
        make_protocol("3dhp", annotation=other).open(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.pop("TS4"), "lacks the sequence TS4; it has TS1"),
        (lambda d: d["TS4"].pop("valid"), "lacks of TS4 valid"),
        (lambda d: d.update(TS4=3), "TS4 is not a dictionary"),
        (lambda d: d["TS4"].update(data_3d=print), "it needs builtins.print"),
    ],
)
def test_a_damaged_archive_is_refused(
    tmp_path: Path, change: Callable[[dict], object], says: str
) -> None:
    make_3dhp_archive(tmp_path)
    path = tmp_path / "data_test_3dhp.npz"
    with np.load(path, allow_pickle=True) as stored:
        data = stored["data"].item()
    change(data)
    np.savez(path, data=dictionary(data))
    with pytest.raises(FormatError) as error:
        make_protocol("3dhp").open(tmp_path)
    assert says in str(error.value)


def test_where_to_get_it() -> None:
    told = CliRunner().invoke(main, ["data", "fetch-notes", "3dhp"])
    assert told.exit_code == 0
    assert "TS1/annot_data.mat" in told.output
    assert "3dhp" in CliRunner().invoke(main, ["data", "fetch-notes"]).output
    unknown = CliRunner().invoke(main, ["data", "fetch-notes", "coco"])
    assert unknown.exit_code == 2
    assert "choose one of h36m" in unknown.output
