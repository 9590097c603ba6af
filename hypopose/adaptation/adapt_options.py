"""Options of adaptation."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

from hypopose.errors import OptionError
from hypopose.simulation.option_checks import check_range
from hypopose.training.target_options import TargetParts

FORGETTING = 0.03
"""Share by which the energy score on validation motion may rise by default."""


FRAMES = 80_000
"""Frames of training by default: without labels of several views, more are worse."""

FRAMES_WITH_LABELS = 1_200_000
"""The same with labels of several views."""


@dataclass(frozen=True)
class AdaptOptions(TargetParts):
    """What :func:`hypopose.adapt` does, and for how long; see :class:`.TargetParts` for its parts.

    Args:
        minutes: Wall-clock time of training.
        n_frames: Frames of training instead: the same weights on every machine of one kind. If
            neither is given, :data:`FRAMES`, or :data:`FRAMES_WITH_LABELS` if several views label
            the recordings.
        rank: Of low-rank adapters on the attention, which are then all that is trained; 0 trains
            everything.
        learning_rate: Peak; it falls to 1 % as half a cosine.
        batch_frames: Frames of a batch.
        hold_back: Share of every recording that is not trained on but judged by.
        max_forgetting: By what share the energy score on validation motion may rise; weights are
            taken back towards the first ones until it holds. None for 0.03, or, if ``height`` is
            given, for any: weights adapted to small people get worse for others.
        seed: Decides batches and noise.
        device: ``"cpu"`` or ``"cuda"``.

    Raises:
        OptionError: If an option is out of range.
    """

    minutes: float | None = None
    n_frames: int | None = None
    rank: int = 0
    learning_rate: float = 2e-4
    batch_frames: int = 1296
    hold_back: float = 0.2
    max_forgetting: float | None = None
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 0.0, 1e6, "learning_rate")
        check_range(self, 1.0, 1e7, "batch_frames")
        check_range(self, 0.0, 1e6, "rank")
        check_range(self, 0.0, 2.0**62, "seed")
        if self.max_forgetting is not None:
            check_range(self, 0.0, 1e6, "max_forgetting")
        minutes, n_frames = self.minutes, self.n_frames
        is_spent = minutes is not None and not 0 < minutes < 1e6
        if is_spent or (n_frames is not None and n_frames < 1):
            raise OptionError("The budget must be positive: minutes, or n_frames.")
        if not 0 < self.hold_back <= 0.9:
            raise OptionError(f"hold_back lies between 0 and 0.9, got {self.hold_back}.")

    def with_budget(self, *, has_labels: bool) -> AdaptOptions:
        """The options with the default number of frames, if they name no budget.

        Args:
            has_labels: Whether several views label recordings, and these labels are used.
        """
        if self.minutes is not None or self.n_frames is not None:
            return self
        labeled = has_labels and self.view_labels > 0
        return dataclasses.replace(self, n_frames=FRAMES_WITH_LABELS if labeled else FRAMES)

    @property
    def tolerated(self) -> float:
        """Share by which the energy score on validation motion may rise."""
        if self.max_forgetting is not None:
            return self.max_forgetting
        return FORGETTING if self.height is None else math.inf

    @property
    def parts(self) -> dict[str, Any]:
        """The options of :class:`.TargetParts` by name."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(TargetParts)}

    def to_json(self) -> dict[str, Any]:
        """The options by name."""
        values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return values
