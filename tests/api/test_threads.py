"""Threads: one for small inputs, never more than are idle, and the setting is put back."""

from __future__ import annotations

import os

import pytest
import torch

import hypopose
from hypopose.api import threads
from hypopose.api.threads import SMALL, idle_cores, limited_threads, suitable_threads
from hypopose.datasets import example_pair
from hypopose.errors import OptionError


def test_small_inputs_get_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "idle_cores", lambda: 64)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert suitable_threads(SMALL) == 1
    assert suitable_threads(SMALL + 1) == 8


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux tells its cores")
@pytest.mark.parametrize(("load", "idle"), [(0.0, 16), (3.4, 13), (15.9, 1), (40.0, 1)])
def test_busy_cores_are_not_asked_for(
    monkeypatch: pytest.MonkeyPatch, load: float, idle: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert idle_cores() == idle


def test_the_setting_is_put_back_after_errors_too() -> None:
    before = torch.get_num_threads()
    with limited_threads(before + 1, 0):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(RuntimeError), limited_threads(before + 1, 0):
        raise RuntimeError
    assert torch.get_num_threads() == before


def test_no_threads_are_refused() -> None:
    with pytest.raises(OptionError, match="at least 1, got 0"), limited_threads(0, 0):
        pass


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
