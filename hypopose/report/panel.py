"""The data of the interactive 3D panel: hypotheses, ellipsoids and 2D input as small integers.

Coordinates are stored as 16-bit integers of a scale per array, packed in base64: 20 hypotheses of
300 frames need 0.8 MB, at a resolution of less than 0.1 mm. No statistics are computed in the page:
mean and 80 % ellipsoids come from *all* hypotheses, also where only some are shown.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hypopose.ambiguity import Ambiguity, joint_covariance
from hypopose.cameras import hypothesis_camera, project
from hypopose.errors import ShapeError, SkeletonMismatchError
from hypopose.types import Hypotheses, Keypoints2D, Poses3D

MISSING = -32768
"""The integer that stands for NaN."""

ELLIPSOID_SCALE = 2.1544346
"""Standard deviations whose ellipsoid holds 80 % of a 3D normal: sqrt of chi-square(3) at 0.8."""

_THINNEST = 0.003
"""Meters added (as a standard deviation) so that flat ellipsoids can be seen."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One clip as the report shows it; arrays, not files.

    Args:
        name: What tables and menus call it.
        hypotheses: ``(H, F, J, 3)``, without batch axes.
        keypoints: What was sampled from, in the same frames; any skeleton.
        pose: An aggregate to show, or None.
        truth: The truth to show, or None.
        ambiguity: Of the hypotheses; None where there are too few.
        settings: How it was made, in words; ``weights`` and ``spread`` are looked at.
        pictures: Frame -> what the camera saw then, as the address of an image (``data:``); shown
            under the keypoints.
        method: The column of tables it belongs to; its own name if empty.

    Raises:
        ShapeError: If there are batch axes, or frames disagree.
        SkeletonMismatchError: If pose or truth have another skeleton than the hypotheses.
    """

    name: str
    hypotheses: Hypotheses
    keypoints: Keypoints2D
    pose: Poses3D | None = None
    truth: Poses3D | None = None
    ambiguity: Ambiguity | None = None
    settings: dict[str, str] | None = None
    pictures: Mapping[int, str] | None = None
    method: str = ""

    def __post_init__(self) -> None:
        if self.hypotheses.joints.dim() != 4 or self.keypoints.xy.dim() != 3:
            raise ShapeError("A scene is one clip, without batch axes; make one for each.")
        n_frames = self.hypotheses.joints.shape[1]
        others = [self.keypoints.xy, *(p.joints for p in (self.pose, self.truth) if p is not None)]
        if any(x.shape[0] != n_frames for x in others):
            raise ShapeError(f"The scene {self.name!r} mixes clips of different lengths.")
        for pose in (self.pose, self.truth):
            if pose is not None and pose.skeleton != self.hypotheses.skeleton:
                raise SkeletonMismatchError(
                    f"The hypotheses of {self.name!r} are {self.hypotheses.skeleton.name}, what is "
                    f"shown with them is {pose.skeleton.name}; convert first."
                )


def panel_data(scene: Scene, max_hypotheses: int = 20, max_frames: int = 600) -> dict[str, Any]:
    """What the page's script reads.

    Args:
        scene: One clip.
        max_hypotheses: Shown at most, evenly spaced; mean and ellipsoids use all.
        max_frames: Shown at most, evenly spaced.

    Returns:
        JSON-ready: names, bones, and arrays packed as :func:`pack` does. ``notes`` says what was
        left out.
    """
    hypotheses, notes = scene.hypotheses, []
    frames = _evenly(hypotheses.joints.shape[1], max_frames)
    shown = _evenly(len(hypotheses), max_hypotheses)
    if len(frames) < hypotheses.joints.shape[1]:
        notes.append(f"{len(frames)} of {hypotheses.joints.shape[1]} frames are shown")
    if len(shown) < len(hypotheses):
        notes.append(f"{len(shown)} of {len(hypotheses)} hypotheses are drawn")
    skeleton, keypoints = hypotheses.skeleton, scene.keypoints
    x = hypotheses.joints[:, frames]
    data = {
        "name": scene.name,
        "joints": list(skeleton.joint_names),
        "bones": [list(bone) for bone in skeleton.bones],
        "left": list(skeleton.left),
        "right": list(skeleton.right),
        "bones2d": [list(bone) for bone in keypoints.skeleton.bones],
        "left2d": list(keypoints.skeleton.left),
        "right2d": list(keypoints.skeleton.right),
        "frames": frames,
        "shown": shown,
        "n_hypotheses": len(hypotheses),
        "fps": keypoints.fps,
        "image": list(_image_size(keypoints)),
        "hypotheses": pack(x[shown]),
        "mean": pack(x.mean(0)),
        "keypoints": pack(_near_image(keypoints.xy[frames], keypoints)),
        "notes": notes,
    }
    if scene.pictures:
        data["pictures"] = [scene.pictures.get(f) for f in frames]
    if len(hypotheses) > 1:
        data["ellipsoids"] = pack(ELLIPSOID_SCALE * ellipsoid_factors(hypotheses)[frames])
    if scene.truth is not None:
        data["truth"] = pack(scene.truth.joints[frames])
    reprojected = _reprojection(scene)
    if reprojected is not None:
        data["reprojection"] = pack(_near_image(reprojected[shown][:, frames], keypoints))
    return data


def ellipsoid_factors(hypotheses: Hypotheses) -> Tensor:
    """Lower-triangular factors that turn a unit sphere into each joint's 1-sigma ellipsoid.

    3 mm of round scatter are added, so that an ellipsoid without thickness can be seen.

    Args:
        hypotheses: Two or more.

    Returns:
        ``(F, J, 6)``: entries 00, 10, 11, 20, 21, 22 in meters, axes of the camera frame.

    Example:
        >>> from hypopose.skeletons import H36M17
        >>> x = torch.randn(20, 1, 17, 3, generator=torch.Generator().manual_seed(0))
        >>> f = ellipsoid_factors(Hypotheses(x, H36M17))
        >>> abs(f[0, 5, 0].item() - x[:, 0, 5, 0].std().item()) < 1e-4
        True
    """
    covariance = joint_covariance(hypotheses)
    nan = torch.isnan(covariance).flatten(-2).any(-1)
    safe = covariance.nan_to_num() + _THINNEST**2 * torch.eye(3, dtype=covariance.dtype)
    factor = torch.linalg.cholesky(safe)
    rows, columns = torch.tril_indices(3, 3)
    return torch.where(nan[..., None], torch.nan, factor[..., rows, columns])


def pack(x: Tensor) -> dict[str, Any]:
    """Numbers as base64 of little-endian 16-bit integers, with their scale.

    Args:
        x: Any shape; what is not finite becomes :data:`MISSING`.

    Returns:
        ``shape``, ``scale`` (one unit of the integers) and ``data``.

    Example:
        >>> pack(torch.tensor([1.0, -2.0]))["shape"]
        [2]
    """
    values = x.detach().cpu().double().numpy()
    finite = np.isfinite(values)
    largest = float(np.abs(values[finite]).max()) if bool(finite.any()) else 0.0
    scale = largest / 32767 if largest > 0 else 1.0
    integers = np.where(finite, np.round(np.where(finite, values, 0.0) / scale), MISSING)
    data = base64.b64encode(integers.astype("<i2").tobytes()).decode("ascii")
    return {"shape": list(values.shape), "scale": scale, "data": data}


def unpack(packed: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What :func:`pack` packed, to half a unit of its scale.

    Args:
        packed: From :func:`pack`.

    Returns:
        Float64; NaN where the value was missing.

    Example:
        >>> unpack(pack(torch.tensor([0.5, float("nan")]))).tolist()
        [0.5, nan]
    """
    integers = np.frombuffer(base64.b64decode(packed["data"]), "<i2").reshape(packed["shape"])
    values = integers * float(packed["scale"])
    return np.where(integers == MISSING, np.nan, values)


def _evenly(n: int, at_most: int) -> list[int]:
    if n <= at_most:
        return list(range(n))
    return [round(i * (n - 1) / (at_most - 1)) for i in range(at_most)]


def _image_size(keypoints: Keypoints2D) -> tuple[int, int]:
    """Pixels; the extent of the keypoints where it is unknown."""
    if keypoints.image_size is not None:
        return keypoints.image_size
    if keypoints.camera is not None:
        return keypoints.camera.image_size
    seen = keypoints.xy[keypoints.detected]
    if not len(seen):
        return 1, 1
    w, h = seen.amax(0).tolist()
    return max(1, math.ceil(w * 1.05)), max(1, math.ceil(h * 1.05))


def _near_image(px: Tensor, keypoints: Keypoints2D) -> Tensor:
    """Without points more than an image's size outside of the image."""
    size = torch.tensor(_image_size(keypoints), dtype=px.dtype)
    near = ((px > -size) & (px < 2 * size)).all(-1, keepdim=True)
    return torch.where(near, px, torch.full_like(px, torch.nan))


def _reprojection(scene: Scene) -> Tensor | None:
    """Hypotheses projected by their own cameras, in pixels; None without root."""
    root, camera = scene.hypotheses.root, scene.keypoints.camera
    if root is None or camera is None or camera.focal.dim() != 1:
        return None
    seen_by = hypothesis_camera(scene.hypotheses, camera)
    return project(scene.hypotheses.joints + root[..., None, :], seen_by)
