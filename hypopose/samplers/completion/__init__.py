"""Fill gaps in 2D keypoints and 3D motions from hypotheses, with the uncertainty of the filling.

Hypotheses drawn for a motion with gaps have a value everywhere, and beside a gap they differ
slightly from the observation. Each is therefore shifted by its own errors e = seen − h:

    filled_h(t, j) = h(t, j) + w1 e(t1, j) + w2 e(t2, j) + (1 − w1 − w2) e(t, k)

t1 and t2 are the nearest frames in which joint j was seen, with the weights of a process that
forgets exponentially (the Ornstein-Uhlenbeck bridge); k is the joint seen in frame t that is fewest
bones away. Filled joints then continue the observations without a jump and stay connected to the
body, and the spread over hypotheses shrinks towards both ends of a gap. Observed values are never
changed.

2D comes from any sampler, by projection. For 3D the known joints are projected into two virtual
cameras at right angles, and the sampler's hypotheses for both are transformed back. A network of
masked poses (:class:`hypopose.networks.MPM`) fills in both directly, without a spread.

| symbol | here |
| --- | --- |
| h, seen | ``values``, ``observed`` |
| w1, w2 | :func:`bridge_weights` |
| k | :func:`nearest_joints` |
"""

from hypopose.samplers.completion.complete_keypoints import (
    CompletedKeypoints,
    complete_keypoints,
    complete_keypoints_by_network,
    completed_keypoints,
    shared_joints,
)
from hypopose.samplers.completion.complete_motion import (
    CompletedMotion,
    complete_motion,
    complete_motion_by_network,
)
from hypopose.samplers.completion.keypoint_bridging import (
    MEMORY_S,
    between,
    bridge_weights,
    bridged,
    bridged_gaps,
    nearest_joints,
)

__all__ = [
    "MEMORY_S",
    "CompletedKeypoints",
    "CompletedMotion",
    "between",
    "bridge_weights",
    "bridged",
    "bridged_gaps",
    "complete_keypoints",
    "complete_keypoints_by_network",
    "complete_motion",
    "complete_motion_by_network",
    "completed_keypoints",
    "nearest_joints",
    "shared_joints",
]
