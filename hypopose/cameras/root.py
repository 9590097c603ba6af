"""Where the person stands: the root's path from relative joints and their keypoints.

A joint at ``X + t`` seen on the normalized plane at ``(u, v)`` obeys two equations that are linear
in the root t:

    ``t_x - u t_z = u Z - X`` and ``t_y - v t_z = v Z - Y``

so every frame is a weighted linear least-squares problem in three unknowns with a closed form: the
depth is one ratio, the rest follows. Two departures from that plain fit are options:

* ``robust``: a few Gauss–Newton rounds on the reprojection error itself, each joint weighted by
  Huber's rule. This also removes the small pull towards the camera that noise in u and v causes in
  the linear form (about 1 % of depth for keypoint noise of 7 % of the person's spread).
* ``smooth``: one Gauss–Newton step towards the most probable path, if keypoints err by what the fit
  leaves over and the root's acceleration is normal with the given standard deviation. One banded
  linear system per motion; depth, which single frames determine poorly, is smoothed more than the
  other directions. It also bridges gaps between frames that were fitted.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from hypopose.cameras.projection import undistort
from hypopose.errors import MissingCameraError, OptionError, ShapeError
from hypopose.types import ASSUMED_FPS, Keypoints2D

APPROXIMATE_WEIGHT = 0.25
"""Weight of a joint formed from others: it repeats what its sources already said."""

MIN_SPREAD = 1e-4
"""Seen joints must spread this far on the normalized plane (0.1 px at 1000 px focal length)."""

N_ROBUST = 5
"""Gauss–Newton rounds of the robust fit."""

HUBER = 1.345
"""Huber's threshold in standard deviations: 95 % efficient if errors are normal after all."""


def fit_root(
    joints: Float[Tensor, "*any J 3"],
    keypoints: Keypoints2D,
    *,
    weights: Float[Tensor, "*batch F _J"] | None = None,
    smooth: float | None = None,
    robust: bool = False,
) -> Float[Tensor, "*any 3"]:
    """Fit the root translation of every frame to the keypoints.

    Convention:
        Camera frame, meters (any unit will do, except with ``smooth``).

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
        >>> xy = project(joints + torch.tensor([0.5, 0.25, 4.0]), camera)
        >>> fit_root(joints, Keypoints2D(xy, H36M17, camera=camera))[0].round(decimals=2).tolist()
        [0.5, 0.25, 4.0]
    """
    if smooth is not None and not smooth > 0:
        raise OptionError(f"smooth is an acceleration in m/s² and must be positive, got {smooth}.")
    uv, w = _observations(joints, keypoints, weights)
    if not bool(torch.isfinite(joints).all()):
        w = w * torch.isfinite(joints).all(-1)
        joints = torch.nan_to_num(joints)
    root = _linear_fit(joints, uv, w)
    if robust:
        root, w = _robust_fit(joints, uv, w, root)
    if smooth is not None:
        root = _smooth_fit(joints, uv, w, root, (keypoints.fps or ASSUMED_FPS) ** 2 / smooth)
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
    """The t that minimizes ``Σ w |t_xy - uv t_z + a|²``; NaN where it is not determined."""
    share = _normalized(w)[..., None]
    mean_uv, mean_a = (share * uv).sum(-2), (share * a).sum(-2)
    d = uv - mean_uv[..., None, :]
    spread = _decided((share * d * d).sum((-1, -2)), w)
    tz = ((share * d * a).sum((-1, -2)) / spread)[..., None]
    return torch.cat((mean_uv * tz - mean_a, tz), -1)


def _linear_fit(joints: Tensor, uv: Tensor, w: Tensor) -> Tensor:
    """For given keypoints the fitted root is a linear map of the joints: hypotheses share it.

    The map is :func:`_closed_form` of ``a = X_xy - uv Z`` for every unit joint coordinate.
    """
    one = torch.eye(2, dtype=uv.dtype, device=uv.device).expand(*uv.shape[:-1], 2, 2)
    a = torch.cat((one, -uv[..., None, :]), -2)  # (..., J, 3, 2): what each coordinate adds to a
    a = a * _normalized(w)[..., None, None]
    mean_uv = (_normalized(w)[..., None] * uv).sum(-2)
    d = uv - mean_uv[..., None, :]
    spread = (_normalized(w)[..., None] * d * d).sum((-1, -2))
    to_depth = (a * d[..., None, :]).sum(-1).flatten(-2) / _decided(spread, w)[..., None]
    to_xy = mean_uv[..., None] * to_depth[..., None, :] - a.flatten(-3, -2).mT
    maps = torch.cat((to_xy, to_depth[..., None, :]), -2)
    root = torch.einsum("...ck,...k->...c", maps.to(joints), joints.flatten(-2))
    return _in_front(root, joints, w)


def _normalized(w: Tensor) -> Tensor:
    return w / w.sum(-1, keepdim=True)


def _decided(spread: Tensor, w: Tensor) -> Tensor:
    """The weighted spread of the seen joints; NaN where it does not determine a depth."""
    enough = ((w > 0).sum(-1) >= 2) & (spread > MIN_SPREAD**2)
    return torch.where(enough, spread, torch.full_like(spread, torch.nan))


def _in_front(root: Tensor, joints: Tensor, w: Tensor) -> Tensor:
    """NaN for frames with a used joint behind the camera."""
    depth = joints[..., 2] + root[..., 2:]
    behind = ((w > 0) & ~(depth > 0)).any(-1, keepdim=True)
    return torch.where(behind, torch.full_like(root, torch.nan), root)


def _robust_fit(joints: Tensor, uv: Tensor, w: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    """Gauss–Newton on the reprojection error with Huber weights, scale from the median.

    Returns the root and the weights of the last round.
    """
    weights = w
    for _ in range(N_ROBUST):
        z, seen, error = _reprojection(joints, uv, root)
        size = torch.where(w > 0, error.norm(dim=-1), torch.full_like(z[..., 0], torch.nan))
        limit = HUBER * 1.4826 * size.nanmedian(-1, keepdim=True).values
        limit = limit + 1e-6
        huber = (limit / torch.maximum(size, limit)).nan_to_num(0.0)
        weights = w * huber
        step = _closed_form(z * error, seen, weights / (z[..., 0] ** 2))
        root = _in_front(root + step, joints, w)
    return root, weights


def _reprojection(joints: Tensor, uv: Tensor, root: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Depths, normalized projections, and their distance to the keypoints."""
    placed = joints + root[..., None, :]
    z = placed[..., 2:].clamp(min=1e-6)
    seen = placed[..., :2] / z
    return z, seen, seen - uv


def _smooth_fit(joints: Tensor, uv: Tensor, w: Tensor, root: Tensor, stiffness: float) -> Tensor:
    """Penalize second differences; ``stiffness`` is fps² / acceleration, in s⁻² over m/s²."""
    information, pull, noise = _normal_equations(joints, uv, w, root)
    systems = zip(_per_motion(information, 3), _per_motion(pull, 2), noise.flatten(), strict=True)
    paths = [
        _smooth_path(info, p, max(stiffness**2 * float(variance), 1e-9))
        for info, p, variance in systems
    ]
    return torch.from_numpy(np.stack(paths)).reshape(root.shape).to(root)


def _per_motion(x: Tensor, n_own: int) -> NDArray[np.float64]:
    """One leading axis for batch and hypotheses before F and whatever follows it."""
    motions: NDArray[np.float64] = x.detach().double().cpu().numpy()
    return motions.reshape(-1, *x.shape[-n_own:])


def _normal_equations(
    joints: Tensor, uv: Tensor, w: Tensor, root: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """A Gauss–Newton step of every frame as ``information t = pull``, and the noise variance.

    The variance is the median over frames of the weighted squared error per degree of freedom.
    """
    z, seen, error = _reprojection(joints, uv, root)
    eye = torch.eye(2, dtype=seen.dtype, device=seen.device).expand(*seen.shape[:-1], 2, 2)
    jacobian = (torch.cat((eye, -seen[..., None]), -1) / z[..., None]).flatten(-3, -2)
    weighted = jacobian * w.repeat_interleave(2, -1)[..., None]
    information = weighted.mT @ jacobian
    downhill = (weighted.mT @ error.flatten(-2)[..., None])[..., 0]
    pull = (information @ root[..., None])[..., 0] - downhill
    freedom = (2 * (w > 0).sum(-1) - 3).clamp(min=1)
    noise = (w[..., None] * error * error).sum((-1, -2)) / freedom
    return information, pull, noise.nanmedian(-1).values


def _smooth_path(
    information: NDArray[np.float64], pull: NDArray[np.float64], stiffness: float
) -> NDArray[np.float64]:
    """Minimize ``Σ (tᵀ I t - 2 tᵀ pull) + stiffness Σ |t''|²`` between first and last fit.

    Frames whose pull is NaN carry no information and are bridged.
    """
    from scipy.linalg import solveh_banded

    known = np.asarray(np.isfinite(pull).all(axis=-1))
    fitted = np.flatnonzero(known)
    path = np.full_like(pull, np.nan)
    if len(fitted) == 0:
        return path
    window = slice(fitted[0], fitted[-1] + 1)
    info = np.where(known[window, None, None], information[window], 0.0)
    right = np.where(known[window, None], pull[window], 0.0)
    path[window] = solveh_banded(_bands(info, stiffness), right.reshape(-1), lower=True).reshape(
        -1, 3
    )
    return path


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
