"""Global position alignment against PoseDA's published function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hypopose.cameras import project, to_screen
from hypopose.simulation import global_position_alignment
from hypopose.types import Camera, Skeleton

SIZE = (2, 2)
"""In an image two pixels wide, pixels are screen coordinates plus one."""


def chain(n: int) -> Skeleton:
    """Any skeleton will do whose root is joint 0."""
    return Skeleton("chain", tuple(f"j{i}" for i in range(n)), tuple(range(-1, n - 1)))


def cameras(columns: Tensor) -> Camera:
    return Camera(focal=columns[:, :2], center=columns[:, 2:] + 1, image_size=SIZE)


def test_global_position_alignment(golden: Callable[[str], Any]) -> None:
    """The reference takes the first camera's focal length for every depth; so do we here."""
    io = golden("poseda/gpa").io
    columns = io["camera"].double()
    target = io["target_2d"].double()[io["permutation"]] + 1
    first = columns.clone()
    first[:, :2] = columns[0, :2]
    source = io["source_3d"].double()
    skeleton = chain(source.shape[1])
    ours = global_position_alignment(source, target, cameras(first), skeleton, nearest=0.0)
    # Rays use every row's own focal length, as the reference does.
    own = cameras(columns)
    depth = ours.joints[:, 0, 2]
    torch.testing.assert_close(depth.float(), io["depth"], atol=1e-5, rtol=1e-5)
    ray = (target[:, 0] - own.center) / own.focal
    root = torch.cat((ray, torch.ones_like(ray[:, :1])), -1) * depth[:, None]
    torch.testing.assert_close(root.float(), io["root_position"], atol=1e-5, rtol=1e-5)
    same = bool((columns[:, :2] == columns[0, :2]).all())
    placed = ours.joints - ours.joints[:, :1] + root[:, None]
    torch.testing.assert_close(placed.float(), io["aligned_3d"], atol=1e-5, rtol=1e-5)
    seen = to_screen(project(placed, own), SIZE)
    torch.testing.assert_close(seen.float(), io["projected_2d"], atol=1e-5, rtol=1e-5)
    if same:
        torch.testing.assert_close(ours.joints, placed)
        torch.testing.assert_close(to_screen(ours.xy, SIZE), seen)
