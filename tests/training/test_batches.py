from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hypopose.datasets.motion import Motion
from hypopose.networks.inputs import encode_rays
from hypopose.skeletons import H36M17
from hypopose.training import BatchMaker
from hypopose.training import batches as batches_module
from hypopose.training.bodies import BONES, Bodies, BodyMaker, clip_weights, frame_rates, plausible
from hypopose.training.draws import Draws
from hypopose.training.views import PITCHES, detect, look_at, place_cameras, project_rays

CPU = torch.device("cpu")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lengths(joints: Tensor) -> Tensor:
    return torch.stack([(joints[..., c, :] - joints[..., p, :]).norm(dim=-1) for p, c in BONES], -1)


def elbow(joints: Tensor, side: str) -> Tensor:
    s, e, w = (11, 12, 13) if side == "left" else (14, 15, 16)
    upper, lower = joints[..., e, :] - joints[..., s, :], joints[..., w, :] - joints[..., e, :]
    return torch.nn.functional.cosine_similarity(upper, lower, dim=-1)


@pytest.fixture
def bodies(motion: Motion) -> Bodies:
    return BodyMaker(motion, CPU, recombine=1.0)(400, 9, Draws(seeded()))


def test_batches_are_finite_root_relative_and_repeatable(motion: Motion) -> None:
    make = BatchMaker(motion, CPU)
    for F in (1, 2, 30):
        batch = make(6, F, seeded(1))
        again = make(6, F, seeded(1))
        assert batch.target.shape == (6, F, 17, 3)
        assert torch.isfinite(batch.target).all()
        assert torch.isfinite(batch.encoded.xy).all()
        assert (batch.target[:, :, 0] == 0).all()
        assert (batch.target == again.target).all()
        assert (batch.encoded.xy == again.encoded.xy).all()
        assert not (batch.target == make(6, F, seeded(2)).target).all()


def test_keypoints_are_projections_of_the_target(
    motion: Motion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a perfect detector, target + root projects onto the keypoints in the network's view."""

    def perfect(seen: Tensor, draws: Draws, **_: object) -> tuple[Tensor, Tensor]:
        return seen[..., :2] / seen[..., 2:], torch.ones_like(seen[..., 0])

    monkeypatch.setattr(batches_module, "detect", perfect)
    make = BatchMaker(motion, CPU)
    make.bodies.meanings.zero_()
    batch = make(50, 5, seeded())
    assert batch.encoded.context is not None
    size = 0.1 * batch.encoded.context[:, 0].exp()
    plane = batch.encoded.xy * size[:, None, None, None]
    # Two equations a joint, three unknowns a frame: the root that fits best must fit exactly.
    y = batch.target.double()
    u, v = plane.double().unbind(-1)
    zero, one = torch.zeros_like(u), torch.ones_like(u)
    rows = torch.stack([torch.stack([one, zero, -u], -1), torch.stack([zero, one, -v], -1)], -2)
    right = torch.stack([u * y[..., 2] - y[..., 0], v * y[..., 2] - y[..., 1]], -1)
    root = torch.linalg.lstsq(rows.flatten(2, 3), right.flatten(2, 3)[..., None]).solution
    residual = rows.flatten(2, 3) @ root - right.flatten(2, 3)[..., None]
    assert residual.abs().max() < 1e-4
    assert (root[..., 2, 0] > 0.3).all()


def test_bodies_stand_upright_and_bend_their_knees_forwards(motion: Motion) -> None:
    """Left is left: facing, from hips, agrees with the side to which knees bend."""
    target = BatchMaker(motion, CPU)(300, 5, seeded()).target
    upright = target[:, :, 10, 1] < 0  # y points down
    assert upright.float().mean() > 0.9
    side = target[:, :, 4] - target[:, :, 1]
    for hip, knee, ankle in ((1, 2, 3), (4, 5, 6)):
        up = target[:, :, hip] - target[:, :, ankle]
        forward = torch.linalg.cross(side, up)
        bend = target[:, :, knee] - (target[:, :, hip] + target[:, :, ankle]) / 2
        bent = bend.norm(dim=-1) > 0.03
        assert ((bend * forward).sum(-1) > 0)[bent].float().mean() > 0.97


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
    maker = BodyMaker(motion, CPU, recombine=1.0)
    joints = maker(300, 1, Draws(seeded())).joints
    recorded = elbow(motion.joints, "left")
    for side in ("left", "right"):
        angle = elbow(joints, side)
        assert angle.min() > recorded.min() - 1e-3
        assert angle.max() < recorded.max() + 1e-3


def test_whole_bodies_are_the_recorded_ones(motion: Motion) -> None:
    """Without recombination, the angle between the thighs and the arms is one that was recorded."""
    maker = BodyMaker(motion, CPU, recombine=0.0)

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
    combined = BodyMaker(motion, CPU, recombine=1.0)(100, 1, Draws(seeded())).joints[:, 0]
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


def test_cameras_stand_level_and_see_everybody(bodies: Bodies) -> None:
    rotation, position = place_cameras(bodies.joints, Draws(seeded()))
    cam = (bodies.joints - position[:, None, None]) @ rotation.mT[:, None]
    assert (cam[..., 2] > 0).all()
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(400), atol=1e-4, rtol=0)
    up = rotation @ torch.tensor([0.0, 0.0, 1.0])
    assert (up[:, 1] < 0).all()  # up in the world is up in the image
    assert up[:, 1].mean() < -0.9
    distance = (position - bodies.joints[:, :, 0].mean(1))[:, :2].norm(dim=-1)
    assert distance.min() >= 1.79
    assert 0.2 < (cam[:, :, 0, :2] / cam[:, :, 0, 2:]).abs().amax() < 1.5
    torch.testing.assert_close(torch.linalg.det(look_at(torch.randn(5, 3))), torch.ones(5))


def test_cameras_of_any_pitch_look_from_the_floor_and_from_high_above(bodies: Bodies) -> None:
    def down(pitched: float) -> Tensor:
        _, position = place_cameras(bodies.joints, Draws(seeded()), pitched)
        assert position[:, 2].min() >= 0.05
        way = position - bodies.joints[:, :, 0].mean(1)
        assert way.norm(dim=-1).min() >= 1.79  # also where the floor stops a camera
        return torch.rad2deg(torch.atan2(way[:, 2], way[:, :2].norm(dim=-1)))

    steep, floor = (lambda d: (d > 40).float().mean(), lambda d: (d < -10).float().mean())
    every, some, none = down(1.0), down(0.5), down(0.0)
    assert PITCHES[0] - 0.01 <= every.min() < -15
    assert 55 < every.max() <= PITCHES[1] + 0.01
    assert steep(none) < 0.05 < steep(some) < steep(every)
    assert steep(every) == pytest.approx(20 / 85, abs=0.05)  # 400 draws: SD 0.02
    assert floor(none) < floor(some) < floor(every)


def test_detectors_err_as_much_as_they_say(bodies: Bodies) -> None:
    cam = bodies.joints[:, :, :, [0, 2, 1]] * torch.tensor([1.0, -1, 1]) + torch.tensor([0, 1, 6.0])
    rays, confidence = detect(cam, Draws(seeded()))
    lost = ~torch.isfinite(rays).all(-1)
    assert (confidence[lost] == 0).all()
    assert (confidence[~lost] > 0).all()
    assert confidence.max() <= 1
    complete = ~lost.flatten(1).any(1)
    assert 0.45 < complete.float().mean() < 0.75
    pixel = 1.7 / cam[:, :, :1, 2].mean(1, True) / 400
    error = (rays - cam[..., :2] / cam[..., 2:]).norm(dim=-1) / pixel
    typical = error.nanmedian(-1).values.nanmedian(-1).values
    assert 0.3 < (typical < 0.5).float().mean() < 0.65  # nearly clean windows
    assert 3 < typical.nanquantile(0.95) < 12
    wrists, hips = error[..., [13, 16]].nanmedian(), error[..., [1, 4]].nanmedian()
    assert wrists > 1.2 * hips
    unsure = confidence < 0.6
    assert error[unsure & ~lost].nanmedian() > error[~unsure & ~lost].nanmedian()


def test_some_windows_are_projections_of_the_joints_themselves(bodies: Bodies) -> None:
    away = torch.tensor([0.0, 0.0, 9.0])
    joints, seen = bodies.joints + away, bodies.seen + away + 0.05
    rays, confidence = detect(seen, Draws(seeded()), joints=joints, exact=0.3)
    truth = project_rays(joints)
    exact = (rays == truth).all(-1).all(-1).all(-1)
    B = len(exact)  # a share of B has a standard deviation of the root of 0.3 * 0.7 / B
    assert exact.float().mean().item() == pytest.approx(0.3, abs=3 * (0.21 / B) ** 0.5)
    assert (confidence[exact] == 1).all()
    # The others are what a detector saw, and no noisy window is given for an exact one.
    before, trust = detect(seen, Draws(seeded()))
    assert torch.equal(rays[~exact].nan_to_num(9.0), before[~exact].nan_to_num(9.0))
    assert torch.equal(confidence[~exact], trust[~exact])
    off = (before - project_rays(seen))[exact].norm(dim=-1) * joints[exact][..., 2] * 400 / 1.7
    assert off.nanmedian() < 0.5  # pixels of a person 400 tall


def test_noise_is_as_large_and_windows_as_clean_as_asked(bodies: Bodies) -> None:
    seen = bodies.seen + torch.tensor([0.0, 0.0, 9.0])
    for clean, noisy_px in ((0.2, (1.0, 1.0)), (0.6, (6.0, 9.0))):
        rays, _ = detect(seen, Draws(seeded()), clean=clean, noisy_px=noisy_px)
        pixels = (rays - project_rays(seen)) * seen[:, :, :1, 2:] * 400 / 1.7
        size = pixels[:, :, :7].abs().flatten(1).nanmedian(-1).values / 0.67
        noisy = size > 0.5
        # Three standard deviations of a share of 400; legs suffer a tenth more than hips.
        assert (~noisy).float().mean().item() == pytest.approx(clean, abs=0.073)
        middle = 1.1 * sum(noisy_px) / 2
        assert size[noisy].median().item() == pytest.approx(middle, rel=0.06)


@pytest.mark.parametrize("as_coco", [0.0, 1.0])
def test_steady_errors_are_large_and_do_not_tremble(bodies: Bodies, as_coco: float) -> None:
    seen = bodies.seen + torch.tensor([0.0, 0.0, 9.0])
    options = {"clean": 0.0, "noisy_px": (6.0, 6.0), "as_coco": as_coco}

    def errors(steady: float) -> tuple[Tensor, Tensor]:
        """Medians of the size and of third differences of every window's legs, in pixels."""
        rays, _ = detect(seen, Draws(seeded()), steady=steady, **options)
        pixels = ((rays - project_rays(seen)) * seen[:, :, :1, 2:] * 400 / 1.7)[:, :, 1:7]
        trembling = pixels.diff(n=3, dim=1).abs().flatten(1).nanmedian(1).values
        return pixels.abs().flatten(1).nanmedian(1).values, trembling

    size, trembling = errors(1.0)
    noisy = size > 1e-3  # a share of COCO windows has no noise
    assert size[noisy].median() > 2
    assert (trembling[noisy] < 0.35 * size[noisy]).float().mean() > 0.95
    before, jumps = errors(0.0)
    noisy = before > 1e-3
    assert (jumps[noisy] < 0.35 * before[noisy]).float().mean() < 0.2
    some, little = errors(0.5)
    noisy = some > 1e-3
    share = (little[noisy] < 0.35 * some[noisy]).float().mean().item()
    assert 0.4 < share < 0.7


def test_forearms_and_shins_are_swapped_alone_only_when_asked(bodies: Bodies) -> None:
    seen = bodies.seen + torch.tensor([0.0, 0.0, 9.0])
    flipped = project_rays(seen)[:, :, list(H36M17.flip_order)]

    def swapped(ends_alone: float) -> Tensor:
        options = {"clean": 0.0, "noisy_px": (0.0, 0.0), "ends_alone": ends_alone}
        rays, _ = detect(seen, Draws(seeded()), **options)
        return torch.stack([(rays == flipped)[:, :, j].all(-1).any() for j in (1, 11, 2, 13)])

    assert swapped(0.0).all()
    assert swapped(1.0).tolist() == [False, False, True, True]


def test_a_single_frame_is_never_lost_as_a_whole(bodies: Bodies) -> None:
    cam = bodies.joints[:, :1] + torch.tensor([0.0, 0.0, 9.0])
    rays, _ = detect(cam, Draws(seeded()))
    assert torch.isfinite(rays).all(-1).sum(-1).min() >= 3
    assert torch.isfinite(encode_rays(rays).xy).all()


def test_freer_bodies_vary_where_data_sets_disagree(motion: Motion) -> None:
    options = {"bone_sd": (0.0, 0.05), "free_pairs": True, "direction_sd": 0.1}
    body = BodyMaker(motion, CPU, recombine=0.0, **options)(2000, 2, Draws(seeded())).joints
    bone = (body[:, 0, 1] - body[:, 0, 0]).norm(dim=-1)
    thigh = (body[:, 0, 2] - body[:, 0, 1]).norm(dim=-1)
    assert (thigh.std() / thigh.mean()).item() == pytest.approx(0.05, rel=0.1)
    assert (bone.std() / bone.mean()).item() == pytest.approx(0.10, rel=0.1)
    options["pair_freedom"] = 0.4  # of the hips' doubled spread
    less = BodyMaker(motion, CPU, recombine=0.0, **options)(2000, 2, Draws(seeded())).joints
    bone = (less[:, 0, 1] - less[:, 0, 0]).norm(dim=-1)
    assert (bone.std() / bone.mean()).item() == pytest.approx(0.07, rel=0.05)  # 3 sd of 2000
    # Left is as long as right, and lengths hold over time.
    assert torch.allclose((body[:, 0, 5] - body[:, 0, 4]).norm(dim=-1), thigh, atol=1e-5)
    assert torch.allclose((body[:, 1, 2] - body[:, 1, 1]).norm(dim=-1), thigh, atol=1e-5)
    shin = torch.nn.functional.normalize(body[:, 0, 3] - body[:, 0, 2], dim=-1)
    still = BodyMaker(motion, CPU, recombine=0.0)(2000, 2, Draws(seeded())).joints
    before = torch.nn.functional.normalize(still[:, 0, 3] - still[:, 0, 2], dim=-1)
    assert shin.std(0).norm() > before.std(0).norm()


@pytest.mark.parametrize("reach", [1.0, 1.4])
def test_bones_lie_between_the_mean_body_and_the_recorded_ones_or_past_them(
    motion: Motion, reach: float
) -> None:
    options = {"recombine": 0.0, "bone_sd": (0.0, 0.0)}
    usual = lengths(BodyMaker(motion, CPU, **options)(1, 1, Draws(seeded())).joints)[0, 0]
    maker = BodyMaker(motion, CPU, recorded_bones=0.75, recorded_reach=reach, **options)
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
    maker = BodyMaker(motion, CPU, recombine=1.0, bone_sd=(0.0, 0.0), recorded_bones=1.0)
    drawn = lengths(maker(300, 1, Draws(seeded())).joints)[:, 0]
    for one, other in ((0, 3), (1, 4), (2, 5), (10, 13), (11, 14), (12, 15)):
        assert torch.allclose(drawn[:, one], drawn[:, other], atol=1e-5)


def test_some_windows_stand_on_the_bones_of_one_recorded_body(motion: Motion) -> None:
    options = {"recombine": 1.0, "bone_sd": (0.1, 0.1), "direction_sd": 0.2, "spine_sd": 0.03}
    maker = BodyMaker(motion, CPU, as_recorded=1.0, recorded_bones=0.5, **options)
    tells_apart = torch.linspace(0.0, 0.1, len(maker.recorded))[:, None]
    maker.recorded[:, [1, 4]] += tells_apart
    drawn = lengths(maker(300, 2, Draws(seeded())).joints)[:, 0]
    off = (drawn[:, None] - maker.recorded).abs().amax(-1).amin(-1)
    assert off.max() < 2e-3
    some = BodyMaker(motion, CPU, as_recorded=0.4, recorded_bones=0.5, **options)
    drawn = lengths(some(2000, 1, Draws(seeded())).joints)[:, 0]
    off = (drawn[:, None] - some.recorded).abs().amax(-1).amin(-1)
    # Three standard deviations of a share of 2000.
    assert (off < 2e-3).float().mean().item() == pytest.approx(0.4, abs=0.033)


def test_the_spine_joint_lies_before_or_behind_the_trunk_by_what_was_asked(motion: Motion) -> None:
    options = {"recombine": 0.0, "bone_sd": (0.0, 0.0)}

    def drawn(spine_sd: float) -> Tensor:
        maker = BodyMaker(motion, CPU, spine_sd=spine_sd, **options)
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
