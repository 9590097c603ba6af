from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from hypopose.adaptation import Change, Recording, compare, judge, verdict
from hypopose.adaptation.judging import person_size, view_pairs
from hypopose.cameras import axis_angle, project
from hypopose.datasets import example_pair
from hypopose.optimization.stature import stature
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Hypotheses, Keypoints2D, NoiseSource

KEYPOINTS, TRUTH = example_pair(30)
assert TRUTH.root is not None
ROOT = TRUTH.root
assert KEYPOINTS.camera is not None
CAMERA = KEYPOINTS.camera


class Around:
    """A sampler that knows the truth and errs by as much as it says, or not."""

    skeleton = H36M17

    def __init__(self, error: float, spread: float, turn: float = 0.0) -> None:
        self.error, self.spread, self.turn = error, spread, turn

    def sample(self, keypoints: Keypoints2D, n_hypotheses: int, noise: NoiseSource) -> Hypotheses:
        fixed = torch.randn(17, 3, generator=torch.Generator().manual_seed(1))
        z = noise((1, n_hypotheses, 1, 17, 3))[0]
        turn = axis_angle(torch.tensor([0.0, 1, 0]), torch.tensor(self.turn))
        joints = TRUTH.joints @ turn.mT + self.error * fixed + self.spread * z
        joints = joints - joints[..., :1, :]
        return Hypotheses(joints, H36M17, ROOT.expand(n_hypotheses, -1, -1))


def placed(camera: Camera, R: torch.Tensor, t: torch.Tensor) -> Camera:
    return replace(camera, rotation=R, translation=t)


def two_views() -> list[Recording]:
    R = axis_angle(torch.tensor([0.0, 1, 0]), torch.tensor(math.pi / 2))
    middle = ROOT.mean(0)
    world = TRUTH.joints + ROOT[:, None]
    there = (world - middle) @ R.mT + middle
    first = placed(CAMERA, torch.eye(3), torch.zeros(3))
    second = placed(CAMERA, R, middle - R @ middle)
    seen = replace(KEYPOINTS, xy=project(there, CAMERA), confidence=None, camera=second)
    return [
        Recording(replace(KEYPOINTS, camera=first), "x", "a"),
        Recording(seen, "x", "b"),
    ]


def test_pairs_of_views_are_found() -> None:
    views = two_views()
    assert view_pairs(views) == [(0, 1), (1, 0)]
    assert view_pairs([views[0], replace(views[1], person="y")]) == []
    assert view_pairs([Recording(KEYPOINTS, "x", "a"), Recording(KEYPOINTS, "x", "b")]) == []
    later = [views[0], replace(views[1], first_frame=30)]
    assert view_pairs(later) == []  # another moment


def test_the_truth_scores_nothing_in_another_view() -> None:
    views = two_views()
    exact = judge(Around(0.0, 0.0), views[:1] + views[1:])
    assert float(exact["other_view"][0]) < 1.0
    assert float(exact["other_view_place"][0]) < 1.0
    turned = judge(Around(0.0, 0.0, turn=0.4), views)
    assert float(turned["other_view"][0]) > 5.0


def test_a_wrong_depth_shows_in_the_place_only() -> None:
    views = two_views()
    far = [
        replace(v, keypoints=replace(v.keypoints, xy=v.keypoints.xy + torch.tensor([30.0, 0.0])))
        for v in views
    ]
    scores = judge(Around(0.0, 0.0), far)
    assert float(scores["other_view"][0]) < 1.0
    assert float(scores["other_view_place"][0]) > 10.0


@pytest.mark.parametrize("score", ["hidden", "other_view"])
def test_scores_are_proper(score: str) -> None:
    """Neither too narrow nor too wide does better than honest."""
    clips = two_views()[:1] * 2 if score == "hidden" else two_views()
    by_spread = [
        float(judge(Around(0.04, spread), clips, n_hypotheses=60)[score][0])
        for spread in (0.002, 0.04, 0.25)
    ]
    assert by_spread[1] < min(by_spread[0], by_spread[2])


def test_a_known_stature_is_scored_in_millimeters() -> None:
    tall = float(stature(TRUTH.joints, H36M17))
    clip = Recording(KEYPOINTS, "x")
    assert float(judge(Around(0.0, 0.0), [clip], height=tall)["stature"][0]) < 1.0
    off = judge(Around(0.0, 0.0), [clip], height=tall + 0.1)["stature"]
    assert float(off[0]) == pytest.approx(100, abs=1)


def test_sizes_do_not_depend_on_resolution() -> None:
    twice = replace(KEYPOINTS, xy=2 * KEYPOINTS.xy)
    assert person_size(twice) == pytest.approx(2 * person_size(KEYPOINTS))


def test_changes_count_beyond_their_error() -> None:
    before = {"hidden": torch.tensor([10.0, 12.0, torch.nan, 11.0])}
    same = compare(before, {"hidden": before["hidden"] + torch.tensor([0.5, -0.5, 0.0, 0.0])})
    assert verdict(same)
    better = compare(before, {"hidden": before["hidden"] - 1})
    assert better["hidden"].n == 3
    assert not verdict(better)
    one = {"hidden": before["hidden"][:1]}
    assert verdict(compare(one, {"hidden": one["hidden"] - 1}))  # no telling
    worse = {**better, "other_view": Change(5.0, 6.0, 0.1, 9)}
    assert verdict(worse)


def test_improvement_needs_a_proper_score() -> None:
    assert verdict({"reprojection": Change(5.0, 1.0, 0.1, 9)})


def test_other_views_decide_where_there_are_some() -> None:
    better, same = Change(10.0, 9.0, 0.2, 9), Change(10.0, 10.0, 0.2, 9)
    assert not verdict({"hidden": Change(10.0, 10.3, 0.05, 9), "other_view": better})
    assert verdict({"hidden": Change(10.0, 10.8, 0.05, 9), "other_view": better}) == (
        "hidden became worse"
    )
    assert "other_view did not improve" in verdict({"hidden": better, "other_view": same})
    worse = Change(10.0, 11.0, 0.2, 9)
    assert "stature became worse" in verdict({"stature": worse, "other_view": better})
    assert verdict({"hidden": Change(float("nan"), float("nan"), 0.0, 0)})
