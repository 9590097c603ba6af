"""Published quantities of a motion: angles, ranges, speeds, gait, jumps, balance.

A quantity is a function of a :class:`BodyMotion`. Applied to every hypothesis it gives samples, and
their spread is its uncertainty. :func:`hypopose.measure` does it for a result.
"""

from hypopose.quantities.body_motion import BodyMotion, heading
from hypopose.quantities.foot_events import EventEstimate, Feet, find_feet, foot_events
from hypopose.quantities.gait import walking_share
from hypopose.quantities.intervals import LEVELS, interval
from hypopose.quantities.measurement import Measurement, Measurements, gait_cycles
from hypopose.quantities.opensim_coordinates import opensim_coordinates
from hypopose.quantities.quantity import Quantity
from hypopose.quantities.segments import center_of_mass
from hypopose.quantities.table import (
    FAMILIES,
    GROUPS,
    QUANTITIES,
    choose_quantities,
    sample_quantity,
    three_joint_angle,
)

__all__ = [
    "FAMILIES",
    "GROUPS",
    "LEVELS",
    "QUANTITIES",
    "BodyMotion",
    "EventEstimate",
    "Feet",
    "Measurement",
    "Measurements",
    "Quantity",
    "center_of_mass",
    "choose_quantities",
    "find_feet",
    "foot_events",
    "gait_cycles",
    "heading",
    "interval",
    "opensim_coordinates",
    "sample_quantity",
    "three_joint_angle",
    "walking_share",
]
