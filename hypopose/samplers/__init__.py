"""Methods that draw hypotheses, one file each; look them up by name in :data:`SAMPLERS`."""

from hypopose.samplers.boneflips import BoneFlips
from hypopose.samplers.d3dp import D3DP, Step, interpolate_missing
from hypopose.samplers.diffpose import DiffPose
from hypopose.samplers.distributional import DistributionalDiffusion
from hypopose.samplers.flow_matching import FlowMatching
from hypopose.samplers.lifter import Lifter
from hypopose.samplers.mcmc import MCMC
from hypopose.samplers.mixture_diffpose import MixtureDiffPose
from hypopose.samplers.motion_terms import BoneLengths, FootContact, GroundPlane, MotionTerm
from hypopose.samplers.platypose import Platypose
from hypopose.samplers.pose_prior import PosePrior
from hypopose.samplers.uncertainty import DepthPrior, InitialDistribution

__all__ = [
    "D3DP",
    "MCMC",
    "SAMPLERS",
    "BoneFlips",
    "BoneLengths",
    "DepthPrior",
    "DiffPose",
    "DistributionalDiffusion",
    "FlowMatching",
    "FootContact",
    "GroundPlane",
    "InitialDistribution",
    "Lifter",
    "MixtureDiffPose",
    "MotionTerm",
    "Platypose",
    "PosePrior",
    "Step",
    "interpolate_missing",
]

SAMPLERS = {
    "distributional": DistributionalDiffusion,
    "d3dp": D3DP,
    "boneflips": BoneFlips,
    "diffpose": MixtureDiffPose,
    "diffpose-released": DiffPose,
    "mcmc": MCMC,
    "flow": FlowMatching,
    "lifter": Lifter,
    "platypose": Platypose,
}
