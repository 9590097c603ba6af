"""PoseAug's generators: bend a pose, change its bones, turn it, each by a small network.

Gong, Zhang and Feng, "PoseAug: A differentiable pose augmentation framework for 3D human pose
estimation", CVPR 2021: the parent of PoseDA's local pose augmentation (Chai et al., ICCV 2023),
which no code was published of. Each generator reads a pose and noise and writes the parameters of a
transformation that is known to leave a body a body.

| paper, released code | here |
| --- | --- |
| BA, bone angles | ``bend``: adds to unit bones, and normalizes |
| BL, bone lengths | ``stretch``: ratios, the same left and right |
| RT, rotation and translation | ``turn`` and ``shift``, two networks |
| ba_diff, blr | ``Augmented.bend``, ``Augmented.ratio`` |

All four networks read the pose that came in, about its root: not the pose that the generator before
them made. Departures from the released code, none of which changes a number for single poses:

* any skeleton whose parents come before their children; bones from the pelvis to the thorax keep
  their direction, and that to the thorax its length, by name;
* clips of frames: the noise is the clip's, and so are lengths and rotation (averages over frames),
  so that a moving body keeps its bones. A clip is turned about the root of its middle frame;
* ``translation=False`` leaves the shift out, as PoseDA places bodies by the target's keypoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from hypopose.cameras import axis_angle
from hypopose.errors import ShapeError
from hypopose.networks.constant_bones import bone_vectors, joints_from_bones
from hypopose.networks.pretrained import PretrainedNetwork, renamed
from hypopose.networks.recorded_config import recorded
from hypopose.skeletons import get_skeleton
from hypopose.types import NoiseSource, Skeleton

LARGEST_TURN = 3.1415
"""Radians about each axis, as released."""

STIFF = ("spine", "thorax")
"""Joints whose bones, from their parents, keep their direction."""

OFFICIAL_NAMES: tuple[tuple[str, str], ...] = (
    (r"^BAprocess\.", "bend."),
    (r"^BLprocess\.", "stretch."),
    (r"^RTprocess\.(.*)_R\.", r"turn.\1."),
    (r"^RTprocess\.(.*)_T\.", r"shift.\1."),
    (r"^RTprocess\.linear_stages_R\.", "turn.linear_stages."),
    (r"^RTprocess\.linear_stages_T\.", "shift.linear_stages."),
    (r"_BL\.", "."),
    (r"^(\w+)\.batch_norm1\.", r"\1.norm."),
    (r"^(\w+)\.batch_norm\.", r"\1.norm."),
    (r"^(\w+)\.w1\.", r"\1.first."),
    (r"^(\w+)\.w2\.", r"\1.last."),
    (r"\.linear_stages\.", ".stages."),
)
"""Patterns that turn the names of the released tensors into ours."""


def name_from_official(name: str) -> str:
    """Our name of a tensor of the released generator.

    Example:
        >>> name_from_official("RTprocess.linear_stages_R.1.w2.bias")
        'turn.stages.1.w2.bias'
        >>> name_from_official("BLprocess.batch_norm_BL.weight")
        'stretch.norm.weight'
    """
    return renamed(name, OFFICIAL_NAMES)


@dataclass(frozen=True, eq=False)
class Augmented:
    """A pose after each step of the augmentation.

    Args:
        bent: After its bones were turned against each other; the root is where it was.
        stretched: After they were made longer or shorter, too.
        joints: After the whole was turned about its root (and shifted), which is at 0 (or at the
            shift) in the middle frame.
        bend: 1 - cos of the angle each bone was turned by.
        ratio: Change of length of each group of bones, relative.
        turn: Axis times angle in radians.
        shift: In meters; None without translation.
    """

    bent: Float[Tensor, "B F J 3"]
    stretched: Float[Tensor, "B F J 3"]
    joints: Float[Tensor, "B F J 3"]
    bend: Float[Tensor, "B F bones"]
    ratio: Float[Tensor, "B groups"]
    turn: Float[Tensor, "B 3"]
    shift: Float[Tensor, "B 3"] | None


class _LayerPair(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.w1, self.w2 = nn.Linear(width, width), nn.Linear(width, width)
        self.batch_norm1, self.batch_norm2 = nn.BatchNorm1d(width), nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.leaky_relu(self.batch_norm1(self.w1(x)))
        return functional.leaky_relu(self.batch_norm2(self.w2(x)))


class Trunk(nn.Module):
    """Linear layers with batch norms, no skips: parameters of one transformation."""

    def __init__(self, n_in: int, n_out: int, width: int, n_stages: int) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(n_in, width), nn.BatchNorm1d(width)
        self.stages = nn.ModuleList(_LayerPair(width) for _ in range(n_stages))
        self.last = nn.Linear(width, n_out)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Float[Tensor, "N n_in"]) -> Float[Tensor, "N n_out"]:
        """Row by row."""
        x = functional.leaky_relu(self.norm(self.first(x)))
        for stage in self.stages:
            x = stage(x)
        return self.last(x)


class PoseAugmentor(PretrainedNetwork):
    """Bend, stretch and turn poses; parameters come from networks that read pose and noise.

    Args:
        width: Of the hidden layers.
        n_noise: Normal numbers each network reads.
        n_stages: Pairs of hidden layers behind the first.
        largest_ratio: Bones change length by less than this, relative.
        translation: Whether there is a network that shifts poses.
        skeleton: Name of the joint set, parents before children.

    Example:
        >>> augmentor = PoseAugmentor(width=16, n_noise=4, n_stages=1).eval()
        >>> poses = torch.randn(3, 1, 17, 3)
        >>> generator = torch.Generator().manual_seed(0)
        >>> out = augmentor(poses, lambda shape: torch.randn(shape, generator=generator))
        >>> out.joints.shape, out.bend.shape, bool(out.ratio.abs().max() < 0.2)
        (torch.Size([3, 1, 17, 3]), torch.Size([3, 1, 16]), True)
    """

    @recorded
    def __init__(
        self,
        width: int = 256,
        n_noise: int = 48,
        n_stages: int = 2,
        largest_ratio: float = 0.2,
        translation: bool = False,
        skeleton: str = "h36m17",
    ) -> None:
        super().__init__()
        body = get_skeleton(skeleton)
        names = [body.joint_names[child] for _, child in body.bones]
        self.groups = length_groups(body)
        self.stiff = [b for b, name in enumerate(names) if name in STIFF]
        # The bone to the thorax keeps its length.
        self.fixed = [self.groups[b] for b, name in enumerate(names) if name == STIFF[-1]]
        n, n_bones = 3 * body.n_joints + n_noise, len(names)
        self.bend = Trunk(n, 3 * n_bones, width, n_stages)
        self.stretch = Trunk(n + n_bones, max(self.groups) + 1, width, n_stages)
        self.turn = Trunk(n, 3, width, n_stages)
        self.shift = Trunk(n, 3, width, n_stages) if translation else None

    def forward(self, joints: Float[Tensor, "B F J 3"], noise: NoiseSource) -> Augmented:
        """Augment poses or clips.

        Args:
            joints: Meters, in axes of a camera; F is 1 for single poses.
            noise: Asked for ``(B, 1, 1, n_noise)`` for bends, stretches, turns, and shifts, in this
                order.

        Returns:
            The poses after each step, and the parameters.

        Raises:
            ShapeError: If the joints are not those of the skeleton.
        """
        body = get_skeleton(self.config.skeleton)
        if joints.shape[-2] != body.n_joints:
            raise ShapeError(
                f"PoseAugmentor reads {body.n_joints} joints of {body.name}, got "
                f"{tuple(joints.shape)}."
            )
        root = joints[..., [body.root], :]
        rows = (joints - root).flatten(-2)
        bones = bone_vectors(joints, body)
        length = bones.norm(dim=-1, keepdim=True)
        unit = bones / length
        bent = self._bent(unit, rows, noise)
        ratio = self._ratio(torch.cat([rows, length[..., 0]], -1), noise)
        longer = 1 + ratio[:, self.groups][:, None, :, None]
        stretched = root + joints_from_bones(bent * length * longer, body)
        turn = LARGEST_TURN * self._of_clip(self.turn, rows, noise).tanh()
        shift = self._shift(rows, noise)
        middle = stretched[:, stretched.shape[1] // 2, body.root][:, None, None]
        turned = (stretched - middle) @ rotation_of(turn).mT[:, None]
        return Augmented(
            bent=root + joints_from_bones(bent * length, body),
            stretched=stretched,
            joints=turned if shift is None else turned + shift[:, None, None],
            bend=1 - (bent * unit).sum(-1),
            ratio=ratio,
            turn=turn,
            shift=shift,
        )

    def _bent(self, unit: Tensor, rows: Tensor, noise: NoiseSource) -> Tensor:
        """Unit bones in new directions; the released bones point from child to parent."""
        change = self._per_frame(self.bend, rows, noise).view(unit.shape)
        bent = functional.normalize(unit - change, dim=-1)
        still = unit.new_zeros(unit.shape[-2], 1)
        still[self.stiff] = 1
        return torch.where(still > 0, unit, bent)

    def _ratio(self, rows: Tensor, noise: NoiseSource) -> Float[Tensor, "B groups"]:
        free = torch.ones(max(self.groups) + 1, device=rows.device)
        free[self.fixed] = 0
        return self.config.largest_ratio * (self._of_clip(self.stretch, rows, noise) * free).tanh()

    def _shift(self, rows: Tensor, noise: NoiseSource) -> Float[Tensor, "B 3"] | None:
        """Depths are squares, and so not behind the camera."""
        if self.shift is None:
            return None
        t = self._of_clip(self.shift, rows, noise)
        return torch.cat([t[:, :2], t[:, 2:] ** 2], -1)

    def _per_frame(
        self, trunk: Trunk, rows: Float[Tensor, "B F n"], noise: NoiseSource
    ) -> Float[Tensor, "B F m"]:
        B, F = rows.shape[:2]
        z = noise((B, 1, 1, self.config.n_noise)).to(rows)[:, 0].expand(B, F, -1)
        out: Tensor = trunk(torch.cat([rows, z], -1).flatten(0, 1))
        return out.view(B, F, -1)

    def _of_clip(
        self, trunk: Trunk, rows: Float[Tensor, "B F n"], noise: NoiseSource
    ) -> Float[Tensor, "B m"]:
        return self._per_frame(trunk, rows, noise).mean(1)


def rotation_of(turn: Float[Tensor, "*any 3"]) -> Float[Tensor, "*any 3 3"]:
    """The rotation about an axis by its length in radians.

    Example:
        >>> rotation_of(torch.tensor([0.0, 0.0, torch.pi]))[0].round()[0].item()
        -1.0
    """
    angle = turn.norm(dim=-1).clamp(min=1e-12)
    return axis_angle(turn / angle[..., None], angle)


def length_groups(skeleton: Skeleton) -> list[int]:
    """A number for every bone; left and right bones of a pair have the same.

    Args:
        skeleton: With or without sides.

    Example:
        >>> from hypopose.skeletons import H36M16
        >>> length_groups(H36M16)
        [0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 6, 7, 8]
    """
    children = [child for _, child in skeleton.bones]
    found: dict[int, int] = {}
    for child in children:
        twin = skeleton.flip_order[child]
        found[child] = found[twin] if twin in found else len(set(found.values()))
    return [found[child] for child in children]
