"""Benchmarks as (keypoints, truth) pairs, motion shards, and a small built-in clip."""

from hypopose.datasets.baselines import MeanPose
from hypopose.datasets.batching import batches, stack
from hypopose.datasets.benchmark import Benchmark, BenchmarkItem, BenchmarkView
from hypopose.datasets.benchmark_drawing import define
from hypopose.datasets.benchmark_files import benchmark_names, from_json, load_benchmark, to_json
from hypopose.datasets.examples import example_motion, example_pair
from hypopose.datasets.shards import load_motion
from hypopose.simulation import CameraDistribution, DetectorNoise, Motion, coco_joints

__all__ = [
    "Benchmark",
    "BenchmarkItem",
    "BenchmarkView",
    "CameraDistribution",
    "DetectorNoise",
    "MeanPose",
    "Motion",
    "batches",
    "benchmark_names",
    "coco_joints",
    "define",
    "example_motion",
    "example_pair",
    "from_json",
    "load_benchmark",
    "load_motion",
    "stack",
    "to_json",
]
