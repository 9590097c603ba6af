"""Two samplers against known motion: a trained one and one that only knows bone lengths."""

# %% A clip whose 3D truth is known, seen by a known camera.
import hypopose

keypoints, truth = hypopose.datasets.example_pair()
print(f"{keypoints.n_frames} frames, camera assumed: {keypoints.camera.assumed}")

# %% The truth is handed over only here, to evaluate. Names with "oracle" pick by the truth.
table = {}
for sampler in ("d3dp", "boneflips"):
    hypotheses = hypopose.sample(keypoints, sampler=sampler, n_hypotheses=10)
    table[sampler] = hypopose.evaluate(hypotheses, truth, keypoints)

# %% Side by side.
print(f"{'':45}" + "".join(f"{name:>12}" for name in table))
for score in table["d3dp"]:
    print(f"{score:45}" + "".join(f"{row[score]:12.3f}" for row in table.values()))
