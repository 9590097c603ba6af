"""Importance weights of hypotheses by how well bodies around them fill the masks of a person.

Hypotheses are draws from p(pose | keypoints). Masks are further data with the likelihood

    ``p(mask | pose) ∝ exp(-e / τ)``,  e = 1 - intersection over union,

so that the weight of a hypothesis is its likelihood over the sum of all (importance sampling).
Errors of masks persist (a segmenter misses the same hand, a coat is wide all the time), so masks
within :data:`MEMORY_S` of each other count as one: errors are averaged with a Gaussian kernel over
time, and weights change slowly. Far from all masks, weights become equal.

Roots are fitted to the keypoints for each hypothesis; the girth of the body is the same for all.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.aggregation.central import pick, spread
from hypopose.cameras import fit_root, fit_roots, hypothesis_camera
from hypopose.errors import MissingCameraError, OptionError
from hypopose.rendering.silhouettes import check_skeleton, fit_girth, silhouette_errors
from hypopose.types import ASSUMED_FPS, Hypotheses, Keypoints2D, NoiseSource, Poses3D, Silhouettes

MASK_ERROR = 0.08
"""τ: a difference in intersection over union that makes a pose e times less likely.

The body is not the person's: the true pose itself errs by 0.3 with masks of Anny, and by how much a
pose makes good for the body is no news of the pose. Chosen on validation people so that 80 %
regions lose less than two points; 0.02 lost seven, docs/how-to/masks.md.
"""

MEMORY_S = 0.3
"""Seconds: standard deviation of the kernel over time."""

MAX_BODIES = 2000
"""Bodies that are rendered at once."""


@torch.no_grad()
def mask_errors(hypotheses: Hypotheses, keypoints: Keypoints2D) -> Float[Tensor, "*batch H n"]:
    """How badly every hypothesis fills the silhouettes, in the frames that were looked at.

    Args:
        hypotheses: Root-relative.
        keypoints: With a camera and silhouettes.

    Returns:
        One minus the intersection over union; 1 where a hypothesis has no place.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        OptionError: If they carry no silhouettes.
        SkeletonMismatchError: If hypotheses have other joints than the body, or the keypoints.
    """
    seen = _seen(keypoints)
    check_skeleton(hypotheses.skeleton)
    if keypoints.camera is None:
        raise MissingCameraError(
            "Masks belong to an image, but these keypoints carry no camera. Attach one with "
            "keypoints.with_camera(Camera.from_fov(image_size))."
        )
    placed = hypotheses.joints + fit_roots(hypotheses, keypoints)[..., None, :]
    looked = placed[..., seen.frames, :, :]
    camera = hypothesis_camera(hypotheses, keypoints.camera)
    girth = fit_girth(looked, camera, seen)
    lead = looked.shape[:-3].numel()
    step = max(1, MAX_BODIES // lead)
    parts = [
        silhouette_errors(
            looked[..., at : at + step, :, :], camera, _part(seen, at, at + step), girth=girth
        )
        for at in range(0, len(seen.frames), step)
    ]
    return torch.cat([looked[..., :0, 0, 0], *parts], -1)


def silhouette_weights(
    hypotheses: Hypotheses, keypoints: Keypoints2D, *, mask_error: float = MASK_ERROR
) -> Float[Tensor, "*batch H F"]:
    """Weights of hypotheses in every frame; they sum to 1 over hypotheses.

    Args:
        hypotheses: Root-relative.
        keypoints: With a camera and silhouettes.
        mask_error: τ.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        OptionError: If they carry no silhouettes, or τ is not positive.
        SkeletonMismatchError: If hypotheses have other joints than the body.
    """
    if not mask_error > 0:
        raise OptionError(f"mask_error must be positive, got {mask_error}.")
    return weights_of(mask_errors(hypotheses, keypoints), hypotheses, keypoints, mask_error)


def weights_of(
    errors: Float[Tensor, "*batch H n"],
    hypotheses: Hypotheses,
    keypoints: Keypoints2D,
    mask_error: float,
) -> Float[Tensor, "*batch H F"]:
    """Weights in every frame from the errors of looks, see :func:`silhouette_weights`.

    Args:
        errors: Of :func:`mask_errors`.
        hypotheses: Root-relative.
        keypoints: With silhouettes.
        mask_error: τ.
    """
    at = _seen(keypoints).frames.to(errors)
    frames = torch.arange(hypotheses.joints.shape[-3]).to(errors)
    sigma = MEMORY_S * (keypoints.fps or ASSUMED_FPS)
    kernel = torch.exp(-0.5 * ((frames[:, None] - at) / sigma) ** 2)
    kernel = kernel / kernel.sum(-1, keepdim=True).clamp(min=1.0)
    return torch.softmax(-(errors @ kernel.mT) / mask_error, -2)


def silhouette(hypotheses: Hypotheses, keypoints: Keypoints2D) -> Poses3D:
    """The mean of the hypotheses, weighted by how well they fill the masks.

    Args:
        hypotheses: Root-relative, meters.
        keypoints: With a camera and silhouettes (:func:`hypopose.io.with_silhouettes`).

    Returns:
        The weighted mean with its root fitted to the keypoints, and the spread of all hypotheses.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        OptionError: If they carry no silhouettes.
        SkeletonMismatchError: If hypotheses have other joints than the body.

    Example:
        >>> import hypopose
        >>> from hypopose.io import Masks, with_silhouettes
        >>> from hypopose.rendering import render_surface
        >>> from hypopose.bodies import make_body
        >>> keypoints, truth = hypopose.datasets.example_pair(1)
        >>> body = make_body("capsules").around(truth.joints + truth.root[:, None])
        >>> picture = render_surface(body.vertices, body.faces, keypoints.camera, size=(500, 500))
        >>> mask = picture.alpha.numpy() > 0.5
        >>> seen = with_silhouettes(keypoints, Masks.of(mask))
        >>> wrong = truth.joints.roll(3, -2) - truth.joints.roll(3, -2)[:, :1]
        >>> guesses = Hypotheses(torch.stack([wrong, truth.joints]), truth.skeleton)
        >>> (silhouette(guesses, seen).joints - truth.joints).abs().max().item() < 0.01
        True
    """
    return weighted_mean(hypotheses, keypoints, silhouette_weights(hypotheses, keypoints))


def weighted_mean(
    hypotheses: Hypotheses, keypoints: Keypoints2D, weights: Float[Tensor, "*batch H F"]
) -> Poses3D:
    """The mean of weighted hypotheses.

    Args:
        hypotheses: Root-relative, meters.
        keypoints: With a camera.
        weights: Sum to 1 over hypotheses.

    Returns:
        The mean with its root fitted to the keypoints, and the spread of all hypotheses.
    """
    joints = (weights[..., None, None] * hypotheses.joints).sum(-4)
    root = fit_root(joints, keypoints)
    return Poses3D(joints, hypotheses.skeleton, root=root, std=spread(hypotheses))


def resample(
    hypotheses: Hypotheses, weights: Float[Tensor, "*batch H F"], noise: NoiseSource
) -> Hypotheses:
    """Equally likely hypotheses from weighted ones, frame by frame (systematic resampling).

    Kitagawa, J. Comput. Graph. Stat. 1996. Motions jump where the hypothesis changes: for scores of
    frames, not for playing.

    Args:
        hypotheses: Any number.
        weights: Sum to 1 over hypotheses.
        noise: One normal a frame, for where the comb begins.

    Example:
        >>> from hypopose.diffusion import seeded_noise
        >>> from hypopose.skeletons import H36M17
        >>> x = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 17, 3)
        >>> weights = torch.tensor([[0.0], [1.0]])
        >>> resample(Hypotheses(x, H36M17), weights, seeded_noise(0)).joints.min().item()
        1.0
    """
    x = hypotheses.joints
    H = len(hypotheses)
    start = torch.special.ndtr(noise((*x.shape[:-4], 1, x.shape[-3], 1, 1))[..., 0, 0]).to(x)
    comb = (torch.arange(H).to(x)[:, None] + start) / H
    ends = weights.cumsum(-2).movedim(-2, -1).contiguous()
    index = torch.searchsorted(ends, comb.movedim(-2, -1).contiguous()).clamp(max=H - 1)
    picked = [pick(x, index[..., h, None].expand(*x.shape[:-4], -1, x.shape[-2])) for h in range(H)]
    return Hypotheses(torch.stack(picked, -4), hypotheses.skeleton)


def _seen(keypoints: Keypoints2D) -> Silhouettes:
    if keypoints.silhouettes is None:
        raise OptionError(
            "The aggregate 'silhouette' weighs hypotheses by masks, but none are given; give "
            "masks=FILE, or take another aggregate, such as mean."
        )
    return keypoints.silhouettes


def _part(seen: Silhouettes, start: int, stop: int) -> Silhouettes:
    labels = seen.labels
    return replace(
        seen,
        frames=seen.frames[start:stop],
        inside=seen.inside[start:stop],
        known=seen.known[start:stop],
        window=seen.window[start:stop],
        labels=None if labels is None else labels[start:stop],
    )
