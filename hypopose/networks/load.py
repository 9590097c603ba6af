"""Networks by name: a folder of weights names its class, the class reads the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypopose.errors import CheckpointError, OptionError
from hypopose.networks.clip_tokens import ClipTokens
from hypopose.networks.convformer import ConvFormer
from hypopose.networks.frame_tokens import FrameTokens
from hypopose.networks.gcndiff import DiffPosePair, GCNdiff
from hypopose.networks.gcnpose import GCNpose
from hypopose.networks.gla_gcn import GLAGCN
from hypopose.networks.gumlp import GUMLP
from hypopose.networks.hot import Hourglass
from hypopose.networks.ktpformer import KTPFormer
from hypopose.networks.mhformer import MHFormer
from hypopose.networks.mixste import MixSTE2
from hypopose.networks.motion_prior import MotionPrior
from hypopose.networks.motionagformer import MotionAGFormer
from hypopose.networks.motionbert import MotionBERT
from hypopose.networks.mpm import MPM
from hypopose.networks.mpm_lifter import MPMLifter
from hypopose.networks.pmce import PMCE, MeshDecoder
from hypopose.networks.pretrained import CONFIG_FILE, PretrainedNetwork
from hypopose.networks.recorded_config import read_json
from hypopose.networks.refined_network import RefinedNetwork
from hypopose.networks.scales import ScaleTokens
from hypopose.plugins import available, look_up

NETWORKS: dict[str, type[PretrainedNetwork]] = {
    "ClipTokens": ClipTokens,
    "ConvFormer": ConvFormer,
    "DiffPosePair": DiffPosePair,
    "FrameTokens": FrameTokens,
    "GCNdiff": GCNdiff,
    "GCNpose": GCNpose,
    "GLAGCN": GLAGCN,
    "GUMLP": GUMLP,
    "Hourglass": Hourglass,
    "KTPFormer": KTPFormer,
    "MHFormer": MHFormer,
    "MPM": MPM,
    "MPMLifter": MPMLifter,
    "MeshDecoder": MeshDecoder,
    "MixSTE2": MixSTE2,
    "PMCE": PMCE,
    "MotionAGFormer": MotionAGFormer,
    "MotionBERT": MotionBERT,
    "MotionPrior": MotionPrior,
    "RefinedNetwork": RefinedNetwork,
    "ScaleTokens": ScaleTokens,
}
"""Class names, as ``_class_name`` in a folder's ``config.json`` gives them.

Installed packages add theirs as entry points of ``hypopose.networks``.
"""

MAX_NAME = 64
"""Longest name of a class."""

BUNDLED = Path(__file__).parents[1] / "weights"
"""Where the checkpoints that come with the package live."""


def bundled_weights() -> list[str]:
    """Names of the checkpoints that come with the package.

    Example:
        >>> "d3dp-frame-small" in bundled_weights()
        True
    """
    return sorted(path.parent.name for path in BUNDLED.glob("*/config.json"))


def load_network(path_or_name: str | Path, **options: Any) -> PretrainedNetwork:
    """Load a trained network.

    Args:
        path_or_name: A folder with ``config.json`` and ``model.safetensors``, or the name of a
            bundled checkpoint.
        **options: Override entries of the config, for example ``attention="math"``.

    Returns:
        The network in eval mode, on the CPU.

    Raises:
        CheckpointError: If there is no such folder, or it is not what it should be.

    Example:
        >>> load_network("d3dp-frame-small").info.inputs
        'subject'
    """
    folder = weights_folder(path_or_name)
    return _network_class(folder).from_pretrained(folder, **options)


def weights_folder(path_or_name: str | Path) -> Path:
    """Where weights lie.

    Args:
        path_or_name: A folder, or the name of a bundled checkpoint.

    Raises:
        CheckpointError: If there is no such folder.

    Example:
        >>> (weights_folder("d3dp-frame-small") / "config.json").is_file()
        True
    """
    folder = Path(path_or_name)
    if not folder.is_dir():
        folder = BUNDLED / str(path_or_name)
    if not folder.is_dir():
        raise CheckpointError(
            f"There are no weights {str(path_or_name)!r}: neither a folder nor one of "
            f"{', '.join(bundled_weights())}."
        )
    return folder


def _network_class(folder: Path) -> type[PretrainedNetwork]:
    """The class that ``config.json`` names: ours, or of an installed package."""
    path = folder / CONFIG_FILE
    name = read_json(path).get("_class_name")
    if not isinstance(name, str) or len(name) > MAX_NAME:
        raise CheckpointError(f"{path}: _class_name is the name of a network's class.")
    try:
        found = look_up("networks", name, NETWORKS, code=False)
    except OptionError as error:
        raise CheckpointError(
            f"{path} names the network class {name!r}; known are "
            f"{', '.join(available('networks', NETWORKS))}."
        ) from error
    if not isinstance(found, type) or not issubclass(found, PretrainedNetwork):
        raise CheckpointError(f"{path}: {name!r} is not a class of PretrainedNetwork.")
    return found
