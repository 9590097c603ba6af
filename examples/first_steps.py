"""
First steps
===========

From a keypoint file to 3D hypotheses, one motion, and a picture.
"""

# %% Load 120 OpenPose frames of one person. The image size is that of the video.
from pathlib import Path

import hypopose
from hypopose.report.overview import draw_overview

DATA = Path(globals().get("__file__", "notebook")).resolve().parent / "data"
keypoints = hypopose.load(DATA / "openpose", image_size=(640, 640))
print(f"{keypoints.n_frames} frames, skeleton {keypoints.skeleton.name}")
print(f"{int((~keypoints.detected).sum())} joints were not detected; they stay missing")

# %% Sample 8 plausible motions. The camera is unknown, so one is assumed and noted.
result = hypopose.estimate(keypoints, n_hypotheses=8, seed=0)
for note in result.notes:
    print("note:", note)

# %% Where do the hypotheses disagree? One image does not show depth.
std_mm = 1000 * result.hypotheses.joints.std(0).mean(0)
wrist = result.hypotheses.skeleton.index("left_wrist")
lateral, vertical, depth = std_mm[wrist].tolist()
print(f"left wrist: {lateral:.0f} mm sideways, {vertical:.0f} mm up and down, {depth:.0f} mm depth")

# %% Save the result and a picture.
hypopose.save_result("first_steps.npz", result)
draw_overview("first_steps.png", result)
again = hypopose.load_hypotheses("first_steps.npz")
print(f"{len(again.hypotheses)} hypotheses by {again.sampler['name']}, seed {again.seed}")
