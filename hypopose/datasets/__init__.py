"""Prepared benchmarks as (keypoints, truth) pairs, motion shards, and a tiny built-in clip."""

from hypopose.datasets.alignment import Aligned, global_position_alignment, random_pairs
from hypopose.datasets.baselines import MeanPose
from hypopose.datasets.benchmark import (
    Benchmark,
    BenchmarkItem,
    View,
    batches,
    benchmark_names,
    define,
    from_json,
    load_benchmark,
    stack,
    to_json,
)
from hypopose.datasets.detector_noise import DetectorNoise, coco_joints
from hypopose.datasets.examples import example_motion, example_pair
from hypopose.datasets.motion import Motion, load_motion
from hypopose.datasets.virtual_cameras import CameraDistribution

__all__ = [
    "Aligned",
    "Benchmark",
    "BenchmarkItem",
    "CameraDistribution",
    "DetectorNoise",
    "MeanPose",
    "Motion",
    "View",
    "batches",
    "benchmark_names",
    "coco_joints",
    "define",
    "example_motion",
    "example_pair",
    "from_json",
    "global_position_alignment",
    "load_benchmark",
    "load_motion",
    "random_pairs",
    "stack",
    "to_json",
]
