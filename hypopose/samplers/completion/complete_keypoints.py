"""2D keypoints without gaps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.cameras import from_screen, hypothesis_camera, project, to_screen
from hypopose.checks import check_positive
from hypopose.errors import MissingCameraError, OptionError
from hypopose.networks.mpm import MPM
from hypopose.samplers.completion.keypoint_bridging import (
    MEMORY_S,
    bridged,
    bridged_gaps,
    deviation,
)
from hypopose.samplers.completion.masked_windows import halves, reconstructed, root_everywhere
from hypopose.skeletons import convert, get_conversion, get_skeleton
from hypopose.types import (
    ASSUMED_FPS,
    MIN_CONFIDENCE,
    Hypotheses,
    Keypoints2D,
    NoiseSource,
    Sampler,
    Skeleton,
)

LINE_CONFIDENCE = 0.5
"""Confidence of what lies on a straight line through a gap."""


@dataclass(frozen=True, eq=False)
class CompletedKeypoints:
    """Keypoints without gaps, as far as they could be filled.

    Args:
        keypoints: Filled ones have a confidence by their spread, at least 0.05; seen ones are as
            they were.
        filled: Which were filled.
        std: Standard deviation of a filled keypoint per axis in pixels; NaN where nothing was
            filled, or the method has no spread.
    """

    keypoints: Keypoints2D
    filled: Bool[Tensor, "F J"]
    std: Float[Tensor, "F J"]


def complete_keypoints(
    keypoints: Keypoints2D,
    hypotheses: Hypotheses,
    others: Hypotheses | None = None,
    *,
    memory_s: float = MEMORY_S,
) -> CompletedKeypoints:
    """Fill missing keypoints with projections of hypotheses drawn for them.

    Args:
        keypoints: With a camera, without batch axes; NaN where missing, any skeleton.
        hypotheses: Of the same frames. Joints that mean the same in both skeletons are filled,
            others (faces, hands) stay missing.
        others: Hypotheses that only widen the spread, see :func:`completed_keypoints`.
        memory_s: Seconds after which an error at a seen frame counts for 37 %.

    Returns:
        The mean over hypotheses, and how far all lie from it.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        OptionError: If no frame has enough keypoints to place the person.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> from hypopose.diffusion import seeded_noise
        >>> from hypopose.samplers import BoneFlips
        >>> keypoints, _ = example_pair()
        >>> drawn = BoneFlips().sample(keypoints, 3, seeded_noise(0))
        >>> xy = keypoints.xy.clone()
        >>> xy[10:20, 16] = torch.nan
        >>> done = complete_keypoints(replace(keypoints, xy=xy), drawn)
        >>> int(done.filled.sum()), bool(done.keypoints.detected.all())
        (10, True)
    """
    if keypoints.camera is None:
        raise MissingCameraError(
            "Completion projects hypotheses into the image, but these keypoints carry no camera. "
            "Attach one with keypoints.with_camera(Camera.from_fov(image_size))."
        )
    values = _projected(keypoints, hypotheses)
    wide = None if others is None else _projected(keypoints, others)
    return _filled(keypoints, values, memory_s, wide)


@torch.no_grad()
def completed_keypoints(
    keypoints: Keypoints2D,
    sampler: Sampler,
    n_hypotheses: int,
    noise: NoiseSource,
    *,
    memory_s: float = MEMORY_S,
) -> CompletedKeypoints:
    """Draw hypotheses for keypoints with gaps, and fill the gaps with them.

    Half of the hypotheses see straight lines in gaps of up to a second, which have the smallest
    error, and give the mean. The others see them in gaps of a tenth of a second only: where the two
    halves differ, the straight line is a guess, and the spread shows it.

    Args:
        keypoints: See :func:`complete_keypoints`; in the sampler's skeleton or one that can be
            converted to it.
        sampler: Draws them.
        n_hypotheses: How many in all, at least 2.
        noise: Source of randomness.
        memory_s: Seconds after which an error at a seen frame counts for 37 %.

    Raises:
        OptionError: If there are fewer than two hypotheses.
    """
    read = getattr(sampler, "keypoint_skeleton", sampler.skeleton)
    sets = []
    for n, longest_s in halves(n_hypotheses):
        xy = bridged_gaps(keypoints.xy, keypoints.fps, longest_s)
        confidence = keypoints.confidence
        if confidence is not None:
            drawn = ~keypoints.detected & torch.isfinite(xy).all(-1)
            confidence = torch.where(drawn, LINE_CONFIDENCE, confidence)
        plain = replace(keypoints, xy=xy, confidence=confidence, covariance=None)
        if plain.skeleton.name != read.name:
            plain = convert(plain, read)
        sets.append(sampler.sample(plain, n, noise))
    return complete_keypoints(keypoints, *sets, memory_s=memory_s)


def complete_keypoints_by_network(
    keypoints: Keypoints2D, network: MPM, *, memory_s: float = MEMORY_S
) -> CompletedKeypoints:
    """Fill missing keypoints with a network of masked poses.

    Args:
        keypoints: With image size, without batch axes, in the network's skeleton or one that can
            be converted to it; joints that mean the same in both are filled.
        network: Trained to complete, in eval mode.
        memory_s: Seconds after which an error at a seen frame counts for 37 %.

    Returns:
        The network's keypoints where they were missing; it has no spread.

    Raises:
        OptionError: If the image size is unknown.
        SkeletonMismatchError: If no conversion to the network's skeleton is known.
    """
    size = _image_size(keypoints)
    if size is None:
        raise OptionError("This network reads screen coordinates; give the image size.")
    skeleton = get_skeleton(network.info.keypoint_skeleton)
    here, there = (list(c) for c in zip(*shared_joints(keypoints.skeleton, skeleton), strict=True))
    read = convert(keypoints, skeleton) if keypoints.skeleton.name != skeleton.name else keypoints
    said = reconstructed(network, to_screen(read.xy, size), ~read.detected)
    values = torch.full_like(keypoints.xy, torch.nan)
    values[:, here] = from_screen(said, size)[:, there].to(values)
    return _filled(keypoints, values[None], memory_s)


def shared_joints(source: Skeleton, target: Skeleton) -> list[tuple[int, int]]:
    """Joints that mean the same in two skeletons.

    Args:
        source: Of keypoints.
        target: Of hypotheses.

    Returns:
        Pairs of indices.

    Raises:
        SkeletonMismatchError: If no conversion is known.

    Example:
        >>> from hypopose.skeletons import COCO17, H36M17
        >>> len(shared_joints(COCO17, H36M17))
        12
    """
    if source.name == target.name:
        return [(j, j) for j in range(source.n_joints)]
    conversion = get_conversion(source, target)
    pairs = []
    for j, name in enumerate(target.joint_names):
        first = next(iter(conversion.recipes.get(name, ())), None)
        if first is not None and name not in conversion.approximate and len(first) == 1:
            pairs.append((source.index(next(iter(first))), j))
    return pairs


def _projected(keypoints: Keypoints2D, hypotheses: Hypotheses) -> Float[Tensor, "H F J 2"]:
    """Pixels of the joints that both skeletons have, NaN for the others."""
    pairs = shared_joints(keypoints.skeleton, hypotheses.skeleton)
    here, there = (list(column) for column in zip(*pairs, strict=True))
    root = root_everywhere(hypotheses, keypoints.detected)
    points = hypotheses.joints[..., there, :] + root[..., None, :]
    assert keypoints.camera is not None  # the caller checked it
    px = project(points, hypothesis_camera(hypotheses, keypoints.camera))
    values = torch.full((len(hypotheses), *keypoints.xy.shape), torch.nan).to(px)
    values[..., here, :] = px
    return values


def _filled(
    keypoints: Keypoints2D,
    values: Float[Tensor, "H F J 2"],
    memory_s: float,
    others: Float[Tensor, "I F J 2"] | None = None,
) -> CompletedKeypoints:
    check_positive(memory_s=memory_s)
    seen = keypoints.detected
    memory = memory_s * (keypoints.fps or ASSUMED_FPS)
    moved = bridged(values, keypoints.xy, seen, keypoints.skeleton, memory)
    mean, spread = moved.mean(0), moved
    if others is not None:
        wide = bridged(others, keypoints.xy, seen, keypoints.skeleton, memory)
        spread = torch.cat([moved, wide])
    filled = ~seen & torch.isfinite(mean).all(-1)
    std = torch.full(seen.shape, torch.nan)
    if len(spread) > 1:
        std = torch.where(filled, deviation(spread, mean).square().mean(-1).sqrt(), torch.nan)
    sure = torch.full(seen.shape, MIN_CONFIDENCE)
    size = _image_size(keypoints)
    if size is not None and len(spread) > 1:
        sure = (0.005 * max(size) / std.clamp(min=1e-6)).square().clamp(MIN_CONFIDENCE, 1.0)
    given = keypoints.confidence if keypoints.confidence is not None else seen.float()
    covariance = keypoints.covariance
    if covariance is not None:
        own = std.nan_to_num(0.05 * max(size or (1000, 1000))).square()
        wide = own[..., None, None] * torch.eye(2)
        covariance = torch.where(filled[..., None, None], wide.to(covariance), covariance)
    done = replace(
        keypoints,
        xy=torch.where(filled[..., None], mean.to(keypoints.xy), keypoints.xy),
        confidence=torch.where(filled, sure.to(given), given),
        covariance=covariance,
        notes=(*keypoints.notes, f"{int(filled.sum())} missing keypoints were filled in"),
    )
    return CompletedKeypoints(done, filled, std)


def _image_size(keypoints: Keypoints2D) -> tuple[int, int] | None:
    return keypoints.image_size or (keypoints.camera.image_size if keypoints.camera else None)
