"""Recalibration: fit on one split, transform another, and measure how far off it still is.

A calibrator is a frozen object with ``fit`` (on hypotheses whose truth is known), ``transform`` (on
hypotheses whose truth is not), and a JSON file (:mod:`hypopose.calibration.calibrator_files`). All
move hypotheses along the line from their mean and so keep the order in time and the coherence of
each hypothesis:

    SpreadScaling    x' = c + tau (x - c): one factor per pose, joint or axis
    IsotonicRadii    |x' - c| = g(|x - c|) with g increasing: also changes the shape
    ConformalBalls   |x' - c| from the radii of regions with a guarantee
    Chain            one after another

Joints are moved on their own, so bone lengths of single hypotheses change a little; ``per="pose"``
changes them least.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from hypopose.calibration.paired_arrays import blocks, paired
from hypopose.errors import OptionError, SkeletonMismatchError
from hypopose.types import Hypotheses, Poses3D, Skeleton

Batch = tuple[Hypotheses, Poses3D]
"""Hypotheses and their truth, in one skeleton."""

POINT_BYTES = 24
"""One 3D point in double precision."""


@runtime_checkable
class Calibrator(Protocol):
    """Moves hypotheses so that their spread is calibrated."""

    @property
    def kind(self) -> str:
        """Its key in :data:`hypopose.calibration.CALIBRATORS`."""
        ...

    @property
    def skeleton(self) -> str:
        """Name of the skeleton it was fitted for."""
        ...

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The joints of the skeleton."""
        ...

    @property
    def fitted(self) -> FitRecord:
        """What it was fitted on."""
        ...

    def transform(self, hypotheses: Hypotheses) -> Hypotheses:
        """The same hypotheses with a calibrated spread."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build the calibrator again."""
        ...


@dataclass(frozen=True)
class FitRecord:
    """What a calibrator was fitted on.

    Args:
        n_hypotheses: Hypotheses per item; other numbers may be transformed.
        n_frames: Frames used.
        source: Where the data come from, in words.
    """

    n_hypotheses: int
    n_frames: int
    source: str = ""


def center_and_spread(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of the finite hypotheses and the root of the trace of their covariance.

    Args:
        x: ``(N, H, F, J, 3)``.

    Returns:
        ``(N, 1, F, J, 3)`` and ``(N, 1, F, J)``; NaN and 0 where fewer than two are finite.
    """
    finite = x.isfinite().all(-1, keepdim=True)
    n = finite.sum(1, keepdim=True)
    center = torch.where(finite, x, 0).sum(1, keepdim=True) / n
    squares = torch.where(finite, (x - center) ** 2, 0).sum((1, -1)).unsqueeze(1)
    return center, (squares / (n.squeeze(-1) - 1).clamp(min=1)).sqrt()


def check_skeleton(hypotheses: Hypotheses, kind: str, skeleton: str) -> None:
    """Refuse hypotheses of another skeleton than a calibrator was fitted for.

    Raises:
        SkeletonMismatchError: If they are.
    """
    if hypotheses.skeleton.name != skeleton:
        raise SkeletonMismatchError(
            f"This {kind} calibrator was fitted for skeleton {skeleton!r}, the hypotheses are in "
            f"{hypotheses.skeleton.name!r}; convert them or fit another."
        )


class Walk:
    """Go through batches in bounded memory, and remember what they were.

    Args:
        batches: Hypotheses and truth in one skeleton, with one number of hypotheses.
        bytes_per_point: Working memory per hypothesis and joint.
        least: Fewest hypotheses that will do.
    """

    def __init__(self, batches: Iterable[Batch], bytes_per_point: int, least: int = 2) -> None:
        self._batches = batches
        self._least = least
        self._bytes = bytes_per_point
        self._skeleton: Skeleton | None = None
        self.n_hypotheses = 0
        self.n_frames = 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Blocks of hypotheses ``(n, H, f, J, 3)`` and truth ``(n, f, J, 3)``, float64.

        Raises:
            SkeletonMismatchError: If skeletons differ.
            OptionError: If there are fewer than two hypotheses, or another number than before.
        """
        for hypotheses, truth in self._batches:
            self._note(hypotheses)
            pairs = paired(hypotheses, truth)
            n, s, f, j = pairs.x.shape[:4]
            self.n_frames += n * f
            for items, frames in blocks(n, f, s * j * self._bytes):
                yield (
                    pairs.x[items, :, frames].double().cpu(),
                    pairs.y[items, frames].double().cpu(),
                )

    def _note(self, hypotheses: Hypotheses) -> None:
        s = len(hypotheses)
        if self._skeleton is not None and hypotheses.skeleton.name != self._skeleton.name:
            raise SkeletonMismatchError(
                f"All batches must be in one skeleton; got {hypotheses.skeleton.name!r} after "
                f"{self._skeleton.name!r}."
            )
        if s < self._least or self.n_hypotheses not in (0, s):
            raise OptionError(
                f"This fit needs {self._least} hypotheses or more, the same number in every batch; "
                f"got {s} after {self.n_hypotheses}."
            )
        self._skeleton, self.n_hypotheses = hypotheses.skeleton, s

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the batches.

        Raises:
            OptionError: If no batch came.
        """
        if self._skeleton is None:
            raise OptionError("There is nothing to fit: no batch came.")
        return self._skeleton
