"""Training windows are detected as their options say."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hypopose.datasets import Motion
from hypopose.networks.inputs import encode_rays
from hypopose.simulation import (
    Bodies,
    BodyMaker,
    BodyOptions,
    DetectionOptions,
    Draws,
    detect,
    project_rays,
)
from hypopose.skeletons import H36M17

CPU = torch.device("cpu")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def bodies(motion: Motion) -> Bodies:
    return BodyMaker(motion, CPU, BodyOptions(recombine=1.0))(400, 9, Draws(seeded()))


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
    rays, confidence = detect(seen, Draws(seeded()), DetectionOptions(exact=0.3), joints=joints)
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
        rays, _ = detect(seen, Draws(seeded()), DetectionOptions(clean=clean, noisy_px=noisy_px))
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
        rays, _ = detect(seen, Draws(seeded()), DetectionOptions(steady=steady, **options))
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
        rays, _ = detect(seen, Draws(seeded()), DetectionOptions(**options))
        return torch.stack([(rays == flipped)[:, :, j].all(-1).any() for j in (1, 11, 2, 13)])

    assert swapped(0.0).all()
    assert swapped(1.0).tolist() == [False, False, True, True]


def test_a_single_frame_is_never_lost_as_a_whole(bodies: Bodies) -> None:
    cam = bodies.joints[:, :1] + torch.tensor([0.0, 0.0, 9.0])
    rays, _ = detect(cam, Draws(seeded()))
    assert torch.isfinite(rays).all(-1).sum(-1).min() >= 3
    assert torch.isfinite(encode_rays(rays).xy).all()
