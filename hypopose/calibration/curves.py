"""The calibration curve and its error (ECE), joint by joint, unbiased in the number of hypotheses.

Pierzchlewicz, Willeke, Cobos et al., "Multi-hypothesis 3D human pose estimation metrics favor
miscalibrated distributions" (2022), ask: how often does the truth fall inside the q-ball around the
median hypothesis? Here the center is the median of the hypotheses *and* the truth (see
:mod:`hypopose.calibration.ranks`), so that a calibrated model has coverage q for every S; joints
are compared with themselves; the error is averaged over joints after the absolute value, so an
overconfident joint cannot hide behind an underconfident one; and the curve comes with the error
that a perfect model would show by chance.

    q            levels, 0.05 to 0.95 (0 and 1 can contribute nothing and are left out)
    F_k(q)       coverage: share of observations whose truth lies inside the q-ball of cell k
    G_k(q)       the same in the limit of many hypotheses (:mod:`.extrapolated_ece`)
    ECE_k        mean over q of |G_k(q) - q|
    ECE          mean of ECE_k over the cells

F is the coverage of S hypotheses, and is nearer to the diagonal the fewer they are; regions, bands
and verdicts use it. G has the same expectation for every S from 5 on, so the ECE has it too.

S hypotheses split [0, 1] into S + 1 ranks; a truth beyond all of them has the last. Levels above
S / (S + 1) cut through that rank: their coverage cannot be counted, so F is NaN there, with a note.
A point prediction (one hypothesis, or all the same) is no such case: its regions
are points, hold nothing at any level, and cover 0.

The published forms, for comparison with published tables, are in
:mod:`hypopose.calibration.published_curve`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from torch import Tensor

from hypopose.calibration.calibration_curve import CalibrationCurve
from hypopose.calibration.curve_accumulator import LEVELS, CurveAccumulator
from hypopose.calibration.histograms import RankHistogram
from hypopose.calibration.provenance import Settings
from hypopose.types import Hypotheses, Poses3D


def ece(
    hypotheses: Hypotheses | Tensor,
    truth: Poses3D | Tensor,
    *,
    of: str = "joint",
    joints: Sequence[int] | None = None,
    levels: Sequence[float] = LEVELS,
    sequences: Sequence[Hashable] | None = None,
    mask: Tensor | None = None,
    settings: Settings | None = None,
) -> CalibrationCurve:
    """Calibration curve and expected calibration error of hypotheses against the truth.

    Does not depend on the number of hypotheses from 5 on, whether calibrated or not. Compare
    ``.ece`` with ``.null_ece``, which a perfect model would reach on as much data.

    Convention:
        Camera frame, root-relative, not aligned to the truth. The unit does not matter.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: ``(*batch, F, J, 3)``.
        of: What is judged: ``joint``, ``axis``, ``lateral``, ``depth``, ``bone_length``,
            ``bone_depth`` or ``speed``.
        joints: Joints by index; all but the root if None.
        levels: Nominal levels.
        sequences: The sequence of each batch item; None: every item is its own.
        mask: ``(*batch, F, J)`` True where to look.
        settings: What the record says about the data.

    Returns:
        The curve; ``.ece`` is the number, ``.histogram`` the ranks behind it.

    Raises:
        ShapeError: If shapes disagree.
        OptionError: If nothing is left to judge.

    Example:
        >>> import torch
        >>> g = torch.Generator().manual_seed(0)
        >>> x = torch.randn(2000, 21, 1, 2, 3, generator=g)
        >>> calibrated, narrow = ece(x[:, 1:], x[:, 0]), ece(0.5 * x[:, 1:], x[:, 0])
        >>> calibrated.ece < 0.02, narrow.ece > 0.25, narrow.verdicts()
        (True, True, ('overconfident', 'overconfident'))
    """
    accumulator = CurveAccumulator(levels, of, joints, settings or Settings())
    accumulator.update(hypotheses, truth, sequences=sequences, mask=mask)
    return accumulator.compute()


def rank_histogram(
    hypotheses: Hypotheses | Tensor,
    truth: Poses3D | Tensor,
    *,
    of: str = "axis",
    statistic: str = "value",
    joints: Sequence[int] | None = None,
    sequences: Sequence[Hashable] | None = None,
    mask: Tensor | None = None,
) -> RankHistogram:
    """Rank histogram of a scalar (its PIT), or of whole poses by a pre-rank.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: ``(*batch, F, J, 3)``.
        of: A key of :data:`hypopose.calibration.JUDGED_QUANTITIES`.
        statistic: ``value``, ``distance``, or a key of :data:`hypopose.calibration.PRERANKS`.
        joints: Joints by index; all but the root if None.
        sequences: The sequence of each batch item; None: every item is its own.
        mask: ``(*batch, F, J)`` True where to look.

    Returns:
        The histogram; flat under calibration for every number of hypotheses.

    Raises:
        OptionError: If ``value`` meets more than one coordinate.

    Example:
        >>> import torch
        >>> x = torch.randn(2000, 10, 1, 2, 3, generator=torch.Generator().manual_seed(0))
        >>> too_far = x[:, 1:] + torch.tensor([0.0, 0.0, 1.0])
        >>> rank_histogram(too_far, x[:, 0], of="depth").shapes()
        ('low', 'low')
        >>> rank_histogram(0.4 * x[:, 1:], x[:, 0], of="pose", statistic="nearest").shapes()
        ('high',)
    """
    accumulator = CurveAccumulator(LEVELS, of, joints, Settings(), statistic)
    accumulator.update(hypotheses, truth, sequences=sequences, mask=mask)
    return accumulator.compute().histogram
