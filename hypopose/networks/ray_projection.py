"""Poses moved towards the rays of their keypoints, by a learned weight for each keypoint.

Ours. A network that predicts three coordinates per joint must pass two of them, which keypoints
give almost exactly, through all of its layers. That loses precision, and errors and spread across
the line of sight become far larger than necessary. Here the network's pose says how deep every
joint lies and how far away the person is, and keypoints say the rest: a joint is moved along x and
y towards the ray of its keypoint, by a share that the network gives (Kalman's gain, learned).

With p the keypoint on the virtual plane divided by the subject's size s (as networks with subject
inputs read it, :mod:`hypopose.networks.inputs`), joint j of a person whose root stands at t lies on
its ray if

    ``X_j + t_x = p_j (s Z_j + τ)``,   ``τ = s t_z``,

(two equations, x and y) which is linear in t: weighted least squares has a closed form. A weak
prior, that of a standing adult, keeps τ plausible where few joints are seen.

Joints should follow their keypoints but not the jitter of the detector: the shift of a joint to its
ray is averaged over a few neighboring frames, which leaves smooth motion unchanged.

The jitter of a keypoint indicates its accuracy (:func:`jitter`). Networks get it as a feature,
because half a pixel's noise is hard to see in coordinates that span the body, particularly in
bfloat16.

| symbol | here |
| --- | --- |
| p, s | ``xy``, ``size`` |
| τ | ``_distance`` |
| gain | ``share``, 0 (stays where it is) to 1 (onto the ray) |
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

STANDING = 0.4
"""τ of a standing adult: the spread of the joints, in meters."""

PRIOR_WEIGHT = 1e-3
"""How much the prior counts, against the spread of the keypoints (about 1)."""

NEAREST, FARTHEST = 0.02, 5.0
"""τ is held between them: a head alone, a person who walks away to five times the distance."""

CALM = 0.04
"""Standard deviation in seconds of what corrections are averaged over."""

UNKNOWN = 3.0
"""Jitter of keypoints that were not seen for long enough: that of noisy ones, not to be trusted."""


def onto_rays(
    pose: Float[Tensor, "*any J 3"],
    xy: Float[Tensor, "*any J 2"],
    size: Float[Tensor, "*any 1"],
    share: Float[Tensor, "*any J"],
    root: int = 0,
    seconds: Float[Tensor, "*#any"] | None = None,
    detected: Float[Tensor, "*#any J"] | None = None,
) -> Float[Tensor, "*any J 3"]:
    """Move joints towards the rays of their keypoints; depths and the root stay.

    The root's own move is taken off all joints, so that one that is not moved (``share`` 0) keeps
    its place in the camera's frame, and not about the root.

    Args:
        pose: Meters about the root, in the frame of the turned camera.
        xy: Keypoints on its plane z = 1, divided by ``size``; any number where ``share`` is 0.
        size: What they were divided by.
        share: How far each joint is moved, and its weight in where the person stands; 0 where
            undetected. Joints that would lie behind the camera are not moved.
        root: Index of the joint that poses are relative to.
        seconds: When frames are; the axis before the joints is time then, and a joint's way to its
            ray is averaged over neighboring frames, so that the jitter of detectors does not become
            motion. Broadcasts: hypotheses of a clip share them. Frames stand for themselves where
            None.
        detected: 1 for joints whose way counts in that, else 0; by default those with a share. A
            share that is not quite 0 here and 0 in another runtime must not decide it.

    Example:
        >>> body = torch.tensor([[0.0, 0.0, 0.0], [0.1, -0.5, 0.2], [-0.1, 0.8, -0.1]])
        >>> placed = body + torch.tensor([0.0, 0.0, 4.0])
        >>> xy = placed[:, :2] / placed[:, 2:] / 0.1
        >>> blurred = body.clone()
        >>> blurred[1:, 0] += 0.05
        >>> moved = onto_rays(blurred, xy, torch.tensor([0.1]), torch.ones(3))
        >>> bool((moved - body).norm() < (blurred - body).norm() / 2)
        True
    """
    depth = size[..., None] * pose[..., 2:]
    off = pose[..., :2] - xy * depth
    weight = share[..., None] / (share.sum(-1, keepdim=True) + 1e-6)[..., None]
    xy = xy - (weight * xy).sum(-2, keepdim=True)
    off = off - (weight * off).sum(-2, keepdim=True)
    distance = _distance(xy, off, weight)
    way = xy * distance - off
    if seconds is not None:
        counts = (share > 0).to(way.dtype) if detected is None else detected
        way = _calmed(way, counts, seconds)
    step = share[..., None] * (depth + distance > 0) * way
    step = step - step[..., root : root + 1, :]
    return pose + functional.pad(step, (0, 1))


def _calmed(
    way: Float[Tensor, "*any F J 2"],
    detected: Float[Tensor, "*#any F J"],
    seconds: Float[Tensor, "*#any F"],
) -> Float[Tensor, "*any F J 2"]:
    """Averages over time, of detected joints alone, with a normal weight."""
    apart = (seconds[..., :, None] - seconds[..., None, :]) / CALM
    near = (-apart.square() / 2).exp()
    weighted = (way * detected[..., None]).flatten(-2)
    return (near @ weighted).reshape(way.shape) / (near @ detected + 1e-6)[..., None]


def jitter(xy: Float[Tensor, "B F J 2"], usable: Float[Tensor, "B F J"]) -> Float[Tensor, "B J"]:
    """Jitter of keypoints: log of the mean third difference of a clip.

    People move smoothly, most detectors do not: in third differences noise that is fresh in every
    frame has twenty times its variance, motion at 50 Hz is hardly left. About -2.3 for steady
    keypoints, 0.5 for 0.3 pixels of a person 400 px tall, 3 for 5 pixels.

    Args:
        xy: Keypoints divided by the subject's size; any number where not usable.
        usable: 1 for what was detected, in frames that are not padding; else 0.

    Returns:
        log(mean / 0.01 + 0.1); :data:`UNKNOWN` without four usable frames in a row.

    Example:
        >>> steady = torch.linspace(0, 1, 9)[:, None, None].expand(1, 9, 17, 2)
        >>> round(jitter(steady, torch.ones(1, 9, 17))[0, 0].item(), 2)
        -2.3
    """
    xy, usable = functional.pad(xy, (0, 0, 0, 0, 3, 0)), functional.pad(usable, (0, 0, 3, 0))
    third = xy.diff(n=3, dim=1).norm(dim=-1)
    whole = usable[:, 3:] * usable[:, 2:-1] * usable[:, 1:-2] * usable[:, :-3]
    n = whole.sum(1)
    mean = (third * whole).sum(1) / n.clamp(min=1)
    return torch.where(n > 0, (mean / 0.01 + 0.1).log(), torch.full_like(mean, UNKNOWN))


def _distance(
    xy: Float[Tensor, "*any J 2"], off: Float[Tensor, "*any J 2"], weight: Float[Tensor, "*any J 1"]
) -> Float[Tensor, "*any 1 1"]:
    """τ of centered keypoints and offsets, by weighted least squares with a prior."""
    across = (weight * xy * off).sum((-1, -2), keepdim=True) + PRIOR_WEIGHT * STANDING
    along = (weight * xy * xy).sum((-1, -2), keepdim=True) + PRIOR_WEIGHT
    return (across / along).clamp(NEAREST, FARTHEST)
