"""Threads: one for small inputs, no more than are idle, and torch's number comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import hypopose
import hypopose.distributed.cores as room
from hypopose.datasets import example_pair
from hypopose.distributed import available_cores, choose_threads, threads
from hypopose.errors import OptionError

LARGE = room.SMALL + 1


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Eight cores, idle, torch's default on them."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(room, "available_cores", lambda: 8)
    monkeypatch.setattr(room, "_load", lambda: 0.0)
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(before)


def test_small_inputs_take_one_thread() -> None:
    assert choose_threads(room.SMALL) == 1
    assert choose_threads(LARGE) == 8


@pytest.mark.parametrize(("load", "n"), [(0.4, 8), (3.0, 5), (7.6, 1), (40.0, 1)])
def test_busy_cores_are_left_alone(load: float, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_load", lambda: load)
    assert choose_threads(LARGE) == n


def test_never_more_than_torch_has() -> None:
    torch.set_num_threads(3)
    assert choose_threads(LARGE) == 3


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert choose_threads(1) == 8


def test_the_number_comes_back_even_after_an_error() -> None:
    with threads(2) as n:
        assert (n, torch.get_num_threads()) == (2, 2)
    assert torch.get_num_threads() == 8
    with pytest.raises(ZeroDivisionError), threads(work=1) as n:
        1 // (n - 1)
    assert torch.get_num_threads() == 8
    with pytest.raises(OptionError, match="threads lies between 1"), threads(0):
        pass


def test_a_number_that_was_given_stays_inside() -> None:
    with threads(3), threads(work=1) as n:
        assert n == 3
    with threads(work=LARGE), threads(work=1) as n:
        assert n == 1


def test_a_pipeline_uses_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    keypoints, _ = example_pair(4)
    seen: list[int] = []
    sampler = hypopose.make_sampler("boneflips")
    draw = type(sampler).sample

    def watching(self, *arguments):
        seen.append(torch.get_num_threads())
        return draw(self, *arguments)

    monkeypatch.setattr(type(sampler), "sample", watching)
    for n in (2, None):
        hypopose.estimate(keypoints, sampler=sampler, n_hypotheses=2, threads=n)
    assert seen == [2, 1]


@pytest.mark.parametrize(
    ("text", "cores"), [("150000 100000\n", 2), ("max 100000\n", 1 << 20), ("", 1 << 20)]
)
def test_quotas_of_containers_are_read(
    text: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(room, "QUOTA", tmp_path / "cpu.max")
    assert room._quota() == cores


def test_there_is_a_core() -> None:
    assert available_cores() >= 1
