"""
What do hypotheses disagree on?
===============================

Ambiguity of one video without ground truth, and what a second camera would resolve.

Run it as a script, or cell by cell. Give a keypoint file and the size of its image:

    python examples/ambiguity.py walk.json 1920 1080

Without one it takes the recording in ``shared/data/keypoints`` beside the repository, and where
there is none, the built-in synthetic walk.
"""

from __future__ import annotations

# %% Keypoints: from a file, or the synthetic walk
import sys
from dataclasses import replace
from pathlib import Path

import hypopose
from hypopose.ambiguity import analyze, hide_keypoints, second_camera
from hypopose.api import prepare
from hypopose.types import Hypotheses, Keypoints2D

here = Path(globals().get("__file__", "notebook")).resolve().parent
beside = here.parents[1] / "shared" / "data" / "keypoints"
recording = beside / "openpose" / "motionet_body25"  # one person, 640 x 640 assumed
if len(sys.argv) > 1:
    source, size = Path(sys.argv[1]), tuple(int(pixels) for pixels in sys.argv[2:4])
    keypoints = hypopose.load(source, image_size=(size[0], size[1]) if size else None)
    print(f"keypoints: {source.name}")
elif recording.is_dir():
    keypoints = hypopose.load(recording, image_size=(640, 640))
    print(f"keypoints: {recording.name}")
else:
    keypoints, _ = hypopose.datasets.example_pair(20)
    print("keypoints: the built-in synthetic walk")
n_frames = min(20, keypoints.n_frames)
keypoints = replace(
    keypoints,
    xy=keypoints.xy[:n_frames],
    confidence=None if keypoints.confidence is None else keypoints.confidence[:n_frames],
    covariance=None if keypoints.covariance is None else keypoints.covariance[:n_frames],
)
keypoints = prepare(keypoints, "h36m17")

# %% Hypotheses: bone flips contain every depth ambiguity and need no weights
hypotheses = hypopose.sample(keypoints, n_hypotheses=60, sampler="boneflips")

# %% Spread, modes, flips with names, in sentences
for sentence in analyze(hypotheses).sentences():
    print(sentence)

# %% What a second camera would leave
angles = [0.0, 15.0, 30.0, 60.0, 90.0]
two = second_camera(hypotheses, angles)
for angle, left in zip(angles, two.reweighted, strict=True):
    print(f"second camera at {angle:2.0f} degrees: {1000 * left.nanmean():4.0f} mm remain")
print(f"without it: {1000 * two.now.nanmean():.0f} mm")

import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
axis.plot(angles, [1000 * float(left.nanmean()) for left in two.reweighted], "o-")
axis.axhline(1000 * float(two.now.nanmean()), linestyle=":", label="one camera")
axis.set(xlabel="angle between the cameras, degrees", ylabel="remaining std, mm", ylim=(0, None))
axis.legend()
figure.savefig("second_camera.png")


# %% Which keypoint matters? Hide one at a time and sample again, same seed
def sample(changed: Keypoints2D) -> Hypotheses:
    """Twenty hypotheses of the default sampler."""
    return hypopose.sample(changed, n_hypotheses=20, seed=0)


found = hide_keypoints(sample, keypoints, ["left_wrist", "right_knee", "head"])
for row, name in enumerate(found.keypoints):
    worst = int((found.std_after[row] - found.std_before).argmax())
    before, after = 1000 * found.std_before[worst], 1000 * found.std_after[row, worst]
    print(f"without {name}: {found.joints[worst]} {before:.0f} -> {after:.0f} mm")
