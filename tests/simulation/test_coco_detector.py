from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hypopose.datasets import Motion, coco_joints
from hypopose.simulation import (
    COCO_TRAINING,
    BodyMaker,
    BodyOptions,
    DetectionOptions,
    Draws,
    detect,
    detect_as_coco,
    mixed_detections,
    project_rays,
)
from hypopose.simulation.coco_points import draw_coco_points
from hypopose.skeletons import COCO17, H36M17, convert
from hypopose.training import BatchMaker
from hypopose.types import Keypoints2D

QUIET = replace(COCO_TRAINING, clean=1.0)
"""The detector without noise; sides are swapped and keypoints missing there too."""

LIMBS = [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]


def seeded(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


@pytest.fixture
def joints(motion: Motion) -> Tensor:
    """Camera-frame joints of 400 windows of 30 frames, people upright and 9 m away."""
    made = BodyMaker(motion, torch.device("cpu"))(400, 30, seeded()).joints
    return made[..., [0, 2, 1]] * torch.tensor([1.0, -1.0, 1.0]) + torch.tensor([0.0, 1.0, 9.0])


def test_what_a_detector_does_not_give_is_formed_from_what_it_gives(joints: Tensor) -> None:
    options = DetectionOptions(noisy_px=(1.0, 9.0), ends_alone=0.5)
    rays, confidence = detect_as_coco(joints, seeded(), options)
    found = rays.isfinite().all(-1)
    assert (confidence > 0).equal(found)
    assert confidence.max() <= 1
    hips = found[..., 1] & found[..., 4]
    assert found[..., 0].equal(hips)  # no pelvis without both hips
    assert 0.02 < (~hips).float().mean() < 0.2
    middle = rays[:, :, [1, 4]].mean(2)
    torch.testing.assert_close(rays[:, :, 0][hips], middle[hips], atol=1e-6, rtol=0)
    trunk = hips & found[..., 8]
    spine = 0.55 * rays[:, :, 0] + 0.45 * rays[:, :, 8]
    torch.testing.assert_close(rays[:, :, 7][trunk], spine[trunk], atol=1e-6, rtol=0)
    least = confidence[:, :, [1, 4]].amin(-1)
    assert confidence[:, :, 0][hips].equal(least[hips])


def test_without_errors_limbs_are_projections_and_the_rest_is_as_files_give_it(
    joints: Tensor,
) -> None:
    rays, _ = detect_as_coco(joints, seeded(), DetectionOptions(noisy_px=(9.0, 9.0)), noise=QUIET)
    off = (rays - project_rays(joints)).norm(dim=-1)[:, :, LIMBS]
    right = (off < 1e-6) | off.isnan()
    assert 0.95 < right.float().mean() < 1.0  # the rest are swapped sides
    mirrored = (rays - project_rays(joints)[:, :, list(H36M17.flip_order)]).norm(dim=-1)
    assert (right | (mirrored[:, :, LIMBS] < 1e-6)).all()
    # The head is where a file would put it, give or take a face of another size.
    plain = Keypoints2D(project_rays(coco_joints(joints)), COCO17)
    formed = convert(plain, H36M17).xy
    head = 9 * (rays - formed).norm(dim=-1)[:, :, 10]
    assert 0.01 < head.nanmedian() < 0.1
    assert head.nanquantile(0.99) < 0.3


def test_heads_look_about(joints: Tensor) -> None:
    """Noses point 20 degrees or so off the chest, and move; ears lie across."""
    points = draw_coco_points(joints, seeded())
    nose, ears = points[:, :, 0], points[:, :, 3] - points[:, :, 4]
    chest = joints[:, :, 11] - joints[:, :, 14]
    up = torch.nn.functional.normalize(joints[:, :, 10] - joints[:, :, 9], dim=-1)
    chest = chest - (chest * up).sum(-1, keepdim=True) * up
    turn = torch.nn.functional.cosine_similarity(ears, chest, dim=-1).clamp(-1, 1).arccos()
    assert 0.2 < turn.square().mean().sqrt() < 0.6
    assert turn.std(1).mean() > 0.03
    reach = (nose - joints[:, :, 9]).norm(dim=-1)
    assert 0.07 < reach.mean() < 0.15


def test_noise_is_as_large_as_asked_and_lasts_as_long_as_drawn(joints: Tensor) -> None:
    rays, _ = detect_as_coco(joints, seeded(), DetectionOptions(noisy_px=(5.0, 5.0)))
    pixel = 1.7 / joints[:, :, 0, 2].mean(1) / 400
    error = (rays - project_rays(joints)) / pixel[:, None, None, None]
    typical = error[:, :, [2, 5]].abs().flatten(1).nanmedian(1).values
    there = typical.isfinite()
    noisy = there & (typical > 1e-3)
    free = (~noisy)[there].float().mean().item()
    # Here and below: three standard deviations of a share of 400 windows.
    assert free == pytest.approx(COCO_TRAINING.clean, abs=3 * (0.15 * 0.85 / 400) ** 0.5)
    knees, wrists, hips = ((error[noisy][:, :, j]) for j in ([2, 5], [13, 16], [1, 4]))
    weights = COCO_TRAINING.errors.weights
    for found, joint in ((knees, 13), (wrists, 9), (hips, 11)):
        assert (found.abs().nanmedian() / 0.6745).item() == pytest.approx(
            5 * weights[joint], rel=0.05
        )
    assert (hips.abs() > 15).float().mean() > 0.005  # outliers: .0027 of a normal's values
    # Some windows err alike in all frames, others anew in every frame, most do both.
    flat = knees.flatten(2).nan_to_num()
    a, b = flat[:, :-1], flat[:, 1:]
    together = (a * b).sum((1, 2)) / (a.square().sum((1, 2)) * b.square().sum((1, 2))).sqrt()
    assert together.quantile(0.1) < 0.5
    assert together.quantile(0.9) > 0.75


def test_confidence_knows_a_little_of_errors(joints: Tensor) -> None:
    options = DetectionOptions(noisy_px=(5.0, 5.0))
    rays, confidence = detect_as_coco(joints, seeded(), options)
    wrong = (rays - project_rays(joints)).norm(dim=-1)[:, :, LIMBS].flatten(1)
    trust, found = confidence[:, :, LIMBS].flatten(1), wrong.isfinite()
    plain = torch.where(found, trust, 1.0).eq(1).all(1)
    assert plain.float().mean().item() == pytest.approx(0.2, abs=3 * (0.16 / 400) ** 0.5)
    some = ~plain & (wrong.nanmedian(1).values > 1e-4)
    together = [
        torch.corrcoef(torch.stack([w[f], t[f]]))[0, 1]
        for w, t, f in zip(wrong[some], trust[some], found[some], strict=True)
    ]
    assert torch.stack(together).median() < -0.3


def test_gaps_and_swaps_last(joints: Tensor) -> None:
    """By chance alone a gap would go on for one frame in ten; it goes on for most."""
    quiet = replace(QUIET, gaps=replace(QUIET.gaps, groups=()))
    options = {"noisy_px": (1.0, 1.0)}
    rays, _ = detect_as_coco(
        joints, seeded(), DetectionOptions(ends_alone=1.0, **options), noise=quiet
    )
    lost = ~rays.isfinite().all(-1)[:, :, LIMBS]
    assert 0.02 < lost.float().mean() < 0.1
    assert (lost[:, 1:] & lost[:, :-1]).sum() > 0.7 * lost[:, 1:].sum()
    alone = lost & ~lost.all(-1, keepdim=True)
    assert alone.float().mean() > 0.01  # single keypoints, not only whole frames
    assert lost.all(-1).float().mean() > 0.005
    off = (rays - project_rays(joints)).norm(dim=-1).nan_to_num()
    swapped = off > 1e-3
    assert not swapped[:, :, [1, 4, 11, 14]].any()  # ends alone: hips and shoulders stay
    wrists = swapped[:, :, [13, 16]].any(-1)
    assert 0.003 < wrists.float().mean() < 0.04
    assert (wrists[:, 1:] & wrists[:, :-1]).sum() > 0.6 * wrists[:, 1:].sum()
    whole, _ = detect_as_coco(joints, seeded(), DetectionOptions(**options), noise=quiet)
    off = (whole - project_rays(joints)).norm(dim=-1).nan_to_num()
    assert (off[:, :, [1, 4, 11, 14]] > 1e-3).flatten(0, 1).any(0).all()


@pytest.mark.parametrize(("share", "length"), [(0.05, 3.0), (0.3, 12.0)])
def test_episodes_are_as_long_and_as_frequent_as_asked(share: float, length: float) -> None:
    n = 2000
    on = seeded().episodes(60, (n, 1), torch.full((n, 1), share), torch.full((n, 1), length))
    # Three standard deviations; frames of a series repeat each other for an episode or two.
    sd = (share * (1 - share) * 2 * length / on.numel()) ** 0.5
    assert on.float().mean().item() == pytest.approx(share, abs=3 * sd)
    goes_on = (on[:, 1:] & on[:, :-1]).sum() / on[:, :-1].sum()
    sd = ((1 - 1 / length) / length / (share * on.numel())) ** 0.5
    assert goes_on.item() == pytest.approx(1 - 1 / length, abs=3 * sd)


def test_no_window_is_lost_as_a_whole() -> None:
    noise = replace(COCO_TRAINING, gaps=replace(COCO_TRAINING.gaps, groups=()))
    for F in (1, 2, 9):
        lost = noise._missing(20_000, F, seeded())
        assert not lost.all(1).all(-1).any()
    assert lost.all(-1).any()  # frames are


def test_a_share_of_windows_is_coco_and_the_others_stay_as_they_were(joints: Tensor) -> None:
    seen = joints + 0.01
    before, trust = detect(seen, seeded(), DetectionOptions(exact=0.3), joints=joints)
    rays, confidence = detect(
        seen, seeded(), DetectionOptions(exact=0.3, as_coco=0.4), joints=joints
    )
    same = (rays.nan_to_num(9.0) == before.nan_to_num(9.0)).flatten(1).all(1)
    assert (~same).float().mean().item() == pytest.approx(0.4, abs=3 * (0.24 / 400) ** 0.5)
    assert confidence[same].equal(trust[same])
    found = rays.isfinite().all(-1)
    assert found[~same][..., 0].equal((found[..., 1] & found[..., 4])[~same])
    assert found.equal(confidence > 0)
    rare = detect(seen, seeded(), DetectionOptions(exact=0.3, as_coco=1e-9), joints=joints)
    assert rare[0].nan_to_num(9.0).equal(before.nan_to_num(9.0))


def test_detectors_see_the_joints_and_obey_the_options(
    joints: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = joints + 0.05  # what others mean by them
    options = DetectionOptions(as_coco=1.0, noisy_px=(7.0, 7.0), ends_alone=1.0)
    pixel = 1.7 / joints[:, :, 0, 2].mean(1) / 400
    rays, _ = detect(seen, seeded(), options, joints=joints)
    hips = ((rays - project_rays(joints)) / pixel[:, None, None, None])[:, :, [1, 4]]
    noisy = hips.abs().flatten(1).nanmedian(1).values > 1e-3
    assert (hips[noisy].abs().nanmedian() / 0.6745).item() == pytest.approx(7.0, rel=0.05)
    monkeypatch.setattr(mixed_detections, "COCO_TRAINING", QUIET)
    rays, confidence = detect(seen, seeded(), options, joints=joints)
    assert (rays - project_rays(joints)).norm(dim=-1)[:, :, [1, 4]].nan_to_num().max() < 1e-6
    assert rays.isfinite().all(-1).equal(confidence > 0)
    shifted, _ = detect(seen, seeded(), options)
    assert (shifted - project_rays(seen)).norm(dim=-1)[:, :, [1, 4]].nan_to_num().max() < 1e-6


def test_networks_that_read_no_gaps_get_formed_joints_throughout(
    motion: Motion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixed_detections, "COCO_TRAINING", QUIET)
    make = BatchMaker(
        motion,
        torch.device("cpu"),
        noise=DetectionOptions(as_coco=1.0),
        inputs="screen",
        gaps=False,
    )
    encoded = make(50, 20, torch.Generator().manual_seed(0)).encoded
    assert (encoded.confidence > 0).all()
    xy = encoded.xy
    torch.testing.assert_close(xy[:, :, 0], xy[:, :, [1, 4]].mean(2), atol=1e-5, rtol=0)
    spine = 0.55 * xy[:, :, 0] + 0.45 * xy[:, :, 8]
    torch.testing.assert_close(xy[:, :, 7], spine, atol=1e-5, rtol=0)


def test_single_frames_and_repeats(joints: Tensor) -> None:
    one = joints[:, :1]
    options = DetectionOptions(noisy_px=(2.0, 9.0), ends_alone=0.5)
    a, b = (detect_as_coco(one, seeded(3), options) for _ in range(2))
    assert a[0].nan_to_num(9.0).equal(b[0].nan_to_num(9.0))
    assert a[0].isfinite().all(-1).sum(-1).min() >= 3


def test_a_head_that_turns_left_looks_left() -> None:
    pose = torch.zeros(17, 3)
    pose[10, 2], pose[11, 1], pose[14, 1] = 0.1, 0.2, -0.2  # z up, y to the left: it faces x
    ahead = coco_joints(pose)
    left = coco_joints(pose, turn=torch.tensor(math.pi / 2))
    assert ahead[0, 0] == pytest.approx(0.10)
    assert left[0, 1].item() == pytest.approx(0.10)
    assert left[3, 0] < -0.05  # its left ear is behind
    flat = coco_joints(pose, face=torch.zeros(7))
    assert flat[:5].abs().max() == 0


def test_people_of_the_table_are_seen_at_their_own_points(motion: Motion) -> None:
    made = BodyMaker(motion, torch.device("cpu"), BodyOptions(as_people=0.5))(200, 20, seeded())
    assert made.people is not None
    x = made.joints[..., [0, 2, 1]] * torch.tensor([1.0, -1.0, 1.0]) + torch.tensor([0.0, 1.0, 9.0])
    rays, confidence = detect_as_coco(
        x, seeded(), DetectionOptions(noisy_px=(0.0, 0.0)), people=made.people
    )
    assert (confidence > 0).equal(rays.isfinite().all(-1))
    off = 9.0 * (rays - project_rays(x)).norm(dim=-1)
    median = off[:, :, [1, 4, 11, 14, 13, 16]].nanmedian(1).values.nanmean(0)
    assert (median > 0.005).all()  # hips, shoulders and wrists mean other points
    assert (median < 0.06).all()
