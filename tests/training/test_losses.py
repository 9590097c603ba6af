from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hypopose.datasets import Motion
from hypopose.diffusion import cosine_schedule
from hypopose.errors import OptionError
from hypopose.networks import NetworkInfo
from hypopose.training import Batch, BatchMaker, TrainConfig, energy_loss, motion_distance, x0_loss
from hypopose.training.ema import EMA
from hypopose.training.losses import NORMS, with_latent
from hypopose.training.run_state import Progress, learning_rate
from hypopose.training.validation import PITCHED_FROM, hold_out, validate_denoiser

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
def test_the_loss_is_the_mean_distance_in_meters(batch: Batch, lift: bool) -> None:
    assert loss(Guess(batch.target), batch, lift=lift) == 0
    off = batch.target + torch.tensor([0.03, 0.0, 0.04])
    assert loss(Guess(off), batch, lift=lift) == pytest.approx(0.05, abs=1e-6)


def test_the_network_sees_meters_with_noise_of_one_over_scale(batch: Batch) -> None:
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
    config = tiny.with_options(warmup_steps=100, learning_rate=1.0, final_share=0.0)
    assert learning_rate(config, 49, 0.0) == pytest.approx(0.5)
    assert learning_rate(config, 1000, 0.5) == pytest.approx(0.5)
    assert learning_rate(config, 1000, 1.0) == 0
    halfway = Progress(step=9, frames=120, seconds=30.0)
    assert halfway.share(config) == 0.5
    assert halfway.share(config.with_options(minutes=2.0)) == 0.25


@pytest.mark.parametrize("pitch", [0.0, 45.0])
def test_cameras_of_held_out_windows_look_down_as_told(motion: Motion, pitch: float) -> None:
    held_out = hold_out(motion, F=27, stride=13, pitch=pitch)
    truth, world = held_out.truth, held_out.world - held_out.world[:, :, :1]
    assert truth.root is not None
    torch.testing.assert_close(  # at the mean pelvis
        truth.root.mean(1), torch.tensor([0.0, 0.0, PITCHED_FROM]).expand(len(world), 3)
    )
    turn = torch.linalg.lstsq(world.flatten(1, 2), truth.joints.flatten(1, 2)).solution
    angle = math.radians(pitch)
    up = torch.tensor([0.0, -math.cos(angle), -math.sin(angle)])
    torch.testing.assert_close(turn[:, 2], up.expand(len(world), 3), atol=1e-4, rtol=0)


def test_cameras_right_above_are_refused(motion: Motion) -> None:
    with pytest.raises(OptionError, match="between -90 and 90"):
        hold_out(motion, F=27, stride=13, pitch=90.0)


def test_validation_scores_a_perfect_network_zero(motion: Motion) -> None:
    """A network that knows the truth, in its turned frame, has no error and no spread."""
    held_out = hold_out(motion, F=27, stride=13)
    assert held_out.truth.joints.shape[1:] == (27, 17, 3)
    from hypopose.networks.inputs import encode

    rotation = encode(held_out.keypoints, "subject").rotation
    answer = held_out.truth.joints @ rotation.mT[:, None]

    class Oracle(nn.Module):
        info = NetworkInfo(
            "subject", None, uses_confidence=True, max_frames=27, forms=("denoiser", "lifter")
        )

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

    scores = validate_denoiser(Oracle(), held_out, scale=3.0, clamp=1.7)
    assert set(scores) == {
        "lift_mpjpe_mm",
        "mean_mpjpe_mm_1_steps",
        "mean_mpjpe_mm_5_steps",
        "spread_mm",
    }
    assert max(scores.values()) < 1e-2


class Draws(Guess):
    """A generator whose two draws are the truth plus its own noise of a given size."""

    def __init__(self, center: Tensor, spread: float) -> None:
        super().__init__(center)
        self.spread = spread
        self.generator = torch.Generator().manual_seed(3)

    def __call__(self, x_t: Tensor | None, *args: Any, **kwargs: Any) -> Tensor:  # type: ignore[override]
        assert x_t is not None
        self.asked.append((x_t, args[1]))
        shape = (*x_t.shape[:2], *self.answer.shape[1:])
        eps = torch.randn(shape, generator=self.generator)
        return self.answer[:, None] + self.spread * eps


def score(network: Guess, batch: Batch, one_step_share: float = 0.5, n_draws: int = 2) -> float:
    options: dict[str, Any] = {"scale": 3.0, "clamp": 1.7, "n_draws": n_draws}
    options["one_step_share"] = one_step_share
    return float(energy_loss(network, batch, SCHEDULE, seeded(0), **options))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_energy_loss_of_equal_draws_is_their_distance(batch: Batch) -> None:
    off = batch.target + torch.tensor([0.03, 0.0, 0.04])
    answer = Draws(off, 0.0)
    assert score(answer, batch) == pytest.approx(0.05 * 2.5, abs=1e-4)


def test_the_energy_loss_is_least_at_the_true_spread(motion: Motion) -> None:
    many = BatchMaker(motion, torch.device("cpu"))(1500, 5, seeded(0))
    many = replace(many, target=0.1 * torch.randn(1500, 5, 17, 3, generator=seeded(7)))
    center = torch.zeros_like(many.target)
    narrow, right, wide = (score(Draws(center, s), many) for s in (0.05, 0.1, 0.2))
    assert right < narrow - 0.002
    assert right < wide - 0.002


def test_more_draws_estimate_the_same_score_with_less_noise(batch: Batch) -> None:
    def scores(n_draws: int) -> Tensor:
        answer = Draws(batch.target, 0.1)
        values = [score(answer, batch, n_draws=n_draws) for _ in range(60)]
        return torch.tensor(values)

    two, six = scores(2), scores(6)
    assert six.mean().item() == pytest.approx(two.mean().item(), rel=0.03)
    assert six.std() < 0.8 * two.std()


def test_norms_weigh_what_motions_differ_in() -> None:
    still = torch.zeros(1, 4, 17, 3)
    moved = still + torch.tensor([0.3, 0.0, 0.4])
    for k, expected in enumerate((0.5, 0.5, 0.5, 0.0)):
        norms = tuple(float(i == k) for i in range(4))
        assert motion_distance(still, moved, norms).item() == pytest.approx(expected, abs=1e-4)
    jolt = still.clone()
    jolt[:, 2] += torch.tensor([0.0, 0.3, 0.0])  # two of three changes differ
    changes = motion_distance(still, jolt, (0.0, 0.0, 0.0, 2.0)).item()
    assert changes == pytest.approx(2 * 0.3 * 2 / 3, abs=1e-4)
    assert TrainConfig.from_options(shards=("a.npz",)).objective.norms == NORMS


def test_pure_noise_is_drawn_twice_and_noisy_motions_are_shared(batch: Batch) -> None:
    for share, same in ((0.0, True), (1.0, False)):
        network = Draws(batch.target, 0.1)
        score(network, batch, one_step_share=share)
        ((x_t, t),) = network.asked
        assert bool((x_t[:, 0] == x_t[:, 1]).all()) == same
        assert bool((t == 999).all()) != same


def test_latent_noise_differs_between_draws_and_follows_the_frame_rate(batch: Batch) -> None:
    x_t = torch.zeros(8, 2, 5, 17, 3)
    rows = with_latent(x_t, batch.encoded.context, 12, seeded(0))
    assert rows.shape == (8, 2, 5, 21, 3)
    assert (rows[..., :17, :] == 0).all()
    assert (rows[:, 0, :, 17:] != rows[:, 1, :, 17:]).any()
    assert (with_latent(x_t, None, 0, seeded(0)) == x_t).all()


def test_without_flicker_nothing_drawn_from_pure_noise_is_fresh_in_a_frame(batch: Batch) -> None:
    class Latent(Draws):
        info = NetworkInfo("subject", None, n_latent=12)

    def shown(flicker: float, one_step_share: float) -> Tensor:
        network = Latent(batch.target, 0.1)
        options: dict[str, Any] = {"scale": 3.0, "clamp": 1.7, "flicker": flicker}
        options["one_step_share"] = one_step_share
        energy_loss(network, batch, SCHEDULE, seeded(0), **options)
        rows: Tensor = network.asked[0][0]
        return rows.flatten(-2)

    pose, fresh, rest = slice(0, 51), slice(51 + 9, 63), slice(51, 51 + 9)
    still, usual = shown(0.0, 1.0), shown(1.0, 1.0)
    # The noise schedule leaves a trace of the pose at its last step.
    assert still[..., pose].std() < 0.02
    assert usual[..., pose].std() > 0.3
    assert (still[..., fresh] == 0).all()
    assert (still[..., rest] == usual[..., rest]).all()
    noisy = shown(0.0, 0.0)  # windows drawn from noisy motions see all of that noise
    assert (noisy[..., pose] == shown(1.0, 0.0)[..., pose]).all()
    assert (noisy[..., fresh] == 0).all()


def test_distances_of_motions_are_metrics(batch: Batch) -> None:
    x = torch.randn(3, 6, 5, 17, 3, generator=seeded(0))
    a, b, c = x
    assert motion_distance(a, a).abs().max() < 1e-6
    assert torch.allclose(motion_distance(a, b), motion_distance(b, a))
    assert (motion_distance(a, c) <= motion_distance(a, b) + motion_distance(b, c) + 1e-5).all()
