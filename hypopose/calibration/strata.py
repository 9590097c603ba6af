"""Calibration within slices: marginal calibration can be perfect with every slice wrong.

Slices are masks ``(*batch, F, J)``, named: by label (action), by value (speed, depth, predicted
spread), by what the detector saw. Cauchois, Gupta and Duchi, "Knowing what you know: valid and
validated confidence sets in multiclass and multilabel prediction" (2021), look at the worst slice.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from hypopose.calibration.arrays import paired
from hypopose.calibration.curves import LEVELS, CalibrationCurve, CurveAccumulator
from hypopose.calibration.records import Settings
from hypopose.errors import OptionError, ShapeError
from hypopose.types import Hypotheses, Keypoints2D, Poses3D

Strata = Mapping[str, Tensor]
"""Name of each slice and its mask ``(*batch, F, J)``."""


def by_label(labels: Sequence[str], truth: Poses3D | Tensor) -> dict[str, Tensor]:
    """Slices from one label per batch item, for example its action.

    Args:
        labels: One per item of the flattened batch axes.
        truth: ``(*batch, F, J, 3)``, for the shape.

    Raises:
        ShapeError: If there is not one label per item.

    Example:
        >>> masks = by_label(["walk", "sit"], torch.zeros(2, 5, 17, 3))
        >>> masks["sit"].sum().item() == 5 * 17
        True
    """
    y = truth.joints if isinstance(truth, Poses3D) else truth
    shape = y.shape[:-1]
    n = shape[:-2].numel()
    if len(labels) != n:
        raise ShapeError(f"{n} items need as many labels, got {len(labels)}.")
    masks = {}
    for label in dict.fromkeys(labels):
        chosen = torch.tensor([other == label for other in labels])
        masks[label] = chosen[:, None, None].expand(n, *shape[-2:]).reshape(shape)
    return masks


def by_value(values: Tensor, edges: Sequence[float], name: str) -> dict[str, Tensor]:
    """Slices between edges of a value.

    Args:
        values: ``(*batch, F, J)``; NaN belongs to no slice.
        edges: Increasing; below the first and above the last are slices too.
        name: What the value is, with its unit.

    Raises:
        OptionError: If the edges do not increase.

    Example:
        >>> list(by_value(torch.rand(1, 2, 3), (0.5,), "speed m/frame"))
        ['speed m/frame below 0.5', 'speed m/frame from 0.5']
    """
    if not edges or list(edges) != sorted(set(edges)):
        raise OptionError(f"Edges must increase, got {tuple(edges)}.")
    ends = [None, *edges, None]
    masks = {}
    for low, high in pairwise(ends):
        words = [name]
        inside = values.isfinite()
        if low is not None:
            words.append(f"from {low:g}")
            inside = inside & (values >= low)
        if high is not None:
            words.append(f"to {high:g}" if low is not None else f"below {high:g}")
            inside = inside & (values < high)
        masks[" ".join(words)] = inside
    return masks


def speeds(truth: Poses3D | Tensor) -> Tensor:
    """Speed of each joint of the truth, ``(*batch, F, J)`` per frame; the first frame has none.

    Slicing by it uses the truth: good for analysis, not for choosing a calibrator at test time.
    """
    y = truth.joints if isinstance(truth, Poses3D) else truth
    step = (y[..., 1:, :, :] - y[..., :-1, :, :]).norm(dim=-1)
    first = torch.full_like(y[..., :1, :, 0], torch.nan)
    return torch.cat([first, step], -2)


def by_detection(keypoints: Keypoints2D, low_confidence: float = 0.5) -> dict[str, Tensor]:
    """Slices by what the detector saw: missing, unsure, sure.

    Args:
        keypoints: In the skeleton of the hypotheses.
        low_confidence: Below it, a detected keypoint is unsure; without confidences none is.
    """
    seen = keypoints.detected
    confidence = keypoints.confidence
    unsure = torch.zeros_like(seen) if confidence is None else seen & (confidence < low_confidence)
    return {"missing": ~seen, "unsure": unsure, "sure": seen & ~unsure}


@dataclass(eq=False)
class StratifiedCurves:
    """One calibration curve per slice, streamed and mergeable.

    Args:
        of: What is judged; a key of :data:`hypopose.calibration.FUNCTIONALS`.
        levels: Nominal levels.
        joints: Joints by index; all but the root if None.
        settings: What the records say about the data.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> x = torch.randn(400, 20, 1, 3, 3, generator=g)
        >>> x[:200, 1:] *= 0.5  # half of the data overconfident, half underconfident
        >>> x[200:, 1:] *= 2
        >>> curves = StratifiedCurves()
        >>> labels = ["walk"] * 200 + ["sit"] * 200
        >>> curves.update(x[:, 1:], x[:, 0], by_label(labels, x[:, 0]))
        >>> result = curves.compute()
        >>> set(result["walk"].verdicts()), set(result["sit"].verdicts())
        ({'overconfident'}, {'underconfident'})
    """

    of: str = "joint"
    levels: Sequence[float] = LEVELS
    joints: Sequence[int] | None = None
    settings: Settings = field(default_factory=Settings)
    _parts: dict[str, CurveAccumulator] = field(default_factory=dict, init=False, repr=False)

    def update(
        self,
        hypotheses: Hypotheses | Tensor,
        truth: Poses3D | Tensor,
        strata: Strata,
        *,
        sequences: Sequence[Hashable] | None = None,
    ) -> None:
        """Add a batch.

        Args:
            hypotheses: ``(*batch, H, F, J, 3)``.
            truth: ``(*batch, F, J, 3)``.
            strata: Masks by name; slices may overlap.
            sequences: The sequence of each batch item; None: every item is its own.
        """
        if self.joints is None:
            self.joints = paired(hypotheses, truth).judged_joints(None)
        for name, mask in strata.items():
            part = self._parts.setdefault(
                name, CurveAccumulator(self.levels, self.of, self.joints, self.settings)
            )
            part.update(hypotheses, truth, sequences=sequences, mask=mask)

    def merge(self, other: StratifiedCurves) -> None:
        """Add another accumulator's sums, slice by slice."""
        for name, part in other._parts.items():
            mine = CurveAccumulator(self.levels, self.of, part.joints, self.settings)
            self._parts.setdefault(name, mine).merge(part)

    def compute(self) -> dict[str, CalibrationCurve]:
        """The curve of every slice."""
        return {name: part.compute() for name, part in self._parts.items()}

    def worst(self) -> tuple[str, CalibrationCurve]:
        """The slice with the largest ECE above what chance explains.

        Raises:
            OptionError: If nothing was seen.
        """
        curves = {k: c for k, c in self.compute().items() if c.n.sum() > 0}
        if not curves:
            raise OptionError("No data yet; call update(hypotheses, truth, strata) first.")
        return max(curves.items(), key=lambda item: item[1].ece - item[1].null_ece)
