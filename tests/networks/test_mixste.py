"""MixSTE2 obeys the network contract, in both forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hypopose.errors import CheckpointError, ShapeError
from hypopose.networks.base import Network
from hypopose.networks.mixste import MixSTE2

N_FRAMES = 5


def random_network(**options: object) -> MixSTE2:
    torch.manual_seed(0)
    options = {"n_frames": N_FRAMES, "width": 32, "depth": 2, **options}
    network = MixSTE2(**options).eval()
    torch.nn.init.normal_(network.frame_position, std=0.1)
    return network


def random_inputs(n_items: int = 2, n_hypotheses: int = 3) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    x_t = torch.randn(n_items, n_hypotheses, N_FRAMES, 17, 3)
    return x_t, torch.randn(n_items, N_FRAMES, 17, 2), torch.tensor([999.0, 12.0])[:n_items]


def test_it_is_a_network_and_says_what_it_needs() -> None:
    network = random_network()
    assert isinstance(network, Network)
    assert network.info.n_frames == N_FRAMES
    assert replace(network.info, n_frames=None).inputs == "screen"


def test_the_official_size_has_the_official_number_of_parameters() -> None:
    with torch.device("meta"):
        network = MixSTE2()
    assert sum(p.numel() for p in network.parameters()) == 34_835_459


@torch.no_grad()
def test_hypotheses_and_clips_are_independent() -> None:
    network, (x_t, xy, t) = random_network(), random_inputs()
    together = network(x_t, xy, t)
    assert together.shape == x_t.shape
    alone = network(x_t[1:, 2:], xy[1:], t[1:])
    assert torch.allclose(together[1:, 2:], alone, atol=1e-6)


@torch.no_grad()
def test_all_inputs_matter() -> None:
    network, (x_t, xy, t) = random_network(), random_inputs()
    out = network(x_t, xy, t)
    assert not torch.allclose(network(x_t + 0.1, xy, t), out)
    assert not torch.allclose(network(x_t, xy + 0.1, t), out)
    assert not torch.allclose(network(x_t, xy, t - 5), out)


@torch.no_grad()
def test_masked_frames_do_not_reach_the_others() -> None:
    network, (x_t, xy, t) = random_network(), random_inputs()
    mask = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    out = network(x_t, xy, t, mask=mask)
    x_t[0, :, 3:], xy[0, 3:] = 7.0, -7.0
    again = network(x_t, xy, t, mask=mask)
    assert torch.equal(again[0, :, :3], out[0, :, :3])
    assert torch.equal(again[1], out[1])
    assert not torch.allclose(network(x_t, xy, t)[0, :, :3], again[0, :, :3])


@torch.no_grad()
def test_the_lifter_form_needs_keypoints_alone() -> None:
    lifter, (x_t, xy, t) = random_network(lifter=True), random_inputs()
    assert lifter(None, xy).shape == (2, 1, N_FRAMES, 17, 3)
    with pytest.raises(ShapeError, match="lifter"):
        lifter(x_t, xy, t)
    with pytest.raises(ShapeError, match="denoiser"):
        random_network()(None, xy)


def test_other_lengths_and_widths_are_refused() -> None:
    network, (x_t, xy, t) = random_network(), random_inputs()
    with pytest.raises(ShapeError, match="clips of 5 frames"):
        network(x_t[:, :, :4], xy[:, :4], t)
    with pytest.raises(ShapeError, match="multiple of n_heads"):
        MixSTE2(width=20, n_heads=8)


@torch.no_grad()
def test_attention_backends_give_equal_poses() -> None:
    network, inputs = random_network(), random_inputs()
    plain = random_network(attention="math")
    assert torch.allclose(network(*inputs), plain(*inputs), atol=1e-6)


def test_stochastic_depth_acts_in_training_only() -> None:
    network, inputs = random_network(drop_path=0.9), random_inputs()
    assert torch.equal(network(*inputs), network(*inputs))
    network.train()
    assert not torch.equal(network(*inputs), network(*inputs))


@torch.no_grad()
def test_stochastic_depth_keeps_the_mean() -> None:
    block = random_network(drop_path=0.5).temporal[1].train()
    dropped = block._drop_rows(torch.ones(20000, 1, 1))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.05)


def test_saved_networks_load_equal(tmp_path: Path) -> None:
    network, inputs = random_network(), random_inputs()
    network.save_pretrained(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    loaded = MixSTE2.from_pretrained(tmp_path)
    assert not loaded.training
    assert torch.equal(loaded(*inputs), network(*inputs))
    other = MixSTE2.from_pretrained(tmp_path, attention="math")
    assert other.config.attention == "math"


def test_damaged_folders_are_errors_that_name_the_place(tmp_path: Path) -> None:
    random_network().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        MixSTE2.from_pretrained(tmp_path)
    weights.unlink()
    with pytest.raises(CheckpointError, match="absent"):
        MixSTE2.from_pretrained(tmp_path)
    random_network(depth=3).save_pretrained(tmp_path / "deeper")
    random_network().save_config(tmp_path / "deeper")
    with pytest.raises(CheckpointError, match=r"unexpected spatial\.2\."):
        MixSTE2.from_pretrained(tmp_path / "deeper")
