"""Bodies in motion: parts, bones, speeds."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from hypopose.datasets import Motion
from hypopose.simulation import (
    Bodies,
    BodyMaker,
    BodyOptions,
    Draws,
)
from hypopose.simulation.anatomy import BONES, plausible
from hypopose.simulation.bodies import clip_weights, frame_rates
from hypopose.skeletons import H36M17

CPU = torch.device("cpu")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def bodies(motion: Motion) -> Bodies:
    return maker_of(motion, recombine=1.0)(400, 9, Draws(seeded()))


def maker_of(motion: Motion, **options: Any) -> BodyMaker:
    return BodyMaker(motion, CPU, BodyOptions(**options))


def lengths(joints: Tensor) -> Tensor:
    return torch.stack([(joints[..., c, :] - joints[..., p, :]).norm(dim=-1) for p, c in BONES], -1)


def elbow(joints: Tensor, side: str) -> Tensor:
    s, e, w = (11, 12, 13) if side == "left" else (14, 15, 16)
    upper, lower = joints[..., e, :] - joints[..., s, :], joints[..., w, :] - joints[..., e, :]
    return torch.nn.functional.cosine_similarity(upper, lower, dim=-1)


def test_bones_are_rigid_symmetric_and_vary_between_windows(bodies: Bodies) -> None:
    bones = lengths(bodies.joints)
    assert (bones.amax(1) - bones.amin(1)).max() < 1e-5
    order = list(H36M17.flip_order)
    mirrored = [BONES.index(tuple(sorted((order[p], order[c])))) for p, c in BONES]
    torch.testing.assert_close(bones, bones[..., mirrored], atol=1e-5, rtol=0)
    thigh = bones[:, 0, 1]
    assert thigh.mean() == pytest.approx(0.443, abs=0.01)
    assert 0.03 < thigh.std() / thigh.mean() < 0.1


def test_recombined_parts_keep_their_shape(motion: Motion) -> None:
    """Elbows of combined bodies are elbows of the clips: only whole parts move."""
    maker = maker_of(motion, recombine=1.0)
    joints = maker(300, 1, Draws(seeded())).joints
    recorded = elbow(motion.joints, "left")
    for side in ("left", "right"):
        angle = elbow(joints, side)
        assert angle.min() > recorded.min() - 1e-3
        assert angle.max() < recorded.max() + 1e-3


def test_whole_bodies_are_the_recorded_ones(motion: Motion) -> None:
    """Without recombination, the angle between the thighs and the arms is one that was recorded."""
    maker = maker_of(motion, recombine=0.0)

    def signature(x: Tensor) -> Tensor:
        unit = torch.nn.functional.normalize
        thighs = [unit(x[..., c, :] - x[..., p, :], dim=-1) for p, c in ((1, 2), (4, 5))]
        arms = [unit(x[..., c, :] - x[..., p, :], dim=-1) for p, c in ((11, 12), (14, 15))]
        return torch.stack([(a * b).sum(-1) for a in thighs for b in arms], -1)

    known = signature(motion.joints)
    mirrored = signature(motion.joints[:, list(H36M17.flip_order)] * torch.tensor([1.0, -1, 1]))
    known = torch.cat([known, mirrored])
    drawn = signature(maker(100, 1, Draws(seeded())).joints[:, 0])
    assert torch.cdist(drawn, known).amin(1).max() < 0.05
    combined = maker_of(motion, recombine=1.0)(100, 1, Draws(seeded())).joints[:, 0]
    assert torch.cdist(signature(combined), known).amin(1).max() > 0.2


def test_impossible_hips_are_noticed(motion: Motion) -> None:
    walk = motion.joints[None, :5]
    bones = torch.stack([walk[:, :, c] - walk[:, :, p] for p, c in BONES], 2)
    directions = torch.nn.functional.normalize(bones, dim=-1)
    assert plausible(directions).all()
    backwards = directions.clone()  # the trunk bent 90 degrees backwards; the walk goes along +x
    backwards[:, :, [6, 7]] = torch.tensor([-1.0, 0.0, 0.0])
    assert not plausible(backwards).any()
    sideways = directions.clone()
    sideways[:, :, [6, 7]] = torch.tensor([0.0, 1.0, 0.0])
    assert not plausible(sideways).any()
    bowed = directions.clone()
    bowed[:, :, [6, 7]] = torch.tensor([1.0, 0.0, 0.0])
    assert plausible(bowed).all()


def test_only_approximate_joints_are_seen_elsewhere(bodies: Bodies) -> None:
    shift = (bodies.seen - bodies.joints).norm(dim=-1)
    others = [j for j in range(17) if j not in (0, 7, 8, 9, 10)]
    assert (shift[:, :, others] == 0).all()
    shifted = shift[:, 0, 9] > 0
    assert shifted.float().mean() == pytest.approx(0.5, abs=0.1)
    assert 0.02 < shift[shifted][:, :, 9].mean() < 0.1
    # The offset is fixed to the trunk: its length hardly changes within a window.
    assert (shift.amax(1) - shift.amin(1)).max() < 2e-3


def test_frame_rates_lie_between_15_and_60(motion: Motion) -> None:
    rates = frame_rates(1000, Draws(seeded()))
    assert rates.min() >= 15
    assert rates.max() <= 60
    assert (rates == 50).float().mean() > 0.1


def test_frame_rates_are_what_motion_is_resampled_to(motion: Motion) -> None:
    """Frame-to-frame steps of the path grow as 1 / fps."""
    body = BodyMaker(motion, CPU)(800, 5, Draws(seeded()))
    path = body.joints[:, :, 0, :2]
    step = (path[:, 1:] - path[:, :-1]).norm(dim=-1).mean(1)
    moving = step > 1e-4
    slow, fast = moving & (body.fps < 20), moving & (body.fps > 45)
    assert step[slow].mean() / step[fast].mean() == pytest.approx(50 / 17.5, rel=0.25)


def test_procedural_shards_get_their_share(motion: Motion) -> None:
    both = Motion(
        joints=motion.joints,
        start=motion.start,
        length=motion.length,
        fps=25.0,
        names=("a", "b"),
        actions=("walk", "sit"),
        shards=("cmu", "procedural_seated"),
    )
    torch.testing.assert_close(clip_weights(both, 0.3), torch.tensor([0.7, 0.3]))
    one = clip_weights(motion, 0.3)
    assert (one[0] / one[1]).item() == pytest.approx(math.sqrt(60 / 40))


def test_freer_bodies_vary_where_data_sets_disagree(motion: Motion) -> None:
    options = {"bone_sd": (0.0, 0.05), "free_pairs": True, "direction_sd": 0.1}
    body = maker_of(motion, recombine=0.0, **options)(2000, 2, Draws(seeded())).joints
    bone = (body[:, 0, 1] - body[:, 0, 0]).norm(dim=-1)
    thigh = (body[:, 0, 2] - body[:, 0, 1]).norm(dim=-1)
    assert (thigh.std() / thigh.mean()).item() == pytest.approx(0.05, rel=0.1)
    assert (bone.std() / bone.mean()).item() == pytest.approx(0.10, rel=0.1)
    options["pair_freedom"] = 0.4  # of the hips' doubled spread
    less = maker_of(motion, recombine=0.0, **options)(2000, 2, Draws(seeded())).joints
    bone = (less[:, 0, 1] - less[:, 0, 0]).norm(dim=-1)
    assert (bone.std() / bone.mean()).item() == pytest.approx(0.07, rel=0.05)  # 3 sd of 2000
    # Left is as long as right, and lengths hold over time.
    assert torch.allclose((body[:, 0, 5] - body[:, 0, 4]).norm(dim=-1), thigh, atol=1e-5)
    assert torch.allclose((body[:, 1, 2] - body[:, 1, 1]).norm(dim=-1), thigh, atol=1e-5)
    shin = torch.nn.functional.normalize(body[:, 0, 3] - body[:, 0, 2], dim=-1)
    still = maker_of(motion, recombine=0.0)(2000, 2, Draws(seeded())).joints
    before = torch.nn.functional.normalize(still[:, 0, 3] - still[:, 0, 2], dim=-1)
    assert shin.std(0).norm() > before.std(0).norm()


@pytest.mark.parametrize("reach", [1.0, 1.4])
def test_bones_lie_between_the_mean_body_and_the_recorded_ones_or_past_them(
    motion: Motion, reach: float
) -> None:
    options = {"recombine": 0.0, "bone_sd": (0.0, 0.0)}
    usual = lengths(maker_of(motion, **options)(1, 1, Draws(seeded())).joints)[0, 0]
    maker = maker_of(motion, recorded_bones=0.75, recorded_reach=reach, **options)
    drawn = lengths(maker(2000, 2, Draws(seeded())).joints)
    # Every clip of these stands on the same bones, so that a window has one share for all bones.
    own = maker.recorded[0]
    assert torch.allclose(own, maker.recorded[-1], atol=2e-3)
    different = (own - usual).abs() > 0.005
    assert different.any()
    share = ((drawn - usual) / (own - usual))[:, 0, different]
    assert (share > -0.05).all()
    assert reach - 0.1 < share.max() < reach + 0.05
    # A share has a standard deviation of 0.331 reach: three of those of the mean over 2000.
    assert share.median(-1).values.mean().item() == pytest.approx(
        0.75 / 2 * reach, abs=3 * 0.331 * reach / 2000**0.5
    )
    assert (share.median(-1).values.abs() < 0.01).float().mean().item() == pytest.approx(
        0.26, abs=0.05
    )
    assert torch.allclose(drawn[:, 0], drawn[:, 1], atol=1e-5)


def test_recorded_bones_of_recombined_bodies_are_as_long_left_as_right(motion: Motion) -> None:
    maker = maker_of(motion, recombine=1.0, bone_sd=(0.0, 0.0), recorded_bones=1.0)
    drawn = lengths(maker(300, 1, Draws(seeded())).joints)[:, 0]
    for one, other in ((0, 3), (1, 4), (2, 5), (10, 13), (11, 14), (12, 15)):
        assert torch.allclose(drawn[:, one], drawn[:, other], atol=1e-5)


def test_some_windows_stand_on_the_bones_of_one_recorded_body(motion: Motion) -> None:
    options = {"recombine": 1.0, "bone_sd": (0.1, 0.1), "direction_sd": 0.2, "spine_sd": 0.03}
    maker = maker_of(motion, as_recorded=1.0, recorded_bones=0.5, **options)
    tells_apart = torch.linspace(0.0, 0.1, len(maker.recorded))[:, None]
    maker.recorded[:, [1, 4]] += tells_apart
    drawn = lengths(maker(300, 2, Draws(seeded())).joints)[:, 0]
    off = (drawn[:, None] - maker.recorded).abs().amax(-1).amin(-1)
    assert off.max() < 2e-3
    some = maker_of(motion, as_recorded=0.4, recorded_bones=0.5, **options)
    drawn = lengths(some(2000, 1, Draws(seeded())).joints)[:, 0]
    off = (drawn[:, None] - some.recorded).abs().amax(-1).amin(-1)
    # Three standard deviations of a share of 2000.
    assert (off < 2e-3).float().mean().item() == pytest.approx(0.4, abs=0.033)


def test_recorded_bodies_may_be_exchanged_for_what_lies_between_two(motion: Motion) -> None:
    options = {"recombine": 0.0, "bone_sd": (0.0, 0.0), "as_recorded": 1.0}

    def sizes(exchanged: float) -> tuple[Tensor, Tensor, float]:
        maker = maker_of(motion, exchanged=exchanged, **options)
        n = len(maker.recorded)
        maker.recorded = maker.recorded[:1] * torch.linspace(0.9, 1.1, n)[:, None]
        drawn = lengths(maker(2000, 1, Draws(seeded())).joints)[:, 0]
        size = drawn / maker.recorded[:1] * 0.9
        assert torch.allclose(size, size[:, :1].expand_as(size), atol=1e-4)
        twice_the_same = (maker.weights / maker.weights.sum()).square().sum().item()
        return size[:, 0], torch.linspace(0.9, 1.1, n), twice_the_same

    for share in (0.0, 0.4):
        size, own, twice_the_same = sizes(share)
        kept = ((size[:, None] - own).abs().amin(-1) < 1e-4).float().mean().item()
        # Three standard deviations of a share of 2000.
        assert kept == pytest.approx(1 - share * (1 - twice_the_same), abs=0.033)
    assert size.min() < 0.9 or size.max() > 1.1
    assert (size - 1).abs().max() < 0.15


def test_the_spine_joint_lies_before_or_behind_the_trunk_by_what_was_asked(motion: Motion) -> None:
    options = {"recombine": 0.0, "bone_sd": (0.0, 0.0)}

    def drawn(spine_sd: float) -> Tensor:
        maker = maker_of(motion, spine_sd=spine_sd, **options)
        return maker(2000, 2, Draws(seeded())).joints

    body = drawn(0.05)
    left, up = body[:, :, 11] - body[:, :, 14], body[:, :, 8] - body[:, :, 0]
    ahead = torch.nn.functional.normalize(torch.linalg.cross(left, up), dim=-1)
    spine = body[:, :, 7] - body[:, :, 0]
    still = drawn(0.0)
    still_left, still_up = still[:, :, 11] - still[:, :, 14], still[:, :, 8] - still[:, :, 0]
    still_ahead = torch.nn.functional.normalize(torch.linalg.cross(still_left, still_up), dim=-1)
    before = ((still[:, :, 7] - still[:, :, 0]) * still_ahead).sum(-1)
    assert ((spine * ahead).sum(-1).var() - before.var()).sqrt().item() == pytest.approx(
        0.05, rel=0.08
    )
    # Constant over a window, up to how the trunk bends in a frame (two draws of 5 cm would differ
    # by 7 cm); and no other bone changes.
    assert torch.allclose((spine * ahead).sum(-1)[:, 0], (spine * ahead).sum(-1)[:, 1], atol=0.02)
    others = [bone for bone, pair in enumerate(BONES) if 7 not in pair]
    assert torch.allclose(lengths(body)[0, 0, others], lengths(still)[0, 0, others], atol=1e-5)
