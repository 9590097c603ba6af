from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from hypopose.datasets import Motion
from hypopose.networks import NetworkInfo
from hypopose.training import Batch, BatchMaker, TrainConfig, Trainer
from hypopose.training.flow import flow_loss


class Off:
    """Answers with the truth, moved by 1 cm along x."""

    info = NetworkInfo("subject", None)

    def __init__(self, truth: Tensor) -> None:
        self.truth = truth
        self.asked: list[tuple[Tensor, Tensor]] = []

    def __call__(self, x_t: Tensor, keypoints: Tensor, t: Tensor, **_: Any) -> Tensor:
        self.asked.append((x_t[:, 0], t))
        return (self.truth + torch.tensor([0.01, 0.0, 0.0]))[:, None]


@pytest.fixture
def batch(motion: Motion) -> Batch:
    return BatchMaker(motion, torch.device("cpu"))(64, 5, torch.Generator().manual_seed(0))


def test_errors_count_as_errors_of_the_velocity(batch: Batch) -> None:
    network = Off(batch.target)
    g = torch.Generator().manual_seed(1)
    loss = flow_loss(network, batch, g, scale=3.0, clamp=100.0, n_timesteps=1000)  # type: ignore[arg-type]
    ((x_t, t),) = network.asked
    rest = (t / 999).reshape(-1, 1, 1, 1)
    eps = (3 * x_t - (1 - rest) * 3 * batch.target) / rest
    assert eps.std().item() == pytest.approx(1, abs=0.05)
    expected = ((0.03 / rest.clamp(min=0.1)) ** 2).mean() / 3
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_the_loss_falls(tiny: TrainConfig) -> None:
    config = tiny.with_options(
        objective="flow", learning_rate=1e-2, n_frames=10**9, batch_frames=80
    )
    trainer = Trainer(config)
    rows = [trainer.step()["loss"] for _ in range(40)]
    assert sum(rows[-10:]) < 0.7 * sum(rows[:10])
