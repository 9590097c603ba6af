"""
Is the spread right?
====================

Three forecasters of one walk, and what each calibration check says about them.
"""

# %% A walk whose 3D truth is known, ten times; hypotheses around guesses that are 5 cm off.
import torch

import hypopose
from hypopose.calibration import ece, energy_score, rank_histogram, sharpness
from hypopose.types import Hypotheses, Poses3D

_, walk = hypopose.datasets.example_pair()
skeleton = walk.skeleton
truth = Poses3D(walk.joints[::3].repeat(10, 1, 1, 1), skeleton)
shape = (10, 21, *truth.joints.shape[1:])
noise = 0.05 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
noise[..., skeleton.root, :] = 0
guess = truth.joints[:, None] + noise[:, :1]
forecasters = {
    "too narrow": Hypotheses(guess + 0.5 * noise[:, 1:], skeleton),
    "calibrated": Hypotheses(guess + noise[:, 1:], skeleton),
    "too wide": Hypotheses(guess + 2.0 * noise[:, 1:], skeleton),
}

# %% The calibration error should be near its chance level; calibrated hypotheses score best.
curves = {name: ece(hypotheses, truth) for name, hypotheses in forecasters.items()}
print(f"{'':12}{'ECE':>8}{'chance':>8}{'verdict':>18}{'energy score':>14}{'80 % radius':>13}")
for name, hypotheses in forecasters.items():
    curve = curves[name]
    verdicts = curve.verdicts()
    verdict = max(set(verdicts), key=verdicts.count)
    score = 1000 * energy_score(hypotheses, truth, joints=range(1, 17)).mean()
    radius = 1000 * sharpness(hypotheses).radius[1, 1:].mean()
    print(f"{name:12}{curve.ece:8.3f}{curve.null_ece:8.3f}{verdict:>18}{score:11.1f} mm", end="")
    print(f"{radius:10.0f} mm")

# %% Depth alone: a rank histogram is flat if calibrated, a U if too narrow, a hump if too wide.
for name, hypotheses in forecasters.items():
    shapes = rank_histogram(hypotheses, truth, of="depth").shapes()
    print(f"{name:12}{', '.join(f'{shapes.count(s)} {s}' for s in dict.fromkeys(shapes))}")

# %% The curves, with the band in which a calibrated one stays.
import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(4, 4), layout="constrained")
low, high = curves["calibrated"].bands()
axis.fill_between(curves["calibrated"].levels, low[0], high[0], color="0.85", label="95 % band")
for (name, curve), style in zip(curves.items(), ("--", "-", ":"), strict=True):
    axis.plot(curve.levels, curve.curve, style, label=name)
axis.set(xlabel="nominal level", ylabel="share of truths inside", xlim=(0, 1), ylim=(0, 1))
axis.legend()
figure.savefig("calibration_curve.png")
print("calibration_curve.png")
