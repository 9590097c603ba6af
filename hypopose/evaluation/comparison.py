"""Hypotheses and their truth, with everything that several metrics share computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hypopose.aggregation import jpma, jpma_index, median
from hypopose.errors import ShapeError, SkeletonMismatchError
from hypopose.metrics import joint_errors, p_joint_errors
from hypopose.types import Hypotheses, Keypoints2D, Poses3D


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a metric is computed from.

    Convention:
        Root-relative meters in the camera frame. ``x`` and ``y`` hold the judged joints only: all
        of them, or all but the root.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        truth: The same batch axes.
        keypoints: With a camera, in the hypotheses' skeleton; None leaves out what reprojects.
        seams: Frames where windows meet, see :func:`hypopose.samplers.windows.window_seams`.
        exclude_root: Leave the root joint, whose error is 0 by definition, out of the errors.

    Raises:
        ShapeError: If the axes do not belong together.
        SkeletonMismatchError: If the skeletons differ.
    """

    hypotheses: Hypotheses
    truth: Poses3D
    keypoints: Keypoints2D | None = None
    seams: Sequence[int] = ()
    exclude_root: bool = False

    def __post_init__(self) -> None:
        check_target(self.hypotheses, self.truth)

    def judged(self, joints: Tensor) -> Tensor:
        """The judged joints of ``(..., J, 3)``."""
        if not self.exclude_root:
            return joints
        root = self.hypotheses.skeleton.root
        return joints[..., [j for j in range(joints.shape[-2]) if j != root], :]

    @cached_property
    def x(self) -> Float[Tensor, "*batch H F J 3"]:
        """Judged joints of the hypotheses."""
        return self.judged(self.hypotheses.joints)

    @cached_property
    def y(self) -> Float[Tensor, "*batch F J 3"]:
        """Judged joints of the truth."""
        return self.judged(self.truth.joints)

    @cached_property
    def errors(self) -> Float[Tensor, "*batch H F J"]:
        """Distance of every joint of every hypothesis from the truth, meters."""
        return joint_errors(self.x, self.y.unsqueeze(-4))

    @cached_property
    def pose_errors(self) -> Float[Tensor, "*batch H F"]:
        """Mean over joints of :attr:`errors`."""
        return self.errors.mean(-1)

    @cached_property
    def aligned_errors(self) -> Float[Tensor, "*batch H F J"]:
        """:attr:`errors` after aligning every hypothesis to the truth by a similarity, float64."""
        return p_joint_errors(self.x, self.y.unsqueeze(-4).expand_as(self.x))

    @cached_property
    def mean(self) -> Float[Tensor, "*batch F J 3"]:
        """Judged joints of the mean hypothesis."""
        return self.judged(self.hypotheses.joints.mean(-4))

    @cached_property
    def median(self) -> Float[Tensor, "*batch F J 3"]:
        """Judged joints of the median hypothesis."""
        return self.judged(median(self.hypotheses).joints)

    @cached_property
    def jpma(self) -> Float[Tensor, "*batch F J 3"] | None:
        """Judged joints of JPMA, its root fitted to the keypoints; None without keypoints."""
        if self.keypoints is None:
            return None
        return self.judged(jpma(self.hypotheses, self.keypoints).joints)

    @cached_property
    def true_root_index(self) -> Int[Tensor, "*batch F J"] | None:
        """Which hypothesis JPMA takes each judged joint from if it is given the true root.

        None without keypoints or a true root; -1 where no keypoint can decide.
        """
        if self.keypoints is None or self.truth.root is None:
            return None
        index = jpma_index(self.hypotheses, self.keypoints, root=self.truth.root)
        return self.judged(index.unsqueeze(-1)).squeeze(-1)

    def per_frame(self, value: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch F"]:
        """One value per clip, repeated for each of its frames."""
        return value.unsqueeze(-1).expand(self.truth.joints.shape[:-2])

    def unknown(self) -> Float[Tensor, "*batch F"]:
        """NaN for every frame: the metric does not apply to these data."""
        y = self.truth.joints
        return torch.full(y.shape[:-2], torch.nan, dtype=y.dtype)


def check_target(hypotheses: Hypotheses, target: Poses3D) -> None:
    """Refuse a truth that does not belong to the hypotheses.

    Args:
        hypotheses: ``(*batch, H, F, J, 3)``.
        target: Should be ``(*batch, F, J, 3)`` in the same skeleton.

    Raises:
        ShapeError: If the axes differ.
        SkeletonMismatchError: If the skeletons differ.
    """
    if hypotheses.skeleton.name != target.skeleton.name:
        raise SkeletonMismatchError(
            f"Hypotheses are {hypotheses.skeleton.name!r}, the truth {target.skeleton.name!r}; "
            "compare poses of one skeleton."
        )
    x, y = hypotheses.joints.shape, target.joints.shape
    if (*x[:-4], *x[-3:]) != tuple(y):
        raise ShapeError(
            f"Hypotheses {tuple(x)} need a truth {(*x[:-4], *x[-3:])} without the hypothesis axis, "
            f"got {tuple(y)}."
        )
