"""Refinement of hypotheses: laws, a known posterior, and people who stand where they should not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from hypopose.cameras import project
from hypopose.diffusion import seeded_noise
from hypopose.errors import MissingCameraError, OptionError, ShapeError, SkeletonMismatchError
from hypopose.optimization import OffsetRefiner, hypothesis_scale, refine_poses
from hypopose.skeletons import H36M17, SKELETONS
from hypopose.types import Camera, Hypotheses, Keypoints2D, Poses3D

CAMERA = replace(Camera.from_fov((1000, 1000)), assumed=False)
ROOT = torch.tensor([0.2, -0.1, 4.0])


def scene(B: int = 2, H: int = 4, F: int = 6) -> tuple[Hypotheses, Keypoints2D, Tensor]:
    """Poses off by 5 cm, keypoints of the true ones, the true joints."""
    generator = torch.Generator().manual_seed(0)
    truth = 0.3 * torch.randn(B, 1, 17, 3, generator=generator).expand(B, F, 17, 3).clone()
    truth[..., 0, :] = 0.0
    # One error a clip: refinement is not meant to follow white noise over time.
    error = 0.05 * torch.randn(B, H, 1, 17, 3, generator=generator).expand(B, H, F, 17, 3).clone()
    error[..., 0, :] = 0.0
    xy = project(truth + ROOT, CAMERA)
    keypoints = Keypoints2D(xy, H36M17, camera=CAMERA, fps=30.0)
    return Hypotheses(truth[:, None] + error, H36M17), keypoints, truth


def reprojection(x: Hypotheses, keypoints: Keypoints2D) -> Tensor:
    assert x.root is not None
    px = project(x.joints + x.root[..., None, :], CAMERA)
    return (px - keypoints.xy[:, None]).norm(dim=-1)


@pytest.mark.parametrize("root", ["fitted", "joint", "given"])
@pytest.mark.parametrize("spread", ["posterior", "follow"])
def test_lowers_its_energy_and_reprojects_better(root: str, spread: str) -> None:
    x, keypoints, truth = scene()
    given = ROOT.expand(2, 6, 3) if root == "given" else None
    refiner = OffsetRefiner(root=root, spread=spread, keypoint_error=0.005, n_steps=60)
    found = refiner.refine(x, keypoints, noise=seeded_noise(0), root=given)
    assert bool((found.after <= found.before).all())
    assert found.after.mean() < 0.7 * found.before.mean()
    start = OffsetRefiner(root=root, n_steps=0)
    before = start.refine(x, keypoints, noise=seeded_noise(0), root=given).hypotheses
    assert reprojection(found.hypotheses, keypoints).mean() < reprojection(before, keypoints).mean()
    error = (found.hypotheses.joints - truth[:, None]).norm(dim=-1).mean()
    assert error < (x.joints - truth[:, None]).norm(dim=-1).mean()
    assert (found.hypotheses.joints[..., 0, :] == 0).all()
    assert ("ground truth" in found.notes[0]) == (root == "given")


@pytest.mark.parametrize("root", ["fitted", "joint"])
def test_does_not_depend_on_the_batch(root: str) -> None:
    x, keypoints, _ = scene()
    refiner = OffsetRefiner(root=root)
    both = refiner.refine(x, keypoints, noise=seeded_noise(0, ["a", "b"])).hypotheses
    one = replace(keypoints, xy=keypoints.xy[1:])
    alone = refiner.refine(Hypotheses(x.joints[1:], H36M17), one, noise=seeded_noise(0, ["b"]))
    assert torch.allclose(alone.hypotheses.joints[0], both.joints[1], atol=2e-6)


def test_a_hypothesis_that_fits_stays() -> None:
    _, keypoints, truth = scene()
    x = Hypotheses(truth[:, None].repeat(1, 3, 1, 1, 1), H36M17)
    found = OffsetRefiner(spread="follow").refine(x, keypoints, noise=seeded_noise(0))
    assert found.before.max() < 1e-4
    assert (found.hypotheses.joints - x.joints).abs().max() < 1e-4


def test_posterior_of_a_linear_camera() -> None:
    """Far away through a long lens, with one frame: prior and likelihood are normal."""
    n, sigma, focal, depth = 4000, 0.05, 1e5, 100.0
    pose = torch.zeros(1, 17, 3)
    pose[..., :2] = 0.4 * torch.randn(17, 2, generator=torch.Generator().manual_seed(1))
    pose[..., 0, :] = 0.0
    place = torch.tensor([0.0, 0.0, depth])
    camera = Camera(torch.tensor([focal, focal]), torch.tensor([500.0, 500.0]), (1000, 1000))
    size = 0.03 * focal / depth  # keypoints err by 3 cm where the person stands
    covariance = (size**2 * torch.eye(2)).expand(1, 17, 2, 2)
    keypoints = Keypoints2D(
        project(pose + place, camera), H36M17, camera=camera, covariance=covariance
    )
    drawn = pose + sigma * seeded_noise(5)((n, 1, 17, 3))
    drawn[..., 0, :] = 0.0
    refiner = OffsetRefiner(root="given", outlier=1e3, n_steps=150, learning_rate=0.05, patience=50)
    scale = torch.full((1, 17), sigma * 3**0.5)
    x = refiner.refine(
        Hypotheses(drawn, H36M17), keypoints, noise=seeded_noise(6), scale=scale,
        root=place.expand(1, 3),
    ).hypotheses.joints  # fmt: skip
    posterior = (1 / sigma**2 + 1 / 0.03**2) ** -0.5
    across, along = (x - pose)[..., 1:, :2].std(), (x - pose)[..., 1:, 2].std()
    assert across.item() == pytest.approx(posterior, rel=0.05)
    assert along.item() == pytest.approx(sigma, rel=0.05)
    follow = replace(refiner, spread="follow").refine(
        Hypotheses(drawn, H36M17), keypoints, noise=seeded_noise(6), scale=scale,
        root=place.expand(1, 3),
    ).hypotheses.joints  # fmt: skip
    # Without noise in the keypoints the spread is too small by σ_posterior / σ.
    assert (follow - pose)[..., 1:, :2].std().item() == pytest.approx(
        posterior**2 / sigma, rel=0.05
    )


def test_uncertain_joints_move_and_certain_ones_do_not() -> None:
    x, keypoints, _ = scene()
    scale = torch.full((2, 6, 17), 0.005)
    scale[..., 13] = 0.5
    found = OffsetRefiner(spread="follow").refine(
        x, keypoints, noise=seeded_noise(0), scale=scale
    ).hypotheses  # fmt: skip
    moved = (found.joints - x.joints).norm(dim=-1).mean((0, 1, 2))
    assert moved.argmax() == 13
    assert moved[:13].max() < 0.01


def test_missing_joints_and_keypoints_pull_nothing() -> None:
    x, keypoints, _ = scene()
    joints, xy = x.joints.clone(), keypoints.xy.clone()
    joints[0, 1, :, 16] = torch.nan
    xy[0, :, 13] = torch.nan
    xy[1] = torch.nan  # a person nobody saw: no root, nothing moves
    keypoints = replace(keypoints, xy=xy, confidence=torch.ones(xy.shape[:-1]))
    found = OffsetRefiner().refine(Hypotheses(joints, H36M17), keypoints, noise=seeded_noise(0))
    y = found.hypotheses.joints
    assert torch.equal(torch.isnan(y), torch.isnan(joints))
    assert torch.equal(y[1], joints[1])
    assert found.hypotheses.root is not None
    assert bool(torch.isnan(found.hypotheses.root[1]).all())
    assert (y[0, :, :, 13] - joints[0, :, :, 13]).abs().max() < 1e-6
    assert bool(found.after.isfinite().all())


def test_people_behind_the_camera_and_tiny_scales_give_numbers() -> None:
    x, keypoints, _ = scene()
    near = torch.tensor([0.0, 0.0, -0.2]).expand(2, 6, 3)
    found = OffsetRefiner(root="given").refine(
        x, keypoints, noise=seeded_noise(0), root=near, scale=torch.zeros(2, 6, 17)
    )
    assert bool(found.hypotheses.joints.isfinite().all() & found.after.isfinite().all())
    assert bool((found.after <= found.before).all())


def test_confidence_decides_how_hard_a_keypoint_pulls() -> None:
    x, keypoints, _ = scene()
    doubt = torch.ones(keypoints.xy.shape[:-1])
    doubt[..., 16] = 0.0
    refiner = OffsetRefiner(spread="follow", keypoint_error=0.005)
    noise = seeded_noise(0)
    sure = refiner.refine(x, keypoints, noise=noise).hypotheses.joints
    unsure = refiner.refine(x, replace(keypoints, confidence=doubt), noise=noise).hypotheses.joints
    assert (sure - x.joints)[..., 16, :].norm(dim=-1).mean() > 0.005
    assert (unsure - x.joints)[..., 16, :].norm(dim=-1).max() < 1e-6


def test_one_pose() -> None:
    x, keypoints, truth = scene()
    pose = Poses3D(x.joints[:, 0], H36M17)
    refined = refine_poses(OffsetRefiner(), pose, keypoints, noise=seeded_noise(0))
    assert refined.root is not None
    assert (refined.joints - truth).norm(dim=-1).mean() < (pose.joints - truth).norm(dim=-1).mean()


def test_scale_of_one_and_of_many() -> None:
    x = 0.1 * torch.randn(4000, 1, 17, 3, generator=torch.Generator().manual_seed(0))
    assert hypothesis_scale(x, 0.0).mean().item() == pytest.approx(0.1 * 3**0.5, rel=0.03)
    assert hypothesis_scale(x[:1], 0.07).unique().item() == pytest.approx(0.07)


def test_errors_say_what_to_do() -> None:
    x, keypoints, _ = scene()
    refine = OffsetRefiner().refine
    noise = seeded_noise(0)
    with pytest.raises(MissingCameraError, match="with_camera"):
        refine(x, replace(keypoints, camera=None), noise=noise)
    with pytest.raises(SkeletonMismatchError, match="convert"):
        refine(x, replace(keypoints, skeleton=SKELETONS["coco17"]), noise=noise)
    with pytest.raises(ShapeError, match="belong"):
        refine(x, replace(keypoints, xy=keypoints.xy[:1]), noise=noise)
    with pytest.raises(OptionError, match="both or neither"):
        refine(x, keypoints, noise=noise, root=torch.zeros(2, 6, 3))
    for wrong in ({"root": "guessed"}, {"spread": "none"}, {"outlier": 0.0}, {"smooth_s": -1.0}):
        with pytest.raises((OptionError, TypeCheckError)):
            OffsetRefiner(**wrong)  # type: ignore[arg-type]
