"""Fit the centers of the pose structure score to poses of motion shards, seen as in training.

    python benchmarks/fit_pose_clusters.py MOTION/cmu_permissive.npz MOTION/deepmimic_mit.npz

Only clips of the train split are used. Poses are drawn evenly over frames, each seen by a camera of
its own; the seed decides both, and the first centers.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from hypopose.datasets import load_motion
from hypopose.io.atomic import write_atomically
from hypopose.metrics import cluster_of, fit_pose_clusters
from hypopose.metrics.pose_structure import BUNDLED
from hypopose.simulation import Draws, place_cameras
from hypopose.skeletons import H36M17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("shards", nargs="+")
    parser.add_argument("--output", type=Path, default=BUNDLED)
    parser.add_argument("--n-poses", type=int, default=20_000)
    parser.add_argument("--n-clusters", type=int, nargs="+", default=(50, 100))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    generator = torch.Generator().manual_seed(args.seed)
    motion = load_motion(tuple(args.shards), "train")
    rows = torch.randperm(len(motion.joints), generator=generator)[: args.n_poses]
    world = motion.joints[rows][:, None]
    rotation, position = place_cameras(world, Draws(generator), 0.0)
    seen = ((world - position[:, None, None]) @ rotation.mT[:, None])[:, 0]
    names = ", ".join(Path(shard).stem for shard in args.shards)
    source = f"{len(seen)} poses of {names} (train split), seed {args.seed}"
    fitted = [
        fit_pose_clusters(seen, k, H36M17, seed=args.seed, source=source) for k in args.n_clusters
    ]
    told = {"skeleton": H36M17.name, "root": str(H36M17.root), "source": source}
    tensors = {str(len(c.centers)): c.centers.float() for c in fitted}
    with write_atomically(args.output) as partial:
        save_file(tensors, partial, metadata=told)
        partial.chmod(0o644)
    for clusters in fitted:
        count = torch.bincount(cluster_of(seen, clusters), minlength=len(clusters.centers))
        size = {"smallest": int(count.min()), "largest": int(count.max())}
        print(json.dumps({"clusters": len(clusters.centers), "poses": len(seen), **size}))


if __name__ == "__main__":
    main()
