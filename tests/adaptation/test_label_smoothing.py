"""Smoothing of labels: nearer to the truth, nothing invented, slower cameras smoothed less."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hypopose.adaptation.label_smoothing import LEAST_FRAMES, smoothed
from hypopose.adaptation.labels import slow_mixing

F, STD = 120, 0.02


def swinging(fps: float) -> tuple[Tensor, Tensor, Tensor]:
    """A hand that swings once a second: truth, labels, covariances."""
    t = torch.arange(F) / fps
    truth = (
        0.3 * torch.stack([(2 * math.pi * t).sin(), (2 * math.pi * t).cos(), 0 * t], -1)[:, None]
    )
    noise = STD * torch.randn(F, 1, 3, generator=torch.Generator().manual_seed(0))
    return truth, truth + noise, (STD**2 * torch.eye(3)).expand(F, 1, 3, 3)


def error(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm(dim=-1).nanmean())


def test_labels_come_nearer_to_the_truth_and_more_so_at_more_frames_a_second() -> None:
    left = []
    for fps in (100.0, 50.0, 25.0):
        truth, labels, covariance = swinging(fps)
        found, less = smoothed(labels, covariance, fps)
        left.append(error(found, truth) / error(labels, truth))
        assert bool((less.diagonal(dim1=-2, dim2=-1) < STD**2).all())
    assert left[0] < left[1] < left[2] < 1.0
    assert left[1] < 0.7


def test_missing_labels_stay_missing_and_few_stay_as_they_are() -> None:
    _, labels, covariance = swinging(50.0)
    labels[30:50] = torch.nan
    found, _ = smoothed(labels, covariance, 50.0)
    assert torch.equal(torch.isfinite(found), torch.isfinite(labels))
    labels[LEAST_FRAMES - 1 :] = torch.nan
    found, same = smoothed(labels, covariance, 50.0)
    assert torch.equal(found.nan_to_num(9.0), labels.nan_to_num(9.0))
    assert torch.equal(same, covariance)


def test_surer_labels_count_for_more() -> None:
    truth, labels, covariance = swinging(50.0)
    wrong, unsure = labels.clone(), covariance.clone()
    wrong[60] += 0.3
    unsure[60] *= 400.0
    off = [error(smoothed(wrong, c, 50.0)[0][58:63], truth[58:63]) for c in (covariance, unsure)]
    assert off[1] < 0.3 * off[0]


@pytest.mark.parametrize("width", [0.0, 2.3])
def test_slow_noise_has_unit_variance_and_its_width(width: float) -> None:
    mixing = slow_mixing(40, width, torch.device("cpu"))
    together = mixing @ mixing.mT
    assert torch.allclose(together.diagonal(), torch.ones(40), atol=1e-5)
    expected = math.exp(-1 / (4 * width**2)) if width else 0.0
    assert float(together[20, 21]) == pytest.approx(expected, abs=0.001)  # cut off at 3 widths
