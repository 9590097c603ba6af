"""Training on mixed batches; a teacher and a pose augmentor are trained alongside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch

from hypopose.adaptation.bending import BentBatchMaker
from hypopose.adaptation.labels import LabelBatchMaker, LabeledClip
from hypopose.adaptation.mixing import MixedBatchMaker, Part
from hypopose.networks.base import Network
from hypopose.training import Teacher, TrainConfig, Trainer

Relabel = Callable[[Network, torch.Generator], list[LabeledClip]]


class AdaptationTrainer(Trainer):
    """A trainer of mixed batches, whose teacher labels the target now and then.

    Args:
        config: The run's options.
        parts: Kinds of windows; one called ``"teacher"`` is labeled repeatedly.
        relabel: Makes the teacher's clips from its network; None without a teacher.
    """

    def __init__(
        self, config: TrainConfig, parts: Sequence[Part], relabel: Relabel | None = None
    ) -> None:
        self.parts = {part.name: part.maker for part in parts}
        self.relabel, self.labeled_at = relabel, -1
        super().__init__(config, MixedBatchMaker(parts))
        self.teacher: Teacher[Any] | None = None
        if relabel is not None:
            self.teacher = Teacher(self.network, config.target.teacher_decay)

    def step(self) -> dict[str, float]:
        """Label anew where it is time, then take an optimizer step; the teacher follows."""
        if self.relabel is None or self.teacher is None:
            return super().step()
        due = self.progress.step // self.config.target.refresh_steps
        if due != self.labeled_at:
            seed = self.config.compute.seed + 7919 * (due + 1)
            generator = torch.Generator(self.device).manual_seed(seed)
            clips = self.relabel(cast(Network, self.teacher.network), generator)
            self._labels.replace(clips)
            self.labeled_at = due
        row = super().step()
        self.teacher.update(self.network)
        return row

    @property
    def _labels(self) -> LabelBatchMaker:
        return cast(LabelBatchMaker, self.parts["teacher"])

    def more_state(self) -> dict[str, Any]:
        """The teacher with its labels, and the generator of bends with its critics."""
        state: dict[str, Any] = {}
        if self.teacher is not None:
            clips = [[c.rays, c.confidence, c.fps, c.joints] for c in self._labels.clips]
            state["teacher"] = self.teacher.network.state_dict()
            state["labels"] = clips if self.labeled_at >= 0 else []
            state["labeled_at"] = self.labeled_at
        bent = self.parts.get("augmented")
        if bent is not None:
            state["augmented"] = cast(BentBatchMaker, bent).augmentation.state_dict()
        return state

    def load_more_state(self, state: dict[str, Any]) -> None:
        """Go on with the same teacher, labels and generator."""
        if self.teacher is not None:
            self.teacher.network.load_state_dict(state["teacher"])
            self.labeled_at = state["labeled_at"]
            if state["labels"]:
                self._labels.replace([LabeledClip(*values) for values in state["labels"]])
        bent = self.parts.get("augmented")
        if bent is not None:
            cast(BentBatchMaker, bent).augmentation.load_state_dict(state["augmented"])
