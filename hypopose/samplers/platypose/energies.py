"""Further knowledge about a motion, as energies: known bone lengths, standing feet, a floor.

A term is any object with ``curvature`` and a call from world joints to one energy per hypothesis,
in nats (a negative log-density up to a constant). ``curvature`` bounds its second derivative in
1/m²; guidance then takes the step ``r² / (1 + r² curvature)`` down its gradient, which is the exact
Gaussian update of a quadratic term with that curvature and never overshoots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.skeletons import H36M17
from hypopose.types import Skeleton


@runtime_checkable
class MotionTerm(Protocol):
    """Knowledge about a motion in the world (meters, z up)."""

    @property
    def curvature(self) -> float:
        """Bound on the second derivative, 1/m²."""
        ...

    def __call__(self, joints: Float[Tensor, "H F J 3"]) -> Float[Tensor, " H"]:
        """Energy of each hypothesis in nats."""
        ...


def _check_std(std: float) -> None:
    if not std > 0:
        raise OptionError(f"A term's std is in meters and positive, got {std}.")


@dataclass(frozen=True)
class BoneLengths:
    """Measured bone lengths.

    Args:
        lengths: Meters, in the order of ``skeleton.bones``.
        std: Of a measurement, meters.
        skeleton: Of the motion.

    Example:
        >>> import torch
        >>> term = BoneLengths((0.25,) * 16)
        >>> term(torch.zeros(1, 2, 17, 3)).item() > 0
        True
    """

    lengths: tuple[float, ...]
    std: float = 0.01
    skeleton: Skeleton = H36M17

    def __post_init__(self) -> None:
        _check_std(self.std)
        if len(self.lengths) != len(self.skeleton.bones):
            raise OptionError(
                f"Give one length per bone: {len(self.skeleton.bones)}, got {len(self.lengths)}."
            )

    @property
    def curvature(self) -> float:
        """A joint has up to four bones, each pulling at two joints."""
        return 8 / self.std**2

    def __call__(self, joints: Float[Tensor, "H F J 3"]) -> Float[Tensor, " H"]:
        """Energy of the deviations, every frame."""
        parent, child = (list(x) for x in zip(*self.skeleton.bones, strict=True))
        found = (joints[..., child, :] - joints[..., parent, :]).square().sum(-1) + 1e-12
        off = (found.sqrt() - joints.new_tensor(self.lengths)) / self.std
        return off.square().sum((-1, -2)) / 2


@dataclass(frozen=True, eq=False)
class FootContact:
    """Feet that stand do not move.

    Args:
        contact: True where a foot stands in this frame and the next.
        joints: The feet, in the order of ``contact``.
        std: Of the movement from one frame to the next, meters.
    """

    contact: Bool[Tensor, "F N"]
    joints: tuple[int, ...] = (3, 6)
    std: float = 0.005

    def __post_init__(self) -> None:
        _check_std(self.std)
        if self.contact.shape[-1] != len(self.joints):
            raise OptionError(
                f"contact has {self.contact.shape[-1]} columns for {len(self.joints)} feet."
            )

    @property
    def curvature(self) -> float:
        """A place takes part in two differences."""
        return 4 / self.std**2

    def __call__(self, joints: Float[Tensor, "H F J 3"]) -> Float[Tensor, " H"]:
        """Energy of the movements between frames in contact."""
        if joints.shape[1] != len(self.contact):
            raise OptionError(
                f"contact has {len(self.contact)} frames, the motion {joints.shape[1]}."
            )
        step = joints[:, :, list(self.joints)].diff(dim=1) / self.std
        return (step.square().sum(-1) * self.contact[:-1]).sum((-1, -2)) / 2


@dataclass(frozen=True)
class GroundPlane:
    """Nothing lies below the floor.

    Args:
        height: Of the floor in the world, meters; ankles are about 0.08 m above it.
        std: Of how far below a joint may be, meters.
    """

    height: float = 0.0
    std: float = 0.02

    def __post_init__(self) -> None:
        _check_std(self.std)

    @property
    def curvature(self) -> float:
        """Of a joint that is below."""
        return 1 / self.std**2

    def __call__(self, joints: Float[Tensor, "H F J 3"]) -> Float[Tensor, " H"]:
        """Energy of the joints below the floor."""
        below = (self.height - joints[..., 2]).clamp(min=0) / self.std
        return below.square().sum((-1, -2)) / 2
