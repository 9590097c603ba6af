"""Denoise motions over a whole video, with a network that reads the keypoints.

The base of :class:`~hypopose.samplers.D3DP` and its siblings. Every hypothesis starts as noise. A
network that reads the keypoints predicts the clean poses, a solver
(:mod:`hypopose.samplers.schedulers`) moves part of the way there, and the next step begins there.
There is one noisy pose for the whole video: overlapping windows are blended at every step, and one
step moves all of it (:mod:`hypopose.samplers.windows`).

Networks may use a virtual camera turned towards the subject: poses are rotated into its frame and
back, window by window. Both flip branches share one batch, and hypotheses are processed in chunks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras.turning import Turning
from hypopose.checks import check_choice, check_n_hypotheses, check_positive
from hypopose.diffusion import cosine_schedule
from hypopose.errors import OptionError
from hypopose.networks.base import Network
from hypopose.networks.compiling import compile_blocks
from hypopose.networks.constant_bones import with_constant_bones
from hypopose.samplers.mirror import mirrored
from hypopose.samplers.missing import FillMissing, readable
from hypopose.samplers.network_sampler import Step, WindowedSampler, fitted_root
from hypopose.samplers.schedulers import Scheduler, Solver, make_solver
from hypopose.samplers.window_inputs import Windows, chunks, encoded_windows
from hypopose.types import Hypotheses, Keypoints2D, NoiseSource

Precision = Literal["auto", "float32", "bfloat16"]
"""How a network multiplies matrices."""


@dataclass(frozen=True)
class DiffusionSampler(WindowedSampler):
    """Walk back from noise, the keypoints in view.

    Args:
        network: Maps keypoints, a noisy pose and its timestep to a clean pose.
        n_steps: Network evaluations per draw (twice that with ``flip``).
        n_timesteps: Timesteps of the schedule the network was trained on.
        scale: Factor on poses before noise was added in training.
        clamp: Noisy and clean poses are held within this many meters per coordinate; None for free.
        eta: Share of new noise per step: 1 as in the paper, 0 deterministic.
        flip: Average over the mirrored input at every step.
        mirror: Draw every second hypothesis from the mirror image of the keypoints, in the same
            batch, and mirror it back. Costs nothing: asymmetries of the network show in the spread
            and cancel in the mean.
        scheduler: ``"ddim"``, ``"diffusers-ddim"``, ``"dpm++"`` or ``"unipc"``.
        spacing: 1 for the paper's equal steps; above, steps shorten towards the clean pose.
        window: Frames per window; None for what the network takes (or its training length).
        overlap: Frames that neighboring windows share at least; None for a quarter.
        chunk: Frames, of all windows, hypotheses and flips together, in one network call. Memory
            grows with it; results do not depend on it.
        fill_missing: ``"interpolate"`` fills undetected keypoints over time for networks that
            cannot read gaps (and warns how many); ``"error"`` refuses them.
        precision: ``"float32"``, or ``"bfloat16"`` for matrix products in half the bits: quicker on
            GPUs and on CPUs with AMX, slower on others; poses move by a millimeter or so.
            ``"auto"`` takes bfloat16 where it is quicker.
        compile: Compile the network's blocks: hypotheses are drawn up to a quarter faster, after
            20 s, and differ by a thousandth of a millimeter. Needs a C++ compiler.
        turning: How networks that look at the subject are turned towards it: ``"clip"`` once a
            window, as the bundled ones were trained; ``"frame"`` or ``"none"``, see
            :func:`hypopose.cameras.turn_towards`.

    Raises:
        OptionError: If an option is out of range.
        BackendError: If the network is to be compiled and there is no compiler.
    """

    network: Network
    n_steps: int = 5
    n_timesteps: int = 1000
    scale: float = 1.0
    clamp: float | None = 1.1
    eta: float = 1.0
    flip: bool = True
    mirror: bool = False
    scheduler: Scheduler = "ddim"
    spacing: float = 1.0
    window: int | None = None
    overlap: int | None = None
    chunk: int = 2048
    fill_missing: FillMissing = "error"
    precision: Precision = "float32"
    compile: bool = False
    turning: Turning = "clip"

    reads_latent: ClassVar[bool] = False

    def __post_init__(self) -> None:
        info = self.network.info
        if "denoiser" not in info.forms:
            raise OptionError(
                "These weights are a lifter's and read no noise; use sampler='lifter'."
            )
        self._solver()
        if info.n_latent and not self.reads_latent:
            raise OptionError(
                "These weights are a generator that reads latent noise; use "
                "sampler='distributional'."
            )
        check_choice("precision", self.precision, get_args(Precision))
        check_choice("turning", self.turning, get_args(Turning))
        check_positive(scale=self.scale, clamp=self.clamp)
        self._check_windows()
        if self.compile and isinstance(self.network, torch.nn.Module):
            compile_blocks(self.network)

    @torch.no_grad()
    def sample(
        self,
        keypoints: Keypoints2D,
        n_hypotheses: int,
        noise: NoiseSource,
        callback: Callable[[Step], None] | None = None,
    ) -> Hypotheses:
        """Draw motions; hypothesis h is one continuous motion through the whole video.

        Args:
            keypoints: In ``keypoint_skeleton``; with a camera if the network looks through one.
            n_hypotheses: How many motions.
            noise: Asked for ``(*batch, H, F, J, 3)`` once, and once more per noisy step. F is at
                least the clip length of networks that take only one.
            callback: Called after every step.

        Returns:
            Root-relative meters, the root joint at 0. ``root`` is fitted to the keypoints if they
            carry a camera (NaN in frames no root in front of it explains), else None.

        Raises:
            SkeletonMismatchError: If the keypoints have another skeleton.
            OptionError: If the network cannot read gaps and there are some.
            MissingCameraError: If the network needs a camera.
        """
        check_n_hypotheses(n_hypotheses)
        info = self.network.info
        seen = readable(keypoints, info, self.fill_missing)
        device = self._device(keypoints.xy.device)
        length = self._window_of(keypoints.n_frames)
        windows = encoded_windows(seen, info, self.turning, *length, device)
        batch, n = keypoints.xy.shape[:-3], keypoints.n_frames
        shape = (*batch, n_hypotheses, windows.n_frames, self.skeleton.n_joints, 3)
        solver, x = self._begin(seen, noise(shape).to(device), noise)
        for i, (t, t_next) in enumerate(solver.pairs):
            u = self._entering(x, seen, noise, t)
            x0 = self._clean(u.reshape(-1, *u.shape[-4:]), windows, t).reshape(shape)
            if callback is not None:
                callback(Step(i, t, u[..., :n, : shape[-2], :], x0[..., :n, :, :] / self.scale))
            x = solver.step(x, x0, t, t_next, noise)
        joints = (x[..., :n, :, :] / self.scale).to(keypoints.xy.device)
        joints[..., self.skeleton.root, :] = 0.0
        if self.network.info.constant_bones:  # over the whole video, not only within windows
            joints = with_constant_bones(joints, self.skeleton)
        root = fitted_root(joints, keypoints, self.skeleton)
        return Hypotheses(joints, self.skeleton, root)

    def _begin(
        self, keypoints: Keypoints2D, z: Float[Tensor, "*batch H F J 3"], noise: NoiseSource
    ) -> tuple[Solver, Float[Tensor, "*batch H F J 3"]]:
        """The solver of this run, and where it starts: at the noise itself."""
        return self._solver(), z

    def _entering(
        self,
        x: Float[Tensor, "*batch H F J 3"],
        keypoints: Keypoints2D,
        noise: NoiseSource,
        t: int,
    ) -> Float[Tensor, "*batch H F rows 3"]:
        """What the network is shown at a step: the noisy poses alone."""
        return x

    def _solver(self) -> Solver:
        schedule = cosine_schedule(self.n_timesteps)
        return make_solver(self.scheduler, schedule, self.n_steps, self.eta, self.spacing)

    def _clean(self, x: Float[Tensor, "B H F rows 3"], windows: Windows, t: int) -> Tensor:
        """Clean poses, scaled; with ``mirror`` every second hypothesis through the mirror."""
        if not self.mirror or x.shape[1] == 1:
            return self._predict(x, windows, t)
        J, body = self.skeleton.n_joints, self.skeleton
        odd = torch.cat([mirrored(x[:, 1::2, :, :J], body), x[:, 1::2, :, J:]], -2)
        if x.shape[1] % 2:  # halves of a batch are as large: the last one is computed twice
            odd = torch.cat([odd, odd[:, -1:]], 1)
        both = windows.with_mirror(self.keypoint_skeleton)
        straight, across = self._predict(torch.cat([x[:, ::2], odd]), both, t).chunk(2)
        return torch.stack([straight, mirrored(across, body)], 2).flatten(1, 2)[:, : x.shape[1]]

    def _predict(self, x: Float[Tensor, "B H F rows 3"], windows: Windows, t: int) -> Tensor:
        """Clean poses of the whole video, scaled: windows predict, weights blend."""
        x0 = torch.zeros_like(x[..., : self.skeleton.n_joints, :])
        length = windows.xy.shape[2]
        for some, hypotheses in chunks(windows, x.shape[1], self._clips_per_call(length)):
            at = [(b, hypotheses, slice(s := windows.starts[w], s + length)) for w, b in some]
            y = self._call(torch.stack([x[i] for i in at]), windows, some, t)
            for i, (w, _), clean in zip(at, some, y, strict=True):
                x0[i] += windows.weights[w][:, None, None] * clean
        return x0

    def _call(
        self,
        x_t: Float[Tensor, "N H L rows 3"],
        windows: Windows,
        some: list[tuple[int, int]],
        t: int,
    ) -> Float[Tensor, "N H L J 3"]:
        """Turn to the network's frame, clamp, evaluate with flip averaging, clamp, turn back."""
        w, b = (list(index) for index in zip(*some, strict=True))
        rotation, J = windows.rotation[w, b], self.skeleton.n_joints
        u = self._clamped(_turn(x_t[..., :J, :], rotation)) / self.scale
        u = torch.cat([u, x_t[..., J:, :]], -2)
        xy, confidence = windows.xy[w, b], windows.confidence[w, b]
        context = None if windows.context is None else windows.context[w, b]
        if self.flip:
            u = torch.cat([u, mirrored(u, self.skeleton)])
            xy = torch.cat([xy, mirrored(xy, self.keypoint_skeleton)])
            order = list(self.keypoint_skeleton.flip_order)
            confidence = torch.cat([confidence, confidence[..., order]])
            context = None if context is None else torch.cat([context, context])
        times = torch.full((len(u),), float(t), device=u.device)
        half = _half_bits(self.precision, u.device.type)
        with torch.autocast(u.device.type, torch.bfloat16, enabled=half):
            y = self.network(u, xy, times, confidence, None, context)
        if self.flip:
            straight, flipped = y.chunk(2)
            y = (straight + mirrored(flipped, self.skeleton)) / 2
        return _turn(self._clamped(y.to(x_t) * self.scale), rotation.mT)

    def _clamped(self, x: Tensor) -> Tensor:
        if self.clamp is None:
            return x
        return x.clamp(-self.clamp * self.scale, self.clamp * self.scale)

    def _clips_per_call(self, length: int) -> int:
        return max(1, self.chunk // (length * (2 if self.flip else 1)))


def _turn(
    x: Float[Tensor, "N H L J 3"], rotation: Float[Tensor, "N T 3 3"]
) -> Float[Tensor, "N H L J 3"]:
    return x @ rotation.mT[:, None]


def _half_bits(precision: Precision, device: str) -> bool:
    """Whether matrix products run in bfloat16; ``"auto"`` asks the hardware."""
    if precision != "auto":
        return precision == "bfloat16"
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and torch.cpu._is_amx_tile_supported()
