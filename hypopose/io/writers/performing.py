"""From a motion to the rig that is written: its own skeleton or a humanoid, optionally cleaned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hypopose.io.writers.foot_lock import lock_feet
from hypopose.io.writers.humanoid import perform_humanoid
from hypopose.io.writers.motion_quality import quality_words
from hypopose.io.writers.rig import Performance, lowest, perform
from hypopose.io.writers.scene import PER_METER, ExportScene, Take

SOLE = 0.05
"""Share of frames in which a foot may be below the floor that is put under it."""


def performed(scene: ExportScene, take: Take) -> Performance:
    """Put a motion on the rig that was chosen, with the clean-up that was chosen.

    Args:
        scene: Skeleton, axes, unit and choices.
        take: One of its motions.

    Returns:
        The rig in motion. A humanoid stands on the floor where that was not given: in a file
        without a world, its first root above the origin, and in a world estimated from feet.

    Raises:
        OptionError: If the motion cannot be put on the rig, see :func:`perform`.
    """
    if scene.rig is None:
        performance = perform(scene, take)
    else:
        performance = perform_humanoid(scene, take, scene.rig)
    if scene.lock_feet:
        performance = lock_feet(performance, scene, take)
    placed = scene.root == "placed"
    stands = scene.rig is not None and placed and _floor_unknown(scene)
    if stands:
        performance = _on_the_floor(performance, scene)
    floor = stands or (scene.frame == "world" and placed)
    words = quality_words(performance, scene, take, floor=floor)
    performance = replace(performance, note=f"{performance.note}; {words}")
    if scene.in_place:
        upright = performance.root @ scene.to_z_up.T
        upright[:, :2] = upright[:1, :2]
        performance = replace(
            performance, root=upright @ scene.to_z_up, note=f"{performance.note}; in place"
        )
    return performance


def _floor_unknown(scene: ExportScene) -> bool:
    """Whether height 0 is no floor, or one that was estimated."""
    return scene.frame == "camera" or scene.result.world_is_estimated


def _on_the_floor(performance: Performance, scene: ExportScene) -> Performance:
    """The rig moved so that it stands at height 0; without a world it begins above the origin."""
    upright = performance.root @ scene.to_z_up.T
    floor = float(np.quantile(lowest(performance, scene), SOLE))
    start = upright[0] if scene.origin is None else scene.to_z_up @ scene.origin
    level = start[:2] if scene.frame == "camera" else np.zeros(2)
    shift = np.array([*level, floor])
    moved = replace(performance, root=(upright - shift) @ scene.to_z_up)
    meters = -floor / PER_METER[scene.unit]
    return replace(moved, note=f"{moved.note}; put on a floor, {meters:+.2f} m")
