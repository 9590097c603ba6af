"""``hypopose evaluate --protocol h36m`` on a synthetic folder in the layout of VideoPose3D."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from protocol_folders import ALL_TAKES, dictionary, h36m_view, make_h36m
from protocol_numbers import (
    aligned_distances,
    batch_best,
    cgnf_ece,
    distances,
    j_agg,
    mean_of_means,
    per_frame,
    relative,
)

from hypopose.cli import main
from hypopose.cli.evaluate import evaluate
from hypopose.datasets.protocols import make_protocol
from hypopose.datasets.protocols.h36m_cameras import CAMERA_IDS
from hypopose.errors import FormatError
from hypopose.evaluation import load_results

World = dict[str, dict[str, np.ndarray]]
H = 4


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", "--protocol", "h36m", *map(str, arguments)])


def views(world: World) -> list[tuple[str, str, int, np.ndarray, np.ndarray]]:
    """Subject, take, camera, camera-frame truth and pixels of the views that count."""
    return [
        (subject, take, camera, *h36m_view(motion, subject, camera))
        for subject, takes in world.items()
        for take, motion in takes.items()
        if (subject, take) != ("S11", "Directions")
        for camera in range(4)
    ]


def hypotheses(world: World, n: int = H) -> dict[str, np.ndarray]:
    """``(H, F, 17, 3)`` by view: the truth with an offset per hypothesis and noise per joint."""
    rng = np.random.default_rng(3)
    found = {}
    for subject, take, camera, truth, _ in views(world):
        y = relative(truth)
        noise = rng.normal(0, 0.05, (n, *y.shape)) + rng.normal(0, 0.03, (n, 1, *y.shape[1:]))
        noise[:, :, 0] = 0
        found[f"{subject}/{take}/{CAMERA_IDS[camera]}"] = 0.97 * y + noise
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World]:
    folder = tmp_path_factory.mktemp("h36m")
    return folder, make_h36m(folder)


def expected(
    world: World, x: dict[str, np.ndarray], joints: list[int], stride: int
) -> dict[str, tuple[float, float]]:
    """Key -> mean of action means and mean of frames."""
    actions, values = [], []
    for subject, take, camera, truth, _ in views(world):
        mine = x[f"{subject}/{take}/{CAMERA_IDS[camera]}"][:, ::stride][..., joints, :]
        values.append(per_frame(mine, relative(truth)[::stride][:, joints]))
        actions.append(take.split(" ")[0])
    keys = [k for k in values[0] if stride == 1 or "mpjve" not in k]
    return {
        k: (mean_of_means([v[k] for v in values], actions),
            float(np.concatenate([v[k] for v in values]).mean()))
        for k in keys
    }  # fmt: skip


@pytest.mark.parametrize(("joints", "stride"), [(17, 1), (16, 5)])
def test_numbers_equal_the_independent_ones(
    world: tuple[Path, World], tmp_path: Path, joints: int, stride: int
) -> None:
    folder, motions = world
    x = hypotheses(motions)
    np.savez(tmp_path / "theirs.npz", **x)
    done = call(
        "--data", folder, "--prediction", tmp_path / "theirs.npz", "-o", tmp_path / "out.json",
        "--variant", "partial=true", "--variant", f"joints={joints}",
        "--variant", f"stride={stride}",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    data = json.loads((tmp_path / "out.json").read_text())
    kept = [j for j in range(17) if j != 9 or joints == 17]
    scores = data["scores"] | data["oracle_scores"]
    means = data["means"] | data["oracle_means"]
    for key, (of_actions, of_frames) in expected(motions, x, kept, stride).items():
        assert scores[key]["value"] == pytest.approx(of_frames, rel=1e-6), key
        assert means[key]["value"] == pytest.approx(of_actions, rel=1e-6), key
    assert not set(data["scores"]) & set(data["oracle_scores"])
    assert all("oracle" in key for key in data["oracle_scores"])
    assert data["settings"]["n_hypotheses"] == H
    assert data["settings"]["n_sequences"] == 5
    if stride == 1:
        check_the_published_aggregation_and_ece(folder, motions, x, data)


def check_the_published_aggregation_and_ece(
    folder: Path, motions: World, x: dict[str, np.ndarray], data: dict
) -> None:
    with np.load(folder / "data_2d_h36m_cpn_ft_h36m_dbb.npz", allow_pickle=True) as stored:
        seen = stored["positions_2d"].item()
    values = []
    for subject, take, camera, truth, _ in views(motions):
        mine = x[f"{subject}/{take}/{CAMERA_IDS[camera]}"]
        pixels = projected(mine + truth[None, :, :1], camera)
        keypoints = seen[subject][take][camera][: len(truth)]
        values.append(j_agg(mine, relative(truth), pixels, keypoints))
    for i, key in enumerate(("mpjpe", "p_mpjpe")):
        found = data["oracle_scores"][f"{key}_oracle_jpma_true_root_mm"]["value"]
        assert found == pytest.approx(np.concatenate([v[i] for v in values]).mean(), rel=1e-6)
    everything = np.concatenate([*x.values()], axis=1)[..., 1:, :]
    truths = np.concatenate([relative(truth) for *_, truth, _ in views(motions)])[:, 1:]
    assert data["scores"]["ece_cgnf"]["value"] == pytest.approx(cgnf_ece(everything, truths))
    best = data["oracle_min_at_k_mm"]["joint"]
    assert best[-1] == pytest.approx(data["oracle_scores"]["mpjpe_oracle_joint_best_mm"]["value"])
    assert best[0] == pytest.approx(data["scores"]["mpjpe_single_mm"]["value"])


@pytest.mark.parametrize(("length", "n_clips"), [(3, 2), (20, 4)])
def test_pose_best_as_the_released_code_chooses_it(
    world: tuple[Path, World], tmp_path: Path, length: int, n_clips: int
) -> None:
    folder, motions = world
    x = hypotheses(motions)
    np.savez(tmp_path / "theirs.npz", **x)
    done = call(
        "--data", folder, "--prediction", tmp_path / "theirs.npz", "-o", tmp_path / "out.json",
        "--variant", "partial=true", "--variant", f"batch={n_clips}", "--clip-frames", length,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "P-Best as published" in done.output
    assert f"every batch of {n_clips} clips of {length} frames" in done.output
    data = json.loads((tmp_path / "out.json").read_text())
    actions, plain, aligned = [], [], []
    for subject, take, camera, truth, _ in views(motions):
        mine, y = x[f"{subject}/{take}/{CAMERA_IDS[camera]}"], relative(truth)
        actions.append(take.split(" ")[0])
        plain.append(batch_best(distances(mine, y).mean(-1), length, n_clips))
        moved = np.stack([aligned_distances(h, y).mean(-1) for h in mine])
        aligned.append(batch_best(moved, length, n_clips))
    for key, values in (("mpjpe", plain), ("p_mpjpe", aligned)):
        name = f"{key}_oracle_pose_best_batch_mm"
        found = data["oracle_means"][name]["value"]
        assert found == pytest.approx(mean_of_means(values, actions), rel=1e-6)
        of_frames = data["oracle_scores"][name]["value"]
        assert of_frames == pytest.approx(np.concatenate(values).mean(), rel=1e-6)
        assert of_frames > data["oracle_scores"][f"{key}_oracle_pose_best_frame_mm"]["value"]


def test_pose_best_as_published_needs_the_published_frames_and_joints(
    world: tuple[Path, World], tmp_path: Path
) -> None:
    np.savez(tmp_path / "theirs.npz", **hypotheses(world[1]))
    for i, variant in enumerate(("stride=2", "joints=16")):
        out = tmp_path / f"{i}.json"
        done = call("--data", world[0], "--prediction", tmp_path / "theirs.npz", "-o", out,
                    "--variant", "partial=true", "--variant", variant)  # fmt: skip
        assert done.exit_code == 0, done.output
        data = json.loads(out.read_text())
        assert "mpjpe_oracle_pose_best_batch_mm" not in data["oracle_scores"]
        assert data["settings"]["p_best"] == "per frame: the best hypothesis of every frame"


def projected(points: np.ndarray, camera: int) -> np.ndarray:
    """Camera-frame points in pixels, through the world of S9 to use the folders' own camera."""
    from protocol_folders import rotation_of

    from hypopose.datasets.protocols.h36m_cameras import _PLACES

    placed = np.array(_PLACES["S9"][camera])
    q = placed[:4] / np.linalg.norm(placed[:4])
    return h36m_view(points @ rotation_of(q).T + placed[4:] / 1000, "S9", camera)[1]


def test_a_sampler_is_evaluated_with_tables_and_a_card(
    world: tuple[Path, World], tmp_path: Path
) -> None:
    card = tmp_path / "CARD.md"
    done = call(
        "--data", world[0], "--variant", "partial=true", "--sampler", "boneflips",
        "--n-hypotheses", 3, "--limit", 6, "--card", card, "-o", tmp_path / "out.json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    for words in ("DEPLOYABLE: the method", "ORACLE", "mean of 3 actions", "mean of frames",
                  "detections (cpn_ft_h36m_dbb)", "MPJPE, P-Agg (protocol 1), mm",
                  "MPJPE, J-Agg as published"):  # fmt: skip
        assert words in " ".join(done.output.replace("│", " ").split()), words
    text = card.read_text()
    for words in ("--sampler=boneflips", "data sha256", "| hypopose |", "PARTIAL DATA"):
        assert words in text
    data = json.loads((tmp_path / "out.json").read_text())
    assert data["column"].startswith("DEPLOYABLE")
    assert data["scores"]["mpjpe_jpma_mm"]["value"] > 0
    results = load_results(tmp_path / "out.json")  # what hypopose report reads
    assert results.scores["mpjpe_mean_mm"].value == data["scores"]["mpjpe_mean_mm"]["value"]
    assert len(data["provenance"]["data_files"]) == 2
    words = shlex.split(data["provenance"]["command"])
    assert words[:2] == ["hypopose", "evaluate"]
    again = evaluate.make_context("evaluate", words[2:]).params  # the command can be run again
    assert (again["output"], again["card"]) == (tmp_path / "out.json", card)
    assert again["variant"] == ("partial=true",)


def test_true_keypoints_are_not_deployable(world: tuple[Path, World], tmp_path: Path) -> None:
    done = call(
        "--data", world[0], "--variant", "partial=true", "--variant", "keypoints=projected",
        "--sampler", "boneflips", "--n-hypotheses", 2, "--limit", 3, "-o", tmp_path / "out.json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    column = json.loads((tmp_path / "out.json").read_text())["column"]
    assert column == "NOT DEPLOYABLE: the method was given the true keypoints"


def damaged(change: Callable[[dict], None], which: str = "3d", key: str = "positions") -> Callable:
    """A folder whose dictionary was changed."""

    def damage(folder: Path) -> None:
        name = {"3d": "data_3d_h36m.npz", "2d": "data_2d_h36m_cpn_ft_h36m_dbb.npz"}[which]
        with np.load(folder / name, allow_pickle=True) as stored:
            arrays = {k: stored[k].item() for k in stored.files}
        change(arrays[f"{key}_{which}" if key == "positions" else key])
        np.savez(folder / name, **{k: dictionary(v) for k, v in arrays.items()})

    return damage


def cut_3d(folder: Path) -> None:
    path = folder / "data_3d_h36m.npz"
    path.write_bytes(path.read_bytes()[:-500])


class Runs:
    """Would be called by an unpickler that runs what it reads."""

    def __reduce__(self) -> tuple:
        return (print, ("run",))


def set_take(subject: str, take: str, change: Callable) -> Callable:
    def apply(positions: dict) -> None:
        positions[subject][take] = change(positions[subject][take])

    return apply


def each(subjects: dict, change: Callable) -> None:
    """Change every take."""
    for takes in subjects.values():
        for take in takes:
            takes[take] = change(takes[take])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no 3D file": (lambda f: (f / "data_3d_h36m.npz").unlink(), "lacks data_3d_h36m.npz"),
    "no 2D file": (
        lambda f: (f / "data_2d_h36m_cpn_ft_h36m_dbb.npz").rename(f / "data_2d_h36m_gt.npz"),
        "give --variant keypoints=gt",
    ),
    "cut off": (cut_3d, "not a readable array file"),
    "another array": (
        lambda f: np.savez(f / "data_3d_h36m.npz", poses=np.zeros(3)),
        "lacks the array positions_3d; it has poses",
    ),
    "code in the pickle": (
        lambda f: np.savez(f / "data_3d_h36m.npz", positions_3d=dictionary({"S9": Runs()})),
        "it needs builtins.print",
    ),
    "a subject is missing": (damaged(lambda p: p.pop("S11")), "lacks the subject S11; it has S9"),
    "unknown actions": (
        damaged(lambda p: p["S9"].update({"TakingPhoto": p["S9"]["Eating"]})),
        "has the actions TakingPhoto",
    ),
    "28 joints": (
        damaged(set_take("S9", "Eating", lambda x: x[:, :28])),
        "S9/Eating is (6, 28, 3), not (any, 32 or 17, 3)",
    ),
    "no frames": (damaged(set_take("S9", "Eating", lambda x: x[:0])), "(0, 32, 3)"),
    "NaN": (damaged(set_take("S9", "Walking", lambda x: x * np.nan)), "holds NaN or infinity"),
    "millimeters": (damaged(set_take("S9", "Walking", lambda x: x * 1000)), "bring it to meters"),
    "text": (damaged(set_take("S9", "Walking", lambda x: np.array("x"))), "not an array of numb"),
    "a take without keypoints": (
        damaged(lambda p: p["S9"].pop("Eating"), "2d"), "lacks of S9 the takes Eating",
    ),
    "three cameras": (
        damaged(set_take("S9", "Eating", lambda x: x[:3]), "2d"), "S9/Eating has 3 cameras, not 4",
    ),
    "too few keypoints": (
        damaged(set_take("S9", "Eating", lambda x: [c[:4] for c in x]), "2d"),
        "has 4 frames of keypoints for 6 of motion",
    ),
    "normalized keypoints": (
        damaged(set_take("S9", "Eating", lambda x: [c / 500 - 1 for c in x]), "2d"),
        "give pixels, not normalized coordinates",
    ),
    "y up": (
        damaged(lambda p: each(p, lambda x: x[..., [0, 2, 1]] * [1, 1, -1])), "of the body's size",
    ),
    "poses from the pelvis": (
        damaged(lambda p: each(p, lambda x: x - x[:, :1])), "frame, axes, and order of cameras",
    ),
    "cameras in another order": (
        damaged(lambda p: each(p, lambda x: x[::-1]), "2d"), "from its projected poses",
    ),
    "a web page": (
        lambda f: (f / "data_3d_h36m.npz").write_text("<html>log in</html>"), "is not an npz arc",
    ),
    "no dictionary": (
        lambda f: np.savez(f / "data_3d_h36m.npz", positions_3d=np.zeros((3, 32, 3))),
        "positions_3d is not a dictionary",
    ),
    "no metadata": (
        lambda f: np.savez(
            f / "data_2d_h36m_cpn_ft_h36m_dbb.npz",
            positions_2d=dictionary({"S9": {}, "S11": {}}),
        ),
        "lacks the array metadata",
    ),
    "a joint that is NaN": (
        damaged(set_take("S9", "Eating", lambda x: np.where(x == x[0, 3], np.nan, x))),
        "holds NaN or infinity",
    ),
    "centimeters": (damaged(set_take("S9", "Eating", lambda x: 100 * x)), "bring it to meters"),
    "takes without names": (
        damaged(lambda p: p.update(S9=list(p["S9"].values()))), "S9 is not a dictionary",
    ),
    "another layout": (
        damaged(lambda m: m.update(layout_name="body25"), "2d", "metadata"),
        "has the layout 'body25' with 17 joints",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_folder_is_refused(tmp_path: Path, kind: str) -> None:
    make_h36m(tmp_path)
    damage, says = DAMAGES[kind]
    damage(tmp_path)
    with pytest.raises(FormatError) as error:
        make_protocol("h36m", partial=True).open(tmp_path)
    message = str(error.value)
    assert says in message
    assert "\n" not in message


def test_half_a_data_set_is_refused_by_what_is_missing(world: tuple[Path, World]) -> None:
    with pytest.raises(FormatError, match=r"S9 lacks Discussion, Greeting.*partial=true"):
        make_protocol("h36m").open(world[0])
    with pytest.raises(FormatError, match="does not exist; see hypopose data fetch-notes h36m"):
        make_protocol("h36m").open(world[0] / "none")


def test_the_whole_data_set_is_accepted_and_one_take_less_is_not(tmp_path: Path) -> None:
    make_h36m(tmp_path, ALL_TAKES)
    data = make_protocol("h36m").open(tmp_path)
    assert len(data.entries) == 4 * (30 + 29)  # S11's first Directions is left out
    assert [len(rows) for rows in data.groupings["action"].values()] == [3, *[4] * 14]
    damaged(lambda p: p["S11"].pop("Photo 1"))(tmp_path)
    with pytest.raises(FormatError, match="S11 has 28 of 29 takes"):
        make_protocol("h36m").open(tmp_path)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--variant", "keypoints=hrnet", "--variant", "partial=true"), "keypoints=cpn_ft"),
        (("--variant", "joints=14"), "joints=17, 16"),
        (("--variant", "speed=2"), "has no variant 'speed'"),
        (("--variant", "stride=fast"), "is a int, got 'fast'"),
        (("--unit", "mm"), "--unit is for --prediction"),
        (("--truth", "x.npy"), "--truth is for --prediction FILE, or another kind"),
        (("--prediction", "x.npz", "--weights", "w"), "--weights is for sampling"),
        (("--prediction", "no.npz", "--variant", "partial=true"), "no.npz: does not exist"),
        (("--variant", "partial=true", "--sampler", "mean-pose"), "boneflips"),
    ],
)
def test_mistakes_are_one_line(
    world: tuple[Path, World], options: tuple[str, ...], says: str
) -> None:
    done = call("--data", world[0], *options)
    assert done.exit_code == 2
    assert says in done.output
    assert "Traceback" not in done.output


def test_without_data_or_with_options_of_another_kind() -> None:
    assert "fetch-notes h36m" in call().output
    other = CliRunner().invoke(main, ["evaluate", "--benchmark", "synthetic", "--unit", "mm"])
    assert other.exit_code == 2
    assert "--unit is for --protocol" in other.output
