"""The verbs: load, sample, aggregate, evaluate; estimate samples, aggregates and keeps a record.

Only this front door guesses: keypoints of another skeleton are converted to the one the sampler
reads, and keypoints without a camera get an assumed one, marked so. The rooms below refuse instead.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, overload

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose import __version__
from hypopose.aggregation import AGGREGATORS
from hypopose.cameras import fit_root, resolve_camera
from hypopose.diffusion import seeded_noise
from hypopose.errors import BackendError, CheckpointError, OptionError
from hypopose.io import load, load_hypotheses, load_people, save_result
from hypopose.io.results import Result
from hypopose.networks import MPM, load_network
from hypopose.networks.load import BOX
from hypopose.optimization import (
    FocalBelief,
    OffsetRefiner,
    estimate_ground,
    keep_bone_lengths,
    refine_poses,
    sample_with_focal,
    scale_to_height,
    smooth_hypotheses,
    smooth_kalman,
)
from hypopose.optimization import estimate_focal as infer_focal
from hypopose.optimization.smoothing import jitter_covariance
from hypopose.report.evaluation import evaluate_pair
from hypopose.samplers import SAMPLERS
from hypopose.samplers.completion import (
    MEMORY_S,
    CompletedKeypoints,
    CompletedMotion,
    complete_keypoints_by_network,
    complete_motion,
    complete_motion_by_network,
    completed_keypoints,
)
from hypopose.skeletons import convert, get_skeleton
from hypopose.types import Hypotheses, Keypoints2D, Poses3D, Sampler, Skeleton

__all__ = [
    "BOX_WEIGHTS",
    "DEFAULT_SAMPLER",
    "aggregate",
    "calibrator_beside",
    "complete",
    "default_sampler",
    "estimate",
    "evaluate",
    "load",
    "load_hypotheses",
    "load_people",
    "make_sampler",
    "prepare",
    "refine",
    "sample",
    "save_result",
]

DEFAULT_SAMPLER = "distributional"
"""The sampler where neither a sampler nor weights are named."""

BOX_WEIGHTS = {
    "distributional": "distributional-frame-small",
    "d3dp": "d3dp-frame-small",
    "diffpose": "diffpose-frame-small",
    "lifter": "lifter-frame-small",
    "platypose": "platypose-prior-small",
}
"""Sampler -> the weights in the box that it uses unless told otherwise."""


def make_sampler(
    sampler: str | None = None,
    *,
    weights: str | Path | None = None,
    n_steps: int | None = None,
    device: str = "cpu",
    **options: Any,
) -> Sampler:
    """Build a sampler by name, with its trained network if it has one.

    Args:
        sampler: A name in :data:`hypopose.samplers.SAMPLERS`; None for :func:`default_sampler`.
        weights: A name in the box or a folder of weights; None for the sampler's own.
        n_steps: Network evaluations per draw; None for what the weights recommend.
        device: Where the network runs, for example ``"cuda"``.
        **options: Further fields of the method, for example ``eta=0.0``.

    Returns:
        The method, ready to sample.

    Raises:
        OptionError: If no such sampler exists, it has no such option, or the weights say that they
            were made for another one.
        CheckpointError: If the weights are not what they should be.

    Example:
        >>> make_sampler("boneflips").skeleton.name
        'h36m17'
    """
    if sampler is None:
        sampler = default_sampler(weights)
    if sampler not in SAMPLERS:
        raise OptionError(f"There is no sampler {sampler!r}; choose one of {', '.join(SAMPLERS)}.")
    method = SAMPLERS[sampler]
    known = {field.name for field in fields(method)}
    if n_steps is not None:
        options["n_steps"] = n_steps
    place = _device(device)
    if "denoiser" in known:
        chosen = weights or default_weights(sampler)
        advice = _advice(chosen)
        own = advice.pop("sampler", sampler)
        if own != sampler:
            raise OptionError(
                f"The weights {chosen} were made for the sampler {own!r}, not {sampler!r}; leave "
                "the sampler out, or give other weights."
            )
        options = {**advice, **options}
        options["denoiser"] = load_network(chosen).to(place)
        if hasattr(method, "options_beside"):
            options = {**method.options_beside(_folder(chosen)), **options}
    elif weights is not None:
        raise OptionError(f"The sampler {sampler!r} has no network, so it takes no weights.")
    unknown = sorted(set(options) - known)
    if unknown:
        raise OptionError(
            f"The sampler {sampler!r} has no option {unknown[0]!r}; it has "
            f"{', '.join(sorted(known - {'denoiser', 'skeleton'}))}."
        )
    _check_types(method, options)
    try:
        made: Sampler = method(**options)
    except TypeError as error:
        raise OptionError(f"An option of {sampler!r} has the wrong type: {error}.") from error
    return made


def prepare(keypoints: Keypoints2D, skeleton: str = "h36m17") -> Keypoints2D:
    """What a sampler reads: keypoints in its skeleton, with a camera.

    Args:
        keypoints: As loaded.
        skeleton: Name of the skeleton to convert to.

    Returns:
        Converted keypoints. Joints that had to be formed from others are listed in
        ``approximate``; a camera nobody gave is ``assumed`` and noted.

    Raises:
        SkeletonMismatchError: If no conversion between the skeletons is known.
        OptionError: If the image size is unknown and cannot be estimated.
    """
    if keypoints.skeleton.name != skeleton:
        keypoints = convert(keypoints, get_skeleton(skeleton))
    return resolve_camera(keypoints)


def share_camera(people: Mapping[str, Keypoints2D]) -> dict[str, Keypoints2D]:
    """Give people of one file whose image size nobody knows one camera, estimated from them all.

    Args:
        people: As :func:`load_people` returns them.

    Returns:
        The same people; those without camera and image size now have an assumed camera in common,
        and notes that say so.

    Raises:
        OptionError: If the image size cannot be estimated.
    """
    blind = {n: k for n, k in people.items() if k.camera is None and k.image_size is None}
    if len(blind) < 2:
        return dict(people)
    scene = tuple(blind.values())
    return {**people, **{name: resolve_camera(k, scene) for name, k in blind.items()}}


def sample(
    keypoints: Keypoints2D,
    *,
    n_hypotheses: int = 20,
    n_steps: int | None = None,
    sampler: str | Sampler | None = None,
    weights: str | Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    items: Sequence[int | str] | None = None,
    callback: Callable[[Any], None] | None = None,
    **options: Any,
) -> Hypotheses:
    """Draw 3D motions that explain the keypoints.

    Args:
        keypoints: One person (or a batch of clips), any skeleton with a known conversion.
        n_hypotheses: How many motions; the first five are the same whether 5 or 500 are drawn.
        n_steps: Network evaluations per draw; None for what the weights recommend.
        sampler: A name, or a method you made yourself (then ``n_steps``, ``weights`` and further
            options belong to it and are refused here).
        weights: A name in the box or a folder of weights; None for the default.
        seed: Same seed, same hypotheses.
        device: Where the network runs.
        items: A name per batch item, so that a clip gets the same hypotheses in any batch.
        callback: Called after every step with the method's intermediate state, if it has steps.
        **options: Further fields of the method.

    Returns:
        Root-relative meters in the camera frame.

    Raises:
        OptionError: If an option is unknown or out of range.
        SkeletonMismatchError: If the keypoints' skeleton has no conversion.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> hypotheses = hypopose.sample(keypoints, n_hypotheses=3, sampler="boneflips")
        >>> len(hypotheses), hypotheses.skeleton.name
        (3, 'h36m17')
    """
    if n_hypotheses < 1:
        raise OptionError(f"n_hypotheses must be at least 1, got {n_hypotheses}.")
    method = _resolve_sampler(sampler, weights, n_steps, device, options)
    keypoints = prepare(keypoints, _reads(method))
    extra: dict[str, Any] = {}
    if callback is not None and "callback" in inspect.signature(method.sample).parameters:
        extra["callback"] = callback
    with torch.no_grad():
        return method.sample(keypoints, n_hypotheses, seeded_noise(seed, items), **extra)


def aggregate(hypotheses: Hypotheses, keypoints: Keypoints2D, method: str = "mean") -> Poses3D:
    """Make one motion of many.

    Args:
        hypotheses: Drawn for these keypoints.
        keypoints: As loaded, or as prepared. JPMA and PPMA project hypotheses and compare; the
            camera is assumed if the keypoints have none.
        method: ``"mean"``, ``"median"``, ``"medoid"``, ``"jpma"`` or ``"ppma"``. The mean has the
            lowest error on the benchmarks; the medoid is one of the hypotheses.

    Returns:
        One motion in meters, with the hypotheses' standard deviation per coordinate.

    Raises:
        OptionError: If no such method exists.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> hypotheses = hypopose.sample(keypoints, n_hypotheses=3, sampler="boneflips")
        >>> hypopose.aggregate(hypotheses, keypoints, "mean").joints.shape[-1]
        3
    """
    check_aggregation(method)
    return AGGREGATORS[method](hypotheses, prepare(keypoints, hypotheses.skeleton.name))


def check_aggregation(method: str) -> None:
    """Refuse an aggregation that is not there, before hours of sampling.

    Raises:
        OptionError: If no such method exists.
    """
    if method not in AGGREGATORS:
        raise OptionError(
            f"There is no aggregation {method!r}; choose one of {', '.join(AGGREGATORS)}."
        )


def estimate(
    keypoints: Keypoints2D,
    *,
    sampler: str | Sampler | None = None,
    weights: str | Path | None = None,
    n_hypotheses: int = 20,
    n_steps: int | None = None,
    method: str = "mean",
    seed: int = 0,
    device: str = "cpu",
    person: str = "",
    source: str = "",
    callback: Callable[[Any], None] | None = None,
    focal: FocalBelief | None = None,
    **options: Any,
) -> Result:
    """Sample and aggregate one person, and keep the record that a result file stores.

    Args:
        keypoints: One person, no batch axes.
        sampler: A name, or a method you made yourself.
        weights: A name in the box or a folder of weights; None for the default. With a method
            you made yourself it is only recorded.
        n_hypotheses: How many motions.
        n_steps: Network evaluations per draw.
        method: How to aggregate, see :func:`aggregate`.
        seed: Same seed, same hypotheses.
        device: Where the network runs.
        person: The person's label, for the record.
        source: The file, for the record.
        callback: Called after every step, see :func:`sample`; not with ``focal``.
        focal: What is believed about an unknown focal length (:func:`estimate_focal`): every
            hypothesis gets its own, the record's camera the middle.
        **options: Further fields of the method.

    Returns:
        Hypotheses, the aggregate, the prepared keypoints with their camera, and how they came
        about; write it with :func:`save_result`.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=3)
        >>> result.aggregate, result.seed
        ('mean', 0)
    """
    check_aggregation(method)
    built_here = sampler is None or isinstance(sampler, str)
    made = _resolve_sampler(sampler, weights if built_here else None, n_steps, device, options)
    prepared = prepare(keypoints, _reads(made))
    said: list[str] = []  # what the method has to say about its run

    def listen(state: Any) -> None:
        said.extend([state.note] if hasattr(state, "note") else [])
        if callback is not None:
            callback(state)

    if focal is None:
        hypotheses = sample(
            prepared, n_hypotheses=n_hypotheses, sampler=made, seed=seed, callback=listen
        )
    else:
        prepared = _believing(prepared, focal)
        with torch.no_grad():
            hypotheses = sample_with_focal(prepared, focal, made, n_hypotheses, seeded_noise(seed))
    return Result(
        hypotheses=hypotheses,
        pose=aggregate(hypotheses, prepared, method),
        keypoints=prepared,
        seed=seed,
        sampler=describe_sampler(made),
        weights=_weights_label(made, weights),
        aggregate=method,
        person=person,
        source=source,
        version=__version__,
        notes=(*prepared.notes, *_taken_for_granted(made, prepared), *said),
    )


def estimate_focal(
    people: Sequence[Keypoints2D], sampler: Sampler, *, seed: int = 0
) -> FocalBelief:
    """Infer a focal length nobody knows from people seen by one camera.

    Args:
        people: As loaded, without batch axes.
        sampler: A method; if it takes steps, one is enough here.
        seed: Same seed, same belief.

    Returns:
        What is believed; pass it to :func:`estimate` as ``focal``.

    Raises:
        OptionError: If there is nobody, or a camera was given: then there is nothing to estimate.
    """
    if any(person.camera is not None and not person.camera.assumed for person in people):
        raise OptionError("These keypoints carry a camera; drop it, or do not estimate its focal.")
    quick: Any = sampler
    if is_dataclass(sampler) and "n_steps" in {field.name for field in fields(quick)}:
        quick = replace(quick, n_steps=1)
    seen = [prepare(person, _reads(sampler)) for person in people]
    with torch.no_grad():
        return infer_focal(seen, quick, seeded_noise(seed))


def _believing(keypoints: Keypoints2D, focal: FocalBelief) -> Keypoints2D:
    """Keypoints whose assumed focal length is the middle of the belief, and says so."""
    assert keypoints.camera is not None  # prepare has seen to it
    middle = keypoints.camera.focal.new_full((2,), focal.median)
    notes = (n for n in keypoints.notes if not n.startswith("camera assumed"))
    return replace(
        keypoints,
        camera=replace(keypoints.camera, focal=middle, assumed=True),
        notes=(*notes, focal.describe()),
    )


def adjust(
    result: Result,
    *,
    height: float | None = None,
    smooth: float | None = None,
    ground: bool = False,
) -> Result:
    """Smooth a result, scale it to the subject's stature, stand it on a floor; in this order.

    Args:
        result: As :func:`estimate` made it.
        height: The subject's stature in meters, without shoes.
        smooth: Standard deviation of joints' acceleration in m/s²: 3 suits walking, 10 sport.
        ground: Whether a world frame (z up, floor at 0) is estimated from feet and given to the
            camera; :func:`hypopose.cameras.motion_to_world` then places joints in it.

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
        pose = aggregate(moved, keypoints, result.aggregate)
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
        keypoints.fps or 30.0,
        acceleration,
    )
    joints = keep_bone_lengths(joints, pose.skeleton)[0]
    joints = joints - joints[:, [pose.skeleton.root]]
    if pose.root is None or keypoints.camera is None:
        return replace(pose, joints=joints)
    return replace(pose, joints=joints, root=fit_root(joints, keypoints, smooth=acceleration))


def refine(
    poses: Result | Hypotheses | Poses3D,
    keypoints: Keypoints2D | None = None,
    *,
    root: str = "fitted",
    root_positions: Float[Tensor, "*batch F 3"] | None = None,
    scale: Float[Tensor, "*batch F J"] | None = None,
    seed: int = 0,
    items: Sequence[int | str] | None = None,
    **options: Any,
) -> Any:
    """Move 3D motions until they reproject onto their keypoints, where they are uncertain.

    Hypotheses are held by their own spread and stay as far apart as the keypoints leave open, see
    :mod:`hypopose.optimization.offsets`.

    Args:
        poses: A result, the hypotheses of any sampler, or one motion.
        keypoints: What they were drawn for; a result brings its own.
        root: ``"fitted"`` to the keypoints, ``"joint"`` moved with the pose, or ``"given"``.
        root_positions: For ``root="given"``, camera-frame meters. True positions are ground truth:
            results note it.
        scale: Expected error of each joint in meters; None for the hypotheses' own spread.
        seed: Same seed, same result.
        items: A name per batch item, as for :func:`sample`.
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
    given: dict[str, Any] = {"noise": seeded_noise(seed, items), "scale": scale}
    given["root"] = root_positions
    if isinstance(poses, Result):
        skeleton = poses.hypotheses.skeleton.name
        seen = prepare(poses.keypoints if keypoints is None else keypoints, skeleton)
        refined = refiner.refine(poses.hypotheses, seen, **given)
        pose = aggregate(refined.hypotheses, seen, poses.aggregate)
        notes = (*poses.notes, *refined.notes)
        return replace(poses, hypotheses=refined.hypotheses, pose=pose, notes=notes)
    if keypoints is None:
        raise OptionError("Name the keypoints these motions were drawn for: refine(x, keypoints).")
    keypoints = prepare(keypoints, poses.skeleton.name)
    if isinstance(poses, Poses3D):
        return refine_poses(refiner, poses, keypoints, **given)
    return refiner.refine(poses, keypoints, **given).hypotheses


@overload
def complete(gaps: Keypoints2D, **options: Any) -> CompletedKeypoints: ...
@overload
def complete(gaps: Poses3D, **options: Any) -> CompletedMotion: ...
def complete(
    gaps: Keypoints2D | Poses3D,
    *,
    sampler: str | Sampler | None = None,
    weights: str | Path | None = None,
    n_hypotheses: int = 20,
    below: float | None = None,
    fps: float | None = None,
    memory_s: float = MEMORY_S,
    seed: int = 0,
    device: str = "cpu",
    **options: Any,
) -> CompletedKeypoints | CompletedMotion:
    """Fill in missing 2D keypoints, or missing joints of a 3D motion; the others stay as they are.

    Gaps get the mean of hypotheses drawn for what is there, moved onto it, see
    :mod:`hypopose.samplers.completion`. Weights of an :class:`hypopose.networks.MPM` fill in both
    by themselves.

    Args:
        gaps: One person, without batch axes; NaN where missing. 3D in meters, y down.
        sampler: A name, or a method you made yourself; None for the default.
        weights: A name in the box or a folder; None for the sampler's own.
        n_hypotheses: How many motions are drawn, at least 2.
        below: For 2D: replace keypoints of less confidence too.
        fps: Frames per second of a 3D motion; keypoints bring their own.
        memory_s: How long what is seen beside a gap is believed, in seconds.
        seed: Same seed, same result.
        device: Where the network runs.
        **options: Further fields of the method.

    Returns:
        What came, filled; which joints were filled, and how sure that is.

    Raises:
        OptionError: If an option does not fit, or nothing is known to go by.
        SkeletonMismatchError: If a 3D motion is in another skeleton than the sampler's.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> xy = keypoints.xy.clone()
        >>> xy[10:20, 16] = float("nan")
        >>> broken = replace(keypoints, xy=xy, confidence=None, covariance=None)
        >>> done = complete(broken, n_hypotheses=3)
        >>> int(done.filled.sum()), bool(done.keypoints.detected.all())
        (10, True)
    """
    network = None if weights is None else _masked(weights, sampler, options)
    if isinstance(gaps, Poses3D):
        if below is not None:
            raise OptionError("below is about confidences of 2D keypoints; a 3D motion has none.")
        if network is not None:
            return complete_motion_by_network(gaps, network, fps=fps, memory_s=memory_s)
        made = _resolve_sampler(sampler, weights, None, device, options)
        given: dict[str, Any] = {"fps": fps, "memory_s": memory_s}
        return complete_motion(gaps, made, n_hypotheses, seeded_noise(seed), **given)
    gaps = _doubted(gaps, below)
    gaps = resolve_camera(gaps)
    if network is not None:
        return complete_keypoints_by_network(gaps, network, memory_s=memory_s)
    built_here = sampler is None or isinstance(sampler, str)
    made = _resolve_sampler(sampler, weights if built_here else None, None, device, options)
    return completed_keypoints(gaps, made, n_hypotheses, seeded_noise(seed), memory_s=memory_s)


def _masked(weights: str | Path, sampler: Any, options: Mapping[str, Any]) -> MPM | None:
    """Weights that complete by themselves, or None."""
    network = load_network(weights)
    if not isinstance(network, MPM):
        return None
    if sampler is not None or options:
        raise OptionError("An MPM completes by itself; leave out the sampler and its options.")
    return network


def _doubted(keypoints: Keypoints2D, below: float | None) -> Keypoints2D:
    """Keypoints of less confidence than that are missing."""
    if below is None:
        return keypoints
    if keypoints.confidence is None or not 0 < below <= 1:
        raise OptionError(
            "below is a confidence between 0 and 1, for keypoints that carry confidences; got "
            f"{below} for keypoints {'without' if keypoints.confidence is None else 'with'} them."
        )
    doubted = keypoints.confidence < below
    return replace(
        keypoints,
        xy=torch.where(doubted[..., None], torch.nan, keypoints.xy),
        confidence=torch.where(doubted, 0.0, keypoints.confidence),
    )


def evaluate(
    hypotheses: Hypotheses, truth: Poses3D, keypoints: Keypoints2D | None = None
) -> dict[str, float]:
    """Compare hypotheses with the truth.

    Args:
        hypotheses: Drawn without knowing the truth.
        truth: Root-relative, same frame and skeleton.
        keypoints: If given, JPMA is scored too.

    Returns:
        Numbers by name, the unit at the end of the name. ``single`` is the expected error of one
        hypothesis; names with ``oracle`` pick by the truth, which no method could. ``ece`` is the
        calibration error over joints, 0 to 0.5.

    Raises:
        SkeletonMismatchError: If the skeletons differ.

    Example:
        >>> import hypopose
        >>> keypoints, truth = hypopose.datasets.example_pair()
        >>> hypotheses = hypopose.sample(keypoints, n_hypotheses=3, sampler="boneflips")
        >>> scores = hypopose.evaluate(hypotheses, truth)
        >>> scores["mpjpe_oracle_joint_best_mm"] < scores["mpjpe_single_mm"]
        True
    """
    if keypoints is not None:
        keypoints = prepare(keypoints, hypotheses.skeleton.name)
    return evaluate_pair(hypotheses, keypoints, truth)


def recommended_options(weights: str | Path) -> dict[str, Any]:
    """How a folder of weights wants to be sampled: its ``sampler.json``, without the name.

    Args:
        weights: A folder, or a name in the box.

    Returns:
        Fields of the sampler; empty if the folder recommends nothing.

    Raises:
        CheckpointError: If the file is not a JSON object.
    """
    return {name: value for name, value in _advice(weights).items() if name != "sampler"}


def default_sampler(weights: str | Path | None = None) -> str:
    """The sampler that weights were made for, as their ``sampler.json`` says.

    Args:
        weights: A name in the box or a folder; None for :data:`DEFAULT_SAMPLER`.

    Returns:
        Its name; ``"d3dp"`` for weights that do not say.

    Raises:
        CheckpointError: If ``sampler.json`` is not a JSON object.

    Example:
        >>> default_sampler("d3dp-frame-small")
        'd3dp'
    """
    if weights is None:
        return DEFAULT_SAMPLER
    return str(_advice(weights).get("sampler", "d3dp"))


def default_weights(sampler: str) -> str:
    """The weights in the box for a sampler.

    Raises:
        OptionError: If there are none.
    """
    if sampler not in BOX_WEIGHTS:
        raise OptionError(
            f"The sampler {sampler!r} comes without weights: pass weights='folder'. "
            f"`hypopose convert` makes one from the released checkpoints, `hypopose train` its own."
        )
    return BOX_WEIGHTS[sampler]


def calibrator_beside(weights: str | Path | None = None, sampler: str | None = None) -> Path:
    """The calibrator that came with weights, fitted on people they were not trained on.

    Args:
        weights: A name in the box or a folder of weights; None for the default.
        sampler: The sampler it is wanted for.

    Returns:
        The file; read it with :func:`hypopose.calibration.load_calibrator`.

    Raises:
        OptionError: If there is none.

    Example:
        >>> calibrator_beside().name
        'calibrator.json'
    """
    sampler = sampler or default_sampler(weights)
    if "denoiser" not in {field.name for field in fields(SAMPLERS[sampler])}:
        raise OptionError(
            f"The sampler {sampler!r} has no weights, so no calibrator lies beside them; fit one "
            "with hypopose calibrate --fit and pass its file."
        )
    chosen = weights or default_weights(sampler)
    path = _folder(chosen) / "calibrator.json"
    if not path.is_file():
        raise OptionError(
            f"The weights {str(chosen)!r} come without a calibrator; fit one with "
            "hypopose calibrate --fit and pass its file."
        )
    return path


def describe_sampler(sampler: Sampler) -> dict[str, Any]:
    """A method as JSON-ready options, its name first; networks and skeletons by name.

    Args:
        sampler: A dataclass instance.

    Returns:
        For example ``{"name": "boneflips", ...}``.
    """
    names = {method: name for name, method in SAMPLERS.items()}
    record: dict[str, Any] = {"name": names.get(type(sampler), type(sampler).__name__)}
    if is_dataclass(sampler):
        for field in fields(sampler):
            record[field.name] = _plain(getattr(sampler, field.name))
    return record


def _advice(weights: str | Path) -> dict[str, Any]:
    """A folder's ``sampler.json``; empty if there is none."""
    path = _folder(weights) / "sampler.json"
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path} is not a JSON object of options: {error}.") from error


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise OptionError(f"There is no device {name!r}; use cpu, cuda or cuda:1.") from None
    if device.type not in ("cpu", "cuda"):
        raise OptionError(f"HypoPose does not run on {name!r}; use cpu, cuda or cuda:1.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BackendError("device='cuda' was asked for, but torch sees no GPU; use device='cpu'.")
    return device


def _check_types(method: type, options: Mapping[str, Any]) -> None:
    """Refuse words and fractions where a switch or a whole number belongs."""
    for field in fields(method):
        value = options.get(field.name, field.default)
        if isinstance(field.default, bool) and not isinstance(value, bool):
            raise OptionError(f"{field.name} is true or false, got {value!r}.")
        if type(field.default) is int and type(value) is not int:
            raise OptionError(f"{field.name} is a whole number, got {value!r}.")


def _folder(weights: str | Path) -> Path:
    """The folder of weights by path, else by name in the box."""
    return Path(weights) if Path(weights).is_dir() else BOX / str(weights)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return getattr(value, "name", None) or type(value).__name__


def _taken_for_granted(sampler: Sampler, keypoints: Keypoints2D) -> tuple[str, ...]:
    """What a sampler assumes about the world, if it assumes anything."""
    say = getattr(sampler, "assumptions", None)
    return () if say is None else tuple(say(keypoints))


def _reads(sampler: Sampler) -> str:
    """The skeleton a sampler's keypoints must be in."""
    skeleton: Skeleton = getattr(sampler, "keypoint_skeleton", sampler.skeleton)
    return skeleton.name


def _resolve_sampler(
    sampler: str | Sampler | None,
    weights: str | Path | None,
    n_steps: int | None,
    device: str,
    options: dict[str, Any],
) -> Sampler:
    if sampler is None or isinstance(sampler, str):
        return make_sampler(sampler, weights=weights, n_steps=n_steps, device=device, **options)
    if weights is not None or n_steps is not None or options:
        raise OptionError(
            "A sampler you made yourself brings its own weights and options; set them there, or "
            "pass the sampler's name."
        )
    return sampler


def _weights_label(sampler: Sampler, weights: str | Path | None) -> str:
    if not hasattr(sampler, "denoiser"):
        return ""
    if weights is not None:
        return str(weights)
    return BOX_WEIGHTS.get(str(describe_sampler(sampler)["name"]), "")
