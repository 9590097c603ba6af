"""The objective of DiffPose as released: what its loss asks for, and that its weights sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

import hypopose
from hypopose.cli import main
from hypopose.datasets import Motion, load_motion
from hypopose.errors import OptionError
from hypopose.networks import DiffPosePair, GCNpose
from hypopose.samplers import ReleasedDiffPose
from hypopose.training import BatchMaker, TrainConfig, Trainer
from hypopose.training.batches import Batch
from hypopose.training.lifting import validate_lifter
from hypopose.training.losses import joint_distance
from hypopose.training.refining import antithetic_timesteps, pair_loss, validate_pair
from hypopose.training.validation import hold_out


@pytest.fixture
def pair() -> DiffPosePair:
    torch.manual_seed(0)
    return DiffPosePair(width=16, n_layers=1, n_heads=2).eval()


@pytest.fixture
def batch(motion: Motion) -> Batch:
    make = BatchMaker(motion, torch.device("cpu"), inputs="screen", gaps=False)
    return make(200, 1, torch.Generator().manual_seed(1))


def test_a_refiner_that_knows_the_noise_leaves_the_lifter_s_error(
    pair: DiffPosePair, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv, target = batch.encoded.xy.flatten(0, 1), batch.target.flatten(0, 1)
    x0 = torch.cat([uv, target], -1)
    schedule = ReleasedDiffPose(pair).schedule
    seen: list[Tensor] = []

    def knows(x_t: Tensor, t: Tensor) -> Tensor:
        bar = schedule.alpha_bar[t.long()][:, None, None].float()
        seen.append(x_t - bar.sqrt() * x0)
        return seen[-1] / (1 - bar).sqrt()

    monkeypatch.setattr(pair.refiner, "forward", knows)
    loss = pair_loss(pair, batch, torch.Generator().manual_seed(0))
    lifted = joint_distance(pair.lifter.lift(uv), target)
    assert loss.item() == pytest.approx(lifted.item(), abs=1e-5)
    # Meters are noised by up to 17 cm, the screen by a hundredth of that; both are of few draws.
    meters, screen = seen[0][..., 2:].std().item(), seen[0][..., :2].std().item()
    assert 0.05 < meters < 0.17
    assert screen == pytest.approx(0.01 * meters, rel=0.04)
    monkeypatch.setattr(pair.refiner, "forward", lambda x_t, t: torch.zeros_like(x_t))
    ignorant = pair_loss(pair, batch, torch.Generator().manual_seed(0)) - lifted
    assert ignorant.item() == pytest.approx(3 / 5, rel=0.02)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_timesteps_come_with_their_mirror_images(n: int) -> None:
    t = antithetic_timesteps(n, 51, torch.Generator().manual_seed(2))
    assert t.shape == (n,)
    half = n // 2 + 1
    assert torch.equal(t[half:], 50 - t[: n - half])
    assert bool(((t >= 0) & (t <= 50)).all())


def test_both_networks_learn(tiny: TrainConfig) -> None:
    config = tiny.with_options(
        network="diffpose-pair",
        objective="diffpose-released",
        lengths=(1,),
        length_shares=(1.0,),
        lift_share=0.0,
        batch_frames=90,
        learning_rate=5e-3,
        n_frames=10**9,
    )
    trainer = Trainer(config)
    before = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    rows = [trainer.step()["loss"] for _ in range(40)]
    assert sum(rows[-8:]) < 0.85 * sum(rows[:8])
    moved = {
        k.split(".")[0] for k, v in trainer.network.state_dict().items() if (v != before[k]).any()
    }
    assert moved == {"lifter", "refiner"}


def test_validation_tells_the_lifter_from_the_refiner(pair: DiffPosePair, shard: Path) -> None:
    held_out = hold_out(load_motion(shard, "val"))
    scores = validate_pair(pair, held_out)
    lifted = validate_lifter(pair.lifter, held_out)["lift_mpjpe_mm"]
    assert scores["lift_mpjpe_mm"] == pytest.approx(lifted, rel=1e-4)
    assert scores["refined_mpjpe_mm"] != scores["lift_mpjpe_mm"]


def test_the_command_trains_a_pair_that_samples(shard: Path, tmp_path: Path) -> None:
    arguments = [
        "train", str(tmp_path / "run"), "--shard", str(shard), "--network", "diffpose-pair",
        "--n-frames", "512", "--set", "width=16", "--set", "n_layers=1", "--set", "bf16=false",
    ]  # fmt: skip
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    sampler = hypopose.make_sampler("diffpose-released", weights=tmp_path / "run" / "weights")
    assert isinstance(sampler, ReleasedDiffPose)
    assert sampler.fill_missing == "interpolate"  # it cannot read gaps
    assert isinstance(sampler.network, DiffPosePair)
    assert sampler.network.config.dropout == 0.0
    keypoints, _ = hypopose.datasets.example_pair()
    drawn = hypopose.sample(keypoints, sampler=replace(sampler, start="noised"), n_hypotheses=3)
    assert drawn.joints.std(0)[:, 1:].norm(dim=-1).min() > 0


def test_another_network_is_refused(batch: Batch) -> None:
    with pytest.raises(OptionError, match="released pair"):
        pair_loss(GCNpose(width=16, n_layers=1), batch, torch.Generator())
