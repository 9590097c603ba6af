"""Mean-pose baseline: one constant pose for every input."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from hypopose.errors import OptionError
from hypopose.skeletons import H36M17
from hypopose.types import Hypotheses, Keypoints2D, NoiseSource, Skeleton


@dataclass(frozen=True)
class MeanPose:
    """A baseline: the same root-relative pose for every frame, hypothesis and person.

    A benchmark's definition holds the mean over its training motions, seen by its own kind of
    cameras. Headings are uniform, so left and right nearly cancel: an upright figure with hardly
    any width. No keypoint and no truth turns it.

    Args:
        joints: One ``(x, y, z)`` a joint, camera frame, meters.
        skeleton: The joint set.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> from hypopose.diffusion import seeded_noise
        >>> keypoints, _ = example_pair()
        >>> flat = MeanPose(joints=tuple((0.0, 0.1 * j, 0.0) for j in range(17)))
        >>> flat.sample(keypoints, 2, seeded_noise(0)).joints.shape
        torch.Size([2, 50, 17, 3])
    """

    joints: tuple[tuple[float, ...], ...]
    skeleton: Skeleton = field(default=H36M17)

    def __post_init__(self) -> None:
        if len(self.joints) != self.skeleton.n_joints or any(len(p) != 3 for p in self.joints):
            raise OptionError(
                f"MeanPose needs {self.skeleton.n_joints} joints (x, y, z) in meters, got "
                f"{len(self.joints)}."
            )

    def sample(self, keypoints: Keypoints2D, n_hypotheses: int, noise: NoiseSource) -> Hypotheses:
        """Repeat the pose.

        Args:
            keypoints: Only their shape is used.
            n_hypotheses: How many copies.
            noise: Not used.

        Returns:
            Identical hypotheses.
        """
        del noise
        pose = torch.tensor(self.joints).to(keypoints.xy)
        pose = pose - pose[self.skeleton.root]
        *batch, n_frames, _, _ = keypoints.xy.shape
        shape = (*batch, n_hypotheses, n_frames, *pose.shape)
        return Hypotheses(pose.expand(shape).contiguous(), self.skeleton)
