"""Platypose: what must hold for any prior, tried on a small one with random weights."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from hypopose.cameras import project, world_to_cam
from hypopose.datasets import example_pair
from hypopose.diffusion import cosine_schedule, seeded_noise
from hypopose.errors import MissingCameraError, OptionError, ShapeError, SkeletonMismatchError
from hypopose.networks.motion_prior import MotionPrior
from hypopose.samplers import (
    BoneLengths,
    FootContact,
    GroundPlane,
    HeuristicPlatypose,
    MotionTerm,
    Platypose,
    ReleasedPlatypose,
)
from hypopose.samplers.platypose.error_covariance import (
    ErrorCovariance,
    body_covariance,
    moment_basis,
    reading_precision,
)
from hypopose.samplers.platypose.gravity import standing_rotation
from hypopose.samplers.platypose.likelihood import (
    MIN_DEPTH,
    Placement,
    conditioned,
    descent,
    level_rotation,
    look,
    view_of,
)
from hypopose.samplers.platypose.posterior import check_place
from hypopose.samplers.platypose.released import guide
from hypopose.skeletons import H36M17, SKELETONS
from hypopose.types import Camera, Keypoints2D

F = 9


def prior(**options: Any) -> MotionPrior:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MotionPrior(width=16, hidden=16, n_layers=1, scale=2.0, **options).eval()


def clip(n_frames: int = F) -> Keypoints2D:
    keypoints, _ = example_pair()
    cut = {"xy": keypoints.xy[:n_frames], "confidence": None, "covariance": None}
    return replace(keypoints, **cut)


def sampler(kind: type[Platypose] = Platypose, **options: Any) -> Platypose:
    return kind(prior(), n_steps=4, **options)


def reprojection_px(hypotheses: Any, keypoints: Keypoints2D) -> float:
    assert keypoints.camera is not None
    cam = hypotheses.joints + hypotheses.root[..., None, :]
    off = (project(cam, keypoints.camera) - keypoints.xy).norm(dim=-1)
    return float(off.nanmean())


@pytest.mark.parametrize("kind", [Platypose, HeuristicPlatypose])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_a_hypothesis_does_not_depend_on_its_neighbors(kind: type[Platypose], eta: float) -> None:
    method, keypoints = sampler(kind, eta=eta), clip()
    many = method.sample(keypoints, 5, seeded_noise(3))
    few = method.sample(keypoints, 2, seeded_noise(3))
    assert torch.allclose(many.joints[:2], few.joints, atol=1e-5)
    small = replace(method, chunk=1).sample(keypoints, 5, seeded_noise(3))
    assert torch.allclose(many.joints, small.joints, atol=1e-5)


def test_clips_of_a_batch_are_those_drawn_alone() -> None:
    method, a = sampler(), clip()
    b = replace(a, xy=a.xy + 20.0)
    both = replace(a, xy=torch.stack([a.xy, b.xy]))
    together = method.sample(both, 2, seeded_noise(0, ["a", "b"]))
    alone = method.sample(b, 2, seeded_noise(0, ["b"]))
    assert torch.allclose(together.joints[1], alone.joints, atol=1e-5)


def test_the_released_rule_couples_and_ours_does_not() -> None:
    x = torch.tensor([1.0, 3.0]).reshape(2, 1, 1)

    def energy(x: Tensor) -> Tensor:
        return 0.6 * x.square().sum((1, 2)) * x.new_tensor([1.0, 3.0])[-len(x) :]

    coupled, alone = guide(x, energy, 1.0, 4), guide(x, energy, 1.0, 4, coupled=False)
    assert bool((coupled.step_size[:, 0] == coupled.step_size[:, 1]).all())
    assert not bool((alone.step_size[:, 0] == alone.step_size[:, 1]).all())
    own = guide(x[1:], energy, 1.0, 4, coupled=False)
    assert torch.equal(own.x0, alone.x0[1:])


def test_one_broken_hypothesis_stops_all_as_released_and_only_itself_here() -> None:
    x = torch.tensor([1.0, torch.nan]).reshape(2, 1, 1)

    def energy(x: Tensor) -> Tensor:
        return x.square().sum((1, 2))

    assert float(guide(x, energy, 0.25, 2).x0[0]) == 1.0
    assert float(guide(x, energy, 0.25, 2, coupled=False).x0[0]) == 0.25


def test_plateau_rule_floors_and_needs_a_real_gain() -> None:
    x = torch.ones(1, 1, 1)
    guided = guide(x, lambda x: 1 + 0.0 * x.sum((1, 2)), 1e-7, 3)
    assert guided.step_size[:, 0].tolist() == pytest.approx([1e-7, 1e-8, 1e-8])


def test_posterior_guidance_fits_better_than_no_guidance() -> None:
    keypoints = clip()
    blind = replace(keypoints, xy=torch.full_like(keypoints.xy, torch.nan))
    seen = reprojection_px(sampler().sample(keypoints, 4, seeded_noise(0)), keypoints)
    unseen = reprojection_px(sampler().sample(blind, 4, seeded_noise(0)), keypoints)
    assert seen < 0.5 * unseen


def test_missing_joints_and_frames_are_no_obstacle() -> None:
    keypoints = clip()
    xy = keypoints.xy.clone()
    xy[2:5] = torch.nan
    xy[:, 9] = torch.nan
    h = sampler().sample(replace(keypoints, xy=xy), 3, seeded_noise(0))
    assert bool(torch.isfinite(h.joints).all())
    zero = torch.ones(xy.shape[:-1])
    zero[2:5], zero[:, 9] = 0.0, 0.0
    same = sampler().sample(replace(keypoints, confidence=zero), 3, seeded_noise(0))
    assert torch.allclose(h.joints, same.joints, atol=1e-4)


def test_a_broken_hypothesis_is_redrawn_and_counted() -> None:
    keypoints, good = clip(), seeded_noise(0)
    calls = []

    def noise(shape: tuple[int, ...]) -> Tensor:
        x = good(shape)
        calls.append(shape)
        if len(calls) == 1:
            x[1] = torch.nan
        return x

    method = sampler()
    with pytest.warns(UserWarning, match="1 hypotheses were not finite"):
        h = method.sample(keypoints, 3, noise)
    assert bool(torch.isfinite(h.joints).all())
    rest = method.sample(keypoints, 3, seeded_noise(0))
    assert torch.allclose(h.joints[[0, 2]], rest.joints[[0, 2]], atol=1e-6)
    assert not torch.allclose(h.joints[1], rest.joints[1], atol=1e-3)


def test_what_cannot_be_mended_is_nan_and_the_rest_stays() -> None:
    def noise(shape: tuple[int, ...]) -> Tensor:
        x = torch.zeros(shape)
        x[-1] = torch.nan
        return x

    with pytest.warns(UserWarning, match="drawn again"):
        h = sampler(max_redraws=1).sample(clip(), 2, noise)
    assert bool(torch.isfinite(h.joints[0]).all())
    assert bool(h.joints[1].isnan().all())


def test_points_behind_the_camera_are_pulled_to_the_front() -> None:
    keypoints = clip(1)
    view = view_of(keypoints, sigma_px=5.0, pitch_deg=0.0)
    joints = torch.zeros(1, 1, 17, 3, dtype=torch.float64)
    placement = Placement(
        torch.tensor([0.0, -1.0, 0.0, 0.0], dtype=torch.float64),
        torch.tensor([2.0, 2.0, 2.0, 0.0], dtype=torch.float64),
    )
    place = torch.zeros(1, 4, dtype=torch.float64)
    known = errors(1, 10.0, left=0.01)
    for _ in range(6):
        joints, place = conditioned(joints, place, known, 1.0, (view,), None, placement)
    points = joints + placement.at(place)[:, None, None, :3]
    assert bool(torch.isfinite(points).all())
    assert float(look(points, place.new_zeros(1), view).depth.max()) > MIN_DEPTH / 2


def test_slopes_are_derivatives() -> None:
    view = view_of(clip(2), sigma_px=4.0, pitch_deg=7.0)
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(1, 2, 17, 3, generator=generator, dtype=torch.float64)
    points[..., 1] += 5.0
    pitch = torch.tensor([0.1], dtype=torch.float64)
    seen, step = look(points, pitch, view), 1e-6
    for axis in range(3):
        moved = points.clone()
        moved[..., axis] += step
        numeric = -(look(moved, pitch, view).residual - seen.residual) / step
        assert torch.allclose(numeric, seen.slope[..., axis], rtol=1e-3, atol=1e-3)
    numeric = -(look(points, pitch + step, view).residual - seen.residual) / step
    assert torch.allclose(numeric, seen.turn, rtol=1e-3, atol=1e-2)


def test_the_cheap_descent_is_that_of_the_residuals() -> None:
    keypoints = clip(2)
    tilted = torch.tensor([[9.0, 3.0], [3.0, 25.0]]).expand(2, 17, 2, 2)
    view = view_of(replace(keypoints, covariance=tilted), sigma_px=None, pitch_deg=7.0)
    points = torch.randn(3, 2, 17, 3, generator=torch.Generator().manual_seed(0)).double()
    points[1:, ..., 1] += 5.0  # the first stands behind the camera in part
    pitch = torch.tensor([0.1, 0.0, -0.1], dtype=torch.float64)
    seen = look(points, pitch, view)
    energy, down = descent(points, pitch, view)
    assert torch.allclose(energy, seen.residual.square().sum((1, 2, 3)))
    assert torch.allclose(down, (seen.slope.mT @ seen.residual[..., None])[..., 0], rtol=1e-8)


FAR = Camera(
    focal=torch.tensor([1e5, 1e5]), center=torch.tensor([500.0, 500.0]), image_size=(1000, 1000)
)
"""At 1000 m it is linear: 100 px a meter."""


def errors(n_frames: int, fps: float, left: float, memory: float = 3.0) -> ErrorCovariance:
    body = body_covariance(H36M17, 0.5)
    return ErrorCovariance.of(
        body, reading_precision(H36M17), moment_basis(n_frames, fps), memory, left
    )


def dense(known: ErrorCovariance) -> Tensor:
    """Λ of one coordinate, written out."""
    n, size = len(known.own), 17 * len(known.own)
    whole = torch.zeros(n, 17, n, 17, dtype=torch.float64)
    for k in range(n):
        whole[k, :, k] = known.own[k, ::3, ::3]
    for k in range(n - 1):
        whole[k + 1, :, k] = known.beside[k, ::3, ::3]
        whole[k, :, k + 1] = known.beside[k, ::3, ::3].T
    return whole.reshape(size, size)


@pytest.mark.parametrize("through_regressor", [False, True])
def test_draws_have_the_moments_of_the_joint_normal_distribution(through_regressor: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    xy = 500 + 30 * torch.randn(5, 17, 2, generator=generator, dtype=torch.float64)
    xy[2, 3:9] = torch.nan
    view = view_of(Keypoints2D(xy, H36M17, camera=FAR), sigma_px=10.0, pitch_deg=0.0)
    placement = Placement(
        torch.tensor([0.0, 1000.0, 0.0, 0.0], dtype=torch.float64),
        torch.tensor([0.3, 0.0, 0.2, 0.0], dtype=torch.float64),
    )
    known, n = errors(5, 20.0, left=0.04), 3000
    assert known.basis.shape == (5, 3)
    estimate = 0.1 * torch.randn(5, 17, 3, generator=generator, dtype=torch.float64)
    fresh = (
        torch.randn(n, 3, 51, generator=generator, dtype=torch.float64),
        torch.randn(n, 4, generator=generator, dtype=torch.float64),
    )
    regressor = torch.eye(17, dtype=torch.float64) if through_regressor else None
    u, z = conditioned(
        estimate.expand(n, 5, 17, 3), torch.zeros(n, 4).double(), known, 0.5, (view,), regressor,
        placement, fresh=fresh,
    )  # fmt: skip
    frames = torch.kron(known.basis, torch.eye(17, dtype=torch.float64))
    design = 100 * torch.cat([frames, torch.full((85, 1), 0.3, dtype=torch.float64)], 1)
    error = (xy[..., 0] - 500 - 100 * estimate[..., 0]).flatten()
    seen = torch.isfinite(error)
    design, error = design[seen], error[seen]
    precision = torch.block_diag(dense(known), torch.tensor([[2.0]]).double())
    covariance = torch.linalg.inv(precision + design.T @ design / 100)
    mean = covariance @ design.T @ error / 100
    drawn = torch.cat([(u - estimate)[:, [0, 2, 4], :, 0].flatten(1), z[:, :1]], 1)
    std = covariance.diagonal().sqrt()
    assert float(((drawn.mean(0) - mean) / std).abs().max()) < 5 / n**0.5
    whitened = torch.linalg.solve_triangular(
        torch.linalg.cholesky(covariance), (drawn - mean).T, upper=False
    )
    off = whitened @ whitened.T / n - torch.eye(len(mean))
    assert float(off.abs().max()) < 6 / n**0.5
    still, _ = conditioned(
        estimate.expand(1, 5, 17, 3), torch.zeros(1, 4).double(), known, 0.5, (view,), regressor,
        placement,
    )  # fmt: skip
    assert torch.allclose((still - estimate)[0, [0, 2, 4], :, 0].flatten(), mean[:-1], atol=1e-4)


class NormalPrior(MotionPrior):
    """Says what is expected of a clean motion that was drawn from a normal distribution."""

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        bar = cosine_schedule(self.n_timesteps).at(int(t[0]))
        size = x_t.shape[1] * 17
        slots = torch.eye(17, dtype=torch.float64)
        slots[1:, 0] -= 1
        frame = torch.arange(x_t.shape[1], dtype=torch.float64)
        kernel = torch.exp(-(frame[:, None] - frame).abs() / 10)
        covariance = self.scale**2 * torch.kron(
            kernel, (slots @ body_covariance(H36M17, 0.5) @ slots.T).contiguous()
        )
        noisy = bar * covariance + (1 - bar) * torch.eye(size, dtype=torch.float64)
        gain = math.sqrt(bar) * covariance @ torch.linalg.inv(noisy)
        flat = x_t.double().reshape(len(x_t), size, 3)
        return (gain @ flat).reshape(x_t.shape).to(x_t)


def test_with_a_normal_prior_the_posterior_is_exact_in_few_steps() -> None:
    """Ten frames a second: moments are frames, and 1 s of memory is that of the prior above."""
    network = NormalPrior(width=16, hidden=16, n_layers=1, scale=2.0).eval()
    generator = torch.Generator().manual_seed(3)
    xy = 500 + 40 * torch.randn(3, 17, 2, generator=generator)
    xy[1] = torch.nan
    keypoints = Keypoints2D(xy, H36M17, camera=FAR, fps=10.0)
    method = Platypose(
        network, n_steps=6, floor_std=1e-3, sigma_px=5.0, pitch_std_deg=0.0,
        origin=(0.0, 1000.0, 0.0), origin_std=(1e-4, 1e-4, 1e-4),
    )  # fmt: skip
    drawn = method.draw(keypoints, 400, seeded_noise(0)).joints[..., 0]
    known = errors(3, 10.0, left=1e9, memory=10.0)
    seen = torch.isfinite(xy[..., 0]).flatten()
    design = 100 * torch.eye(51, dtype=torch.float64)[seen]
    covariance = torch.linalg.inv(dense(known) + design.T @ design / 25)
    mean = covariance @ design.T @ (xy[..., 0].flatten()[seen].double() - 500) / 25
    std = covariance.diagonal().sqrt()
    assert float(((drawn.mean(0).flatten() - mean) / std).square().mean()) < 2 / 20
    # 400 draws know a standard deviation to 3.5 %, and the mean of correlated ones hardly better.
    ratio = drawn.std(0).flatten() / std
    assert float(ratio.mean()) == pytest.approx(1.0, abs=0.03)
    middle = ratio.reshape(3, 17)[1]
    assert float(middle.mean()) == pytest.approx(1.0, abs=0.04)


def test_half_the_bits_say_nearly_the_same() -> None:
    keypoints = clip()
    whole = sampler(eta=0.0).sample(keypoints, 3, seeded_noise(0))
    half = sampler(eta=0.0, precision="bfloat16").sample(keypoints, 3, seeded_noise(0))
    off = (whole.joints - half.joints).norm(dim=-1)
    assert 0 < float(off.mean()) < 0.02


def test_more_cameras_pin_down_more() -> None:
    joints = torch.randn(F, 17, 3, generator=torch.Generator().manual_seed(2)) * 0.3
    joints = joints - joints[:, :1] + torch.tensor([0.0, 0.0, 0.9])
    views = []
    for turn in (0.0, 1.5, 3.0, 4.5):
        c, s = torch.tensor(turn).cos(), torch.tensor(turn).sin()
        about = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        rotation = level_rotation(0.0) @ about
        camera = Camera(
            focal=torch.tensor([1000.0, 1000.0]),
            center=torch.tensor([500.0, 500.0]),
            image_size=(1000, 1000),
            rotation=rotation,
            translation=torch.tensor([0.0, 0.9, 5.0]),
        )
        xy = project(world_to_cam(joints, camera), camera)
        views.append(Keypoints2D(xy, H36M17, camera=camera))
    truth = world_to_cam(joints, views[0].camera)  # type: ignore[arg-type]
    errors = []
    for n in (1, 2, 4):
        h = sampler(views=tuple(views[1:n]), sigma_px=2.0).sample(views[0], 3, seeded_noise(0))
        assert h.root is not None
        errors.append(float((h.joints + h.root[..., None, :] - truth).norm(dim=-1).mean()))
    assert errors[1] < 0.3 * errors[0]
    assert errors[2] < 1.1 * errors[1]


def test_moving_camera_is_one_that_moves_the_world() -> None:
    keypoints = clip()
    assert keypoints.camera is not None
    still = replace(
        keypoints.camera, rotation=level_rotation(0.0), translation=torch.tensor([0.0, 1.0, 4.0])
    )
    moving = replace(
        still,
        rotation=still.rotation.expand(F, 3, 3),  # type: ignore[union-attr]
        translation=still.translation.expand(F, 3),  # type: ignore[union-attr]
    )
    a = sampler().sample(keypoints.with_camera(still), 2, seeded_noise(0))
    b = sampler().sample(keypoints.with_camera(moving), 2, seeded_noise(0))
    assert torch.allclose(a.joints, b.joints, atol=1e-5)


def test_another_skeleton_through_a_regressor() -> None:
    keypoints = clip()
    some = SKELETONS["h36m16"]
    regressor = torch.eye(17)[[0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16]]
    other = replace(keypoints, xy=torch.einsum("kj,fjc->fkc", regressor, keypoints.xy),
                    skeleton=some)  # fmt: skip
    method = sampler(keypoint_skeleton=some, regressor=regressor)
    h = method.sample(other, 3, seeded_noise(0))
    assert h.skeleton.name == "h36m17"
    assert reprojection_px(h, keypoints) < 150
    with pytest.raises(OptionError, match="regressor"):
        sampler(keypoint_skeleton=some)


def test_windows_of_a_long_video_are_one_motion() -> None:
    keypoints, _ = example_pair()
    short = Platypose(prior(max_frames=20), n_steps=4)
    h = short.sample(keypoints, 2, seeded_noise(0))
    assert h.joints.shape[1] == keypoints.n_frames
    assert bool(torch.isfinite(h.joints).all())


@pytest.mark.parametrize(
    "term",
    [
        BoneLengths((0.3,) * 16, std=0.02),
        FootContact(torch.ones(F, 2, dtype=torch.bool)),
        GroundPlane(height=0.5),
    ],
)
def test_terms_lower_their_energy(term: MotionTerm) -> None:
    assert isinstance(term, MotionTerm)
    blind = replace(clip(), xy=torch.full((F, 17, 2), torch.nan))
    worlds = [
        sampler(terms=terms, eta=0.0).draw(blind, 3, seeded_noise(0)).joints
        for terms in ((), (term,))
    ]
    without, with_it = (term(w) for w in worlds)
    assert bool((with_it < without).all())


def test_covariance_counts() -> None:
    keypoints = clip()
    tight = torch.eye(2).expand(F, 17, 2, 2) * 4.0
    loose = torch.eye(2).expand(F, 17, 2, 2) * 1e6
    a = reprojection_px(
        sampler().sample(replace(keypoints, covariance=tight), 3, seeded_noise(0)), keypoints
    )
    b = reprojection_px(
        sampler().sample(replace(keypoints, covariance=loose), 3, seeded_noise(0)), keypoints
    )
    assert a < 0.5 * b
    for wrong in (-tight, 0 * tight, torch.ones_like(tight)):
        with pytest.raises(OptionError, match="positive definite"):
            sampler().sample(replace(keypoints, covariance=wrong), 1, seeded_noise(0))


def test_bad_input_names_the_cure() -> None:
    keypoints = clip()
    with pytest.raises(MissingCameraError, match="with_camera"):
        sampler().sample(replace(keypoints, camera=None), 1, seeded_noise(0))
    coco = replace(keypoints, skeleton=SKELETONS["coco17"])
    with pytest.raises(SkeletonMismatchError, match="convert"):
        sampler().sample(coco, 1, seeded_noise(0))
    with pytest.raises(OptionError, match="rotation"):
        sampler(views=(keypoints,)).sample(keypoints, 1, seeded_noise(0))
    with pytest.raises(ShapeError, match="same frames"):
        sampler(views=(clip(3),)).sample(keypoints, 1, seeded_noise(0))
    with pytest.raises(OptionError, match="root_world"):
        ReleasedPlatypose(prior())
    for wrong in ({"sigma_px": -1.0}, {"precision": "half"}, {"floor_std": 0.0},
                  {"gravity": "down"}, {"memory_s": float("inf")}, {"window": 0},
                  {"eta": 2.0}):  # fmt: skip
        with pytest.raises((OptionError, TypeCheckError)):
            sampler(**wrong)
    with pytest.raises(OptionError, match="n_substeps"):
        sampler(HeuristicPlatypose, n_substeps=0)
    with pytest.raises(OptionError, match="three lengths"):  # as --set would pass it, untyped
        check_place("origin", [1.0, 2.0])
    slow = replace(keypoints, fps=7.0)
    camera = replace(keypoints.camera, rotation=torch.eye(3), translation=torch.zeros(3))  # type: ignore[type-var]
    with pytest.raises(OptionError, match="frame rate"):
        sampler(views=(slow.with_camera(camera),)).sample(  # type: ignore[arg-type]
            keypoints.with_camera(camera),  # type: ignore[arg-type]
            1,
            seeded_noise(0),
        )


def test_legs_of_a_standing_person_tell_the_vertical() -> None:
    keypoints, truth = example_pair()
    legs = (truth.joints[:, [1, 4]] - truth.joints[:, [3, 6]]).mean((0, 1))
    found = standing_rotation(keypoints)
    assert found is not None
    assert torch.allclose(found @ found.mT, torch.eye(3).double())
    assert float(torch.linalg.det(found)) > 0
    assert float(found[:, 2] @ (legs / legs.norm()).double()) > math.cos(math.radians(10))
    lying = replace(keypoints, xy=keypoints.xy.flip(-1))  # rotated in the image, and mirrored
    assert standing_rotation(lying) is None
    assert standing_rotation(replace(keypoints, xy=keypoints.xy * torch.nan)) is None


def test_a_camera_that_knows_its_rotation_keeps_it() -> None:
    placed = replace(clip().camera, rotation=level_rotation(30.0), translation=torch.zeros(3))  # type: ignore[type-var]
    known, unknown = clip().with_camera(placed), clip()  # type: ignore[arg-type]

    def drawn(keypoints: Keypoints2D, gravity: str) -> torch.Tensor:
        return sampler(gravity=gravity).sample(keypoints, 1, seeded_noise(0)).joints

    assert torch.equal(drawn(known, "standing"), drawn(known, "level"))
    assert not torch.equal(drawn(unknown, "standing"), drawn(unknown, "level"))


def test_gravity_is_mentioned_where_it_is_assumed() -> None:
    assert "gravity assumed" in sampler().assumptions(clip())[0]
    assert "legs" in sampler(gravity="standing").assumptions(clip())[0]
    placed = replace(clip().camera, rotation=torch.eye(3))  # type: ignore[type-var]
    assert sampler().assumptions(clip().with_camera(placed)) == ()  # type: ignore[arg-type]
