"""D3DP: diffusion from noise to poses, conditioned on keypoints.

Shan et al., "Diffusion-Based 3D Human Pose Estimation with Multi-Hypothesis Aggregation",
ICCV 2023.

Every hypothesis starts as Gaussian noise. A network that knows the keypoints guesses the clean
pose, a DDIM step moves part of the way there, and with eta = 1 fresh noise keeps hypotheses apart.

| paper, released code | here |
| --- | --- |
| H, K | ``n_hypotheses``, ``n_steps`` |
| y_t, y_0, T | ``x_t``, ``x0``, ``n_timesteps`` |
| scale | ``scale``: poses times it have about the noise's variance |
| 1.1 | ``clamp``, in meters |

Departures from the published code, all without effect on one clip at scale 1:

* the released code returns scaled poses; these are meters at any scale;
* videos of any length: the noisy pose lives over the whole video, overlapping windows are blended
  at every step, and one step moves all of it (:mod:`hypopose.samplers.windows`). Released clips
  have unrelated hypotheses;
* networks may look through a camera turned towards the subject: poses are turned into its frame and
  back, window by window;
* both flip branches share one batch, and hypotheses are processed in chunks;
* other solvers than DDIM (:mod:`hypopose.samplers.schedulers`);
* without flip the released code cannot run; here it does what the paper says.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras import fit_root
from hypopose.cameras.turning import Turning
from hypopose.diffusion import cosine_schedule
from hypopose.errors import OptionError, ShapeError, SkeletonMismatchError
from hypopose.networks.base import Network, NetworkInfo
from hypopose.networks.inputs import Encoded, encode
from hypopose.samplers.schedulers import Solver, make_solver
from hypopose.samplers.windowed import Windowed
from hypopose.samplers.windows import blend_weights, take_frames, window_starts
from hypopose.skeletons import convert
from hypopose.types import Hypotheses, Keypoints2D, NoiseSource, Skeleton


@dataclass(frozen=True, eq=False)
class Step:
    """What a callback sees of one step; padded frames are cut off, the root is as predicted.

    Args:
        index: 0 .. n_steps - 1.
        t: Timestep.
        x_t: Noisy poses that entered, in the solver's units (meters times ``scale``).
        x0: Clean poses the network predicted, clamped and blended, meters.
    """

    index: int
    t: int
    x_t: Float[Tensor, "*batch H F J 3"]
    x0: Float[Tensor, "*batch H F J 3"]


@dataclass(frozen=True, eq=False)
class Windows:
    """The keypoints of every window of a video as the network reads them.

    Args:
        starts: First frame of each window.
        n_frames: Frames of the video, padded to one window at least.
        weights: How windows blend.
        xy: Encoded keypoints.
        confidence: 0 where undetected.
        context: Features per window, if the encoding has any.
        rotation: ``x_net = rotation @ x_cam``, one a window or one a frame.
    """

    starts: list[int]
    n_frames: int
    weights: Float[Tensor, "W L"]
    xy: Float[Tensor, "W B L K 2"]
    confidence: Float[Tensor, "W B L K"]
    context: Float[Tensor, "W B C"] | None
    rotation: Float[Tensor, "W B T 3 3"]

    def mirrored(self, skeleton: Skeleton) -> Windows:
        """What a camera behind a mirror would see; ``skeleton`` is the keypoints'."""
        across = self.rotation.new_tensor([-1.0, 1.0, 1.0])
        return replace(
            self,
            xy=mirrored(self.xy, skeleton),
            confidence=self.confidence[..., list(skeleton.flip_order)],
            rotation=across[:, None] * self.rotation * across,
        )


@dataclass(frozen=True)
class D3DP(Windowed):
    """Walk back from noise, the keypoints in view.

    Args:
        denoiser: Maps keypoints, a noisy pose and its timestep to a clean pose.
        n_steps: Network evaluations per draw (twice that with ``flip``).
        n_timesteps: Timesteps of the schedule the network was trained on.
        scale: Factor on poses before noise was added in training.
        clamp: Noisy and clean poses are held within this many meters per coordinate; None for free.
        eta: Share of fresh noise per step: 1 as in the paper, 0 deterministic.
        flip: Average over the mirrored input at every step.
        mirror: Draw every second hypothesis from the mirror image of the keypoints, and mirror it
            back. Costs nothing: what the network does not do alike on both sides shows in the
            spread and cancels in the mean.
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
        turning: How networks that look at the subject are turned towards it: ``"clip"`` once a
            window, as those in the box were trained; ``"frame"`` or ``"none"``, see
            :func:`hypopose.cameras.turn_towards`.

    Raises:
        OptionError: If an option is out of range.
    """

    denoiser: Network
    n_steps: int = 5
    n_timesteps: int = 1000
    scale: float = 1.0
    clamp: float | None = 1.1
    eta: float = 1.0
    flip: bool = True
    mirror: bool = False
    scheduler: str = "ddim"
    spacing: float = 1.0
    window: int | None = None
    overlap: int | None = None
    chunk: int = 2048
    fill_missing: str = "error"
    precision: str = "float32"
    turning: str = "clip"

    reads_latent: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if "denoiser" not in self.denoiser.info.forms:
            raise OptionError(
                "These weights are a lifter's and read no noise; use sampler='lifter'."
            )
        self._solver()
        if self.denoiser.info.n_latent and not self.reads_latent:
            raise OptionError(
                "These weights are a generator that reads latent noise; use "
                "sampler='distributional'."
            )
        for name, choice, allowed in (
            ("precision", self.precision, ("auto", "float32", "bfloat16")),
            ("turning", self.turning, ("clip", "frame", "none")),
        ):
            if choice not in allowed:
                raise OptionError(f"{name}={choice!r} is not one of {', '.join(allowed)}.")
        positive = {"scale": self.scale, "clamp": self.clamp, "chunk": self.chunk}
        for name, value in positive.items():
            if value is not None and not value > 0:
                raise OptionError(f"{name} must be positive, got {value}.")
        self._check_windows()
        if self.window is not None:
            window_starts(
                1, self.window, self.window // 4 if self.overlap is None else self.overlap
            )

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
        if n_hypotheses < 1:
            raise OptionError(f"n_hypotheses must be at least 1, got {n_hypotheses}.")
        seen = readable(keypoints, self.denoiser.info, self.fill_missing)
        device = self._device(keypoints.xy.device)
        windows = self._windows(seen, device)
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
        x0 = torch.empty_like(x[..., :J, :])
        x0[:, ::2] = self._predict(x[:, ::2], windows, t)
        across = self._predict(odd, windows.mirrored(self.keypoint_skeleton), t)
        x0[:, 1::2] = mirrored(across, body)
        return x0

    def _predict(self, x: Float[Tensor, "B H F rows 3"], windows: Windows, t: int) -> Tensor:
        """Clean poses of the whole video, scaled: windows predict, weights blend."""
        x0 = torch.zeros_like(x[..., : self.skeleton.n_joints, :])
        length = windows.xy.shape[2]
        for some, hypotheses in _chunks(windows, x.shape[1], self._clips_per_call(length)):
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
            y = self.denoiser(u, xy, times, confidence, None, context)
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

    def _windows(self, keypoints: Keypoints2D, device: torch.device) -> Windows:
        n = keypoints.n_frames
        length, overlap = self._window_of(n)
        starts = window_starts(n, length, overlap)
        padded = max(n, length)
        encoded = [self._encoded(keypoints, start, length) for start in starts]
        contexts = [e.context for e in encoded if e.context is not None]
        return Windows(
            starts=starts,
            n_frames=padded,
            weights=blend_weights(starts, length, padded, overlap).float().to(device),
            xy=torch.stack([e.xy.flatten(0, -4) for e in encoded]).float().to(device),
            confidence=torch.stack([e.confidence.flatten(0, -3) for e in encoded])
            .float()
            .to(device),
            context=torch.stack([c.flatten(0, -2) for c in contexts]).float().to(device)
            if contexts
            else None,
            rotation=torch.stack([self._rotation(e) for e in encoded]).float().to(device),
        )

    def _rotation(self, encoded: Encoded) -> Float[Tensor, "B T 3 3"]:
        per_frame = self.turning == "frame" and self.denoiser.info.inputs == "subject"
        rotation = encoded.rotation if per_frame else encoded.rotation.unsqueeze(-3)
        return rotation.flatten(0, -4)

    def _encoded(self, keypoints: Keypoints2D, start: int, length: int) -> Encoded:
        """One window with a batch axis; frames beyond the video repeat its last."""
        confidence = keypoints.confidence
        if confidence is not None:
            confidence = take_frames(confidence[..., None], start, length)[..., 0]
        xy = take_frames(keypoints.xy, start, length)
        part = replace(keypoints, xy=xy, confidence=confidence, covariance=None)
        encoded = encode(part, self.denoiser.info.inputs, cast(Turning, self.turning))
        if xy.dim() > 3:
            return encoded
        return Encoded(
            xy=encoded.xy[None],
            confidence=encoded.confidence[None],
            mask=encoded.mask[None],
            context=None if encoded.context is None else encoded.context[None],
            rotation=encoded.rotation[None],
        )


def readable(keypoints: Keypoints2D, info: NetworkInfo, fill_missing: str) -> Keypoints2D:
    """Keypoints a network can read: in its skeleton, and without gaps unless it reads confidences.

    Args:
        keypoints: As given to a sampler.
        info: Of the network.
        fill_missing: ``"interpolate"`` fills gaps and warns; ``"error"`` refuses them.

    Raises:
        ShapeError: If there are no frames.
        SkeletonMismatchError: If the skeleton is another.
        OptionError: If there are gaps and they are not to be filled.
    """
    if keypoints.n_frames < 1:
        raise ShapeError("These keypoints have no frames; there is nothing to sample.")
    if keypoints.skeleton.name != info.keypoint_skeleton:
        raise SkeletonMismatchError(
            f"This network reads {info.keypoint_skeleton!r} keypoints, got "
            f"{keypoints.skeleton.name!r}. Convert them with hypopose.skeletons.convert("
            f"keypoints, get_skeleton({info.keypoint_skeleton!r}))."
        )
    n_missing = int((~keypoints.detected).sum())
    if info.uses_confidence or not n_missing:
        return keypoints
    if fill_missing == "error":
        raise OptionError(
            f"{n_missing} of {keypoints.detected.numel()} keypoints are undetected, and this "
            "network cannot read gaps. Pass fill_missing='interpolate', or use a network that "
            "reads confidences."
        )
    warnings.warn(
        f"{n_missing} of {keypoints.detected.numel()} undetected keypoints were interpolated "
        "over time.",
        stacklevel=3,
    )
    return interpolate_missing(keypoints)


def fitted_root(
    joints: Float[Tensor, "*batch H F J 3"], keypoints: Keypoints2D, skeleton: Skeleton
) -> Float[Tensor, "*batch H F 3"] | None:
    """Roots that explain the keypoints; None without a camera.

    Args:
        joints: Root-relative meters in ``skeleton``.
        keypoints: In any skeleton with a conversion.
        skeleton: Of the joints.
    """
    if keypoints.camera is None:
        return None
    if keypoints.skeleton.name != skeleton.name:
        keypoints = convert(keypoints, skeleton)
    return fit_root(joints, keypoints)


def _half_bits(precision: str, device: str) -> bool:
    """Whether matrix products run in bfloat16; ``"auto"`` asks the hardware."""
    if precision != "auto":
        return precision == "bfloat16"
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and torch.cpu._is_amx_tile_supported()


def interpolate_missing(keypoints: Keypoints2D) -> Keypoints2D:
    """Fill undetected keypoints linearly over time; before the first and after the last they stay.

    Args:
        keypoints: Each joint detected in one frame at least.

    Returns:
        Keypoints without gaps, and a note of how many were filled. Confidence stays as it was.

    Raises:
        OptionError: If a joint is never detected.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> xy = torch.tensor([0.0, torch.nan, 4.0]).reshape(3, 1, 1).expand(3, 17, 2)
        >>> keypoints = Keypoints2D(xy.clone(), H36M17)
        >>> interpolate_missing(keypoints).xy[1, 0].tolist()
        [2.0, 2.0]
    """
    detected = keypoints.detected
    xy = keypoints.xy.detach().cpu().double().numpy().copy()
    frames = np.arange(keypoints.n_frames)
    for index in np.ndindex(*detected.shape[:-2], detected.shape[-1]):
        track = (*index[:-1], slice(None), index[-1])
        seen = detected[track].cpu().numpy()
        if not seen.any():
            joint = keypoints.skeleton.joint_names[index[-1]]
            raise OptionError(
                f"Joint {joint!r} is never detected, so it cannot be interpolated. Use a network "
                "that reads confidences."
            )
        for c in range(2):
            xy[(*track, c)] = np.interp(frames, frames[seen], xy[(*track, c)][seen])
    note = f"{int((~detected).sum())} undetected keypoints were interpolated over time"
    return replace(
        keypoints,
        xy=torch.from_numpy(xy).to(keypoints.xy),
        notes=(*keypoints.notes, note),
    )


def _chunks(
    windows: Windows, n_hypotheses: int, n_clips: int
) -> Iterator[tuple[list[tuple[int, int]], slice]]:
    """(windows, hypotheses) of each network call: at most n_clips of them together."""
    n_each = min(n_hypotheses, n_clips)
    n_windows = max(1, n_clips // n_each)
    items = [(w, b) for w in range(windows.xy.shape[0]) for b in range(windows.xy.shape[1])]
    for i in range(0, len(items), n_windows):
        for h in range(0, n_hypotheses, n_each):
            yield items[i : i + n_windows], slice(h, min(h + n_each, n_hypotheses))


def _turn(
    x: Float[Tensor, "N H L J 3"], rotation: Float[Tensor, "N T 3 3"]
) -> Float[Tensor, "N H L J 3"]:
    return x @ rotation.mT[:, None]


def mirrored(x: Float[Tensor, "*any J C"], skeleton: Skeleton) -> Float[Tensor, "*any J C"]:
    """Mirror image: x negated, left and right swapped.

    Args:
        x: Keypoints or poses, x first, about the middle of the view.
        skeleton: Whose joints they are.
    """
    image = x[..., list(skeleton.flip_order), :].clone()
    image[..., 0] *= -1
    return image
