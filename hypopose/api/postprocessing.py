"""Change a result: refine, recalibrate, smooth, scale, place on a floor. Each gives a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

from jaxtyping import Float
from torch import Tensor

from hypopose.api import masking
from hypopose.api.making import calibrator_file
from hypopose.api.sampling import aggregate as combine
from hypopose.api.sampling import check_has_keypoints, describe_aggregation, prepare
from hypopose.calibration import Calibrator, describe_calibrator, load_calibrator
from hypopose.cameras import fit_root, fit_roots
from hypopose.diffusion import seeded_noise
from hypopose.errors import OptionError
from hypopose.io import Masks
from hypopose.io.results import Result
from hypopose.optimization import (
    OffsetRefiner,
    estimate_ground,
    keep_bone_lengths,
    refine_poses,
    scale_to_height,
    smooth_hypotheses,
    smooth_kalman,
)
from hypopose.optimization.smoothing import jitter_covariance
from hypopose.skeletons import convert
from hypopose.types import ASSUMED_FPS, Hypotheses, Keypoints2D, Poses3D

Root = Literal["fitted", "joint", "given"]


@overload
def refine(poses: Result, keypoints: Keypoints2D | None = None, **options: Any) -> Result: ...
@overload
def refine(
    poses: Hypotheses, keypoints: Keypoints2D | None = None, **options: Any
) -> Hypotheses: ...
@overload
def refine(poses: Poses3D, keypoints: Keypoints2D | None = None, **options: Any) -> Poses3D: ...
def refine(
    poses: Result | Hypotheses | Poses3D,
    keypoints: Keypoints2D | None = None,
    *,
    root: Root = "fitted",
    root_positions: Float[Tensor, "*batch F 3"] | None = None,
    scale: Float[Tensor, "*batch F J"] | None = None,
    seed: int = 0,
    items: Sequence[int | str] | None = None,
    aggregate: str | None = None,
    masks: Masks | str | Path | None = None,
    **options: Any,
) -> Result | Hypotheses | Poses3D:
    """Move hypotheses onto their keypoints; uncertain joints move most.

    The spread that the keypoints leave open is kept, see :mod:`hypopose.optimization.offsets`.

    Args:
        poses: A result, the hypotheses of any sampler, or one motion.
        keypoints: What they were drawn for; a result brings its own.
        root: ``"fitted"`` to the keypoints, ``"joint"`` moved with the pose, or ``"given"``.
        root_positions: For ``root="given"``, camera-frame meters. True positions are ground truth:
            results note it.
        scale: Expected error of each joint in meters; None for the hypotheses' own spread.
        seed: Same seed, same result.
        items: A name per batch item, as for :func:`sample`.
        aggregate: How to aggregate a result again; None for the same method, except that
            ``"silhouette"`` becomes the mean.
        masks: Of the person in these frames: a path, or what :func:`hypopose.io.load_masks` gives.
            Hypotheses move into them as well.
        **options: Further fields of :class:`hypopose.optimization.OffsetRefiner`, for example
            ``spread="follow"``.

    Returns:
        What came in, refined, with roots; a result with its aggregate made anew and a note.

    Raises:
        OptionError: If an option is unknown or out of range, or keypoints are missing.
        MissingCameraError: If the keypoints of a batch carry no camera.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=3)
        >>> refine(result).notes[-1]
        'refined against the keypoints, root fitted, spread posterior'
    """
    try:
        refiner = OffsetRefiner(root=root, **options)
    except TypeError as error:
        raise OptionError(f"An option of refine is wrong: {error}.") from error
    keypoints = poses.keypoints if isinstance(poses, Result) and keypoints is None else keypoints
    if keypoints is None:
        raise OptionError("Name the keypoints these motions were drawn for: refine(x, keypoints).")
    check_has_keypoints(keypoints, "refine moves motions onto")
    given: dict[str, Any] = {"noise": seeded_noise(seed, items), "scale": scale}
    given["root"] = root_positions
    skeleton = (poses.hypotheses if isinstance(poses, Result) else poses).skeleton.name
    seen = masking.see(prepare(keypoints, skeleton), masking.open_masks(masks))
    if isinstance(poses, Result):
        return _refined_result(refiner, poses, seen, aggregate, given)
    if isinstance(poses, Poses3D):
        return refine_poses(refiner, poses, seen, **given)
    return refiner.refine(poses, seen, **given).hypotheses


def _refined_result(
    refiner: OffsetRefiner,
    result: Result,
    seen: Keypoints2D,
    aggregate: str | None,
    given: dict[str, Any],
) -> Result:
    refined = refiner.refine(result.hypotheses, seen, **given)
    how = aggregate or ("mean" if result.aggregate == masking.WEIGHTS else result.aggregate)
    masks, said = result.masks, result.notes
    if seen.silhouettes is not None:
        masks = {**seen.silhouettes.record, "used": "refinement"}
        said = (*said, *masks["notes"])
    return replace(
        result,
        hypotheses=refined.hypotheses,
        pose=combine(refined.hypotheses, seen, how),
        aggregate=how,
        masks=masks,
        notes=(*said, *refined.notes),
    )


def recalibrate(
    result: Result,
    calibrator: Calibrator | str | Path = "bundled",
    *,
    name: str | None = None,
    aggregate: str | None = None,
) -> Result:
    """Scale the spread of a result's hypotheses so that its intervals cover what they state.

    Args:
        result: As :func:`estimate` made it, not refined: calibrators are fitted to such hypotheses.
        calibrator: A calibrator, a file that ``hypopose fit-calibrator`` wrote, or ``"bundled"``
            for the one that came with the result's weights.
        name: How the record names a calibrator that is not a file.
        aggregate: How to aggregate again; None for the way the result was.

    Returns:
        Hypotheses moved apart or together, with roots fitted and aggregate made anew, and the
        calibrator in the record.

    Raises:
        OptionError: If the weights come without a calibrator, or the result was refined or
            recalibrated before.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="d3dp", n_steps=1, n_hypotheses=3)
        >>> hypopose.recalibrate(result).calibrator["file"]
        'calibrator.json'
    """
    if result.calibrator or any(note.startswith("refined against") for note in result.notes):
        raise OptionError(
            "Calibrators are fitted to hypotheses as they were sampled; these have been "
            f"{'recalibrated' if result.calibrator else 'refined'} before. Estimate them again."
        )
    if not isinstance(calibrator, Calibrator):
        own = str(result.sampler.get("name", "")) or None
        name, calibrator = read_calibrator(calibrator, result.weights or None, own)
    moved = _with_fitted_roots(calibrator.transform(result.hypotheses), result.keypoints)
    return replace(
        result,
        hypotheses=moved,
        pose=combine(moved, result.keypoints, aggregate or result.aggregate),
        calibrator=describe_calibrator(calibrator, name or ""),
    )


def _with_fitted_roots(hypotheses: Hypotheses, keypoints: Keypoints2D) -> Hypotheses:
    """Hypotheses with roots fitted to keypoints, where there are roots and a camera."""
    if hypotheses.root is None or keypoints.camera is None:
        return hypotheses
    if keypoints.skeleton.name != hypotheses.skeleton.name:
        keypoints = convert(keypoints, hypotheses.skeleton)
    return replace(hypotheses, root=fit_roots(hypotheses, keypoints))


def aggregate_result(
    result: Result, method: str | None = None, *, masks: Masks | str | Path | None = None
) -> Result:
    """A result with another aggregate of the same hypotheses.

    Args:
        result: As :func:`estimate` made it.
        method: See :func:`aggregate`.
        masks: Of the person in these frames, for ``"silhouette"``.

    Returns:
        The result with the new aggregate in its record.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=3)
        >>> aggregate_result(result, "median").aggregate
        'median'
    """
    method = masking.choose_aggregate(method, masks=masks is not None, refine=False)
    name, origin = describe_aggregation(method)
    seen = result.keypoints
    if masks is not None:
        if result.masks.get("used") == "refinement":
            raise OptionError(
                "These hypotheses were refined into masks; weighing them again would count masks "
                "twice. Weigh them as they were sampled."
            )
        seen = prepare(seen, result.hypotheses.skeleton.name)
        seen = masking.see(seen, masking.open_masks(masks))
    pose, record, said = masking.combine(result.hypotheses, seen, method)
    notes = (n for n in result.notes if not n.startswith(("aggregated by ", "weighted by ")))
    return replace(
        result,
        pose=pose,
        aggregate=name,
        masks=record or ({} if result.masks.get("used") == "weights" else result.masks),
        notes=(*notes, *said, *origin),
    )


def read_calibrator(
    choice: str | Path, weights: str | Path | None, sampler: str | None
) -> tuple[str, Calibrator]:
    """A calibrator's file name and the calibrator.

    Args:
        choice: A file, or ``"bundled"`` for the one that came with the weights.
        weights: Which weights; None for the sampler's own.
        sampler: The sampler it is wanted for, by name.

    Raises:
        OptionError: If the weights come without one.
        FormatError: If the file is not a calibrator.
    """
    path = calibrator_file(choice, weights, sampler)
    return path.name, load_calibrator(path)


def adjust(
    result: Result,
    *,
    height: float | None = None,
    smooth: float | None = None,
    ground: bool = False,
    aggregate: str | None = None,
) -> Result:
    """Smooth a result, scale it to the subject's stature, place it on a floor; in this order.

    Args:
        result: As :func:`estimate` made it.
        height: The subject's stature in meters, without shoes.
        smooth: Standard deviation of joints' acceleration in m/s²: 3 suits walking, 10 sport.
        ground: Whether a world frame (z up, floor at 0) is estimated from feet and given to the
            camera; :func:`hypopose.cameras.motion_to_world` then places joints in it.
        aggregate: How to aggregate again; None for the way the result was.

    Returns:
        Hypotheses and aggregate changed alike, and notes of what was done.

    Raises:
        OptionError: If a number is out of range, or there are no roots to find a floor with.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=3)
        >>> adjust(result, height=1.78).notes[-1]
        'scaled to a stature of 1.78 m'
    """
    moved, keypoints, notes = result.hypotheses, result.keypoints, list(result.notes)
    if smooth is not None:
        moved = smooth_hypotheses(moved, keypoints, smooth)
        notes.append(f"smoothed over time, acceleration {smooth:g} m/s²; bones kept rigid")
    if height is not None:
        moved = scale_to_height(moved, height)
        notes.append(f"scaled to a stature of {height:g} m")
    if moved is not result.hypotheses:
        pose = combine(moved, keypoints, aggregate or result.aggregate)
        if smooth is not None:
            pose = _smooth_pose(pose, moved, keypoints, smooth)
        result = replace(result, hypotheses=moved, pose=pose)
    if ground:
        world = estimate_ground(moved)
        notes.append(world.describe())
        assert keypoints.camera is not None  # estimate_ground needs roots, and roots a camera
        keypoints = replace(keypoints, camera=world.place(keypoints.camera))
    return replace(result, keypoints=keypoints, notes=tuple(notes))


def _smooth_pose(
    pose: Poses3D, hypotheses: Hypotheses, keypoints: Keypoints2D, acceleration: float
) -> Poses3D:
    """The aggregate, which may have been put together frame by frame, smoothed as its parts were.

    Its scale stays that of its own bones.
    """
    one = Hypotheses(pose.joints[None], pose.skeleton, None)
    joints = smooth_kalman(
        one.joints,
        jitter_covariance(hypotheses.joints),
        keypoints.fps or ASSUMED_FPS,
        acceleration,
    )
    joints = keep_bone_lengths(joints, pose.skeleton)[0]
    joints = joints - joints[:, [pose.skeleton.root]]
    if pose.root is None or keypoints.camera is None:
        return replace(pose, joints=joints)
    return replace(pose, joints=joints, root=fit_root(joints, keypoints, smooth=acceleration))
