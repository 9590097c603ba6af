"""PoseAug's critics: does a pose look like one of a body, and do its keypoints look like others?

Gong, Zhang and Feng, "PoseAug", CVPR 2021; the parents of the anchor critic and the target critic
of PoseDA's local pose augmentation (Chai et al., ICCV 2023). Scores are raw, for a least-squares
GAN.

| released code | here |
| --- | --- |
| ``kcs_path_1`` to ``5`` | ``StructureCritic.paths``, a part of the body each |
| Psi = B Bᵀ of the part's unit bones | :func:`part_products` (kinematic chain space) |
| ``pose_layer_1`` to ``4``, ``layer_last``, ``layer_pred`` | the same, behind ``ImageCritic`` |

The released masks of the legs have each other's name; here they are named by their joints, in the
released order. Departures: bones belong to parts by the names of their joints, so that any skeleton
will do; on the released 16 joints the parts are the released ones.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from hypopose.errors import ShapeError
from hypopose.networks.constant_bones import bone_vectors
from hypopose.networks.pretrained import renamed
from hypopose.skeletons import get_skeleton
from hypopose.types import Skeleton

PARTS: dict[str, tuple[str, ...]] = {
    "left_arm": ("thorax", "left_shoulder", "left_elbow", "left_wrist"),
    "right_arm": ("thorax", "right_shoulder", "right_elbow", "right_wrist"),
    "right_leg": ("right_hip", "right_knee", "right_ankle", "left_hip", "spine"),
    "left_leg": ("right_hip", "left_hip", "left_knee", "left_ankle", "spine"),
    "torso": (
        "right_hip", "left_hip", "spine", "thorax", "neck", "head", "left_shoulder",
        "right_shoulder",
    ),
}  # fmt: skip
"""Joints whose bones, from their parents, make up a part, in the released order of scores."""


def name_from_official(name: str) -> str:
    """Our name of a tensor of a released critic.

    Example:
        >>> name_from_official("kcs_path_2.kcs_layer_1.bias")
        'paths.1.kcs_layer_1.bias'
    """
    return renamed(name, [(rf"^kcs_path_{i}\.", f"paths.{i - 1}.") for i in range(1, 6)])


class _Path(nn.Module):
    def __init__(self, n_in: int, width: int, width_last: int) -> None:
        super().__init__()
        self.kcs_layer_1 = nn.Linear(n_in, width)
        self.kcs_layer_2, self.kcs_layer_3 = nn.Linear(width, width), nn.Linear(width, width)
        self.layer_last = nn.Linear(width, width_last)
        self.layer_pred = nn.Linear(width_last, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = functional.leaky_relu(self.kcs_layer_1(x))
        second = functional.leaky_relu(self.kcs_layer_2(first))
        last = self.layer_last(self.kcs_layer_3(second) + first)
        return self.layer_pred(functional.leaky_relu(last))


class StructureCritic(nn.Module):
    """Scores how bones of each part stand to each other; sizes and places do not matter.

    Args:
        width: Of the hidden layers.
        width_last: Of the last hidden layer.
        skeleton: Name of the joint set.

    Example:
        >>> critic = StructureCritic(width=8, width_last=8)
        >>> poses = torch.randn(5, 17, 3)
        >>> critic(poses).shape, torch.allclose(critic(3 * poses + 1), critic(poses), atol=1e-4)
        (torch.Size([5, 5]), True)
    """

    def __init__(self, width: int = 256, width_last: int = 100, skeleton: str = "h36m17") -> None:
        super().__init__()
        self.skeleton = get_skeleton(skeleton)
        n = len(self.skeleton.bones) ** 2
        self.paths = nn.ModuleList(_Path(n, width, width_last) for _ in PARTS)
        _kaiming(self)

    def forward(self, joints: Float[Tensor, "*batch J 3"]) -> Float[Tensor, "*batch parts"]:
        """Score poses.

        Args:
            joints: In any unit, in axes of a camera.

        Returns:
            One raw score a part, in the order of :data:`PARTS`.
        """
        products = part_products(joints, self.skeleton).flatten(-2).unbind(-2)
        scores = [path(x) for path, x in zip(self.paths, products, strict=True)]
        return torch.cat(scores, -1)


class ImageCritic(nn.Module):
    """Scores keypoints in the image.

    Args:
        width: Of the hidden layers.
        n_joints: Of the keypoints.

    Raises:
        ShapeError: When called with another number of joints.

    Example:
        >>> ImageCritic(width=8)(torch.randn(5, 17, 2)).shape
        torch.Size([5, 1])
    """

    def __init__(self, width: int = 100, n_joints: int = 17) -> None:
        super().__init__()
        self.n_joints = n_joints
        self.pose_layer_1 = nn.Linear(2 * n_joints, width)
        self.pose_layer_2, self.pose_layer_3, self.pose_layer_4, self.layer_last = (
            nn.Linear(width, width) for _ in range(4)
        )
        self.layer_pred = nn.Linear(width, 1)
        _kaiming(self)

    def forward(self, xy: Float[Tensor, "*batch J 2"]) -> Float[Tensor, "*batch 1"]:
        """Score keypoints, in screen coordinates or as rays; none may be missing."""
        if xy.shape[-2] != self.n_joints:
            raise ShapeError(f"ImageCritic reads {self.n_joints} joints, got {tuple(xy.shape)}.")
        first = functional.leaky_relu(self.pose_layer_1(xy.flatten(-2)))
        second = functional.leaky_relu(self.pose_layer_2(first))
        third = functional.leaky_relu(self.pose_layer_3(second) + first)
        last = functional.leaky_relu(self.layer_last(self.pose_layer_4(third)))
        return self.layer_pred(last)


def part_products(
    joints: Float[Tensor, "*batch J 3"], skeleton: Skeleton
) -> Float[Tensor, "*batch parts bones bones"]:
    """Inner products of a part's unit bones; 0 for bones of other parts.

    Wandt and Rosenhahn, "RepNet", CVPR 2019.

    Args:
        joints: In any unit.
        skeleton: Of the joints.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> products = part_products(torch.randn(2, 17, 3), H36M17)
        >>> products.shape, products[0, 0].count_nonzero().item()  # four bones of an arm
        (torch.Size([2, 5, 16, 16]), 16)
    """
    unit = functional.normalize(bone_vectors(joints, skeleton), dim=-1)
    names = [skeleton.joint_names[child] for _, child in skeleton.bones]
    masks = [[float(name in part) for name in names] for part in PARTS.values()]
    parts = unit.unsqueeze(-3) * unit.new_tensor(masks)[..., None]
    return parts @ parts.mT


def _kaiming(critic: nn.Module) -> None:
    for module in critic.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight)
