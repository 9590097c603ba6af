"""Bodies fitted to motions: exact where they can be, lengths shared as asked, gaps, spread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hypopose.bodies import ArrayBody, BodyModel, BodyParameters, CapsuleBody, Rest, ShapeSpace
from hypopose.bodies.example import example_arrays
from hypopose.bodies.kinematics import rotation_from_vector
from hypopose.datasets import example_pair
from hypopose.errors import OptionError, SkeletonMismatchError
from hypopose.optimization.body_fit import BodyFitter, vertex_spread
from hypopose.optimization.body_shape import bone_lengths_of, fit_shape
from hypopose.optimization.inverse_kinematics import pose_body
from hypopose.skeletons import COCO17, H36M17

MODELS: dict[str, Callable[[], Any]] = {
    "capsules": CapsuleBody,
    "arrays": lambda: ArrayBody(example_arrays()),
}


def posed(body: BodyModel, n: int = 5, bend: float = 0.4, seed: int = 0) -> BodyParameters:
    """Bodies that bend where the fit may bend them."""
    g = torch.Generator().manual_seed(seed)
    B = len(body.rig.names)
    vectors = bend * torch.randn(n, B, 3, generator=g)
    vectors[:, [not aims for aims in body.rig.aims]] = 0.0
    vectors[:, 0] *= 5
    space = body.shapes
    shape = space.mean + 0.5 * space.scale * torch.randn(1, len(space.names), generator=g)
    shape = shape.clamp(space.low, space.high)
    return BodyParameters(rotation_from_vector(vectors), torch.randn(n, 3, generator=g), shape)


@pytest.mark.parametrize("name", MODELS)
def test_joints_of_a_body_are_found_again(name: str) -> None:
    body = MODELS[name]()
    given = posed(body)
    target = body.joints(given)
    found = pose_body(body, target, given.shape, n_steps=15)
    off = (body.joints(found) - target).norm(dim=-1)
    assert off.mean() < (1e-4 if name == "capsules" else 5e-3)
    torch.testing.assert_close(
        found.rotations @ found.rotations.mT,
        torch.eye(3).expand_as(found.rotations),
        rtol=0,
        atol=1e-4,
    )


@pytest.mark.parametrize("name", MODELS)
def test_steps_never_make_it_worse(name: str) -> None:
    body = MODELS[name]()
    g = torch.Generator().manual_seed(3)
    target = body.joints(posed(body)) + 0.05 * torch.randn(5, 17, 3, generator=g)
    errors = []
    for n_steps in (0, 2, 6):
        found = pose_body(body, target, body.shapes.mean[None], n_steps)
        errors.append((body.joints(found) - target).square().sum((1, 2)))
    assert (errors[1] <= errors[0] + 1e-6).all()
    assert (errors[2] <= errors[1] + 1e-6).all()
    assert errors[2].sum() < errors[0].sum()


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_turns_with_its_motion(name: str) -> None:
    body = MODELS[name]()
    target = body.joints(posed(body))
    turn = rotation_from_vector(torch.tensor([1.0, -2.0, 0.5]))
    shape = body.shapes.mean[None]
    a = body(pose_body(body, target, shape)).vertices
    b = body(pose_body(body, target @ turn.T + 1.0, shape)).vertices
    torch.testing.assert_close(b, a @ turn.T + 1.0, rtol=0, atol=2e-3)


def test_limbs_do_not_twist_without_a_reason() -> None:
    """The knee's rotation against the thigh has no part about the shin."""
    body = CapsuleBody()
    _, truth = example_pair(8)
    found = pose_body(body, truth.joints, body.shapes.mean[None], n_steps=0)
    knee = found.rotations[:, 5]
    shin = torch.tensor([0.0, -1.0, 0.0])
    skew = torch.stack(
        [
            knee[:, 2, 1] - knee[:, 1, 2],
            knee[:, 0, 2] - knee[:, 2, 0],
            knee[:, 1, 0] - knee[:, 0, 1],
        ],
        -1,
    )
    assert ((skew * shin).sum(-1).abs() < 0.02 * skew.norm(dim=-1).clamp(min=0.1)).all()


@pytest.mark.parametrize("name", MODELS)
def test_builds_are_found_by_the_lengths_of_bones(name: str) -> None:
    body = MODELS[name]()
    space = body.shapes
    g = torch.Generator().manual_seed(2)
    given = space.mean + 0.7 * space.scale * torch.randn(4, len(space.names), generator=g)
    lengths = bone_lengths_of(body.rest(given).joints, H36M17)
    found = bone_lengths_of(body.rest(fit_shape(body, lengths)).joints, H36M17)
    assert (found - lengths).abs().max() < 3e-3
    lengths[:, 3] = torch.nan
    again = fit_shape(body, lengths)
    assert again.isfinite().all()
    assert (again >= space.low).all()
    assert (again <= space.high).all()
    unknown = fit_shape(body, torch.full((1, 16), torch.nan))
    torch.testing.assert_close(unknown[0], space.mean)


class Growing(CapsuleBody):
    """Grows at one age and hardly before and after it, so that full steps go to and fro."""

    def __init__(self) -> None:
        super().__init__()
        half = torch.tensor([0.5])
        self.shapes = ShapeSpace(("age",), half, 0.5 * half, 0 * half, 2 * half)

    def rest(self, shape: Tensor) -> Rest:
        size = 0.7 + 0.1 * shape[..., :1] + 0.3 * ((shape[..., :1] - 0.7) / 0.05).sigmoid()
        joints = super().rest(torch.zeros(11)).joints
        return Rest(size[..., None] * joints, size[..., None] * joints)


@pytest.mark.parametrize("age", [0.1, 0.6, 0.7, 0.75, 0.95])
def test_lengths_that_bend_are_found(age: float) -> None:
    body = Growing()
    lengths = bone_lengths_of(body.rest(torch.tensor([[age]])).joints, body.skeleton)
    found = bone_lengths_of(body.rest(fit_shape(body, lengths)).joints, body.skeleton)
    assert (found - lengths).abs().max() < 0.004


def hypotheses(H: int = 3, F: int = 6, seed: int = 0) -> Tensor:
    _, truth = example_pair(F)
    g = torch.Generator().manual_seed(seed)
    size = 1 + 0.1 * torch.arange(H)[:, None, None, None]
    return size * (truth.joints + 0.02 * torch.randn(H, F, 17, 3, generator=g))


@pytest.mark.parametrize(
    ("shape", "axes"), [("shared", (1, 1)), ("hypothesis", (3, 1)), ("frame", (3, 6))]
)
def test_who_shares_a_build(shape: Any, axes: tuple[int, int]) -> None:
    fit = BodyFitter(shape=shape).fit(CapsuleBody(), hypotheses(), H36M17)
    assert fit.parameters.shape.shape[:2] == axes
    assert fit.errors.shape == (3, 6, 17)
    lengths = bone_lengths_of(fit.body.joints(fit.parameters), H36M17)
    assert lengths.std(1).max() < 1e-5 or shape == "frame"
    if shape == "shared":
        assert lengths.std((0, 1)).max() < 1e-5
    else:
        assert lengths[2].sum() > 1.1 * lengths[0].sum()


def test_the_freer_the_build_the_nearer_the_joints() -> None:
    errors = [
        BodyFitter(shape=shape).fit(CapsuleBody(), hypotheses(), H36M17).joint_error
        for shape in ("shared", "hypothesis", "frame")
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.02


def test_batches_change_nothing() -> None:
    said: list[tuple[int, int]] = []
    body, joints = CapsuleBody(), hypotheses()
    a = BodyFitter().fit(body, joints, H36M17)
    b = BodyFitter(n_bodies=4).fit(body, joints, H36M17, progress=lambda *n: said.append(n))
    torch.testing.assert_close(a.parameters.rotations, b.parameters.rotations, rtol=0, atol=1e-5)
    assert said[-1] == (18, 18)
    blocks = torch.cat([s.vertices for _, s in a.blocks(n_bodies=3)], 1)
    torch.testing.assert_close(blocks[2], a.surface(2).vertices)
    torch.testing.assert_close(blocks[1, 2:4], a.surface(1, slice(2, 4)).vertices)


def test_gaps_are_bridged_by_what_is_known_and_unknown_poses_stay_unknown() -> None:
    joints = hypotheses()
    joints[:, 2, 13] = torch.nan  # a wrist
    joints[1, 4] = torch.nan  # everything
    fit = BodyFitter().fit(CapsuleBody(), joints, H36M17)
    assert fit.parameters.origin[:, 2].isfinite().all()
    assert fit.errors[:, 2, 13].isnan().all()
    assert fit.errors[:, 2, 12].max() < 0.1
    assert fit.parameters.origin[1, 4].isnan().all()
    spread = vertex_spread(fit)
    assert spread.isfinite().all()  # two hypotheses are left in that frame
    joints[2, 4] = torch.nan
    assert vertex_spread(BodyFitter().fit(CapsuleBody(), joints, H36M17))[4].isnan().all()


def test_spread_is_that_of_the_hypotheses() -> None:
    body = CapsuleBody()
    one = hypotheses(H=1)
    copies = BodyFitter().fit(body, one.expand(4, -1, -1, -1), H36M17)
    assert vertex_spread(copies).max() < 1e-5
    fit = BodyFitter(shape="frame").fit(body, hypotheses(H=4), H36M17)
    spread = vertex_spread(fit)
    x = torch.stack([fit.surface(h).vertices for h in range(4)])
    x = x - body.joints(fit.parameters)[..., :1, :]
    expected = x.var(0).sum(-1).sqrt()
    torch.testing.assert_close(spread, expected, rtol=1e-4, atol=1e-6)
    hand, hips = body.part_labels == 5, body.part_labels == 2
    assert spread[:, hand].mean() > spread[:, hips].mean()
    assert vertex_spread(BodyFitter().fit(body, one, H36M17)).isnan().all()


def test_what_fitting_refuses() -> None:
    with pytest.raises(SkeletonMismatchError, match="has joints of 'h36m17'"):
        BodyFitter().fit(CapsuleBody(), torch.zeros(1, 2, 17, 3), COCO17)
    with pytest.raises(OptionError, match="n_steps is at least 0"):
        BodyFitter(n_steps=-1)
