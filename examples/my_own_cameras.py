"""
My own cameras
==============

Four uncalibrated cameras: find them from the person, triangulate, and adapt the weights.
"""

# %% A person who walks and bends, seen by four cameras with 3 px of noise. Use your own files here:
# ``hypopose.load_people("front.json")`` for each view.
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

import hypopose
from hypopose import Camera, Keypoints2D, get_skeleton
from hypopose.api.rigs import find_cameras
from hypopose.api.several_views import bring_together, triangulate_views
from hypopose.cameras import look_at, project, world_to_cam
from hypopose.datasets.synthetic import synthetic_motion
from hypopose.optimization.stature import stature
from hypopose.report.plotting import new_figure

skeleton = get_skeleton("h36m17")
figures = synthetic_motion("test")
body = torch.cat([figures.clip(figures.names.index(f"synthetic_0_{a}")) for a in ("walk", "bend")])
lens = Camera(torch.tensor([1000.0, 1000.0]), torch.tensor([640.0, 480.0]), (1280, 960))
views, hidden = {}, {}
generator = torch.Generator().manual_seed(0)
for i, name in enumerate(("front", "left", "back", "right")):
    azimuth = math.pi / 2 * i + 0.4
    place = torch.tensor([4.5 * math.cos(azimuth), 4.5 * math.sin(azimuth), 1.2 + 0.2 * i])
    R = look_at(torch.tensor([0.0, 0.0, 0.9]) - place)
    hidden[name] = replace(lens, rotation=R, translation=-R @ place)
    xy = project(world_to_cam(body, hidden[name]), lens)
    xy = xy + 3 * torch.randn(xy.shape, generator=generator)
    views[name] = [Keypoints2D(xy, skeleton, camera=lens, fps=50.0)]

# %% Where the cameras stand. Focal lengths are known here; without them they are found too.
height = float(stature(body, skeleton))
found = find_cameras(views, height=height, max_offset=0.0)
print(found.describe())

# %% The person in three dimensions, from all views.
together = bring_together(views, found.rig)
result = triangulate_views(together, scale_std=found.rig.scale_std, n_hypotheses=5)["0"]
print(f"triangulated: {result.pose.joints.shape[0]} frames,", *result.notes[:2], sep="\n  ")

# %% The rig, with the person in it.
person = torch.from_numpy(found.people.points[0])
figure = new_figure(6.0, 5.0)
axes = figure.add_subplot(projection="3d")
for frame in range(0, len(person), 54):
    for parent, child in skeleton.bones:
        axes.plot(*person[frame, [parent, child]].T.tolist(), color="tab:blue", linewidth=1.0)
for name, camera in found.rig.cameras.items():
    R, t = camera.rotation, camera.translation
    corners = torch.tensor([[-0.4, -0.3, 0.7], [0.4, -0.3, 0.7], [0.4, 0.3, 0.7], [-0.4, 0.3, 0.7]])
    center, image = -R.T @ t, (corners - t) @ R
    for a, b in zip(image, image.roll(-1, 0), strict=True):
        axes.plot(*torch.stack([center, a, b]).T.tolist(), color="tab:orange", linewidth=1.0)
    axes.text(*center.tolist(), name)
axes.set(xlabel="x [m]", ylabel="y [m]", zlabel="z [m]", zticks=[0, 1, 2])
axes.set_aspect("equal")
figure.savefig("rig.png", dpi=120, bbox_inches="tight", pad_inches=0.3)

# %% Adapted weights: views label each other. This is far too short to be useful; leave the budget
# out, and give ``motion="FOLDER"`` with motion capture, for ten minutes of training.
budget = {"n_frames": 500, "batch_frames": 250, "builds": False, "teacher": 0.0, "seed": 0}
target = {name: people[0] for name, people in views.items()}
folder = Path(tempfile.mkdtemp(prefix="hypopose_")) / "adapted"
adapted = hypopose.adapt(target, folder, rig=found.rig, **budget)
for score, change in adapted.changes.items():
    print(f"{score}: {change.before:.2f} -> {change.after:.2f} ± {change.std_error:.2f}")
print("weights written" if adapted.has_improved else "nothing improved: the defaults stay")
