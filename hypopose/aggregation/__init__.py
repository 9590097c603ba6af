"""From hypotheses to one pose: mean, median, medoid, JPMA, PPMA, silhouette, oracles."""

from collections.abc import Callable

from hypopose.aggregation.central import mean, median, medoid, medoid_index, spread
from hypopose.aggregation.oracle import (
    oracle_joint_best,
    oracle_joint_index,
    oracle_pose_best,
    oracle_pose_index,
)
from hypopose.aggregation.reprojection_choice import (
    FALLBACK,
    jpma,
    jpma_index,
    ppma,
    ppma_index,
    reprojection_distances,
)
from hypopose.aggregation.silhouette_weights import (
    mask_errors,
    resample,
    silhouette,
    silhouette_weights,
    weighted_mean,
)
from hypopose.types import Aggregator, Hypotheses, Poses3D

AGGREGATORS: dict[str, Aggregator] = {
    "mean": mean,
    "median": median,
    "medoid": medoid,
    "jpma": jpma,
    "ppma": ppma,
    "silhouette": silhouette,
}
"""Name -> ``(hypotheses, keypoints) -> poses``; none of them sees the truth."""

ORACLES: dict[str, Callable[[Hypotheses, Poses3D], Poses3D]] = {
    "oracle_joint_best": oracle_joint_best,
    "oracle_pose_best": oracle_pose_best,
}
"""Name -> ``(hypotheses, truth) -> poses``: bounds, labeled as such wherever they appear."""

__all__ = [
    "AGGREGATORS",
    "FALLBACK",
    "ORACLES",
    "jpma",
    "jpma_index",
    "mask_errors",
    "mean",
    "median",
    "medoid",
    "medoid_index",
    "oracle_joint_best",
    "oracle_joint_index",
    "oracle_pose_best",
    "oracle_pose_index",
    "ppma",
    "ppma_index",
    "reprojection_distances",
    "resample",
    "silhouette",
    "silhouette_weights",
    "spread",
    "weighted_mean",
]
