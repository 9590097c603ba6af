"""Target recordings: people in front of cameras, without 3D truth, and the part held back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras import undistort
from hypopose.diffusion import seeded_noise
from hypopose.errors import MissingCameraError, OptionError, SkeletonMismatchError
from hypopose.optimization.ground import estimate_ground
from hypopose.samplers.windows import take_frames
from hypopose.skeletons import H36M17, conversion_matrix
from hypopose.types import ASSUMED_FPS, Keypoints2D, Sampler, Skeleton

MIN_FRAMES = 20
"""Frames with a person that a recording needs."""

MIN_JOINTS = 8
"""Joints, the root among them, that a frame needs to say where a person stands."""

CLIPS = (5, 81)
"""Fewest and most frames of the clips that are held back; five of each recording where it can be,
so that their scores tell their own standard error."""

FEWEST_CLIPS = 2
"""Clips that are held back at least; short recordings hold back up to a half for it."""

UPRIGHT = (0.0, -1.0, 0.0)
"""Up, in a level camera."""

TILT_STD_DEG = 4.0
"""Least standard deviation of an estimated vertical."""


@dataclass(frozen=True, eq=False)
class View3D:
    """A person triangulated from several cameras, in one camera's frame.

    Args:
        joints: Meters; NaN where there is no label.
        covariance: Of each joint.
        scale_std: Relative standard deviation of the size of all of it.
        apart: Variance of each joint relative to the root over the sum of both variances, see
            :func:`root_shares`; None where joints err independently.
    """

    joints: Float[Tensor, "F 17 3"]
    covariance: Float[Tensor, "F 17 3 3"]
    scale_std: float = 0.0
    apart: Float[Tensor, "17"] | None = None


def root_shares(skeleton: Skeleton) -> Float[Tensor, "17"]:
    """What is left of the variance of joints relative to the root, as joints share points.

    Where a pelvis is the middle of two hips, a hip is better known from it than if both erred
    independently.

    Args:
        skeleton: Of the points that Human3.6M-17 is formed from, all of one variance.

    Example:
        >>> from hypopose.skeletons import COCO17
        >>> hip = H36M17.index("left_hip")
        >>> round(float(root_shares(COCO17)[hip]), 3), round(float(root_shares(H36M17)[hip]), 3)
        (0.333, 1.0)
    """
    if skeleton.name == H36M17.name:
        return torch.ones(17)
    C = conversion_matrix(skeleton, H36M17).float()
    alone = C.square().sum(-1)
    return (C - C[:1]).square().sum(-1) / (alone + alone[0]).clamp(min=1e-6)


@dataclass(frozen=True, eq=False)
class Recording:
    """One person in one camera.

    Args:
        keypoints: Human3.6M-17 with a camera, without batch axes.
        person: Who it is; recordings of one person share it.
        view: Which camera it is; recordings of one person with other names show the same moments
            in the same frames, if cameras are placed in one world.
        label: The person in this camera's frame, from several views; None if unknown.
        up: The vertical in the camera's frame; None to estimate it.
        tilt_std_deg: Its standard deviation.
        first_frame: Of a longer recording that this is a part of.

    Raises:
        SkeletonMismatchError: If the keypoints have another skeleton.
        MissingCameraError: If they carry no camera.
        OptionError: If they have batch axes, or too few frames show the person.
    """

    keypoints: Keypoints2D
    person: str
    view: str = ""
    label: View3D | None = None
    up: Float[Tensor, "3"] | None = None
    tilt_std_deg: float = 0.0
    first_frame: int = 0

    def __post_init__(self) -> None:
        keypoints = self.keypoints
        if keypoints.skeleton.name != H36M17.name:
            raise SkeletonMismatchError(
                f"Recordings have the skeleton 'h36m17', not {keypoints.skeleton.name!r}; convert "
                "them with hypopose.skeletons.convert."
            )
        if keypoints.camera is None:
            raise MissingCameraError(
                f"The keypoints of {self.person!r} carry no camera. Attach one with "
                "keypoints.with_camera(Camera.from_fov(image_size))."
            )
        if keypoints.xy.dim() != 3:
            raise OptionError("A recording is one person: keypoints (F, 17, 2) without batch axes.")
        if int(self.placed.sum()) < MIN_FRAMES:
            raise OptionError(
                f"Only {int(self.placed.sum())} frames show {self.person!r} with hips and "
                f"{MIN_JOINTS} joints; adaptation needs {MIN_FRAMES} or more of each person."
            )

    @property
    def rays(self) -> Float[Tensor, "F 17 2"]:
        """Where keypoints' rays meet the plane z = 1; NaN where undetected."""
        assert self.keypoints.camera is not None  # checked
        rays = undistort(self.keypoints.xy.float(), self.keypoints.camera)
        return torch.where(torch.isfinite(rays).all(-1, keepdim=True), rays, torch.nan)

    @property
    def confidence(self) -> Float[Tensor, "F 17"]:
        """1 where none is given; 0 where undetected."""
        given = self.keypoints.confidence
        seen = self.keypoints.detected
        raw = torch.ones_like(self.keypoints.xy[..., 0]) if given is None else given
        return torch.where(seen, raw.float().nan_to_num(0.0), 0.0)

    @property
    def placed(self) -> Tensor:
        """Frames that say where the person stands."""
        seen = self.keypoints.detected
        return seen[:, 0] & (seen.sum(-1) >= MIN_JOINTS)

    @property
    def is_formed(self) -> bool:
        """Whether joints were formed from those of another skeleton, such as COCO's."""
        return bool(self.keypoints.approximate)

    @property
    def fps(self) -> float:
        """Frames per second; as assumed elsewhere where unknown."""
        return self.keypoints.fps or ASSUMED_FPS

    @property
    def n_frames(self) -> int:
        """How many frames."""
        return self.keypoints.n_frames

    def part(self, first: int, n: int) -> Recording:
        """Frames ``first`` to ``first + n``, which are not checked to be enough."""
        k = self.keypoints
        some = slice(first, first + n)
        label = self.label
        cut = replace(
            k,
            xy=take_frames(k.xy, first, n),
            confidence=None if k.confidence is None else k.confidence[some],
            covariance=None if k.covariance is None else k.covariance[some],
        )
        if label is not None:
            label = replace(label, joints=label.joints[some], covariance=label.covariance[some])
        return _unchecked(self, keypoints=cut, label=label, first_frame=self.first_frame + first)


def _unchecked(recording: Recording, **changes: object) -> Recording:
    """A copy that may be short."""
    copy = object.__new__(Recording)
    for field in fields(Recording):
        value = changes.get(field.name, getattr(recording, field.name))
        object.__setattr__(copy, field.name, value)
    return copy


def can_be_adapted_to(keypoints: Keypoints2D) -> bool:
    """Whether enough frames show a person.

    Args:
        keypoints: Human3.6M-17, without batch axes.
    """
    seen = keypoints.detected
    return int((seen[:, 0] & (seen.sum(-1) >= MIN_JOINTS)).sum()) >= MIN_FRAMES


@dataclass(frozen=True, eq=False)
class Split:
    """Recordings to adapt to, and clips that are held back.

    Args:
        used: The first part of every recording.
        held_back: Clips of the last part.
    """

    used: tuple[Recording, ...]
    held_back: tuple[Recording, ...]


def split_recordings(recordings: Sequence[Recording], share: float = 0.2) -> Split:
    """Hold back the last part of every recording, cut into clips.

    Args:
        recordings: All.
        share: Held back of the frames that show the person, the same moments in all views.

    Raises:
        OptionError: If the share is not between 0 and 0.9, nothing is left, or too little is held
            back to judge by.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> split = split_recordings([Recording(example_pair()[0], "somebody")])
        >>> split.used[0].n_frames, [c.n_frames for c in split.held_back]
        (40, [5, 5])
    """
    if not 0 < share <= 0.9:
        raise OptionError(f"The share held back lies between 0 and 0.9, got {share}.")
    if not recordings:
        raise OptionError("Nobody is adapted to; give the keypoints of one person at least.")
    used, held_back = [], []
    for recording in recordings:
        begin, n, end = _cut(_of_same_moments(recording, recordings), share)
        used.append(recording.part(begin, n - begin))
        length = min(max(CLIPS[0], (end - n) // 5), CLIPS[1])
        clips = (recording.part(a, min(length, end - a)) for a in range(n, end, length))
        held_back += [clip for clip in clips if int(clip.placed.sum()) >= CLIPS[0]]
    used = [r for r in used if int(r.placed.sum()) >= MIN_FRAMES // 2]
    if not used:
        raise OptionError(
            f"Nothing is left to adapt to once {100 * share:.0f} % is held back; give longer "
            "recordings."
        )
    if len(held_back) < FEWEST_CLIPS:
        raise OptionError(
            "People are seen so rarely that nothing can be judged by what is held back; give "
            "longer recordings."
        )
    return Split(tuple(used), tuple(held_back))


def _of_same_moments(recording: Recording, recordings: Sequence[Recording]) -> list[Recording]:
    """Recordings of the same frames: other views of the person."""
    if not recording.view:
        return [recording]
    return [r for r in recordings if r.view and r.person == recording.person]


def _cut(same: Sequence[Recording], share: float) -> tuple[int, int, int]:
    """Where the frames used begin, and those held back begin and end.

    Frames without people do not count.
    """
    n_frames = max(r.n_frames for r in same)
    shown = torch.zeros(n_frames, dtype=torch.bool)
    for r in same:
        shown[: r.n_frames] |= r.placed
    frames = shown.nonzero()[:, 0].tolist()
    least = min(FEWEST_CLIPS * CLIPS[0], len(frames) // 2)
    first = min(round((1 - share) * len(frames)), len(frames) - least)
    return frames[0], frames[first], frames[-1] + 1


def with_vertical(recording: Recording, sampler: Sampler, n_frames: int = 243) -> Recording:
    """A recording whose camera knows the vertical: from the rig, else from what a sampler draws.

    Args:
        recording: With or without.
        sampler: Draws motions whose feet and trunks tell up.
        n_frames: Frames that are looked at, from the first that shows the person.

    Returns:
        The same if it has one; else the estimate of :func:`.estimate_ground`, or a level camera
        where feet and trunks do not tell.
    """
    if recording.up is not None:
        return recording
    begin = int(recording.placed.nonzero()[0, 0])
    first = recording.part(begin, min(n_frames, recording.n_frames - begin))
    try:
        ground = estimate_ground(sampler.sample(first.keypoints, 4, seeded_noise(0)))
    except OptionError:
        return _unchecked(recording, up=torch.tensor(UPRIGHT), tilt_std_deg=15.0)
    std = max(TILT_STD_DEG, ground.tilt_std_deg)
    return _unchecked(recording, up=ground.up.float(), tilt_std_deg=std)
