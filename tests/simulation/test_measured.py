"""Measured detectors: a noise model that draws, and errors that fall with confidence."""

from __future__ import annotations

import pytest
import torch

from hypopose.errors import OptionError
from hypopose.simulation.measured import detector_sigma, measured_detectors, measured_noise


@pytest.mark.parametrize("name", measured_detectors())
def test_the_noise_is_as_large_as_it_says(name: str) -> None:
    noise = measured_noise(name)
    height = torch.linspace(0, 400, 17)[:, None] * torch.tensor([0.2, 1.0])
    xy = height.expand(400, 17, 2)
    found, confidence = noise.apply(xy, torch.Generator().manual_seed(0))
    hips = (found - xy)[:, 11:13]
    low, high = noise.sigma_px
    assert 0.3 * low < hips[hips.isfinite()].std() < 3 * high
    assert confidence.shape == (400, 17)


@pytest.mark.parametrize("name", measured_detectors())
def test_sure_keypoints_err_less(name: str) -> None:
    sigma = detector_sigma(name, torch.tensor([0.0, 0.3, 1.0]))
    assert (sigma > 0).all()
    assert sigma[1] > sigma[2]


def test_detectors_that_were_not_measured_are_refused() -> None:
    with pytest.raises(OptionError, match="there are mediapipe"):
        measured_noise("eyes")
