"""Smoothing over time that keeps the differences between hypotheses.

* :func:`smooth_kalman` looks at the whole clip: joints move with nearly constant velocity, and a
  frame has less weight the more the hypotheses jitter relative to each other there (Rauch, Tung and
  Striebel, "Maximum likelihood estimates of linear dynamic systems", AIAA Journal 1965). The gains
  depend on covariances only, so all hypotheses are filtered alike: the mean of the smoothed
  hypotheses is the smoothed mean, constant offsets between hypotheses stay, and jitter is removed.
* :func:`keep_bone_lengths` gives every bone of a motion one length, moving joints as little as
  possible.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras import fit_roots
from hypopose.errors import OptionError, ShapeError
from hypopose.metrics import bone_lengths
from hypopose.types import ASSUMED_FPS, Hypotheses, Keypoints2D, Skeleton

ACCELERATION = 10.0
"""Standard deviation of joints' acceleration in m/s²: sport; 3 suits slow walking."""

MIN_STD = 0.005
"""Meters; hypotheses that agree better do not count more than this."""

N_PROJECTIONS = 30
"""Sweeps over the bones."""


def smooth_hypotheses(
    hypotheses: Hypotheses,
    keypoints: Keypoints2D,
    acceleration: float = ACCELERATION,
    *,
    rigid: bool = True,
) -> Hypotheses:
    """Smooth joints by the jitter of the hypotheses, make bones rigid, and fit smooth roots.

    Roots seen by a moving camera are fitted frame by frame: its shaking is not the person's.

    Args:
        hypotheses: Without NaN joints.
        keypoints: Their frame rate is used (30 Hz where unknown), and their camera for the roots.
        acceleration: Standard deviation in m/s².
        rigid: Whether bones keep one length each.

    Returns:
        As many hypotheses; focal lengths are kept.

    Raises:
        OptionError: If the acceleration is not positive.
    """
    fps = keypoints.fps or ASSUMED_FPS
    x = hypotheses.joints
    joints = smooth_kalman(x, jitter_covariance(x), fps, acceleration)
    if rigid:
        joints = keep_bone_lengths(joints, hypotheses.skeleton)
    joints = joints - joints[..., [hypotheses.skeleton.root], :]
    smoothed = replace(hypotheses, joints=joints)
    camera = keypoints.camera
    if camera is None or hypotheses.root is None:
        return smoothed
    if camera.rotation is not None and camera.rotation.dim() == 3:
        return replace(smoothed, root=fit_roots(smoothed, keypoints))  # they move with the camera
    return replace(smoothed, root=fit_roots(smoothed, keypoints, smooth=acceleration))


def jitter_covariance(joints: Float[Tensor, "*batch H F J 3"]) -> Float[Tensor, "*b F J 3 3"]:
    """Covariance over the hypotheses of what changes from frame to frame.

    Hypotheses that lie apart and stay apart are not a reason to smooth; hypotheses that jitter
    against each other are. Independent errors of variance v have second differences of variance
    6 v; these are averaged over the hypotheses and nine frames.

    Args:
        joints: Hypotheses in meters.

    Returns:
        m²; zero for a single hypothesis or fewer than three frames.

    Example:
        >>> noise = 0.03 * torch.randn(50, 40, 17, 3, generator=torch.Generator().manual_seed(0))
        >>> apart = noise + torch.randn(50, 1, 17, 3)
        >>> jitter_covariance(apart).diagonal(dim1=-2, dim2=-1).mean().sqrt().round(decimals=2)
        tensor(0.0300)
    """
    H, F = joints.shape[-4], joints.shape[-3]
    if H < 2 or F < 3:
        shape = (*joints.shape[:-4], *joints.shape[-3:], 3)
        return torch.zeros(shape, dtype=joints.dtype, device=joints.device)
    d = joints - joints.mean(-4, keepdim=True)
    bend = (d[..., 2:, :, :] - 2 * d[..., 1:-1, :, :] + d[..., :-2, :, :]) / math.sqrt(6 * (H - 1))
    known = torch.nan_to_num(bend)
    S = torch.einsum("...hfji,...hfjk->...fjik", known, known)
    S = torch.cat((S[..., :1, :, :, :], S, S[..., -1:, :, :, :]), -4)
    total = torch.nn.functional.pad(S.movedim(-4, -1).cumsum(-1), (1, 0))
    at = torch.arange(F, device=joints.device)
    low, high = (at - 4).clamp(min=0), (at + 5).clamp(max=F)
    return ((total[..., high] - total[..., low]) / (high - low)).movedim(-1, -4)


def smooth_kalman(
    joints: Float[Tensor, "*batch H F J 3"],
    covariance: Float[Tensor, "*batch F J 3 3"],
    fps: float,
    acceleration: float = ACCELERATION,
) -> Float[Tensor, "*batch H F J 3"]:
    """Most probable motions if velocities are disturbed by white noise.

    Args:
        joints: Meters; NaN joints are bridged.
        covariance: Variance of each joint of each frame, m².
        fps: Frames per second.
        acceleration: Standard deviation in m/s².

    Returns:
        Smoothed motions; every hypothesis on its own.

    Raises:
        OptionError: If fps or acceleration is not positive.
        ShapeError: If covariances do not belong to the joints.

    Example:
        >>> still = torch.zeros(4, 60, 17, 3)
        >>> noisy = still + 0.02 * torch.randn(still.shape, generator=torch.Generator())
        >>> R = 0.02**2 * torch.eye(3).expand(60, 17, 3, 3)
        >>> bool(smooth_kalman(noisy, R, 50.0, 3.0).std() < 0.5 * noisy.std())
        True
    """
    if not (fps > 0 and acceleration > 0):
        raise OptionError(f"fps and acceleration are positive, got {fps} and {acceleration}.")
    if covariance.shape != (*joints.shape[:-4], *joints.shape[-3:], 3):
        raise ShapeError(
            f"Covariances {tuple(covariance.shape)} do not belong to joints {tuple(joints.shape)}."
        )
    z = joints.double().movedim(-4, -2).movedim(-4, 0).mT  # F, *batch, J, 3, H
    known = torch.isfinite(z).all(-1).all(-1)
    R = covariance.double().movedim(-4, 0)
    R = R + MIN_STD**2 * torch.eye(3, dtype=torch.float64, device=R.device)
    x = _rts(torch.nan_to_num(z), torch.nan_to_num(R), known, 1 / fps, acceleration)
    return x.mT.movedim(0, -4).movedim(-2, -4).to(joints)


def _rts(z: Tensor, R: Tensor, known: Tensor, dt: float, acceleration: float) -> Tensor:
    """Forward Kalman filter and backward smoother; state: position and velocity, 6 numbers.

    Args:
        z: Positions ``(F, *any, 3, H)``; the hypotheses are columns that share all gains.
        R: Their covariance ``(F, *any, 3, 3)``.
        known: Which are measured, ``(F, *any)``.
        dt: Seconds a frame.
        acceleration: m/s².
    """
    eye = torch.eye(3, dtype=z.dtype, device=z.device)
    step = torch.eye(6, dtype=z.dtype, device=z.device)
    step[:3, 3:] = dt * eye
    noise = acceleration**2 * torch.kron(
        torch.tensor([[dt**4 / 3, dt**3 / 2], [dt**3 / 2, dt**2]], dtype=z.dtype), eye.cpu()
    ).to(z)
    x = torch.cat((_first_known(z, known), torch.zeros_like(z[0])), -2)
    P = torch.diag(z.new_tensor([10.0] * 3 + [25.0] * 3)).expand(*z.shape[1:-2], 6, 6)
    filtered, predicted = [], []
    for f in range(len(z)):
        if f:
            x, P = step @ x, step @ P @ step.mT + noise
        predicted.append((x, P))
        gain = torch.linalg.solve(P[..., :3, :3] + R[f], P[..., :3, :]).mT
        gain = gain * known[f][..., None, None]
        x, P = x + gain @ (z[f] - x[..., :3, :]), P - gain @ P[..., :3, :]
        filtered.append((x, P))
    out = [filtered[-1][0]]
    for f in range(len(z) - 2, -1, -1):
        (x, P), (x_next, P_next) = filtered[f], predicted[f + 1]
        back = torch.linalg.solve(P_next, step @ P).mT
        out.append(x + back @ (out[-1] - x_next))
    return torch.stack(out[::-1])[..., :3, :]


def _first_known(z: Tensor, known: Tensor) -> Tensor:
    """The first measured position of each joint, zero where there is none."""
    first = known.to(torch.int8).argmax(0)
    index = first[None, ..., None, None].expand(1, *z.shape[1:])
    return z.gather(0, index)[0]


def keep_bone_lengths(
    joints: Float[Tensor, "*any F J 3"],
    skeleton: Skeleton,
    lengths: Float[Tensor, "*any B"] | None = None,
) -> Float[Tensor, "*any F J 3"]:
    """The nearest motion whose bones keep their lengths.

    Both ends of a wrong bone are moved by the same distance, bone after bone, in 30 sweeps; then
    children are set to their exact distance, from the root outwards.

    Args:
        joints: Motions; leading axes, such as hypotheses, each have lengths of their own.
        skeleton: Of the joints.
        lengths: In the order of ``skeleton.bones``; the median over frames where None.

    Returns:
        Motions with rigid bones; the root stays where it is. A bone of length zero has no
        direction and stays.

    Raises:
        SkeletonMismatchError: If the joints are not the skeleton's.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> rigid = keep_bone_lengths(torch.randn(2, 9, 17, 3), H36M17)
        >>> bool(bone_lengths(rigid, H36M17).std(-2).max() < 1e-5)
        True
    """
    measured = bone_lengths(joints, skeleton)
    if lengths is None:
        lengths = measured.nanmedian(-2).values
    x = list(joints.unbind(-2))
    wanted = lengths.unsqueeze(-2).unbind(-1)
    for _ in range(N_PROJECTIONS):
        for (parent, child), length in zip(skeleton.bones, wanted, strict=True):
            half = 0.5 * _excess(x[parent], x[child], length)
            x[parent], x[child] = x[parent] + half, x[child] - half
    x = [joint - (x[skeleton.root] - joints[..., skeleton.root, :]) for joint in x]
    for (parent, child), length in _outwards(skeleton, wanted):
        x[child] = x[child] - _excess(x[parent], x[child], length)
    return torch.stack(x, -2)


def _excess(parent: Tensor, child: Tensor, length: Tensor) -> Tensor:
    """The part of the bone beyond its length, as a vector from the parent."""
    bone = child - parent
    now = bone.norm(dim=-1, keepdim=True)
    wanted = torch.where(torch.isfinite(length), length, now[..., 0])[..., None]
    return bone * (1 - wanted / now.clamp(min=1e-9))


def _outwards(
    skeleton: Skeleton, wanted: tuple[Tensor, ...]
) -> list[tuple[tuple[int, int], Tensor]]:
    """Bones with their lengths, parents before children."""

    def generation(joint: int) -> int:
        parent = skeleton.parents[joint]
        return 0 if parent < 0 else 1 + generation(parent)

    pairs = zip(skeleton.bones, wanted, strict=True)
    return sorted(pairs, key=lambda pair: generation(pair[0][1]))
