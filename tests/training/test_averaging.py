from __future__ import annotations

import json
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
    assert json.loads((out / "config.json").read_text())["of"] == "wide"


def test_an_average_says_of_what_and_keeps_a_card_that_is_there(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", a=torch.zeros(1))
    two = folder(tmp_path / "two", a=torch.ones(1))
    (one / "README.md").write_text("# one\n\nTrained on walks.\n\n## Data\n\nOurs.\n")
    (one / "training.json").write_text("{}")
    out = average_weights({one: 3.0, two: 1.0}, tmp_path / "out")
    card = (out / "README.md").read_text()
    assert "- 0.75 of " in card
    assert card.index("/one\n- 0.25 of ") < card.index("/two\n")
    assert "\n## one\n" in card
    assert "\n### Data\n" in card
    assert (out / "training.json").read_text() == "{}"
    (out / "README.md").write_text("mine")
    average_weights({two: 1.0}, out)
    assert (out / "README.md").read_text() == "mine"
    plain = average_weights({two: 1.0}, tmp_path / "plain")
    assert (plain / "README.md").read_text().endswith("training are the first's.\n")


def test_networks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    wide = folder(tmp_path / "wide", a=torch.zeros(1, 2))
    slim = folder(tmp_path / "slim", a=torch.zeros(1, 1))
    other = folder(tmp_path / "other", b=torch.zeros(1))
    with pytest.raises(CheckpointError, match="name that one first"):
        average_weights({slim: 1.0, wide: 1.0}, tmp_path / "out")
    with pytest.raises(CheckpointError, match="two kinds"):
        average_weights({wide: 1.0, other: 1.0}, tmp_path / "out")
    both = folder(tmp_path / "both", a=torch.zeros(1, 2), b=torch.zeros(1))
    with pytest.raises(CheckpointError, match=r"lacks b, .* name that one first"):
        average_weights({wide: 1.0, both: 1.0}, tmp_path / "out")
    with pytest.raises(OptionError, match="above 0"):
        average_weights({wide: 0.0}, tmp_path / "out")
    assert not (tmp_path / "out").exists()
