"""The prior over poses: bone directions, joint limits, bone lengths.

Ours. Bone directions are a mixture; within a component every bone has its own *projected normal*
distribution, the direction of a Gaussian vector w ~ N(μ, Σ) (Wang and Gelfand, "Directional data
analysis under the general projected normal distribution", 2013). Its density over the sphere is
closed-form and drawing from it is exact, so the same prior serves as density and as simulator. The
mixture is fitted by the EM of :mod:`hypopose.diffusion.mixture`, one responsibility per pose.

Directions are relative to the person's heading, an angle about the camera's y axis; headings are
uniform. Joint limits are soft: a product of factors between 0 and 1.

| symbol | code |
| --- | --- |
| μ_kb, Σ_kb | ``means``, ``cholesky`` |
| A, D | uᵀ Σ⁻¹ u, uᵀ Σ⁻¹ μ / √A |
| I_n | ∫ r^n exp(r D - r²/2) dr over r > 0 |
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Float64
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from hypopose.diffusion.mixture import MASS_FLOOR, GaussianMixture, maximized, spread_start
from hypopose.errors import CheckpointError, OptionError, ShapeError
from hypopose.io.atomic import write_atomically
from hypopose.skeletons import H36M17, SKELETONS
from hypopose.types import Skeleton

BUNDLED = Path(__file__).parent / "pose_prior.safetensors"
"""The prior that comes with the package: Human3.6M-17, fitted to permissive motion."""

ANGLES: tuple[tuple[int, int], ...] = (
    (1, 2), (4, 5), (11, 12), (14, 15), (6, 7), (7, 8), (8, 9), (10, 13), (0, 3),
)  # fmt: skip
"""Pairs of bones of Human3.6M-17 whose angle is limited: knees, elbows, trunk, neck, girdles."""

KNEES: tuple[tuple[int, int], ...] = ((1, 2), (4, 5))
"""Thigh and shin of both legs: a knee bends one way about the hips' axis."""

HIPS = (0, 3)
SOFT = 0.05
"""Standard deviation beyond a limit, in the unit of cosines."""

LENGTH_STD = (0.05, 0.03, 0.02)
"""Log bone lengths: all bones in common, left and right together, each bone alone."""

_BONE_PAIRS = (0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 7, 8, 9)


@dataclass(frozen=True, eq=False)
class PosePrior:
    """Distribution of bone directions and lengths.

    Args:
        skeleton: Its bones are the axis ``B``.
        weights: Of the mixture's components.
        means: μ of the Gaussian vectors whose directions the bones have.
        cholesky: Factors of their covariances.
        lengths: Median bone lengths in meters.
        length_std: Deviations of log lengths: in common, per pair, per bone.
        pairs: Bones with the same number are a pair.
        limits: Lower and upper bounds of the cosines of ``angles``, then of the bends of ``knees``.
        angles: Pairs of bones whose angle is limited.
        knees: Pairs of bones that bend one way about the axis between ``HIPS``.
        upright: Whether directions are relative to a heading, which is uniform.

    Raises:
        ShapeError: If the axes disagree.
    """

    skeleton: Skeleton
    weights: Float64[Tensor, " M"]
    means: Float64[Tensor, "M B 3"]
    cholesky: Float64[Tensor, "M B 3 3"]
    lengths: Float64[Tensor, " B"]
    length_std: tuple[float, float, float] = LENGTH_STD
    pairs: tuple[int, ...] = ()
    limits: Float64[Tensor, "L 2"] = field(
        default_factory=lambda: torch.zeros(0, 2, dtype=torch.float64)
    )
    angles: tuple[tuple[int, int], ...] = ()
    knees: tuple[tuple[int, int], ...] = ()
    upright: bool = False

    def __post_init__(self) -> None:
        n_bones = len(self.skeleton.bones)
        if self.means.shape[1:] != (n_bones, 3) or len(self.lengths) != n_bones:
            raise ShapeError(
                f"{self.skeleton.name!r} has {n_bones} bones; got means "
                f"{tuple(self.means.shape)} and {len(self.lengths)} lengths."
            )
        if len(self.limits) != len(self.angles) + len(self.knees):
            raise ShapeError("A prior has one pair of limits per angle and per knee.")
        inverse = torch.cholesky_inverse(self.cholesky)
        pull = (inverse @ self.means[..., None])[..., 0]  # Σ⁻¹ μ
        constant = -0.5 * (pull * self.means).sum(-1) - 1.5 * math.log(2 * math.pi)
        constant = constant - self.cholesky.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        sides = list(zip(*self.angles, strict=True)), list(zip(*self.knees, strict=True))
        for name, value in {
            "_squares": inverse.flatten(-2).permute(1, 2, 0).contiguous(),  # (B, 9, M)
            "_pull": pull.permute(1, 2, 0).contiguous(),
            "_constant": constant.sum(-1) + self.weights.log(),
            "_angles": tuple(map(list, sides[0])),
            "_knees": tuple(map(list, sides[1])),
        }.items():
            object.__setattr__(self, name, value)

    _squares: Tensor = field(init=False, repr=False)
    _pull: Tensor = field(init=False, repr=False)
    _constant: Tensor = field(init=False, repr=False)
    _angles: tuple[list[int], ...] = field(init=False, repr=False)
    _knees: tuple[list[int], ...] = field(init=False, repr=False)

    @staticmethod
    def anywhere(skeleton: Skeleton, lengths: tuple[float, ...]) -> PosePrior:
        """All directions alike, and bones of known length within 3.5 %.

        Example:
            >>> prior = PosePrior.anywhere(H36M17, (0.3,) * 16)
            >>> u = functional.normalize(torch.randn(16, 3).double(), dim=-1)
            >>> round(prior.log_directions(u).item() / 16 + math.log(4 * math.pi), 6)
            0.0
        """
        n = len(skeleton.bones)
        return PosePrior(
            skeleton,
            torch.ones(1, dtype=torch.float64),
            torch.zeros(1, n, 3, dtype=torch.float64),
            torch.eye(3, dtype=torch.float64).expand(1, n, 3, 3),
            torch.tensor(lengths, dtype=torch.float64),
            length_std=(0.0, 0.0, 0.035),
        )

    @staticmethod
    def bundled() -> PosePrior:
        """The prior that comes with the package.

        Example:
            >>> PosePrior.bundled().skeleton.name
            'h36m17'
        """
        return PosePrior.load(BUNDLED)

    @property
    def log_length_covariance(self) -> Float64[Tensor, "B B"]:
        """Of log lengths, without the common part."""
        n = len(self.lengths)
        pair = torch.tensor(self.pairs or range(n))
        same = (pair[:, None] == pair).double()
        _, pairs, own = self.length_std
        return pairs**2 * same + own**2 * torch.eye(n, dtype=torch.float64)

    def log_directions(self, u: Float64[Tensor, "*axes B 3"]) -> Float64[Tensor, "*axes"]:
        """Log density of unit directions over the product of spheres, before limits."""
        told = self._squares, self._pull, self._constant
        density: Tensor = _LogDirections.apply(u, *told)  # type: ignore[no-untyped-call]
        return density

    def log_limits(self, u: Float64[Tensor, "*axes B 3"]) -> Float64[Tensor, "*axes"]:
        """Log of the joint limits' factor, at most 0."""
        if not len(self.limits):
            return u.new_zeros(u.shape[:-2])
        x = self.bends(u)
        beyond = (self.limits[:, 0] - x).clamp(min=0) + (x - self.limits[:, 1]).clamp(min=0)
        return -0.5 * (beyond / SOFT).square().sum(-1)

    def bends(self, u: Float64[Tensor, "*axes B 3"]) -> Float64[Tensor, "*axes L"]:
        """What limits bound: cosines of angles, and how far knees bend about the hips' axis."""
        one, other = self._angles
        cosines = (u[..., one, :] * u[..., other, :]).sum(-1)
        if not self.knees:
            return cosines
        thighs, shins = self._knees
        axis = functional.normalize(u[..., HIPS[1], :] - u[..., HIPS[0], :], dim=-1)
        bent = torch.linalg.cross(u[..., thighs, :], u[..., shins, :]) * axis[..., None, :]
        return torch.cat([cosines, bent.sum(-1)], -1)

    def draw(self, n: int, generator: torch.Generator) -> Float64[Tensor, "n B 3"]:
        """Directions relative to the heading, limits kept: exact, by rejection."""
        kept: list[Tensor] = []
        while sum(map(len, kept)) < n:
            m = torch.multinomial(self.weights, 2 * n, replacement=True, generator=generator)
            z = torch.randn((2 * n, *self.means.shape[1:]), generator=generator).double()
            w = self.means[m] + (self.cholesky[m] @ z[..., None])[..., 0]
            u = functional.normalize(w, dim=-1)
            chance = torch.rand(2 * n, generator=generator).double()
            kept.append(u[chance.log() < self.log_limits(u)])
        return torch.cat(kept)[:n]

    def save(self, path: str | Path) -> Path:
        """Write one safetensors file, tensors in single precision."""
        about = {
            "skeleton": self.skeleton.name,
            "length_std": self.length_std,
            "pairs": self.pairs,
            "angles": self.angles,
            "knees": self.knees,
            "upright": self.upright,
        }
        names = ("weights", "means", "cholesky", "lengths", "limits")
        tensors = {name: getattr(self, name).float().contiguous() for name in names}
        with write_atomically(Path(path)) as partial:
            save_file(tensors, partial, metadata={"about": json.dumps(about)})
            partial.chmod(0o644)  # safetensors makes files only their owner can read
        return Path(path)

    @staticmethod
    def load(path: str | Path) -> PosePrior:
        """Read what :meth:`save` wrote.

        Raises:
            CheckpointError: If the file is absent or something else.
        """
        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {})["about"])
                tensors = {name: file.get_tensor(name).double() for name in file.keys()}  # noqa: SIM118
            about["skeleton"] = SKELETONS[about["skeleton"]]
            about["length_std"] = tuple(about["length_std"])
            about["pairs"] = tuple(about["pairs"])
            about |= {k: tuple(map(tuple, about[k])) for k in ("angles", "knees")}
            tensors["weights"] = tensors["weights"] / tensors["weights"].sum()
            return PosePrior(**tensors, **about)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path} holds no pose prior: {error}. PosePrior.save writes one."
            ) from error


class _LogDirections(torch.autograd.Function):
    """Log density of a mixture of projected normals, with its gradient in closed form.

    With I_n = ∫ r^n exp(r D - r²/2) dr over r > 0: I_1 = 1 + D I_0, I_2 = D I_1 + I_0, and
    d log I_2 / dD = D + 2 I_1 / I_2. Chains ask for it thousands of times.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, squares: Tensor, pull: Tensor, constant: Tensor) -> Tensor:
        outer = (u[..., :, None] * u[..., None, :]).flatten(-2)
        a = (outer[..., None, :] @ squares)[..., 0, :]
        root = a.rsqrt()
        d = (u[..., None, :] @ pull)[..., 0, :] * root
        log_moment, slope = _log_moment(d)
        joint = constant + (log_moment + 3 * root.log()).sum(-2)
        total = joint.logsumexp(-1)
        ctx.save_for_backward(u, squares, pull, root, d, slope, (joint - total[..., None]).exp())
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        u, squares, pull, root, d, slope, share = ctx.saved_tensors
        # d log / du = slope (pull root - D root² P u) - 3 root² P u, component by component.
        weight = share[..., None, :] * slope * root
        inner = share[..., None, :] * (slope * d + 3) * root.square()
        first = (pull @ weight[..., None])[..., 0]
        second = (squares @ inner[..., None])[..., 0].unflatten(-1, (3, 3)) @ u[..., None]
        return grads[0][..., None, None] * (first - second[..., 0]), None, None, None


def _log_moment(d: Float64[Tensor, "..."]) -> tuple[Tensor, Tensor]:
    """Log of I_2 (see :class:`_LogDirections`) and its derivative, for any D."""
    near = d.clamp(max=30.0)
    # For D < 0 the terms of I_2 cancel to 2/|D|³; double precision holds them to |D| = 1000.
    zero = math.sqrt(math.pi / 2) * torch.special.erfcx(near * (-1 / math.sqrt(2)))
    one = 1 + near * zero
    two = (near * one + zero).clamp(min=1e-12)
    far = 0.5 * d.square() + (1 + d.square()).log() + 0.5 * math.log(2 * math.pi)
    log_moment = torch.where(d > 30.0, far, two.log())
    return log_moment, torch.where(d > 30.0, d + 2 * d / (1 + d.square()), near + 2 * one / two)


def heading_of(u: Float64[Tensor, "*axes B 3"]) -> Float64[Tensor, "*axes"]:
    """Angle about the camera's y axis that brings the hips' axis (right to left) to +x.

    Example:
        >>> u = torch.zeros(16, 3).double()
        >>> u[3] = torch.tensor([0.0, 0.0, 1.0])
        >>> round(heading_of(u).item(), 4)
        1.5708
    """
    axis = u[..., HIPS[1], :] - u[..., HIPS[0], :]
    return torch.atan2(axis[..., 2], axis[..., 0])


def turned(u: Float64[Tensor, "*axes B 3"], angle: Float64[Tensor, "*axes"]) -> Tensor:
    """Directions relative to a heading: turned about y by minus the angle.

    Example:
        >>> u = torch.tensor([[0.0, 0.0, 1.0]]).double()
        >>> turned(u, torch.tensor(math.pi / 2).double()).round().abs().tolist()
        [[1.0, 0.0, 0.0]]
    """
    c, s = angle.cos()[..., None], angle.sin()[..., None]
    x, y, z = u.unbind(-1)
    return torch.stack([c * x + s * z, y, c * z - s * x], -1)


def fit_pose_prior(
    joints: Float[Tensor, "N J 3"],
    lengths: tuple[float, ...],
    n_components: int = 32,
    *,
    n_iterations: int = 40,
    min_std: float = 0.12,
    quantile: float = 0.005,
) -> PosePrior:
    """Fit a prior to poses of Human3.6M-17 in camera frames (y down).

    EM with one responsibility per pose and a covariance per bone; the directions are its points.

    Args:
        joints: Meters.
        lengths: Median bone lengths in meters.
        n_components: Of the mixture.
        n_iterations: Of EM.
        min_std: Added to every component, radians: recordings do not hold all poses.
        quantile: Of poses beyond each limit.

    Raises:
        OptionError: If there are fewer poses than components.
    """
    if len(joints) < n_components:
        raise OptionError(f"{n_components} components need as many poses, got {len(joints)}.")
    parent, child = (list(side) for side in zip(*H36M17.bones, strict=True))
    u = functional.normalize((joints[:, child] - joints[:, parent]).double(), dim=-1)
    u = turned(u, heading_of(u))
    mixture = _shared_em(u.transpose(0, 1), n_components, n_iterations, min_std**2)
    bare = PosePrior(
        H36M17,
        mixture.weights[0],
        mixture.means.transpose(0, 1).contiguous(),
        mixture.cholesky.transpose(0, 1).contiguous(),
        torch.tensor(lengths, dtype=torch.float64),
        pairs=_BONE_PAIRS,
        limits=torch.zeros(len(ANGLES) + len(KNEES), 2, dtype=torch.float64),
        angles=ANGLES,
        knees=KNEES,
        upright=True,
    )
    levels = torch.tensor([quantile, 1 - quantile], dtype=torch.float64)
    limits = torch.quantile(bare.bends(u), levels, dim=0).mT.contiguous()
    return replace(bare, limits=limits)


def _shared_em(
    points: Float64[Tensor, "B N 3"], n_components: int, n_iterations: int, floor: float
) -> GaussianMixture:
    """EM for mixtures over B blocks of coordinates that share one component per point."""
    B, N, _ = points.shape
    flat = points.transpose(0, 1).flatten(1)
    share = points.new_full((N,), 1.0 / N)
    start = spread_start(flat, n_components, share, floor)
    rows = torch.unflatten(start.means, -1, (B, 3)).transpose(0, 1)
    wide = (0.5**2 + floor) * torch.eye(3, dtype=points.dtype)
    mixture = GaussianMixture.from_covariances(
        start.weights.expand(B, -1), rows, wide.expand(B, n_components, 3, 3)
    )
    for _ in range(n_iterations):
        log_weight = mixture.weights[0].clamp(min=MASS_FLOOR).log()
        joint = (mixture.log_joint(points) - log_weight).sum(0) + log_weight
        told = (share[:, None] * joint.softmax(-1)).expand(B, N, n_components)
        mixture = maximized(points, told, mixture, floor)
    return mixture
