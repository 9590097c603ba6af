"""Training a prior of motion: the frame of its batches, its loss, and a whole run."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from hypopose.datasets import Motion
from hypopose.diffusion import cosine_schedule
from hypopose.networks import load_network
from hypopose.training import TrainConfig, train
from hypopose.training.prior import OFFSET, centered, motion_batches, prior_loss, slots_from_joints


class Oracle(nn.Module):
    """Says one motion, whatever it is shown."""

    def __init__(self, clean: Tensor) -> None:
        super().__init__()
        self.clean = clean

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        return self.clean


def test_batches_stand_near_the_origin_and_face_everywhere(
    motion: Motion, tiny: TrainConfig
) -> None:
    make = motion_batches(motion, torch.device("cpu"), tiny)
    slots = make(256, 5, torch.Generator().manual_seed(0))
    middle = slots[:, 2, 0, :2]
    assert 0.8 * OFFSET < float(middle.std()) < 1.2 * OFFSET
    across = slots[:, 2, 4] - slots[:, 2, 1]
    heading = torch.atan2(across[:, 1], across[:, 0])
    assert float(heading.cos().mean().abs()) < 0.2
    assert float(heading.sin().mean().abs()) < 0.2
    assert float(slots[:, :, 10, 2].median()) > 0.3  # heads are above the root


def test_slots_keep_the_root_and_centering_moves_only_it() -> None:
    joints = torch.randn(2, 5, 17, 3, generator=torch.Generator().manual_seed(0))
    slots = slots_from_joints(joints)
    assert torch.equal(slots[:, :, 0], joints[:, :, 0])
    assert torch.allclose(slots[:, :, 1:] + slots[:, :, :1], joints[:, :, 1:], atol=1e-6)
    moved = centered(slots)
    assert torch.equal(moved[:, :, 1:], slots[:, :, 1:])
    assert torch.equal(moved[:, :, 0, 2], slots[:, :, 0, 2])
    assert bool((moved[:, 2, 0, :2] == 0).all())


def test_loss_is_zero_for_the_truth_and_counts_changes_beside_places() -> None:
    x0 = torch.randn(3, 4, 17, 3, generator=torch.Generator().manual_seed(0))

    def loss(off: Tensor) -> float:
        oracle = Oracle(2.0 * x0 + off)
        generator = torch.Generator().manual_seed(1)
        return float(prior_loss(oracle, x0, cosine_schedule(50), generator, scale=2.0))

    assert loss(torch.zeros(1)) == 0.0
    still = torch.full((1, 1, 1, 1), 0.1)
    trembling = 0.1 * torch.tensor([1.0, -1.0, 1.0, -1.0]).reshape(1, 4, 1, 1)
    assert abs(loss(trembling) / loss(still) - 9.0) < 1e-3  # 1 + 2 (2 * 0.1)² / 0.1²


def test_a_run_leaves_weights_that_load(tiny: TrainConfig, tmp_path: Path) -> None:
    config = tiny.with_options(
        network="motion-prior", objective="prior", n_timesteps=50, lift_share=0.0, scale=2.0
    )
    weights = train(config, tmp_path / "run")
    network = load_network(weights)
    assert network.info.forms == ("prior",)
    assert network.config.scale == 2.0
