"""Clocks from the whole rig: found from nearby, left alone where they are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hypopose.multiview import TimeOffset, find_rig
from hypopose.multiview.bundle_adjustment import Adjusted
from hypopose.multiview.clocks import refined_clocks

Build = Callable[..., Any]

FACING = (0.3, 1.6, 0.3 + np.pi)
"""Angles of cameras of which the last looks at the first."""


def true_rig(scene: Any) -> Adjusted:
    """The rig as bundle adjustment would find it."""
    P, n = scene.projections, len(scene.views)
    nothing, focals = np.zeros(n), np.array([v.focal for v in scene.views])
    return Adjusted(
        rotations=P[:, :, :3], translations=P[:, :, 3], focals=focals,
        points=np.zeros((1, 3)), residuals=np.zeros((n, 1, 2)), noise_px=1.0,
        rotation_std_deg=nothing, center_std=nothing, focal_std=nothing,
    )  # fmt: skip


@pytest.mark.parametrize("fixed", [(), ("view1", "view2")])
def test_clocks_nearby_are_found_from_the_rig(stage: Build, fixed: tuple[str, ...]) -> None:
    scene = stage(3, noise_px=4.0, missing=0.05, starts=(6, 0, 15), angles=FACING)
    wrong = [TimeOffset(x, 1.0, 1.0, 2.0, 2.0) for x in (0.0, 7.5, -11.0)]
    people = np.zeros((3, 1), dtype=np.int64)
    found = refined_clocks(scene.views, wrong, people, true_rig(scene), fixed)
    expected = [0.0, 7.5, -11.0] if fixed else [0.0, 6.0, -9.0]
    assert [clock.frames for clock in found] == pytest.approx(expected, abs=0.4)
    two = refined_clocks(scene.views[:2], wrong[:2], people[:2], true_rig(scene), fixed)
    assert [clock.frames for clock in two] == [0.0, 7.5]  # nobody else says otherwise


def test_a_camera_that_faces_the_first_gets_its_clock_from_the_others(stage: Build) -> None:
    scene = stage(3, noise_px=4.0, missing=0.05, starts=(6, 0, 15), angles=FACING)
    rig = find_rig(scene.views)
    assert [o.frames for o in rig.offsets] == pytest.approx([0, 6, -9], abs=0.4)


def test_recordings_in_step_are_not_shifted(stage: Build) -> None:
    scene = stage(3, noise_px=4.0, missing=0.05, angles=FACING)
    rig = find_rig([replace(view, fps=25.0) for view in scene.views], max_offset=0.0)
    assert [o.frames for o in rig.offsets] == [0.0, 0.0, 0.0]
