"""EpipolarPose's refinement unit: a residual MLP that corrects triangulated or lifted poses.

Kocabas, Karagoz and Akbas, "Self-supervised learning of 3D human pose using multi-view geometry",
CVPR 2019, section 3.3; a variant of Martinez et al., "A simple yet effective baseline for 3D human
pose estimation", ICCV 2017. Frame by frame: poses go in and corrected poses come out, twice, the
second time with the first answer in view.

| paper, released tensors | here |
| --- | --- |
| 15 joints about the pelvis, 45 numbers | ``n_joints``, any |
| ``w1``, ``batch_norm1`` | h, the features of the pose that came in |
| ``linear_stages.0``, ``w2`` | first answer |
| ``w3``, ``batch_norm3``, ``linear_stages.1``, ``w4`` | second answer, which counts |
| mean and deviation per coordinate | :class:`PoseStatistics` |

Departures: none in numbers; two stages, as the released forward pass always has.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hypopose.errors import ShapeError
from hypopose.networks.pretrained import PretrainedNetwork
from hypopose.networks.recorded_config import recorded


@dataclass(frozen=True, eq=False)
class PoseStatistics:
    """What poses are standardized with, per coordinate.

    Args:
        mean: Of the training poses.
        std: Their deviation; coordinates that do not vary have 1.

    Example:
        >>> poses = torch.randn(100, 15, 3) * 0.3 + 0.1
        >>> statistics = PoseStatistics.of(poses)
        >>> back = statistics.undo(statistics.apply(poses))
        >>> torch.allclose(back, poses, atol=1e-5)
        True
    """

    mean: Float[Tensor, "J 3"]
    std: Float[Tensor, "J 3"]

    @classmethod
    def of(cls, joints: Float[Tensor, "N J 3"]) -> PoseStatistics:
        """Of training poses, root-relative and without the root."""
        std = joints.std(0, correction=0)
        return cls(joints.mean(0), torch.where(std > 0, std, 1.0))

    def apply(self, joints: Float[Tensor, "*batch J 3"]) -> Float[Tensor, "*batch J 3"]:
        """Zero mean, unit deviation."""
        return (joints - self.mean) / self.std

    def undo(self, joints: Float[Tensor, "*batch J 3"]) -> Float[Tensor, "*batch J 3"]:
        """Back to lengths."""
        return joints * self.std + self.mean


class _Stage(nn.Module):
    """Two residual halves of two layers each."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.w1, self.w2, self.w3, self.w4 = (nn.Linear(width, width) for _ in range(4))
        self.batch_norm1, self.batch_norm2, self.batch_norm3, self.batch_norm4 = (
            nn.BatchNorm1d(width) for _ in range(4)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.drop(self.batch_norm1(self.w1(x)).relu())
        x = x + self.drop(self.batch_norm2(self.w2(y)).relu())
        y = self.drop(self.batch_norm3(self.w3(x)).relu())
        return x + self.drop(self.batch_norm4(self.w4(y)).relu())


class RefinementUnit(PretrainedNetwork):
    """Correct poses frame by frame.

    Args:
        n_joints: Joints, without the root.
        width: Of the hidden layers.
        dropout: In training.

    Example:
        >>> unit = RefinementUnit(n_joints=16, width=32).eval()
        >>> first, second = unit(torch.randn(7, 16, 3))
        >>> second.shape
        torch.Size([7, 16, 3])
    """

    @recorded
    def __init__(self, n_joints: int = 15, width: int = 1024, dropout: float = 0.5) -> None:
        super().__init__()
        n = 3 * n_joints
        self.w1, self.w2 = nn.Linear(n, width), nn.Linear(width, n)
        self.w3, self.w4 = nn.Linear(n, width), nn.Linear(width, n)
        self.batch_norm1, self.batch_norm3 = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        self.linear_stages = nn.ModuleList(_Stage(width, dropout) for _ in range(2))
        self.drop = nn.Dropout(dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(
        self, x: Float[Tensor, "*batch J 3"]
    ) -> tuple[Float[Tensor, "*batch J 3"], Float[Tensor, "*batch J 3"]]:
        """Both answers; the second counts.

        Args:
            x: Standardized root-relative poses without the root.

        Raises:
            ShapeError: If there are more or fewer joints.
        """
        if x.shape[-2] != self.config.n_joints:
            raise ShapeError(
                f"RefinementUnit reads {self.config.n_joints} joints, without the root; got "
                f"{tuple(x.shape)}."
            )
        h = self.drop(self.batch_norm1(self.w1(x.reshape(-1, x.shape[-2] * 3))).relu())
        s = self.linear_stages[0](h)
        first = self.w2(s)
        y = self.drop(self.batch_norm3(self.w3(first)).relu())
        second = self.w4(h + self.linear_stages[1](s + y + h))
        return first.reshape(x.shape), second.reshape(x.shape)

    def refine(
        self,
        joints: Float[Tensor, "*batch J 3"],
        inputs: PoseStatistics,
        targets: PoseStatistics,
    ) -> Float[Tensor, "*batch J 3"]:
        """Correct poses in meters.

        Args:
            joints: Root-relative, without the root.
            inputs: Of the poses it was trained to correct.
            targets: Of the poses it was trained to give.

        Returns:
            Corrected poses.

        Raises:
            ShapeError: If there are more or fewer joints.
        """
        return targets.undo(self(inputs.apply(joints))[1])


def refinement_loss(
    answers: tuple[Float[Tensor, "*batch J 3"], Float[Tensor, "*batch J 3"]],
    target: Float[Tensor, "*batch J 3"],
) -> Float[Tensor, ""]:
    """Mean squared error of both answers, added.

    Args:
        answers: Of a :class:`RefinementUnit`.
        target: Standardized true or triangulated poses.

    Example:
        >>> x = torch.ones(2, 15, 3)
        >>> refinement_loss((x, 0 * x), x).item()
        1.0
    """
    first, second = answers
    return (first - target).square().mean() + (second - target).square().mean()
