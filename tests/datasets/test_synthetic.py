"""Figures moved by sine waves: rigid, grounded, the same on every call."""

from __future__ import annotations

import torch

from hypopose.datasets.synthetic import ACTIONS, ANKLE, FIGURES, N_FRAMES, synthetic_motion
from hypopose.skeletons import H36M17


def test_bones_are_rigid_feet_on_the_floor_and_nobody_is_too_fast() -> None:
    for split, figures in FIGURES.items():
        motion = synthetic_motion(split)
        assert motion.n_clips == len(figures) * len(ACTIONS)
        clips = motion.joints.view(motion.n_clips, N_FRAMES, 17, 3)
        ends = torch.tensor(H36M17.bones)
        bones = (clips[:, :, ends[:, 1]] - clips[:, :, ends[:, 0]]).norm(dim=-1)
        limbs = [b for b, (_, child) in enumerate(H36M17.bones) if child in (2, 3, 5, 6, 12, 13)]
        assert bones[:, :, limbs].std(1).max() < 1e-4
        assert (bones.std(1) / bones.mean(1)).max() < 0.05
        lowest = clips[:, :, [3, 6], 2].amin(-1)
        torch.testing.assert_close(lowest, torch.full_like(lowest, ANKLE))
        assert (clips.diff(dim=1).norm(dim=-1) * motion.fps).max() < 15


def test_figures_differ_between_splits_and_calls_repeat() -> None:
    test, train = synthetic_motion("test"), synthetic_motion("train")
    assert torch.equal(test.joints, synthetic_motion("test").joints)
    assert not set(test.subjects) & set(train.subjects)
    assert not torch.allclose(test.clip(0), train.clip(0), atol=0.05)


def test_knees_bend_backwards_and_elbows_forwards() -> None:
    motion = synthetic_motion("test")
    walk = motion.clip(motion.actions.index("walk"))
    ahead = torch.linalg.cross(walk[:, 4] - walk[:, 1], torch.tensor([0.0, 0, 1]).expand(162, 3))
    knee = walk[:, 2] - (walk[:, 1] + walk[:, 3]) / 2
    elbow = walk[:, 15] - (walk[:, 14] + walk[:, 16]) / 2
    assert ((knee * ahead).sum(-1) > 0).all()
    assert ((elbow * ahead).sum(-1) < 0).all()
