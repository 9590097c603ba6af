from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hypopose.datasets.motion import Motion
from hypopose.diffusion import cosine_schedule
from hypopose.networks import NetworkInfo
from hypopose.training import Batch, BatchMaker, TrainConfig, x0_loss
from hypopose.training.ema import EMA
from hypopose.training.trainer import Progress, learning_rate
from hypopose.training.validation import hold_out, validate

SCHEDULE = cosine_schedule()


class Guess:
    """A network that answers with a fixed motion and remembers what it was asked."""

    def __init__(self, answer: Tensor) -> None:
        self.answer = answer
        self.asked: list[tuple[Any, ...]] = []

    @property
    def info(self) -> NetworkInfo:
        return NetworkInfo("subject", None)

    def __call__(
        self,
        x_t: Tensor | None,
        keypoints: Tensor,
        t: Tensor | None = None,
        confidence: Tensor | None = None,
        mask: Tensor | None = None,
        context: Tensor | None = None,
    ) -> Tensor:
        self.asked.append((x_t, t))
        return self.answer[:, None]


@pytest.fixture
def batch(motion: Motion) -> Batch:
    return BatchMaker(motion, torch.device("cpu"))(8, 5, torch.Generator().manual_seed(0))


def loss(network: Guess, batch: Batch, **options: Any) -> float:
    generator = torch.Generator().manual_seed(0)
    given = {"scale": 3.0, "clamp": 1.7, **options}
    return float(x0_loss(network, batch, SCHEDULE, generator, **given))


@pytest.mark.parametrize("lift", [False, True])
def test_the_loss_is_the_mean_distance_in_metres(batch: Batch, lift: bool) -> None:
    assert loss(Guess(batch.target), batch, lift=lift) == 0
    off = batch.target + torch.tensor([0.03, 0.0, 0.04])
    assert loss(Guess(off), batch, lift=lift) == pytest.approx(0.05, abs=1e-6)


def test_the_network_sees_metres_with_noise_of_one_over_scale(batch: Batch) -> None:
    for scale in (1.0, 3.0):
        network = Guess(batch.target)
        loss(network, batch, scale=scale, clamp=100.0)
        ((x_t, t),) = network.asked
        a = SCHEDULE.alpha_bar[t.long()].float().reshape(-1, 1, 1, 1)
        noise = (x_t[:, 0] - a.sqrt() * batch.target) * scale / (1 - a).sqrt()
        assert noise.mean().item() == pytest.approx(0, abs=0.1)
        assert noise.std().item() == pytest.approx(1, abs=0.05)


def test_noisy_poses_are_clamped(batch: Batch) -> None:
    network = Guess(batch.target)
    loss(network, batch, clamp=0.2)
    assert network.asked[0][0].abs().max() == pytest.approx(0.2, abs=1e-6)


def test_the_lifter_form_sees_no_pose(batch: Batch) -> None:
    network = Guess(batch.target)
    loss(network, batch, lift=True)
    assert network.asked == [(None, None)]


def test_averages_follow_the_weights() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 0.0)
    ema = EMA(layer, decay=0.5)
    nn.init.constant_(layer.weight, 1.0)
    ema.update(layer)  # decay (1 + 1) / (10 + 1)
    assert ema.weights["weight"].item() == pytest.approx(9 / 11)
    ema.n_updates = 1000
    ema.update(layer)  # now the decay is 0.5
    assert ema.weights["weight"].item() == pytest.approx(10 / 11)


def test_the_learning_rate_warms_up_and_falls_with_either_budget(tiny: TrainConfig) -> None:
    config = replace(tiny, warmup_steps=100, learning_rate=1.0, final_share=0.0)
    assert learning_rate(config, 49, 0.0) == pytest.approx(0.5)
    assert learning_rate(config, 1000, 0.5) == pytest.approx(0.5)
    assert learning_rate(config, 1000, 1.0) == 0
    halfway = Progress(step=9, frames=120, seconds=30.0)
    assert halfway.share(config) == 0.5
    assert halfway.share(replace(config, minutes=2.0)) == 0.25


def test_validation_scores_a_perfect_network_zero(motion: Motion) -> None:
    """A network that knows the truth, in its turned frame, has no error and no spread."""
    held_out = hold_out(motion, F=27, stride=13)
    assert held_out.truth.joints.shape[1:] == (27, 17, 3)
    from hypopose.networks.inputs import encode

    rotation = encode(held_out.keypoints, "subject").rotation
    answer = held_out.truth.joints @ rotation.mT[:, None]

    class Oracle(nn.Module):
        info = NetworkInfo("subject", None, uses_confidence=True, max_frames=27)

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(
            self,
            x_t: Tensor | None,
            keypoints: Tensor,
            t: Tensor | None = None,
            confidence: Tensor | None = None,
            mask: Tensor | None = None,
            context: Tensor | None = None,
        ) -> Tensor:
            # Which clip this is, from the only thing a network sees.
            known = encode(held_out.keypoints, "subject").xy
            index = torch.cdist(keypoints.flatten(1), known.flatten(1)).argmin(1)
            return answer[index][:, None].expand(-1, 1 if x_t is None else x_t.shape[1], -1, -1, -1)

    scores = validate(Oracle(), held_out, scale=3.0, clamp=1.7)
    assert set(scores) == {
        "lift_mpjpe_mm",
        "mean_mpjpe_mm_1_steps",
        "mean_mpjpe_mm_5_steps",
        "spread_mm",
    }
    assert max(scores.values()) < 1e-2
