"""The motion prior: shapes, positions, steps, and what is refused."""

from __future__ import annotations

import pytest
import torch

from hypopose.errors import CheckpointError, ShapeError
from hypopose.networks import MotionPrior
from hypopose.networks.layouts import platypose_from_official
from hypopose.networks.motion_prior import position_table


def small() -> MotionPrior:
    torch.manual_seed(0)
    return MotionPrior(width=16, hidden=24, n_layers=2).eval()


def official() -> dict[str, torch.Tensor]:
    """Tensors of a small network by the released names, the unused encoder included."""
    places = {
        "from_pose": "input_process.poseEmbedding",
        "from_time": "embed_timestep.time_embed",
        "to_pose": "output_process.poseFinal",
        "blocks": "seqTransEncoder.layers",
        "qkv.": "self_attn.in_proj_",
        "out.": "self_attn.out_proj.",
        "up.": "linear1.",
        "down.": "linear2.",
        "norm_attention": "norm1",
        "norm_mlp": "norm2",
    }
    state = {}
    for name, x in small().state_dict().items():
        theirs = name
        for ours, other in places.items():
            theirs = theirs.replace(ours, other)
        state[theirs] = x
    for name in [n for n in state if n.startswith("seqTransEncoder.layers.0.")]:
        state[f"skeleton_encoder.{name}"] = torch.zeros(3)
    for name in ("muQuery", "sigmaQuery", "skelEmbedding.weight", "skelEmbedding.bias"):
        state[f"skeleton_encoder.{name}"] = torch.zeros(3)
    for owner in ("", "embed_timestep.", "skeleton_encoder."):
        state[f"{owner}sequence_pos_encoder.pe"] = position_table(50, 16)[:, None]
    return state


@pytest.mark.parametrize("F", [1, 5, 90])
def test_any_length(F: int) -> None:
    x = torch.randn(2, F, 17, 3)
    assert small()(x, torch.tensor([0, 49])).shape == x.shape


def test_motions_in_a_batch_do_not_see_each_other() -> None:
    network, x, t = small(), torch.randn(3, 7, 17, 3), torch.tensor([0, 10, 49])
    alone = network(x[1:2], t[1:2])
    assert torch.allclose(network(x, t)[1:2], alone, atol=1e-6)


def test_frames_and_noise_levels_matter() -> None:
    network, x = small(), torch.randn(1, 7, 17, 3)
    there = network(x, torch.tensor([10]))
    assert not torch.allclose(network(x.flip(1), torch.tensor([10])).flip(1), there, atol=1e-4)
    assert not torch.allclose(network(x, torch.tensor([40])), there, atol=1e-4)


def test_dropout_acts_in_training_only() -> None:
    network, x, t = small(), torch.randn(1, 7, 17, 3), torch.tensor([3])
    assert torch.equal(network(x, t), network(x, t))
    network.train()
    assert not torch.equal(network(x, t), network(x, t))


def test_the_released_layout_fills_it() -> None:
    x, t = torch.randn(1, 4, 17, 3), torch.tensor([7])
    network = platypose_from_official({f"module.{n}": v for n, v in official().items()})
    assert torch.equal(network(x, t), small()(x, t))


@pytest.mark.parametrize(
    "name",
    [
        "skeleton_encoder.muQuery",
        "embed_timestep.sequence_pos_encoder.pe",
        "seqTransEncoder.layers.1.norm2.bias",
    ],
)
def test_a_missing_tensor_is_an_error(name: str) -> None:
    state = official()
    del state[name]
    with pytest.raises(CheckpointError, match="missing"):
        platypose_from_official(state)


@pytest.mark.parametrize("name", ["extra.weight", "skeleton_encoder.extra"])
def test_an_unknown_tensor_is_an_error(name: str) -> None:
    with pytest.raises(CheckpointError, match="unexpected"):
        platypose_from_official(official() | {name: torch.zeros(1)})


def test_another_position_table_is_an_error() -> None:
    state = official() | {"sequence_pos_encoder.pe": torch.zeros(50, 1, 16)}
    with pytest.raises(CheckpointError, match="sinusoid"):
        platypose_from_official(state)


def test_sizes_are_checked() -> None:
    with pytest.raises(ShapeError, match="n_heads"):
        MotionPrior(width=18, n_heads=4)
