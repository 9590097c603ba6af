"""Drafts of the benchmarks in the box; ``define`` turns a draft and the shards into a definition.

python -m hypopose.datasets.definitions FOLDER_OF_SHARDS OUT_FOLDER
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from hypopose.datasets.benchmark import Benchmark, define, to_json
from hypopose.datasets.detector_noise import DetectorNoise
from hypopose.datasets.virtual_cameras import CameraDistribution

_CLEAN = CameraDistribution()
_H36M = CameraDistribution(
    focal=(1.143, 1.150),
    distance=(3.8, 5.5),
    height=(1.5, 1.6),
    aim_jitter_deg=2.0,
    roll_deg=0.5,
)
_WIDE = CameraDistribution(
    image_sizes=((2048, 2048),),
    focal=(0.73, 0.74),
    distance=(2.0, 4.0),
    height=(0.5, 2.8),
    aim_jitter_deg=4.0,
    roll_deg=1.0,
)
_PHONE = CameraDistribution(
    image_sizes=((1080, 1920), (1920, 1080)),
    focal=(0.75, 1.1),
    distance=(2.0, 6.0),
    height=(0.3, 1.7),
    aim_jitter_deg=4.0,
    roll_deg=2.5,
)


_BASE = Benchmark(
    name="test-clean",
    description="Unseen subjects (dance, acrobatics, falls, getting up), exact keypoints.",
    shards=("cmu_permissive",),
    split="test",
    seed=2026,
    cameras=_CLEAN,
)

DRAFTS: dict[str, Benchmark] = {
    draft.name: draft
    for draft in (
        _BASE,
        replace(
            _BASE,
            name="val-clean",
            description="Validation subjects (running, cartwheels, jumps), exact keypoints.",
            split="val",
        ),
        replace(
            _BASE,
            name="test-h36m",
            description="Exact keypoints, cameras like Human3.6M's.",
            cameras=_H36M,
        ),
        replace(
            _BASE,
            name="test-wide",
            description="Exact keypoints, wide cameras close to the subject.",
            cameras=_WIDE,
        ),
        replace(
            _BASE,
            name="test-phone",
            description="Exact keypoints, phone cameras of unknown focal length.",
            cameras=_PHONE,
            camera_known=False,
        ),
        replace(
            _BASE,
            name="test-detector",
            description="COCO-17 keypoints with detector noise, swaps and gaps.",
            detector=DetectorNoise(),
            keypoint_skeleton="coco17",
        ),
    )
}
"""Name -> everything but the views and the mean pose."""


def main() -> None:
    """Write every definition."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    for name, draft in DRAFTS.items():
        (target / f"{name}.json").write_text(to_json(define(draft, source)))


if __name__ == "__main__":
    main()
