"""Training networks: batches made on the fly, losses, averaged weights, an unattended loop."""

from hypopose.training.batches import Batch, BatchMaker
from hypopose.training.config import TrainConfig
from hypopose.training.export import export
from hypopose.training.loop import train
from hypopose.training.losses import joint_distance, x0_loss
from hypopose.training.trainer import Trainer

__all__ = [
    "Batch",
    "BatchMaker",
    "TrainConfig",
    "Trainer",
    "export",
    "joint_distance",
    "train",
    "x0_loss",
]
