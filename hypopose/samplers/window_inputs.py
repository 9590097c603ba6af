"""The keypoints of every window of a video, as a network reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras.turning import Turning
from hypopose.networks.base import NetworkInfo
from hypopose.networks.inputs import Encoded, encode
from hypopose.samplers.mirror import mirrored
from hypopose.samplers.windows import blend_weights, take_frames, window_starts
from hypopose.types import Keypoints2D, Skeleton


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

    def with_mirror(self, skeleton: Skeleton) -> Windows:
        """Twice the clips: behind them what a camera behind a mirror would see of each.

        Args:
            skeleton: The keypoints'.
        """
        across = self.rotation.new_tensor([-1.0, 1.0, 1.0])
        seen = self.confidence[..., list(skeleton.flip_order)]
        return replace(
            self,
            xy=torch.cat([self.xy, mirrored(self.xy, skeleton)], 1),
            confidence=torch.cat([self.confidence, seen], 1),
            context=None if self.context is None else torch.cat([self.context] * 2, 1),
            rotation=torch.cat([self.rotation, across[:, None] * self.rotation * across], 1),
        )


def encoded_windows(
    keypoints: Keypoints2D,
    info: NetworkInfo,
    turning: Turning,
    length: int,
    overlap: int,
    device: torch.device,
) -> Windows:
    """Encode every window of a video.

    Args:
        keypoints: That the network can read.
        info: Of the network.
        turning: See :func:`hypopose.cameras.turn_towards`.
        length: Frames of a window.
        overlap: Frames that neighbors share at least.
        device: Where the network is.
    """
    n = keypoints.n_frames
    starts, padded = window_starts(n, length, overlap), max(n, length)
    encoded = [_encoded(keypoints, info, turning, start, length) for start in starts]
    per_frame = turning == "frame" and info.inputs == "subject"
    rotations = [e.rotation if per_frame else e.rotation.unsqueeze(-3) for e in encoded]
    contexts = [e.context.flatten(0, -2) for e in encoded if e.context is not None]

    def placed(parts: list[Tensor]) -> Tensor:
        return torch.stack(parts).float().to(device)

    return Windows(
        starts=starts,
        n_frames=padded,
        weights=blend_weights(starts, length, padded, overlap).float().to(device),
        xy=placed([e.xy.flatten(0, -4) for e in encoded]),
        confidence=placed([e.confidence.flatten(0, -3) for e in encoded]),
        context=placed(contexts) if contexts else None,
        rotation=placed([rotation.flatten(0, -4) for rotation in rotations]),
    )


def _encoded(
    keypoints: Keypoints2D, info: NetworkInfo, turning: Turning, start: int, length: int
) -> Encoded:
    """One window with a batch axis; frames beyond the video repeat its last."""
    confidence = keypoints.confidence
    if confidence is not None:
        confidence = take_frames(confidence[..., None], start, length)[..., 0]
    xy = take_frames(keypoints.xy, start, length)
    part = replace(keypoints, xy=xy, confidence=confidence, covariance=None)
    encoded = encode(part, info.inputs, turning)
    if xy.dim() > 3:
        return encoded
    return Encoded(
        xy=encoded.xy[None],
        confidence=encoded.confidence[None],
        mask=encoded.mask[None],
        context=None if encoded.context is None else encoded.context[None],
        rotation=encoded.rotation[None],
    )


def chunks(
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
