"""The verbs: guesses are marked, seeds repeat, options are checked."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import hypopose
from hypopose import Camera, Hypotheses, Keypoints2D, Skeleton, api
from hypopose.datasets import example_pair
from hypopose.errors import BackendError, CheckpointError, OptionError
from hypopose.networks.load import BUNDLED
from hypopose.types import NoiseSource

DATA = Path(__file__).parents[2] / "examples" / "data"


@pytest.fixture(scope="module")
def body25() -> Keypoints2D:
    return hypopose.load(DATA / "openpose", image_size=(640, 640))


@dataclass(frozen=True)
class Echo:
    """A sampler that returns its noise, so that tests see what reached it."""

    skeleton: Skeleton
    n_steps: int = 1

    def sample(
        self, keypoints: Keypoints2D, n_hypotheses: int, noise: NoiseSource, callback: Any = None
    ) -> Hypotheses:
        if callback is not None:
            callback("step")
        shape = (*keypoints.xy.shape[:-3], n_hypotheses, *keypoints.xy.shape[-3:-1], 3)
        return Hypotheses(noise(shape), self.skeleton)


ECHO = Echo(hypopose.get_skeleton("h36m17"))


def test_prepare_converts_assumes_and_says_so(body25: Keypoints2D) -> None:
    ready = hypopose.prepare(body25)
    assert ready.skeleton.name == "h36m17"
    assert ready.camera is not None
    assert ready.camera.assumed
    assert any("camera assumed" in note for note in ready.notes)
    assert "pelvis" in ready.approximate


def test_prepare_leaves_prepared_keypoints_alone(body25: Keypoints2D) -> None:
    ready = hypopose.prepare(body25)
    assert hypopose.prepare(ready) is ready


def test_prepare_keeps_a_given_camera(body25: Keypoints2D) -> None:
    camera = Camera(torch.tensor([700.0, 700.0]), torch.tensor([320.0, 320.0]), (640, 640))
    ready = hypopose.prepare(body25.with_camera(camera))
    assert ready.camera is camera
    assert not any("assumed" in note for note in ready.notes)


def test_sample_draws_the_same_for_the_same_seed(body25: Keypoints2D) -> None:
    few = hypopose.sample(body25, sampler=ECHO, n_hypotheses=2, seed=3)
    many = hypopose.sample(body25, sampler=ECHO, n_hypotheses=4, seed=3)
    other = hypopose.sample(body25, sampler=ECHO, n_hypotheses=2, seed=4)
    assert torch.equal(few.joints, many.joints[:2])
    assert not torch.equal(few.joints, other.joints)


def test_sample_calls_back(body25: Keypoints2D) -> None:
    seen: list[Any] = []
    hypopose.sample(body25, sampler=ECHO, n_hypotheses=1, callback=seen.append)
    assert seen == ["step"]


def test_samplers_without_steps_take_a_callback_too(body25: Keypoints2D) -> None:
    seen: list[Any] = []
    hypopose.sample(body25, sampler="boneflips", n_hypotheses=1, callback=seen.append)
    assert seen == []


def test_default_sampler_uses_the_weights_in_the_box(body25: Keypoints2D) -> None:
    short = replace(body25, xy=body25.xy[:9], confidence=body25.confidence[:9])  # type: ignore[index]
    hypotheses = hypopose.sample(short, n_hypotheses=2, n_steps=1)
    assert hypotheses.joints.shape == (2, 9, 17, 3)
    size = hypotheses.joints.amax((0, 1, 2)) - hypotheses.joints.amin((0, 1, 2))
    assert 1.0 < float(size[1]) < 2.5  # a grown-up's height in meters, y is vertical


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sampler": "magic"}, "no sampler 'magic'"),
        ({"sampler": "boneflips", "weights": "d3dp-frame-small"}, "takes no weights"),
        (
            {"sampler": "d3dp", "weights": "lifter-frame-small"},
            "weights lifter-frame-small were made for the sampler 'lifter', not 'd3dp'",
        ),
        (
            {"sampler": "distributional", "weights": "diffpose-frame-small"},
            "weights diffpose-frame-small were made for the sampler 'diffpose', not 'distr",
        ),
        (
            {"sampler": "flow", "weights": "d3dp-frame-small"},
            "were made for the sampler 'd3dp', not 'flow'",
        ),
        (
            {"sampler": "distributional", "weights": "d3dp-frame-small"},
            "were made for the sampler 'd3dp', not 'distributional'",
        ),
        ({"sampler": "boneflips", "magic": 1}, "no option 'magic'"),
        ({"sampler": "boneflips", "n_steps": 5}, "no option 'n_steps'"),
        ({"sampler": "boneflips", "n_hypotheses": 0}, "at least 1"),
        ({"sampler": ECHO, "n_steps": 5}, "brings its own"),
        ({"device": "abacus"}, "no device 'abacus'"),
        ({"sampler": "boneflips", "device": "abacus"}, "no device 'abacus'"),
        ({"device": "meta"}, "does not run on 'meta'"),
        ({"chunk": 1.5}, "chunk is a whole number"),
        ({"chunk": True}, "chunk is a whole number"),
        ({"flip": "False"}, "flip is true or false"),
    ],
)
def test_options_are_checked(body25: Keypoints2D, options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        hypopose.sample(body25, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU asked for")
def test_an_absent_gpu_is_refused() -> None:
    with pytest.raises(BackendError, match="sees no GPU"):
        hypopose.make_sampler(device="cuda")


def test_unknown_weights_are_refused() -> None:
    with pytest.raises(CheckpointError, match="no weights 'nowhere'"):
        hypopose.make_sampler(weights="nowhere")


def test_weights_name_their_sampler(tmp_path: Path) -> None:
    assert api.default_sampler(tmp_path) == "d3dp"
    (tmp_path / "sampler.json").write_text(json.dumps({"sampler": "lifter", "scale": 2.0}))
    assert api.default_sampler(tmp_path) == "lifter"
    (tmp_path / "sampler.json").write_text("[1")
    with pytest.raises(CheckpointError, match=r"sampler\.json"):
        api.default_sampler(tmp_path)


def test_sampler_options_are_plain_values() -> None:
    record = api.describe_sampler(hypopose.make_sampler("boneflips", scale=0.9))
    assert json.loads(json.dumps(record)) == record
    assert record["name"] == "boneflips"
    assert record["skeleton"] == "h36m17"
    assert record["scale"] == 0.9
    assert api.describe_sampler(ECHO)["name"] == "Echo"


@pytest.mark.parametrize("method", ["jpma", "ppma", "mean", "median", "medoid"])
def test_aggregating_copies_returns_them(method: str) -> None:
    keypoints, truth = example_pair(4)
    copies = Hypotheses(truth.joints.expand(3, -1, -1, -1), truth.skeleton)
    pose = hypopose.aggregate(copies, keypoints, method)
    assert (pose.joints - truth.joints).abs().max() < 1e-5
    assert pose.std is not None
    assert float(pose.std.max()) < 1e-5


def test_unknown_aggregation_is_refused(body25: Keypoints2D) -> None:
    with pytest.raises(OptionError, match="no aggregation 'magic'"):
        hypopose.estimate(body25, sampler=ECHO, aggregate="magic")


def test_estimate_keeps_the_record(body25: Keypoints2D) -> None:
    result = hypopose.estimate(
        body25,
        sampler="boneflips",
        n_hypotheses=3,
        aggregate="mean",
        seed=9,
        person="4",
        source="s",
    )
    assert (result.seed, result.aggregate, result.person, result.source) == (9, "mean", "4", "s")
    assert result.version == hypopose.__version__
    assert result.weights == ""
    assert any("camera assumed" in note for note in result.notes)


def test_a_result_survives_the_file(body25: Keypoints2D, tmp_path: Path) -> None:
    result = hypopose.estimate(body25, sampler="boneflips", n_hypotheses=2)
    hypopose.save_result(tmp_path / "r.npz", result)
    again = hypopose.load_hypotheses(tmp_path / "r.npz")
    assert torch.equal(result.hypotheses.joints.nan_to_num(), again.hypotheses.joints.nan_to_num())
    assert again.sampler == result.sampler
    assert again.notes == result.notes


def test_evaluate_knows_the_truth_from_what_is_not() -> None:
    keypoints, truth = example_pair(12)
    exact = Hypotheses(truth.joints.expand(5, -1, -1, -1), truth.skeleton)
    shifted = exact.joints.clone()
    shifted[..., 1:, 2] += 0.03
    right = hypopose.evaluate(exact, truth, keypoints)
    wrong = hypopose.evaluate(Hypotheses(shifted, truth.skeleton), truth, keypoints)
    assert right["mpjpe_single_mm"] == pytest.approx(0.0, abs=1e-4)
    assert wrong["mpjpe_single_mm"] == pytest.approx(30 * 16 / 17, abs=1e-3)
    assert wrong["mpjpe_jpma_mm"] == pytest.approx(30 * 16 / 17, abs=1e-3)
    assert wrong["ece"] == pytest.approx(0.475, abs=0.03)  # identical hypotheses cover nothing
    assert any("oracle" in name for name in wrong)


def test_evaluate_leaves_out_what_one_frame_cannot_say() -> None:
    _, truth = example_pair(1)
    copies = Hypotheses(truth.joints.expand(3, -1, -1, -1), truth.skeleton)
    scores = hypopose.evaluate(copies, truth)
    assert "mpjpe_mean_mm" in scores
    assert all(math.isnan(v) for name, v in scores.items() if "mpjve" in name)


def test_people_without_an_image_size_share_one_camera(body25: Keypoints2D) -> None:
    blind = replace(body25, image_size=None)
    far = replace(blind, xy=blind.xy + torch.tensor([1000.0, 300.0]))
    known = hypopose.prepare(body25)
    people = api.share_camera({"a": blind, "b": far, "c": known})
    sizes = {name: k.image_size for name, k in people.items()}
    assert sizes["a"] == sizes["b"]
    assert sizes["a"] != (640, 640)
    assert people["c"] is known
    assert people["a"].camera is not None
    assert people["a"].camera.assumed
    alone = api.share_camera({"a": blind, "c": known})
    assert alone["a"] is blind


def test_weights_that_do_not_say_for_whom_they_are_serve_any_sampler(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(BUNDLED / "d3dp-frame-small", folder)
    advice = json.loads((folder / "sampler.json").read_text())
    del advice["sampler"]
    (folder / "sampler.json").write_text(json.dumps(advice))
    assert type(hypopose.make_sampler("flow", weights=folder)).__name__ == "FlowMatching"
    with pytest.raises(CheckpointError, match="Lifter has no option 'n_steps'"):
        hypopose.make_sampler("lifter", weights=folder)
    (folder / "sampler.json").unlink()
    assert type(hypopose.make_sampler("distributional", weights=folder)).__name__.startswith("Dist")
