"""Prepared benchmarks as (keypoints, truth) pairs, motion shards, and a tiny built-in clip."""

from hypopose.datasets.examples import example_motion, example_pair
from hypopose.datasets.motion import Motion, load_motion

__all__ = ["Motion", "example_motion", "example_pair", "load_motion"]
