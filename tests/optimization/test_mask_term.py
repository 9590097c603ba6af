"""Refinement into masks."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch

from hypopose.datasets import example_pair
from hypopose.diffusion import seeded_noise
from hypopose.errors import SkeletonMismatchError
from hypopose.optimization import OffsetRefiner
from hypopose.rendering.silhouettes import render_bodies, silhouette_errors
from hypopose.skeletons import H36M17
from hypopose.types import Hypotheses, Keypoints2D, Poses3D, Silhouettes, Skeleton


@cache
def problem() -> tuple[Hypotheses, Keypoints2D, Poses3D]:
    """Three hypotheses 6 cm off, keypoints 2 cm, exact masks of two of ten frames."""
    keypoints, truth = example_pair(10)
    assert keypoints.camera is not None
    assert truth.root is not None
    frames = torch.tensor([2, 7])
    placed = (truth.joints + truth.root[:, None])[frames]
    window = torch.tensor([[300.0, 200.0, 600.0]]).expand(2, 3)
    inside = (render_bodies(placed, keypoints.camera, window, 64).alpha > 0.5).float()
    record = {"file": "exact", "frames": 10, "looks": 2, "notes": []}
    seen = Silhouettes(frames, inside, torch.ones_like(inside), window, record=record)
    generator = torch.Generator().manual_seed(0)
    off = torch.randn(1, 17, 2, generator=generator).expand(10, 17, 2)
    noise = 0.035 * torch.randn(3, 1, 17, 3, generator=generator).expand(3, 10, 17, 3)
    x = truth.joints + noise - noise[..., :1, :]
    seen_by = replace(keypoints, xy=keypoints.xy + 6 * off, silhouettes=seen)
    return Hypotheses(x, H36M17), seen_by, truth


def overlap(hypotheses: Hypotheses, keypoints: Keypoints2D) -> float:
    assert keypoints.silhouettes is not None
    assert keypoints.camera is not None
    assert hypotheses.root is not None
    placed = hypotheses.joints + hypotheses.root[..., None, :]
    looked = placed[:, keypoints.silhouettes.frames]
    return float(silhouette_errors(looked, keypoints.camera, keypoints.silhouettes).mean())


def test_hypotheses_move_into_masks() -> None:
    hypotheses, keypoints, truth = problem()
    refiner = OffsetRefiner(spread="follow", n_steps=12)
    noise = seeded_noise(0)
    plain = refiner.refine(hypotheses, replace(keypoints, silhouettes=None), noise=noise)
    masked = refiner.refine(hypotheses, keypoints, noise=noise)
    exact = Hypotheses(truth.joints[None], H36M17, root=truth.root[None])
    least = overlap(exact, keypoints)  # pictures are soft
    before, after = (overlap(r.hypotheses, keypoints) - least for r in (plain, masked))
    assert after < 0.9 * before
    assert (masked.after <= masked.before).all()
    words = "refined against the keypoints and the masks of exact (2 looks), root fitted"
    assert masked.notes == (f"{words}, spread follow",)


def test_a_hypothesis_moves_as_if_it_were_alone() -> None:
    hypotheses, keypoints, _ = problem()
    refiner = OffsetRefiner(spread="follow", n_steps=2, default_scale=0.05)
    scale = torch.full((10, 17), 0.05)
    both = refiner.refine(
        Hypotheses(hypotheses.joints[:1].expand(2, -1, -1, -1), H36M17), keypoints,
        noise=seeded_noise(0), scale=scale,
    )  # fmt: skip
    one = refiner.refine(
        Hypotheses(hypotheses.joints[:1], H36M17), keypoints, noise=seeded_noise(0), scale=scale
    )
    torch.testing.assert_close(
        both.hypotheses.joints[1], one.hypotheses.joints[0], rtol=0, atol=1e-5
    )


def test_a_focal_length_of_each_hypothesis_is_used() -> None:
    hypotheses, keypoints, _ = problem()
    assert keypoints.camera is not None
    focal = keypoints.camera.focal.mean() * torch.tensor([1.0, 1.0, 1.0])
    refiner = OffsetRefiner(spread="follow", n_steps=2)
    same = refiner.refine(replace(hypotheses, focal=focal), keypoints, noise=seeded_noise(0))
    plain = refiner.refine(hypotheses, keypoints, noise=seeded_noise(0))
    torch.testing.assert_close(same.hypotheses.joints, plain.hypotheses.joints, rtol=0, atol=1e-4)


def test_joints_without_a_body_are_refused() -> None:
    hypotheses, keypoints, _ = problem()
    other = Skeleton("other", H36M17.joint_names, H36M17.parents)
    with pytest.raises(SkeletonMismatchError, match="h36m17"):
        OffsetRefiner().refine(
            Hypotheses(hypotheses.joints, other), replace(keypoints, skeleton=other),
            noise=seeded_noise(0),
        )  # fmt: skip
