"""Where the person stands: the root's path from relative joints and their keypoints.

A joint at ``X + t`` seen on the normalized plane at ``(u, v)`` obeys two equations that are linear
in the root t:

    ``t_x - u t_z = u Z - X`` and ``t_y - v t_z = v Z - Y``

so every frame is a weighted linear least-squares problem in three unknowns with a closed form: the
depth is one ratio, the rest follows. Two departures from that plain fit are options:

* ``robust``: a few Gauss–Newton rounds on the reprojection error itself, each joint weighted by
  Huber's rule. This also removes the small pull towards the camera that noise in u and v causes in
  the linear form (about 1 % of depth for keypoint noise of 7 % of the person's spread).
* ``smooth``: the most probable path if keypoints err by what the fit leaves over and the root's
  acceleration is normal with the given standard deviation. One banded linear system per motion;
  depth, which a frame knows badly, is smoothed more than what it knows well. It also bridges gaps
  between frames that were fitted.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from torch import Tensor

from hypopose.cameras.projection import undistort
from hypopose.errors import MissingCameraError, OptionError, ShapeError
from hypopose.types import Keypoints2D

APPROXIMATE_WEIGHT = 0.25
"""Weight of a joint formed from others: it repeats what its sources already said."""

MIN_SPREAD = 1e-4
"""Seen joints must spread this far on the normalized plane (0.1 px at 1000 px focal length)."""

N_ROBUST = 5
"""Gauss–Newton rounds of the robust fit."""

HUBER = 1.345
"""Huber's threshold in standard deviations: 95 % efficient if errors are normal after all."""

DEFAULT_FPS = 30.0
"""Assumed by ``smooth`` for keypoints that do not say."""


def fit_root(
    joints: Float[Tensor, "*any J 3"],
    keypoints: Keypoints2D,
    *,
    weights: Float[Tensor, "*batch F J"] | None = None,
    smooth: float | None = None,
    robust: bool = False,
) -> Float[Tensor, "*any 3"]:
    """Fit the root translation of every frame to the keypoints.

    Convention:
        Camera frame, metres (any unit will do, except with ``smooth``).

    Args:
        joints: Root-relative joints ``(*batch, H, F, J, 3)`` or ``(*batch, F, J, 3)``; NaN joints
            are left out.
        keypoints: Detections with a camera, same skeleton; NaN keypoints are left out.
        weights: Per keypoint; default: the confidence if there is one, a quarter of it for
            joints that the keypoints list as approximate.
        smooth: Standard deviation of the root's acceleration in m/s² (3 suits walking, 10 sport),
            or None to fit frames one by one. Uses ``keypoints.fps``, or 30. Not differentiable.
        robust: Reweight against outliers, see the module.

    Returns:
        Root positions. NaN for frames with fewer than two seen joints, without spread, or whose
        fit lies behind the camera; with ``smooth`` such frames are bridged, except before the
        first and after the last fitted one.

    Raises:
        MissingCameraError: If the keypoints carry no camera.
        ShapeError: If joints and keypoints do not belong together.

    Example:
        >>> from hypopose.cameras import project
        >>> from hypopose.skeletons import H36M17
        >>> from hypopose.types import Camera
        >>> joints = torch.randn(5, 17, 3, generator=torch.Generator().manual_seed(0)) * 0.3
        >>> joints = joints - joints[:, :1]
        >>> camera = Camera.from_fov((1920, 1080))
        >>> xy = project(joints + torch.tensor([0.5, 0.0, 4.0]), camera)
        >>> fit_root(joints, Keypoints2D(xy, H36M17, camera=camera))[0].round(decimals=3).tolist()
        [0.5, 0.0, 4.0]
    """
    if smooth is not None and not smooth > 0:
        raise OptionError(f"smooth is an acceleration in m/s² and must be positive, got {smooth}.")
    uv, w = _observations(joints, keypoints, weights)
    w = w * torch.isfinite(joints).all(-1)
    joints = torch.nan_to_num(joints)
    root = _linear_fit(joints, uv, w)
    if robust:
        root = _robust_fit(joints, uv, w, root)
    if smooth is not None:
        root = _smooth_fit(joints, uv, w, root, (keypoints.fps or DEFAULT_FPS) ** 2 / smooth)
    return root


def _observations(
    joints: Tensor, keypoints: Keypoints2D, weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Normalized keypoints and weights, shaped to broadcast against the joints."""
    if keypoints.camera is None:
        raise MissingCameraError(
            "Fitting the root needs a camera, but these keypoints carry none. Attach one with "
            "keypoints.with_camera(Camera.from_fov(image_size))."
        )
    shape = keypoints.xy.shape[:-1]
    n_extra = joints.dim() - keypoints.xy.dim()
    ours = joints.shape[:-1] if n_extra == 0 else (*joints.shape[:-4], *joints.shape[-3:-1])
    if n_extra not in (0, 1) or ours != shape:
        raise ShapeError(
            f"Joints {tuple(joints.shape)} do not belong to keypoints {tuple(keypoints.xy.shape)}: "
            "they must be (*batch, F, J, 3) or (*batch, H, F, J, 3)."
        )
    if weights is not None and weights.shape != shape:
        raise ShapeError(f"weights must be {tuple(shape)}, got {tuple(weights.shape)}.")
    uv = undistort(keypoints.xy.to(torch.promote_types(joints.dtype, keypoints.xy.dtype)),
                   keypoints.camera)  # fmt: skip
    w = (_default_weights(keypoints) if weights is None else weights).to(uv)
    w = torch.where(torch.isfinite(uv).all(-1) & (w > 0), w, torch.zeros_like(w))
    uv = torch.nan_to_num(uv)
    return (uv.unsqueeze(-4), w.unsqueeze(-3)) if n_extra else (uv, w)


def _default_weights(keypoints: Keypoints2D) -> Tensor:
    confidence = keypoints.confidence
    w = torch.ones_like(keypoints.xy[..., 0]) if confidence is None else confidence
    names = keypoints.skeleton.joint_names
    scale = [APPROXIMATE_WEIGHT if name in keypoints.approximate else 1.0 for name in names]
    return w * w.new_tensor(scale)


def _closed_form(a: Tensor, uv: Tensor, w: Tensor) -> Tensor:
    """The t that minimizes ``Σ w |t_xy - uv t_z + a|²``; NaN where the joints do not decide it."""
    w = w[..., None]
    total = w.sum(-2)
    mean_uv, mean_a = (w * uv).sum(-2) / total, (w * a).sum(-2) / total
    d = uv - mean_uv[..., None, :]
    spread = (w * d * d).sum((-1, -2))
    tz = (w * d * (a - mean_a[..., None, :])).sum((-1, -2)) / spread
    decided = ((w > 0).sum((-1, -2)) >= 2) & (spread > MIN_SPREAD**2 * total[..., 0])
    tz = torch.where(decided, tz, torch.full_like(tz, torch.nan))[..., None]
    return torch.cat((mean_uv * tz - mean_a, tz), -1)


def _linear_fit(joints: Tensor, uv: Tensor, w: Tensor) -> Tensor:
    root = _closed_form(joints[..., :2] - uv * joints[..., 2:], uv, w)
    return _in_front(root, joints, w)


def _in_front(root: Tensor, joints: Tensor, w: Tensor) -> Tensor:
    """NaN for frames with a used joint behind the camera."""
    depth = joints[..., 2] + root[..., 2:]
    behind = ((w > 0) & ~(depth > 0)).any(-1, keepdim=True)
    return torch.where(behind, torch.full_like(root, torch.nan), root)


def _robust_fit(joints: Tensor, uv: Tensor, w: Tensor, root: Tensor) -> Tensor:
    """Gauss–Newton on the reprojection error with Huber weights, scale from the median."""
    for _ in range(N_ROBUST):
        z, seen, error = _reprojection(joints, uv, root)
        size = torch.where(w > 0, error.norm(dim=-1), torch.full_like(z[..., 0], torch.nan))
        limit = HUBER * 1.4826 * size.nanmedian(-1, keepdim=True).values
        limit = limit + 1e-6
        huber = (limit / torch.maximum(size, limit)).nan_to_num(0.0)
        step = _closed_form(z * error, seen, w * huber / (z[..., 0] ** 2))
        root = _in_front(root + step, joints, w)
    return root


def _reprojection(joints: Tensor, uv: Tensor, root: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Depths, normalized projections, and their distance to the keypoints."""
    placed = joints + root[..., None, :]
    z = placed[..., 2:].clamp(min=1e-6)
    seen = placed[..., :2] / z
    return z, seen, seen - uv


def _smooth_fit(joints: Tensor, uv: Tensor, w: Tensor, root: Tensor, stiffness: float) -> Tensor:
    """Penalize second differences; ``stiffness`` is fps² / acceleration, in s⁻² over m/s²."""
    information, noise = _information(joints, uv, w, root)
    flat = root.detach().reshape(-1, *root.shape[-2:]).double().cpu().numpy()
    infos = information.detach().reshape(-1, *information.shape[-3:]).double().cpu().numpy()
    noises = noise.detach().reshape(-1).double().cpu().numpy()
    paths = [
        _smooth_path(path, info, max(stiffness**2 * float(s2), 1e-9))
        for path, info, s2 in zip(flat, infos, noises, strict=True)
    ]
    return torch.from_numpy(np.stack(paths)).reshape(root.shape).to(root)


def _information(joints: Tensor, uv: Tensor, w: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    """What each frame knows about its root, (F, 3, 3), and the noise variance of the motion.

    The variance is the median over frames of the weighted squared error per degree of freedom.
    """
    z, seen, error = _reprojection(joints, uv, root)
    rows = (w / z[..., 0] ** 2)[..., None]
    zero, one = torch.zeros_like(seen[..., :1]), torch.ones_like(seen[..., :1])
    jacobian = torch.stack(
        (
            torch.cat((one, zero, -seen[..., :1]), -1),
            torch.cat((zero, one, -seen[..., 1:]), -1),
        ),
        -2,
    )
    weighted = (jacobian * rows[..., None]).flatten(-3, -2)
    information = weighted.transpose(-1, -2) @ jacobian.flatten(-3, -2)
    freedom = (2 * (w > 0).sum(-1) - 3).clamp(min=1)
    noise = (w[..., None] * error * error).sum((-1, -2)) / freedom
    return information, noise.nanmedian(-1).values


def _smooth_path(
    path: NDArray[np.float64], information: NDArray[np.float64], stiffness: float
) -> NDArray[np.float64]:
    """Minimize ``Σ (t - path)ᵀ I (t - path) + stiffness Σ |t'' |²`` between first and last fit."""
    known = np.asarray(np.isfinite(path).all(axis=-1))
    fitted = np.flatnonzero(known)
    result = np.full_like(path, np.nan)
    if len(fitted) == 0:
        return result
    window = slice(fitted[0], fitted[-1] + 1)
    info = np.where(known[window, None, None], information[window], 0.0)
    target = np.where(known[window, None], path[window], 0.0)
    bands = _bands(info, stiffness)
    pull = np.einsum("fcd,fd->fc", info, target).reshape(-1)
    result[window] = solveh_banded(bands, pull, lower=True).reshape(-1, 3)
    return result


def _bands(info: NDArray[np.float64], stiffness: float) -> NDArray[np.float64]:
    """Lower bands of block-diagonal information plus the second-difference penalty."""
    n = len(info)
    bands = np.zeros((7, n, 3))
    bands[0] = info[:, [0, 1, 2], [0, 1, 2]]
    bands[1, :, :2] = info[:, [1, 2], [0, 1]]
    bands[2, :, 0] = info[:, 2, 0]
    if n > 2:
        for offset, weight in ((0, 1.0), (1, 4.0), (2, 1.0)):
            bands[0, offset : n - 2 + offset] += stiffness * weight
        bands[3, : n - 2] -= 2 * stiffness
        bands[3, 1 : n - 1] -= 2 * stiffness
        bands[6, : n - 2] += stiffness
    return bands.reshape(7, -1)
