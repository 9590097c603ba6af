"""What keypoints say about a motion in the world: residuals, their slopes, and Gaussian updates.

A camera's keypoints are brought to the normalized plane first, lens undone, so that no distortion
polynomial is ever evaluated where it explodes. Each keypoint has a precision from its covariance or
confidence; one that is missing has none. Keypoints of any skeleton are read through a linear
regressor from the joints of the motion. Nothing here knows the truth.

| symbol | here |
| --- | --- |
| û, its variance r² per slot | ``slots``, ``variance`` |
| placement z ~ N(0, 1), o = m + S z | ``place``, ``mean``, ``std``: metres, pitch in rad |
| L'(y - h(u, o)) | ``residual``: whitened, with a third row that holds points in front |
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras import undistort
from hypopose.errors import MissingCameraError, OptionError
from hypopose.types import Keypoints2D

MIN_DEPTH = 0.2
"""Points nearer than so many metres are projected as if there, and pulled to the front."""

FRONT_STD = 0.05
"""How strongly: the standard deviation in metres of not being in front."""


@dataclass(frozen=True, eq=False)
class View:
    """One camera's keypoints on the normalized plane; lengths in metres.

    Args:
        uv: Keypoints with the lens undone, 0 where missing.
        root_precision: Transposed Cholesky factor of each keypoint's precision; 0 where missing.
        rotation: World to camera, per frame.
        translation: World to camera, per frame.
        focal: Pixels.
        half_image: Half of the longer image side in pixels.
    """

    uv: Float[Tensor, "F K 2"]
    root_precision: Float[Tensor, "F K 2 2"]
    rotation: Float[Tensor, "F 3 3"]
    translation: Float[Tensor, "F 3"]
    focal: Float[Tensor, "2"]
    half_image: float

    @property
    def seen(self) -> Tensor:
        """Boolean (F, K)."""
        return self.root_precision[..., 0, 0] > 0


def view_of(keypoints: Keypoints2D, *, sigma_px: float | None, pitch_deg: float) -> View:
    """Prepare one camera's keypoints.

    Args:
        keypoints: One clip with a camera. A camera without rotation stands level, ``pitch_deg``
            down, at the origin of the world.
        sigma_px: Standard deviation of a keypoint of confidence 1; None for half a percent of the
            longer image side. Keypoints with a covariance use that.
        pitch_deg: Of a camera that does not know its rotation.

    Raises:
        MissingCameraError: If there is no camera.
        OptionError: If a covariance is not positive definite.
    """
    camera = keypoints.camera
    if camera is None:
        raise MissingCameraError(
            "Platypose projects motions into the image, but these keypoints carry no camera. "
            "Attach one with keypoints.with_camera(Camera.from_fov(image_size))."
        )
    F = keypoints.n_frames
    seen = keypoints.detected
    if keypoints.confidence is not None:
        seen = seen & (keypoints.confidence > 0)
    uv = undistort(keypoints.xy.double(), camera)
    seen = seen & torch.isfinite(uv).all(-1)
    focal = camera.focal.double()
    factor = _factor(keypoints, seen, sigma_px or 0.005 * max(camera.image_size))
    rotation = camera.rotation if camera.rotation is not None else level_rotation(pitch_deg)
    shift = camera.translation if camera.translation is not None else torch.zeros(3)
    return View(
        torch.where(seen[..., None], uv, 0.0),
        torch.where(seen[..., None, None], factor * focal, 0.0),
        rotation.double().expand(F, 3, 3),
        shift.double().expand(F, 3),
        focal,
        max(camera.image_size) / 2,
    )


def _factor(keypoints: Keypoints2D, seen: Tensor, sigma_px: float) -> Tensor:
    """L' with L L' = precision in 1/px²; confidence divides the variance."""
    eye = torch.eye(2, dtype=torch.float64).expand(*seen.shape, 2, 2)
    if keypoints.covariance is None:
        share = torch.ones(seen.shape, dtype=torch.float64)
        if keypoints.confidence is not None:
            share = keypoints.confidence.double().clamp(0, 1)
        return eye * (share.sqrt() / sigma_px)[..., None, None]
    covariance = torch.where(seen[..., None, None], keypoints.covariance.double(), eye)
    factor, wrong = torch.linalg.cholesky_ex(torch.linalg.inv(covariance))
    if bool(wrong.any()) or not bool(torch.isfinite(factor).all()):
        raise OptionError(
            "A keypoint's covariance is not positive definite (px²); mend or drop it."
        )
    return factor.mT


def level_rotation(pitch_deg: float) -> Float[Tensor, "3 3"]:
    """World (z up) to a camera that looks along y, turned down by ``pitch_deg``; no roll.

    Example:
        >>> (level_rotation(0.0) + 0.0).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
    """
    c, s = math.cos(math.radians(pitch_deg)), math.sin(math.radians(pitch_deg))
    return torch.tensor([[1.0, 0.0, 0.0], [0.0, -s, -c], [0.0, c, -s]])


@dataclass(frozen=True, eq=False)
class Seen:
    """A motion beside the keypoints of one view.

    Args:
        residual: Whitened keypoints less projections, and how far behind the front.
        slope: Of the whitened projection by the world point.
        turn: Of the whitened projection by the camera's pitch.
        depth: Metres along the optical axis.
    """

    residual: Float[Tensor, "H F K 3"]
    slope: Float[Tensor, "H F K 3 3"]
    turn: Float[Tensor, "H F K 3"]
    depth: Float[Tensor, "H F K"]


def look(points: Float[Tensor, "H F K 3"], pitch: Float[Tensor, " H"], view: View) -> Seen:
    """Compare world points with a view.

    Args:
        points: World metres.
        pitch: Further pitch of the camera in rad, per hypothesis.
        view: Keypoints.
    """
    cam, bend = to_camera(points, pitch, view), _pitched(pitch)
    z = cam[..., 2]
    near = z < MIN_DEPTH
    safe = z.clamp(min=MIN_DEPTH)
    uv = cam[..., :2] / safe[..., None]
    zero = torch.zeros_like(z)
    in_depth = torch.where(near[..., None], 0.0, -uv / safe[..., None])
    push = torch.where(near & view.seen, 1 / FRONT_STD, 0.0)
    rows = torch.stack([1 / safe, zero, in_depth[..., 0], zero, 1 / safe, in_depth[..., 1]], -1)
    by_cam = torch.einsum("fkab,hfkbc->hfkac", view.root_precision, rows.reshape(*z.shape, 2, 3))
    by_cam = torch.cat([by_cam, torch.stack([zero, zero, push], -1)[..., None, :]], -2)
    error = torch.einsum("fkab,hfkb->hfka", view.root_precision, view.uv - uv)
    residual = torch.cat([error, (push * (MIN_DEPTH - z))[..., None]], -1)
    slope = torch.einsum("hfkab,hbc,fcd->hfkad", by_cam, bend, view.rotation)
    around = torch.stack([zero, -cam[..., 2], cam[..., 1]], -1)
    return Seen(residual, slope, (by_cam * around[..., None, :]).sum(-1), z)


def to_camera(
    points: Float[Tensor, "H F K 3"], pitch: Float[Tensor, " H"], view: View
) -> Float[Tensor, "H F K 3"]:
    """World points in the view's camera frame, its pitch changed by ``pitch``."""
    cam = torch.einsum("fab,hfkb->hfka", view.rotation, points) + view.translation[:, None]
    return torch.einsum("hab,hfkb->hfka", _pitched(pitch), cam)


def _pitched(angle: Tensor) -> Tensor:
    """Rotation about the camera's x axis, (H, 3, 3)."""
    c, s, one, zero = angle.cos(), angle.sin(), torch.ones_like(angle), torch.zeros_like(angle)
    return torch.stack([one, zero, zero, zero, c, -s, zero, s, c], -1).reshape(-1, 3, 3)


def slots_to_points(regressor: Float[Tensor, "K J"]) -> Float[Tensor, "K J"]:
    """From a regressor of absolute joints to one of slots: the root counts for every joint."""
    matrix = regressor.clone()
    matrix[:, 0] = regressor.sum(1)
    return matrix


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the motion's frame lies in the world: offset (x, y, z) in metres and pitch in rad.

    Args:
        mean: Most likely.
        std: Of a normal distribution; 0 for what is known.
    """

    mean: Float[Tensor, "4"]
    std: Float[Tensor, "4"]

    def at(self, place: Float[Tensor, "H 4"]) -> Float[Tensor, "H 4"]:
        """Offsets and pitch of standardized placements."""
        return self.mean + self.std * place


def posterior_mean(
    slots: Float[Tensor, "H F J 3"],
    place: Float[Tensor, "H 4"],
    variance: Float[Tensor, " J"],
    place_variance: float,
    views: tuple[View, ...],
    matrix: Float[Tensor, "K J"],
    placement: Placement,
    n_rounds: int = 2,
) -> tuple[Tensor, Tensor]:
    """What motion and placement are expected once the keypoints are known.

    Gauss–Newton rounds on ``|u - û|² / r² + |z - ẑ|² / v + |residual|²``: with a linear camera the
    first round is the exact conditional mean of normal variables. Frames meet only in the
    placement, which is eliminated.

    Args:
        slots: û, metres.
        place: ẑ.
        variance: r² of each slot's coordinates, m².
        place_variance: v.
        views: Keypoints of every camera.
        matrix: From slots to keypoints, see :func:`slots_to_points`.
        placement: What z means.
        n_rounds: Linearizations.

    Returns:
        The motion and the placement; not finite where a hypothesis went astray.
    """
    u, z = slots, place
    precision = (1 / variance).repeat_interleave(3)
    for _ in range(n_rounds):
        o = placement.at(z)
        points = torch.einsum("kj,hfjc->hfkc", matrix, u) + o[:, None, None, :3]
        normal, right, cross, corner, pull = _equations(points, o[:, 3], views, matrix, placement)
        normal = normal + torch.diag(precision)
        right = right - ((u - slots) * variance.reciprocal()[:, None]).flatten(2)
        corner = corner + torch.eye(4).to(corner) / place_variance
        pull = pull - (z - place) / place_variance
        factor, _ = torch.linalg.cholesky_ex(normal)
        solved = torch.cholesky_solve(torch.cat([right[..., None], cross], -1), factor)
        along, across = solved[..., 0], solved[..., 1:]
        corner = corner - torch.einsum("hfai,hfaj->hij", cross, across)
        pull = pull - torch.einsum("hfai,hfa->hi", cross, along)
        dz = torch.linalg.solve_ex(corner, pull[..., None])[0][..., 0].clamp(-1, 1)
        z = z + dz
        u = u + (along - torch.einsum("hfai,hi->hfa", across, dz)).reshape(u.shape)
    return u, z


def _equations(
    points: Tensor,
    pitch: Tensor,
    views: tuple[View, ...],
    matrix: Tensor,
    placement: Placement,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Normal matrix and right side of motion, cross terms, and those of the placement."""
    H, F, K, _ = points.shape
    info, pulled = points.new_zeros(H, F, K, 3, 3), torch.zeros_like(points)
    mixed = points.new_zeros(H, F, K, 3, 4)
    corner, pull = points.new_zeros(H, 4, 4), points.new_zeros(H, 4)
    for view in views:
        seen = look(points, pitch, view)
        by_place = torch.cat([seen.slope, seen.turn[..., None]], -1) * placement.std
        info = info + seen.slope.mT @ seen.slope
        pulled = pulled + (seen.slope.mT @ seen.residual[..., None])[..., 0]
        mixed = mixed + seen.slope.mT @ by_place
        corner = corner + torch.einsum("hfkai,hfkaj->hij", by_place, by_place)
        pull = pull + torch.einsum("hfkai,hfka->hi", by_place, seen.residual)
    pairs = torch.einsum("ki,kj->kij", matrix, matrix).flatten(1)
    normal = torch.einsum("kp,hfkq->hfpq", pairs, info.flatten(-2))
    J = matrix.shape[1]
    normal = normal.reshape(H, F, J, J, 3, 3).transpose(3, 4)
    right = torch.einsum("kj,hfkc->hfjc", matrix, pulled).flatten(2)
    cross = torch.einsum("kj,hfkcd->hfjcd", matrix, mixed).flatten(2, 3)
    return normal.reshape(H, F, 3 * J, 3 * J), right, cross, corner, pull
