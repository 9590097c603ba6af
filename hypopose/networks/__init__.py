"""Denoisers and lifters, how keypoints are presented to them, attention backends."""

from hypopose.networks.base import Network, NetworkInfo
from hypopose.networks.clip_tokens import ClipTokens
from hypopose.networks.convformer import ConvFormer
from hypopose.networks.frame_tokens import FrameTokens
from hypopose.networks.gcndiff import DiffPosePair, GCNdiff
from hypopose.networks.gcnpose import GCNpose
from hypopose.networks.gla_gcn import GLAGCN
from hypopose.networks.gumlp import GUMLP
from hypopose.networks.hot import Hourglass
from hypopose.networks.inputs import Encoded, encode, encode_rays
from hypopose.networks.ktpformer import KTPFormer
from hypopose.networks.load import NETWORKS, bundled_weights, load_network
from hypopose.networks.low_rank import (
    LowRankLinear,
    add_low_rank,
    low_rank_state,
    merge_low_rank,
)
from hypopose.networks.mhformer import MHFormer
from hypopose.networks.mixste import MixSTE2
from hypopose.networks.motion_prior import MotionPrior
from hypopose.networks.motionagformer import MotionAGFormer
from hypopose.networks.motionbert import MotionBERT
from hypopose.networks.mpm import MPM
from hypopose.networks.mpm_lifter import MPMLifter, MPMRefinement
from hypopose.networks.newest import Newest
from hypopose.networks.pmce import PMCE, MeshDecoder
from hypopose.networks.pose_augmentor import Augmented, PoseAugmentor
from hypopose.networks.pose_critics import ImageCritic, StructureCritic
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.refined_network import RefinedNetwork
from hypopose.networks.refinement_transformer import RefinementTransformer
from hypopose.networks.refinement_unit import PoseStatistics, RefinementUnit, refinement_loss
from hypopose.networks.scales import ScaleNetwork, ScaleTokens, uncertainty_loss
from hypopose.networks.staged import StagedNetwork, Tokens

__all__ = [
    "GLAGCN",
    "GUMLP",
    "MPM",
    "NETWORKS",
    "PMCE",
    "Augmented",
    "ClipTokens",
    "ConvFormer",
    "DiffPosePair",
    "Encoded",
    "FrameTokens",
    "GCNdiff",
    "GCNpose",
    "Hourglass",
    "ImageCritic",
    "KTPFormer",
    "LowRankLinear",
    "MHFormer",
    "MPMLifter",
    "MPMRefinement",
    "MeshDecoder",
    "MixSTE2",
    "MotionAGFormer",
    "MotionBERT",
    "MotionPrior",
    "Network",
    "NetworkInfo",
    "Newest",
    "PoseAugmentor",
    "PoseStatistics",
    "PretrainedNetwork",
    "RefinedNetwork",
    "RefinementTransformer",
    "RefinementUnit",
    "ScaleNetwork",
    "ScaleTokens",
    "StagedNetwork",
    "StructureCritic",
    "Tokens",
    "add_low_rank",
    "bundled_weights",
    "encode",
    "encode_rays",
    "load_network",
    "low_rank_state",
    "merge_low_rank",
    "refinement_loss",
    "uncertainty_loss",
]
