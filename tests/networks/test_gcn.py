"""The graph networks of DiffPose: their sizes, their laws, and their released files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

import hypopose
from hypopose.cli import main
from hypopose.errors import CheckpointError, HypoPoseError, ShapeError
from hypopose.networks import DiffPosePair, GCNdiff, GCNpose, Network, load_network
from hypopose.networks.chebyshev import GraphBlock, chebyshev_basis, graph_laplacian
from hypopose.networks.checkpoint_conversion import convert_checkpoint, diffpose_from_official

TEMB = 96 * 384 + 384 + 384 * 384 + 384  # what the released lifter stores but never uses


def n_parameters(network: torch.nn.Module) -> int:
    return sum(x.numel() for x in network.parameters())


def test_official_sizes() -> None:
    assert n_parameters(GCNpose()) + TEMB == 839_432
    assert n_parameters(GCNdiff()) == 1_025_674


def test_weights_begin_far_below_xavier() -> None:
    torch.manual_seed(0)
    std = GCNdiff().graph_blocks[0].first.weight.std().item()
    assert std == pytest.approx((2 / (4 * 96 * 96)) ** 0.5, rel=0.02)


def test_chebyshev_terms_are_the_polynomials() -> None:
    laplacian = graph_laplacian([-1, 0, 1, 1]).double()
    basis = chebyshev_basis(laplacian.float(), 4)
    vectors = torch.linalg.eig(laplacian)
    angle = torch.arccos(vectors.eigenvalues)
    for k, term in enumerate(basis):
        ours = vectors.eigenvectors @ torch.diag(torch.cos(k * angle))
        expected = (ours @ torch.linalg.inv(vectors.eigenvectors)).real
        assert torch.allclose(term.double(), expected, atol=1e-5)


def test_nobody_attends_to_an_unseen_joint() -> None:
    torch.manual_seed(1)
    block = GCNpose(width=16, n_layers=1).attention_blocks[0]
    seen = torch.ones(1, 17, dtype=torch.bool)
    seen[0, 16] = False
    x = torch.randn(2, 17, 16)
    moved = x.clone()
    moved[:, 16] += 1.0
    for mask, same in ((seen, True), (None, False)):
        change = (block.attend(moved, mask) - block.attend(x, mask))[:, :16].abs().max()
        assert (change < 1e-6) == same


def test_a_learned_graph_with_negative_columns_stays_finite() -> None:
    network = GCNpose(width=16, n_layers=1).eval()
    with torch.no_grad():
        network.attention_blocks[0].adjacency.fill_(-0.1)
    assert bool(torch.isfinite(network.lift(torch.randn(2, 17, 2))).all())


def test_dropout_is_for_training_only() -> None:
    torch.manual_seed(2)
    network, x = GCNdiff(width=16, n_layers=1), torch.randn(2, 17, 5)
    t = torch.tensor([3.0])
    assert not torch.equal(network.train()(x, t), network(x, t))
    assert torch.equal(network.eval()(x, t), network(x, t))


def test_wrong_calls_are_refused() -> None:
    with pytest.raises(ShapeError, match="multiple"):
        GCNpose(width=10, n_heads=4)
    with pytest.raises(ShapeError, match="even"):
        GCNdiff(width=15, n_heads=5)
    network = DiffPosePair(width=16, n_layers=1)
    with pytest.raises(ShapeError, match="lifter"):
        network(torch.zeros(1, 1, 1, 17, 3), torch.zeros(1, 1, 17, 2), torch.zeros(1))
    with pytest.raises(ShapeError, match="timestep"):
        GraphBlock(torch.zeros(3, 2, 2), 4)(torch.zeros(1, 2, 4), torch.zeros(1, 4))
    assert isinstance(network, Network)


# Released files ----------------------------------------------------------------------------------


def official(network: GCNpose | GCNdiff) -> dict[str, Tensor]:
    """Names of the released code, written down independently of the reader."""
    state: dict[str, Tensor] = {}
    for name, x in network.state_dict().items():
        head, *rest = name.split(".")
        if head in ("enter", "leave"):
            state[f"module.gconv_{'input' if head == 'enter' else 'output'}.{rest[0]}"] = x
        elif head in ("time_in", "time_out"):
            state[f"module.temb.dense.{int(head == 'time_out')}.{rest[0]}"] = x
        elif head == "graph_blocks":
            part = {
                "first": "gconv1.gconv", "second": "gconv2.gconv", "time": "temb_proj",
            }[rest[1]]  # fmt: skip
            state[f"module.gconv_layers.{rest[0]}.{part}.{rest[2]}"] = x
        else:
            state |= _attention(f"module.atten_layers.{rest[0]}.", rest[1:], x)
    return state


def _attention(prefix: str, rest: list[str], x: Tensor) -> dict[str, Tensor]:
    if rest[0] == "qkv":
        parts = enumerate(x.chunk(3))
        return {f"{prefix}self_attn.linears.{i}.{rest[1]}": y.clone() for i, y in parts}
    if rest[0] == "adjacency":
        return {f"{prefix}feed_forward.A_hat": x}
    if rest[0].startswith("norm"):
        letter = {"gain": "a_2", "shift": "b_2"}[rest[1]]
        return {f"{prefix}sublayer.{int(rest[0] == 'norm_graph')}.norm.{letter}": x}
    place = {
        "out": "self_attn.linears.3", "up": "feed_forward.gconv1.fc",
        "down": "feed_forward.gconv2.fc",
    }[rest[0]]  # fmt: skip
    return {f"{prefix}{place}.{rest[1]}": x}


@pytest.fixture
def pair() -> DiffPosePair:
    torch.manual_seed(3)
    return DiffPosePair(width=16, n_layers=2).eval()


@pytest.fixture
def files(pair: DiffPosePair, tmp_path: Path) -> tuple[Path, Path]:
    """Lists as released: state, optimizer, epoch, step, averaged weights."""
    lifter = official(pair.lifter)
    lifter |= {
        f"module.temb.dense.{i}.{kind}": torch.zeros(2)
        for i in (0, 1)
        for kind in ("weight", "bias")
    }
    paths = tmp_path / "diffpose_uvxyz_cpn.pth", tmp_path / "gcn_xyz_cpn.pth"
    for path, state in zip(paths, (official(pair.refiner), lifter), strict=True):
        averaged = {k.removeprefix("module."): x + 1 for k, x in state.items()}
        optimizer: dict[str, Any] = {"state": {}, "param_groups": [{"lr": 1e-3}]}
        torch.save([state, optimizer, 80, 12345, averaged], path)
    return paths


def test_released_files_become_a_folder_that_samples(
    pair: DiffPosePair, files: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "weights"
    arguments = [str(files[0]), "-o", str(folder), "--layout", "diffpose"]
    done = CliRunner().invoke(main, ["convert", *arguments, "--lifter", str(files[1])])
    assert done.exit_code == 0, done.output
    loaded = load_network(folder)
    for name, x in pair.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], x), name
    assert json.loads((folder / "sampler.json").read_text())["sampler"] == "diffpose-released"
    keypoints, _ = hypopose.datasets.example_pair()
    hypotheses = hypopose.sample(
        keypoints,
        sampler="diffpose-released",
        weights=folder,
        n_hypotheses=2,
        eta=1.0,
        start="noised",
    )
    assert hypotheses.joints.shape == (2, keypoints.n_frames, 17, 3)
    assert hypotheses.joints.std(0)[:, 1:].min() > 0


def test_without_weights_the_sampler_says_where_they_come_from() -> None:
    with pytest.raises(HypoPoseError, match="hypopose convert"):
        hypopose.make_sampler("diffpose-released")


def test_half_of_the_pair_and_other_files_are_refused(
    pair: DiffPosePair, files: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="two checkpoints"):
        convert_checkpoint(files[0], tmp_path / "w", layout="diffpose")
    with pytest.raises(CheckpointError, match="does not fit GCNdiff"):
        convert_checkpoint(files[1], tmp_path / "w", layout="diffpose", lifter=files[0])
    with pytest.raises(CheckpointError, match="not a DiffPose"):
        diffpose_from_official({"a": torch.zeros(1)}, lifter=files[1])
    assert not (tmp_path / "w").exists()
