"""The teacher of self-training: a network whose weights are an average of its student's.

Tarvainen and Valpola, "Mean teachers are better role models", NeurIPS 2017, as PoSynDA's paper
describes it (Liu et al., ACM MM 2023); its released code has no teacher. The student learns from
labels that the teacher's hypotheses give (:mod:`hypopose.training.reprojection_labels`), and the
teacher follows slowly, θ' ← a θ' + (1 − a) θ, so that one bad step does not become a label.

| paper | here |
| --- | --- |
| θ, θ' | the student, ``Teacher.network`` |
| a | ``decay`` |
"""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

from hypopose.errors import OptionError

N = TypeVar("N", bound=nn.Module)


class Teacher(Generic[N]):
    """A copy of a network that follows it slowly.

    Unlike :class:`hypopose.training.ema.EMA`, whose averages are exported at the end, the copy can
    be called at any time, and its decay is constant from the start: it begins as good as its
    student. Buffers are copied unchanged.

    Args:
        student: With its adapters, if it has some.
        decay: a; 0 copies the student at every update.

    Raises:
        OptionError: If the decay is not from 0 to below 1.

    Example:
        >>> student = nn.Linear(2, 2)
        >>> teacher = Teacher(student, decay=0.9)
        >>> before = teacher.network.weight.clone()
        >>> _ = student.weight.data.add_(1.0)
        >>> teacher.update(student)
        >>> round((teacher.network.weight - before).mean().item(), 6)
        0.1
    """

    def __init__(self, student: N, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise OptionError(f"The teacher's decay is from 0 to below 1, got {decay}.")
        self.decay = decay
        self.network: N = copy.deepcopy(student).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, student: nn.Module) -> None:
        """Move towards the student's weights; call it after each of its steps.

        Args:
            student: The network this is a copy of.
        """
        followed = dict(student.named_parameters())
        own = self.network.state_dict()
        for name, x in student.state_dict().items():
            if name in followed:
                own[name].lerp_(x, 1 - self.decay)
            else:
                own[name].copy_(x)
