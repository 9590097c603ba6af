"""Methods that draw hypotheses, one file each; look them up by name in :data:`SAMPLERS`."""

from hypopose.samplers.boneflips import BoneFlips
from hypopose.samplers.d3dp import D3DP, Step, interpolate_missing

__all__ = ["D3DP", "SAMPLERS", "BoneFlips", "Step", "interpolate_missing"]

SAMPLERS = {"d3dp": D3DP, "boneflips": BoneFlips}
