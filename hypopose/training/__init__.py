"""Training networks: batches made on the fly, losses, averaged weights, an unattended loop."""

from hypopose.training.architectures import ARCHITECTURES, Architecture
from hypopose.training.averaging import average_weights
from hypopose.training.batches import Batch, BatchMaker
from hypopose.training.config import TrainConfig
from hypopose.training.local_augmentation import LocalAugmentation, LocalAugmentationOptions
from hypopose.training.loop import train
from hypopose.training.losses import energy_loss, joint_distance, motion_distance, x0_loss
from hypopose.training.objectives import OBJECTIVES, Objective
from hypopose.training.reprojection_labels import (
    ReprojectionLabels,
    ReprojectionLoss,
    label_batch,
    label_loss,
    labels_by_likelihood,
    labels_by_reprojection,
    source_loss,
)
from hypopose.training.run_state import Trainer
from hypopose.training.target_options import TargetOptions, TargetParts
from hypopose.training.teacher import Teacher
from hypopose.training.weights_export import export

__all__ = [
    "ARCHITECTURES",
    "OBJECTIVES",
    "Architecture",
    "Batch",
    "BatchMaker",
    "LocalAugmentation",
    "LocalAugmentationOptions",
    "Objective",
    "ReprojectionLabels",
    "ReprojectionLoss",
    "TargetOptions",
    "TargetParts",
    "Teacher",
    "TrainConfig",
    "Trainer",
    "average_weights",
    "energy_loss",
    "export",
    "joint_distance",
    "label_batch",
    "label_loss",
    "labels_by_likelihood",
    "labels_by_reprojection",
    "motion_distance",
    "source_loss",
    "train",
    "x0_loss",
]
