"""MPJPE family, PCK, AUC, CPS, alignment, bones: functions of tensors that keep their unit."""

from hypopose.metrics.alignment import align, p_joint_errors, p_mpjpe
from hypopose.metrics.bones import (
    bone_length_error,
    bone_length_variation,
    bone_lengths,
    symmetry_error,
    symmetry_errors,
)
from hypopose.metrics.motion_errors import (
    acceleration_error,
    acceleration_errors,
    mpjve,
    velocity_errors,
)
from hypopose.metrics.pose_structure import (
    PoseClusters,
    cluster_entropy,
    cluster_of,
    fit_pose_clusters,
    pss,
)
from hypopose.metrics.position import joint_errors, mpjpe, n_joint_errors, n_mpjpe
from hypopose.metrics.reprojection import reprojection_error
from hypopose.metrics.thresholds import (
    AUC_THRESHOLDS,
    CPS_JOINTS_H36M17,
    PCK_GROUPS_3DHP17,
    PCK_JOINTS_H36M17,
    auc,
    below,
    cps,
    pck,
)

__all__ = [
    "AUC_THRESHOLDS",
    "CPS_JOINTS_H36M17",
    "PCK_GROUPS_3DHP17",
    "PCK_JOINTS_H36M17",
    "PoseClusters",
    "acceleration_error",
    "acceleration_errors",
    "align",
    "auc",
    "below",
    "bone_length_error",
    "bone_length_variation",
    "bone_lengths",
    "cluster_entropy",
    "cluster_of",
    "cps",
    "fit_pose_clusters",
    "joint_errors",
    "mpjpe",
    "mpjve",
    "n_joint_errors",
    "n_mpjpe",
    "p_joint_errors",
    "p_mpjpe",
    "pck",
    "pss",
    "reprojection_error",
    "symmetry_error",
    "symmetry_errors",
    "velocity_errors",
]
