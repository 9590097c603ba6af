"""Several views: triangulation, cameras from people, clocks, matching people, labels, fusion.

Layout::

    triangulation.py        points from views, by name of the method
    optimal_correction.py   the nearest pair of points whose rays meet
    epipolar.py             essential matrices
    relative_pose.py        the pose of a second view, robustly
    time_offsets.py         offset and rate between two recordings
    matching.py             people matched between two views
    camera_tracks.py        the people one camera saw
    synchrony.py, clocks.py all cameras on one clock
    rig_finding.py, rig_building.py   cameras of all views from moving people
    bundle_adjustment.py    all cameras and joints together
    scale.py                meters
    pseudo_labels.py        people in the world, with covariance; labels for each camera
    error_memory.py         how long errors of these last
    fusion.py               hypotheses of single views, combined
"""

from hypopose.multiview.bundle_adjustment import Adjusted, adjust_bundle
from hypopose.multiview.camera_tracks import ViewTracks, view_tracks
from hypopose.multiview.epipolar import (
    decompose,
    essential_matrix,
    essential_of_pose,
    sampson,
)
from hypopose.multiview.error_memory import ErrorMemory, memory_of
from hypopose.multiview.fusion import fuse_hypotheses
from hypopose.multiview.matching import MatchedPair, match_views, pair_people
from hypopose.multiview.optimal_correction import corrected_pair
from hypopose.multiview.pseudo_labels import (
    Gates,
    Labels,
    Triangulated,
    pseudo_labels,
    triangulate_people,
)
from hypopose.multiview.relative_pose import RelativePose, relative_pose
from hypopose.multiview.rig_finding import FoundRig, find_rig
from hypopose.multiview.scale import (
    Scale,
    scale_from_baseline,
    scale_from_bones,
    scale_from_stature,
)
from hypopose.multiview.synchrony import Synchronized, match_known, projection_of, synchronize
from hypopose.multiview.time_offsets import TimeOffset, checked_offset, estimate_offset
from hypopose.multiview.triangulation import (
    IteratedPoints,
    iterative_least_squares,
    triangulate_points,
)

__all__ = [
    "Adjusted",
    "ErrorMemory",
    "FoundRig",
    "Gates",
    "IteratedPoints",
    "Labels",
    "MatchedPair",
    "RelativePose",
    "Scale",
    "Synchronized",
    "TimeOffset",
    "Triangulated",
    "ViewTracks",
    "adjust_bundle",
    "checked_offset",
    "corrected_pair",
    "decompose",
    "essential_matrix",
    "essential_of_pose",
    "estimate_offset",
    "find_rig",
    "fuse_hypotheses",
    "iterative_least_squares",
    "match_known",
    "match_views",
    "memory_of",
    "pair_people",
    "projection_of",
    "pseudo_labels",
    "relative_pose",
    "sampson",
    "scale_from_baseline",
    "scale_from_bones",
    "scale_from_stature",
    "synchronize",
    "triangulate_people",
    "triangulate_points",
    "view_tracks",
]
