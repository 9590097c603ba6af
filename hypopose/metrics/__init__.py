"""MPJPE family, PCK, AUC, CPS, alignment, bones: on tensors, and as streaming accumulators."""

from hypopose.metrics.alignment import align, p_joint_errors, p_mpjpe
from hypopose.metrics.bones import (
    bone_length_error,
    bone_length_variation,
    bone_lengths,
    symmetry_error,
)
from hypopose.metrics.hypotheses import (
    diversity,
    expected_error,
    oracle_clip_best_error,
    oracle_frame_best_error,
    oracle_joint_best_error,
)
from hypopose.metrics.motion import (
    acceleration_error,
    acceleration_errors,
    mpjve,
    velocity_errors,
)
from hypopose.metrics.position import joint_errors, mpjpe, n_joint_errors, n_mpjpe
from hypopose.metrics.reprojection import reprojection_error
from hypopose.metrics.streaming import METRICS, MeanOverFrames, check_target
from hypopose.metrics.thresholds import (
    AUC_THRESHOLDS,
    CPS_JOINTS_H36M17,
    PCK_GROUPS_3DHP17,
    PCK_JOINTS_H36M17,
    auc,
    cps,
    pck,
)

__all__ = [
    "AUC_THRESHOLDS",
    "CPS_JOINTS_H36M17",
    "METRICS",
    "PCK_GROUPS_3DHP17",
    "PCK_JOINTS_H36M17",
    "MeanOverFrames",
    "acceleration_error",
    "acceleration_errors",
    "align",
    "auc",
    "bone_length_error",
    "bone_length_variation",
    "bone_lengths",
    "check_target",
    "cps",
    "diversity",
    "expected_error",
    "joint_errors",
    "mpjpe",
    "mpjve",
    "n_joint_errors",
    "n_mpjpe",
    "oracle_clip_best_error",
    "oracle_frame_best_error",
    "oracle_joint_best_error",
    "p_joint_errors",
    "p_mpjpe",
    "pck",
    "reprojection_error",
    "symmetry_error",
    "velocity_errors",
]
