"""Recorded calibration cases."""

from __future__ import annotations

import pytest
import torch

from hypopose.calibration.crps import crps, crps_points
from hypopose.calibration.curves import ece
from hypopose.calibration.min_at_k import min_at_k
from hypopose.calibration.proper_scores import energy_score, energy_score_points
from hypopose.calibration.published_curve import cgnf_curve, platypose_curve
from hypopose.calibration.ranks import distance_ranks, pooled_median
from hypopose.calibration.sbc import sbc_from_samples
from hypopose.calibration.tarp import histogram_ecp, tarp


def test_curve_of_motions(golden):
    io = golden("calibration/curve_motion").io
    curve = platypose_curve(io["samples"], io["gt"].squeeze(1))
    assert torch.equal(curve.levels, io["quantiles"])
    assert (curve.per_item - io["per_item"]).abs().max() < 1e-15
    assert (curve.coverage - io["freqs"]).abs().max() < 1e-15
    assert curve.ece == pytest.approx(io["ece"].item(), abs=1e-7)
    older = cgnf_curve(io["samples"], io["gt"].squeeze(1))
    assert (older.coverage - io["freqs_rootless_per_frame"]).abs().max() < 1e-15
    assert older.ece == pytest.approx(io["ece_rootless_per_frame"].item(), abs=1e-7)


def test_curve_of_single_frames(golden):
    io = golden("calibration/curve_single_frame").io
    curve = platypose_curve(io["samples"], io["gt"].squeeze(1))
    assert (curve.per_item - io["per_item"]).abs().max() < 1e-15
    assert (curve.coverage - io["freqs_reference"]).abs().max() < 1e-15
    assert curve.ece == pytest.approx(io["ece_reference"].item(), abs=1e-7)
    older = cgnf_curve(io["samples"], io["gt"].squeeze(1))
    assert (older.coverage - io["freqs_correct"]).abs().max() < 1e-15
    assert older.ece == pytest.approx(io["ece_correct"].item(), abs=1e-7)


def test_crps(golden):
    """The CRPS is the energy score of one coordinate; both of its forms were recorded."""
    io = golden("calibration/proper_scores").io
    x, y = io["fct"].unsqueeze(1), io["obs"].unsqueeze(0)
    for name in ("fair", "pwm"):
        assert torch.allclose(crps(x, y)[0], io[f"crps_{name}"], rtol=1e-12, atol=1e-12)
    samples, truth = x.movedim(0, -1).unsqueeze(-1), y.unsqueeze(-1)
    for name in ("nrg", "qd", "int", "properscoring"):
        score = energy_score_points(samples[0], truth[0], fair=False)
        assert torch.allclose(score, io[f"crps_{name}"], rtol=1e-12, atol=1e-12)


def test_energy_scores(golden):
    io = golden("calibration/proper_scores").io
    x, y = io["fct"].unsqueeze(1), io["obs"].unsqueeze(0)
    for form, fair in (("nrg", False), ("fair", True)):
        joint = energy_score(x, y, fair=fair)[0]
        pose = energy_score(x, y, level="pose", fair=fair)
        assert torch.allclose(joint, io[f"es_joint_{form}"], rtol=1e-12, atol=1e-12)
        assert torch.allclose(pose, io[f"es_pose_{form}"], rtol=1e-12, atol=1e-12)


def test_oracles(golden):
    io = golden("calibration/oracles").io
    assert torch.allclose(min_at_k(io["errors"]), io["min_at_k"], rtol=1e-12)
    samples, truth, weights = io["es_samples"], io["es_truth"], io["es_weights"]
    assert torch.allclose(energy_score_points(samples, truth), io["es_fair"], rtol=1e-12)
    weighted = energy_score_points(samples, truth, weights=weights)
    assert torch.allclose(weighted, io["es_fair_weighted"], rtol=1e-12)
    assert distance_ranks(samples.mT, truth).below == io["sym_rank"]
    pool = torch.cat([samples, truth[None]]).mT
    center = pooled_median(pool, torch.tensor(pool.shape[-1]))
    assert torch.allclose(center, io["sym_center"], rtol=1e-14)


def test_closed_forms(golden):
    io = golden("calibration/oracles").io
    z = (io["gauss_obs"] - io["gauss_mu"]) / io["gauss_sigma"]
    quantiles = torch.special.ndtri((torch.arange(20000, dtype=torch.float64) + 0.5) / 20000)
    x = io["gauss_mu"][:, None] + io["gauss_sigma"][:, None] * quantiles
    score = crps_points(x, io["gauss_obs"])
    assert (score - io["gauss_crps"]).abs().max() < 2e-4 * io["gauss_sigma"].max()
    assert z.isfinite().all()
    g = torch.Generator().manual_seed(0)
    levels = [q for q in io["levels"].tolist() if 0 < q < 1]
    inside = [i for i, q in enumerate(io["levels"].tolist()) if 0 < q < 1]
    for ratio, expected in zip(io["spread_ratio"].tolist(), io["coverage_3d"], strict=True):
        x = torch.randn(4000, 201, 1, 1, 3, generator=g)
        curve = ece(ratio * x[:, 1:], x[:, 0], levels=levels)
        assert (curve.curve - expected[inside]).abs().max() < 0.03


def test_tarp(golden):
    case = golden("calibration/tarp")
    io = case.io
    result = tarp(io["samples"], io["truth"], references=io["references"])
    assert torch.equal(result.credibility[0], io["credibility"])
    ecp, alpha = histogram_ecp(result.credibility[0], len(io["truth"]) // 10)
    assert torch.allclose(ecp, io["ecp"], atol=1e-15)
    assert torch.allclose(alpha, io["alpha"], atol=1e-15)


def test_sbc_and_tarp_as_sbi_computed_them(golden):
    """Recorded by ``calibration/sbi/record.py``; the live comparison is in test_checks.py."""
    case = golden("calibration/sbi")
    assert case.meta["library"].startswith("sbi ")
    io = case.io
    samples, truth, references = io["samples"], io["truth"], io["references"]
    assert torch.equal(sbc_from_samples(samples, truth).ranks, io["ranks"].long())
    result = tarp(samples, truth, references=references, normalize=False)
    for name, n_bins in (("", len(truth) // 10), ("_20_bins", 20)):
        ecp, alpha = histogram_ecp(result.credibility[0], n_bins)
        assert torch.allclose(ecp, io[f"ecp{name}"], atol=1e-6)
        assert torch.allclose(alpha, io[f"alpha{name}"], atol=1e-6)
    low, high = truth.amin(0), truth.amax(0)
    scored = tarp(samples, truth, references=(references - low) / (high - low + 1e-10))
    ecp, alpha = histogram_ecp(scored.credibility[0], len(truth) // 10)
    assert torch.allclose(ecp, io["ecp_scored"], atol=1e-6)
    assert torch.allclose(alpha, io["alpha_scored"], atol=1e-6)
    middle = len(alpha) // 2
    ecp, alpha = histogram_ecp(result.credibility[0], len(truth) // 10)
    area = float(((ecp - alpha)[middle:] * (alpha[1] - alpha[0])).sum())
    assert area == pytest.approx(case.meta["check_tarp"]["area to curve"], abs=1e-6)
