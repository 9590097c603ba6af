"""Metrics against known answers, laws and other ways of writing them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from hypopose.errors import OptionError, ShapeError, SkeletonMismatchError
from hypopose.metrics import (
    acceleration_error,
    align,
    auc,
    bone_length_error,
    bone_length_variation,
    bone_lengths,
    cps,
    mpjpe,
    mpjve,
    n_mpjpe,
    p_joint_errors,
    p_mpjpe,
    pck,
    symmetry_error,
)
from hypopose.skeletons import H36M17
from hypopose.types import Skeleton

ERRORS = {"mpjpe": mpjpe, "p_mpjpe": p_mpjpe, "n_mpjpe": n_mpjpe, "mpjve": mpjve,
          "acceleration_error": acceleration_error}  # fmt: skip


def poses(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, 17, 3, generator=generator, dtype=torch.float64)


def rotation(seed: int) -> torch.Tensor:
    return torch.from_numpy(Rotation.random(random_state=seed).as_matrix())


@pytest.mark.parametrize("name", ERRORS)
def test_law_zero_for_the_truth_positive_otherwise_and_in_the_unit_of_inputs(name: str) -> None:
    error, truth, pred = ERRORS[name], poses(0, 2, 6), poses(1, 2, 6)
    assert error(truth, truth) < 1e-6
    assert error(pred, truth) > 0.1
    torch.testing.assert_close(error(1000 * pred, 1000 * truth), 1000 * error(pred, truth))


@pytest.mark.parametrize("name", ERRORS)
def test_law_rotating_both_changes_nothing(name: str) -> None:
    error, truth, pred, r = ERRORS[name], poses(0, 2, 6), poses(1, 2, 6), rotation(3)
    torch.testing.assert_close(error(pred @ r.T, truth @ r.T), error(pred, truth))


@pytest.mark.parametrize("name", ERRORS)
def test_law_one_nan_joint_makes_the_value_nan(name: str) -> None:
    truth, pred = poses(0, 2, 6), poses(1, 2, 6)
    pred[1, 3, 5, 0] = math.nan
    assert ERRORS[name](pred, truth).isnan()


@pytest.mark.parametrize("name", ERRORS)
def test_law_batches_that_broadcast_by_accident_are_refused(name: str) -> None:
    with pytest.raises(ShapeError, match=r"Leading axes|at least"):
        ERRORS[name](poses(0, 3, 6), poses(1, 2, 6))


def test_p_mpjpe_undoes_any_similarity_but_no_reflection() -> None:
    truth = poses(0, 5)
    moved = 2.5 * truth @ rotation(1).T + torch.tensor([1.0, -2.0, 3.0])
    assert p_mpjpe(moved, truth) < 1e-9
    mirrored = truth * torch.tensor([-1.0, 1.0, 1.0])
    assert p_mpjpe(mirrored, truth) > 0.1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_p_mpjpe_reference_scipy(seed: int, mirror: float) -> None:
    truth = poses(seed)
    pred = truth * torch.tensor([mirror, 1.0, 1.0]) + 0.3 * poses(seed + 100)
    x, y = (p - p.mean(0) for p in (truth, pred))
    r = torch.from_numpy(Rotation.align_vectors(x.numpy(), y.numpy())[0].as_matrix())
    turned = y @ r.T
    scale = (turned * x).sum() / (turned * turned).sum()
    expected = (scale * turned - x).norm(dim=-1).mean()
    torch.testing.assert_close(p_mpjpe(pred, truth), expected)


def test_rigid_alignment_keeps_the_size() -> None:
    truth = poses(0, 4)
    aligned, usable = align(2 * truth, truth, scale=False)
    assert usable.all()
    torch.testing.assert_close(aligned.std(-2), 2 * truth.std(-2))


DEGENERATE = {
    "all joints in one point": torch.ones_like,
    "all zero": torch.zeros_like,
    "nan": lambda x: torch.full_like(x, math.nan),
    "infinite": lambda x: torch.full_like(x, math.inf),
}


@pytest.mark.parametrize(
    ("metric", "name"),
    # scale alone is defined for a point away from the origin
    [("p", n) for n in DEGENERATE] + [("n", n) for n in DEGENERATE if "point" not in n],
)
@pytest.mark.parametrize("side", ["prediction", "truth", "both"])
def test_degenerate_poses_are_nan_and_never_a_perfect_score(
    name: str, side: str, metric: str
) -> None:
    good, bad = poses(0, 3), poses(1, 3)
    bad[1] = DEGENERATE[name](bad[1])
    pred, truth = {"prediction": (bad, good), "truth": (good, bad), "both": (bad, bad)}[side]
    if metric == "p":
        errors = p_joint_errors(pred, truth).mean(-1)
        assert errors[1].isnan()
        assert errors[[0, 2]].isfinite().all()
        assert p_mpjpe(pred, truth).isnan()
    else:
        assert n_mpjpe(pred, truth).isnan()


def test_collinear_poses_can_be_aligned() -> None:
    line = torch.linspace(-1, 1, 17, dtype=torch.float64)[:, None] * torch.tensor([1.0, 2.0, 3.0])
    assert p_mpjpe(line @ rotation(0).T, line) < 1e-9


def test_n_mpjpe_undoes_scale_only() -> None:
    truth = poses(0, 4)
    assert n_mpjpe(0.3 * truth, truth) < 1e-12
    assert n_mpjpe(truth @ rotation(1).T, truth) > 0.1


def test_mpjve_and_acceleration_reference_numpy() -> None:
    pred, truth = poses(0, 2, 7), poses(1, 2, 7)
    difference = (pred - truth).numpy()
    for got, order in ((mpjve(pred, truth), 1), (acceleration_error(pred, truth), 2)):
        expected = np.linalg.norm(np.diff(difference, n=order, axis=-3), axis=-1).mean()
        assert float(got) == pytest.approx(expected)
    with pytest.raises(ShapeError, match="at least 2 frames"):
        mpjve(pred[:, :1], truth[:, :1])


def test_pck_is_strict_and_auc_averages_it() -> None:
    truth = torch.zeros(1, 17, 3, dtype=torch.float64)
    pred = truth.clone()
    pred[0, :, 0] = 0.010 * torch.arange(17, dtype=torch.float64)
    assert float(pck(pred, truth, 0.150)) == pytest.approx(15 / 17)  # 0.150 itself is not below
    assert float(pck(pred, truth, 0.150, joints=(0, 16))) == 0.5
    steps = [0.005 * i for i in range(31)]
    expected = np.mean([(pred[0, :, 0].numpy() < s).mean() for s in steps])
    assert float(auc(pred, truth)) == pytest.approx(expected)
    assert float(auc(truth, truth)) == pytest.approx(30 / 31)
    with pytest.raises(OptionError, match="at least one threshold"):
        auc(pred, truth, ())


def test_pck_with_a_nan_joint_is_nan_unless_it_does_not_count() -> None:
    truth = torch.zeros(1, 17, 3)
    pred = truth.clone()
    pred[0, 7] = math.nan
    assert pck(pred, truth).isnan()
    assert pck(pred, truth, joints=(1, 2)) == 1


def test_cps_counts_poses_by_their_worst_joint_and_takes_the_best_hypothesis() -> None:
    truth = poses(0, 6)
    exact = truth.unsqueeze(-3)
    assert float(cps(exact, truth)) == pytest.approx(1.0)
    wrong = exact + 0.2 * poses(1, 6).unsqueeze(-3)
    value = float(cps(wrong, truth))
    assert value < 0.9
    both = torch.cat((wrong, exact), -3)
    assert float(cps(both, truth)) == pytest.approx(1.0)
    worst = p_joint_errors(wrong[:, 0], truth, scale=False)
    worst = worst[:, [j for j in range(17) if j != 7]].amax(-1)
    levels = torch.arange(1, 301, dtype=torch.float64) / 1000
    expected = (worst[None] < levels[:, None]).double().mean()
    assert value == pytest.approx(float(expected))
    assert cps(torch.zeros_like(exact), truth).isnan()


def test_bones_of_a_rigid_symmetric_figure() -> None:
    figure = torch.zeros(17, 3, dtype=torch.float64)
    for parent, child in H36M17.bones:
        step = torch.tensor([0.1, 0.2, 0.1 * (child % 2)])
        figure[child] = figure[parent] + step
    mirror = figure.clone()
    for left, right in zip(H36M17.left, H36M17.right, strict=True):
        mirror[left] = figure[right] * torch.tensor([-1.0, 1.0, 1.0])
    clip = torch.stack([mirror @ rotation(s).T for s in range(5)])
    assert bone_length_variation(clip, H36M17) < 1e-12
    lengths = bone_lengths(clip, H36M17)
    assert bone_length_error(1.1 * clip, lengths, H36M17) == pytest.approx(
        0.1 * float(lengths.mean())
    )
    stretched = clip.clone()
    stretched[:, 3] += 0.5 * (clip[:, 3] - clip[:, 2])  # the right shin, half as long again
    shin = float(lengths[0, 2])
    change = symmetry_error(stretched, H36M17) - symmetry_error(clip, H36M17)
    assert float(change) == pytest.approx(0.5 * shin / 5, rel=0.2)


def test_bones_of_a_collapsed_pose_are_nan() -> None:
    nothing = torch.zeros(4, 17, 3)
    assert bone_lengths(nothing, H36M17).isnan().all()
    assert symmetry_error(nothing, H36M17).isnan()
    assert bone_length_variation(nothing, H36M17).isnan()
    assert bone_length_error(nothing, torch.ones(16), H36M17).isnan()


def test_bones_need_their_skeleton() -> None:
    chain = Skeleton("chain", ("a", "b"), (-1, 0))
    with pytest.raises(SkeletonMismatchError, match="17 joints are not"):
        bone_lengths(torch.zeros(17, 3), chain)
    with pytest.raises(SkeletonMismatchError, match="left and right"):
        symmetry_error(torch.zeros(2, 3), chain)
