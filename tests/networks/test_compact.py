from __future__ import annotations

from pathlib import Path

import torch

from hypopose.networks import FrameTokens
from hypopose.networks.compact import compact, expanded
from hypopose.networks.pretrained import read_weights, save_weights


def test_rows_are_rounded_to_a_254th_of_their_largest_number() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(80, 64, generator=g) * torch.logspace(-3, 3, 80)[:, None]
    back = expanded(compact({"x": x}))["x"]
    assert ((back - x).abs() <= x.abs().amax(1, keepdim=True) * (0.5 / 127 + 1e-3)).all()
    assert back.dtype == torch.float32


def test_small_and_whole_tensors_are_kept() -> None:
    state = {"bias": torch.randn(9000), "small": torch.randn(4, 4), "steps": torch.arange(9000)}
    assert all((expanded(compact(state))[k] == v).all() for k, v in state.items())
    zeros = {"zeros": torch.zeros(80, 80)}
    assert (expanded(compact(zeros))["zeros"] == 0).all()


def test_stored_bytes_load_as_a_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = FrameTokens(width=64, n_layers=2, n_heads=2).eval()
    network.save_pretrained(tmp_path)
    before = (tmp_path / "model.safetensors").stat().st_size
    save_weights(compact(read_weights(tmp_path / "model.safetensors")), tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size < 0.35 * before
    again = FrameTokens.from_pretrained(tmp_path)
    x_t, xy, t = torch.randn(1, 2, 5, 17, 3), torch.randn(1, 5, 17, 2), torch.tensor([500.0])
    a, b = network(x_t, xy, t), again(x_t, xy, t)
    assert 0 < (a - b).abs().max() < 0.05 * a.std()
