"""Draw hypotheses and use them: sample, estimate a focal length, aggregate, evaluate, measure."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hypopose.aggregation import AGGREGATORS
from hypopose.api.making import resolve_sampler, skeleton_read_by
from hypopose.cameras import resolve_camera
from hypopose.checks import check_room
from hypopose.diffusion import seeded_noise
from hypopose.distributed import threads
from hypopose.errors import OptionError
from hypopose.evaluation import evaluate_pair
from hypopose.io import Masks, load_masks, with_silhouettes
from hypopose.optimization import FocalPosterior
from hypopose.optimization import estimate_focal as infer_focal
from hypopose.plugins import look_up, plugin_of
from hypopose.skeletons import convert, get_skeleton
from hypopose.types import Hypotheses, Keypoints2D, Poses3D, Sampler


def prepare(keypoints: Keypoints2D, skeleton: str = "h36m17") -> Keypoints2D:
    """What a sampler reads: keypoints in its skeleton, with a camera.

    Args:
        keypoints: As loaded.
        skeleton: Name of the skeleton to convert to.

    Returns:
        Converted keypoints. Joints that had to be formed from others are listed in
        ``approximate``; a camera that was not given is ``assumed`` and noted.

    Raises:
        SkeletonMismatchError: If no conversion between the skeletons is known.
        OptionError: If the image size is unknown and cannot be estimated.
    """
    if keypoints.skeleton.name != skeleton:
        keypoints = convert(keypoints, get_skeleton(skeleton))
    return resolve_camera(keypoints)


def share_camera(people: Mapping[str, Keypoints2D]) -> dict[str, Keypoints2D]:
    """Give people of one file the same camera, estimated from all if the image size is unknown.

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
        weights: Bundled weights by name, or a folder of weights; None for the default.
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
    method = resolve_sampler(sampler, weights, n_steps, device, options)
    keypoints = prepare(keypoints, skeleton_read_by(method))
    n_poses = keypoints.xy.shape[:-2].numel()
    check_room(n_hypotheses, n_poses, method.skeleton.n_joints)
    extra: dict[str, Any] = {}
    if callback is not None and "callback" in inspect.signature(method.sample).parameters:
        extra["callback"] = callback
    with torch.no_grad(), threads(work=n_hypotheses * n_poses):
        return method.sample(keypoints, n_hypotheses, seeded_noise(seed, items), **extra)


def estimate_focal(
    people: Sequence[Keypoints2D], sampler: Sampler, *, seed: int = 0
) -> FocalPosterior:
    """Infer an unknown focal length from people seen by one camera.

    Args:
        people: As loaded, without batch axes.
        sampler: A method; if it takes steps, one is enough here.
        seed: Same seed, same posterior.

    Returns:
        The posterior over the focal length; pass it to :func:`estimate` as ``focal``.

    Raises:
        OptionError: If there are no people, or a camera was given: then there is nothing to
            estimate.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> unknown = replace(keypoints, camera=None, image_size=(1000, 1000))
        >>> focal = estimate_focal([unknown], hypopose.make_sampler("boneflips"))
        >>> 400 < focal.median < 2600
        True
    """
    if any(person.camera is not None and not person.camera.assumed for person in people):
        raise OptionError("These keypoints carry a camera; drop it, or do not estimate its focal.")
    quick: Any = sampler
    if is_dataclass(sampler) and "n_steps" in {field.name for field in fields(quick)}:
        quick = replace(quick, n_steps=1)
    seen = [prepare(person, skeleton_read_by(sampler)) for person in people]
    with torch.no_grad():
        return infer_focal(seen, quick, seeded_noise(seed))


def aggregate(
    hypotheses: Hypotheses,
    keypoints: Keypoints2D,
    method: str | None = None,
    *,
    masks: Masks | str | Path | None = None,
) -> Poses3D:
    """Reduce hypotheses to one motion.

    Args:
        hypotheses: Drawn for these keypoints.
        keypoints: As loaded, or as prepared. JPMA and PPMA project hypotheses and compare; the
            camera is assumed if the keypoints have none.
        method: ``"mean"``, ``"median"``, ``"medoid"``, ``"jpma"``, ``"ppma"``, ``"silhouette"``, an
            entry point of another package, or code: ``"package.module:function"``,
            ``"./file.py:function"``. None for the mean, with masks for ``"silhouette"``. The mean
            has the lowest error on the benchmarks; the medoid is one of the hypotheses.
        masks: Of the person in these frames, for ``"silhouette"``: a path, or what
            :func:`hypopose.io.load_masks` gives.

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
    if method is None:
        method = "mean" if masks is None else "silhouette"
    combine = look_up("aggregators", method, AGGREGATORS)
    if masks is not None:
        if method != "silhouette":
            raise OptionError(f"Masks are read by the aggregate 'silhouette', not by {method!r}.")
        opened = load_masks(masks) if isinstance(masks, str | Path) else masks
        keypoints = with_silhouettes(prepare(keypoints, hypotheses.skeleton.name), opened)
    if method in WITHOUT_KEYPOINTS:
        return combine(hypotheses, keypoints)
    check_has_keypoints(keypoints, f"the aggregate {method!r} compares with")
    return combine(hypotheses, prepare(keypoints, hypotheses.skeleton.name))


WITHOUT_KEYPOINTS = ("mean", "median", "medoid")
"""Aggregates that look at the hypotheses alone."""


def check_has_keypoints(keypoints: Keypoints2D, what_for: str) -> None:
    """Refuse keypoints of which none was detected, as those of imported motions.

    Raises:
        OptionError: If so.
    """
    if not bool(keypoints.detected.any()):
        raise OptionError(
            f"There are no keypoints, which {what_for}: imported 3D motion has none. Sample "
            "keypoints with hypopose sample, or use --aggregate mean, median or medoid."
        )


def check_aggregation(method: str) -> None:
    """Refuse an aggregation that does not exist, before hours of sampling.

    Raises:
        OptionError: If no such method exists, or it is not a function.
    """
    if not callable(look_up("aggregators", method, AGGREGATORS)):
        raise OptionError(f"{method!r} is not a function of hypotheses and keypoints.")


def describe_aggregation(method: str) -> tuple[str, tuple[str, ...]]:
    """How a result names an aggregation, and a note where the code is from outside the package.

    Example:
        >>> describe_aggregation("mean")
        ('mean', ())
    """
    plugin = plugin_of(look_up("aggregators", method, AGGREGATORS))
    if plugin is None:
        return method, ()
    return plugin.name, (f"aggregated by {plugin.name} ({plugin.origin})",)


def evaluate(
    hypotheses: Hypotheses, truth: Poses3D, keypoints: Keypoints2D | None = None
) -> dict[str, float]:
    """Compare hypotheses with ground truth.

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
