"""Recorded metrics of three published code bases."""

from __future__ import annotations

import torch

from hypopose.evaluation import METRICS, Comparison
from hypopose.metrics import (
    PCK_GROUPS_3DHP17,
    PCK_JOINTS_H36M17,
    auc,
    joint_errors,
    mpjpe,
    mpjve,
    n_mpjpe,
    p_joint_errors,
    p_mpjpe,
    pck,
    velocity_errors,
)
from hypopose.skeletons import H36M17
from hypopose.types import Hypotheses, Poses3D

# metrics/basic and metrics_vp3d are meters: 1e-6 m. pose_metrics is millimeters in float32: 1e-4
# mm, and 3e-4 mm where the recorded float32 Procrustes meets ours in float64 (the sheet's figure).
M = {"rtol": 0, "atol": 1e-6}
MM = {"rtol": 0, "atol": 1e-4}
PROCRUSTES_MM = {"rtol": 0, "atol": 3e-4}


def close(got: torch.Tensor, expected: torch.Tensor, **tolerance: float) -> None:
    torch.testing.assert_close(got.double().reshape(-1), expected.double().reshape(-1), **tolerance)


def test_basic(golden) -> None:
    io = golden("metrics/basic").io
    pred, target = io["predicted"], io["target"]
    close(mpjpe(pred, target), io["mpjpe"], **M)
    close(n_mpjpe(pred, target), io["n_mpjpe"], **M)
    close(p_mpjpe(pred, target), io["p_mpjpe"], **M)
    close(p_joint_errors(pred, target).mean(-1), io["p_mpjpe_per_frame"], **M)
    close(mpjve(pred, target), io["velocity_error_axis1"], **M)
    close(1000 * joint_errors(pred, target).mean((0, 1)), io["joint_errors_mm"], **MM)


def test_basic_quirk_velocity_over_flattened_clips_crosses_clip_borders(golden) -> None:
    io = golden("metrics/basic").io
    pred, target = io["predicted"].flatten(0, 1), io["target"].flatten(0, 1)
    close(mpjve(pred, target), io["velocity_error_flattened_axis0"], **M)


def test_basic_3dhp(golden) -> None:
    io = golden("metrics/basic").io
    hypotheses, target = io["dhp_hypotheses_mm"], io["dhp_target_mm"]
    valid = io["dhp_valid"].squeeze(-1).bool()
    pred = hypotheses[:, -1].mean(1)[valid].double()
    target = target[valid].double()
    close(joint_errors(pred, target), io["dhp_err_valid_mm"], **MM)
    joints = [j for group in PCK_GROUPS_3DHP17.values() for j in group]
    expected = io["dhp_pck_auc_mpjpe"]
    close(100 * pck(pred, target, 150.0, joints), expected[0], **MM)
    thresholds = [5.0 * i for i in range(31)]
    close(100 * auc(pred, target, thresholds, joints), expected[1], **MM)
    close(mpjpe(pred, target), expected[2], **MM)
    curve = torch.stack([pck(pred, target, t, joints) for t in thresholds])
    assert curve.shape == io["dhp_pck_curve"].shape
    scale = 100 if io["dhp_pck_curve"].max() > 1 else 1
    close(scale * curve, io["dhp_pck_curve"], **MM)
    groups = torch.stack([pck(pred, target, 150.0, g) for g in PCK_GROUPS_3DHP17.values()])
    scale = 100 if io["dhp_pck_groups"].max() > 1 else 1
    close(scale * groups, io["dhp_pck_groups"], **MM)


def test_vp3d(golden) -> None:
    io = golden("datasets/metrics_vp3d").io
    pred, target = io["pred"], io["target"]
    close(mpjpe(pred, target), io["mpjpe"], **M)
    close(p_joint_errors(pred, target).mean(-1), io["p_mpjpe_per_frame"], **M)
    close(p_mpjpe(pred, target), io["p_mpjpe"], **M)
    close(n_mpjpe(pred, target), io["n_mpjpe"], **M)
    close(mpjve(pred, target), io["velocity"], **M)


def test_pose_metrics(golden) -> None:
    io = golden("calibration/pose_metrics").io
    samples, truth = 1000 * io["samples"], 1000 * io["gt"]
    errors = joint_errors(samples, truth)
    close(errors, io["pjpe_mm"], **MM)
    compared = Comparison(Hypotheses(io["samples"], H36M17), Poses3D(io["gt"][0], H36M17))
    for key, recorded in (
        ("mpjpe_oracle_pose_best_clip_mm", "min_mpjpe_sequence"),
        ("mpjpe_oracle_pose_best_frame_mm", "min_mpjpe_frame"),
        ("mpjpe_oracle_joint_best_mm", "min_mpjpe_joint"),
        ("mpjpe_single_mm", "mean_mpjpe"),
    ):
        close(METRICS[key].values(compared).mean(), io[recorded], **MM)
    close(errors.mean(), io["mean_mpjpe"], **MM)
    best = errors.mean((-2, -1)).argmin()
    assert best == io["argmin"]
    velocity = velocity_errors(samples, truth).mean((-2, -1))
    close(velocity, io["mpjve_all"], **MM)
    close(velocity[best], io["mpjve_of_best"], **MM)


def test_pose_metrics_aligned(golden) -> None:
    io = golden("calibration/pose_metrics").io
    samples, truth = 1000 * io["samples"], 1000 * io["gt"]
    errors = p_joint_errors(samples, truth)
    close(errors, io["p_pjpe_mm"], **PROCRUSTES_MM)
    compared = Comparison(Hypotheses(io["samples"], H36M17), Poses3D(io["gt"][0], H36M17))
    best = METRICS["p_mpjpe_oracle_pose_best_clip_mm"].values(compared).mean()
    close(best, io["min_p_mpjpe_sequence"], **PROCRUSTES_MM)
    close(errors[:, 0], io["pa_pjpe_frame0"], **PROCRUSTES_MM)


def test_pose_metrics_pck(golden) -> None:
    io = golden("calibration/pose_metrics").io
    truth = io["gt"][0, 0]
    got = torch.stack([pck(x, truth, joints=PCK_JOINTS_H36M17) for x in io["samples"][:, 0]])
    close(got, io["pck150_frame0"], **M)


def test_basic_quirk_3dhp_pose_best_is_chosen_once_per_batch(golden) -> None:
    """The published P-Best picks one hypothesis for all videos of a batch, over valid frames."""
    io = golden("metrics/basic").io
    hypotheses, target = io["dhp_hypotheses_mm"], io["dhp_target_mm"][:, None, None]
    valid = io["dhp_valid"].squeeze(-1).bool()
    errors = joint_errors(hypotheses, target).movedim(3, 1)[valid]  # (frames, K, H, J)
    per_batch = errors.mean((0, 3)).amin(-1)
    close(per_batch, io["dhp_mpjpe_P_Best"], **MM)
    mean = joint_errors(hypotheses.mean(2), target.squeeze(2)).movedim(2, 1)[valid]
    close(mean.mean((0, 2)), io["dhp_mpjpe_P_Agg"], **MM)
    per_frame = errors.mean(-1).amin(-1).mean(0)
    assert (per_frame < per_batch).all()
