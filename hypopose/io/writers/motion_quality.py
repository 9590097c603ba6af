"""Measures of visible flaws of an animation: jitter, sliding feet, distance to the floor.

Jitter is the mean distance of the rig's nodes from their own paths below 6 Hz. Slide is the
horizontal path of an ankle during a contact (:mod:`.foot_lock`). The floor is height 0 of a world,
or where a rig was put on one; tips of feet count.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from hypopose.io.writers.foot_lock import has_legs, slide_mm
from hypopose.io.writers.rig import Performance, lowest
from hypopose.io.writers.scene import PER_METER, ExportScene, Take
from hypopose.quantities.foot_events import low_passed


def quality_words(performance: Performance, scene: ExportScene, take: Take, *, floor: bool) -> str:
    """Jitter, slide unless feet were held, and how deep the rig is below its floor.

    Args:
        performance: The moving rig that is written.
        scene: Its axes, unit and frame rate.
        take: The motion it was made of.
        floor: Whether height 0 is a floor.
    """
    per_mm = PER_METER[scene.unit] / 1000
    words = [f"jitter {jitter(performance.places(), scene.rate) / per_mm:.1f} mm"]
    if scene.root == "placed" and not scene.lock_feet and has_legs(scene.skeleton):
        words.append(f"feet slide {slide_mm(performance, scene, take):.0f} mm a contact")
    if floor:
        below = -lowest(performance, scene) / per_mm
        words.append(
            f"up to {max(0.0, float(below.max())):.0f} mm below the floor, more than 10 mm in "
            f"{100 * float((below > 10).mean()):.0f} % of the frames"
        )
    return ", ".join(words)


def jitter(places: Float[np.ndarray, "F N 3"], rate: float) -> float:
    """Mean distance of points from their paths below 6 Hz, in their unit.

    Args:
        places: Over time.
        rate: Frames per second.

    Example:
        >>> t = np.arange(100)[:, None, None] / 50
        >>> smooth = np.sin(2 * np.pi * t) * np.ones((1, 1, 3))
        >>> shaken = smooth + 0.1 * (-1.0) ** np.arange(100)[:, None, None]
        >>> jitter(smooth, 50.0) < 0.01, round(jitter(shaken, 50.0), 2)
        (True, 0.17)
    """
    rows = places.reshape(len(places), -1).T
    off = (rows - low_passed(rows, rate)).T.reshape(places.shape)
    return float(np.linalg.norm(off, axis=-1).mean())
