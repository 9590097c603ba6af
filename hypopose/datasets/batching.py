"""Group benchmark items so that they can be sampled together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from hypopose.datasets.benchmark import BenchmarkItem
from hypopose.types import Camera, Keypoints2D, Poses3D


def batches(items: Iterator[BenchmarkItem], size: int) -> Iterator[list[BenchmarkItem]]:
    """Group items of equal length and image, so that they can be sampled together.

    Args:
        items: In any order.
        size: Items per group at most.

    Yields:
        Groups; each as soon as it is full, the rest at the end.
    """
    waiting: dict[tuple[int, tuple[int, int] | None], list[BenchmarkItem]] = {}
    for item in items:
        key = (item.keypoints.n_frames, item.keypoints.image_size)
        group = waiting.setdefault(key, [])
        group.append(item)
        if len(group) == size:
            yield waiting.pop(key)
    yield from waiting.values()


def stack(items: Sequence[BenchmarkItem]) -> tuple[Keypoints2D, Poses3D]:
    """Put items of equal length side by side.

    Args:
        items: One group of :func:`batches`.

    Returns:
        Keypoints and truth with a batch axis; the camera has one too.
    """
    first = items[0].keypoints
    cameras = [_camera(item.keypoints) for item in items]
    keypoints = replace(
        first,
        xy=torch.stack([item.keypoints.xy for item in items]),
        confidence=torch.stack([_confidence(item.keypoints) for item in items]),
        camera=replace(
            cameras[0],
            focal=torch.stack([camera.focal for camera in cameras]),
            center=torch.stack([camera.center for camera in cameras]),
        ),
    )
    joints = torch.stack([item.truth.joints for item in items])
    roots = torch.stack([_root(item.truth) for item in items])
    return keypoints, Poses3D(joints, items[0].truth.skeleton, root=roots)


def _camera(keypoints: Keypoints2D) -> Camera:
    assert keypoints.camera is not None  # every item has one
    return keypoints.camera


def _confidence(keypoints: Keypoints2D) -> Tensor:
    assert keypoints.confidence is not None
    return keypoints.confidence


def _root(poses: Poses3D) -> Tensor:
    assert poses.root is not None
    return poses.root
