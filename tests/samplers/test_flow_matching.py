"""Flow matching against flows whose end is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from hypopose.diffusion import seeded_noise
from hypopose.errors import OptionError
from hypopose.networks import NetworkInfo
from hypopose.samplers import FlowMatching
from hypopose.samplers.flow_matching import FlowSolver
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Keypoints2D

MEAN, SPREAD = 0.3, 0.5


class ExactFlow:
    """E[x0 | x_τ] of independent normals: the flow ends at MEAN + SPREAD · noise."""

    info = NetworkInfo("screen", None, uses_confidence=True, max_frames=8)

    def __init__(self) -> None:
        self.asked: list[float] = []

    def __call__(self, x_t: Tensor, keypoints: Tensor, t: Tensor, *_: Tensor | None) -> Tensor:
        self.asked.append(float(t[0]))
        rest = t.reshape(-1, 1, 1, 1, 1) / 999
        way = 1 - rest
        variance = way**2 * SPREAD**2 + rest**2
        return MEAN + way * SPREAD**2 / variance * (x_t - way * MEAN)


def clip() -> Keypoints2D:
    camera = replace(Camera.from_fov((1000, 1000)), assumed=False)
    return Keypoints2D(torch.full((4, 17, 2), 500.0), H36M17, camera=camera, fps=25.0)


def drawn(n_steps: int, solver: str) -> tuple[Tensor, list[float]]:
    network = ExactFlow()
    sampler = FlowMatching(network, n_steps=n_steps, solver=solver, scale=1.0, clamp=None)
    x = sampler.sample(clip(), 400, seeded_noise(0)).joints[:, :, 1:]
    return x, network.asked


def test_many_steps_follow_the_flow_to_its_end() -> None:
    x, asked = drawn(101, "heun")
    assert x.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert x.std().item() == pytest.approx(SPREAD, rel=0.01)
    assert asked[0] == 999


def test_second_order_beats_first_at_equal_evaluations() -> None:
    euler, _ = drawn(9, "euler")
    heun, asked = drawn(9, "heun")
    assert len(asked) == 9
    assert abs(heun.std() - SPREAD) < abs(euler.std() - SPREAD)


def test_one_evaluation_is_the_mean() -> None:
    x, asked = drawn(1, "euler")
    assert asked == [999]
    assert (x - MEAN).abs().max() < 1e-5


def test_unknown_solvers_and_even_heun_are_refused() -> None:
    with pytest.raises((OptionError, TypeCheckError), match="euler"):
        FlowMatching(ExactFlow(), solver="midpoint")
    with pytest.raises(OptionError, match="odd"):
        FlowSolver(4, 1000, heun=True)
