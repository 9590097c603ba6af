"""The objective of DiffPose as in the paper: what it draws, and that weights it makes sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import hypopose
from hypopose.datasets import Motion
from hypopose.diffusion import cosine_schedule
from hypopose.networks.base import NetworkInfo
from hypopose.samplers import DiffPose
from hypopose.training import TrainConfig, mixtures, train
from hypopose.training.mixtures import MixtureBatch, mixture_batches, mixture_loss


@pytest.fixture
def told(tiny: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    monkeypatch.setattr(mixtures, "N_POSES", 64)
    return tiny.with_options(objective="diffpose", n_latent=204)


@dataclass(frozen=True)
class Answers:
    """A network that always says the same."""

    answer: Tensor

    @property
    def info(self) -> NetworkInfo:
        return NetworkInfo("subject", None, n_latent=204)

    def __call__(self, x_t: Tensor | None, *_: object, **__: object) -> Tensor:
        assert x_t is not None
        assert x_t.shape[-2] == 17 + 68
        return self.answer


def drawn(motion: Motion, config: TrainConfig) -> MixtureBatch:
    maker = mixture_batches(motion, torch.device("cpu"), config)
    return maker(12, 9, torch.Generator().manual_seed(0))


def test_components_lie_about_the_pose_and_keep_to_one_per_window(
    motion: Motion, told: TrainConfig
) -> None:
    batch = drawn(motion, told)
    target = batch.batch.target
    away = (batch.location - target).norm(dim=-1).median()
    assert away < 0.6 * target.norm(dim=-1).median()
    # Depth is what keypoints leave open.
    spread = batch.factor.square().sum(-1).sqrt().mean((0, 1, 2))
    assert spread[2] > spread[0]
    steps = batch.location.diff(dim=1).norm(dim=-1)
    assert steps.median() < 0.1


def test_a_network_that_knows_the_answer_has_no_loss(motion: Motion, told: TrainConfig) -> None:
    batch = drawn(motion, told)
    target = batch.batch.target[:, None]
    knows, knows_nothing = Answers(target), Answers(torch.zeros_like(target))
    options = {"scale": 3.0, "clamp": 1.7}
    generator, schedule = torch.Generator(), cosine_schedule()
    assert mixture_loss(knows, batch, schedule, generator, **options) == 0
    loss = mixture_loss(knows_nothing, batch, schedule, generator, **options)
    assert 0.1 < loss < 30


def test_windows_that_show_nothing_do_no_harm(motion: Motion, told: TrainConfig) -> None:
    maker = mixture_batches(motion, torch.device("cpu"), told)
    encoded = maker.batches(3, 4, torch.Generator().manual_seed(1)).encoded
    blind = encoded.confidence.clone()
    blind[1] = 0.0
    mixture = mixtures.window_mixtures(
        replace(encoded, confidence=blind), maker.initial, torch.Generator().manual_seed(0)
    )
    assert bool(torch.isfinite(mixture.means).all())


def test_the_mixture_is_of_single_precision_inside_autocast(
    motion: Motion, told: TrainConfig
) -> None:
    own = told.with_options(recorded_bones=0.8, as_recorded=0.4)
    plain = mixture_batches(motion, torch.device("cpu"), own).initial
    with torch.autocast("cpu", torch.bfloat16):
        inside = mixture_batches(motion, torch.device("cpu"), own).initial
    assert inside.depths.joints.equal(plain.depths.joints)


def test_training_makes_a_folder_that_samples(told: TrainConfig, tmp_path: Path) -> None:
    folder = train(told, tmp_path / "run")
    assert (folder / "initial.safetensors").is_file()
    sampler = hypopose.make_sampler("diffpose", weights=folder, n_steps=2)
    assert isinstance(sampler, DiffPose)
    keypoints, _ = hypopose.datasets.example_pair()
    hypotheses = hypopose.sample(keypoints, sampler=sampler, n_hypotheses=3)
    assert hypotheses.joints.std(0)[:, 1:].norm(dim=-1).min() > 0
