"""Builds are read backwards from what a network says; a stature and measured bones are obeyed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from hypopose.adaptation import BuildPosterior, Recording, View3D, estimate_builds
from hypopose.adaptation.builds import (
    N_SEGMENTS,
    SIZE,
    STANDING,
    Response,
    common_people,
    fit_response,
    measured_segments,
    posterior_of,
    simulate_response,
    worth_using,
)
from hypopose.adaptation.placement import Stands
from hypopose.bodies.proportions import BONE_LENGTHS, BONE_PAIRS
from hypopose.datasets import example_pair
from hypopose.metrics import bone_lengths
from hypopose.networks import load_network
from hypopose.optimization.stature import stature
from hypopose.simulation import Draws, Motion
from hypopose.skeletons import H36M17
from hypopose.training import TrainConfig


@pytest.fixture
def prior() -> tuple[torch.Tensor, torch.Tensor]:
    theta = common_people(2048, Draws(torch.Generator().manual_seed(0))).double()
    center = theta.mean(0)
    return center, (theta - center).mT @ (theta - center) / len(theta)


def test_a_linear_response_is_fitted_and_read_backwards(
    prior: tuple[torch.Tensor, torch.Tensor],
) -> None:
    generator = torch.Generator().manual_seed(1)
    theta = common_people(4096, Draws(generator), wide=True).double()
    slope = 0.5 * torch.eye(SIZE, dtype=torch.float64)
    said = theta @ slope.mT + 0.1 + 0.002 * torch.randn(theta.shape, generator=generator).double()
    response = fit_response(theta, said)
    # Four of the largest standard errors that 4096 people with this noise leave.
    assert torch.allclose(response.slope, slope, atol=0.0085)
    mean, covariance = posterior_of(said[:1].expand(8, -1), response, *prior)
    std = covariance.diagonal().sqrt()
    assert float(((mean - theta[0]) / std).abs().median()) < 2
    assert bool((std < prior[1].diagonal().sqrt()).all())


def test_without_windows_the_prior_stays(prior: tuple[torch.Tensor, torch.Tensor]) -> None:
    eye = torch.eye(SIZE, dtype=torch.float64)
    nothing = torch.zeros(0, SIZE, dtype=torch.float64)
    mean, covariance = posterior_of(nothing, Response(eye, eye[0], eye), *prior)
    assert torch.allclose(mean, prior[0], atol=1e-6)
    assert torch.allclose(covariance, prior[1], atol=1e-6)


@pytest.mark.parametrize("height", [1.05, 1.95])
def test_a_stature_is_obeyed(prior: tuple[torch.Tensor, torch.Tensor], height: float) -> None:
    eye = torch.eye(SIZE, dtype=torch.float64)
    nothing = torch.zeros(0, SIZE, dtype=torch.float64)
    mean, covariance = posterior_of(nothing, Response(eye, eye[0], eye), *prior, height=height)
    found = BuildPosterior(("x",), mean[None].float(), covariance[None].float(), torch.ones(1))
    assert abs(float(found.stature) / height - 1) < 0.01
    assert 0.005 < float(found.stature_std) / height < 0.02
    drawn = found(64, Draws(torch.Generator().manual_seed(0)))
    tall = (drawn.lengths * STANDING).sum(-1) / 0.961
    assert abs(float(tall.mean()) / height - 1) < 0.02


def posterior(offset: float) -> BuildPosterior:
    """A person whose detector is off by so many meters, known to a millimeter."""
    mean = torch.zeros(1, SIZE)
    mean[:, N_SEGMENTS:] = offset
    covariance = 1e-6 * torch.eye(SIZE)[None]
    return BuildPosterior(("x",), mean, covariance, torch.ones(1))


def test_usual_detectors_are_not_trained_for() -> None:
    usual, biased = posterior(0.01), posterior(0.05)
    assert usual.surprise < 1 < biased.surprise
    assert worth_using(biased, False) is biased
    assert worth_using(usual, False) is None
    kept = worth_using(usual, True)
    assert kept is not None
    assert torch.equal(kept.mean[:, :N_SEGMENTS], usual.mean[:, :N_SEGMENTS])
    drawn = kept(200, Draws(torch.Generator().manual_seed(0)))
    spread = drawn.offsets.std(0)
    assert float(spread[[4, 5, 12]].max()) < 1e-3  # limbs are where they are
    assert 0.01 < float(spread[10, 2]) < 0.05  # heads are not, as in general training


def test_labels_measure_segments() -> None:
    keypoints, truth = example_pair(40)
    assert truth.root is not None
    label = View3D(truth.joints + truth.root[:, None], 1e-6 * torch.eye(3).expand(40, 17, 3, 3))
    found = measured_segments([Recording(keypoints, "x", label=label)], scale_std=0.02)
    assert len(found) == N_SEGMENTS
    own = bone_lengths(truth.joints, H36M17).median(0).values
    thigh = next(o for o in found if float(o.row[1]) == 1)
    assert abs(math.exp(thigh.value) - float(own[1])) < 0.01
    assert thigh.std == pytest.approx(0.025)
    assert measured_segments([Recording(keypoints, "x")]) == ()


def test_builds_of_people_in_recordings(
    tiny_weights: object, tiny_config: TrainConfig, walker: Recording, figures: Motion
) -> None:
    network = load_network(str(tiny_weights))
    generator = torch.Generator().manual_seed(0)
    stands = Stands.of([walker])
    response = simulate_response(network, tiny_config, figures, stands, generator, 128)
    people = [walker, replace(walker, person="other")]
    found = estimate_builds(network, tiny_config, people, response, generator, height=1.3)
    assert found.people == ("somebody", "other")
    assert torch.allclose(found.stature, torch.full((2,), 1.3), rtol=0.0001)
    builds = found(5, Draws(generator))
    assert builds.lengths.shape == (5, 10)
    assert torch.allclose(builds.offsets[:, 1, 0], -builds.offsets[:, 4, 0])  # right as left


def test_bodies_are_built_as_told(figures: Motion) -> None:
    from hypopose.simulation import BodyMaker, Builds

    lengths = 0.7 * torch.tensor([BONE_LENGTHS[BONE_PAIRS.index(p)] for p in range(10)])
    offsets = torch.zeros(17, 3)
    offsets[4] = torch.tensor([0.05, 0.0, 0.0])
    built = Builds(lengths.expand(6, 10), offsets.expand(6, 17, 3))
    maker = BodyMaker(figures, torch.device("cpu"), builds=lambda B, draws: built)
    bodies = maker(6, 5, Draws(torch.Generator().manual_seed(0)))
    tall = stature(bodies.joints, H36M17)
    assert torch.allclose(tall, tall[0].expand(6), atol=1e-5)
    off = (bodies.seen - bodies.joints).norm(dim=-1)
    swapped = off.mean((0, 1))
    assert float(swapped[[1, 4]].max()) > 0.02  # the left hip; the right one of mirror images
    assert float(swapped[[0, 2, 3, 5, 8, 13]].max()) < 1e-6
