"""The training-free sampler tosses one coin per bone: its flips, shares and causes are known."""

from __future__ import annotations

from dataclasses import replace

import torch

from hypopose.ambiguity import analyze, depth_flips, second_camera, switch_rate
from hypopose.datasets import example_pair
from hypopose.diffusion import seeded_noise
from hypopose.samplers.boneflips import BoneFlips
from hypopose.skeletons import H36M17
from hypopose.types import Hypotheses, Keypoints2D


def clip() -> Keypoints2D:
    keypoints, _ = example_pair()
    return replace(keypoints, xy=keypoints.xy[:20], confidence=None)


def draw(keypoints: Keypoints2D, n: int = 100) -> Hypotheses:
    return BoneFlips().sample(keypoints, n, seeded_noise(0))


def test_flips_are_found_at_even_odds() -> None:
    flips = depth_flips(draw(clip()))
    limbs = [i for i, name in enumerate(flips.names) if name.split()[0] in ("left", "right")]
    depth = flips.values.abs().quantile(0.1, dim=0)[:, limbs]
    found, negative = flips.ambiguous[:, limbs], flips.negative[:, limbs]
    assert found[depth > 0.08].double().mean() > 0.95
    widest = flips.values.abs().amax(0)[:, limbs]
    assert not found[widest < 0.02].any()
    assert (negative[found] - 0.5).abs().mean() < 0.1


def test_every_flip_reported_has_two_depths_and_hypotheses_keep_their_mind() -> None:
    flips = depth_flips(draw(clip(), 40))
    values = flips.values.movedim(0, -1)[flips.ambiguous]
    assert bool(((values < 0).any(-1) & (values > 0).any(-1)).all())
    rate = switch_rate(flips)
    assert rate[~torch.isnan(rate)].mean() < 0.2


def test_most_of_it_is_depth_and_a_camera_from_the_side_removes_it() -> None:
    h = draw(clip(), 60)
    text = analyze(h).sentences()[0]
    depth = int(text.split(", ")[1].split(" %")[0])
    assert depth > 90
    two = second_camera(h, [0.0, 90.0])
    wrist = H36M17.index("left_wrist")
    assert two.reweighted[1, :, wrist].mean() < 0.3 * two.reweighted[0, :, wrist].mean()
