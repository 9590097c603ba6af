from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hypopose.errors import CheckpointError, OptionError
from hypopose.training import average_weights


def folder(path: Path, **tensors: torch.Tensor) -> Path:
    path.mkdir()
    save_file(tensors, path / "model.safetensors")
    (path / "config.json").write_text(f'{{"of": "{path.name}"}}')
    return path


def test_shares_count_and_larger_tensors_keep_what_others_lack(tmp_path: Path) -> None:
    wide = folder(tmp_path / "wide", a=torch.tensor([[1.0, 5.0]]), b=torch.tensor([2.0]))
    slim = folder(tmp_path / "slim", a=torch.tensor([[3.0]]), b=torch.tensor([4.0]))
    out = average_weights({wide: 1.0, slim: 3.0}, tmp_path / "out")
    state = load_file(out / "model.safetensors")
    assert torch.allclose(state["a"], torch.tensor([[2.5, 5.0]]))
    assert torch.allclose(state["b"], torch.tensor([3.5]))
    assert (out / "config.json").read_text() == '{"of": "wide"}'


def test_networks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    wide = folder(tmp_path / "wide", a=torch.zeros(1, 2))
    slim = folder(tmp_path / "slim", a=torch.zeros(1, 1))
    other = folder(tmp_path / "other", b=torch.zeros(1))
    with pytest.raises(CheckpointError, match="name that one first"):
        average_weights({slim: 1.0, wide: 1.0}, tmp_path / "out")
    with pytest.raises(CheckpointError, match="two kinds"):
        average_weights({wide: 1.0, other: 1.0}, tmp_path / "out")
    with pytest.raises(OptionError, match="above 0"):
        average_weights({wide: 0.0}, tmp_path / "out")
    assert not (tmp_path / "out").exists()
