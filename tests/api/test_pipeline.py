"""From keypoints to a result in one call: the command line and Python give the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import hypopose
from hypopose import Keypoints2D, Result
from hypopose.api import Pipeline, calibrator_beside
from hypopose.calibration import load_calibrator
from hypopose.cli import main
from hypopose.datasets import example_pair
from hypopose.errors import OptionError
from hypopose.io import load_hypotheses, load_people
from hypopose.quantities import BodyMotion

DATA = Path(__file__).parents[2] / "examples" / "data"
TWO = DATA / "openpose_two_people"
FAST = {"sampler": "boneflips", "n_hypotheses": 3}


@pytest.fixture(scope="module")
def keypoints() -> Keypoints2D:
    whole, _ = example_pair()
    return replace(whole, xy=whole.xy[:12], confidence=None, covariance=None, camera=None,
                   image_size=(1000, 1000))  # fmt: skip


def same(a: Result, b: Result) -> bool:
    pairs = [(a.hypotheses.joints, b.hypotheses.joints), (a.pose.joints, b.pose.joints)]
    pairs += [(r, s) for r, s in [(a.hypotheses.root, b.hypotheses.root)]
              if r is not None and s is not None]  # fmt: skip
    return all(torch.equal(x.nan_to_num(), y.nan_to_num()) for x, y in pairs)


OPTIONS: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
    "as sampled": ({}, ()),
    "refined": ({"refine": True}, ("--refine",)),
    "recalibrated": ({"calibrator": "bundled", "sampler": "d3dp", "n_steps": 1},
                     ("--calibrator", "bundled", "--sampler", "d3dp", "--n-steps", "1")),
    "focal length": ({"focal": "estimate"}, ("--estimate-focal",)),
    "smoothed, scaled, on a floor": (
        {"smooth": 3.0, "height": 1.7, "ground": True},
        ("--smooth", "3", "--height", "1.7", "--ground")),
    "median, seed 4": (
        {"aggregate": "median", "seed": 4}, ("--aggregate", "median", "--seed", "4")),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_python_and_the_command_line_give_the_same(name: str, tmp_path: Path) -> None:
    options, words = OPTIONS[name]
    base = [] if "--sampler" in words else ["--sampler", "boneflips"]
    done = CliRunner().invoke(main, [
        "sample", str(TWO), "-o", str(tmp_path / "out.npz"), *base, "--n-hypotheses", "3",
        "--skeleton", "body25b", "--no-overview", *words,
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    results = hypopose.estimate_file(TWO, reading={"skeleton": "body25b"}, **{**FAST, **options})
    assert set(results) == {"0", "1"}
    for person, result in results.items():
        stored = load_hypotheses(tmp_path / f"out_person{person}.npz")
        assert same(stored, result)
        assert stored.notes == result.notes
        assert (stored.calibrator, stored.sampler) == (result.calibrator, result.sampler)
        assert (stored.source, stored.person) == (result.source, result.person)


def test_people_share_a_camera_even_if_only_one_is_sampled() -> None:
    people = load_people(TWO, skeleton="body25b")
    everybody = hypopose.estimate_people(people, **FAST)
    one = hypopose.estimate_people(people, only=["1"], **FAST)
    assert list(one) == ["1"]
    assert same(one["1"], everybody["1"])
    assert hypopose.estimate_people(people, only=[], **FAST) == {}


def test_a_pipeline_gives_the_same_for_the_second_file(keypoints: Keypoints2D) -> None:
    pipeline = hypopose.make_pipeline(**FAST)
    first, second = pipeline.estimate(keypoints), pipeline.estimate(keypoints)
    assert same(first, second)
    assert same(first, hypopose.estimate(keypoints, **FAST))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"refine": True, "calibrator": "bundled", "sampler": "d3dp"}, "not both"),
        ({"camera_motion": "poses.csv", "ground": True}, "brings its own world"),
        ({"aggregate": "magic"}, "no aggregation 'magic'"),
        ({"calibrator": "bundled"}, "has no weights, so no calibrator"),
        ({"magic": 1}, "no option 'magic'"),
    ],
)
def test_options_that_contradict_each_other(
    keypoints: Keypoints2D, options: dict[str, object], words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        hypopose.estimate(keypoints, **{**FAST, **options})


def test_recalibration_is_recorded_and_done_once(keypoints: Keypoints2D) -> None:
    result = hypopose.estimate(keypoints, sampler="d3dp", n_steps=1, n_hypotheses=3)
    by_name = hypopose.recalibrate(result)
    loaded = load_calibrator(calibrator_beside(sampler="d3dp"))
    by_object = hypopose.recalibrate(result, loaded, name="calibrator.json")  # type: ignore[arg-type]
    assert same(by_name, by_object)
    assert not same(by_name, result)
    assert by_name.calibrator["file"] == "calibrator.json"
    with pytest.raises(OptionError, match="recalibrated before"):
        hypopose.recalibrate(by_name)
    with pytest.raises(OptionError, match="refined before"):
        hypopose.recalibrate(hypopose.refine(result))


def test_further_cameras_saw_one_person(keypoints: Keypoints2D) -> None:
    class Views:
        skeleton = hypopose.get_skeleton("h36m17")
        views = (keypoints,)

        def sample(self, *_: object) -> None:
            pytest.fail("worked in vain")

    pipeline = Pipeline(Views())  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="2 people: 0, 1"):
        pipeline.estimate_people({"0": keypoints, "1": keypoints})


def test_quantities_are_measured_per_hypothesis(keypoints: Keypoints2D) -> None:
    result = hypopose.estimate(keypoints, **FAST)

    def reach(motion: BodyMotion) -> torch.Tensor:
        return (motion.at("left_wrist") - motion.at("pelvis")).norm(dim=-1)

    values = hypopose.measure(result, reach)["reach"].samples
    x, wrist = result.hypotheses, result.hypotheses.skeleton.index("left_wrist")
    assert torch.allclose(values.float(), x.joints[..., wrist, :].norm(dim=-1), atol=1e-5)


PLUGIN = '''
from dataclasses import dataclass
from hypopose import Hypotheses, Poses3D, Skeleton, get_skeleton
from hypopose.samplers import D3DP

@dataclass(frozen=True)
class Jitter:
    """Noise around nothing: every joint at the root, give or take ``size``."""

    size: float = 0.1
    skeleton: Skeleton = get_skeleton("h36m17")

    def sample(self, keypoints, n_hypotheses, noise):
        joints = self.size * noise((n_hypotheses, *keypoints.xy.shape[:-1], 3))
        return Hypotheses(joints - joints[..., :1, :], self.skeleton)

@dataclass(frozen=True)
class Careful(D3DP):
    pass

ready = Jitter(0.2)

class Bare:
    pass

def first(hypotheses, keypoints):
    return Poses3D(hypotheses.joints[0], hypotheses.skeleton)
'''

Plugin = Callable[[str], str]


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    path = tmp_path / "jitter.py"
    path.write_text(PLUGIN)
    return lambda name: f"{path}:{name}"


def test_a_sampler_and_an_aggregation_of_your_own(keypoints: Keypoints2D, plugin: Plugin) -> None:
    result = hypopose.estimate(
        keypoints, sampler=plugin("Jitter"), n_hypotheses=4, size=0.3, aggregate=plugin("first")
    )
    assert result.sampler["name"] == "jitter.py:Jitter"
    assert result.sampler["plugin"].startswith("sha256 ")
    assert result.sampler["size"] == 0.3
    assert result.aggregate == "jitter.py:first"
    assert any(n.startswith("aggregated by jitter.py:first (sha256 ") for n in result.notes)
    assert torch.equal(result.pose.joints, result.hypotheses.joints[0])
    smooth = hypopose.adjust(result, height=1.8, aggregate=plugin("first"))
    assert torch.equal(smooth.pose.joints, smooth.hypotheses.joints[0])


def test_a_plugin_made_already(keypoints: Keypoints2D, plugin: Plugin) -> None:
    result = hypopose.estimate(keypoints, sampler=plugin("ready"), n_hypotheses=4)
    assert result.sampler["name"] == "jitter.py:ready"
    assert result.sampler["size"] == 0.2
    with pytest.raises(OptionError, match="has no option 'size'; it has none"):
        hypopose.make_sampler(plugin("ready"), size=1.0)


def test_a_plugin_on_a_sampler_of_ours_takes_its_weights(plugin: Plugin) -> None:
    ours, own = hypopose.make_sampler("d3dp"), hypopose.make_sampler(plugin("Careful"))
    assert own.n_steps == ours.n_steps  # type: ignore[attr-defined]
    assert type(own).__name__ == "Careful"


def test_what_is_not_a_sampler_is_refused(plugin: Plugin) -> None:
    with pytest.raises(OptionError, match="is not a sampler: it needs `skeleton`"):
        hypopose.make_sampler(plugin("Bare"))


def test_weights_cannot_name_code_to_run(tmp_path: Path, plugin: Plugin) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    name = plugin("Jitter").replace("\\", "\\\\")
    (folder / "sampler.json").write_text(f'{{"sampler": "{name}"}}')
    with pytest.raises(OptionError, match="There is no sampler"):
        hypopose.make_sampler(weights=folder)


def test_limbs_that_are_hardly_detected_are_noted(keypoints: Keypoints2D) -> None:
    xy = keypoints.xy.clone()
    knees = [keypoints.skeleton.index(f"{side}_knee") for side in ("left", "right")]
    xy[1:, knees] = torch.nan
    hidden = replace(keypoints, xy=xy)
    notes = hypopose.estimate(hidden, n_hypotheses=2).notes
    assert notes[-1].startswith("right_knee, left_knee seen in at most 8 % of the frames")
    assert not any("seen in" in n for n in hypopose.estimate(keypoints, n_hypotheses=2).notes)
