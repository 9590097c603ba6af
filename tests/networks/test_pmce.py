"""PMCE on a template of 50 vertices: conversion, templates, the decoder without images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hypopose.bodies import CapsuleBody
from hypopose.errors import CheckpointError, FormatError, OptionError, ShapeError
from hypopose.networks import PMCE, MeshDecoder, load_network
from hypopose.networks.checkpoint_conversion import convert_checkpoint
from hypopose.networks.checkpoint_detection import detect_layout
from hypopose.networks.pmce import load_template, template_of
from hypopose.networks.pmce.blocks import AdaLayerNorm, DropPath
from hypopose.networks.pmce.network import offsets_from_rays

SIZES: dict[str, Any] = {
    "n_frames": 4, "n_coarse": 12, "n_vertices": 50, "n_faces": 30, "width": 16, "depth": 2,
    "joint_dim": 16, "vertex_dim": 8, "cond_dim": 32,
}  # fmt: skip


def arrays(**changes: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    one = np.eye(50, dtype=np.float32)
    given = {
        "vertices": rng.normal(size=(50, 3)).astype(np.float32),
        "faces": rng.integers(0, 50, (30, 3)),
        "joint_regressor": one[rng.permutation(50)[:17]],
        "downsample": one[rng.permutation(50)[:12]],
    }
    return {k: v for k, v in {**given, **changes}.items() if v is not None}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    np.savez(tmp_path / "template.npz", **arrays())
    return tmp_path / "template.npz"


def official(path: Path, prefix: str = "module.") -> PMCE:
    """A checkpoint as released, of a network with random weights."""
    torch.manual_seed(0)
    network = PMCE(**SIZES).eval()
    own = {"relation", "faces", "part_labels"}
    state = {f"{prefix}{k}": v for k, v in network.state_dict().items() if k not in own}
    state[f"{prefix}pose_mesh_coevo.init_vertices"] = torch.zeros(12, 3)
    torch.save({"epoch": 3, "model_state_dict": state, "train_log": [0.1]}, path)
    return network


def given(B: int = 2) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    return torch.randn(B, 4, 17, 2, generator=g), torch.randn(B, 4, 32, generator=g)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_released_checkpoint_converts(tmp_path: Path, template: Path, prefix: str) -> None:
    source = tmp_path / "mesh_vis.pth.tar"
    network = official(source, prefix)
    folder = convert_checkpoint(source, tmp_path / "weights", template=template)
    loaded = load_network(folder)
    assert isinstance(loaded, PMCE)
    mesh = load_template(template)
    network.set_template(mesh)
    with torch.no_grad():
        a, b = network(*given()), loaded(*given())
    torch.testing.assert_close(a.vertices, b.vertices)
    assert a.vertices.shape == (2, 50, 3)
    places = mesh.coarse @ mesh.vertices
    expected = [
        int(((mesh.regressor @ mesh.vertices) - place).norm(dim=1).argmin()) for place in places
    ]
    assert loaded.relation.tolist() == expected
    assert torch.equal(loaded.faces, mesh.faces)


def test_conversion_says_what_it_needs(tmp_path: Path, template: Path) -> None:
    source = tmp_path / "mesh.pth.tar"
    official(source)
    with pytest.raises(CheckpointError, match="name the template, --template"):
        convert_checkpoint(source, tmp_path / "weights")
    np.savez(tmp_path / "other.npz", **arrays(downsample=np.eye(50, dtype=np.float32)[:9]))
    with pytest.raises(ShapeError, match="this template has 9"):
        convert_checkpoint(source, tmp_path / "weights", template=tmp_path / "other.npz")
    assert not (tmp_path / "weights").exists()
    assert detect_layout(["pose_mesh_coevo.gru_cur.bias_hh_l0"]) == "pmce"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"downsample": None}, "no array 'downsample'"),
        ({"vertices": np.zeros((50, 2), np.float32)}, "do not fit"),
        ({"faces": np.full((30, 3), 50)}, "not there"),
        ({"joint_regressor": np.ones((17, 50), np.float32)}, "do not sum to 1"),
        ({"vertices": np.full((50, 3), np.nan, np.float32)}, "NaN"),
    ],
)
def test_damaged_templates(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays(**changes))
    with pytest.raises(FormatError, match=words):
        load_template(tmp_path / "bad.npz")


def test_templates_of_bodies_give_the_bodys_joints() -> None:
    body = CapsuleBody()
    template = template_of(body, 54)
    rest = body.rest(body.shapes.mean).joints
    torch.testing.assert_close(template.regressor @ template.vertices, rest, rtol=0, atol=1e-4)
    torch.testing.assert_close(template.regressor.sum(1), torch.ones(17), rtol=0, atol=1e-4)
    places = template.coarse @ template.vertices
    apart = torch.cdist(places, places) + 9 * torch.eye(54)
    assert apart.min() > 0.02
    assert torch.cdist(template.vertices, places).min(1).values.max() < 0.35


def test_the_norm_is_scaled_by_its_condition() -> None:
    norm = AdaLayerNorm(8, 4)
    x, f = torch.randn(2, 5, 8), torch.randn(2, 4)
    y = norm(x, f)
    again = (y - norm.mlp_beta(f)[:, None]) / norm.mlp_gamma(f)[:, None]
    torch.testing.assert_close(again.std(-1), torch.ones(2, 5), rtol=0, atol=1e-4)
    assert not torch.allclose(norm(x, 2 * f), y)


def test_branches_are_left_out_in_training_only() -> None:
    drop, x = DropPath(0.5), torch.ones(2000, 3)
    assert torch.equal(drop.eval()(x), x)
    torch.manual_seed(0)
    dropped = drop.train()(x)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.mean().item() == pytest.approx(1, abs=0.1)


def test_items_of_a_batch_do_not_know_of_each_other() -> None:
    torch.manual_seed(0)
    decoder = MeshDecoder(10, 40, 60, width=16, cond_dim=32).eval()
    inputs = (torch.randn(3, 17, 3), torch.randn(3, 17, 2), torch.rand(3, 17), torch.randn(3, 2))
    whole = decoder(*inputs).vertices
    alone = decoder(*(x[1:2] for x in inputs)).vertices
    torch.testing.assert_close(whole[1:2], alone, rtol=0, atol=1e-5)


def capsule_decoder() -> MeshDecoder:
    torch.manual_seed(0)
    decoder = MeshDecoder(width=16, cond_dim=32, start="capsules").eval()
    decoder.begin(template_of(CapsuleBody(), 54))
    return decoder


def test_a_decoder_starts_on_capsules_around_the_joints() -> None:
    decoder = capsule_decoder()
    joints = 0.3 * torch.randn(2, 17, 3)
    seen = torch.randn(2, 17, 2), torch.ones(2, 17), torch.zeros(2, 2)
    found = decoder(joints, *seen)
    torch.testing.assert_close(found.vertices, CapsuleBody().around(joints).vertices)
    torch.testing.assert_close(found.joints, joints)
    with torch.no_grad():
        for name, parameter in decoder.named_parameters():
            if "feat2coor" in name:
                parameter.normal_(0, 0.1)
    moved = decoder(joints, *seen).vertices
    assert (moved - found.vertices).norm(dim=-1).max() > 0.01
    other = decoder(joints, seen[0].roll(1, 1), *seen[1:]).vertices
    assert (moved - other).norm(dim=-1).max() > 1e-4  # each joint reads its own keypoint
    with pytest.raises(ShapeError, match="writes 324 vertices, not 40; set start to 'joints'"):
        MeshDecoder(10, 40, 60, width=16, cond_dim=32, start="capsules")
    with pytest.raises(OptionError, match="start"):
        MeshDecoder(start="nowhere")  # type: ignore[arg-type]


def test_a_decoder_that_starts_on_capsules_is_saved(tmp_path: Path) -> None:
    decoder = capsule_decoder()
    decoder.save_pretrained(tmp_path / "w")
    loaded = load_network(tmp_path / "w")
    assert isinstance(loaded, MeshDecoder)
    assert loaded.start == "capsules"
    assert torch.equal(loaded.chosen, decoder.chosen)
    decoder.chosen[3] = 324
    decoder.save_pretrained(tmp_path / "bad")
    with pytest.raises(CheckpointError, match="chosen are not whole numbers"):
        load_network(tmp_path / "bad")


def test_offsets_from_rays_do_not_depend_on_where_the_body_is() -> None:
    g = torch.Generator().manual_seed(2)
    joints = 0.3 * torch.randn(3, 17, 3, generator=g)
    placed = joints + torch.tensor([0.2, -0.1, 4.0])
    beside = 0.02 * torch.randn(3, 17, 2, generator=g)
    rays = (placed[..., :2] + beside) / placed[..., 2:]
    context = torch.tensor([[0.07 / 0.1, 1.0]]).log().expand(3, 2)
    seen = torch.ones(3, 17)
    seen[:, 5] = 0
    found = offsets_from_rays(joints, rays / 0.07, seen, context)
    assert (found[:, 5] == 0).all()
    kept = seen.bool()
    expected = beside[kept] - beside[kept].mean(0)
    assert (found[kept] - expected).abs().mean() < 0.4 * expected.abs().mean()
    exact = offsets_from_rays(joints, placed[..., :2] / placed[..., 2:] / 0.07, seen, context)
    assert exact.abs().max() < 1e-4


def test_vertices_that_are_not_there_are_refused(tmp_path: Path) -> None:
    network = MeshDecoder(10, 40, 60, width=16, cond_dim=32)
    for name, value in (("faces", 40), ("relation", 17), ("part_labels", -1)):
        buffer = getattr(network, name)
        buffer.view(-1)[3] = value
        network.save_pretrained(tmp_path / name)
        with pytest.raises(CheckpointError, match=f"{name} are not whole numbers"):
            load_network(tmp_path / name)
        buffer.zero_()
