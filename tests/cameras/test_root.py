"""Fitting the root: exact on clean data, invariant, calm about what is missing."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from strategies import (
    DISTORTION_MODELS,
    normals,
    random_camera,
    random_pose,
    random_root,
    seeds,
    seen_by,
)

from hypopose.cameras import fit_root, project
from hypopose.errors import MissingCameraError, OptionError, ShapeError
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Keypoints2D

WAYS = {
    "linear": {},
    "robust": {"robust": True},
    "smooth": {"smooth": 5.0},
    "robust and smooth": {"robust": True, "smooth": 5.0},
}


def walk(n_frames: int, seed: int = 0, model="none"):
    """A slowly moving person, as (camera, joints, root, keypoints) at 30 Hz."""
    camera = random_camera(seed, model)
    t = torch.arange(n_frames, dtype=torch.float64) / 30
    root = torch.stack((0.4 * torch.sin(t), 0.02 * torch.cos(6 * t), 4.5 + 0.5 * torch.cos(t)), -1)
    joints = random_pose(seed, 1) + 0.02 * torch.sin(6 * t)[:, None, None] * random_pose(seed + 1)
    return camera, joints, root, seen_by(camera, joints, root)


def drop(keypoints: Keypoints2D, share: float, seed: int = 0) -> Keypoints2D:
    gone = torch.rand(keypoints.xy.shape[:-1], generator=torch.Generator().manual_seed(seed))
    xy = torch.where(gone[..., None] < share, torch.nan, keypoints.xy)
    return replace(keypoints, xy=xy)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", DISTORTION_MODELS)
def test_exact_on_clean_data(way, model) -> None:
    _, joints, root, keypoints = walk(40, model=model)
    # The smooth path is exact because clean keypoints leave no error to smooth away.
    tolerance = 1e-4 if "smooth" in way else 1e-8
    fitted = fit_root(joints, keypoints, **WAYS[way])
    torch.testing.assert_close(fitted, root, atol=tolerance, rtol=0)


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_exact_on_any_pose(seed) -> None:
    camera, joints, root = random_camera(seed, "opencv"), random_pose(seed, 6), random_root(seed, 6)
    fitted = fit_root(joints, seen_by(camera, joints, root))
    torch.testing.assert_close(fitted, root, atol=1e-6, rtol=0)


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_half_of_the_joints_suffice(seed) -> None:
    camera, joints, root = random_camera(seed), random_pose(seed, 30), random_root(seed, 30)
    keypoints = drop(seen_by(camera, joints, root), 0.5, seed)
    fitted = fit_root(joints, keypoints)
    enough = keypoints.detected.sum(-1) >= 2
    torch.testing.assert_close(fitted[enough], root[enough], atol=1e-5, rtol=0)
    assert fitted[~enough].isnan().all()


@pytest.mark.parametrize("way", WAYS)
def test_hypotheses_and_batches_are_fitted_alone(way) -> None:
    camera = random_camera(4, batch=(2,))
    joints = random_pose(1, 2, 1, 12) + 0.03 * random_pose(7, 2, 3, 12)
    root = random_root(2, 2, 1, 12)
    xy = project(joints[:, 0] + root[:, 0, :, None], camera) + 3 * normals(5, 2, 12, 17, 2)
    keypoints = drop(Keypoints2D(xy, H36M17, camera=camera), 0.2)
    together = fit_root(joints, keypoints, **WAYS[way])
    assert together.shape == (2, 3, 12, 3)
    for b in range(2):
        one = Camera(camera.focal[b], camera.center[b], camera.image_size)
        alone = Keypoints2D(keypoints.xy[b], H36M17, camera=one)
        torch.testing.assert_close(fit_root(joints[b], alone, **WAYS[way]), together[b])
        single = fit_root(joints[b, 1], alone, **WAYS[way])
        torch.testing.assert_close(single, together[b, 1])


def test_the_linear_form_is_the_weighted_normal_equations() -> None:
    """Reference: rows [1, 0, -u] and [0, 1, -v], solved by torch."""
    camera, joints, root, keypoints = walk(5)
    noisy = replace(keypoints, xy=keypoints.xy + 10 * normals(1, 5, 17, 2))
    w = torch.rand(5, 17, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    uv = (noisy.xy - camera.center) / camera.focal
    for f in range(5):
        rows, right = [], []
        for j in range(17):
            s = w[f, j].sqrt()
            u, v = uv[f, j]
            x, y, z = joints[f, j]
            rows += [
                s * torch.stack((u * 0 + 1, u * 0, -u)),
                s * torch.stack((u * 0, u * 0 + 1, -v)),
            ]
            right += [s * (u * z - x), s * (v * z - y)]
        expected = torch.linalg.lstsq(torch.stack(rows), torch.stack(right)[:, None]).solution[:, 0]
        torch.testing.assert_close(fit_root(joints, noisy, weights=w)[f], expected)
    with_confidence = replace(noisy, confidence=w)
    torch.testing.assert_close(
        fit_root(joints, with_confidence), fit_root(joints, noisy, weights=w)
    )
    assert (fit_root(joints, noisy) - root).norm(dim=-1).max() < 0.5


def test_scale_and_shift_invariance() -> None:
    """Twice the person is twice as far; another focal length with the same rays changes nothing."""
    camera, joints, _, keypoints = walk(8)
    keypoints = replace(keypoints, xy=keypoints.xy + 4 * normals(1, 8, 17, 2))
    fitted = fit_root(joints, keypoints)
    torch.testing.assert_close(fit_root(2 * joints, keypoints), 2 * fitted)
    zoomed = Camera(2 * camera.focal, 2 * camera.center, (3840, 2160))
    twice = Keypoints2D(2 * keypoints.xy, H36M17, camera=zoomed)
    torch.testing.assert_close(fit_root(joints, twice), fitted)
    offset = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    torch.testing.assert_close(fit_root(joints + offset, keypoints), fitted - offset)
    torch.testing.assert_close(
        fit_root(joints, keypoints, weights=torch.full((8, 17), 7.0)), fitted
    )


def test_robust_ignores_wild_keypoints() -> None:
    _, joints, root, keypoints = walk(60)
    xy = keypoints.xy + 2 * normals(2, 60, 17, 2)
    xy[:, [3, 13]] += torch.tensor([150.0, -90.0], dtype=torch.float64)
    keypoints = replace(keypoints, xy=xy)
    plain = (fit_root(joints, keypoints) - root).norm(dim=-1).mean()
    robust = (fit_root(joints, keypoints, robust=True) - root).norm(dim=-1).mean()
    assert robust < 0.1
    assert robust < plain / 3


def test_robust_removes_the_pull_of_noise() -> None:
    _, joints, root, keypoints = walk(2000)
    noisy = replace(keypoints, xy=keypoints.xy + 15 * normals(2, 2000, 17, 2))
    pull = (fit_root(joints, noisy) - root)[:, 2].mean()
    assert pull < -0.03
    assert (fit_root(joints, noisy, robust=True) - root)[:, 2].mean().abs() < abs(pull) / 3


def test_smooth_is_calmer_and_closer() -> None:
    _, joints, root, keypoints = walk(120)
    noisy = replace(keypoints, xy=keypoints.xy + 6 * normals(3, 120, 17, 2), fps=30.0)
    plain, smooth = fit_root(joints, noisy), fit_root(joints, noisy, smooth=1.0)
    error = [(x - root).norm(dim=-1).mean() for x in (plain, smooth)]
    shake = [x.diff(n=2, dim=-2).norm(dim=-1).mean() for x in (plain, smooth)]
    assert error[1] < 0.6 * error[0]
    assert shake[1] < 0.1 * shake[0]


def test_smooth_solves_its_least_squares_problem() -> None:
    """Reference: the dense normal equations of a short motion with a gap."""
    from hypopose.cameras.root import _smooth_path

    n, stiffness = 9, 0.7
    factors = normals(1, n, 4, 3)
    info = (factors.mT @ factors).numpy()
    pull = normals(2, n, 3)
    pull[4] = torch.nan
    second = torch.zeros(n - 2, n, dtype=torch.float64)
    for i in range(n - 2):
        second[i, i : i + 3] = torch.tensor([1.0, -2.0, 1.0])
    A = torch.kron(second.T @ second, torch.eye(3, dtype=torch.float64)) * stiffness
    b = torch.zeros(3 * n, dtype=torch.float64)
    for f in set(range(n)) - {4}:
        block = slice(3 * f, 3 * f + 3)
        A[block, block] += torch.from_numpy(info[f])
        b[block] = pull[f]
    ours = torch.from_numpy(_smooth_path(info, pull.numpy(), stiffness))
    torch.testing.assert_close(ours, torch.linalg.solve(A, b).reshape(n, 3))


def test_gaps_are_bridged_only_by_smooth_and_never_beyond_the_ends() -> None:
    _, joints, root, keypoints = walk(60)
    xy = keypoints.xy.clone()
    xy[:3], xy[20:30], xy[-2:] = torch.nan, torch.nan, torch.nan
    keypoints = replace(keypoints, xy=xy)
    plain, smooth = fit_root(joints, keypoints), fit_root(joints, keypoints, smooth=5.0)
    for path in (plain, smooth):
        assert path[:3].isnan().all()
        assert path[-2:].isnan().all()
    assert plain[20:30].isnan().all()
    assert (smooth[20:30] - root[20:30]).norm(dim=-1).max() < 0.05


@pytest.mark.parametrize("n_frames", [1, 2, 3])
@pytest.mark.parametrize("way", WAYS)
def test_short_motions(way, n_frames) -> None:
    _, joints, root, keypoints = walk(n_frames)
    fitted = fit_root(joints, keypoints, **WAYS[way])
    torch.testing.assert_close(fitted, root, atol=1e-4, rtol=0)


@pytest.mark.parametrize("way", WAYS)
def test_frames_without_an_answer_are_nan(way) -> None:
    _, joints, _, keypoints = walk(6)
    xy = keypoints.xy.clone()
    xy[0] = torch.nan
    xy[1, 1:] = torch.nan  # one joint
    xy[2] = xy[2, :1]  # no spread
    xy[3] = 2 * xy[3].mean(0) - xy[3]  # a mirror image only fits behind the camera
    only = slice(0, 4)
    keypoints = replace(keypoints, xy=xy[only])
    assert fit_root(joints[only], keypoints, **WAYS[way]).isnan().all()


def test_missing_3d_joints_are_left_out() -> None:
    _, joints, root, keypoints = walk(5)
    joints[2, 5:9] = torch.nan
    torch.testing.assert_close(fit_root(joints, keypoints), root)


def test_zero_confidence_is_missing_and_formed_joints_weigh_less() -> None:
    _, joints, root, keypoints = walk(5)
    xy = keypoints.xy.clone()
    xy[:, 10] += 300
    confidence = torch.ones(5, 17, dtype=torch.float64)
    confidence[:, 10] = 0
    wrong = replace(keypoints, xy=xy)
    torch.testing.assert_close(fit_root(joints, replace(wrong, confidence=confidence)), root)
    error = (fit_root(joints, wrong) - root).norm(dim=-1)
    formed = (fit_root(joints, replace(wrong, approximate=("head",))) - root).norm(dim=-1)
    assert (formed < 0.5 * error).all()


def test_gradients_reach_the_joints() -> None:
    _, joints, _, keypoints = walk(2)
    keypoints = replace(keypoints, xy=keypoints.xy + normals(0, 2, 17, 2))
    joints = joints.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: fit_root(x, keypoints), joints)


def test_errors_name_the_cure() -> None:
    _, joints, _, keypoints = walk(4)
    with pytest.raises(MissingCameraError, match="with_camera"):
        fit_root(joints, replace(keypoints, camera=None))
    with pytest.raises(ShapeError, match="do not belong"):
        fit_root(joints[:3], keypoints)
    with pytest.raises(ShapeError, match="do not belong"):
        fit_root(joints[None, None], keypoints)
    with pytest.raises(ShapeError, match="weights"):
        fit_root(joints, keypoints, weights=torch.ones(4, 16))
    with pytest.raises(OptionError, match="acceleration"):
        fit_root(joints, keypoints, smooth=0.0)


@pytest.mark.benchmark
def test_twenty_hypotheses_of_ten_thousand_frames_take_well_under_a_second() -> None:
    camera = Camera.from_fov((1920, 1080))
    joints = random_pose(0, 20, 1).expand(20, 10_000, 17, 3).float() * 1.0
    xy = project(joints[0] + torch.tensor([0.3, 0.1, 4.0]), camera)
    keypoints = Keypoints2D(xy + normals(0, *xy.shape).float(), H36M17, camera=camera)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        fit_root(joints, keypoints)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1.0
