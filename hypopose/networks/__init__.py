"""Denoisers and lifters, how keypoints are presented to them, attention backends."""

from hypopose.networks.base import Network, NetworkInfo
from hypopose.networks.frame_tokens import FrameTokens
from hypopose.networks.inputs import Encoded, encode, encode_rays
from hypopose.networks.load import NETWORKS, load_network, weights_in_the_box
from hypopose.networks.mixste import MixSTE2
from hypopose.networks.pretrained import PretrainedNetwork

__all__ = [
    "NETWORKS",
    "Encoded",
    "FrameTokens",
    "MixSTE2",
    "Network",
    "NetworkInfo",
    "PretrainedNetwork",
    "encode",
    "encode_rays",
    "load_network",
    "weights_in_the_box",
]
