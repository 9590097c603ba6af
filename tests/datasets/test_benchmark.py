"""Benchmarks: definitions are stable, items belong together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hypopose.cameras import fit_root
from hypopose.datasets import (
    Benchmark,
    DetectorNoise,
    MeanPose,
    batches,
    benchmark_names,
    define,
    example_motion,
    example_pair,
    from_json,
    load_benchmark,
    load_motion,
    stack,
    to_json,
)
from hypopose.datasets.benchmark_drawing import cut
from hypopose.diffusion import seeded_noise
from hypopose.errors import FormatError, OptionError
from hypopose.metrics import reprojection_error
from hypopose.types import Sampler

DRAFT = Benchmark("tiny", "Synthetic walks.", ("walks",), "test", seed=1, window=20)


def write_shard(folder: Path) -> Path:
    """Four synthetic walks, two of them for testing, in the format of the motion shards."""
    lengths = [30, 45, 50, 26]
    clips = [example_motion(n).numpy() for n in lengths]
    names = ["walk_a", "walk_b", "walk_c", "walk_d"]
    np.savez(
        folder / "walks.npz",
        joints=np.concatenate([np.round(c / 0.00025) for c in clips]).astype(np.int16),
        scale=np.float32(0.00025),
        fps=np.float32(50),
        start=np.cumsum([0, *lengths[:-1]]),
        length=np.array(lengths, np.int32),
        name=np.array(names),
        subject=np.array(["s"] * 4),
        action=np.array(["walk", "walk", "stroll", "walk"]),
        description=np.array([""] * 4),
        source=np.array(["synthetic"] * 4),
        license=np.array(["CC0"] * 4),
        split=np.array(["train", "test", "test", "val"]),
        flags=np.array([""] * 4),
        fps_source=np.full(4, 50.0, np.float32),
    )
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_shard(tmp_path)


@pytest.fixture
def benchmark(folder: Path) -> Benchmark:
    return define(DRAFT, folder)


def test_cut_covers_a_clip_once() -> None:
    for length in range(1, 200):
        pieces = cut(length, 20)
        assert [f for a, b in pieces for f in range(a, b)] == list(range(length))
        assert all(b - a >= min(length, 7) for a, b in pieces)
    assert cut(500, None) == [(0, 500)]


def test_a_definition_survives_json_and_is_drawn_the_same_again(benchmark, folder) -> None:
    again = from_json(to_json(benchmark))
    assert again.views == benchmark.views
    assert again.cameras == benchmark.cameras
    assert again.mean_pose == benchmark.mean_pose
    assert to_json(define(DRAFT, folder)) == to_json(benchmark)
    other = define(replace(DRAFT, seed=2), folder)
    assert other.views != benchmark.views


def test_items_are_exact_pairs(benchmark, folder) -> None:
    items = list(benchmark.items(folder))
    assert len(items) == len(benchmark.views) == 5  # 45 = 20 + 25, 50 = 20 + 20 + 10
    for item in items:
        assert reprojection_error(item.truth, item.keypoints).max() < 1e-2
        assert item.keypoints.fps == 50
        assert item.keypoints.camera.rotation is None  # gravity is not given away
        assert not item.keypoints.camera.assumed
        fitted = fit_root(item.truth.joints, item.keypoints)
        torch.testing.assert_close(fitted, item.truth.root, rtol=1e-3, atol=1e-3)
    assert {item.action for item in items} == {"walk", "stroll"}


def test_an_unknown_camera_is_assumed(benchmark, folder) -> None:
    hidden = replace(benchmark, camera_known=False)
    for a, b in zip(hidden.items(folder), benchmark.items(folder), strict=True):
        assert a.keypoints.camera.assumed
        assert torch.equal(a.keypoints.xy, b.keypoints.xy)


def test_detector_noise_does_not_depend_on_what_else_is_evaluated(benchmark, folder) -> None:
    noisy = replace(benchmark, detector=DetectorNoise(), keypoint_skeleton="coco17")
    everything = {item.name: item for item in noisy.items(folder)}
    for item in noisy.items(folder, limit=2):
        same = everything[item.name].keypoints
        torch.testing.assert_close(item.keypoints.xy, same.xy, equal_nan=True)
        assert item.keypoints.skeleton.name == "coco17"
        assert item.truth.skeleton.name == "h36m17"


def test_stride_and_limit(benchmark, folder) -> None:
    slow = list(replace(benchmark, stride=2).items(folder))
    full = list(benchmark.items(folder))
    assert slow[0].keypoints.fps == 25
    torch.testing.assert_close(slow[0].truth.joints, full[0].truth.joints[::2])
    assert len(list(benchmark.items(folder, limit=1))) == 1
    assert len(list(benchmark.items(folder, limit=99))) == len(full)
    with pytest.raises(OptionError, match="at least 1"):
        next(benchmark.items(folder, limit=0))


def test_batches_hold_equal_lengths_and_every_item_once(benchmark, folder) -> None:
    groups = list(batches(benchmark.items(folder), 2))
    names = [item.name for group in groups for item in group]
    assert sorted(names) == sorted(item.name for item in benchmark.items(folder))
    for group in groups:
        assert len(group) <= 2
        keypoints, truth = stack(group)
        assert reprojection_error(truth, keypoints).max() < 1e-2
        assert keypoints.camera.focal.shape == (len(group), 2)


def test_errors_name_the_cure(benchmark, folder, tmp_path) -> None:
    strange = replace(benchmark, views=(replace(benchmark.views[0], clip="nobody"),))
    with pytest.raises(FormatError, match="nobody"):
        next(strange.items(folder))
    with pytest.raises(OptionError, match="test-clean"):
        load_benchmark("no-such")
    file = tmp_path / "bad.json"
    file.write_text(json.dumps({"format": "something else"}))
    with pytest.raises(FormatError, match="not a benchmark definition"):
        load_benchmark(file)
    file.write_text("{")
    with pytest.raises(FormatError, match="not a benchmark definition"):
        load_benchmark(file)
    file.write_text(to_json(benchmark))
    assert load_benchmark(file).name == "tiny"


def test_the_mean_pose_is_upright_and_looks_at_nothing(benchmark) -> None:
    baseline = benchmark.baseline
    assert isinstance(baseline, Sampler)
    keypoints, _ = example_pair(4)
    a = baseline.sample(keypoints, 3, seeded_noise(0)).joints
    b = baseline.sample(replace(keypoints, xy=keypoints.xy * 0.5), 3, seeded_noise(1)).joints
    assert torch.equal(a, b)
    assert (a == a[:1, :1]).all()
    assert float(a[0, 0, 10, 1]) < -0.4  # head above
    assert float(a[0, 0, 3, 1]) > 0.4
    with pytest.raises(OptionError, match="17 joints"):
        MeanPose(((0.0, 0.0, 0.0),))


@pytest.mark.parametrize("name", benchmark_names())
def test_bundled_definitions_are_complete_and_small(name: str) -> None:
    benchmark = load_benchmark(name)
    assert benchmark.name == name
    assert len(benchmark.mean_pose) == 17
    n_frames = sum(view.stop - view.start for view in benchmark.views)
    expected = {"cmu_permissive": (10546, 4806), "cmu_own_bodies": (6004, 3616)}
    if not benchmark.is_built_in:
        assert n_frames == expected[benchmark.shards[0]][benchmark.split == "val"]
    assert len(to_json(benchmark)) < 25_000


@pytest.mark.shared
@pytest.mark.parametrize("name", ["val-clean", "test-detector", "val-people-detector", "synthetic"])
def test_bundled_definitions_follow_from_their_parameters(shared, name: str) -> None:
    folder = shared / "data" / "motion"
    kept = load_benchmark(name)
    made = define(replace(kept, views=(), mean_pose=()), folder)
    assert [v.clip for v in made.views] == [v.clip for v in kept.views]
    for a, b in zip(made.views, kept.views, strict=True):
        assert a.focal == pytest.approx(b.focal, abs=0.2)
        assert a.place == pytest.approx(b.place, abs=2e-3)
        assert a.quaternion == pytest.approx(b.quaternion, abs=1e-4)
    torch.testing.assert_close(
        torch.tensor(made.mean_pose), torch.tensor(kept.mean_pose), rtol=0, atol=1e-3
    )


@pytest.mark.shared
def test_the_test_benchmark_reads_from_the_shards(shared) -> None:
    items = list(load_benchmark("test-clean").items(shared / "data" / "motion", limit=8))
    assert len(items) == 8
    for item in items:
        assert reprojection_error(item.truth, item.keypoints).max() < 0.05
        inside = (item.keypoints.xy >= 0) & (item.keypoints.xy <= 1000)
        assert inside.double().mean() > 0.9


@pytest.mark.shared
@pytest.mark.parametrize("name", ["people-clean", "val-people-clean"])
def test_people_of_their_own_are_in_no_training_split(shared, name: str) -> None:
    folder = shared / "data" / "motion"
    benchmark = load_benchmark(name)
    motion = benchmark.motion(folder)
    assert set(motion.subjects) == set(benchmark.subjects)
    assert {view.clip for view in benchmark.views} == set(motion.names)
    for shard in ("cmu_permissive", "cmu_own_bodies"):
        assert not set(load_motion(folder / f"{shard}.npz").subjects) & set(benchmark.subjects)


def test_the_synthetic_benchmark_needs_no_data() -> None:
    benchmark = load_benchmark("synthetic")
    items = list(benchmark.items("no such folder", limit=8))
    for item in items:
        assert reprojection_error(item.truth, item.keypoints).max() < 1e-2
        assert item.truth.root[:, 2].min() > 0.5
    assert len({item.action for item in items}) > 3
