"""Videos and live streams by name: which detector, which sampler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypopose.api.making import make_sampler
from hypopose.errors import OptionError
from hypopose.types import Keypoints2D, Sampler
from hypopose.video import Clip, DetectOptions, Detector, choose_detector, detect_people
from hypopose.video.stream import CausalStream


def detect(
    path: str | Path,
    *,
    detector: str | Detector = "auto",
    models: Path | None = None,
    start: float = 0.0,
    end: float | None = None,
    every: int = 1,
    fps: float | None = None,
) -> dict[str, Keypoints2D]:
    """Find 2D keypoints in a video, a picture, a folder of pictures, or ``camera:0``.

    Args:
        path: What to read; a camera needs ``end``.
        detector: ``"rtmpose"``, ``"mediapipe"``, ``"auto"`` for the first of them that works here,
            or a :class:`hypopose.video.Detector` of your own.
        models: Folder of RTMPose's models, for machines without network.
        start: Seconds to skip at first.
        end: Seconds at which to stop, or None for the end.
        every: Read each ``every``-th frame only.
        fps: Frames per second, where timestamps are wrong.

    Returns:
        Keypoints by identity, the person seen most first. ``notes`` say what was applied to the
        frames, assumed, cut and lost.

    Raises:
        BackendError: If the extra ``hypopose[video]`` is not installed.
        FormatError: If the footage cannot be read, or shows no person.
    """
    if isinstance(detector, str):
        detector = choose_detector(detector, models)[0]
    return detect_people(path, detector, DetectOptions(Clip(start, end, every), fps))


class Stream(CausalStream):
    """Causal sampling: push keypoints or frames, get hypotheses of the newest frame.

    Args:
        sampler: A name, or a method you made yourself; None for the default.
        weights: Bundled weights by name, or a folder of weights.
        detector: For pushing frames: a name as in :func:`detect`, or a detector of your own.
        device: Where the network runs.
        **options: Of :class:`hypopose.video.stream.CausalStream`: ``n_hypotheses``, ``fps``,
            ``look_ahead`` (0 to 8 frames), ``context``, ``reach``, ``seed``, ``camera``.

    Raises:
        OptionError: If an option is out of range.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair(3)
        >>> stream = Stream(n_hypotheses=2, fps=50.0)
        >>> for f in range(3):
        ...     hypotheses = stream.push(hypopose.video.frame_of(keypoints, f), f / 50)
        >>> hypotheses.joints.shape, stream.seconds
        (torch.Size([2, 1, 17, 3]), 0.04)
    """

    def __init__(
        self,
        sampler: str | Sampler | None = None,
        *,
        weights: str | Path | None = None,
        detector: str | Detector | None = None,
        device: str = "cpu",
        **options: Any,
    ) -> None:
        made: Sampler
        if sampler is None or isinstance(sampler, str):
            made = make_sampler(sampler, weights=weights, device=device)
        elif weights is None:
            made = sampler
        else:
            raise OptionError("A sampler you made yourself brings its own weights.")
        if isinstance(detector, str):
            detector = choose_detector(detector)[0]
        super().__init__(made, detector=detector, **options)
