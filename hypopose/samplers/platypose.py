"""Platypose: motions from a prior that has seen no keypoints, bent towards the ones at hand.

Pierzchlewicz, da Silva, Cotton and Sinz, "Platypose: Calibrated Zero-Shot Multi-Hypothesis 3D Human
Motion Estimation" (2024). A diffusion prior over motions in the world is run from noise; after
every network evaluation its clean estimate is moved towards the keypoints, without a gradient
through the network. Any number of cameras, missing joints and missing frames cost nothing: they
only change the likelihood.

| paper, released code | here |
| --- | --- |
| x_t, xhat | ``x``, ``slots``: root's place, and joints relative to it |
| λ, K | ``energy_scale``, ``n_substeps`` |
| S | ``n_hypotheses`` |

Three modes move the estimate:

* ``posterior``: x0 is drawn given x_t and the keypoints, if x0 given x_t is normal about the
  network's word with the covariance of :mod:`hypopose.samplers.belief` (compare Song et al.,
  "Pseudoinverse-Guided Diffusion Models", ICLR 2023, who take the mean, and one variance). Keypoint
  covariances are variances here, so the spread of hypotheses means something. The next x_t follows
  from the draw by the forward process; for a normal prior and a linear camera that is exact
  however few the steps, where the mean in place of the draw loses spread at every step.
* ``heuristic``: the paper's K gradient steps; each hypothesis has its own step size, a share of the
  largest stable one, and its own plateau rule.
* ``reference``: the released code, number for number; it needs the *true* root (``root_world``).

Departures, outside of ``reference``: no truth anywhere; where the motion stands is a latent
variable that is diffused like everything else (offset, and pitch of a camera that does not know
its own); weights come from covariance or confidence; depths are guarded; a hypothesis that is not
finite is redrawn and counted; windows of a long video are denoised together.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.diffusion import cosine_schedule, ddim_step, recorded_noise
from hypopose.diffusion.respacing import Chain, respace
from hypopose.errors import OptionError, ShapeError, SkeletonMismatchError
from hypopose.networks.inputs import ASSUMED_FPS
from hypopose.networks.motion_prior import MotionPrior
from hypopose.samplers.belief import Belief, body_covariance, moment_basis, reading_precision
from hypopose.samplers.boneflips import BoneFlips
from hypopose.samplers.d3dp import Step
from hypopose.samplers.evidence import (
    Placement,
    View,
    conditioned,
    descent,
    look,
    to_camera,
    view_of,
)
from hypopose.samplers.motion_terms import MotionTerm
from hypopose.samplers.released_platypose import MultiView, ReleasedCamera, released_chain
from hypopose.samplers.windows import blend_weights, window_starts
from hypopose.skeletons import H36M17, SKELETONS
from hypopose.types import Hypotheses, Keypoints2D, NoiseSource, Skeleton

MODES = ("posterior", "heuristic", "reference")
STANDING_M = 0.9
"""Height of the root of a standing adult, meters."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Motions in the world and what became of them.

    Args:
        joints: World meters, z up.
        pitch: Further pitch of the first camera in rad.
        n_redrawn: Hypotheses that were not finite and were drawn again, times counted.
    """

    joints: Float[Tensor, "H F J 3"]
    pitch: Float[Tensor, " H"]
    n_redrawn: int = 0


@dataclass(frozen=True)
class Platypose:
    """Draw motions from a prior, guided by keypoints.

    Args:
        denoiser: A motion prior.
        mode: ``"posterior"``, ``"heuristic"`` or ``"reference"``, see the module.
        n_steps: Network evaluations per draw.
        eta: Share of fresh noise per step, 0 to 1 (``reference``: 0 is DDIM, 1 ancestral). With
            ``posterior`` 0 also takes means in place of draws: quicker to settle, too sure.
        skip: Steps left out at the start (``reference``; released: 4).
        sigma_px: Standard deviation of a keypoint of confidence 1 that brings no covariance; None
            for half a percent of the longer image side.
        pitch_deg: How far a camera without rotation looks down; its roll is 0.
        pitch_std_deg: How well that is known.
        origin: Where the motion's middle frame stands in the world, meters; None for an estimate
            from the keypoints' extent.
        origin_std: How well that is known, meters; None for a fifth of the distance.
        energy_scale: λ; None for a fifth of the stability bound (``reference``: 30).
        n_substeps: K, gradient steps per network evaluation.
        coupled: ``reference``: one step size for all hypotheses, as released.
        root_world: ``reference``: the *true* root (F, 3) in world meters.
        keypoint_skeleton: Of the keypoints.
        regressor: From the prior's joints to those of the keypoints (K, J), for another skeleton;
            rows of zeros are ignored.
        views: Keypoints of further cameras, synchronous; all cameras then need rotation and
            translation in one world with z up.
        terms: Further knowledge, see :mod:`hypopose.samplers.motion_terms`.
        window: Longest stretch the network reads; None for what it was trained on.
        overlap: Frames that neighboring windows share; None for a quarter.
        chunk: Frames per network call.
        precision: ``"float32"``, or ``"bfloat16"`` for the network's blocks in half the bits: twice
            as quick on processors that multiply them.
        max_redraws: How often a hypothesis that is not finite is drawn again.
        path_std: Standard deviation of the root within a window, meters.
        memory_s: Seconds after which a joint's place is remembered to 37 %.
        floor_std: Noise in meters below which the network reads nothing more; from its errors.

    Raises:
        OptionError: If an option is out of range, or belongs to another mode.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> from hypopose.diffusion import seeded_noise
        >>> keypoints, _ = example_pair()
        >>> prior = MotionPrior(width=16, hidden=16, n_layers=1).eval()
        >>> sampler = Platypose(prior, n_steps=2)
        >>> sampler.sample(keypoints, 3, seeded_noise(0)).joints.shape
        torch.Size([3, 50, 17, 3])
    """

    denoiser: MotionPrior
    mode: str = "posterior"
    n_steps: int = 20
    eta: float = 1.0
    skip: int = 0
    sigma_px: float | None = None
    pitch_deg: float = 0.0
    pitch_std_deg: float = 5.0
    origin: tuple[float, float, float] | None = None
    origin_std: tuple[float, float, float] | None = None
    energy_scale: float | None = None
    n_substeps: int = 10
    coupled: bool = True
    root_world: Tensor | None = None
    keypoint_skeleton: Skeleton = field(default=H36M17)
    regressor: Tensor | None = None
    views: tuple[Keypoints2D, ...] = ()
    terms: tuple[MotionTerm, ...] = ()
    window: int | None = None
    overlap: int | None = None
    chunk: int = 4096
    precision: str = "float32"
    max_redraws: int = 3
    path_std: float = 0.5
    memory_s: float = 1.0
    floor_std: float = 0.17

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise OptionError(f"mode={self.mode!r} is not one of {', '.join(MODES)}.")
        if self.precision not in ("float32", "bfloat16"):
            raise OptionError(f"precision={self.precision!r} is not one of float32, bfloat16.")
        if (self.mode == "reference") != (self.root_world is not None):
            raise OptionError(
                "mode='reference' needs root_world, the true root in the world, which the released "
                "code consumes; the other modes take no truth."
            )
        if self.mode != "reference" and self.skip:
            raise OptionError("skip belongs to mode='reference'.")
        positive = {
            "sigma_px": self.sigma_px,
            "energy_scale": self.energy_scale,
            "n_substeps": self.n_substeps,
            "chunk": self.chunk,
            "path_std": self.path_std,
            "memory_s": self.memory_s,
            "floor_std": self.floor_std,
            "window": self.window,
        }
        for name, value in positive.items():
            if value is not None and not 0 < value < math.inf:
                raise OptionError(f"{name} must be positive and finite, got {value}.")
        _check_place("origin", self.origin)
        _check_place("origin_std", self.origin_std)
        shape = (self.keypoint_skeleton.n_joints, self.skeleton.n_joints)
        if self.regressor is None and self.keypoint_skeleton.name != self.skeleton.name:
            raise OptionError(
                f"Keypoints in {self.keypoint_skeleton.name!r} need a regressor {shape} from "
                f"{self.skeleton.name!r}."
            )
        if self.regressor is not None and tuple(self.regressor.shape) != shape:
            raise ShapeError(f"The regressor must be {shape}, got {tuple(self.regressor.shape)}.")
        self._chain()

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the hypotheses."""
        return SKELETONS[self.denoiser.info.skeleton]

    def assumptions(self, keypoints: Keypoints2D) -> tuple[str, ...]:
        """What is taken for granted about the world, for reports."""
        if self.mode == "reference":
            return ("reference mode: the true root was given (oracle)",)
        if keypoints.camera is not None and keypoints.camera.rotation is not None:
            return ()
        return (
            f"gravity assumed: camera without roll, {self.pitch_deg:g} degrees down give or take "
            f"{self.pitch_std_deg:g}",
        )

    @torch.no_grad()
    def sample(
        self,
        keypoints: Keypoints2D,
        n_hypotheses: int,
        noise: NoiseSource,
        callback: Callable[[Step], None] | None = None,
    ) -> Hypotheses:
        """Draw motions.

        Args:
            keypoints: In ``keypoint_skeleton`` with a camera; NaN or confidence 0 where unseen.
            n_hypotheses: How many motions.
            noise: Asked for ``(*batch, H, F, J, 3)`` and ``(*batch, H, 1, 1, 4)`` at the start. If
                ``eta`` is not 0, asked at every step for draws, ``(*batch, H, N, J, 3)`` with N
                moments and ``(*batch, H, 1, 1, 4)``, in ``posterior`` mode, and at every step but
                the last for the two of the start again.
            callback: Called after every step of every clip; joints are slots in the world.

        Returns:
            Root-relative meters in the (first) camera's frame, with the root. Hypotheses that are
            still not finite after all redraws are NaN.

        Raises:
            MissingCameraError: If the keypoints carry no camera.
            SkeletonMismatchError: If they are in another skeleton.
            OptionError: If several views do not know where their cameras are.
        """
        self._check(keypoints, n_hypotheses)
        batch = keypoints.xy.shape[:-3]
        n_items = math.prod(batch)
        draws = _Shared(noise, batch)
        clips = [_item(keypoints, i, batch) for i in range(n_items)]
        one = self._reference if self.mode == "reference" else self._clip
        parts = [one(clip, n_hypotheses, draws.of(i), callback) for i, clip in enumerate(clips)]
        joints = torch.stack([p[0] for p in parts]).reshape(*batch, *parts[0][0].shape)
        n_redrawn = sum(p[1] for p in parts)
        if n_redrawn:
            warnings.warn(
                f"{n_redrawn} hypotheses were not finite and were drawn again.", stacklevel=2
            )
        joints = joints.to(keypoints.xy)
        root = joints[..., :1, :]
        return Hypotheses(joints - root, self.skeleton, root[..., 0, :])

    @torch.no_grad()
    def unconditional(self, n: int, n_frames: int, noise: NoiseSource) -> Float[Tensor, "n F J 3"]:
        """Motions of the prior itself, in its frame: meters, z up, the middle near the origin.

        Args:
            n: How many.
            n_frames: Frames of each.
            noise: Asked as :meth:`sample` asks.
        """
        free = Placement(torch.zeros(4).double(), torch.zeros(4).double())
        path = torch.zeros(n_frames, 3).double()
        return self._walk((), free, path, ASSUMED_FPS, n, noise, None).joints

    def draw(self, keypoints: Keypoints2D, n_hypotheses: int, noise: NoiseSource) -> Drawn:
        """One clip's motions in the world, with pitches and the number of redraws.

        Args:
            keypoints: Without batch axes.
            n_hypotheses: How many.
            noise: See :meth:`sample`.
        """
        self._check(keypoints, n_hypotheses)
        return self._drawn(keypoints, n_hypotheses, noise, None)

    def _check(self, keypoints: Keypoints2D, n_hypotheses: int) -> None:
        if n_hypotheses < 1:
            raise OptionError(f"n_hypotheses must be at least 1, got {n_hypotheses}.")
        if keypoints.n_frames < 1:
            raise ShapeError("These keypoints have no frames; there is nothing to sample.")
        for seen in (keypoints, *self.views):
            if seen.skeleton.name != self.keypoint_skeleton.name:
                raise SkeletonMismatchError(
                    f"Platypose was told to read {self.keypoint_skeleton.name!r} keypoints, got "
                    f"{seen.skeleton.name!r}. Convert them with hypopose.skeletons.convert, or "
                    "pass keypoint_skeleton and regressor."
                )
            if seen.n_frames != keypoints.n_frames:
                raise ShapeError(
                    "All views have the same frames; cut them to length first: "
                    f"{keypoints.n_frames} and {seen.n_frames}."
                )
            if seen.fps and keypoints.fps and seen.fps != keypoints.fps:
                raise OptionError(
                    "All views have the same frame rate, these have "
                    f"{keypoints.fps:g} and {seen.fps:g} Hz; state the true one (--fps)."
                )
        cameras = [v.camera for v in (keypoints, *self.views)]
        if self.views and any(c is None or c.rotation is None for c in cameras):
            raise OptionError(
                "Several views need cameras with rotation and translation in one world with z up; "
                "read them with hypopose.io.load_camera (--camera and --view FILE:NAME)."
            )

    def _chain(self) -> Chain:
        return respace(cosine_schedule(self.denoiser.n_timesteps), f"ddim{self.n_steps}")

    def _reference(
        self,
        keypoints: Keypoints2D,
        n_hypotheses: int,
        noise: NoiseSource,
        callback: Callable[[Step], None] | None,
    ) -> tuple[Tensor, int]:
        root = cast(Tensor, self.root_world).to(keypoints.xy)
        views = (keypoints, *self.views)
        cameras = tuple(ReleasedCamera.of(cast(Any, v.camera)) for v in views)
        xy = torch.stack([v.xy / 500.0 - 1.0 for v in views])
        seen = torch.isfinite(xy).all(-1, keepdim=True)
        energy = MultiView(cameras, xy.nan_to_num(0.0), root, seen.expand_as(xy).to(xy))
        shape = (n_hypotheses, keypoints.n_frames, self.skeleton.n_joints, 3)
        fresh = None
        if self.eta:
            fresh = lambda flat: noise(shape).reshape(flat)  # noqa: E731
        x0 = released_chain(
            self.denoiser,
            energy,
            self._chain(),
            noise(shape).flatten(-2),
            energy_scale=self.energy_scale or 30.0,
            n_substeps=self.n_substeps,
            skip=self.skip,
            coupled=self.coupled,
            step_noise=fresh,
        )
        joints = x0.reshape(*x0.shape[:-1], -1, 3).clone()
        joints[:, :, 0] = 0.0
        view = view_of(keypoints, sigma_px=None, pitch_deg=0.0)
        world = (joints + root[:, None]).double()
        return to_camera(world, world.new_zeros(len(world)), view), 0

    def _clip(
        self,
        keypoints: Keypoints2D,
        n_hypotheses: int,
        noise: NoiseSource,
        callback: Callable[[Step], None] | None,
    ) -> tuple[Tensor, int]:
        drawn = self._drawn(keypoints, n_hypotheses, noise, callback)
        view = self._view(keypoints)
        return to_camera(drawn.joints, drawn.pitch, view), drawn.n_redrawn

    def _drawn(
        self,
        keypoints: Keypoints2D,
        n_hypotheses: int,
        noise: NoiseSource,
        callback: Callable[[Step], None] | None,
    ) -> Drawn:
        views = tuple(self._view(k) for k in (keypoints, *self.views))
        path = self._first_path(keypoints, views[0])
        placement = self._placement(keypoints, path)
        path = path - path[len(path) // 2]
        fps = keypoints.fps or ASSUMED_FPS
        drawn = self._walk(views, placement, path, fps, n_hypotheses, noise, callback)
        n_redrawn = 0
        for _ in range(self.max_redraws):
            bad = ~torch.isfinite(drawn.joints).flatten(1).all(1)
            if not bool(bad.any()):
                break
            n_redrawn += int(bad.sum())
            redone = _only(noise, bad)
            again = self._walk(views, placement, path, fps, int(bad.sum()), redone, None)
            drawn.joints[bad], drawn.pitch[bad] = again.joints, again.pitch
        broken = ~torch.isfinite(drawn.joints).flatten(1).all(1)
        drawn.joints[broken] = torch.nan
        return replace(drawn, n_redrawn=n_redrawn)

    def _view(self, keypoints: Keypoints2D) -> View:
        return view_of(keypoints, sigma_px=self.sigma_px, pitch_deg=self.pitch_deg)

    def _first_path(self, keypoints: Keypoints2D, view: View) -> Float[Tensor, "F 3"]:
        """A rough root path in the world, from how large the person looks."""
        root = torch.full((keypoints.n_frames, 3), torch.nan, dtype=torch.float64)
        if keypoints.skeleton.name == H36M17.name and bool(view.seen.any()):
            ones = recorded_noise([torch.ones(1, keypoints.n_frames, 17, 1)])
            xy = torch.where(view.seen[..., None], keypoints.xy.double(), torch.nan)
            flat = replace(keypoints, xy=xy, covariance=None)
            found = BoneFlips().sample(flat, 1, ones).root
            root = root if found is None else found[0].double()
        elif bool(view.seen.any()):
            root = _spread_root(view)
        known = torch.isfinite(root).all(-1)
        if not bool(known.any()):
            root, known = torch.tensor([[0.0, 0.0, 4.0]]).double().expand_as(root), ~known
        nearest = (torch.arange(len(root))[:, None] - torch.arange(len(root))[known]).abs()
        root = root[known][nearest.argmin(1)]
        back = root - view.translation
        return torch.einsum("fba,fb->fa", view.rotation, back)

    def _placement(self, keypoints: Keypoints2D, path: Float[Tensor, "F 3"]) -> Placement:
        camera = keypoints.camera
        placed = camera is not None and camera.rotation is not None
        middle = path[len(path) // 2]
        height = 0.0 if placed else float(path[:, 2].median()) - STANDING_M
        mean = torch.tensor([float(middle[0]), float(middle[1]), height, 0.0])
        distance = float(middle[:2].norm()) if not placed else 5.0
        wide = 0.1 + 0.2 * distance
        pitch = 0.0 if placed else math.radians(self.pitch_std_deg)
        std = torch.tensor([wide, wide, 0.05 if placed else 0.4, pitch])
        if self.origin is not None:
            mean[:3] = torch.tensor(self.origin)
        if self.origin_std is not None:
            std[:3] = torch.tensor(self.origin_std)
        return Placement(mean.double(), std.double())

    def _walk(
        self,
        views: tuple[View, ...],
        placement: Placement,
        path: Float[Tensor, "F 3"],
        fps: float,
        n: int,
        noise: NoiseSource,
        callback: Callable[[Step], None] | None,
    ) -> Drawn:
        """The chain from noise to motions in the world."""
        chain, scale = self._chain(), self.denoiser.scale
        network = self.denoiser if self.precision == "float32" else self.denoiser.halved()
        device = next(self.denoiser.parameters()).device
        shape, steps = (n, len(path), self.skeleton.n_joints, 3), len(chain.timesteps)
        x, z = noise(shape).to(device), noise((n, 1, 1, 4)).double()
        windows, basis = self._windows(path), moment_basis(len(path), fps)
        clean = path.to(device)[:, None].expand(shape[0], -1, 1, 3)
        for i in reversed(range(steps)):
            bar = chain.schedule.at(i)
            clean = self._predict(network, x, chain.timesteps[i], bar, windows, clean)
            belief = self.belief(bar, basis, fps)
            slots, place = self._guided(
                clean.double().cpu(),
                math.sqrt(bar) * z[:, 0, 0],
                bar,
                views,
                placement,
                belief,
                self._fresh(n, basis, noise) if views else None,
            )
            clean = slots.to(x)
            if callback is not None:
                callback(Step(steps - 1 - i, chain.timesteps[i], x, clean))
            x = ddim_step(x, clean * scale, i, i - 1, chain.schedule, eta=self.eta, noise=noise)
            z = ddim_step(
                z, place[:, None, None], i, i - 1, chain.schedule, eta=self.eta, noise=noise
            )
        o = placement.at(z[:, 0, 0])
        joints = _absolute((x / scale).double().cpu()) + o[:, None, None, :3]
        return Drawn(joints, o[:, 3])

    def _windows(self, path: Float[Tensor, "F 3"]) -> tuple[list[int], Tensor]:
        """First frames and blending weights."""
        F = len(path)
        length = min(self.window or self.denoiser.max_frames, F)
        overlap = length // 4 if self.overlap is None else min(self.overlap, length - 1)
        starts = window_starts(F, length, overlap)
        return starts, blend_weights(starts, length, F, overlap).float()

    def _predict(
        self,
        network: MotionPrior,
        x: Float[Tensor, "H F J 3"],
        t: int,
        bar: float,
        windows: tuple[list[int], Tensor],
        before: Float[Tensor, "H F _ 3"],
    ) -> Float[Tensor, "H F J 3"]:
        """Clean slots in meters; every window is read about its own middle."""
        starts, weights = windows
        length, scale = weights.shape[1], self.denoiser.scale
        clean = torch.zeros_like(x)
        per_call = max(1, self.chunk // length)
        for start, weight in zip(starts, weights.to(x), strict=True):
            part = x[:, start : start + length].clone()
            middle = before[:, start + length // 2, 0, :2].to(x)[:, None]
            middle = middle * (len(starts) > 1)
            part[:, :, 0, :2] -= math.sqrt(bar) * scale * middle
            times = torch.full((len(x),), t, device=x.device)
            said = torch.cat(
                [
                    network(part[a : a + per_call], times[a : a + per_call])
                    for a in range(0, len(x), per_call)
                ]
            )
            said = said / scale
            said[:, :, 0, :2] += middle
            clean[:, start : start + length] += weight[:, None, None] * said
        return clean

    def belief(self, bar: float, basis: Float[Tensor, "F N"], fps: float) -> Belief:
        """What is left to learn once the network has read a noisy motion.

        Args:
            bar: ᾱ of the noise level.
            basis: See :func:`~hypopose.samplers.belief.moment_basis`.
            fps: Frames per second.
        """
        left = max((1 - bar) / (bar * self.denoiser.scale**2), self.floor_std**2)
        n_moments = max(1, basis.shape[1] - 1)
        memory = self.memory_s * fps * n_moments / max(1, len(basis) - 1)
        covariance = body_covariance(self.skeleton, self.path_std)
        return Belief.of(covariance, reading_precision(self.skeleton), basis, memory, left)

    def _fresh(self, n: int, basis: Tensor, noise: NoiseSource) -> tuple[Tensor, Tensor] | None:
        """Normals for a draw, or None where the mean is taken."""
        if self.mode != "posterior" or not self.eta:
            return None
        moments = noise((n, basis.shape[1], self.skeleton.n_joints, 3)).double().flatten(2)
        return self.eta * moments, self.eta * noise((n, 1, 1, 4)).double()[:, 0, 0]

    def _guided(
        self,
        slots: Float[Tensor, "H F J 3"],
        place: Float[Tensor, "H 4"],
        bar: float,
        views: tuple[View, ...],
        placement: Placement,
        belief: Belief,
        fresh: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, Tensor]:
        """Clean slots and placement once the keypoints and further terms are known."""
        joints = _absolute(slots)
        if views:
            regressor = None if self.regressor is None else self.regressor.to(slots)
            n_rounds = 2 if self.mode == "posterior" else 1
            moved, place = conditioned(
                joints,
                place,
                belief,
                1 - bar,
                views,
                regressor,
                placement,
                fresh=fresh,
                n_rounds=n_rounds,
            )
            if self.mode == "posterior":
                joints = moved
            else:
                o = placement.at(place)
                joints = push(joints, o, views, regressor, self.energy_scale, self.n_substeps)
        offset = placement.at(place)[:, None, None, :3]
        left = max((1 - bar) / (bar * self.denoiser.scale**2), self.floor_std**2)
        spread = body_covariance(self.skeleton, self.path_std).diagonal()
        for term in self.terms:
            joints = _step_down(joints, offset, term, spread * left / (spread + left))
        return _relative(joints), place


def push(
    joints: Float[Tensor, "H F J 3"],
    placed: Float[Tensor, "H 4"],
    views: tuple[View, ...],
    regressor: Float[Tensor, "K J"] | None,
    energy_scale: float | None,
    n_substeps: int,
) -> Float[Tensor, "H F J 3"]:
    """The paper's guidance, one step size per hypothesis.

    The energy is half the mean over keypoints of the squared reprojection error, summed over frames
    and cameras, in units of half the image, weighted by 6.25 px over the keypoint's deviation,
    squared. Its curvature at a joint is about ``w (f / z)² / K``: steps above ``2 K z² / (w f²)``
    diverge. The default is a fifth of that at the most curved joint of the hypothesis, as the
    paper's λ = 30 is at 5 m. A step size is divided by ten after its hypothesis'
    energy rose.

    Args:
        joints: Clean estimates, meters.
        placed: Offset and pitch.
        views: Keypoints.
        regressor: From joints to keypoints; None if they are the same.
        energy_scale: Step size; None for a fifth of the bound.
        n_substeps: Steps.
    """
    offset, pitch = placed[:, None, None, :3], placed[:, 3]
    n_points = joints.shape[2] if regressor is None else len(regressor)
    unit = 0.0125**2 / n_points

    def seen(x: Tensor) -> Tensor:
        return (x if regressor is None else regressor @ x) + offset

    best = torch.full((len(joints),), torch.inf, dtype=joints.dtype)
    curved = sum(look(seen(joints), pitch, v).slope.square().sum((-1, -2)) for v in views)
    norm = 1.0 if regressor is None else float(torch.linalg.matrix_norm(regressor, 2)) ** 2
    bound = 2 / (unit * norm * cast(Tensor, curved).amax((1, 2))).clamp(min=1e-12)
    size = 0.2 * bound if energy_scale is None else torch.full_like(best, energy_scale)
    for _ in range(n_substeps):
        found = [descent(seen(joints), pitch, view) for view in views]
        energy = torch.stack([e for e, _ in found]).sum(0) * unit / 2
        better = energy < best * (1 - 1e-4)
        best = torch.where(better, energy, best)
        size = torch.where(better, size, size / 10)
        down = torch.stack([d for _, d in found]).sum(0) * unit
        down = down if regressor is None else regressor.mT @ down
        joints = joints + size[:, None, None, None] * down
    return joints


def _step_down(
    joints: Tensor, offset: Tensor, term: MotionTerm, variance: Float[Tensor, " J"]
) -> Tensor:
    """The Gaussian update for a quadratic of the term's curvature."""
    with torch.enable_grad():
        x = joints.detach().requires_grad_()
        (slope,) = torch.autograd.grad(term(x + offset).sum(), x)
    share = variance / (1 + variance * term.curvature)
    return joints - share[:, None] * slope


def _check_place(name: str, place: Any) -> None:
    if place is not None and torch.as_tensor(place).shape not in ((), (3,)):
        raise OptionError(f"{name} is three lengths in meters, x, y and z; got {place}.")


def _absolute(slots: Float[Tensor, "H F J 3"]) -> Float[Tensor, "H F J 3"]:
    return torch.cat([slots[:, :, :1], slots[:, :, 1:] + slots[:, :, :1]], 2)


def _relative(joints: Float[Tensor, "H F J 3"]) -> Float[Tensor, "H F J 3"]:
    return torch.cat([joints[:, :, :1], joints[:, :, 1:] - joints[:, :, :1]], 2)


def _spread_root(view: View) -> Float[Tensor, "F 3"]:
    """Depth at which a standing adult of 1.6 m between head and feet looks as tall as this."""
    gone = torch.full_like(view.uv, torch.nan)
    uv = torch.where(view.seen[..., None], view.uv, gone)
    low = uv.nan_to_num(torch.inf).amin(1)
    high = uv.nan_to_num(-torch.inf).amax(1)
    depth = 1.6 / (high - low).amax(-1, keepdim=True)
    root = torch.cat([(low + high) / 2 * depth, depth], -1)
    return torch.where((depth > 0) & torch.isfinite(root).all(-1, keepdim=True), root, torch.nan)


def _item(keypoints: Keypoints2D, i: int, batch: tuple[int, ...]) -> Keypoints2D:
    """One clip of a batch."""
    if not batch:
        return keypoints
    xy = keypoints.xy.reshape(-1, *keypoints.xy.shape[-3:])[i]
    own: dict[str, Any] = {"xy": xy}
    for name, n_own in (("confidence", 2), ("covariance", 4)):
        value = getattr(keypoints, name)
        if value is not None:
            own[name] = value.reshape(-1, *value.shape[value.dim() - n_own :])[i]
    camera = keypoints.camera
    if camera is not None and camera.focal.dim() > 1:
        names = ("focal", "center", "distortion", "rotation", "translation")
        parts = {n: getattr(camera, n) for n in names}
        taken: dict[str, Any] = {
            n: v if v is None else v.flatten(0, len(batch) - 1)[i] for n, v in parts.items()
        }
        own["camera"] = replace(camera, **taken)
    return replace(keypoints, **own)


def _only(noise: NoiseSource, chosen: Tensor) -> NoiseSource:
    """Noise for some hypotheses, from the streams that are theirs."""
    return lambda shape: noise((len(chosen), *shape[1:]))[chosen]


class _Shared:
    """Hands each clip of a batch its part of draws that are made for the whole batch."""

    def __init__(self, noise: NoiseSource, batch: tuple[int, ...]) -> None:
        self.noise, self.batch, self.draws = noise, batch, list[Tensor]()

    def of(self, item: int) -> NoiseSource:
        """The source of one clip."""
        asked = iter(range(10**9))

        def source(shape: tuple[int, ...]) -> Tensor:
            k = next(asked)
            if k == len(self.draws):
                self.draws.append(self.noise((*self.batch, *shape)))
            return self.draws[k].reshape(-1, *shape)[item]

        return source
