"""Methods that draw hypotheses, one file each; look them up by name in :data:`SAMPLERS`."""

from hypopose.samplers.boneflips import BoneFlips
from hypopose.samplers.d3dp import D3DP
from hypopose.samplers.depth_prior import DepthPrior, InitialDistribution
from hypopose.samplers.diffpose import DiffPose
from hypopose.samplers.diffusion_sampler import DiffusionSampler
from hypopose.samplers.distributional import DistributionalDiffusion
from hypopose.samplers.flow_matching import FlowMatching
from hypopose.samplers.lifter import Lifter
from hypopose.samplers.mcmc import MCMC
from hypopose.samplers.missing import interpolate_missing
from hypopose.samplers.network_sampler import Step
from hypopose.samplers.platypose import HeuristicPlatypose, Platypose, ReleasedPlatypose
from hypopose.samplers.platypose.energies import BoneLengths, FootContact, GroundPlane, MotionTerm
from hypopose.samplers.pose_prior import PosePrior
from hypopose.samplers.released_diffpose import ReleasedDiffPose

__all__ = [
    "D3DP",
    "MCMC",
    "SAMPLERS",
    "BoneFlips",
    "BoneLengths",
    "DepthPrior",
    "DiffPose",
    "DiffusionSampler",
    "DistributionalDiffusion",
    "FlowMatching",
    "FootContact",
    "GroundPlane",
    "HeuristicPlatypose",
    "InitialDistribution",
    "Lifter",
    "MotionTerm",
    "Platypose",
    "PosePrior",
    "ReleasedDiffPose",
    "ReleasedPlatypose",
    "Step",
    "interpolate_missing",
]

SAMPLERS = {
    "distributional": DistributionalDiffusion,
    "d3dp": D3DP,
    "boneflips": BoneFlips,
    "diffpose": DiffPose,
    "diffpose-released": ReleasedDiffPose,
    "mcmc": MCMC,
    "flow": FlowMatching,
    "lifter": Lifter,
    "platypose": Platypose,
    "platypose-heuristic": HeuristicPlatypose,
    "platypose-released": ReleasedPlatypose,
}
