"""From the errors of many hypotheses to one number: what "minMPJPE" can mean, and what it hides.

All functions take errors ``(*batch, H, F, J)`` (from :func:`hypopose.metrics.joint_errors` or
:func:`hypopose.metrics.p_joint_errors`) and keep their unit. Those that pick by the truth carry
``oracle`` in their name: no method can reach them without knowing the answer.

joint_best ≤ frame_best ≤ clip_best ≤ expected. The frame-best of hypotheses drawn per frame looks
excellent while no clip of them is coherent. A NaN hypothesis makes the minimum NaN.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from hypopose.types import Hypotheses


def expected_error(errors: Float[Tensor, "*batch H F J"]) -> Float[Tensor, "*batch"]:
    """The expected error of one hypothesis drawn at random; no truth picks anything.

    Args:
        errors: Distances to the truth.

    Returns:
        The mean over hypotheses, frames and joints.
    """
    return errors.mean((-3, -2, -1))


def oracle_clip_best_error(errors: Float[Tensor, "*batch H F J"]) -> Float[Tensor, "*batch"]:
    """Oracle: the error of the hypothesis that is best over its whole clip.

    Args:
        errors: Distances to the truth.

    Returns:
        One value per clip.
    """
    return errors.mean((-2, -1)).amin(-1)


def oracle_frame_best_error(errors: Float[Tensor, "*batch H F J"]) -> Float[Tensor, "*batch"]:
    """Oracle: another best hypothesis in every frame ("P-Best" as D3DP's paper words it).

    Args:
        errors: Distances to the truth.

    Returns:
        One value per clip.
    """
    return errors.mean(-1).amin(-2).mean(-1)


def oracle_joint_best_error(errors: Float[Tensor, "*batch H F J"]) -> Float[Tensor, "*batch"]:
    """Oracle: another best hypothesis for every joint of every frame ("J-Best").

    Args:
        errors: Distances to the truth.

    Returns:
        One value per clip.
    """
    return errors.amin(-3).mean((-2, -1))


def diversity(hypotheses: Hypotheses) -> Float[Tensor, "*batch"]:
    """Mean distance of hypotheses from their mean, per clip, in meters; not a quality by itself.

    Args:
        hypotheses: Any number of hypotheses; one has diversity 0.

    Returns:
        One value per clip.
    """
    x = hypotheses.joints
    return (x - x.mean(-4, keepdim=True)).norm(dim=-1).mean((-3, -2, -1))
