"""EpipolarPose's parts, from recordings that stay outside the repository."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from hypopose.metrics import align, cluster_of, fit_pose_clusters, pss
from hypopose.multiview.epipolar import decompose, essential_matrix, essential_of_pose
from hypopose.multiview.triangulation import iterative_least_squares, triangulate_points
from hypopose.networks import RefinementUnit
from hypopose.networks.pretrained import load_strictly
from hypopose.skeletons import SKELETONS


@pytest.fixture
def recorded(golden: Callable[[str], Any]) -> dict[str, np.ndarray]:
    case = golden("epipolarpose/triangulation")
    return {name: value.numpy() for name, value in case.io.items()}


def pair(recorded: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and projections of the two views."""
    seen = np.stack([recorded["u1"], recorded["u2"]])
    return seen, np.stack([recorded["P1"], recorded["P2"]])


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("dlt", "linear_eigen"),
        ("linear", "linear_ls"),
        ("iterative", "iterative_ls_hartley_weights"),
        ("iterative-compounding", "iterative_ls"),
    ],
)
def test_two_views(recorded: dict[str, np.ndarray], method: str, name: str) -> None:
    found = triangulate_points(*pair(recorded), method=method)
    np.testing.assert_allclose(found, recorded[f"tri_{name}"], rtol=1e-6, atol=1e-3)


def test_the_compounding_variant_goes_on_where_the_correct_one_stops(
    recorded: dict[str, np.ndarray],
) -> None:
    published = iterative_least_squares(*pair(recorded), compounding=True)
    assert (published.n_rounds == recorded["tri_iterative_ls_iters"]).all()
    assert (published.status == recorded["tri_iterative_ls_status"]).all()
    assert iterative_least_squares(*pair(recorded)).n_rounds.max() < 10


def test_normalized_points_and_the_optimal_correction(recorded: dict[str, np.ndarray]) -> None:
    seen = np.stack([recorded["n1"], recorded["n2"]])
    views = np.stack([np.column_stack([recorded[f"R{i}"], recorded[f"t{i}"]]) for i in (1, 2)])
    found = iterative_least_squares(seen, views, compounding=True)
    np.testing.assert_allclose(
        found.points, recorded["tri_iterative_ls_normalised"], rtol=1e-5, atol=1e-3
    )
    optimal = triangulate_points(seen, views, method="optimal")
    np.testing.assert_allclose(optimal, recorded["tri_polynomial_normalised"], rtol=1e-5, atol=1e-2)


def test_points_behind_a_view_are_told(recorded: dict[str, np.ndarray]) -> None:
    seen = np.stack([recorded["behind_u1"], recorded["behind_u2"]])
    found = iterative_least_squares(seen, pair(recorded)[1], compounding=True)
    assert (found.status == recorded["behind_status"]).all()


def test_three_views(recorded: dict[str, np.ndarray]) -> None:
    seen = np.stack([recorded["u1"], recorded["u2"], recorded["u3"]])
    views = np.stack([recorded["P1"], recorded["P2"], recorded["P3"]])
    found = triangulate_points(seen, views, method="dlt")
    np.testing.assert_allclose(found, recorded["tri_linear_eigen_3view"], rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("points", ["clean", "noisy"])
def test_relative_pose_from_points(recorded: dict[str, np.ndarray], points: str) -> None:
    end = "_clean" if points == "clean" else ""
    essential = essential_matrix(recorded[f"n1{end}"], recorded[f"n2{end}"])
    np.testing.assert_allclose(essential, recorded[f"E_from_{points}"], atol=1e-6)
    R, t = recorded[f"rel_R_{points}"], recorded[f"rel_t_{points}"]
    rotations, translations = decompose(essential)
    off = np.abs(rotations - R).max((-1, -2)) + np.abs(translations - t / np.linalg.norm(t)).max(-1)
    assert off.min() < 1e-6
    views = np.stack([np.eye(3, 4), np.column_stack([R, t])])
    seen = np.stack([recorded[f"n1{end}"], recorded[f"n2{end}"]])
    found = triangulate_points(seen, views, method="dlt")
    np.testing.assert_allclose(found, recorded[f"X_{points}_cam1_unit_baseline"], rtol=1e-5)


def test_the_four_poses_and_the_true_matrix(recorded: dict[str, np.ndarray]) -> None:
    rotations, translations = decompose(recorded["E_from_clean"])
    for R, t in zip(recorded["decomp_R"], recorded["decomp_t"], strict=True):
        near = np.abs(rotations - R).max((-1, -2)) + np.abs(translations - t).max(-1)
        assert near.min() < 1e-6
    truth = essential_of_pose(recorded["rel_R_gt"], recorded["rel_t_gt_unit"])
    same = truth * np.sign((truth * recorded["E_groundtruth"]).sum())
    np.testing.assert_allclose(same, recorded["E_groundtruth"], atol=1e-9)


def test_the_similarity_fit(golden: Callable[[str], Any]) -> None:
    io = golden("epipolarpose/triangulation").io
    aligned, usable = align(io["X_noisy_cam1_unit_baseline"], io["points"])
    assert bool(usable)
    np.testing.assert_allclose(aligned.numpy(), io["X_noisy_aligned"].numpy(), atol=1e-5)


@torch.no_grad()
def test_refinement_unit(golden: Callable[[str], Any]) -> None:
    case = golden("epipolarpose/refiner")
    io, config = case.io, case.meta["config"]
    unit = RefinementUnit(config["input_size"] // 3, config["linear_size"], config["p_dropout"])
    load_strictly(unit, case.weights, "the case")
    answers = unit.eval()(io["input"].unflatten(-1, (-1, 3)))
    for ours, name in zip(answers, ("out_stage1", "out_stage2"), strict=True):
        torch.testing.assert_close(ours.flatten(1), io[name], rtol=1e-6, atol=1e-6)


def test_pose_structure_score(golden: Callable[[str], Any]) -> None:
    case = golden("epipolarpose/pss")
    io, k = case.io, case.meta["k"]
    body = next(s for s in SKELETONS.values() if s.n_joints == case.meta["joints"] and not s.root)
    clusters = fit_pose_clusters(io["train"], k, body, first=io["init_indices"])
    torch.testing.assert_close(clusters.centers, io["centers"], rtol=0, atol=1e-9)
    for poses, name in (("train", "train_assign"), ("gt", "gt_cluster"), ("pred", "pred_cluster")):
        assert torch.equal(cluster_of(io[poses], clusters), io[name])
    found = pss(io["pred"], io["gt"], clusters)
    assert torch.equal(found.long(), io["pss"])
    assert found.mean().item() == io["mpss"].item()
