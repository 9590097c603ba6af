"""Processes that train together: what one would have done, on parts of every batch."""

from __future__ import annotations

import operator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

from hypopose.diffusion import cosine_schedule
from hypopose.errors import BackendError, OptionError
from hypopose.training import TrainConfig, train
from hypopose.training.loop import Run
from hypopose.training.objectives import Step
from hypopose.training.objectives import _seed as hidden
from hypopose.training.team import Team, team
from hypopose.training.trainer import Trainer, read_state


@given(B=st.integers(1, 200), size=st.integers(1, 9))
def test_parts_make_the_batch(B: int, size: int) -> None:
    parts = [Team(rank, size).part(B) for rank in range(size)]
    assert sum(parts) == max(B, size)
    assert max(parts) - min(parts) <= 1


class Heard(Team):
    """A member whose gradients are kept, and which adds those of the members before it."""

    def __init__(self, rank: int, size: int, before: list[list[Tensor]]) -> None:
        super().__init__(rank, size)
        self.before = before

    def add_up(self, network: nn.Module, share: float, loss: Tensor) -> Tensor:
        own = [p.grad for p in network.parameters() if p.grad is not None]
        kept = [*(share * g for g in own), share * loss.detach()]
        whole = [sum((other[i] for other in self.before), mine) for i, mine in enumerate(kept)]
        for g, total in zip(own, whole, strict=False):
            g.copy_(total)
        self.before.append(kept)
        return whole[-1]

    def agree(self, network: nn.Module) -> None:
        """Nothing: they are the same."""


def test_two_processes_take_the_step_of_the_whole_batch(tiny: TrainConfig, tmp_path: Path) -> None:
    """Of gradients the optimizer keeps a tenth, unless they are clipped; and the loss is logged."""
    config = replace(
        tiny, n_frames=1, lengths=(8,), length_shares=(1.0,), clip_norm=1e9, processes=2
    )
    parts: list[list[Tensor]] = []
    other, leader = (Trainer(config, Heard(rank, 2, parts)) for rank in (1, 0))
    other.step()
    row = leader.step()
    assert (parts[0][0] != parts[1][0]).any()
    train(config, tmp_path)
    expected = leader.optimizers[0].state_dict()["state"]
    found = read_state(tmp_path / "state.pt")["optimizer"][0]["state"]
    assert found.keys() == expected.keys()
    for i, moments in expected.items():
        torch.testing.assert_close(found[i]["exp_avg"], moments["exp_avg"], atol=1e-8, rtol=1e-4)
    assert max(m["exp_avg"].abs().max() for m in expected.values()) > 1e-4
    progress = read_state(tmp_path / "state.pt")["progress"]
    assert progress["frames"] == leader.progress.frames == 40
    assert row["loss_mm"] == pytest.approx(1000 * float(parts[0][-1] + parts[1][-1]))


def test_interrupted_processes_end_with_the_same_weights(
    tiny: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(tiny, processes=2)
    whole = load_file(train(config, tmp_path / "whole") / "model.safetensors")
    folder = tmp_path / "parts"
    write = Trainer.step

    def stop_after_two(self: Trainer) -> dict[str, float]:
        if self.progress.step == 1:
            (folder / "STOP").touch()
        return write(self)

    monkeypatch.setattr(Trainer, "step", stop_after_two)
    train(config, folder)
    (folder / "STOP").unlink()
    assert Run(replace(config, processes=1), folder).trainer.progress.step == 2
    monkeypatch.undo()
    parts = load_file(train(config, folder) / "model.safetensors")
    assert all((whole[name] == parts[name]).all() for name in whole)


def test_a_process_that_fails_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    def lead() -> None:
        with team(2, operator.index) as own:
            own.lead(True, 0.0)
            own.lead(False, 0.0)

    with pytest.raises(BackendError, match="fewer processes"):
        lead()
    assert "TypeError" in capfd.readouterr().err
    assert not torch.distributed.is_initialized()


def test_processes_meet_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine, 100 % größer"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    threads = torch.get_num_threads()
    with team(2, Team.follow) as own:
        assert own.size == 2
        own.lead(False, 0.0)
    assert torch.get_num_threads() == threads
    assert not torch.distributed.is_initialized()
    assert not list(folder.iterdir())


def test_processes_hide_different_joints(tiny: TrainConfig) -> None:
    def seed(rank: int) -> int:
        choices = torch.Generator().manual_seed(0)
        return hidden(Step(tiny, cosine_schedule(10), torch.Generator(), choices, rank))

    assert seed(0) == seed(0) != seed(1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"processes": 0}, "whole number"),
        ({"processes": 2, "device": "cuda"}, "set processes=1"),
    ],
)
def test_processes_are_for_cpus(tiny: TrainConfig, changes: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        replace(tiny, **changes)
