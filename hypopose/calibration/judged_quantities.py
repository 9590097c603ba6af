"""What is judged: joints, axes, depth against lateral, bone lengths, speeds.

A quantity turns joints ``(..., F, J, 3)`` into cells ``(..., F', K, D)``: K named quantities of D
coordinates each. The same map is applied to hypotheses and truth, so that any check made for
joints works for bone lengths and speeds as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from hypopose.errors import OptionError
from hypopose.types import Skeleton


@dataclass(frozen=True)
class JudgedQuantity:
    """A named map from joints to cells.

    Args:
        name: For reports.
        cells: One name per cell.
        apply: ``(..., F, J, 3) -> (..., F - extra_frames, K, D)``.
        extra_frames: Frames lost to differences in time.
    """

    name: str
    cells: tuple[str, ...]
    apply: Callable[[Tensor], Tensor]
    extra_frames: int = 0


Builder = Callable[[tuple[int, ...], tuple[str, ...], Skeleton | None], JudgedQuantity]


def _joint(
    joints: tuple[int, ...], names: tuple[str, ...], skeleton: Skeleton | None
) -> JudgedQuantity:
    cells = tuple(names[j] for j in joints)
    return JudgedQuantity("joint", cells, lambda x: x[..., list(joints), :])


def _axis(
    joints: tuple[int, ...], names: tuple[str, ...], skeleton: Skeleton | None
) -> JudgedQuantity:
    cells = tuple(f"{names[j]} {a}" for j in joints for a in "xyz")
    return JudgedQuantity(
        "axis", cells, lambda x: x[..., list(joints), :].flatten(-2).unsqueeze(-1)
    )


def _lateral(
    joints: tuple[int, ...], names: tuple[str, ...], skeleton: Skeleton | None
) -> JudgedQuantity:
    cells = tuple(f"{names[j]} lateral" for j in joints)
    return JudgedQuantity("lateral", cells, lambda x: x[..., list(joints), :2])


def _depth(
    joints: tuple[int, ...], names: tuple[str, ...], skeleton: Skeleton | None
) -> JudgedQuantity:
    cells = tuple(f"{names[j]} depth" for j in joints)
    return JudgedQuantity("depth", cells, lambda x: x[..., list(joints), 2:])


def _bones(
    joints: tuple[int, ...], skeleton: Skeleton | None
) -> tuple[list[int], list[int], Skeleton]:
    if skeleton is None:
        raise OptionError(
            "Bones need a skeleton; pass Hypotheses or Poses3D rather than bare tensors."
        )
    bones = [(p, c) for p, c in skeleton.bones if c in joints]
    if not bones:
        raise OptionError(f"None of the joints {joints} ends a bone of {skeleton.name!r}.")
    return [p for p, _ in bones], [c for _, c in bones], skeleton


def _bone_length(
    joints: tuple[int, ...], names: tuple[str, ...], skeleton: Skeleton | None
) -> JudgedQuantity:
    parents, children, skeleton = _bones(joints, skeleton)
    cells = tuple(f"{names[p]} to {names[c]}" for p, c in zip(parents, children, strict=True))
    return JudgedQuantity(
        "bone_length",
        cells,
        lambda x: (x[..., children, :] - x[..., parents, :]).norm(dim=-1, keepdim=True),
    )


def _bone_depth(
    joints: tuple[int, ...], names: tuple[str, ...], skeleton: Skeleton | None
) -> JudgedQuantity:
    parents, children, skeleton = _bones(joints, skeleton)
    cells = tuple(f"{names[p]} to {names[c]} depth" for p, c in zip(parents, children, strict=True))
    return JudgedQuantity("bone_depth", cells, lambda x: x[..., children, 2:] - x[..., parents, 2:])


def _speed(
    joints: tuple[int, ...], names: tuple[str, ...], skeleton: Skeleton | None
) -> JudgedQuantity:
    cells = tuple(f"{names[j]} speed" for j in joints)

    def apply(x: Tensor) -> Tensor:
        x = x[..., list(joints), :]
        return (x[..., 1:, :, :] - x[..., :-1, :, :]).norm(dim=-1, keepdim=True)

    return JudgedQuantity("speed", cells, apply, extra_frames=1)


def _pose(
    joints: tuple[int, ...], names: tuple[str, ...], skeleton: Skeleton | None
) -> JudgedQuantity:
    return JudgedQuantity(
        "pose", ("pose",), lambda x: x[..., list(joints), :].flatten(-2).unsqueeze(-2)
    )


JUDGED_QUANTITIES: dict[str, Builder] = {
    "joint": _joint,
    "axis": _axis,
    "lateral": _lateral,
    "depth": _depth,
    "bone_length": _bone_length,
    "bone_depth": _bone_depth,
    "speed": _speed,
    "pose": _pose,
}
"""Builders by name: (joints, joint names, skeleton) to a quantity. Axes are the camera's:
x right, y down, z depth; ``lateral`` is (x, y) together; speeds are per frame; ``pose`` is one cell
of all coordinates, for pre-ranks."""


def judged_quantity(
    name: str, joints: tuple[int, ...], names: tuple[str, ...], skeleton: Skeleton | None = None
) -> JudgedQuantity:
    """Look a quantity up by name.

    Args:
        name: A key of :data:`JUDGED_QUANTITIES`.
        joints: Indices of the joints to look at; a bone is named by its far end.
        names: A name for every joint.
        skeleton: Needed for bones.

    Raises:
        OptionError: If there is no such quantity, or it needs a skeleton.

    Example:
        >>> judged_quantity("speed", (1,), ("hip", "knee")).cells
        ('knee speed',)
    """
    if name not in JUDGED_QUANTITIES:
        raise OptionError(f"No quantity {name!r}; choose one of {', '.join(JUDGED_QUANTITIES)}.")
    return JUDGED_QUANTITIES[name](joints, names, skeleton)
