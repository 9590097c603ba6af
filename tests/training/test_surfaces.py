"""A decoder of surfaces trains, and decodes results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import hypopose
from hypopose.bodies import CapsuleBody
from hypopose.cli import main
from hypopose.networks import MeshDecoder
from hypopose.simulation import Draws
from hypopose.training import ARCHITECTURES, TrainConfig, Trainer, train
from hypopose.training.batches import motion_of
from hypopose.training.objectives import keypoint_batches
from hypopose.training.surface_losses import (
    bodies_of,
    hypothesis_errors,
    surface_loss,
    validate_surface,
)
from hypopose.training.validation import hold_out

SMALL = {"width": 16, "n_heads": 8, "batch_frames": 60, "warmup_steps": 5}


@pytest.fixture
def config(tiny: TrainConfig) -> TrainConfig:
    return tiny.with_options(**{"network": "pmce", **ARCHITECTURES["pmce"].options, **SMALL})


def test_batches_are_bodies_with_hypotheses_of_them(config: TrainConfig) -> None:
    make = keypoint_batches(motion_of(config, "train"), torch.device("cpu"), config)
    g = torch.Generator().manual_seed(0)
    bodies = bodies_of(make(6, 5, g), g)
    assert bodies.vertices.shape == (30, 324, 3)
    assert bodies.context.shape == (30, 2)
    off = (bodies.hypothesis - bodies.joints).reshape(6, 5, 17, 3)
    assert off.std(1).max() < 1e-6  # the same in all frames of a window
    assert off[:, :, 0].abs().max() == 0
    thin = CapsuleBody().around(bodies.joints).vertices
    assert 0.001 < (thin - bodies.vertices).norm(dim=-1).mean() < 0.03  # girths differ


def test_errors_of_hypotheses_grow_outwards_and_in_depth() -> None:
    errors = hypothesis_errors(4000, Draws(torch.Generator().manual_seed(0)))
    sd = errors.std(0)
    assert (sd[1:, 2] > 2 * sd[1:, 0]).all()
    assert sd[13, 2] > sd[12, 2] > sd[11, 2] > sd[8, 2]
    assert sd[13, 2].item() == pytest.approx(0.035 * 5**0.5, rel=0.1)


def test_half_precision_is_the_networks_alone(config: TrainConfig) -> None:
    make = keypoint_batches(motion_of(config, "train"), torch.device("cpu"), config)
    g = torch.Generator().manual_seed(0)
    batch = make(6, 5, g)
    network = Trainer(config).network
    seeds = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    whole = surface_loss(network, batch, seeds[0])
    with torch.autocast("cpu", torch.bfloat16):
        half = surface_loss(network, batch, seeds[1])
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(whole.item(), rel=0.05)


def test_a_decoder_learns_a_batch(config: TrainConfig) -> None:
    make = keypoint_batches(motion_of(config, "train"), torch.device("cpu"), config)
    batch = make(4, 5, torch.Generator().manual_seed(0))
    network = Trainer(config).network
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    losses = []
    for _ in range(20):
        loss = surface_loss(network, batch, torch.Generator().manual_seed(1))  # the same errors
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_a_new_decoder_is_as_good_as_capsules(config: TrainConfig) -> None:
    held_out = hold_out(motion_of(config, "val"), F=9, stride=9)
    found = validate_surface(Trainer(config).network, held_out)
    assert found["surface_mm"] == pytest.approx(found["plain_mm"], abs=1e-3)


def test_weights_decode_a_result_and_draw_none(config: TrainConfig, tmp_path: Path) -> None:
    weights = train(config.with_options(n_frames=120), tmp_path / "run")
    keypoints, _ = hypopose.datasets.example_pair(5)
    result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=3)
    hypopose.save_result(tmp_path / "walk.npz", result)

    def run(*words: object):  # type: ignore[no-untyped-def]
        return CliRunner().invoke(main, [str(word) for word in words])

    done = run("mesh", tmp_path / "walk.npz", "-o", tmp_path / "mesh.npz", "--weights", weights,
               "--motion", "all")  # fmt: skip
    assert done.exit_code == 0, done.output
    with np.load(tmp_path / "mesh.npz") as stored:
        assert stored["vertices"].shape == (4, 5, 324, 3)
        assert stored["spread"].shape == (5, 324)
        np.testing.assert_array_equal(stored["faces"], CapsuleBody().faces)
        center = stored["vertices"].mean(2)
    placed = (result.pose.joints + result.pose.root[:, None]).mean(1)
    assert np.abs(center[0] - placed.numpy()).max() < 1.0
    glb = run("mesh", tmp_path / "walk.npz", "-o", tmp_path / "mesh.glb", "--weights", weights)
    assert glb.exit_code == 2
    assert "not moved by bones" in glb.output
    other = run("mesh", tmp_path / "walk.npz", "-o", tmp_path / "b.npz", "--weights",
                "lifter-frame-small")  # fmt: skip
    assert "hypopose train --network pmce" in other.output
    with pytest.raises(hypopose.HypoPoseError, match="use it with hypopose mesh"):
        hypopose.make_sampler(weights=weights)


def test_the_template_travels_with_the_weights(config: TrainConfig, tmp_path: Path) -> None:
    network = Trainer(config).network
    assert isinstance(network, MeshDecoder)
    network.save_pretrained(tmp_path / "w")
    again = MeshDecoder.from_pretrained(tmp_path / "w")
    assert torch.equal(again.faces, CapsuleBody().faces)
    assert torch.equal(again.part_labels, CapsuleBody().part_labels)
    assert again.relation.unique().numel() > 8
