"""Options of learning from a target without 3D truth (:mod:`hypopose.adaptation`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from hypopose.checks import check_choice
from hypopose.errors import OptionError
from hypopose.networks.refined_network import Refiner
from hypopose.optimization.stature import SHORTEST, TALLEST
from hypopose.simulation.option_checks import check_interval, check_range, check_shares

Selection = Literal["drawn", "joint", "pose"]


@dataclass(frozen=True)
class TargetParts:
    """Which windows are trained on beside those of general training, and how they are made.

    Shares are of the training windows: general training takes what the others leave, 15 % at least.
    Parts that have nothing to work on (no views, say) leave theirs.

    Args:
        aligned: Share of source motions that stand where the target's people stand (PoseDA's
            global position alignment, with the target's vertical).
        sizes: Least and greatest factor of those bodies' sizes (PoSynDA's source augmentation);
            the larger ones are placed farther away.
        builds: Whether those motions are of people built as the target's, seen as its detector
            sees them (:mod:`hypopose.adaptation.builds`), as far as these are known.
        augmented: Share of such motions whose bodies a generator bends, resizes and turns, against
            critics of source and target (PoseDA's local pose augmentation, a reconstruction:
            :mod:`hypopose.training.local_augmentation`). Where builds are used, which it would
            change, these are aligned as they are.
        teacher: Share of target windows that a slowly following copy labels (PoSynDA).
        teacher_decay: Of that copy's weights, per step.
        selection: Label of the teacher's hypotheses: ``"drawn"`` by the likelihood of their
            reprojection, which keeps spreads calibrated; or, as published, the best ``"joint"`` by
            joint or ``"pose"`` by pose.
        refresh_steps: Steps after which the teacher labels again.
        view_labels: Share of target windows that several views label (EpipolarPose). Beside them
            ``aligned`` and ``augmented`` count a third.
        refinement: Share of the frames that a refiner is trained on, after the network, from the
            same windows; 0 for none. Adaptation keeps it only where what was held back improved by
            it.
        refiner: EpipolarPose's refinement ``"unit"``, or PoSynDA's ``"transformer"``.
        height: Everybody's stature in meters, if it is known.

    Raises:
        OptionError: If an option is out of range.
    """

    aligned: float = 0.3
    sizes: tuple[float, float] = (1.0, 1.0)
    builds: bool = True
    augmented: float = 0.3
    teacher: float = 0.0
    teacher_decay: float = 0.99
    selection: Selection = "drawn"
    refresh_steps: int = 60
    view_labels: float = 0.5
    refinement: float = 0.0
    refiner: Refiner = "unit"
    height: float | None = None

    def __post_init__(self) -> None:
        shares = ("aligned", "augmented", "teacher", "teacher_decay", "view_labels", "refinement")
        check_shares(self, *shares)
        check_interval(self, 0.2, 5.0, "sizes")
        check_range(self, 1.0, 1e7, "refresh_steps")
        check_choice("refiner", self.refiner, get_args(Refiner))
        if self.teacher_decay >= 1:
            raise OptionError("teacher_decay is below 1; at 1 the teacher never follows.")
        if self.height is not None and not SHORTEST <= self.height <= TALLEST:
            raise OptionError(
                f"A stature lies between {SHORTEST} and {TALLEST} m, got {self.height}."
            )


@dataclass(frozen=True)
class TargetOptions(TargetParts):
    """The target of a training run; without keypoints there is none.

    Args:
        keypoints: Files of people without 3D.
        camera: File with the cameras of these files, one for all or one of each file's name.
        rig: File with the rig, if the files are views of one scene.
    """

    keypoints: tuple[str, ...] = ()
    camera: str | None = None
    rig: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.camera is not None and self.rig is not None:
            raise OptionError("A rig has its cameras; give target.camera or target.rig.")
