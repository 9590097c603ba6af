"""Results with heels and big toes, where the detector gave them."""

from __future__ import annotations

from dataclasses import replace

import torch

from hypopose.diffusion import seeded_noise
from hypopose.errors import OptionError
from hypopose.io.results import Result
from hypopose.optimization.feet import foot_points, lift_feet
from hypopose.optimization.stature import stature
from hypopose.skeletons import H36M21
from hypopose.types import Keypoints2D, Poses3D

DERIVED = ("left_heel", "left_big_toe", "right_heel", "right_big_toe")
"""Joints that are derived from 2D points and ankles; no network saw them."""


STREAM = 0xF007
"""Keeps the noise of feet apart from that of the sampler."""


def add_feet(result: Result, keypoints: Keypoints2D, *, seed: int | None = None) -> Result:
    """A result with heels and big toes, derived from their 2D points and the ankles.

    Args:
        result: Hypotheses in ``h36m17`` with roots, as :func:`hypopose.estimate` made them.
        keypoints: As detected, before conversion: BODY_25, Halpe-26, COCO-WholeBody, MediaPipe.
        seed: Of sizes, offsets and paths; None for the result's.

    Returns:
        Hypotheses, aggregate and keypoints in ``h36m21``; notes say that four joints are derived,
        and ``sampler["derived"]`` names them.

    Raises:
        OptionError: If the keypoints have no feet, or there are other frames.
        SkeletonMismatchError: If the hypotheses are in another skeleton.

    Example:
        >>> import hypopose
        >>> from pathlib import Path
        >>> folder = Path(hypopose.__file__).parents[1] / "examples" / "data" / "openpose"
        >>> keypoints = hypopose.load(folder, image_size=(640, 640))
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=3)
        >>> add_feet(result, keypoints).hypotheses.skeleton.name
        'h36m21'
    """
    if keypoints.n_frames != result.keypoints.n_frames:
        raise OptionError(
            f"The keypoints have {keypoints.n_frames} frames, the result "
            f"{result.keypoints.n_frames}; give those it was sampled from."
        )
    seen = replace(keypoints, camera=result.keypoints.camera)
    x = result.hypotheses
    noise = seeded_noise((result.seed if seed is None else seed) ^ STREAM)
    lifted = lift_feet(x, seen, stature(x.joints, x.skeleton), noise)
    notes = (*result.notes, f"derived joints: {', '.join(DERIVED)}, from 2D points and ankles")
    return replace(
        result,
        hypotheses=lifted,
        pose=_pose(result, lifted.joints),
        keypoints=_with_points(result.keypoints, seen),
        sampler={**result.sampler, "derived": list(DERIVED)},
        notes=notes,
    )


def _pose(result: Result, joints: torch.Tensor) -> Poses3D:
    """The aggregate with feet that lie about its ankles as they do on average."""
    pose = result.pose
    ankles = [H36M21.parents[j] for j in range(17, 21)]
    feet = (joints[..., 17:, :] - joints[..., ankles, :]).mean(0) + pose.joints[..., ankles, :]
    std = None
    if pose.std is not None:
        spread = joints[..., 17:, :].std(0) if len(joints) > 1 else torch.nan * feet
        std = torch.cat((pose.std, spread), -2)
    return Poses3D(torch.cat((pose.joints, feet), -2), H36M21, pose.root, std)


def _with_points(ours: Keypoints2D, seen: Keypoints2D) -> Keypoints2D:
    """The 17 keypoints and those of the feet."""
    pairs = foot_points(seen)
    assert pairs is not None  # lift_feet checked it
    columns = [column for pair in pairs for column in pair]
    own, theirs = ours.confidence, seen.confidence
    both = own is not None and theirs is not None
    return replace(
        ours,
        xy=torch.cat((ours.xy, seen.xy[:, columns]), -2),
        skeleton=H36M21,
        confidence=torch.cat((own, theirs[:, columns]), -1) if both else None,  # type: ignore[index, arg-type]
        covariance=None,
    )
