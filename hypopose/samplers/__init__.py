"""Methods that draw hypotheses, one file each; look them up by name in :data:`SAMPLERS`."""

from hypopose.samplers.boneflips import BoneFlips
from hypopose.samplers.d3dp import D3DP, Step, interpolate_missing
from hypopose.samplers.diffpose import DiffPose

__all__ = ["D3DP", "SAMPLERS", "BoneFlips", "DiffPose", "Step", "interpolate_missing"]

SAMPLERS = {"d3dp": D3DP, "boneflips": BoneFlips, "diffpose": DiffPose}
