"""Motion while it happens: keypoints of one frame in, hypotheses of the newest frame out.

Every push samples the window of the last ``context`` frames and hands out one frame of it: the
newest, or the one ``look_ahead`` frames before it, which then has seen its future. Noise belongs to
frames of the stream (:class:`hypopose.diffusion.RollingNoise`), so that hypothesis h is one motion
and not another one at every frame. Behind the blocks that hypotheses share, only the last ``reach``
frames are computed (:class:`hypopose.networks.Newest`). Memory is that of one window.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from hypopose.cameras import resolve_camera
from hypopose.diffusion.rolling import SHORTEST, RollingNoise
from hypopose.errors import OptionError, ShapeError
from hypopose.networks import Newest
from hypopose.networks.staged import StagedNetwork
from hypopose.skeletons import convert, get_skeleton
from hypopose.types import Camera, Hypotheses, Keypoints2D, Sampler, Skeleton
from hypopose.video.detectors import Detector

MAX_LOOK_AHEAD = 8


class CausalStream:
    """Hypotheses of a person, frame by frame.

    Args:
        sampler: Any method; with the default's network most of it runs once for all hypotheses.
        n_hypotheses: How many motions.
        fps: Frames per second at which frames come.
        look_ahead: Frames that are waited for before one is handed out, 0 to 8: latency is
            ``look_ahead / fps`` and the time a push takes.
        context: Frames that are looked at, the newest included.
        reach: Frames of them that hypotheses see; more is slower and a little better.
        seed: Same seed, same hypotheses.
        camera: The camera, if known; assumed from the image size if not.
        detector: Finds keypoints where whole frames are pushed.

    Raises:
        OptionError: If an option is out of range.
    """

    def __init__(
        self,
        sampler: Sampler,
        *,
        n_hypotheses: int = 20,
        fps: float = 30.0,
        look_ahead: int = 0,
        context: int = 27,
        reach: int = 9,
        seed: int = 0,
        camera: Camera | None = None,
        detector: Detector | None = None,
    ) -> None:
        if not 0 <= look_ahead <= MAX_LOOK_AHEAD:
            raise OptionError(f"look_ahead is 0 to {MAX_LOOK_AHEAD} frames, got {look_ahead}.")
        if not 0 < fps < 1000:
            raise OptionError(f"fps is frames per second, got {fps}.")
        if n_hypotheses < 1 or not SHORTEST <= reach <= context or reach <= look_ahead:
            raise OptionError(
                f"A stream needs n_hypotheses of at least 1 and {SHORTEST} <= reach <= context, "
                f"reach above look_ahead; got {n_hypotheses}, reach={reach}, context={context}."
            )
        self.fps, self.look_ahead, self.n_hypotheses = float(fps), look_ahead, n_hypotheses
        self.detector = detector
        self.seconds: float | None = None
        self._sampler = newest_only(sampler, reach)
        self._skeleton: Skeleton = getattr(sampler, "keypoint_skeleton", sampler.skeleton)
        self._camera = camera
        self._noise = RollingNoise(seed)
        self._window: deque[tuple[Tensor, Tensor]] = deque(maxlen=context)
        self._n = 0  # ticks so far
        self._start: float | None = None
        self._last: Float[np.ndarray, "J 2"] | None = None

    @property
    def latency_s(self) -> float:
        """Seconds that are waited for frames to come; computing comes on top."""
        return self.look_ahead / self.fps

    def push(
        self, observed: Keypoints2D | UInt8[np.ndarray, "height width 3"], seconds: float
    ) -> Hypotheses | None:
        """Take the next frame and hand out the newest that has waited for ``look_ahead`` others.

        Args:
            observed: Keypoints of one person and one frame, in any skeleton with a conversion; or
                an RGB frame, if the stream has a detector.
            seconds: When it was taken, rising from push to push. Frames left out are counted as
                frames in which nothing was detected.

        Returns:
            ``(H, 1, J, 3)``; :attr:`seconds` says of when. None while too few frames have come, or
            no person was seen in any of them.

        Raises:
            OptionError: If time runs backwards, frames come without a detector, or the camera
                cannot be assumed because the image size is unknown.
            ShapeError: If the keypoints hold several people or frames.
        """
        keypoints = self._keypoints(observed)
        xy, confidence = keypoints.xy[0], keypoints.confidence
        sure = keypoints.detected[0].float() if confidence is None else confidence[0]
        for _ in range(self._missed(seconds)):
            self._append(torch.full_like(xy, torch.nan), torch.zeros_like(sure))
        self._append(xy, sure)
        if len(self._window) <= self.look_ahead:
            return None
        drawn = self._draw()
        return None if drawn is None else self._frame(drawn, self.look_ahead)

    def finish(self) -> Iterator[Hypotheses]:
        """The last ``look_ahead`` frames, which nothing follows; :attr:`seconds` says of when."""
        drawn = self._draw() if self._window else None
        for behind in range(min(self.look_ahead, len(self._window)) - 1, -1, -1):
            if drawn is not None:
                yield self._frame(drawn, behind)

    def _frame(self, drawn: Hypotheses, behind: int) -> Hypotheses:
        assert self._start is not None  # something was pushed
        self.seconds = self._start + (self._n - 1 - behind) / self.fps
        at = slice(drawn.joints.shape[-3] - 1 - behind, drawn.joints.shape[-3] - behind)
        root = None if drawn.root is None else drawn.root[:, at]
        return replace(drawn, joints=drawn.joints[:, at], root=root)

    def _append(self, xy: Float[Tensor, "J 2"], sure: Float[Tensor, " J"]) -> None:
        self._window.append((xy, sure))
        self._n += 1

    def _draw(self) -> Hypotheses | None:
        """Hypotheses of the whole window; None if it shows no person."""
        frames = list(self._window)
        # Short windows repeat their first frame: noise needs a shortest length.
        frames = [frames[0]] * (SHORTEST - len(frames)) + frames
        xy, sure = torch.stack([f[0] for f in frames]), torch.stack([f[1] for f in frames])
        if not bool((sure > 0).any()):
            return None
        first = self._n - len(frames)
        keypoints = Keypoints2D(
            xy=xy, skeleton=self._skeleton, confidence=sure, camera=self._camera, fps=self.fps
        )
        noise = self._noise.window(first, len(frames), first / self.fps)
        with torch.no_grad():
            return self._sampler.sample(keypoints, self.n_hypotheses, noise)

    def _missed(self, seconds: float) -> int:
        """Frames that should have come since the last one; at most a window of them counts."""
        if self._start is None:
            self._start = seconds
            return 0
        ahead = (seconds - self._start) * self.fps - self._n
        if ahead < -1 - self.look_ahead - self.fps:
            raise OptionError(
                f"The frame at {seconds:.3f} s comes after one at "
                f"{self._start + (self._n - 1) / self.fps:.3f} s; push frames in order."
            )
        longest = self._window.maxlen or 1
        missed = max(0, round(ahead))
        if missed > longest:  # after a long pause the clock starts again
            self._start += (missed - longest) / self.fps
        return min(missed, longest)

    def _keypoints(self, observed: Keypoints2D | np.ndarray) -> Keypoints2D:
        """One frame in the sampler's skeleton; its camera is the stream's from then on."""
        if isinstance(observed, np.ndarray):
            observed = self._detected(observed)
        if observed.xy.dim() != 3 or observed.n_frames != 1:
            raise ShapeError(
                f"A stream takes one person and one frame a push, (1, J, 2); got "
                f"{tuple(observed.xy.shape)}."
            )
        if observed.skeleton.name != self._skeleton.name:
            observed = convert(observed, self._skeleton)
        if self._camera is None:
            if observed.camera is None and observed.image_size is None:
                raise OptionError(
                    "The first keypoints pushed need an image_size, or the stream a camera."
                )
            self._camera = resolve_camera(observed).camera
        return observed

    def _detected(self, rgb: np.ndarray) -> Keypoints2D:
        """The person of a frame: the one nearest to the last, at first the largest."""
        if self.detector is None:
            raise OptionError("This stream has no detector; push Keypoints2D, or give it one.")
        seen = self.detector.detect(rgb)
        skeleton = get_skeleton(self.detector.skeleton)
        xy, sure = np.full((skeleton.n_joints, 2), np.nan), np.zeros(skeleton.n_joints)
        if len(seen):
            if self._last is None:
                size = seen.boxes[:, 2:] - seen.boxes[:, :2]
                chosen = int(np.argmax(size.prod(-1)))
            else:
                far = np.nan_to_num(np.abs(seen.xy - self._last).sum(-1), nan=1e4)
                chosen = int(np.argmin(far.mean(-1)))
            xy, sure = seen.xy[chosen], seen.confidence[chosen]
            self._last = xy
        return Keypoints2D(
            xy=torch.from_numpy(xy[None]).float(),
            skeleton=skeleton,
            confidence=torch.from_numpy(sure[None]).float(),
            image_size=(rgb.shape[1], rgb.shape[0]),
        )


def newest_only(sampler: Sampler, reach: int) -> Sampler:
    """The sampler with a network that answers for the newest frames, if it has one in stages.

    Args:
        sampler: Any method.
        reach: Frames at the end of a window that its hypotheses see.
    """
    if not dataclasses.is_dataclass(sampler):
        return sampler
    names = [f.name for f in dataclasses.fields(sampler) if f.name in ("network", "denoiser")]
    made: Any = sampler
    if not names or not isinstance(getattr(made, names[0]), StagedNetwork):
        return sampler
    mirror = bool(getattr(made, "mirror", False))
    newest = Newest(getattr(made, names[0]), reach, mirror)
    limited: Sampler = replace(made, **{names[0]: newest}, **({"mirror": False} if mirror else {}))
    return limited


def frame_of(keypoints: Keypoints2D, f: int) -> Keypoints2D:
    """One frame of a clip, as :meth:`CausalStream.push` takes it.

    Args:
        keypoints: One person.
        f: Which frame.
    """
    at = slice(f, f + 1)
    confidence, covariance = keypoints.confidence, keypoints.covariance
    return replace(
        keypoints,
        xy=keypoints.xy[at],
        confidence=None if confidence is None else confidence[at],
        covariance=None if covariance is None else covariance[at],
    )
