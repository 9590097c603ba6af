"""Lifters over whole videos: one pose per frame, windows blended, mirrored input averaged.

A lifter that predicts a scale per joint (:class:`hypopose.networks.ScaleNetwork`) gives a
distribution, from which hypotheses are drawn (:mod:`hypopose.samplers.noise_from_scales`). Other
lifters give one pose; they serve as baselines on keypoint files, and ``spread`` gives them one
scale for everything.

Networks from a sequence to one pose see a window around every frame; the others see windows that
overlap and blend. Frames beyond the video repeat its first or last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from hypopose.cameras import rays
from hypopose.checks import check_between, check_positive
from hypopose.errors import OptionError
from hypopose.networks.base import Network
from hypopose.networks.inputs import encode
from hypopose.networks.scales import ScaleNetwork
from hypopose.samplers.mirror import mirrored
from hypopose.samplers.missing import FillMissing, readable
from hypopose.samplers.network_sampler import Step, WindowedSampler, fitted_root
from hypopose.samplers.noise_from_scales import noise_from_scales
from hypopose.samplers.windows import blend_weights, take_frames, window_starts
from hypopose.skeletons import convert
from hypopose.types import ASSUMED_FPS, Hypotheses, Keypoints2D, NoiseSource, Skeleton


@dataclass(frozen=True)
class Lifter(WindowedSampler):
    """A pose and a scale per joint, and draws from them.

    Args:
        network: A network with a lifter form, in meters.
        spread: Expected error of a joint in meters, where the network predicts none; None for one
            motion only.
        correlation_s: Seconds over which errors go on: standard deviation of the smoothing kernel.
        parent_correlation: Correlation of a joint's error with its parent's, 0 to 1.
        depth_share: Share of the squared error along the line of sight; 1/3 for errors alike in
            all directions. Has no effect without a camera.
        flip: Average with the mirrored input.
        overlap: Frames that neighboring windows share at least; None for a quarter.
        window: Frames per window; None for what the network takes (or its training length).
        chunk: Frames, of all windows together, in one network call.
        fill_missing: ``"interpolate"`` fills undetected keypoints over time for networks that
            cannot read gaps (and warns how many); ``"error"`` refuses them.

    Raises:
        OptionError: If the network is not a lifter, or its poses are not meters.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> from hypopose.diffusion import seeded_noise
        >>> from hypopose.networks import load_network
        >>> keypoints, _ = example_pair()
        >>> lifter = Lifter(load_network("d3dp-frame-small"))
        >>> lifter.sample(keypoints, 1, seeded_noise(0)).joints.shape[-3] == keypoints.n_frames
        True
    """

    network: Network
    flip: bool = True
    overlap: int | None = None
    window: int | None = None
    chunk: int = 2048
    fill_missing: FillMissing = "error"
    spread: float | None = None
    correlation_s: float = 0.5
    parent_correlation: float = 0.7
    depth_share: float = 1 / 3

    def __post_init__(self) -> None:
        info = self.network.info
        if "lifter" not in info.forms:
            raise OptionError("These weights are a denoiser's and cannot lift; use sampler='d3dp'.")
        if info.units != "meters":
            raise OptionError(
                "This lifter's poses are scaled like the image and not in meters, so that they "
                "cannot be a result; call the network itself: load_network(folder)(None, xy)."
            )
        self._check_windows()
        check_positive(spread=self.spread)
        check_between(0, 1e6, correlation_s=self.correlation_s)
        check_between(
            0, 1, parent_correlation=self.parent_correlation, depth_share=self.depth_share
        )

    @torch.no_grad()
    def sample(
        self,
        keypoints: Keypoints2D,
        n_hypotheses: int,
        noise: NoiseSource,
        callback: Callable[[Step], None] | None = None,
    ) -> Hypotheses:
        """Lift a video.

        Args:
            keypoints: In ``keypoint_skeleton``; with a camera if the network looks through one.
            n_hypotheses: How many motions; 1 for lifters without a scale, unless ``spread`` is set.
            noise: Asked once for ``(*batch, H, F, J, 3)``, if there is a scale to draw from.
            callback: Called once, at the end.

        Returns:
            Root-relative meters, the root joint at 0; ``root`` is fitted to the keypoints if they
            carry a camera, else None.

        Raises:
            OptionError: If a lifter without a scale is to give several motions, or the network
                cannot read gaps.
            SkeletonMismatchError: If the keypoints have another skeleton.
            MissingCameraError: If the network needs a camera.
        """
        scaled = self.spread is not None or isinstance(self.network, ScaleNetwork)
        if n_hypotheses < 1 or (n_hypotheses != 1 and not scaled):
            raise OptionError(
                f"This lifter gives one motion, not {n_hypotheses}. Set n_hypotheses=1, or say how "
                "far a joint errs (spread=0.05 for 5 cm) to draw around it."
            )
        pose, scale = self.predict(keypoints)
        joints = pose[..., None, :, :, :]
        if scale is not None:
            z = noise((*pose.shape[:-3], n_hypotheses, *pose.shape[-3:])).to(joints)
            frames = self.correlation_s * (keypoints.fps or ASSUMED_FPS)
            joints = joints + noise_from_scales(
                z,
                scale,
                self.skeleton,
                frames=frames,
                parent_correlation=self.parent_correlation,
                sight=_sight(keypoints, self.skeleton),
                depth_share=self.depth_share,
            )
        if callback is not None:
            callback(Step(0, 0, torch.zeros_like(joints), joints))
        return Hypotheses(joints, self.skeleton, fitted_root(joints, keypoints, self.skeleton))

    @torch.no_grad()
    def predict(
        self, keypoints: Keypoints2D
    ) -> tuple[Float[Tensor, "*batch F J 3"], Float[Tensor, "*batch F J"] | None]:
        """The network's prediction: the pose, and the expected error of its joints.

        Args:
            keypoints: As for :meth:`sample`.

        Returns:
            Root-relative meters, and meters: predicted, or ``spread``, or None.

        Raises:
            OptionError: As :meth:`sample`, and so on.
        """
        seen = readable(keypoints, self.network.info, self.fill_missing)
        lifted = self._lifted(seen)
        pose = lifted[..., :3] - lifted[..., self.skeleton.root, None, :3]
        if self.spread is not None:
            return pose, torch.full_like(pose[..., 0], self.spread)
        return pose, lifted[..., 3].exp() if lifted.shape[-1] > 3 else None

    def _lifted(self, keypoints: Keypoints2D) -> Float[Tensor, "*batch F J C"]:
        """Poses, and log-scales behind them if the network predicts any."""
        n = keypoints.n_frames
        length, overlap = self._window_of(n)
        if self.network.info.sequence_to_one:
            starts = [f - (length - 1) // 2 for f in range(n)]
            poses = self._windows(keypoints, starts, length)
            return torch.cat(poses, -3)
        starts = window_starts(n, length, overlap)
        padded = max(n, length)
        weights = blend_weights(starts, length, padded, overlap).float()
        batch = keypoints.xy.shape[:-3]
        poses = self._windows(keypoints, starts, length)
        out = torch.zeros(*batch, padded, *poses[0].shape[-2:])
        for w, start, pose in zip(weights, starts, poses, strict=True):
            out[..., start : start + length, :, :] += w[:, None, None] * pose
        return out[..., :n, :, :]

    def _windows(
        self, keypoints: Keypoints2D, starts: list[int], length: int
    ) -> list[Float[Tensor, "*batch F J C"]]:
        """The poses of every window, in camera axes, on the CPU."""
        n_clips = max(1, keypoints.xy.shape[:-3].numel())
        size = max(1, self.chunk // (length * n_clips))
        poses: list[Tensor] = []
        for i in range(0, len(starts), size):
            poses += self._call(keypoints, starts[i : i + size], length)
        return poses

    def _call(self, keypoints: Keypoints2D, starts: list[int], length: int) -> list[Tensor]:
        # Windows behind the batch axes: those of the camera lead.
        xy = torch.stack([take_frames(keypoints.xy, s, length) for s in starts], -4)
        confidence = keypoints.confidence
        if confidence is not None:
            parts = [take_frames(confidence[..., None], s, length)[..., 0] for s in starts]
            confidence = torch.stack(parts, -3)
        part = replace(keypoints, xy=xy, confidence=confidence, covariance=None)
        e = encode(part, "screen" if self.network.info.inputs == "screen" else "subject")
        context = None if e.context is None else e.context.flatten(0, -2).float()
        given = (e.xy.flatten(0, -4).float(), e.confidence.flatten(0, -3).float())
        y = self._lift(*given, context)
        if self.flip:
            order = list(self.keypoint_skeleton.flip_order)
            across = (mirrored(given[0], self.keypoint_skeleton), given[1][..., order])
            y = (y + mirrored(self._lift(*across, context), self.skeleton)) / 2
        turned = y[..., :3] @ e.rotation.flatten(0, -3).float()[:, None]
        y = torch.cat([turned, y[..., 3:]], -1)
        return list(y.reshape(*xy.shape[:-3], *y.shape[1:]).unbind(xy.dim() - 4))

    def _lift(self, xy: Tensor, confidence: Tensor, context: Tensor | None) -> Tensor:
        place = self._device(xy.device)
        moved = None if context is None else context.to(place)
        if isinstance(self.network, ScaleNetwork):
            pose, log_scale = self.network.with_scale(
                xy.to(place), confidence.to(place), None, moved
            )
            return torch.cat([pose, log_scale[..., None]], -1).float().cpu()
        y = self.network(None, xy.to(place), None, confidence.to(place), None, moved)
        return y[:, 0].float().cpu()


def _sight(keypoints: Keypoints2D, skeleton: Skeleton) -> Float[Tensor, "*batch F J 3"] | None:
    """Unit vectors towards keypoints; undetected ones are looked for ahead. None without camera."""
    camera = keypoints.camera
    if camera is None:
        return None
    if keypoints.skeleton.name != skeleton.name:
        keypoints = convert(keypoints, skeleton)
    ahead = torch.tensor([0.0, 0.0, 1.0])
    seen = rays(keypoints.xy, camera).float()
    seen = torch.where(torch.isfinite(seen).all(-1, keepdim=True), seen, ahead.to(seen))
    return functional.normalize(seen, dim=-1)
