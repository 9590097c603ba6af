"""Cures that messages of training, adaptation, protocols and clusters name, applied.

See :mod:`test_cures`. What takes minutes or was applied before is listed in ``APART``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cures import CureTable
from protocol_folders import (
    dictionary,
    make_3dhp,
    make_3dhp_archive,
    make_3dpw,
    make_h36m,
    make_humaneva,
)
from test_cures import Box, RefusedError
from tiny_generator import save_generator

from hypopose.adaptation import adapt_run, sources
from hypopose.api.making import folder_of
from hypopose.datasets import example_motion
from hypopose.datasets.protocols import make_protocol
from hypopose.errors import HypoPoseError
from hypopose.evaluation.weights_calibration import load_weights_calibration
from hypopose.networks.pmce import PMCE
from hypopose.training import TrainConfig

PACKAGES = (
    "adaptation", "api/adapting.py", "api/decoded_meshes.py", "api/making.py",
    "cli/protocol_options.py", "cli/protocol_run.py", "cli/targets.py", "cli/train.py",
    "datasets/protocols", "distributed", "evaluation/prediction_checks.py",
    "evaluation/predictions.py", "evaluation/weights_calibration.py",
    "networks/checkpoint_conversion.py", "networks/checkpoint_detection.py",
    "networks/layouts_pmce.py", "samplers/released_diffpose.py", "training",
)  # fmt: skip
APART = {
    "to score the truth itself add --unchecked": "tests/evaluation/test_predictions.py",
    "bring them to meters": "tests/evaluation/test_predictions.py",
    "times the size of the truth's": "tests/evaluation/test_predictions.py",
    "after every view is turned as a whole": "tests/evaluation/test_predictions.py",
    "one constant pose reaches": "tests/evaluation/test_predictions.py",
    "leave out --swap-sides": "tests/cli/test_evaluate_other_protocols.py",
    "not a decoder of meshes": "trains; tests/training/test_surfaces.py",
    "decodes surfaces": "trains; tests/training/test_surfaces.py",
    "--motion FOLDER, or --shard FILE.npz": "trains a recipe; tests/training/test_stages.py",
    "DiffPose refines what a lifter found": "tests/samplers/test_diffpose.py",
}
"""Messages, and where their cure is applied or why it is not."""

TABLE = CureTable(PACKAGES, APART)
case = TABLE.case
DATA = Path(__file__).parents[1] / "examples" / "data" / "two_cameras"
VIEWS = (DATA / "front.csv", DATA / "side.csv")
SMALL = (
    "--set", "width=16", "--set", "n_layers=1", "--set", "n_heads=2", "--set", "batch_frames=40",
    "--set", "lengths=[4]", "--set", "length_shares=[1.0]", "--n-frames", 40, "--no-compile",
)  # fmt: skip


def shard(box: Box, name: str = "walks.npz") -> Path:
    """A folder with one shard: the built-in walk, to train on."""
    folder = box.path("motion")
    folder.mkdir()
    joints = (example_motion(60).numpy() / 0.00025).round().astype(np.int16)
    rows = {"start": [0, 30], "length": [30, 30], "name": ["a", "b"], "action": ["walk"] * 2,
            "split": ["train", "val"]}  # fmt: skip
    np.savez(folder / name, joints=joints, scale=0.00025, fps=25,
             **{k: np.array(v) for k, v in rows.items()})  # fmt: skip
    return folder / name


def train(box: Box, *words: object) -> Callable[[], str]:
    run = box.path("run")
    return lambda: box.run("train", run, *words, *SMALL)


# --- training -----------------------------------------------------------------------------------


@case
def no_motion(box):
    yield train(box)
    yield train(box, "--shard", shard(box))


@case
def motion_by_two_names(box):
    path = shard(box)
    yield train(box, "--motion", path.parent, "--shard", path)
    yield train(box, "--shard", path)


@case
def shards_that_are_no_list(box):
    path = shard(box)
    yield train(box, "--set", "shards=5")
    yield train(box, "--set", f'shards=["{path}"]')


@case
def a_setting_that_is_no_json(box):
    path = shard(box)
    yield train(box, "--shard", path, "--set", "objective=energy")
    yield train(box, "--shard", path, "--set", 'objective="energy"')


@case
def small_without_export(box):
    path, run = shard(box), box.path("run")
    box.run("train", run, "--shard", path, *SMALL)
    yield lambda: box.run("train", run, "--small")
    yield lambda: box.run("train", run, "--small", "--export", box.path("w"))


@case
def options_that_are_no_file(box):
    path = shard(box)
    config = TrainConfig.from_options(shards=(str(path),), width=16, n_layers=1, n_heads=2)
    yield train(box, "--config", box.folder / "no-such.json")
    yield train(box, "--config", box.write("mine.json", config.to_json()))


@case
def shards_that_are_elsewhere(box):
    path, empty = shard(box), box.path("empty")
    empty.mkdir()
    config = TrainConfig.from_options(shards=(path.name,), width=16, n_layers=1, n_heads=2)
    given = ("--config", box.write("mine.json", config.to_json()))
    yield train(box, *given, "--motion", empty)
    yield train(box, *given, "--motion", path.parent)


# --- adaptation ---------------------------------------------------------------------------------


def tiny(box: Box) -> Path:
    """A small generator of random weights."""
    return save_generator(box.path("tiny"))


def adapt(box: Box, *words: object) -> Callable[[], str]:
    weights = tiny(box)
    quick = ("--n-frames", 54, "--set", "batch_frames=27", "--set", "builds=false", "--set",
             "aligned=0", "--set", "teacher=0")  # fmt: skip
    return lambda: box.run("adapt", *VIEWS, "-o", box.path("out"), "--weights", weights, *quick,
                           *words)  # fmt: skip


@case
def an_offset_of_one_view(box):
    yield adapt(box, "--offset", "side", 0)
    yield adapt(box, "--offset", "side", 0, "--views", DATA / "rig.json")


@case
def a_lens_beside_a_rig(box):
    yield adapt(box, "--views", DATA / "rig.json", "--focal", 900)
    yield adapt(box, "--views", DATA / "rig.json")


@case
def a_folder_without_motion(box):
    empty = box.path("empty")
    empty.mkdir()
    rig = ("--views", DATA / "rig.json")
    yield adapt(box, *rig, "--motion", empty)
    yield adapt(box, *rig)


def scaled(box: Box, factor: float) -> Path:
    """The cameras of the example, farther apart by a factor."""
    rig = json.loads((DATA / "rig.json").read_text())
    for camera in rig.values():
        camera["translation"] = [factor * x for x in camera["translation"]]
    return box.write("rig.json", json.dumps(rig))


@case
def a_rig_in_centimeters(box):
    rig = scaled(box, 100)
    yield adapt(box, "--views", rig, "--camera-unit", "m")
    yield adapt(box, "--views", rig, "--camera-unit", "cm")


@case
def a_rig_of_no_unit(box):
    found = box.path("found.json")
    yield adapt(box, "--views", scaled(box, 4))
    box.run("cameras", *VIEWS, "-o", found, "--height", 1.75)
    yield adapt(box, "--views", found)


# --- protocols ----------------------------------------------------------------------------------


def h36m(box: Box) -> Path:
    folder = box.path("h36m")
    make_h36m(folder)
    return folder


def evaluated(box: Box, protocol: str, *words: object) -> Callable[[], str]:
    given = ("--sampler", "boneflips", "--n-hypotheses", 2, "--limit", 1)
    return lambda: box.run("evaluate", "--protocol", protocol, *given, *words)


PARTIAL = ("--variant", "partial=true")


@case
def a_protocol_without_data(box):
    yield evaluated(box, "h36m")
    yield evaluated(box, "h36m", "--data", h36m(box), *PARTIAL)


@case
def a_benchmarks_sampler(box):
    data = ("--data", h36m(box), *PARTIAL)
    yield lambda: box.run("evaluate", "--protocol", "h36m", *data, "--sampler", "mean-pose")
    yield evaluated(box, "h36m", *data)


@case
def a_variant_without_a_value(box):
    data = ("--data", h36m(box))
    yield evaluated(box, "h36m", *data, "--variant", "partial")
    yield evaluated(box, "h36m", *data, "--variant", "partial=true")


@case
def a_part_of_h36m(box):
    data = ("--data", h36m(box))
    yield evaluated(box, "h36m", *data)
    yield evaluated(box, "h36m", *data, *PARTIAL)


@case
def a_part_of_3dhp(box):
    folder = box.path("3dhp")
    make_3dhp(folder / "mpi_inf_3dhp_test_set", {"TS1": 5})
    yield lambda: make_protocol("3dhp").open(folder)
    yield lambda: make_protocol("3dhp", partial=True).open(folder)


@case
def the_other_annotation_of_3dhp(box):
    folder = box.path("archive")
    folder.mkdir()
    make_3dhp_archive(folder, annotation="annot3")
    yield lambda: make_protocol("3dhp", annotation="univ_annot3").open(folder)
    yield lambda: make_protocol("3dhp", annotation="annot3").open(folder)


@case
def a_part_of_humaneva(box):
    folder = box.path("humaneva")
    folder.mkdir()
    make_humaneva(folder)
    path = folder / "data_3d_humaneva15.npz"
    poses = np.load(path, allow_pickle=True)["positions_3d"].item()
    kept = {t: x for t, x in poses["Validate/S2"].items() if not t.startswith("Jog")}
    np.savez(path, positions_3d=dictionary({**poses, "Validate/S2": kept}))
    yield lambda: make_protocol("humaneva").open(folder)
    yield lambda: make_protocol("humaneva", partial=True).open(folder)


@case
def a_part_of_3dpw(box):
    folder = box.path("3dpw")
    make_3dpw(folder)
    yield lambda: make_protocol("3dpw").open(folder)
    yield lambda: make_protocol("3dpw", partial=True).open(folder)


def predicted(box: Box, arrays: dict[str, np.ndarray], *words: object) -> Callable[[], str]:
    folder, path = h36m(box), box.path("theirs.npz")
    np.savez(path, **arrays)
    return lambda: box.run("evaluate", "--protocol", "h36m", "--data", folder, *PARTIAL,
                           "--prediction", path, *words)  # fmt: skip


@case
def a_detail_without_words(box):
    answers = _answers(box)
    yield predicted(box, answers, "--consumed", "keypoints")
    yield predicted(box, answers, "--consumed", "keypoints=CPN")


@case
def joints_of_another_skeleton(box):
    answers = _answers(box)
    fewer = {name: np.delete(x, 9, 1) for name, x in answers.items()}
    yield predicted(box, fewer)
    yield predicted(box, fewer, "--skeleton", "h36m16")


def _answers(box: Box) -> dict[str, np.ndarray]:
    """Poses a little off the truth, a view an array."""
    folder = h36m(box)
    data = make_protocol("h36m", partial=True).open(folder)
    rng = np.random.default_rng(0)
    return {
        entry.name: view.truth.joints.numpy() + rng.normal(0, 0.02, (entry.n_frames, 17, 3))
        for entry in data.entries
        for view in [data.load(entry)]
    }


# --- weights and clusters -----------------------------------------------------------------------


def own_weights(box: Box) -> Path:
    place = box.path("weights")
    place.mkdir()
    for file in folder_of("distributional-frame-small").iterdir():
        if file.name != "calibration.json":
            (place / file.name).symlink_to(file.resolve())
    return place


@case
def too_few_hypotheses_to_calibrate(box):
    words = ("calibrate-weights", box.folder, own_weights(box), "--benchmark", "synthetic",
             "--limit", 1)  # fmt: skip
    yield lambda: box.run(*words, "--n-hypotheses", 5)
    yield lambda: box.run(*words)


@case
def a_calibration_of_weights_that_is_none(box):
    place = own_weights(box)
    (place / "calibration.json").write_text("{}")
    words = ("calibrate-weights", box.folder, place, "--benchmark", "synthetic", "--limit", 1,
             "--force")  # fmt: skip
    yield lambda: load_weights_calibration(place)
    yield lambda: (box.run(*words), load_weights_calibration(place))


def released(box: Box) -> tuple[Path, Path]:
    """A small checkpoint of PMCE as it is released, and its template."""
    sizes = {"n_coarse": 6, "n_vertices": 20, "n_faces": 8, "width": 16, "depth": 2}
    network = PMCE(4, **sizes, joint_dim=16, vertex_dim=8, cond_dim=8)
    state = {f"module.{k}": v for k, v in network.state_dict().items() if k.startswith("pose_")}
    checkpoint, template = box.path("best.pth.tar"), box.path("template.npz")
    torch.save({"epoch": 3, "model_state_dict": state}, checkpoint)
    one = np.eye(20, dtype=np.float32)
    np.savez(template, joint_regressor=one[:17], downsample=one[:6],
             faces=np.arange(24).reshape(8, 3) % 20,
             vertices=np.random.default_rng(0).normal(size=(20, 3)))  # fmt: skip
    return checkpoint, template


@case
def a_checkpoint_without_its_mesh(box):
    checkpoint, template = released(box)
    yield lambda: box.run("convert", checkpoint, "-o", box.path("w"))
    yield lambda: box.run("convert", checkpoint, "-o", box.path("w"), "--template", template)


@case
def weights_that_are_there(box):
    checkpoint, template = released(box)
    out = box.path("w")
    words = ("convert", checkpoint, "-o", out, "--template", template)
    box.run(*words)
    yield lambda: box.run(*words)
    yield lambda: box.run(*words, "--force")


@case
def a_cluster_that_is_nowhere(box):
    pytest.importorskip("distributed", reason="needs pip install 'hypopose[cluster]'")
    folder = box.path("in")
    folder.mkdir()
    for i in range(2):
        box.keypoints().rename(folder / f"{i}.json")
    words = ("sample", folder, "--sampler", "boneflips", "--n-hypotheses", 2, "--no-overview",
             "--jobs", 1, "-o", box.path("out"), "--cluster")  # fmt: skip
    yield lambda: box.run(*words, "nowhere")
    yield lambda: box.run(*words, "local")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_HELD_OUT", 2)
    monkeypatch.setattr(adapt_run, "MOST_JUDGED", 4)
    monkeypatch.setattr(adapt_run, "verdict", lambda changes: "")


@pytest.mark.parametrize("name", TABLE.cases)
def test_the_cure_works(name: str, tmp_path: Path) -> None:
    TABLE.apply(name, Box(tmp_path), (HypoPoseError, RefusedError))


def test_every_message_that_names_a_cure_is_tried(tmp_path: Path) -> None:
    TABLE.check_all(tmp_path, Box, (HypoPoseError, RefusedError))
