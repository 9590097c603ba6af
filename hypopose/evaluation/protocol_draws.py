"""Draws of a protocol: hypotheses of a sampler or of a file, cut to the frames that count.

Views are made, sampled or looked up, and compared one at a time, so that memory does not grow with
their number. Views are cut into clips, which bounds what a comparison holds and is what "per clip"
means in scores.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hypopose.datasets.protocols import ProtocolData, ProtocolView, ViewEntry
from hypopose.diffusion import seeded_noise
from hypopose.errors import FormatError, OptionError, SkeletonMismatchError
from hypopose.evaluation.benchmark_draws import Draw
from hypopose.skeletons import convert, convert_points
from hypopose.types import Hypotheses, Keypoints2D, Poses3D, Sampler, Skeleton

CLIP_FRAMES = 243
"""Frames of a clip at most; D3DP's clips are that long."""
FRAMES_AT_ONCE = 1000
"""Frames compared together, of all clips: bounds memory."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a method says about a view.

    Args:
        joints: ``(H, F, J, 3)`` root-relative meters of the evaluated joints; all frames of the
            view, or those that count.
        seconds: Time that sampling took.
        vertices: ``(H, F, V, 3)`` meters from the root, of methods that answer with surfaces.
    """

    joints: Tensor
    seconds: float = 0.0
    vertices: Tensor | None = None


Answers = Callable[[ViewEntry, ProtocolView], Answer]
"""A method: a view to its answer."""


@dataclass(frozen=True, eq=False)
class SampledAnswers:
    """A sampler as a method that answers views.

    Args:
        sampler: Reads keypoints of its own skeleton; they are converted to it.
        data: What its hypotheses are converted to.
        n_hypotheses: Per view.
        seed: Every view has its own noise from seed and name.
    """

    sampler: Sampler
    data: ProtocolData
    n_hypotheses: int = 20
    seed: int = 0

    def __call__(self, entry: ViewEntry, view: ProtocolView) -> Answer:
        """Sample a view.

        Raises:
            FormatError: If the view has no keypoints.
            SkeletonMismatchError: If joints of the protocol cannot be formed from the sampler's.
        """
        if view.keypoints is None:
            raise FormatError(f"{entry.name} has no keypoints to sample from.")
        keypoints = convert(view.keypoints, self.sampler.skeleton)
        start = time.perf_counter()
        found = self.sampler.sample(
            keypoints, self.n_hypotheses, seeded_noise(self.seed, [entry.name])
        )
        seconds = time.perf_counter() - start
        return Answer(evaluated_joints(found.joints, self.sampler.skeleton, self.data), seconds)


def evaluated_joints(points: Tensor, skeleton: Skeleton, data: ProtocolData) -> Tensor:
    """The joints that a protocol evaluates, root-relative.

    Args:
        points: ``(..., J, 3)`` in ``skeleton``.
        skeleton: Of the points.
        data: The protocol.

    Raises:
        SkeletonMismatchError: If a joint cannot be formed.
    """
    source = convert_points(points, skeleton, data.source_skeleton)[..., list(data.joints), :]
    absent = torch.isnan(source).flatten(0, -3).all(-1).all(0)
    given = bool(torch.isfinite(points).all(-1).all(-1).any())
    if given and bool(absent.any()):
        names = [data.skeleton.joint_names[j] for j in absent.nonzero().flatten().tolist()]
        raise SkeletonMismatchError(
            f"The protocol {data.protocol} evaluates {', '.join(names)}, which cannot be formed "
            f"from {skeleton.name!r}; use a sampler or predictions of {data.source_skeleton.name}."
        )
    root = data.skeleton.root
    return source - source[..., root : root + 1, :]


@dataclass(frozen=True, eq=False)
class AnsweredView:
    """A view beside what a method says about it.

    Args:
        entry: The view.
        answer: Of the method.
        truth: The evaluated joints of every frame.
        keypoints: With a camera; None leaves out what reprojects.
    """

    entry: ViewEntry
    answer: Answer
    truth: Poses3D
    keypoints: Keypoints2D | None

    @property
    def whole(self) -> bool:
        """Whether every frame was answered, also those that do not count."""
        return self.answer.joints.shape[1] == self.entry.n_frames

    def draws(self, clip_frames: int) -> Iterator[tuple[np.ndarray, Draw]]:
        """The frames that count, as clips of one action; the draw's sequence is the view's.

        Args:
            clip_frames: Frames of a clip at most; a view is cut into clips of equal length.

        Yields:
            The frames of each clip, ``(N, L)``, and the clips.
        """
        seconds = self.answer.seconds
        for action, frames in self.entry.parts.items():
            for rows in _clips(frames, clip_frames):
                yield rows, self._draw(action, rows, seconds)
                seconds = 0.0  # notes of the view, given once

    def _draw(self, action: str, rows: np.ndarray, seconds: float) -> Draw:
        truth, keypoints, skeleton = self.truth, self.keypoints, self.truth.skeleton
        at = torch.from_numpy(rows)
        answered = at
        if not self.whole:
            answered = torch.from_numpy(np.searchsorted(self.entry.counted, rows))
        x = self.answer.joints[:, answered].to(truth.joints)
        seen = None
        if keypoints is not None:
            confidence = None if keypoints.confidence is None else keypoints.confidence[at]
            seen = replace(keypoints, xy=keypoints.xy[at], confidence=confidence)
        root = None if truth.root is None else truth.root[at]
        return Draw(
            Hypotheses(x.transpose(0, 1), skeleton),
            Poses3D(truth.joints[at], skeleton, root=root),
            (self.entry.sequence,) * len(rows),
            seen,
            (action,) * len(rows),
            seconds=seconds,
        )


def answered_views(
    data: ProtocolData,
    answers: Answers,
    *,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[AnsweredView]:
    """Ask a method about the views of a protocol, one at a time.

    Args:
        data: The views.
        answers: The method.
        limit: Only this many views, spread evenly.
        progress: Called with views done and views in all.

    Raises:
        OptionError: If the limit is not positive.
    """
    if limit is not None and limit < 1:
        raise OptionError("The limit of views must be at least 1.")
    chosen = chosen_entries(data, limit)
    for done, entry in enumerate(chosen, 1):
        view = data.load(entry)
        yield AnsweredView(
            entry,
            answers(entry, view),
            _evaluated_truth(view.truth, data),
            _evaluated_keypoints(view.keypoints, data),
        )
        if progress is not None:
            progress(done, len(chosen))


def chosen_entries(data: ProtocolData, limit: int | None) -> list[ViewEntry]:
    """All views, or some spread evenly."""
    n = len(data.entries) if limit is None else min(limit, len(data.entries))
    return [data.entries[i * len(data.entries) // n] for i in range(n)]


def _evaluated_truth(truth: Poses3D, data: ProtocolData) -> Poses3D:
    joints = truth.joints[..., list(data.joints), :]
    return Poses3D(joints, data.skeleton, root=truth.root)


def _evaluated_keypoints(keypoints: Keypoints2D | None, data: ProtocolData) -> Keypoints2D | None:
    """Keypoints of the evaluated joints, for scores that reproject; None without a camera."""
    if keypoints is None or keypoints.camera is None:
        return None
    found = convert(keypoints, data.source_skeleton)
    joints = list(data.joints)
    confidence = None if found.confidence is None else found.confidence[..., joints]
    return replace(
        found, xy=found.xy[..., joints, :], skeleton=data.skeleton, confidence=confidence,
        covariance=None,
    )  # fmt: skip


def _clips(frames: np.ndarray, clip_frames: int) -> Iterator[np.ndarray]:
    """Frames as ``(N, L)`` clips: as many as needed, their lengths differing by one at most."""
    if not len(frames):
        return
    n = -(-len(frames) // clip_frames)
    by_length: dict[int, list[np.ndarray]] = {}
    for clip in np.array_split(frames, n):
        by_length.setdefault(len(clip), []).append(clip)
    for length, clips in by_length.items():
        step = max(1, FRAMES_AT_ONCE // length)
        for i in range(0, len(clips), step):
            yield np.stack(clips[i : i + step])
