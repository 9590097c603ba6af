"""
Compare two samplers
====================

A trained sampler and one that only knows bone lengths, against known motion.
"""

# %% A clip with known 3D motion, seen by a known camera.
import hypopose

keypoints, truth = hypopose.datasets.example_pair()
print(f"{keypoints.n_frames} frames, camera assumed: {keypoints.camera.assumed}")

# %% Ground truth is used only here, to evaluate. "oracle" scores select by it.
table = {}
for sampler in ("d3dp", "boneflips"):
    hypotheses = hypopose.sample(keypoints, sampler=sampler, n_hypotheses=10)
    table[sampler] = hypopose.evaluate(hypotheses, truth, keypoints)

# %% Side by side.
print(f"{'':45}" + "".join(f"{name:>12}" for name in table))
for score in table["d3dp"]:
    print(f"{score:45}" + "".join(f"{row[score]:12.3f}" for row in table.values()))

# %% The errors as a picture
import matplotlib.pyplot as plt

shown = ["mpjpe_mean_mm", "mpjpe_single_mm", "mpjpe_oracle_joint_best_mm"]
figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
for offset, (name, row) in zip((-0.2, 0.2), table.items(), strict=True):
    places = [i + offset for i in range(len(shown))]
    axis.bar(places, [row[score] for score in shown], width=0.4, label=name)
axis.set_xticks(range(len(shown)), ["mean", "one hypothesis", "oracle, joint-best"])
axis.set_ylabel("MPJPE, mm")
axis.legend()
figure.savefig("compare_samplers.png")
