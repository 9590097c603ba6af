"""Laws of every metric of the table, and of the sums they are kept in."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from hypopose.datasets import example_pair
from hypopose.errors import OptionError, ShapeError, SkeletonMismatchError
from hypopose.evaluation import METRICS, Comparison, Draw, Evaluator, Metric, frame_scores
from hypopose.evaluation.frame_scores import choose_metrics, unit_of
from hypopose.metrics import mpjpe, n_mpjpe, p_mpjpe, pck
from hypopose.skeletons import H36M17
from hypopose.types import Hypotheses, Poses3D, Skeleton

NEEDS_KEYPOINTS = [key for key in METRICS if "jpma" in key or key.endswith("_px")]
PLAIN = [key for key in METRICS if key not in NEEDS_KEYPOINTS and "seam" not in key]
FEWEST = {"mpjve": 2, "acceleration": 3}


def fewest_frames(key: str) -> int:
    return next((n for start, n in FEWEST.items() if key.startswith(start)), 1)


def batch(n: int = 4, h: int = 5, f: int = 6, seed: int = 0) -> tuple[Hypotheses, Poses3D]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(n, f, 17, 3, generator=generator)
    x = y.unsqueeze(1) + 0.2 * torch.randn(n, h, f, 17, 3, generator=generator)
    y[..., 0, :], x[..., 0, :] = 0, 0
    return Hypotheses(x, H36M17), Poses3D(y, H36M17)


def part(x: Hypotheses, y: Poses3D, rows: slice) -> tuple[Hypotheses, Poses3D]:
    return Hypotheses(x.joints[rows], H36M17), Poses3D(y.joints[rows], H36M17)


def value(key: str, x: Hypotheses, y: Poses3D) -> torch.Tensor:
    return METRICS[key].values(Comparison(x, y))


@pytest.mark.parametrize("key", PLAIN)
def test_law_one_value_per_frame_with_a_unit(key: str) -> None:
    found = value(key, *batch())
    assert found.shape == (4, 6)
    assert found.isfinite().all()
    assert unit_of(key)


@pytest.mark.parametrize("key", PLAIN)
def test_law_order_of_hypotheses_does_not_matter(key: str) -> None:
    x, y = batch()
    flipped = Hypotheses(x.joints.flip(1), H36M17)
    torch.testing.assert_close(value(key, x, y), value(key, flipped, y), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("key", PLAIN)
def test_law_a_clip_does_not_change_another(key: str) -> None:
    x, y = batch()
    broken = x.joints.clone()
    broken[0] = math.nan
    found = value(key, Hypotheses(broken, H36M17), y)
    assert found[0].isnan().all()
    rest = value(key, *part(x, y, slice(1, 4)))
    torch.testing.assert_close(found[1:], rest, rtol=1e-5, atol=1e-3, check_dtype=False)


@pytest.mark.parametrize("key", PLAIN)
def test_law_the_truth_itself_is_perfect(key: str) -> None:
    _, y = batch()
    x = Hypotheses(y.joints.unsqueeze(1).expand(-1, 3, -1, -1, -1), H36M17)
    if key.startswith(("symmetry", "bone_drift", "diversity", "cluster_entropy")):
        return  # these look at the hypotheses alone
    best = {"auc_mean_percent": 100 * 30 / 31}.get(key, 100.0)
    expected = 0.0 if METRICS[key].lower_is_better else best
    assert value(key, x, y).mean() == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("key", PLAIN)
def test_law_short_clips_do_not_raise(key: str) -> None:
    found = value(key, *batch(f=1))
    assert found.isnan().all() == (fewest_frames(key) > 1)


@pytest.mark.parametrize("key", [key for key in PLAIN if "energy" not in key])
def test_law_leaving_the_root_out_weighs_the_others_alone(key: str) -> None:
    x, y = batch()
    all_joints = value(key, x, y)
    others = METRICS[key].values(Comparison(x, y, exclude_root=True))
    assert others.shape == all_joints.shape
    if key.startswith(("mpjpe", "mpjve")):
        torch.testing.assert_close(others, all_joints * 17 / 16, rtol=1e-4, atol=1e-4)


def test_values_match_the_functions() -> None:
    x, y = batch()
    for key, function in (("mpjpe_mean_mm", mpjpe), ("p_mpjpe_mean_mm", p_mpjpe),
                          ("n_mpjpe_mean_mm", n_mpjpe)):  # fmt: skip
        expected = 1000 * float(function(x.joints.mean(1), y.joints))
        assert float(value(key, x, y).mean()) == pytest.approx(expected, rel=1e-5)
    hits = 100 * float(pck(x.joints.mean(1), y.joints))
    assert float(value("pck_150_mean_percent", x, y).mean()) == pytest.approx(hits)


def test_oracles_are_ordered_and_shuffling_frames_hurts_only_the_clip_best() -> None:
    x, y = batch(n=3, h=8, f=20)
    x.joints[:, 0] = y.joints + 0.1 * (x.joints[:, 0] - y.joints)  # one far better than the rest
    shuffled = torch.stack([x.joints[:, :, f].roll(f, 1) for f in range(20)], 2)
    moved = Hypotheses(shuffled, H36M17)
    best = {k: f"mpjpe_oracle_{k}_mm" for k in ("joint_best", "pose_best_frame", "pose_best_clip")}
    joint, frame, clip = (value(key, x, y) for key in best.values())
    assert (joint <= frame).all()
    assert (frame.mean(-1) <= clip.mean(-1) + 1e-3).all()
    torch.testing.assert_close(value(best["pose_best_frame"], moved, y), frame)
    assert (value(best["pose_best_clip"], moved, y) > 2 * clip).all()


def test_diversity_of_gaussian_hypotheses() -> None:
    x = torch.randn(400, 3, 17, 3, generator=torch.Generator().manual_seed(0))
    y = Poses3D(torch.zeros(3, 17, 3), H36M17)
    expected = 1000 * math.sqrt(8 / math.pi)  # E|X| for a unit normal in 3D
    found = float(value("diversity_mm", Hypotheses(x, H36M17), y).mean())
    assert found == pytest.approx(expected, rel=0.01)


def test_the_mean_of_exact_hypotheses_reprojects() -> None:
    keypoints, truth = example_pair()
    x = Hypotheses(truth.joints.expand(3, *truth.joints.shape), truth.skeleton)
    metrics = {k: METRICS[k] for k in ("reprojection_mean_px",)}
    assert frame_scores(x, keypoints, truth, metrics=metrics)["reprojection_mean_px"].max() < 0.1
    blind = frame_scores(x, None, truth, metrics=metrics)["reprojection_mean_px"]
    assert blind.isnan().all()


@pytest.mark.parametrize("key", PLAIN)
def test_law_halves_merge_into_the_whole(key: str) -> None:
    x, y = batch()
    metrics = {key: METRICS[key]}
    whole, first, second = (Evaluator(metrics) for _ in range(3))
    whole.add(x, y, ["a", "b", "b", "c"])
    first.add(*part(x, y, slice(0, 2)), ["a", "b"])
    second.add(*part(x, y, slice(2, 4)), ["b", "c"])
    first.merge(second)
    a, b = whole.scores()[key], first.scores()[key]
    assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), rel=1e-9)
    assert a.n_sequences == b.n_sequences == 3


def test_a_merged_evaluator_has_the_same_curves() -> None:
    x, y = batch(n=6, h=12)
    whole, first, second = (Evaluator(distributions=True) for _ in range(3))
    labels = list("aabbcc")
    whole.add(x, y, labels)
    first.add(*part(x, y, slice(0, 3)), labels[:3])
    second.add(*part(x, y, slice(3, 6)), labels[3:])
    first.merge(second)
    assert first.curve().ece == pytest.approx(whole.curve().ece, rel=1e-9)
    assert first.scores()["ece_10"].value == pytest.approx(whole.scores()["ece_10"].value)
    assert torch.allclose(first.axis_histogram().counts, whole.axis_histogram().counts)
    for best, curve in whole.best_of_k().items():
        assert torch.allclose(first.best_of_k()[best], curve)


def test_invalid_frames_are_counted_and_the_rest_is_measured() -> None:
    x, y = batch()
    broken = x.joints.clone()
    broken[0] = math.nan
    evaluator, rest = Evaluator(), Evaluator()
    evaluator.add(Hypotheses(broken, H36M17), y)
    rest.add(*part(x, y, slice(1, 4)))
    found, expected = (e.scores()["mpjpe_mean_mm"] for e in (evaluator, rest))
    assert (found.n_invalid_frames, expected.n_invalid_frames) == (6, 0)
    assert found.value == pytest.approx(expected.value, rel=1e-6)


def test_wrong_company_is_refused() -> None:
    x, y = batch()
    with pytest.raises(ShapeError, match="without the hypothesis axis"):
        Comparison(x, Poses3D(y.joints[:2], H36M17))
    other = Skeleton("other", H36M17.joint_names, H36M17.parents)
    with pytest.raises(SkeletonMismatchError, match="one skeleton"):
        Comparison(x, Poses3D(y.joints, other))
    with pytest.raises(ShapeError, match="label per item"):
        Draw.of(x, y, ["a"])


OWN = '''"""A metric of one's own."""


def knees_mm(c):
    """Error of the knees.

    Longer words.
    """
    return 1000 * c.errors[..., [2, 5]].mean((-3, -1))


def broken_mm(c):
    return c.errors


not_a_metric = 3
'''


def test_a_metric_of_ones_own_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    metrics = choose_metrics([f"{path}:knees_mm", "auc_mean_percent"])
    assert metrics["knees_mm"].title == "Error of the knees"
    x, y = batch()
    found = frame_scores(x, None, y, metrics=metrics)
    expected = 1000 * (x.joints - y.joints.unsqueeze(1)).norm(dim=-1)[..., [2, 5]].mean((1, 3))
    torch.testing.assert_close(found["knees_mm"], expected)
    assert "auc_mean_percent" in found
    for name, error, words in (
        (f"{path}:broken_mm", ShapeError, "one value per frame"),
        (f"{path}:absent", OptionError, "has no 'absent'"),
        (f"{path}:not_a_metric", OptionError, "is a int"),
        ("./none.py:x", OptionError, "there is no such file"),
        ("no.such.package:x", OptionError, "cannot be imported"),
        ("no_such_metric", OptionError, "There is no metric"),
    ):
        with pytest.raises(error, match=words):
            frame_scores(x, None, y, metrics=choose_metrics([name]))


def test_a_metric_object_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from hypopose.evaluation import Metric\n"
        "share_percent = Metric('a share', lambda c: c.unknown(), lower_is_better=False)\n"
    )
    metric = choose_metrics([f"{path}:share_percent"])["share_percent"]
    assert isinstance(metric, Metric)
    assert not metric.lower_is_better
