"""
Fill gaps in keypoints
======================

Fill what a tracker lost, in 2D keypoints and in a 3D motion, and list what was filled.
"""

# %% A second of walking in which a wrist is lost for a while and a leg is never seen
from dataclasses import replace

import torch

import hypopose
from hypopose import Poses3D

keypoints, truth = hypopose.datasets.example_pair()
xy = keypoints.xy.clone()
xy[15:30, 16] = torch.nan  # right wrist
xy[:, 4:7] = torch.nan  # left leg
broken = replace(keypoints, xy=xy, confidence=None, covariance=None)

# %% Detected keypoints stay; filled ones are marked and have a standard deviation
done = hypopose.complete(broken, n_hypotheses=20)
error = (done.keypoints.xy - keypoints.xy).norm(dim=-1)
for name, joints in (("wrist", [16]), ("leg", [4, 5, 6])):
    filled = done.filled[:, joints]
    off, std = error[:, joints][filled].mean(), done.std[:, joints][filled].mean()
    print(f"{name}: {int(filled.sum())} filled, {off:.0f} px off, {std:.0f} px standard deviation")

# %% Keypoints of low confidence are replaced only on request
doubtful = replace(keypoints, confidence=torch.rand(keypoints.xy.shape[:-1]), covariance=None)
print(int(hypopose.complete(doubtful, below=0.1).filled.sum()), "doubtful keypoints replaced")

# %% The same for 3D motion, here with an elbow and a wrist missing for 0.3 s
joints = truth.joints.clone()
joints[20:35, 12:14] = torch.nan
motion = hypopose.complete(Poses3D(joints, truth.skeleton, root=truth.root), fps=50.0)
off = (motion.poses.joints - truth.joints).norm(dim=-1)[motion.filled].mean()
print(f"{int(motion.filled.sum())} joints filled, {1000 * off:.0f} mm off")

# %% The command line does both
# hypopose complete walk.json -o walk-complete.csv
# hypopose complete motion.npy --3d -o motion-complete.npz
