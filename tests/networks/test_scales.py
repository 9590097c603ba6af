"""Lifters with a scale: what they learn, what they store, whose checkpoints they read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hypopose.errors import CheckpointError
from hypopose.networks import (
    GUMLP,
    FrameTokens,
    ScaleNetwork,
    ScaleTokens,
    load_network,
    uncertainty_loss,
)
from hypopose.networks.checkpoint_conversion import convert_checkpoint
from hypopose.networks.gumlp import PartitionedConvolution, partitioned_joints
from hypopose.networks.layouts import uao_from_official
from hypopose.networks.scales import MIN_LOG_SCALE


def test_the_loss_is_least_at_the_expected_distance() -> None:
    target = torch.randn(20000, 3, generator=torch.Generator().manual_seed(0))
    expected = target.norm(dim=-1).mean()
    s = expected.log().expand(20000)
    losses = [float(uncertainty_loss(torch.zeros(20000, 3), s + d, target)) for d in (-0.1, 0, 0.1)]
    assert losses[1] < min(losses[0], losses[2])


def test_both_predict_scales_and_the_root_stays() -> None:
    torch.manual_seed(0)
    xy = torch.randn(2, 5, 17, 2)
    for network in (GUMLP(32, 1).eval(), ScaleTokens(width=16, n_layers=1, n_heads=2).eval()):
        assert isinstance(network, ScaleNetwork)
        pose, log_scale = network.with_scale(xy)
        assert torch.equal(network(None, xy)[:, 0], pose)
        assert log_scale.shape == (2, 5, 17)
    assert (pose[..., 0, :] == 0).all()
    assert bool((log_scale >= MIN_LOG_SCALE).all())
    assert not isinstance(FrameTokens(width=16, n_layers=1, n_heads=2), ScaleNetwork)


def test_frames_of_gumlp_know_nothing_of_each_other() -> None:
    torch.manual_seed(0)
    network, xy = GUMLP(32, 1).eval(), torch.randn(1, 4, 17, 2)
    whole = network.with_scale(xy)[0]
    assert torch.allclose(whole[:, 2:3], network.with_scale(xy[:, 2:3])[0], atol=1e-6)


def test_a_base_beside_fills_what_the_file_leaves_out(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"width": 16, "n_layers": 1, "n_heads": 2, "mlp_ratio": 2.0}
    FrameTokens(**sizes).save_pretrained(tmp_path / "base")  # type: ignore[arg-type]
    network = ScaleTokens(**sizes, base="base")  # type: ignore[arg-type]
    assert {n.split(".")[0] for n, p in network.named_parameters() if p.requires_grad} == {
        "to_scale"
    }
    network.save_pretrained(tmp_path / "own")
    base, own = load_network(tmp_path / "base"), load_network(tmp_path / "own")
    assert isinstance(own, ScaleTokens)
    xy = torch.randn(1, 3, 17, 2)
    with torch.no_grad():
        stored = network.eval()(None, xy)
        assert torch.equal(own(None, xy), stored)  # its own tensors come first
    (tmp_path / "own" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="absent"):
        load_network(tmp_path / "own")
    assert base is not None


def test_official_checkpoints_become_folders(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = GUMLP(32, 2).eval()
    state = {f"module.{k}": v for k, v in network.state_dict().items()}
    torch.save(state, tmp_path / "Model_Gaussian_p1_4941.pth")
    folder = convert_checkpoint(
        tmp_path / "Model_Gaussian_p1_4941.pth", tmp_path / "gumlp", layout="uao"
    )
    assert json.loads((folder / "sampler.json").read_text()) == {"sampler": "lifter"}
    loaded = load_network(folder)
    xy = torch.randn(1, 3, 17, 2)
    assert torch.equal(loaded(None, xy), network(None, xy))


def test_other_checkpoints_are_refused() -> None:
    state = GUMLP(32, 1).state_dict()
    with pytest.raises(CheckpointError, match=r"encoder\.fc5"):
        uao_from_official({k: v for k, v in state.items() if k != "encoder.fc5.weight"})
    with pytest.raises(CheckpointError, match="missing"):
        uao_from_official({k: v for k, v in state.items() if k != "pred_s.fc1.bias"})


def test_shared_products_of_the_graph_convolution_add_up_to_the_plain_ones() -> None:
    torch.manual_seed(0)
    layer = PartitionedConvolution(6)
    x = torch.randn(17, 4, 6, requires_grad=True)
    per_partition = layer.conv1d(x.flatten(0, 1)[..., None])[..., 0].unflatten(1, (4, 6))
    plain = torch.einsum("pvw,vnpc->wnc", partitioned_joints(), per_partition.unflatten(0, (17, 4)))
    assert torch.allclose(layer(x), plain, atol=1e-6)
    assert sum(layer.sizes) == 41
