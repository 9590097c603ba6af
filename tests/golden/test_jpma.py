"""Recorded aggregation of D3DP: indices equal, poses equal (they are gathered, so exactly).

The published code is given the true root; here it is passed explicitly. Errors: 1e-6 m, 1e-4 px.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from hypopose.aggregation import (
    jpma,
    jpma_index,
    mean,
    oracle_joint_best,
    oracle_joint_index,
    oracle_pose_best,
    oracle_pose_index,
    reprojection_distances,
)
from hypopose.datasets.protocols import PublishedBatches
from hypopose.evaluation import Comparison
from hypopose.evaluation.published_best import BatchBest
from hypopose.metrics import joint_errors, p_joint_errors
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Hypotheses, Keypoints2D, Poses3D, Skeleton

M = {"rtol": 0, "atol": 1e-6}


def vp3d_camera(nine: Tensor) -> Camera:
    """fx fy cx cy k1 k2 k3 p1 p2 -> our order k1 k2 p1 p2 k3; screen units serve as pixels."""
    k1, k2, k3, p1, p2 = nine[4:]
    return Camera(
        nine[:2], nine[2:4], (2, 2), torch.stack([k1, k2, p1, p2, k3]), distortion_model="vp3d"
    )


def per_step(x: Tensor, n_steps: int) -> Tensor:
    """(B, ...) -> (B, K, ...): all sampling steps share keypoints, truth and root."""
    return x.unsqueeze(1).expand(x.shape[0], n_steps, *x.shape[1:])


@pytest.fixture
def cases(golden):
    case = golden("d3dp/jpma")
    io, n_steps = case.io, case.meta["config"]["K"]
    out = []
    for c in range(case.meta["config"]["cameras"]):
        keypoints = Keypoints2D(
            per_step(io["input_2d"][c], n_steps), H36M17, camera=vp3d_camera(io["camera"][c])
        )
        hypotheses = Hypotheses(io["hypotheses"][c], H36M17)
        truth = Poses3D(per_step(io["target_3d"][c], n_steps), H36M17)
        root = per_step(io["trajectory"][c].squeeze(-2), n_steps)
        out.append((hypotheses, keypoints, truth, root, {k: v[c] for k, v in io.items()}))
    return out


def test_reprojection_distances(cases) -> None:
    for hypotheses, keypoints, _, root, io in cases:
        got = reprojection_distances(hypotheses, keypoints, root)
        torch.testing.assert_close(got, io["err_2d"], rtol=0, atol=2e-6)


def test_jpma_indices_and_poses(cases) -> None:
    for hypotheses, keypoints, _, root, io in cases:
        index = jpma_index(hypotheses, keypoints, root=root)
        assert torch.equal(index[..., 1:], io["jagg_index"][..., 1:])  # the root ties exactly
        pose = jpma(hypotheses, keypoints, root=root)
        torch.testing.assert_close(pose.joints, io["pose_J_Agg"], **M)
        torch.testing.assert_close(pose.root, root, **M)


def test_mean_and_oracles(cases) -> None:
    for hypotheses, keypoints, truth, _, io in cases:
        torch.testing.assert_close(mean(hypotheses, keypoints).joints, io["pose_P_Agg"], **M)
        assert torch.equal(oracle_joint_index(hypotheses, truth), io["jbest_index"])
        joint_best = oracle_joint_best(hypotheses, truth).joints
        torch.testing.assert_close(joint_best, io["pose_J_Best"], **M)
        assert torch.equal(oracle_pose_index(hypotheses, truth), io["pbest_frame_index"])
        frame_best = oracle_pose_best(hypotheses, truth, level="frame").joints
        torch.testing.assert_close(frame_best, io["pose_P_Best_frame"], **M)


def test_quirk_published_pose_best_is_chosen_per_batch(cases) -> None:
    for hypotheses, _, truth, _, io in cases:
        for k, expected in enumerate(io["pbest_batch_index"]):
            step = Hypotheses(hypotheses.joints[:, k], H36M17)
            target = Poses3D(truth.joints[:, k], H36M17)
            assert (oracle_pose_index(step, target, "batch") == expected).all()
            best = oracle_pose_best(step, target, level="batch").joints
            torch.testing.assert_close(best, io["pose_P_Best_batch"][:, k], **M)


def test_published_pose_best_of_a_video(cases) -> None:
    """The clips of the batch, put one after another, are one video: MPJPE and P-MPJPE."""
    for hypotheses, _, truth, _, io in cases:
        n_clips, n_steps, _, length = hypotheses.joints.shape[:4]
        y = truth.joints[:, 0].flatten(0, 1)
        for k in range(n_steps):
            x = hypotheses.joints[:, k].transpose(0, 1).flatten(1, 2)
            frames = np.arange(n_clips * length)
            best = BatchBest.of(x, y, PublishedBatches(n_clips), length, frames)
            best.add(
                frames[None], Comparison(Hypotheses(x[None], H36M17), Poses3D(y[None], H36M17))
            )
            values = {key: value.mean() / 1000 for key, (_, value) in best.values().items()}
            for key, name in (("mpjpe", "mpjpe"), ("p_mpjpe", "pmpjpe")):
                got = values[f"{key}_oracle_pose_best_batch_mm"]
                torch.testing.assert_close(got, io[f"{name}_P_Best"][k], **M)


def test_mpjpe(cases) -> None:
    for _, _, truth, _, io in cases:
        for name, pose in (
            ("J_Agg", "J_Agg"),
            ("P_Agg", "P_Agg"),
            ("J_Best", "J_Best"),
            ("P_Best", "P_Best_batch"),
        ):
            got = joint_errors(io[f"pose_{pose}"], truth.joints).mean((0, 2, 3))
            torch.testing.assert_close(got, io[f"mpjpe_{name}"], **M)


def test_quirk_published_p_mpjpe_aligns_before_it_selects(cases) -> None:
    """J-Agg and J-Best select among aligned hypotheses: not the P-MPJPE of the selected pose."""
    for _, _, truth, _, io in cases:
        hypotheses = io["hypotheses"]
        errors = p_joint_errors(hypotheses, truth.joints.unsqueeze(-4)).float()
        chosen = errors.gather(2, io["jagg_index"].unsqueeze(2)).squeeze(2)
        joint_best = errors.amin(2)
        pose_best = errors.mean((0, 3, 4)).amin(-1)  # again one per batch and step
        mean_aligned = p_joint_errors(io["pose_P_Agg"], truth.joints).float()
        for name, got in (
            ("J_Agg", chosen.mean((0, 2, 3))),
            ("J_Best", joint_best.mean((0, 2, 3))),
            ("P_Best", pose_best),
            ("P_Agg", mean_aligned.mean((0, 2, 3))),
        ):
            torch.testing.assert_close(got, io[f"pmpjpe_{name}"], **M)
        proper = p_joint_errors(io["pose_J_Agg"], truth.joints).float().mean((0, 2, 3))
        assert not torch.allclose(proper, io["pmpjpe_J_Agg"], **M)


def skeleton_3dhp(order: str, root: int) -> Skeleton:
    names = tuple(order.split())
    parents = tuple(-1 if j == root else root for j in range(len(names)))
    return Skeleton("3dhp-golden", names, parents)


@pytest.mark.parametrize("group", ["ts1_4", "ts5_6"])
def test_3dhp_in_pixels_and_millimeters(golden, group: str) -> None:
    case = golden("d3dp/jpma_3dhp")
    config = case.meta["config"]
    io = {k.removeprefix(f"{group}."): v for k, v in case.io.items() if k.startswith(group)}
    skeleton = skeleton_3dhp(config["joint_order"], config["root_joint"])
    camera = vp3d_camera(io["camera_px"])
    keypoints = Keypoints2D(per_step(io["input_2d_px"], config["K"]), skeleton, camera=camera)
    hypotheses = Hypotheses(io["hypotheses_mm"], skeleton)
    root = per_step(io["trajectory_mm"].squeeze(-2), config["K"])
    distances = reprojection_distances(hypotheses, keypoints, root)
    torch.testing.assert_close(distances.double(), io["err_px"].double(), rtol=0, atol=5e-4)
    index = jpma_index(hypotheses, keypoints, root=root)
    others = [j for j in range(index.shape[-1]) if j != config["root_joint"]]
    assert torch.equal(index[..., others], io["jagg_index"][..., others])
    pose = jpma(hypotheses, keypoints, root=root).joints
    torch.testing.assert_close(pose, io["pose_J_Agg"], **M)
