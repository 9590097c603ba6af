from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from hypopose.calibration import energy_score
from hypopose.diffusion import seeded_noise
from hypopose.errors import MissingCameraError, OptionError, ShapeError, SkeletonMismatchError
from hypopose.multiview import fuse_hypotheses
from hypopose.skeletons import H36M16, H36M17
from hypopose.types import Hypotheses

Build = Callable[..., Any]
METHODS = ("importance", "gaussian")


def single_views(scene: Any, n: int = 200) -> tuple[list[Hypotheses], torch.Tensor]:
    """Normal posteriors, long in depth, and the truth in the first camera's frame."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.from_numpy(scene.points[0, :12]).float()
    truth = truth - truth[:, :1]
    views = []
    for camera in scene.cameras:
        own = truth @ camera.rotation.float().T
        sd = torch.tensor([0.01, 0.01, 0.08])
        center = own + sd * torch.randn(own.shape, generator=generator)
        x = center + sd * torch.randn((n, *own.shape), generator=generator)
        views.append(Hypotheses(x - x[:, :, :1], H36M17))
    return views, truth @ scene.cameras[0].rotation.float().T


@pytest.mark.parametrize("method", METHODS)
def test_two_views_tell_depth_and_know_how_well(stage: Build, method: str) -> None:
    scene = stage(2)
    views, truth = single_views(scene)
    fused = fuse_hypotheses(views, scene.cameras, 100, seeded_noise(0), method)
    alone = float(energy_score(views[0].joints, truth)[:, 1:].mean())
    both = float(energy_score(fused.joints, truth)[:, 1:].mean())
    assert both < 0.5 * alone
    error = (fused.joints.mean(0) - truth)[:, 1:].square().mean().sqrt()
    spread = fused.joints[:, :, 1:].var(0).mean().sqrt()
    assert 0.6 < float(spread / error) < 1.6
    assert float(fused.joints[:, :, 0].abs().max()) == 0


@pytest.mark.parametrize("method", METHODS)
def test_same_noise_same_hypotheses(stage: Build, method: str) -> None:
    scene = stage(2)
    views, _ = single_views(scene, 20)
    a, b = (fuse_hypotheses(views, scene.cameras, 5, seeded_noise(1), method) for _ in range(2))
    torch.testing.assert_close(a.joints, b.joints)
    assert len(a) == 5


def test_what_cannot_be_combined_is_refused(stage: Build) -> None:
    scene = stage(2)
    (one, other), _ = single_views(scene, 4)
    noise = seeded_noise(0)
    with pytest.raises(OptionError, match="two or more at a time"):
        fuse_hypotheses([one], scene.cameras[:1], 2, noise)
    with pytest.raises(OptionError, match="draw 20 of each"):
        fuse_hypotheses([one, Hypotheses(other.joints[:1], H36M17)], scene.cameras, 2, noise)
    with pytest.raises(ShapeError, match="same frames"):
        fuse_hypotheses([one, Hypotheses(other.joints[:, :3], H36M17)], scene.cameras, 2, noise)
    with pytest.raises(SkeletonMismatchError, match="different skeletons"):
        fuse_hypotheses(
            [one, Hypotheses(other.joints[..., :16, :], H36M16)], scene.cameras, 2, noise
        )
    with pytest.raises(MissingCameraError, match="give each camera a rotation"):
        fuse_hypotheses(
            [one, other], [scene.cameras[0], stage(1, known=False).keypoints[0][0].camera], 2, noise
        )
