"""Problems whose posterior is known, to test samplers against.

Ours; Cook, Gelman and Rubin, "Validation of software for Bayesian models using posterior quantiles"
(2006) for the idea, Székely and Rizzo, "Energy statistics" (2013) for the distance.

* :class:`PlacesPosterior`: every joint is in one of several places in depth, Gaussian about each.
  One place is the linear-Gaussian problem. The perfect denoiser is closed-form, so that what a
  diffusion sampler gets wrong is its solver's doing.
* :class:`ArmPosterior`: two bones of nearly known length under perspective; the four flips are
  enumerated, and everything else is integrated out by weighted draws.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from hypopose.errors import OptionError
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Keypoints2D, NoiseSource, Poses3D, Skeleton


def energy_distance(
    a: Float[Tensor, "N D"],
    b: Float[Tensor, "M D"],
    weights: Float[Tensor, " M"] | None = None,
) -> float:
    """How far two distributions are apart, from draws: 0 if and only if they are the same.

    The square root of 2 E|A - B| - E|A - A'| - E|B - B'|, where pairs of one draw with itself are
    left out; at least 0.

    Args:
        a: Draws of one.
        b: Draws of the other.
        weights: Of ``b``; equal where None. They are normalized.

    Returns:
        In the square root of the unit of the draws' distance.

    Example:
        >>> x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
        >>> energy_distance(x[:200], x[200:]) < 0.2 < energy_distance(x[:200], x[200:] + 1.0)
        True
    """
    a, b = a.double(), b.double()
    w = torch.ones(len(b)).double() if weights is None else weights.double()
    w = w / w.sum()
    between = (torch.cdist(a, b) @ w).mean()
    within_a = torch.cdist(a, a).sum() / (len(a) * (len(a) - 1))
    within_b = (w @ torch.cdist(b, b) @ w) / (1 - w.square().sum())
    return float((2 * between - within_a - within_b).clamp(min=0).sqrt())


@dataclass(frozen=True, eq=False)
class PlacesPosterior:
    """Joints of which a detector tells x and y, and depth is one of several places.

    Convention:
        Meters in the camera frame. A keypoint in screen coordinates (half the image width is 1) is
        (x, y) of its joint plus the detector's error: an orthographic camera of one meter.

    Args:
        depths: Places in depth, meters.
        odds: Of the places; they are normalized.
        depth_std: Deviation about a place.
        spread: Prior deviation of x and y.
        sigma: Of the detector, in screen units.
        skeleton: The joint set; the root stays at 0.

    Raises:
        OptionError: If there is not one of the odds per place, or a deviation is not positive.

    Example:
        >>> problem = PlacesPosterior()
        >>> round(problem.share, 3)
        0.988
    """

    depths: tuple[float, ...] = (-0.3, 0.3)
    odds: tuple[float, ...] = (0.7, 0.3)
    depth_std: float = 0.06
    spread: float = 0.45
    sigma: float = 0.05
    skeleton: Skeleton = H36M17

    def __post_init__(self) -> None:
        if len(self.depths) != len(self.odds) or min(self.odds) <= 0:
            raise OptionError("PlacesPosterior needs one of the odds, above 0, per depth.")
        if min(self.depth_std, self.spread, self.sigma) <= 0:
            raise OptionError("PlacesPosterior needs positive deviations.")

    @property
    def share(self) -> float:
        """Weight of the keypoint in the posterior mean of x and y."""
        return self.spread**2 / (self.spread**2 + self.sigma**2)

    def __call__(self, noise: NoiseSource) -> tuple[Poses3D, Keypoints2D]:
        """Draw one pose and its keypoints, as :func:`run_sbc` asks.

        Args:
            noise: Asked for ``(1, 1, J, 6)``.
        """
        J = self.skeleton.n_joints
        z = noise((1, 1, J, 6))[0]
        xyz = torch.cat([self.spread * z[..., :2], self._depth(z[..., 2:4])], -1)
        xyz[:, self.skeleton.root] = 0.0
        screen = xyz[..., :2] + self.sigma * z[..., 4:6]
        return Poses3D(xyz, self.skeleton), self.keypoints(screen)

    def keypoints(self, screen: Float[Tensor, "*batch F J 2"]) -> Keypoints2D:
        """Keypoints from screen coordinates: an image of 1000 x 1000 pixels, no camera."""
        return Keypoints2D(500 * (screen + 1), self.skeleton, image_size=(1000, 1000))

    def draw(
        self, keypoints: Keypoints2D, n: int, generator: torch.Generator
    ) -> Float[Tensor, "H F J 3"]:
        """Exact draws from the posterior of one clip."""
        screen = keypoints.xy / 500 - 1
        z = torch.randn((n, *screen.shape[:-1], 4), generator=generator)
        std = self.sigma * self.share**0.5
        xyz = torch.cat([self.share * screen + std * z[..., :2], self._depth(z[..., 2:])], -1)
        xyz[..., self.skeleton.root, :] = 0.0
        return xyz

    def near_share(self, joints: Float[Tensor, "H F J 3"]) -> Float[Tensor, "F J"]:
        """Share of hypotheses in the nearest place; half way to the next decides."""
        first, second = sorted(self.depths)[:2]
        return (joints[..., 2] < (first + second) / 2).float().mean(0)

    def clean(
        self, x_t: Float[Tensor, "*axes J 3"], screen: Float[Tensor, "*axes J 2"], bar: float
    ) -> Float[Tensor, "*axes J 3"]:
        """E[x0 | x_t, keypoints] for x_t = √ᾱ x0 + √(1 - ᾱ) z: the perfect denoiser.

        Args:
            x_t: Noisy poses, meters.
            screen: Keypoints in screen coordinates.
            bar: ᾱ of the timestep.
        """
        x, keep, rest = x_t.double(), math.sqrt(bar), 1 - bar
        variance = self.sigma**2 * self.share
        flat = _posterior_mean(x[..., :2], self.share * screen.double(), variance, keep, rest)
        places = torch.tensor(self.depths, dtype=torch.float64)
        each = _posterior_mean(x[..., 2:], places, self.depth_std**2, keep, rest)
        whole = bar * self.depth_std**2 + rest
        log_odds = torch.tensor(self.odds, dtype=torch.float64).log()
        log_odds = log_odds - 0.5 * (x[..., 2:] - keep * places).square() / whole
        depth = (log_odds.softmax(-1) * each).sum(-1, keepdim=True)
        clean = torch.cat([flat, depth], -1)
        clean[..., self.skeleton.root, :] = 0.0
        return clean.to(x_t)

    def _depth(self, z: Float[Tensor, "*axes 2"]) -> Float[Tensor, "*axes 1"]:
        """Depths from two normals: one chooses the place, one moves about it."""
        odds = torch.tensor(self.odds, dtype=torch.float64).cumsum(0)
        u = torch.special.ndtr(z[..., :1].double()) * odds[-1]
        place = torch.tensor(self.depths)[(u >= odds[:-1]).sum(-1)]
        return place[..., None] + self.depth_std * z[..., 1:]


def _posterior_mean(
    x: Tensor, mean: Tensor, variance: float, keep: float, rest: float
) -> Float64[Tensor, "..."]:
    """E[x0 | keep x0 + √rest z = x] for x0 ~ N(mean, variance)."""
    return (mean * rest + variance * keep * x) / (variance * keep**2 + rest)


Directions = Callable[[Float64[Tensor, "N 2 3"]], Float64[Tensor, " N"]]

ARM = Skeleton("arm", ("shoulder", "elbow", "wrist"), (-1, 0, 1), (), ())


@dataclass(frozen=True, eq=False)
class ArmPosterior:
    """Shoulder, elbow and wrist under a pinhole camera: up to four interpretations.

    The prior: log bone lengths are normal; the shoulder's log depth and its place on the plane
    z = 1 are normal; bone directions have a density over the sphere. Keypoints have normal errors.

    Args:
        camera: Who sees the arm.
        lengths: Median bone lengths, meters.
        length_std: Deviation of their logarithms.
        sigma_px: Of the detector.
        depth: Median depth of the shoulder in meters and deviation of its logarithm.
        place_std: Deviation of the shoulder's place on the plane z = 1.
        directions: Log density of bone directions; all alike where None.
    """

    camera: Camera
    lengths: tuple[float, float] = (0.28, 0.25)
    length_std: float = 0.035
    sigma_px: float = 4.0
    depth: tuple[float, float] = (4.0, 0.6)
    place_std: float = 0.5
    directions: Directions | None = None

    def draw(
        self, keypoints: Keypoints2D, n: int, generator: torch.Generator
    ) -> tuple[Float64[Tensor, "N 3 3"], Float64[Tensor, " N"]]:
        """Weighted draws of all four flips from the posterior of one frame.

        Keypoints, lengths and depth are drawn from likelihood and prior; the weight is what the
        change from (image, length, coin) to space leaves, times the prior of directions.

        Args:
            keypoints: One frame of :data:`ARM`, without distortion.
            n: Draws per flip.
            generator: Their source.

        Returns:
            Joints in the camera frame and weights that sum to 1; flips side by side, near before
            far, the wrist's changing fastest.
        """
        z = torch.randn((n, 9), generator=generator, dtype=torch.float64)
        px = keypoints.xy[0].double() + self.sigma_px * torch.unflatten(z[:, :6], -1, (3, 2))
        plane = (px - self.camera.center.double()) / self.camera.focal.double()
        ray = torch.nn.functional.pad(plane, (0, 1), value=1.0)
        median = torch.tensor(self.lengths, dtype=torch.float64)
        length = median * (self.length_std * z[:, 6:8]).exp()
        depth = self.depth[0] * (self.depth[1] * z[:, 8]).exp()
        root = depth[:, None] * ray[:, 0]
        log_root = -0.5 * (plane[:, 0] / self.place_std).square().sum(-1)
        poses, weights = [], []
        for coins in itertools.product((-1.0, 1.0), repeat=2):
            x, log_weight = [root], log_root
            for bone, coin in enumerate(coins):
                d = ray[:, bone + 1]
                along, size2 = (d * x[-1]).sum(-1), d.square().sum(-1)
                room = along**2 - size2 * (x[-1].square().sum(-1) - length[:, bone] ** 2)
                half = room.clamp(min=0).sqrt()
                far = (along + coin * half) / size2
                # dx dy dZ = Z² dp dZ and dZ = ℓ² / |d·v| dlogℓ, over ℓ³ for log lengths in space.
                log_weight = log_weight + 2 * far.clamp(min=1e-9).log()
                log_weight = log_weight - (length[:, bone] * half.clamp(min=1e-12)).log()
                log_weight = torch.where((room > 0) & (far > 0), log_weight, -torch.inf)
                x.append(far[:, None] * d)
            pose = torch.stack(x, 1)
            poses.append(pose)
            weights.append(log_weight + self._directions(pose))
        return torch.cat(poses), torch.cat(weights).softmax(0)

    def _directions(self, pose: Float64[Tensor, "N 3 3"]) -> Tensor:
        if self.directions is None:
            return pose.new_zeros(len(pose))
        return self.directions(torch.nn.functional.normalize(pose.diff(dim=1), dim=-1))

    def flips(self, pose: Float[Tensor, "N 3 3"]) -> Tensor:
        """Which of the four flips a pose is: 2 x elbow far + wrist far."""
        ray = pose / pose[..., 2:]
        slope = (ray[..., 1:, :] * pose.diff(dim=-2)).sum(-1) > 0
        return 2 * slope[..., 0].long() + slope[..., 1].long()

    def flip_shares(
        self, pose: Float[Tensor, "N 3 3"], weights: Float[Tensor, " N"] | None = None
    ) -> Float64[Tensor, " 4"]:
        """Mass of the four flips."""
        w = torch.full((len(pose),), 1.0 / len(pose)).double() if weights is None else weights
        return torch.zeros(4, dtype=torch.float64).index_add(0, self.flips(pose), w.double())
