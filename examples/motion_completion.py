"""
Complete motion with a prior
============================

Fill gaps in 2D keypoints, and generate the motion between two moments.
"""

# %% A second of walking with gaps: an arm is never seen, and half of the frames are missing
from dataclasses import replace

import torch

import hypopose
from hypopose.cameras import project
from hypopose.diffusion import seeded_noise
from hypopose.samplers import BoneLengths, GroundPlane
from hypopose.samplers.boneflips import default_bone_lengths

keypoints, truth = hypopose.datasets.example_pair()
n = 24
full = replace(keypoints, xy=keypoints.xy[:n], confidence=None, covariance=None)
xy = full.xy.clone()
xy[:, 14:17] = torch.nan  # right arm
xy[6:18] = torch.nan  # the middle
broken = replace(full, xy=xy)
print(f"{int((~broken.detected).sum())} of {broken.detected.numel()} keypoints are missing")

# %% Draw motions that explain the rest. Each hypothesis is one continuous motion.
sampler = hypopose.make_sampler("platypose", n_steps=10)
hypotheses = sampler.sample(broken, 5, seeded_noise(0))

# %% 2D completion: project the hypotheses; their spread is the uncertainty
completed = project(hypotheses.joints + hypotheses.root[..., None, :], full.camera)
middle, spread = completed.mean(0), completed.std(0).norm(dim=-1)
off = (middle - full.xy).norm(dim=-1)
for name, where in (("seen", broken.detected), ("missing", ~broken.detected)):
    error, width = off[where].mean(), spread[where].mean()
    print(f"{name}: {error:.0f} px from the truth, hypotheses {width:.0f} px apart")

# %% Further knowledge is a list of terms: measured bone lengths, a floor
lengths = BoneLengths(default_bone_lengths(), std=0.01)
known = replace(sampler, terms=(lengths, GroundPlane(height=-0.1)))
again = known.sample(broken, 5, seeded_noise(0))
bones = again.joints[..., 2, :] - again.joints[..., 1, :]
print(f"right thigh with measured bones: {bones.norm(dim=-1).mean():.3f} m")
