"""Joint tables and published conversions against recorded ones (1e-4 px)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from hypopose.skeletons import (
    COCO17,
    H36M17,
    H36M32,
    HALPE26,
    HUMANEVA15,
    MPI3DHP17,
    MPI3DHP28,
    MPII16,
    conversion_matrix,
    convert,
    convert_points,
)
from hypopose.types import Keypoints2D


def test_joint_tables(golden: Callable[[str], Any]) -> None:
    io = {name: tuple(x.tolist()) for name, x in golden("datasets/skeletons").io.items()}
    assert io["h36m32_parents"] == H36M32.parents
    assert io["h36m17_parents"] == H36M17.parents
    assert (io["h36m17_left"], io["h36m17_right"]) == (H36M17.left, H36M17.right)
    assert io["humaneva15_parents"] == HUMANEVA15.parents
    assert io["humaneva15_left"] == HUMANEVA15.left
    assert io["humaneva15_right"] == HUMANEVA15.right
    kept = conversion_matrix(H36M32, H36M17).argmax(-1)
    assert tuple(kept.tolist()) == io["h36m17_kept"]


@pytest.mark.parametrize(
    ("source", "target", "conversion", "given", "expected"),
    [
        (COCO17, H36M17, "lifters-coco17", "coco17", "h36m_from_coco"),
        (COCO17, H36M17, "lifters-coco17-hrnet", "coco17", "h36m_from_coco_hrnet_variant"),
        (MPII16, H36M17, "lifters-mpii16", "mpii16", "h36m_from_mpii"),
        (HALPE26, H36M17, "motionbert-halpe26", "halpe26", "h36m_from_halpe"),
        (MPI3DHP28, MPI3DHP17, "default", "mpi3dhp28", "mpi3dhp17"),
        (MPI3DHP17, H36M17, "default", "mpi3dhp17", "h36m_from_3dhp17"),
    ],
)
def test_published_conversions(
    golden: Callable[[str], Any],
    source: Any,
    target: Any,
    conversion: str,
    given: str,
    expected: str,
) -> None:
    io = golden("datasets/joint_maps").io
    ours = convert_points(io[given].double(), source, target, conversion=conversion)
    torch.testing.assert_close(ours.float(), io[expected], atol=1e-4, rtol=0)


def test_published_confidences(golden: Callable[[str], Any]) -> None:
    io = golden("datasets/joint_maps").io
    keypoints = Keypoints2D(io["coco17"], COCO17, confidence=io["coco_scores"])
    ours = convert(keypoints, H36M17, conversion="lifters-coco17")
    assert ours.confidence is not None
    torch.testing.assert_close(ours.confidence, io["h36m_scores"], atol=1e-6, rtol=0)
