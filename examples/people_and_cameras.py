"""
Several people, a measured camera
=================================

Load several people from one file, and give the camera.
"""

# %% People are separated and followed over the frames.
from pathlib import Path

import torch

import hypopose
from hypopose import Camera
from hypopose.report.overview import draw_overview

DATA = Path(globals().get("__file__", "notebook")).resolve().parent / "data"
people = hypopose.load_people(
    DATA / "openpose_two_people", skeleton="body25b", image_size=(1088, 1920), fps=60
)
for name, keypoints in people.items():
    seen = keypoints.detected.float().mean()
    print(f"{name}: {keypoints.n_frames} frames, {100 * seen:.0f} % of the joints detected")

# %% A measured camera makes distances reliable. These numbers are only an example.
camera = Camera(
    focal=torch.tensor([1700.0, 1700.0]),
    center=torch.tensor([544.0, 960.0]),
    image_size=(1088, 1920),
)

# %% One result per person.
for name, keypoints in people.items():
    result = hypopose.estimate(keypoints.with_camera(camera), n_hypotheses=5, person=name)
    root = result.pose.root[:, 2].median()
    print(f"{name}: about {root:.1f} m from the camera")
    draw_overview(f"person_{name}.png", result)
