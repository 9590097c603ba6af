"""
Recalibrate a sampler
=====================

Fit the spread on some sequences and check it on others.
"""

# %% One walk, turned about the vertical: each angle is a sequence with its own keypoints.
import math
from dataclasses import replace

import torch

import hypopose
from hypopose.calibration import Chain, ConformalBalls, SpreadScaling, ece, save_calibrator
from hypopose.cameras import project
from hypopose.types import Hypotheses, Poses3D

keypoints, walk = hypopose.datasets.example_pair()
generator = torch.Generator().manual_seed(0)
LEVELS = (0.5, 0.8, 0.95)


def turned(angle: float) -> tuple[Hypotheses, Poses3D]:
    c, s = math.cos(angle), math.sin(angle)
    joints = walk.joints[::3] @ torch.tensor([[c, 0, s], [0, 1.0, 0], [-s, 0, c]]).T
    root = walk.root[::3]
    px = project(joints + root[:, None], keypoints.camera)
    px = px + 4 * torch.randn(px.shape, generator=generator)
    seen = replace(keypoints, xy=px, confidence=None)
    hypotheses = hypopose.sample(seen, sampler="boneflips", n_hypotheses=20)
    return Hypotheses(hypotheses.joints, walk.skeleton), Poses3D(joints, walk.skeleton)


sequences = [turned(2 * math.pi * i / 40) for i in range(40)]
fit, check = sequences[::2], sequences[1::2]


def stacked(pairs: list[tuple[Hypotheses, Poses3D]]) -> tuple[Hypotheses, Poses3D]:
    joints = torch.stack([hypotheses.joints for hypotheses, _ in pairs])
    truth = torch.stack([poses.joints for _, poses in pairs])
    return Hypotheses(joints, walk.skeleton), Poses3D(truth, walk.skeleton)


# %% Fit, then check on other sequences. Bone flips have two modes per bone, which widening cannot
# turn into one cloud, so coverage improves more than the calibration error.
hypotheses, truth = stacked(check)
calibrators = {
    "one factor": SpreadScaling.fit(fit, per="pose"),
    "per axis": SpreadScaling.fit(fit, per="axis"),
    "axes and radii": Chain.fit(fit),
}
rows = {"as sampled": hypotheses}
rows |= {name: c.transform(hypotheses) for name, c in calibrators.items()}
print(f"{'':16}{'ECE':>7}" + "".join(f"{100 * q:6.0f} %" for q in LEVELS))
for name, moved in rows.items():
    covered = ece(moved, truth, levels=LEVELS).curve
    print(f"{name:16}{ece(moved, truth).ece:7.3f}" + "".join(f"{100 * c:6.1f} %" for c in covered))

# %% Conformal balls guarantee coverage for a new sequence; 20 sequences support at most 20/21.
balls = ConformalBalls.fit([stacked(fit)], levels=LEVELS)
inside = [balls.regions(hypotheses, q).contains(truth)[..., 1:].mean() for q in LEVELS]
print(f"{'conformal balls':16}{'':7}" + "".join(f"{100 * c:6.1f} %" for c in inside))

# %% A calibrator is a small file, for hypopose sample --calibrator calibrator.json
save_calibrator(calibrators["axes and radii"], "calibrator.json")
print("calibrator.json")
