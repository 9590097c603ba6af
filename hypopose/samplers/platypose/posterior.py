"""Platypose with exact updates: see :mod:`hypopose.samplers.platypose`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.checks import check_choice, check_positive
from hypopose.diffusion import ddim_step
from hypopose.errors import OptionError, ShapeError
from hypopose.networks.motion_prior import MotionPrior
from hypopose.samplers.network_sampler import Step
from hypopose.samplers.platypose.energies import MotionTerm
from hypopose.samplers.platypose.error_covariance import (
    ErrorCovariance,
    body_covariance,
    moment_basis,
    reading_precision,
)
from hypopose.samplers.platypose.first_place import first_path, first_placement
from hypopose.samplers.platypose.gravity import WEIGHTS, standing_rotation
from hypopose.samplers.platypose.likelihood import (
    Placement,
    View,
    conditioned,
    to_camera,
    view_of,
)
from hypopose.samplers.platypose.prior_sampler import PriorSampler
from hypopose.samplers.windows import blend_weights, window_starts
from hypopose.skeletons import H36M17
from hypopose.types import ASSUMED_FPS, Keypoints2D, NoiseSource, Skeleton

Precision = Literal["float32", "bfloat16"]
"""How the network multiplies matrices."""

Gravity = Literal["level", "standing"]
"""Where a camera without rotation takes the vertical from."""


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
class Platypose(PriorSampler):
    """Draw motions from a prior, guided by keypoints.

    Args:
        network: A motion prior.
        n_steps: Network evaluations per draw.
        eta: Share of new noise per step, 0 to 1. 0 also takes means in place of draws: fewer
            steps suffice, and the spread is too small.
        views: Keypoints of further cameras, synchronous; all cameras then need rotation and
            translation in one world with z up.
        sigma_px: Standard deviation of a keypoint of confidence 1 that brings no covariance; None
            for half a percent of the longer image side.
        pitch_deg: How far a camera without rotation looks down; its roll is 0.
        pitch_std_deg: How well that is known.
        gravity: Of a camera without rotation: ``"level"`` takes ``pitch_deg``, ``"standing"`` the
            legs of the default weights' poses where a person stands, see
            :mod:`hypopose.samplers.platypose.gravity`.
        origin: Where the motion's middle frame stands in the world, meters; None for an estimate
            from the keypoints' extent.
        origin_std: How well that is known, meters; None for a fifth of the distance.
        keypoint_skeleton: Of the keypoints.
        regressor: From the prior's joints to those of the keypoints (K, J), for another skeleton;
            rows of zeros are ignored.
        terms: Further knowledge, see :mod:`hypopose.samplers.platypose.energies`.
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
        OptionError: If an option is out of range.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> from hypopose.diffusion import seeded_noise
        >>> keypoints, _ = example_pair()
        >>> prior = MotionPrior(width=16, hidden=16, n_layers=1).eval()
        >>> sampler = Platypose(prior, n_steps=2)
        >>> sampler.sample(keypoints, 3, seeded_noise(0)).joints.shape
        torch.Size([3, 50, 17, 3])
    """

    sigma_px: float | None = None
    pitch_deg: float = 0.0
    pitch_std_deg: float = 5.0
    gravity: Gravity = "level"
    origin: tuple[float, float, float] | None = None
    origin_std: tuple[float, float, float] | None = None
    keypoint_skeleton: Skeleton = field(default=H36M17)
    regressor: Tensor | None = None
    terms: tuple[MotionTerm, ...] = ()
    window: int | None = None
    overlap: int | None = None
    chunk: int = 4096
    precision: Precision = "float32"
    max_redraws: int = 3
    path_std: float = 0.5
    memory_s: float = 1.0
    floor_std: float = 0.17

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("precision", self.precision, get_args(Precision))
        check_choice("gravity", self.gravity, get_args(Gravity))
        check_positive(
            sigma_px=self.sigma_px,
            chunk=self.chunk,
            path_std=self.path_std,
            memory_s=self.memory_s,
            floor_std=self.floor_std,
            window=self.window,
        )
        check_place("origin", self.origin)
        check_place("origin_std", self.origin_std)
        self._check_regressor()

    def _check_regressor(self) -> None:
        shape = (self.keypoint_skeleton.n_joints, self.skeleton.n_joints)
        if self.regressor is None and self.keypoint_skeleton.name != self.skeleton.name:
            raise OptionError(
                f"Keypoints in {self.keypoint_skeleton.name!r} need a regressor {shape} from "
                f"{self.skeleton.name!r}."
            )
        if self.regressor is not None and tuple(self.regressor.shape) != shape:
            raise ShapeError(f"The regressor must be {shape}, got {tuple(self.regressor.shape)}.")

    @property
    def read_skeleton(self) -> Skeleton:
        """The skeleton keypoints must have."""
        return self.keypoint_skeleton

    def assumptions(self, keypoints: Keypoints2D) -> tuple[str, ...]:
        """What is taken for granted about the world, for reports."""
        if keypoints.camera is not None and keypoints.camera.rotation is not None:
            return ()
        level = f"camera without roll, {self.pitch_deg:g} degrees down"
        if self.gravity == "standing":
            level = f"along the legs of standing poses of {WEIGHTS}; where nobody stands, {level}"
        return (f"gravity assumed: {level} give or take {self.pitch_std_deg:g}",)

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
        return self._drawn(keypoints, self._looking(keypoints), n_hypotheses, noise, None)

    def _clip(
        self,
        keypoints: Keypoints2D,
        n_hypotheses: int,
        noise: NoiseSource,
        callback: Callable[[Step], None] | None,
    ) -> tuple[Tensor, int]:
        views = self._looking(keypoints)
        drawn = self._drawn(keypoints, views, n_hypotheses, noise, callback)
        return to_camera(drawn.joints, drawn.pitch, views[0]), drawn.n_redrawn

    def _looking(self, keypoints: Keypoints2D) -> tuple[View, ...]:
        """The views, the first camera with the vertical that is assumed if it knows none."""
        camera = keypoints.camera
        unknown = camera is not None and camera.rotation is None
        sought = self.gravity == "standing" and unknown
        tilted = standing_rotation(keypoints) if sought else None
        prepared = partial(view_of, sigma_px=self.sigma_px, pitch_deg=self.pitch_deg)
        return (prepared(keypoints, tilted=tilted), *map(prepared, self.views))

    def _drawn(
        self,
        keypoints: Keypoints2D,
        views: tuple[View, ...],
        n_hypotheses: int,
        noise: NoiseSource,
        callback: Callable[[Step], None] | None,
    ) -> Drawn:
        path = first_path(keypoints, views[0])
        placement = first_placement(
            keypoints,
            path,
            pitch_std_deg=self.pitch_std_deg,
            origin=self.origin,
            origin_std=self.origin_std,
        )
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
        chain, scale = self._chain(), self.network.scale
        network = self.network if self.precision == "float32" else self.network.halved()
        device = next(self.network.parameters()).device
        shape, steps = (n, len(path), self.skeleton.n_joints, 3), len(chain.timesteps)
        x, z = noise(shape).to(device), noise((n, 1, 1, 4)).double()
        windows, basis = self._windows(path), moment_basis(len(path), fps)
        clean = path.to(device)[:, None].expand(shape[0], -1, 1, 3)
        for i in reversed(range(steps)):
            bar = chain.schedule.at(i)
            clean = self._predict(network, x, chain.timesteps[i], bar, windows, clean)
            errors = self.errors(bar, basis, fps)
            slots, place = self._guided(
                clean.double().cpu(),
                math.sqrt(bar) * z[:, 0, 0],
                bar,
                views,
                placement,
                errors,
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
        length = min(self.window or self.network.max_frames, F)
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
        length, scale = weights.shape[1], self.network.scale
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

    def errors(self, bar: float, basis: Float[Tensor, "F N"], fps: float) -> ErrorCovariance:
        """What is left to learn once the network has read a noisy motion.

        Args:
            bar: ᾱ of the noise level.
            basis: See :func:`~hypopose.samplers.platypose.error_covariance.moment_basis`.
            fps: Frames per second.
        """
        left = max((1 - bar) / (bar * self.network.scale**2), self.floor_std**2)
        n_moments = max(1, basis.shape[1] - 1)
        memory = self.memory_s * fps * n_moments / max(1, len(basis) - 1)
        covariance = body_covariance(self.skeleton, self.path_std)
        return ErrorCovariance.of(covariance, reading_precision(self.skeleton), basis, memory, left)

    def _fresh(self, n: int, basis: Tensor, noise: NoiseSource) -> tuple[Tensor, Tensor] | None:
        """Normals for a draw, or None where the mean is taken."""
        if not self.eta:
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
        errors: ErrorCovariance,
        fresh: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, Tensor]:
        """Clean slots and placement once the keypoints and further terms are known."""
        joints = _absolute(slots)
        if views:
            regressor = None if self.regressor is None else self.regressor.to(slots)
            joints, place = self._moved(
                joints, place, errors, 1 - bar, views, regressor, placement, fresh
            )
        offset = placement.at(place)[:, None, None, :3]
        left = max((1 - bar) / (bar * self.network.scale**2), self.floor_std**2)
        spread = body_covariance(self.skeleton, self.path_std).diagonal()
        for term in self.terms:
            joints = _step_down(joints, offset, term, spread * left / (spread + left))
        return _relative(joints), place

    def _moved(
        self,
        joints: Float[Tensor, "H F J 3"],
        place: Float[Tensor, "H 4"],
        errors: ErrorCovariance,
        variance: float,
        views: tuple[View, ...],
        regressor: Float[Tensor, "K J"] | None,
        placement: Placement,
        fresh: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, Tensor]:
        """A draw of joints and placement, or their mean, given the keypoints."""
        return conditioned(
            joints, place, errors, variance, views, regressor, placement, fresh=fresh, n_rounds=2
        )


def _step_down(
    joints: Tensor, offset: Tensor, term: MotionTerm, variance: Float[Tensor, " J"]
) -> Tensor:
    """The Gaussian update for a quadratic of the term's curvature."""
    with torch.enable_grad():
        x = joints.detach().requires_grad_()
        (slope,) = torch.autograd.grad(term(x + offset).sum(), x)
    share = variance / (1 + variance * term.curvature)
    return joints - share[:, None] * slope


def check_place(name: str, place: Any) -> None:
    """Raise unless a place is unset, one length or three.

    Args:
        name: Of the option.
        place: Its value.

    Raises:
        OptionError: If it is something else.
    """
    if place is not None and torch.as_tensor(place).shape not in ((), (3,)):
        raise OptionError(f"{name} is three lengths in meters, x, y and z; got {place}.")


def _absolute(slots: Float[Tensor, "H F J 3"]) -> Float[Tensor, "H F J 3"]:
    return torch.cat([slots[:, :, :1], slots[:, :, 1:] + slots[:, :, :1]], 2)


def _relative(joints: Float[Tensor, "H F J 3"]) -> Float[Tensor, "H F J 3"]:
    return torch.cat([joints[:, :, :1], joints[:, :, 1:] - joints[:, :, :1]], 2)


def _only(noise: NoiseSource, chosen: Tensor) -> NoiseSource:
    """Noise for some hypotheses, from the streams that are theirs."""
    return lambda shape: noise((len(chosen), *shape[1:]))[chosen]
