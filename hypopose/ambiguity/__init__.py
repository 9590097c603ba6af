"""What the hypotheses disagree on, without ground truth: spread, entropy, modes, flips, causes."""

from hypopose.ambiguity.analysis import Ambiguity, analyze, mode_names
from hypopose.ambiguity.causes import (
    KeypointInfluence,
    hide_keypoints,
    jitter_keypoints,
    reveal_keypoints,
)
from hypopose.ambiguity.covariance import (
    JointSpread,
    depth_share,
    joint_covariance,
    joint_spread,
    viewing_rays,
)
from hypopose.ambiguity.dependence import MEASURES, joint_dependence
from hypopose.ambiguity.entropy import (
    effective_std,
    gaussian_entropy,
    joint_entropy,
    knn_entropy,
    pose_entropy,
    principal_scores,
)
from hypopose.ambiguity.flips import (
    SignedDepths,
    bone_depths,
    bone_name,
    depth_flips,
    describe,
    side_order,
    switch_rate,
)
from hypopose.ambiguity.modes import Modes, find_modes, joint_modes, pose_modes
from hypopose.ambiguity.second_camera import SecondCamera, second_camera

__all__ = [
    "MEASURES",
    "Ambiguity",
    "JointSpread",
    "KeypointInfluence",
    "Modes",
    "SecondCamera",
    "SignedDepths",
    "analyze",
    "bone_depths",
    "bone_name",
    "depth_flips",
    "depth_share",
    "describe",
    "effective_std",
    "find_modes",
    "gaussian_entropy",
    "hide_keypoints",
    "jitter_keypoints",
    "joint_covariance",
    "joint_dependence",
    "joint_entropy",
    "joint_modes",
    "joint_spread",
    "knn_entropy",
    "mode_names",
    "pose_entropy",
    "pose_modes",
    "principal_scores",
    "reveal_keypoints",
    "second_camera",
    "side_order",
    "switch_rate",
    "viewing_rays",
]
