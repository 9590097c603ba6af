"""Exact hypotheses by Markov chains: a Pyro model of pose and detector, NUTS, and exact flips.

Ours. Bingham et al., "Pyro" (JMLR 2019); Hoffman and Gelman, "The No-U-Turn Sampler" (JMLR 2014);
Vehtari et al., "Rank-normalization, folding, and localization: an improved R-hat" (2021). Slow but
right: the yardstick for learned samplers, because its prior and likelihood are written down.

:func:`pose_model` is the model: a scale, bone lengths, a place and depth of the root, a heading and
bone directions (:class:`~hypopose.samplers.pose_prior.PosePrior`), and keypoints with heavy-tailed
errors of known covariance. Its posterior is narrow in 34 image coordinates, wide in depth, and has
a mode for every bone that may point towards the camera or away. Hence

* **other coordinates.** A chain moves e (keypoints' errors, whitened), the depth ζ of every joint
  relative to its parent and the root's log depth, all in units of the body's scale; bone vectors
  follow, and their lengths and directions are judged by the prior. The likelihood is then a
  standard one, and where a bone lies in the image plane its two solutions meet smoothly. The scale
  does not touch the keypoints: it is integrated out, and drawn afterwards;
* **flips.** With positions p in the image and bone lengths ℓ held, a bone's coin (near or far) is
  changed and all joints behind it are placed anew: the interpretation tree of
  :class:`~hypopose.samplers.BoneFlips`. Some bones' coins, and some headings, are enumerated
  together and one combination is drawn in proportion to the posterior in (p, ℓ, coins), whose
  volume is Π |∂ζ/∂ℓ|: a Gibbs step, exact. It comes after every NUTS step, so chains visit all
  modes as often as they should, and start in likely ones. In the same coordinates the root's depth
  slides: joints of a foreshortened body follow it along a curve that NUTS would crawl along.

| symbol | code |
| --- | --- |
| e, ζ, log depth, heading | the columns of a position, ``(C, T, D)``; C chains, T frames |
| u, ℓ | ``directions``, ``lengths`` |
| d | ray of unit depth |
| d·v | ``slope``; its sign is the coin, ℓ / abs(d·v) is ∂ζ/∂ℓ |

Clips: lengths are shared, poses and roots are tied over time by Gaussian steps, and the pose prior
of every frame counts with the power 1/T, so that a person who stands still counts once.

Chains run side by side in one Pyro kernel, on the product of their posteriors.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float64
from torch import Tensor
from torch.nn import functional

from hypopose.cameras import project, undistort
from hypopose.errors import MissingCameraError, OptionError, SkeletonMismatchError
from hypopose.samplers.pose_prior import PosePrior, turned
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Hypotheses, Keypoints2D, NoiseSource, Poses3D, Skeleton

if TYPE_CHECKING:
    from pyro.infer import NUTS

DEPTH_M, DEPTH_STD = 4.0, 0.6
"""Median of the root's depth in meters, and the standard deviation of its logarithm."""

PLACE_STD = 0.5
"""Standard deviation of the root's place on the plane z = 1."""

NEAREST = 0.05
"""No joint is nearer to the camera, meters."""

SAME_LENGTH = 0.01
"""Deviation of a log length between frames of a clip: joints are no hinges."""

SPEED, ROOT_SPEED, TURN_SPEED = 1.5, 1.5, 2.0
"""Deviations per second of a joint relative to the root (m), the root (m), the heading (rad)."""

FPS = 30.0
"""Frame rate taken where keypoints carry none."""

MIN_CONFIDENCE = 0.05
BAD_R_HAT, BAD_ESS = 1.1, 50.0
"""Beyond these a warning says that the draws are not to be trusted yet."""

TYPICAL = 0.2
"""Radians to which the components of a prior hold a bone, about; it decides speed only."""

HEADINGS = 8
"""Headings tried with flips of the trunk: plus and minus the present one, in quarter turns."""


@dataclass(frozen=True)
class Transition:
    """What a callback sees after every transition.

    Args:
        index: 0, 1, ... over warm-up and draws.
    """

    index: int


@dataclass(frozen=True)
class Convergence:
    """Whether chains agree; the last thing a callback sees.

    Args:
        r_hat: Largest split R-hat over joints' coordinates.
        ess: Smallest effective number of draws.
        n_divergent: Transitions in which the integrator broke down.
        flips: Share of flip steps that changed something.
        seconds: Wall-clock time.
    """

    r_hat: float
    ess: float
    n_divergent: int
    flips: float
    seconds: float

    @property
    def note(self) -> str:
        """One line for records."""
        return (
            f"MCMC: R-hat at most {self.r_hat:.2f}, at least {self.ess:.0f} effective draws, "
            f"{self.n_divergent} divergent transitions, {100 * self.flips:.0f} % of flips taken, "
            f"{self.seconds:.0f} s"
        )

    @property
    def bad(self) -> bool:
        """Whether the draws are not to be trusted."""
        return not (self.r_hat < BAD_R_HAT and self.ess > BAD_ESS)


@dataclass(frozen=True)
class MCMC:
    """Draw poses from the posterior of a written-down prior and detector.

    Args:
        skeleton: The joint set of keypoints and hypotheses.
        prior: Of poses; None for the one in the box, which is for Human3.6M-17.
        detector_std: Deviation of a keypoint of confidence 1 as a share of the image width, for
            keypoints without covariance; it grows as 1 / √confidence.
        tails: Degrees of freedom of the keypoints' errors; None for normal ones.
        n_chains: Chains side by side.
        n_warmup: Transitions that adapt step sizes and are thrown away.
        n_draws: Transitions kept per chain; more hypotheses than draws are refused.
        frames: ``"joint"``: one posterior over a short clip; ``"independent"``: one per frame, so
            that hypotheses of neighboring frames have nothing to do with one another.
        max_frames: Frames of a joint posterior at most.

    Raises:
        OptionError: If an option is out of range.
        SkeletonMismatchError: If the prior is for another skeleton.

    Example:
        >>> MCMC(n_draws=50).n_steps
        151
    """

    skeleton: Skeleton = field(default=H36M17)
    prior: PosePrior | None = None
    detector_std: float = 0.004
    tails: float | None = 5.0
    n_chains: int = 4
    n_warmup: int = 100
    n_draws: int = 100
    frames: str = "joint"
    max_frames: int = 8

    def __post_init__(self) -> None:
        if min(self.n_chains, self.n_warmup, self.max_frames) < 1 or self.n_draws < 4:
            raise OptionError(
                "MCMC needs n_chains, n_warmup and max_frames of 1 or more, n_draws of 4 or more."
            )
        if self.detector_std <= 0 or (self.tails is not None and self.tails <= 0):
            raise OptionError("MCMC needs detector_std > 0 and tails > 0 (or none).")
        if self.frames not in ("joint", "independent"):
            raise OptionError(f"frames={self.frames!r} is not one of joint, independent.")
        name = H36M17.name if self.prior is None else self.prior.skeleton.name
        if name != self.skeleton.name:
            raise SkeletonMismatchError(
                f"This pose prior is for {name!r}, not {self.skeleton.name!r}; pass "
                "prior=PosePrior.anywhere(skeleton, bone_lengths), or one you fitted."
            )

    @property
    def n_steps(self) -> int:
        """Calls of the callback for a clip sampled jointly."""
        return self.n_warmup + self.n_draws + 1

    def sample(
        self,
        keypoints: Keypoints2D,
        n_hypotheses: int,
        noise: NoiseSource,
        callback: Callable[[Any], None] | None = None,
    ) -> Hypotheses:
        """Run chains and take draws from them, evenly.

        Args:
            keypoints: With a camera; NaN where undetected.
            n_hypotheses: At most ``n_chains * n_draws``.
            noise: Asked once for ``(*batch, 1, 1, 1, 2)``, which seeds the chains.
            callback: Called with a :class:`Transition` after each, and a :class:`Convergence`
                at the end of each run.

        Returns:
            Hypotheses with roots.

        Raises:
            MissingCameraError: If the keypoints carry no camera.
            SkeletonMismatchError: If the keypoints are in another skeleton.
            OptionError: If the clip is too long, shows nothing, or too much is asked for.
        """
        self._check(keypoints, n_hypotheses)
        batch = keypoints.xy.shape[:-3]
        seeds = noise((*batch, 1, 1, 1, 2)).reshape(-1, 2)
        tell = callback or (lambda _: None)
        runs = []
        with torch.enable_grad():
            for i, seed in enumerate(seeds.float().contiguous().view(torch.int32).tolist()):
                clip = _clip(keypoints, i)
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed((seed[0] << 32) ^ seed[1])
                    runs.append(self._posterior(clip, n_hypotheses, tell))
        worst = [run[1] for run in runs]
        if any(c.bad for c in worst):
            bad = max(worst, key=lambda c: (c.bad, c.r_hat))
            warnings.warn(
                f"Chains have not converged: {bad.note}. Draw more: n_draws={2 * self.n_draws}, "
                f"n_warmup={2 * self.n_warmup}.",
                stacklevel=2,
            )
        x = torch.stack([run[0] for run in runs]).reshape(
            *batch, n_hypotheses, *runs[0][0].shape[1:]
        )
        root = x[..., self.skeleton.root, :]
        dtype = keypoints.xy.dtype
        return Hypotheses((x - root.unsqueeze(-2)).to(dtype), self.skeleton, root.to(dtype))

    def _check(self, keypoints: Keypoints2D, n_hypotheses: int) -> None:
        if keypoints.camera is None:
            raise MissingCameraError(
                "MCMC projects joints into the image, but these keypoints carry no camera. Attach "
                "one with keypoints.with_camera(Camera.from_fov(image_size))."
            )
        if keypoints.skeleton.name != self.skeleton.name:
            raise SkeletonMismatchError(
                f"MCMC({self.skeleton.name!r}) got keypoints in {keypoints.skeleton.name!r}; "
                "bring them over with hypopose.skeletons.convert."
            )
        if not 1 <= n_hypotheses <= self.n_chains * self.n_draws:
            raise OptionError(
                f"n_hypotheses lies between 1 and the {self.n_chains * self.n_draws} draws of all "
                f"chains, got {n_hypotheses}; raise n_draws."
            )
        if self.frames == "joint" and keypoints.n_frames > self.max_frames:
            raise OptionError(
                f"MCMC draws clips of up to {self.max_frames} frames, these have "
                f"{keypoints.n_frames}. Cut a short clip, or sample every frame by itself with "
                "frames='independent' (--set frames=independent), which takes long."
            )
        if not bool(keypoints.detected.any(-1).all()):
            raise OptionError("A frame shows no keypoint at all; leave such frames out.")

    def _posterior(
        self, clip: Keypoints2D, n: int, tell: Callable[[Any], None]
    ) -> tuple[Float64[Tensor, "H F J 3"], Convergence]:
        if self.frames == "joint":
            return self._run(clip, n, tell)
        runs = [self._run(_frame(clip, f), n, tell) for f in range(clip.n_frames)]
        worst = max((run[1] for run in runs), key=lambda c: (c.bad, c.r_hat))
        return torch.cat([run[0] for run in runs], 1), worst

    def _run(
        self, clip: Keypoints2D, n: int, tell: Callable[[Any], None]
    ) -> tuple[Float64[Tensor, "H F J 3"], Convergence]:
        """Chains on one clip: H poses in the camera frame, evenly out of all draws."""
        began = time.monotonic()
        target = self.target(clip)
        chains = Chains(target, self.n_chains, self.n_warmup)
        kept = []
        for i in range(self.n_warmup + self.n_draws):
            chains.step()
            if i >= self.n_warmup:
                kept.append(chains.position)
            tell(Transition(i))
        draws = torch.stack(kept)  # (S, C, T, D)
        x = target.pose(draws)[0]
        convergence = _convergence(x, target.root, chains, time.monotonic() - began)
        tell(convergence)
        at = torch.linspace(0, x.shape[0] * x.shape[1] - 1, n).round().long()
        x, draws = x.flatten(0, 1)[at], draws.flatten(0, 1)[at]
        return x * target.draw_scale(draws)[:, None, None, None], convergence

    def target(self, clip: Keypoints2D) -> Target:
        """The posterior of one clip without batch axes."""
        return Target.of(clip, self.prior or PosePrior.box(), self.covariance(clip), self.tails)

    def covariance(self, keypoints: Keypoints2D) -> Float64[Tensor, "*batch F J 2 2"]:
        """Of the detector's error in pixels."""
        if keypoints.covariance is not None:
            return keypoints.covariance.double()
        assert keypoints.camera is not None
        confidence = keypoints.confidence
        share = torch.ones_like(keypoints.xy[..., 0]) if confidence is None else confidence
        std = self.detector_std * keypoints.camera.image_size[0]
        variance = std**2 / share.double().nan_to_num(0.0).clamp(MIN_CONFIDENCE, 1.0)
        return variance[..., None, None] * torch.eye(2, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Target:
    """The posterior density of a clip, in the coordinates chains move in.

    Args:
        prior: Of poses.
        center: Where errors of 0 put joints on the plane z = 1.
        factor: What a whitened error of 1 moves a joint by, there.
        detected: Joints whose errors the likelihood judges.
        tails: Degrees of freedom of errors; None for normal ones.
        start_depth: Of the root, in units of the scale.
        seconds: Between frames.
    """

    prior: PosePrior
    center: Float64[Tensor, "T J 2"]
    factor: Float64[Tensor, "T J 2 2"]
    detected: Bool[Tensor, "T J"]
    tails: float | None
    start_depth: Float64[Tensor, " T"]
    seconds: float

    def __post_init__(self) -> None:
        # What every evaluation needs, once.
        skeleton, T = self.prior.skeleton, len(self.center)
        n = len(skeleton.bones)
        chain = torch.zeros(skeleton.n_joints, n, dtype=torch.float64)
        for bone, (parent, child) in skeleton_walk(skeleton):
            chain[child] = chain[parent]
            chain[child, bone] = 1
        same = torch.ones(T, T, dtype=torch.float64)
        apart = SAME_LENGTH**2 * torch.eye(T * n, dtype=torch.float64) if T > 1 else 0.0
        covariance = torch.kron(same, self.prior.log_length_covariance) + apart
        whiten = torch.linalg.inv(torch.linalg.cholesky(covariance))
        parents, children = (list(side) for side in zip(*skeleton.bones, strict=True))
        others = [j for j in range(skeleton.n_joints) if j != skeleton.root]
        cached = {"_chain": chain, "_whiten": whiten, "_parents": parents, "_children": children}
        for name, value in {**cached, "_others": others}.items():
            object.__setattr__(self, name, value)

    _chain: Tensor = field(init=False, repr=False)
    _whiten: Tensor = field(init=False, repr=False)
    _parents: list[int] = field(init=False, repr=False)
    _children: list[int] = field(init=False, repr=False)
    _others: list[int] = field(init=False, repr=False)

    @staticmethod
    def of(
        clip: Keypoints2D,
        prior: PosePrior,
        covariance: Float64[Tensor, "T J 2 2"],
        tails: float | None,
    ) -> Target:
        """From keypoints with a camera and the covariance of their errors in pixels."""
        camera = clip.camera
        assert camera is not None
        plane = undistort(clip.xy.double(), camera)
        focal = camera.focal.double()
        detected = torch.isfinite(plane).all(-1)
        scaled = covariance / (focal[:, None] * focal[None, :])
        depth = _reach(plane, prior)
        center, loose = _filled(plane, depth, prior)
        safe = torch.where(detected[..., None, None], scaled, torch.eye(2).double())
        factor = torch.where(detected[..., None, None], torch.linalg.cholesky(safe), loose)
        return Target(prior, center, factor, detected, tails, depth, 1 / (clip.fps or FPS))

    @property
    def root(self) -> int:
        """Index of the root joint."""
        return self.prior.skeleton.root

    @property
    def n_coordinates(self) -> int:
        """D: errors, depths, the root's log depth, and the heading."""
        skeleton = self.prior.skeleton
        return 2 * skeleton.n_joints + len(skeleton.bones) + 2

    def split(self, position: Float64[Tensor, "*axes T D"]) -> tuple[Tensor, Tensor, Tensor]:
        """Places on the plane ``(..., T, J, 2)``, depths ``(..., T, J)`` and headings."""
        J = self.prior.skeleton.n_joints
        parts = [2 * J, position.shape[-1] - 2 * J - 2, 1, 1]
        e, zeta, depth, heading = torch.split(position, parts, -1)
        p = self.center + (self.factor @ torch.unflatten(e, -1, (J, 2))[..., None])[..., 0]
        return p, depth.exp() + zeta @ self._chain.mT, heading[..., 0]

    def join(
        self,
        before: Float64[Tensor, "C T D"],
        depth: Float64[Tensor, "*axes T J"],
        heading: Float64[Tensor, "*axes T"],
    ) -> Float64[Tensor, "*axes T D"]:
        """A position with other depths and headings than ``before``; errors stay."""
        J = self.prior.skeleton.n_joints
        zeta = depth[..., self._children] - depth[..., self._parents]
        e = before[..., : 2 * J].expand(*depth.shape[:-1], 2 * J)
        rest = [zeta, depth[..., self.root].log()[..., None], heading[..., None]]
        return torch.cat([e, *rest], -1)

    def pose(self, position: Float64[Tensor, "*axes T D"]) -> tuple[Tensor, Tensor]:
        """Joints ``(..., T, J, 3)`` in the camera frame, in units of the scale; headings."""
        p, depth, heading = self.split(position)
        return functional.pad(p, (0, 1), value=1.0) * depth[..., None], heading

    def log_density(self, position: Float64[Tensor, "*axes T D"]) -> Float64[Tensor, "*axes"]:
        """Log posterior density up to a constant; -∞ if a joint is behind the camera."""
        p, depth, heading = self.split(position)
        T, J = p.shape[-3:-1]
        safe = depth.clamp(min=NEAREST)
        x = functional.pad(p, (0, 1), value=1.0) * safe[..., None]
        length, u = self._bones(x)
        white = self.white_lengths(length)
        local = turned(u, heading) if self.prior.upright else u
        shape = self.prior.log_directions(local) + self.prior.log_limits(u)
        shape = shape - 3 * length.log().sum(-1)
        total = shape.mean(-1) - 0.5 * white.square().sum(-1)
        total = total + 2 * safe[..., self._others].log().sum((-2, -1))
        total = total + self._likelihood(position[..., : 2 * J]) + self._root(p, depth)
        if T > 1:
            total = total + self._motion(x, heading)
        return torch.where((depth > NEAREST).all(-1).all(-1), total, -torch.inf)

    def bones(self, position: Float64[Tensor, "*axes T D"]) -> tuple[Tensor, Tensor]:
        """Lengths ``(..., T, B)`` in units of the scale, and directions."""
        return self._bones(self.pose(position)[0])

    def _bones(self, x: Float64[Tensor, "*axes T J 3"]) -> tuple[Tensor, Tensor]:
        v = x[..., self._children, :] - x[..., self._parents, :]
        length = v.square().sum(-1).clamp(min=1e-12).sqrt()
        return length, v / length[..., None]

    def white_lengths(self, length: Float64[Tensor, "*axes T B"]) -> Float64[Tensor, "*axes TB"]:
        """Log lengths of all frames, less their medians, as standard normals of the prior."""
        return (length.log() - self.prior.lengths.log()).flatten(-2) @ self._whiten.mT

    def _likelihood(self, e: Tensor) -> Tensor:
        squares = torch.unflatten(e, -1, (-1, 2)).square().sum(-1)
        if self.tails is None:
            log_error = -0.5 * squares
        else:
            log_error = -0.5 * (self.tails + 2) * torch.log1p(squares / self.tails)
        return torch.where(self.detected, log_error, 0.0).sum((-2, -1))

    def _root(self, p: Tensor, depth: Tensor) -> Tensor:
        """The first frame's place and log depth; the scale is integrated out."""
        place = p[..., 0, self.root, :]
        away = depth[..., 0, self.root].clamp(min=NEAREST).log() - math.log(DEPTH_M)
        variance = DEPTH_STD**2 + self.prior.length_std[0] ** 2
        log_place = -0.5 * (place / PLACE_STD).square().sum(-1) - 0.5 * away**2 / variance
        # Later frames' roots are tied to the first as points in space, not as (place, log depth).
        return log_place + 3 * depth[..., 1:, self.root].clamp(min=NEAREST).log().sum(-1)

    def _motion(self, x: Tensor, heading: Tensor) -> Tensor:
        turn = heading.diff(dim=-1).cos().sum(-1) / (TURN_SPEED * self.seconds) ** 2
        return turn - 0.5 * self._steps(x).square().sum((-3, -2, -1))

    def _steps(self, x: Float64[Tensor, "*axes T J 3"]) -> Tensor:
        """Steps between frames over their deviations: of joints about the root, of the root."""
        root = x[..., self.root : self.root + 1, :]
        moves = [(x - root)[..., self._others, :].diff(dim=-3) / SPEED]
        return torch.cat([*moves, root.diff(dim=-3) / ROOT_SPEED], -2) / self.seconds

    def ties(self, position: Float64[Tensor, "T D"]) -> Float64[Tensor, " n"]:
        """Residuals of the prior of motion: steps, and turns of the heading."""
        x, heading = self.pose(position)
        turns = heading.diff() / (TURN_SPEED * self.seconds)
        return torch.cat([self._steps(x).flatten(), turns])

    def slope(self, p: Tensor, depth: Tensor) -> Tensor:
        """d·v of every bone: how fast its squared length grows with its end's depth, halved."""
        ray = functional.pad(p, (0, 1), value=1.0)
        x = ray * depth[..., None]
        v = x[..., self._children, :] - x[..., self._parents, :]
        return (ray[..., self._children, :] * v).sum(-1)

    def walk(
        self, p: Tensor, length: Tensor, root_depth: Tensor, coin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Depths from bone lengths and coins, and whether every bone reaches its ray."""
        ray = functional.pad(p, (0, 1), value=1.0)
        size2 = ray.square().sum(-1)
        depth: dict[int, Tensor] = {self.root: root_depth.expand(coin.shape[:-1])}
        reaches = torch.ones(coin.shape[:-1], dtype=torch.bool)
        for bone, (parent, child) in skeleton_walk(self.prior.skeleton):
            along = depth[parent] * (ray[..., child, :] * ray[..., parent, :]).sum(-1)
            rest = depth[parent].square() * size2[..., parent] - length[..., bone].square()
            room = along.square() - size2[..., child] * rest
            reaches = reaches & (room > 0)
            half = coin[..., bone] * room.clamp(min=0).sqrt()
            depth[child] = (along + half) / size2[..., child]
        joints = range(self.prior.skeleton.n_joints)
        return torch.stack([depth[j] for j in joints], -1), reaches.all(-1)

    def flipped(
        self,
        position: Float64[Tensor, "C T D"],
        signs: Float64[Tensor, "N B"],
        n_headings: int = 1,
        zoom: float | Float64[Tensor, "N 1 1"] = 1.0,
    ) -> tuple[Float64[Tensor, "NH C T D"], Float64[Tensor, "NH C"]]:
        """All combinations of flips and headings, and their log densities in (p, ℓ, coins).

        Args:
            position: Of every chain; its errors and bone lengths are kept.
            signs: Rows of flips, 1 to keep a bone's coin and -1 to change it.
            n_headings: 1, or :data:`HEADINGS`.
            zoom: What each row multiplies the root's depth by.
        """
        p, depth, heading = self.split(position)
        x = functional.pad(p, (0, 1), value=1.0) * depth[..., None]
        length = (x[..., self._children, :] - x[..., self._parents, :]).norm(dim=-1)
        slope = self.slope(p, depth)
        coin = torch.where(slope < 0, -1.0, 1.0) * signs[:, None, None]
        new, reaches = self.walk(p, length, zoom * depth[..., self.root], coin)
        k = torch.arange(n_headings)
        turn = torch.where(k % 2 == 0, 1.0, -1.0)[:, None, None] * heading
        turn = turn + (k // 2)[:, None, None] * (math.pi / 2)
        n = len(signs)
        new = new[:, None].expand(n, n_headings, *depth.shape)
        places = self.join(position, new, turn.expand(n, *turn.shape)).flatten(0, 1)
        volume = self.slope(p, new).abs().clamp(min=1e-300).log().sum((-2, -1))
        log_density = self.log_density(places) - volume.flatten(0, 1)
        possible = reaches[:, None].expand(n, n_headings, -1).flatten(0, 1)
        return places, torch.where(possible, log_density, -torch.inf)

    def draw_scale(self, position: Float64[Tensor, "N T D"]) -> Float64[Tensor, " N"]:
        """The body's scale, from its posterior given the root's depth in units of it."""
        a, b = self.prior.length_std[0] ** 2, DEPTH_STD**2
        away = math.log(DEPTH_M) - position[:, 0, -2]
        mean, std = away * a / (a + b), math.sqrt(a * b / (a + b))
        return (mean + std * torch.randn(len(position), dtype=torch.float64)).exp()


def pose_model(
    prior: PosePrior,
    factor: Float64[Tensor, "J 2 2"],
    tails: float | None,
    observed: Float64[Tensor, "J 2"] | None = None,
    directions: Float64[Tensor, "B 3"] | None = None,
) -> Float64[Tensor, "J 3"]:
    """The model of one frame, as a Pyro program: what :class:`Target` is the density of.

    Args:
        prior: Of poses.
        factor: Cholesky factors of the keypoints' covariances on the plane z = 1 (for ``tails``,
            of their scale matrices).
        tails: Degrees of freedom of the keypoints' errors; None for normal ones.
        observed: Keypoints on the plane z = 1; drawn where None.
        directions: Bone directions relative to the heading, drawn by :meth:`PosePrior.draw`; given
            because their mixture with limits is drawn by rejection.

    Returns:
        Joints in the camera frame, meters.
    """
    import pyro
    from pyro import distributions as dist

    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    common = max(prior.length_std[0], 1e-9)
    scale = pyro.sample("scale", dist.LogNormal(zero, common * one))
    log_lengths = pyro.sample(
        "log_lengths",
        dist.MultivariateNormal(prior.lengths.log(), prior.log_length_covariance),
    )
    place = pyro.sample("place", dist.Normal(zero, PLACE_STD * one).expand([2]).to_event(1))
    depth = pyro.sample("depth", dist.LogNormal(math.log(DEPTH_M) * one, DEPTH_STD * one))
    heading = pyro.sample("heading", dist.Uniform(-math.pi * one, math.pi * one))
    if directions is None:
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        directions = prior.draw(1, generator)[0]
    pyro.factor("shape", prior.log_directions(directions) + prior.log_limits(directions))
    u = turned(directions, -heading) if prior.upright else directions
    joints: dict[int, Tensor] = {prior.skeleton.root: functional.pad(place, (0, 1), value=1.0)}
    joints[prior.skeleton.root] = joints[prior.skeleton.root] * depth
    for bone, (parent, child) in skeleton_walk(prior.skeleton):
        joints[child] = joints[parent] + scale * log_lengths[bone].exp() * u[bone]
    x = torch.stack([joints[j] for j in range(prior.skeleton.n_joints)])
    plane = x[:, :2] / x[:, 2:]
    if tails is None:
        error = dist.MultivariateNormal(plane, scale_tril=factor)
    else:
        error = dist.MultivariateStudentT(tails * one, plane, factor)
    pyro.sample("keypoints", error.to_event(1), obs=observed)
    return x


@dataclass(frozen=True)
class ModelSimulator:
    """Draws a pose and keypoints from :func:`pose_model`, for simulation-based calibration.

    Args:
        sampler: Whose prior and detector are used.
        camera: Who sees the pose.

    Example:
        >>> from hypopose.diffusion import seeded_noise
        >>> simulate = ModelSimulator(MCMC(), Camera.from_fov((1000, 1000)))
        >>> truth, keypoints = simulate(seeded_noise(0))
        >>> truth.joints.shape, keypoints.xy.shape
        (torch.Size([1, 17, 3]), torch.Size([1, 17, 2]))
    """

    sampler: MCMC
    camera: Camera

    def __call__(self, noise: NoiseSource) -> tuple[Poses3D, Keypoints2D]:
        """Draw one pose in front of the camera, and its keypoints.

        Args:
            noise: Asked once for ``(1, 1, 1, 2)``, which seeds the draw.
        """
        import pyro

        sampler, camera = self.sampler, self.camera
        prior = sampler.prior or PosePrior.box()
        seed = noise((1, 1, 1, 2)).float().contiguous().view(torch.int32).flatten().tolist()
        blank = Keypoints2D(
            torch.zeros(1, prior.skeleton.n_joints, 2), prior.skeleton, camera=camera
        )
        focal = camera.focal.double()
        scaled = sampler.covariance(blank)[0] / (focal[:, None] * focal[None, :])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((seed[0] << 32) ^ seed[1])
            while True:
                trace = pyro.poutine.trace(pose_model).get_trace(
                    prior, torch.linalg.cholesky(scaled), sampler.tails
                )
                x, plane = trace.nodes["_RETURN"]["value"], trace.nodes["keypoints"]["value"]
                if bool((x[:, 2] > NEAREST).all()):
                    break
        seen = project(functional.pad(plane, (0, 1), value=1.0).to(camera.focal), camera)
        root = x[prior.skeleton.root]
        truth = Poses3D((x - root)[None].float(), prior.skeleton, root[None].float())
        return truth, Keypoints2D(seen[None], prior.skeleton, camera=camera)


class Chains:
    """Chains in one Pyro kernel, flips in between.

    Args:
        target: What they sample.
        n_chains: How many.
        n_warmup: Transitions during which the kernel adapts.
    """

    def __init__(self, target: Target, n_chains: int, n_warmup: int) -> None:
        self.target = target
        self.n_taken = self.n_tried = self.n_steps = 0
        # Chains live at shift + sign * basis y. Flips move the shift and mirror the sign, so that
        # to the kernel all modes look alike; the basis makes them about round. Flips act on
        # position and sign as one group, so the posterior stays what they leave unchanged.
        self.shift = self._start(n_chains)
        self.sign = torch.ones_like(self.shift)
        self.basis = self._basis(self.shift)
        self.y = torch.zeros_like(self.shift).flatten(1)
        self.kernel = self._kernel(n_warmup)

    @property
    def position(self) -> Float64[Tensor, "C T D"]:
        """Where chains are."""
        return self._at(self.y)

    def _at(self, y: Float64[Tensor, "C TD"]) -> Float64[Tensor, "C T D"]:
        return self.shift + self.sign * (self.basis @ y[..., None]).view_as(self.shift)

    def step(self) -> None:
        """One transition of all chains, then flips."""
        moved = self.kernel.sample({f"chain{i}": y for i, y in enumerate(self.y)})
        self.y = torch.stack([moved[f"chain{i}"].detach() for i in range(len(self.y))])
        self.n_steps += 1
        with torch.no_grad():
            new, mirror = self._flip(self.position, wide=self.n_steps % 8 == 0)
            new = self._slide(new)
            self.sign = self.sign * mirror
            self.shift = new - (self._at(self.y) - self.shift)
        self.kernel.clear_cache()

    def _kernel(self, n_warmup: int) -> NUTS:
        from pyro.infer import NUTS

        names = [f"chain{i}" for i in range(len(self.y))]
        kernel = NUTS(
            potential_fn=self._potential,
            target_accept_prob=0.8,
            max_tree_depth=5,
            step_size=0.2,
        )
        kernel.initial_params = dict(zip(names, self.y, strict=True))
        kernel.setup(n_warmup)
        return kernel

    def _potential(self, params: dict[str, Tensor]) -> Tensor:
        y = torch.stack([params[f"chain{i}"] for i in range(len(self.shift))])
        energy = -self.target.log_density(self._at(y)).sum()
        return torch.where(torch.isfinite(energy), energy, 1e10)

    def _start(self, n_chains: int) -> Float64[Tensor, "C T D"]:
        """Bones of their mean lengths on their keypoints, random coins; then many flips."""
        target = self.target
        T, J = target.center.shape[:2]
        n_bones = len(target.prior.skeleton.bones)
        p = target.center.expand(n_chains, T, J, 2)
        coin = (torch.rand(n_chains, 1, n_bones) < 0.5).double() * 2 - 1
        length = target.prior.lengths.expand(n_chains, T, n_bones)
        depth, _ = target.walk(p, length, target.start_depth, coin.expand(n_chains, T, n_bones))
        heading = (2 * math.pi * torch.rand(n_chains, 1, dtype=torch.float64)).expand(n_chains, T)
        nothing = p.new_zeros(n_chains, T, target.n_coordinates)
        position = target.join(nothing, depth.clamp(min=2 * NEAREST), heading)
        # A little off the plane z = 1 of the parent, so that every bone has a coin.
        position = position + 0.01 * torch.randn_like(position)
        with torch.no_grad():
            for i in range(6 * n_bones):
                position, _ = self._flip(position, wide=i % 2 == 0)
                position = self._slide(position)
        self.n_taken = self.n_tried = 0
        return position

    def _basis(self, position: Float64[Tensor, "C T D"]) -> Float64[Tensor, "C TD TD"]:
        """A factor of the posterior's covariance about a position, per chain.

        Gauss-Newton: errors, lengths over their deviations, directions as if the prior held them
        to :data:`TYPICAL` radians, root and heading.
        """
        target = self.target

        def residuals(flat: Tensor) -> Tensor:
            at = flat.view_as(position[0])
            lengths, u = target.bones(at)
            white = target.white_lengths(lengths)
            local = turned(u, at[:, -1]) if target.prior.upright else u
            errors = at[:, : 2 * target.prior.skeleton.n_joints]
            parts = [errors, local / TYPICAL, at[:, -1], at[:, -2] / DEPTH_STD]
            ties = [target.ties(at)] if len(at) > 1 else []
            return torch.cat([white, *(part.flatten() for part in parts), *ties])

        factors = []
        for at in position:
            jacobian: Tensor = torch.func.jacrev(residuals)(at.flatten())
            precision = jacobian.mT @ jacobian + 1e-6 * torch.eye(at.numel(), dtype=at.dtype)
            lower = torch.linalg.cholesky(precision)
            eye = torch.eye(at.numel(), dtype=at.dtype)
            factors.append(torch.linalg.solve_triangular(lower.mT, eye, upper=True))
        return torch.stack(factors)

    def _flip(
        self, position: Float64[Tensor, "C T D"], *, wide: bool
    ) -> tuple[Float64[Tensor, "C T D"], Float64[Tensor, "C 1 D"]]:
        """One Gibbs step over flips: where chains go, and the signs of what was mirrored.

        Narrow: three bones, 8 combinations. Wide: the sets of a random partition of the bones into
        four, 16 combinations, with 8 headings each.
        """
        B = len(self.target.prior.skeleton.bones)
        if wide:
            sets = functional.one_hot(torch.randint(5, (B,)), 5)[:, :4].mT.bool()
            # One set is all of them, so that whole bodies are mirrored in depth.
            sets[0] = True
        else:
            sets = functional.one_hot(torch.randperm(B)[:3], B).bool()
        generators = torch.where(sets, -1.0, 1.0).double()
        bits = torch.cartesian_prod(*[torch.tensor([False, True])] * len(sets))
        bits = bits.reshape(-1, len(sets))
        signs = torch.where(bits[..., None], generators, 1.0).prod(1)
        headings = HEADINGS if wide and self.target.prior.upright else 1
        places, log_density = self.target.flipped(position, signs, headings)
        chosen = _drawn(log_density, 0)
        self.n_tried += len(chosen)
        self.n_taken += int((chosen > 0).sum())
        new = places[chosen, torch.arange(len(chosen))]
        mirror = torch.ones_like(position[:, :1])
        n_bones, turn = len(self.target.prior.skeleton.bones), chosen % headings
        mirror[:, 0, -2 - n_bones : -2] = signs[chosen // headings]
        mirror[:, 0, -1] = torch.where(turn % 2 == 0, 1.0, -1.0)
        return torch.where((chosen == 0)[:, None, None], position, new), mirror

    def _slide(self, position: Float64[Tensor, "C T D"]) -> Float64[Tensor, "C T D"]:
        """One Gibbs step over the root's depth, image positions, lengths and coins held.

        A grid of 16 log depths is laid so that the present one is anywhere in it, at random; that
        makes choosing from it in proportion to the posterior exact.
        """
        n = 16
        present = int(torch.randint(n, ()))
        step = 0.2 * 0.01 ** float(torch.rand(()))
        zoom = (step * (torch.arange(n, dtype=torch.float64) - present)).exp()[:, None, None]
        keep = torch.ones(n, len(self.target.prior.skeleton.bones), dtype=torch.float64)
        places, log_density = self.target.flipped(position, keep, 1, zoom)
        chosen = _drawn(log_density, present)
        new = places[chosen, torch.arange(len(chosen))]
        return torch.where((chosen == present)[:, None, None], position, new)


def _drawn(log_density: Float64[Tensor, "N C"], present: int) -> Tensor:
    """Rows drawn in proportion to their density; the present one where all are impossible."""
    gumbel = -torch.empty_like(log_density).exponential_().log()
    chosen = (log_density + gumbel).argmax(0)
    possible = torch.isfinite(log_density.gather(0, chosen[None])[0])
    return torch.where(possible, chosen, present)


def skeleton_walk(skeleton: Skeleton) -> list[tuple[int, tuple[int, int]]]:
    """(row of the bone, (parent, child)), parents first."""
    from hypopose.samplers.boneflips import _parents_first

    return _parents_first(skeleton)


def _clip(keypoints: Keypoints2D, i: int) -> Keypoints2D:
    """Item i of the flattened batch axes."""
    n = keypoints.xy.dim() - 3
    parts = {
        name: None if x is None else (x.flatten(0, n - 1)[i] if n else x)
        for name in ("xy", "confidence", "covariance")
        for x in [getattr(keypoints, name)]
    }
    return _with(keypoints, parts, _camera(keypoints.camera, i, n))


def _frame(clip: Keypoints2D, f: int) -> Keypoints2D:
    """One frame as a clip of its own."""
    parts = {
        name: None if x is None else x[f : f + 1]
        for name in ("xy", "confidence", "covariance")
        for x in [getattr(clip, name)]
    }
    return _with(clip, parts, clip.camera)


def _with(keypoints: Keypoints2D, parts: dict[str, Any], camera: Camera | None) -> Keypoints2D:
    return Keypoints2D(**parts, skeleton=keypoints.skeleton, camera=camera, fps=keypoints.fps)


def _camera(camera: Camera | None, i: int, n_axes: int) -> Camera | None:
    """The intrinsics of item i; all that projecting camera-frame joints needs."""
    if camera is None:
        return None

    def item(x: Tensor | None) -> Tensor | None:
        return x if x is None or x.dim() == 1 or not n_axes else x.flatten(0, -2)[i]

    focal, center = item(camera.focal), item(camera.center)
    assert focal is not None
    assert center is not None
    return Camera(
        focal, center, camera.image_size, item(camera.distortion), camera.distortion_model
    )


def _reach(plane: Tensor, prior: PosePrior) -> Float64[Tensor, " T"]:
    """About the root's depth: a low quantile of the depths at which bones could look as long."""
    parent, child = (list(side) for side in zip(*prior.skeleton.bones, strict=True))
    seen = (plane[:, child] - plane[:, parent]).norm(dim=-1)
    bounds = torch.nanquantile(prior.lengths / seen.clamp(min=1e-6), 0.2, dim=-1)
    return bounds.nan_to_num(DEPTH_M).clamp(0.3, 50.0)


def _filled(plane: Tensor, depth: Tensor, prior: PosePrior) -> tuple[Tensor, Tensor]:
    """Missing joints start at their parents, a bone's length loose."""
    seen = torch.isfinite(plane).all(-1)
    middle = plane.nanmean(1)
    center = plane.clone()
    loose = torch.zeros(*plane.shape, 2, dtype=torch.float64)
    root = prior.skeleton.root
    center[:, root] = torch.where(seen[:, root, None], plane[:, root], middle)
    eye = torch.eye(2, dtype=torch.float64)
    loose[:, root] = (0.3 / depth)[:, None, None] * eye
    for bone, (parent, child) in skeleton_walk(prior.skeleton):
        center[:, child] = torch.where(seen[:, child, None], plane[:, child], center[:, parent])
        loose[:, child] = (prior.lengths[bone] / depth)[:, None, None] * eye
    return center, loose


def _convergence(
    x: Float64[Tensor, "S C T J 3"], root: int, chains: Chains, seconds: float
) -> Convergence:
    """R-hat and effective sizes of root-relative coordinates, the worst of them."""
    from pyro.ops.stats import effective_sample_size, split_gelman_rubin

    relative = x - x[..., root : root + 1, :]
    moving = [j for j in range(x.shape[-2]) if j != root]
    y = relative[..., moving, :].transpose(0, 1).flatten(2)
    r_hat = split_gelman_rubin(y) if len(y) > 1 else torch.ones(1)
    return Convergence(
        r_hat=float(r_hat.max()),
        ess=float(effective_sample_size(y).min()),
        n_divergent=len(chains.kernel.diagnostics()["divergences"]),
        flips=chains.n_taken / max(1, chains.n_tried),
        seconds=seconds,
    )
