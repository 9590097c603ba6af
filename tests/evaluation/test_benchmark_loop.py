"""Evaluation: known answers, honest intervals, and the same numbers however it is cut."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hypopose.datasets import Benchmark, DetectorNoise, define, example_motion, example_pair
from hypopose.errors import OptionError, ShapeError
from hypopose.evaluation import (
    METRICS,
    TITLES,
    Evaluation,
    evaluate_benchmark,
    evaluate_pair,
    frame_scores,
    is_oracle,
)
from hypopose.evaluation.result_files import evaluation_to_dict
from hypopose.samplers.boneflips import BoneFlips
from hypopose.skeletons import H36M17
from hypopose.types import Hypotheses, Keypoints2D, NoiseSource, Poses3D, Skeleton


def gaussian(n: int, h: int, spread: float = 1.0, sigma: float = 0.05):
    """Truth and hypotheses from one normal distribution, the hypotheses' spread scaled."""
    generator = torch.Generator().manual_seed(0)
    y = sigma * torch.randn(n, 1, 17, 3, generator=generator)
    x = sigma * spread * torch.randn(n, h, 1, 17, 3, generator=generator)
    y[..., 0, :], x[..., 0, :] = 0, 0
    return Hypotheses(x, H36M17), Poses3D(y, H36M17)


def test_a_calibrated_sampler_has_the_scores_of_the_closed_form() -> None:
    sigma = 0.05
    scores = evaluate_pair(*(p := gaussian(4000, 20, sigma=sigma))[:1], None, p[1])
    assert scores["ece"] < 0.01
    for level in (50, 80, 95):
        assert scores[f"coverage_{level}_percent"] == pytest.approx(level, abs=1)
    energy = 1000 * 2 * sigma / math.sqrt(math.pi) * 16 / 17  # the root is exact
    assert scores["energy_score_joint_mm"] == pytest.approx(energy, rel=0.01)
    single = 1000 * 4 * sigma / math.sqrt(math.pi) * 16 / 17
    assert scores["mpjpe_single_mm"] == pytest.approx(single, rel=0.01)
    assert "mpjpe_jpma_mm" not in scores
    assert scores["n_frames"] == 4000


@pytest.mark.parametrize(("spread", "sign"), [(0.5, -1), (2.0, 1)])
def test_a_wrong_spread_shows_in_ece_and_coverage(spread: float, sign: int) -> None:
    x, y = gaussian(1000, 20, spread)
    scores = evaluate_pair(x, None, y)
    assert scores["ece"] > 0.1
    assert sign * (scores["coverage_80_percent"] - 80) > 5
    assert scores["energy_score_joint_mm"] > evaluate_pair(*gaussian(1000, 20)[:1], None, y)[
        "energy_score_joint_mm"
    ]  # fmt: skip


def test_oracles_are_ordered_and_labelled() -> None:
    keypoints, truth = example_pair()
    hypotheses = BoneFlips().sample(keypoints, 8, seeded())
    s = evaluate_pair(hypotheses, keypoints, truth)
    joint, frame, clip = (
        s[f"mpjpe_oracle_{n}_mm"] for n in ("joint_best", "pose_best_frame", "pose_best_clip")
    )
    assert joint < frame < clip < s["mpjpe_single_mm"]
    assert [k for k in s if is_oracle(k)] == [
        k for k in TITLES if "oracle" in k and METRICS[k].default
    ]
    # Eight hypotheses have no first ten, and nobody said where windows meet.
    absent = {"ece_10", "mpjve_seam_mm_per_frame"}
    absent |= {key for key, metric in METRICS.items() if not metric.default}
    assert set(s) == {*TITLES, "n_frames", "n_invalid_frames"} - absent


def seeded():
    from hypopose.diffusion import seeded_noise

    return seeded_noise(0)


def test_every_aggregate_is_aligned_alike() -> None:
    """Scaled copies of the truth are right but for alignment, whoever puts them together."""
    keypoints, truth = example_pair(12)
    x = Hypotheses((1.2 * truth.joints).expand(5, *truth.joints.shape), truth.skeleton)
    scores = evaluate_pair(x, keypoints, truth)
    for name in ("single", "mean", "median", "jpma"):
        assert scores[f"mpjpe_{name}_mm"] > 50
        assert scores[f"p_mpjpe_{name}_mm"] < 0.1


def test_steps_into_seams_have_their_own_score() -> None:
    _, truth = example_pair(12)
    x = truth.joints.expand(3, *truth.joints.shape).clone()
    x[..., 5:, 1:, 0] += 0.05  # a jump from frame 4 to frame 5
    jumpy = Hypotheses(x, truth.skeleton)
    frames = frame_scores(jumpy, None, truth, seams=[5])
    at_seam = frames["mpjve_seam_mm_per_frame"]
    assert at_seam[5].item() == pytest.approx(50 * 16 / 17, rel=1e-3)
    assert int(at_seam.isfinite().sum()) == 1
    elsewhere = frame_scores(jumpy, None, truth, seams=[8])["mpjve_seam_mm_per_frame"]
    assert elsewhere[8].item() == pytest.approx(0, abs=1e-2)


def test_the_first_ten_are_judged_beside_all() -> None:
    x, y = gaussian(2000, 30)
    scores = evaluate_pair(x, None, y)
    few = evaluate_pair(Hypotheses(x.joints[:, :10], H36M17), None, y)
    assert scores["ece_10"] == few["ece"]
    assert scores["ece_10"] < 0.015
    assert "ece_10" not in few


def test_missing_joints_are_counted() -> None:
    keypoints, truth = example_pair(10)
    hypotheses = BoneFlips().sample(keypoints, 4, seeded())
    x = hypotheses.joints.clone()
    x[1, 3, 16] = math.nan
    scores = evaluate_pair(Hypotheses(x, H36M17), keypoints, truth)
    assert scores["n_invalid_frames"] == 1
    assert math.isfinite(scores["mpjpe_mean_mm"])
    with pytest.raises(ShapeError):
        evaluate_pair(hypotheses, keypoints, Poses3D(truth.joints[:5], H36M17))


def test_one_frame_has_no_velocity() -> None:
    keypoints, truth = example_pair(1)
    scores = evaluate_pair(BoneFlips().sample(keypoints, 4, seeded()), keypoints, truth)
    assert math.isnan(scores["mpjve_mean_mm_per_frame"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lengths = [40, 45, 50, 60, 26]
    clips = [example_motion(n).numpy() for n in lengths]
    np.savez(
        tmp_path / "walks.npz",
        joints=np.concatenate([np.round(c / 0.00025) for c in clips]).astype(np.int16),
        scale=np.float32(0.00025),
        fps=np.float32(50),
        start=np.cumsum([0, *lengths[:-1]]),
        length=np.array(lengths, np.int32),
        name=np.array(["a", "b", "c", "d", "e"]),
        subject=np.array(["s"] * 5),
        action=np.array(["walk", "walk", "stroll", "walk", "walk"]),
        license=np.array(["CC0"] * 5),
        split=np.array(["train", "test", "test", "test", "val"]),
    )
    return tmp_path


@pytest.fixture
def benchmark(folder: Path) -> Benchmark:
    return define(Benchmark("tiny", "Walks.", ("walks",), "test", seed=1, window=20), folder)


def run(benchmark: Benchmark, folder: Path, sampler=None, **options) -> Evaluation:
    options = {"n_hypotheses": 4, **options}
    return evaluate_benchmark(sampler or BoneFlips(), benchmark, folder, **options)


def test_numbers_do_not_depend_on_the_batch_and_repeat_by_seed(benchmark, folder) -> None:
    runs = [run(benchmark, folder, batch_size=b) for b in (1, 3, 16)]
    other = run(benchmark, folder, seed=1)
    for key, score in runs[0].scores.items():
        if "jpma" in key:  # bone flips reproject alike: JPMA's choice is one of rounding
            continue
        for again in runs[1:]:
            same = {"rel": 1e-4, "abs": 0.05, "nan_ok": True}
            assert again.scores[key].value == pytest.approx(score.value, rel=1e-5, nan_ok=True)
            assert again.scores[key].low == pytest.approx(score.low, **same)
    assert other.scores["mpjpe_mean_mm"].value != runs[0].scores["mpjpe_mean_mm"].value


def test_intervals_hold_the_value_and_actions_add_up(benchmark, folder) -> None:
    evaluation = run(benchmark, folder)
    for key, score in evaluation.scores.items():
        if key == "coverage_95_percent":  # four hypotheses resolve 80 %
            assert all(math.isnan(v) for v in (score.low, score.value, score.high))
            continue
        assert score.low <= score.value <= score.high
        if not key.startswith("coverage") and key not in ("ece", "ece_median"):
            weights = [row["n_frames"].value for row in evaluation.actions.values()]
            values = [row[key].value for row in evaluation.actions.values()]
            assert np.average(values, weights=weights) == pytest.approx(score.value, rel=1e-3)
    assert set(evaluation.actions) == {"walk", "stroll"}
    assert evaluation.settings["n_frames"] == 45 + 50 + 60
    assert evaluation.settings["n_sequences"] == 3


def test_actions_have_intervals_over_their_sequences(benchmark, folder) -> None:
    evaluation = run(benchmark, folder, n_hypotheses=12)
    walk, stroll = (evaluation.actions[a] for a in ("walk", "stroll"))
    assert math.isnan(stroll["mpjpe_mean_mm"].low)  # one sequence tells nothing of others
    for key in ("mpjpe_mean_mm", "p_mpjpe_median_mm", "energy_score_clip_mm", "ece"):
        assert walk[key].low <= walk[key].value <= walk[key].high
    data = json.loads(json.dumps(evaluation_to_dict(evaluation), allow_nan=False))
    ends = [walk["mpjpe_mean_mm"].low, walk["mpjpe_mean_mm"].high]
    assert data["per_action_95_percent"]["walk"]["mpjpe_mean_mm"] == ends
    assert "mpjpe_mean_mm" not in data["per_action_95_percent"]["stroll"]
    few = evaluation.scores["ece_10"]
    assert few.low <= few.value <= few.high


def test_windows_shorter_than_views_show_their_seams(benchmark, folder) -> None:
    import hypopose

    sampler = hypopose.make_sampler(window=12, overlap=4)
    cut = run(benchmark, folder, sampler, n_hypotheses=2, limit=2)
    assert cut.scores["mpjve_seam_mm_per_frame"].value > 0
    whole = run(benchmark, folder, hypopose.make_sampler(), n_hypotheses=2, limit=2)
    assert "mpjve_seam_mm_per_frame" not in whole.scores


def test_boneflips_and_the_mean_pose_tell_apart(benchmark, folder) -> None:
    flips, mean = run(benchmark, folder), run(benchmark, folder, benchmark.baseline)
    assert mean.scores["mpjpe_single_mm"].value == mean.scores["mpjpe_mean_mm"].value
    assert mean.scores["ece"].value > 0.45  # a point prediction covers nothing
    assert flips.scores["ece"].value < 0.3
    joint_best = "mpjpe_oracle_joint_best_mm"
    assert flips.scores[joint_best].value < mean.scores[joint_best].value


def test_limit_progress_and_record(benchmark, folder) -> None:
    seen: list[tuple[int, int]] = []
    evaluation = run(
        benchmark, folder, limit=3, batch_size=2, progress=lambda a, b: seen.append((a, b)),
        sampler_record={"name": "boneflips", "scale": 1.0},
    )  # fmt: skip
    assert seen[-1] == (3, 3)
    assert evaluation.settings["n_views"] == 3
    data = json.loads(json.dumps(evaluation_to_dict(evaluation)))
    assert data["sampler"] == {"name": "boneflips", "scale": 1.0}
    assert all("oracle" in key for key in data["oracle_scores"])
    assert not any("oracle" in key for key in data["scores"])
    assert "compared with only" in data["settings"]["ground_truth"]
    assert "NaN" not in json.dumps(data)
    with pytest.raises(OptionError, match="at least 1"):
        run(benchmark, folder, n_hypotheses=0)


def test_one_sequence_has_no_interval(benchmark, folder) -> None:
    evaluation = run(benchmark, folder, limit=1)
    assert math.isnan(evaluation.scores["mpjpe_mean_mm"].low)
    assert evaluation_to_dict(evaluation)["scores"]["mpjpe_mean_mm"]["low"] is None


def test_coco_keypoints_with_gaps_are_converted_and_gaps_counted(benchmark, folder) -> None:
    noisy = replace(benchmark, detector=DetectorNoise(missing=0.1), keypoint_skeleton="coco17")
    evaluation = run(noisy, folder)
    score = evaluation.scores["mpjpe_mean_mm"]
    assert math.isfinite(evaluation.scores["ece"].value)
    assert 0 < score.n_invalid_frames <= evaluation.settings["n_frames"]


@dataclass(frozen=True)
class Peeking:
    """Records what a sampler is given."""

    seen: list[Keypoints2D]
    skeleton: Skeleton = H36M17

    def sample(self, keypoints: Keypoints2D, n_hypotheses: int, noise: NoiseSource) -> Hypotheses:
        self.seen.append(keypoints)
        b, f, j, _ = keypoints.xy.shape
        return Hypotheses(noise((b, n_hypotheses, f, j, 3)), H36M17)


def test_samplers_get_no_truth(benchmark, folder) -> None:
    seen: list[Keypoints2D] = []
    run(replace(benchmark, camera_known=False), folder, Peeking(seen))
    assert seen
    for keypoints in seen:
        assert keypoints.camera.assumed
        assert keypoints.camera.rotation is None
        assert keypoints.camera.translation is None


def test_clips_are_scored_as_wholes() -> None:
    """Errors that hold for a clip cost a clip score more than errors that come and go."""
    g = torch.Generator().manual_seed(0)
    y = Poses3D(torch.zeros(200, 9, 17, 3), H36M17)
    constant = 0.1 * torch.randn(200, 10, 1, 17, 3, generator=g).expand(-1, -1, 9, -1, -1)
    fresh = 0.1 * torch.randn(200, 10, 9, 17, 3, generator=g)
    held, fleeting = (
        evaluate_pair(Hypotheses(x.clone(), y.skeleton), None, y) for x in (constant, fresh)
    )
    # A point truth at the center of both: |x| - |x - x'| / 2 = sigma sqrt(d) (1 - 1 / sqrt 2).
    expected = 1000 * 0.1 * math.sqrt(17 * 3) * (1 - 0.5**0.5)
    assert held["energy_score_clip_mm"] == pytest.approx(held["energy_score_pose_mm"], rel=1e-5)
    assert fleeting["energy_score_clip_mm"] == pytest.approx(expected, rel=0.02)
    assert held["bone_drift_single_mm"] == pytest.approx(0, abs=1e-3)
    assert fleeting["bone_drift_single_mm"] > 30
