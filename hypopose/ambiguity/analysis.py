"""Everything the hypotheses of one clip disagree on, in one object."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hypopose.ambiguity.covariance import JointSpread, joint_spread, require_hypotheses
from hypopose.ambiguity.dependence import joint_dependence
from hypopose.ambiguity.entropy import joint_entropy
from hypopose.ambiguity.flips import SignedDepths, depth_flips, describe, side_order, switch_rate
from hypopose.ambiguity.modes import Modes, joint_modes, pose_modes
from hypopose.errors import ShapeError
from hypopose.types import Hypotheses, Skeleton


@dataclass(frozen=True, eq=False)
class Ambiguity:
    """What one clip's hypotheses disagree on; no ground truth is involved.

    Args:
        skeleton: The joint set.
        n_hypotheses: How many hypotheses were compared.
        spread: Covariance, principal axes and depth share per frame and joint.
        std: Root-mean-square distance to the mean in meters.
        entropy: Nats per joint.
        n_modes: Number of modes per joint.
        motions: Modes of the whole motion.
        flips: Bones towards or away from the camera.
        order: Which of left and right is nearer.
        dependence: Squared distance correlation between joints, mean over frames.
    """

    skeleton: Skeleton
    n_hypotheses: int
    spread: JointSpread
    std: Float[Tensor, "F J"]
    entropy: Float[Tensor, "F J"]
    n_modes: Int[Tensor, "F J"]
    motions: Modes
    flips: SignedDepths
    order: SignedDepths
    dependence: Float[Tensor, "J J"]

    def sentences(self) -> tuple[str, ...]:
        """What to tell a reader, most important first."""
        return (
            *_overall(self),
            *_motions(self),
            *describe(self.flips),
            *describe(self.order),
            *_coherence(self),
        )


def analyze(hypotheses: Hypotheses) -> Ambiguity:
    """Analyze the hypotheses of one clip.

    Args:
        hypotheses: ``(H, F, J, 3)`` with five hypotheses or more; twenty give shares worth reading.

    Returns:
        Spread, entropy, modes, flips and dependence.

    Raises:
        ShapeError: If there are batch axes.
        OptionError: If there are fewer than five hypotheses.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> x = 0.01 * torch.randn(40, 3, 17, 3, generator=torch.Generator().manual_seed(0))
        >>> x[:24, :, 16, 2] -= 0.2  # the right wrist: 24 hypotheses in front, 16 behind
        >>> x[24:, :, 16, 2] += 0.2
        >>> analyze(Hypotheses(x, H36M17)).sentences()[2]
        'right forearm towards/away 60/40 (frames 0-2, 3 of 3)'
    """
    if hypotheses.joints.dim() != 4:
        raise ShapeError(
            f"analyze takes one clip (H, F, J, 3), got {tuple(hypotheses.joints.shape)}; "
            "loop over the items of the batch."
        )
    require_hypotheses(hypotheses, 5, "The analysis of ambiguity")
    spread = joint_spread(hypotheses)
    return Ambiguity(
        skeleton=hypotheses.skeleton,
        n_hypotheses=len(hypotheses),
        spread=spread,
        std=spread.std.square().sum(-1).sqrt(),
        entropy=joint_entropy(hypotheses),
        n_modes=joint_modes(hypotheses).n,
        motions=pose_modes(hypotheses),
        flips=depth_flips(hypotheses),
        order=side_order(hypotheses),
        dependence=joint_dependence(hypotheses).nanmean(0),
    )


def mode_names(modes: Modes, *depths: SignedDepths) -> tuple[str, ...]:
    """Name each motion mode by what it has differently from the heaviest one.

    Args:
        modes: Of whole motions, one clip.
        *depths: Flips and side orders of the same hypotheses.

    Returns:
        For each mode, the signs in which it differs from the first, such as ``right forearm away``;
        ``main`` for the first, ``unnamed difference`` where no sign explains it.
    """
    names = ["main"]
    for m in range(1, int(modes.n)):
        found = [text for d in depths for text in _differing_signs(modes, m, d)]
        names.append(", ".join(found) if found else "unnamed difference")
    return tuple(names)


def _differing_signs(modes: Modes, m: int, depths: SignedDepths) -> list[str]:
    """Columns whose mean sign in mode ``m`` differs from mode 0 in half of the frames."""
    mean = [depths.values[modes.labels == i].mean(0) for i in (0, m)]
    differs = (mean[0] < 0) != (mean[1] < 0)
    often = (differs & depths.ambiguous).double().mean(0) >= 0.5
    texts = []
    for i in torch.nonzero(often)[:, 0].tolist():
        is_negative = bool(mean[1][:, i].mean() < 0)
        texts.append(f"{depths.names[i]} {depths.sides[0 if is_negative else 1]}")
    return texts


def _overall(a: Ambiguity) -> list[str]:
    moving = [j for j in range(a.skeleton.n_joints) if bool((a.std[:, j] > 1e-9).any())]
    if not moving:
        return ["all hypotheses are equal"]
    mean = a.std[:, moving].nanmean(0)
    worst = moving[int(mean.nan_to_num().argmax())]
    variance = a.std[:, moving].square().nan_to_num()
    depth = (a.spread.depth_share[:, moving].nan_to_num() * variance).sum() / variance.sum()
    return [
        f"spread {1000 * mean.nanmean():.0f} mm per joint, {100 * depth:.0f} % of the variance is "
        f"depth; most at {a.skeleton.joint_names[worst].replace('_', ' ')} "
        f"({1000 * mean.nan_to_num().max():.0f} mm)"
    ]


def _motions(a: Ambiguity) -> list[str]:
    n = int(a.motions.n)
    if n < 2:
        return [f"one mode of the whole motion among {a.n_hypotheses} hypotheses"]
    names = mode_names(a.motions, a.flips, a.order)
    parts = [f"{100 * a.motions.weights[i]:.0f} % {names[i]}" for i in range(n)]
    return [f"{n} modes of the whole motion: {'; '.join(parts)}"]


def _coherence(a: Ambiguity) -> list[str]:
    rate = switch_rate(a.flips)
    rate = rate[~torch.isnan(rate)]
    if len(rate) == 0:
        return []
    return [f"a hypothesis changes the sign of a flip in {100 * rate.mean():.0f} % of frame steps"]
