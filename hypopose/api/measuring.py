"""Quantities of a result: what people publish, each with its uncertainty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from hypopose.cameras import CAMERA_UP, fit_roots, motion_to_world, turn_up, up_axis
from hypopose.errors import OptionError, SkeletonMismatchError
from hypopose.io.results import ESTIMATED_WORLD, Result
from hypopose.optimization import estimate_ground
from hypopose.optimization.stature import scale_to_height
from hypopose.quantities import (
    QUANTITIES,
    BodyMotion,
    EventEstimate,
    Feet,
    Measurement,
    Measurements,
    Quantity,
    choose_quantities,
    find_feet,
    foot_events,
    sample_quantity,
)
from hypopose.quantities.contacts import has_soles
from hypopose.quantities.measurement_doubts import unseen_words, walking_words
from hypopose.quantities.recalibration import (
    Recalibration,
    bundled_recalibration,
    check_fits,
)
from hypopose.quantities.table import names_several
from hypopose.skeletons import convert
from hypopose.types import Camera, Hypotheses, Keypoints2D, Poses3D

Wanted = str | Quantity | Callable[[BodyMotion], Tensor]

SCALED = "scaled to a stature"
"""How :func:`hypopose.adjust` begins the note that somebody knew the subject's height."""

ROOT_ACCELERATION = 3.0
"""Standard deviation of the root's acceleration in m/s², for its path."""

STEADIED = "the root's path was smoothed for speeds and heights"
"""What is noted of results that were not smoothed as a whole."""


def measure(
    hypotheses: Result | Hypotheses,
    *what: Wanted,
    height: float | None = None,
    fps: float | None = None,
    recalibrate: bool = False,
) -> Measurements:
    """Measure quantities on every hypothesis: samples, whose spread is the uncertainty.

    Args:
        hypotheses: A result; or hypotheses, upright in the camera frame, of known scale.
        *what: Names of :data:`hypopose.quantities.QUANTITIES`, of families (both sides) or groups,
            ``angle:left_hip/left_knee/left_ankle``, code (``./file.py:function``), or functions of
            a :class:`hypopose.quantities.BodyMotion` with one value, or one per frame. Without any:
            everything that can be measured; of a group, what can be.
        height: The subject's stature in meters, where the result was not scaled to it.
        fps: Frames per second, where the keypoints do not say.
        recalibrate: Stretch intervals by the factors in the package, which make them hold what they
            say on people the weights have not seen; quantities without a factor, and those that
            depend on scale where no stature is known, stay as sampled.

    Returns:
        Measurements by name, foot events, and notes of what was assumed and left out.

    Raises:
        OptionError: If a quantity is unknown; if it is in meters and the scale is not known: the
            camera was assumed, no focal length estimated, and no stature given; or if it needs a
            frame rate or a root that is not there; or if the recalibration was fitted to other
            hypotheses.
        SkeletonMismatchError: If the skeleton lacks a joint of a quantity.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=3)
        >>> def reach(motion):
        ...     return (motion.at("left_ankle") - motion.at("right_ankle")).norm(dim=-1).max()
        >>> found = hypopose.measure(result, "knee_flexion", reach)
        >>> list(found), found["reach"].samples.shape
        (['left_knee_flexion', 'right_knee_flexion', 'reach'], torch.Size([3]))
    """
    if isinstance(hypotheses, Hypotheses):
        hypotheses = _as_result(hypotheses)
    result = hypotheses if height is None else _scaled(hypotheses, height)
    motion, notes = body_motion(result, fps)
    wanted = choose_quantities(what) if what else list(QUANTITIES.values())
    named = {q.name for q in choose_quantities([w for w in what if not names_several(w)])}
    refusal = scale_refusal(result)
    measured, left_out = {}, {}
    for quantity in wanted:
        try:
            if quantity.scale and refusal:
                raise OptionError(f"{quantity.name} is in {quantity.unit}, but {refusal}")
            found, samples = sample_quantity(quantity, motion)
            measured[quantity.name] = Measurement(found, samples, motion.fps)
        except (OptionError, SkeletonMismatchError) as error:
            if quantity.name in named:
                raise
            left_out[quantity.name] = str(error)
    measured, told = _with_evidence(measured, result, recalibrate)
    events, feet = _feet(motion)
    return Measurements(
        measured,
        person=result.person or "0",
        source=result.source,
        n_frames=motion.n_frames,
        fps=motion.fps,
        events=events,
        feet=feet,
        notes=(
            *notes,
            *told,
            *_contact_words(measured, motion),
            *_doubts(result, motion),
            *_empty_words(measured),
            *_left_out_words(left_out),
        ),
    )


def _scaled(result: Result, height: float) -> Result:
    """The hypotheses as tall as the subject."""
    scaled = scale_to_height(result.hypotheses, height)
    return replace(result, hypotheses=scaled, notes=(*result.notes, f"{SCALED} of {height:g} m"))


def _changed(result: Result) -> str:
    """How hypotheses were changed since they were sampled."""
    if result.calibrator:
        return "recalibrated before (--calibrator)"
    refined = any(note.startswith("refined against") for note in result.notes)
    return "refined (--refine)" if refined else ""


def _with_evidence(
    measured: dict[str, Measurement], result: Result, recalibrate: bool
) -> tuple[dict[str, Measurement], list[str]]:
    """Intervals recalibrated if that is wanted, with their measured coverage, and notes."""
    table, notes = bundled_recalibration(), []
    scaled = any(note.startswith(SCALED) for note in result.notes)
    if recalibrate:
        check_fits(result.weights, len(result.hypotheses), _changed(result))
        measured = {name: table.apply(m, scaled=scaled) for name, m in measured.items()}
        notes = _recalibrated_words(table, measured)
    if result.weights == table.weights and not _changed(result):
        measured = {name: table.judge(m, scaled=scaled) for name, m in measured.items()}
        notes = [*notes, *_unchecked_words(measured)]
    return measured, notes


def _recalibrated_words(table: Recalibration, measured: dict[str, Measurement]) -> list[str]:
    raw = dict.fromkeys(m.quantity.family for m in measured.values() if not m.stretch)
    words = [f"intervals recalibrated; factors fitted on {table.fitted_on}"]
    return words + ([f"as sampled, for want of factors: {_some(list(raw))}"] if raw else [])


def _unchecked_words(measured: dict[str, Measurement]) -> list[str]:
    """Quantities of the table whose intervals were not compared with the truth."""
    open_ones = dict.fromkeys(
        m.quantity.family
        for name, m in measured.items()
        if not m.evidence and m.quantity.has_intervals and m.quantity.unit != "count"
        and name in QUANTITIES
    )  # fmt: skip
    if not open_ones:
        return []
    return [f"coverage of these intervals was not measured: {_some(list(open_ones))}"]


def _some(names: list[str]) -> str:
    return f"{', '.join(names[:6])}{f' and {len(names) - 6} more' * (len(names) > 6)}"


def _left_out_words(left_out: dict[str, str]) -> list[str]:
    """Reasons, and how many quantities each leaves out."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        words = reason.removeprefix(f"{name} is in {QUANTITIES[name].unit}, but ")
        by_reason.setdefault(words.partition("; it has")[0], []).append(name)
    return [
        f"left out: {', '.join(names[:3])}{f' and {len(names) - 3} more' * (len(names) > 3)}: "
        f"{reason}"
        for reason, names in by_reason.items()
    ]


def _doubts(result: Result, motion: BodyMotion) -> list[str]:
    """What the keypoints and the steps warn of."""
    try:
        walking = walking_words(motion)
    except (OptionError, SkeletonMismatchError):  # no frame rate, or no legs
        walking = []
    return [*unseen_words(result.keypoints), *walking]


def _empty_words(measured: dict[str, Measurement]) -> list[str]:
    """Quantities per clip without a value, for example of steps in a clip without walking."""
    empty = dict.fromkeys(
        m.quantity.family for m in measured.values()
        if m.quantity.per == "clip" and not np.isfinite(m.median).any()
    )  # fmt: skip
    return [f"nothing of the kind was found for {_some(list(empty))}"] if empty else []


def _contact_words(measured: dict[str, Measurement], motion: BodyMotion) -> list[str]:
    """What contact was judged by."""
    if not any(m.quantity.family == "foot_contact" for m in measured.values()):
        return []
    which = "the lower of heel and big toe" if has_soles(motion) else "ankles: no heels and toes"
    return [f"foot_contact judged by {which}"]


def _feet(motion: BodyMotion) -> tuple[tuple[EventEstimate, ...], Feet | None]:
    try:
        return tuple(foot_events(motion)), find_feet(motion)
    except (OptionError, SkeletonMismatchError):  # no frame rate, or no legs
        return (), None


def scale_refusal(result: Result) -> str:
    """Why lengths of a result are not to be trusted, with the cure; empty if they may be.

    A scale is known if the camera was given, if every hypothesis has a focal length of its own
    (whose spread is then part of the interval), or if the motion was scaled to a stature.

    Args:
        result: As :func:`hypopose.estimate` made it.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=3)
        >>> scale_refusal(result)
        ''
    """
    camera = result.keypoints.camera
    known = camera is not None and not camera.assumed
    if known or result.hypotheses.focal is not None:
        return ""
    if any(note.startswith(SCALED) for note in result.notes):
        return ""
    return (
        "the camera was assumed and the stature of the subject is unknown. Give the stature "
        "(height=1.78), or sample with camera= or with an estimated focal length "
        "(--estimate-focal)."
    )


def body_motion(result: Result, fps: float | None = None) -> tuple[BodyMotion, tuple[str, ...]]:
    """The hypotheses of a result with z up, and how up is known.

    The world of a camera file counts first. Without one, the vertical is estimated from the feet
    (:func:`hypopose.optimization.estimate_ground`); where that cannot be, the picture's up is up.

    Args:
        result: As :func:`hypopose.estimate` made it.
        fps: Frames per second, where the keypoints do not say.

    Returns:
        The motion, placed if roots are known, and notes.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=3)
        >>> motion, notes = body_motion(result)
        >>> motion.placed, notes[0][:25]
        (True, 'vertical estimated from f')
    """
    hypotheses, keypoints = result.hypotheses, result.keypoints
    notes: tuple[str, ...] = ()
    if not any(note.startswith("smoothed over time") for note in result.notes):
        steady = steady_roots(hypotheses, keypoints)
        notes = (STEADIED,) if steady is not hypotheses else ()
        hypotheses = steady
    camera, note = keypoints.camera, "vertical of the camera's world"
    estimated = (n for n in result.notes if n.startswith(ESTIMATED_WORLD))
    note = next(estimated, note)
    if camera is None or camera.rotation is None:
        camera, note = _upright(hypotheses, camera)
    joints, root = hypotheses.joints.double(), hypotheses.root
    placed = root is not None and keypoints.camera is not None
    if root is not None and placed:
        joints = joints + root[..., None, :].double()
    axis = CAMERA_UP
    if camera is not None and camera.rotation is not None:
        axis = up_axis(camera)
        joints = motion_to_world(joints, _double(camera, placed))
    turn = torch.from_numpy(turn_up(axis, "z"))
    rate = fps if fps is not None else keypoints.fps
    return BodyMotion(joints @ turn.T, hypotheses.skeleton, rate, placed), (note, *notes)


def steady_roots(hypotheses: Hypotheses, keypoints: Keypoints2D) -> Hypotheses:
    """Hypotheses whose roots move smoothly, so that speeds are not those of jitter.

    Roots fitted frame by frame jump in depth, which one image hardly shows: on detected keypoints
    the pelvis was 0.6 m/s off in speed, and 0.13 m/s with smooth roots. The path is the most
    probable one if the root's acceleration has a standard deviation of 3 m/s²; what the image shows
    well, such as a jump's height, hardly changes.

    Args:
        hypotheses: With roots, or as they are if without.
        keypoints: What they were sampled from, with a camera that stands still.

    Returns:
        The same joints; roots where the fit has none are kept.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=3)
        >>> steady_roots(result.hypotheses, keypoints).root.shape
        torch.Size([3, 50, 3])
    """
    camera = keypoints.camera
    if hypotheses.root is None or camera is None or not bool(keypoints.detected.any()):
        return hypotheses
    if camera.rotation is not None and camera.rotation.dim() == keypoints.xy.dim():
        return hypotheses  # they move with a moving camera
    if keypoints.skeleton != hypotheses.skeleton:
        keypoints = convert(keypoints, hypotheses.skeleton)
    path = fit_roots(hypotheses, keypoints, smooth=ROOT_ACCELERATION)
    return replace(hypotheses, root=torch.where(torch.isfinite(path), path, hypotheses.root))


def _upright(hypotheses: Hypotheses, camera: Camera | None) -> tuple[Camera | None, str]:
    """The camera in a world estimated from feet; unchanged if it cannot be estimated."""
    try:
        world = estimate_ground(hypotheses)
    except (OptionError, SkeletonMismatchError):
        return camera, "vertical of the picture: the camera is taken for level"
    if camera is None:
        return camera, "vertical of the picture: the camera is taken for level"
    deviation = f"standard deviation {world.tilt_std_deg:.1f} degrees"
    return world.place(camera), f"vertical estimated from feet, {deviation}"


def _double(camera: Camera, placed: bool) -> Camera:
    rotation, translation = camera.rotation, camera.translation
    return replace(
        camera,
        rotation=None if rotation is None else rotation.double(),
        translation=translation.double() if placed and translation is not None else None,
    )


def _as_result(hypotheses: Hypotheses) -> Result:
    """Hypotheses without a result, and the camera given with them."""
    if hypotheses.joints.dim() != 4:
        raise OptionError(
            f"Hypotheses of one person are measured, (H, F, J, 3); got "
            f"{tuple(hypotheses.joints.shape)}."
        )
    n_frames, n_joints = hypotheses.joints.shape[1:3]
    camera = replace(Camera.from_fov((1000, 1000)), assumed=False)
    keypoints = Keypoints2D(
        torch.full((n_frames, n_joints, 2), torch.nan), hypotheses.skeleton, camera=camera
    )
    pose = Poses3D(hypotheses.joints.mean(0), hypotheses.skeleton)
    return Result(hypotheses, pose, keypoints, seed=0)
