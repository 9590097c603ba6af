"""The likelihood of keypoints for a motion in the world: residuals, derivatives, Gaussian updates.

A camera's keypoints are brought to the normalized plane first, lens undone, so that no distortion
polynomial is evaluated outside its valid range. Each keypoint has a precision from its covariance
or confidence; one that is missing has none. Keypoints of any skeleton are read through a linear
regressor from the joints of the motion. The truth is not used.

| symbol | here |
| --- | --- |
| û; Λ and B | ``joints``; ``errors``, an :class:`~.error_covariance.ErrorCovariance` |
| placement z ~ N(0, 1), o = m + S z | ``place``, ``mean``, ``std``: meters, pitch in rad |
| L'(y - h(u, o)) | ``residual``: whitened, with a third row that holds points in front |
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras import undistort
from hypopose.errors import MissingCameraError, OptionError
from hypopose.samplers.platypose.error_covariance import BlockChain, ErrorCovariance
from hypopose.types import Keypoints2D

MIN_DEPTH = 0.2
"""Points nearer than so many meters are projected as if there, and pulled to the front."""

FRONT_STD = 0.05
"""How strongly: the standard deviation in meters of not being in front."""


@dataclass(frozen=True, eq=False)
class View:
    """One camera's keypoints on the normalized plane; lengths in meters.

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


def view_of(
    keypoints: Keypoints2D,
    *,
    sigma_px: float | None,
    pitch_deg: float,
    tilted: Float[Tensor, "3 3"] | None = None,
) -> View:
    """Prepare one camera's keypoints.

    Args:
        keypoints: One clip with a camera. A camera without rotation stands level, ``pitch_deg``
            down, at the origin of the world.
        sigma_px: Standard deviation of a keypoint of confidence 1; None for half a percent of the
            longer image side. Keypoints with a covariance use that.
        pitch_deg: Of a camera that does not know its rotation.
        tilted: World to camera for a camera that does not know its rotation, in place of
            ``pitch_deg``.

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
    assumed = level_rotation(pitch_deg) if tilted is None else tilted
    rotation = camera.rotation if camera.rotation is not None else assumed
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
    precision, singular = torch.linalg.inv_ex(covariance)
    factor, wrong = torch.linalg.cholesky_ex(precision)
    if bool((singular | wrong).any()) or not bool(torch.isfinite(factor).all()):
        raise OptionError(
            "A keypoint's covariance is not positive definite (px²); correct or drop it."
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
class ViewResidual:
    """A motion beside the keypoints of one view.

    Args:
        residual: Whitened keypoints less projections, and how far behind the front.
        slope: Of the whitened projection by the world point.
        turn: Of the whitened projection by the camera's pitch.
        depth: Meters along the optical axis.
    """

    residual: Float[Tensor, "H F K 3"]
    slope: Float[Tensor, "H F K 3 3"]
    turn: Float[Tensor, "H F K 3"]
    depth: Float[Tensor, "H F K"]


def look(points: Float[Tensor, "H F K 3"], pitch: Float[Tensor, " H"], view: View) -> ViewResidual:
    """Compare world points with a view.

    Args:
        points: World meters.
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
    return ViewResidual(residual, slope, (by_cam * around[..., None, :]).sum(-1), z)


def to_camera(
    points: Float[Tensor, "H F K 3"], pitch: Float[Tensor, " H"], view: View
) -> Float[Tensor, "H F K 3"]:
    """World points in the view's camera frame, its pitch changed by ``pitch``."""
    cam = points @ view.rotation.mT.to(points) + view.translation[:, None].to(points)
    return cam @ _pitched(pitch).mT[:, None].to(points)


def _pitched(angle: Tensor) -> Tensor:
    """Rotation about the camera's x axis, (H, 3, 3)."""
    c, s, one, zero = angle.cos(), angle.sin(), torch.ones_like(angle), torch.zeros_like(angle)
    return torch.stack([one, zero, zero, zero, c, -s, zero, s, c], -1).reshape(-1, 3, 3)


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the motion's frame lies in the world: offset (x, y, z) in meters and pitch in rad.

    Args:
        mean: Most likely.
        std: Of a normal distribution; 0 for what is known.
    """

    mean: Float[Tensor, "4"]
    std: Float[Tensor, "4"]

    def at(self, place: Float[Tensor, "H 4"]) -> Float[Tensor, "H 4"]:
        """Offsets and pitch of standardized placements."""
        return self.mean + self.std * place


def conditioned(
    joints: Float[Tensor, "H F J 3"],
    place: Float[Tensor, "H 4"],
    errors: ErrorCovariance,
    place_variance: float,
    views: tuple[View, ...],
    regressor: Float[Tensor, "K J"] | None,
    placement: Placement,
    *,
    fresh: tuple[Tensor, Tensor] | None = None,
    n_rounds: int = 2,
) -> tuple[Tensor, Tensor]:
    """Motion and placement given the keypoints: their mean, or a draw.

    Gauss–Newton rounds on ``c'Λc + |z - ẑ|² / v + |residual|²`` with joints û + B c: with a linear
    camera the first round is the exact posterior of normal variables. Moments meet their neighbors
    in Λ, and all of them in the placement, which is eliminated.

    Args:
        joints: û, meters.
        place: ẑ.
        errors: How far the motion may be from û: B and Λ.
        place_variance: v.
        views: Keypoints of every camera.
        regressor: From joints to keypoints; None if they are the same.
        placement: What z means.
        fresh: Standard normals (H, N, 3J) and (H, 4) for a draw; None for the mean.
        n_rounds: Linearizations.

    Returns:
        The motion and the placement; not finite where a hypothesis went astray.
    """
    H, F, J, _ = joints.shape
    z, u = place, joints
    c = joints.new_zeros(H, errors.basis.shape[1], 3 * J)
    for i in range(n_rounds):
        o = placement.at(z)
        points = u if regressor is None else torch.einsum("kj,hfjc->hfkc", regressor, u)
        terms = _equations(points + o[:, None, None, :3], o[:, 3], views, placement, errors)
        own, beside, right, cross, corner, pull = _of_joints(terms, regressor, errors)
        right = right - errors.times(c)
        corner = corner + torch.eye(4).to(corner) / place_variance
        pull = pull - (z - place) / place_variance
        chain = BlockChain.of(own, beside)
        half = chain.forward(torch.cat([right[..., None], cross], -1))
        towards, along = half[..., 0], half[..., 1:]
        corner = corner - torch.einsum("hnai,hnaj->hij", along, along)
        pull = pull - torch.einsum("hnai,hna->hi", along, towards)
        dz = torch.linalg.solve_ex(corner, pull[..., None])[0][..., 0].clamp(-1, 1)
        if fresh is not None and i == n_rounds - 1:
            factor, _ = torch.linalg.cholesky_ex(corner)
            noise = torch.linalg.solve_triangular(factor.mT, fresh[1][..., None], upper=True)
            dz, towards = dz + noise[..., 0], towards + fresh[0]
        z = z + dz
        c = c + chain.backward(towards - torch.einsum("hnai,hi->hna", along, dz))
        u = joints + torch.einsum("fn,hnd->hfd", errors.basis, c).reshape(H, F, J, 3)
    return u, z


class _Terms(NamedTuple):
    """Normal equations of keypoints at moments, and of the placement."""

    own: Float[Tensor, "H N K 9"]
    beside: Float[Tensor, "H M K 9"]
    right: Float[Tensor, "H N K 3"]
    cross: Float[Tensor, "H N K 3 4"]
    corner: Float[Tensor, "H 4 4"]
    pull: Float[Tensor, "H 4"]


def _equations(
    points: Tensor,
    pitch: Tensor,
    views: tuple[View, ...],
    placement: Placement,
    errors: ErrorCovariance,
) -> _Terms:
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
        flat = by_place.reshape(H, -1, 4)
        corner = corner + flat.mT @ flat
        pull = pull + (flat.mT @ seen.residual.reshape(H, -1, 1))[..., 0]
    B = errors.basis.to(points)

    def gathered(weights: Tensor, x: Tensor) -> Tensor:
        return (weights.T @ x.reshape(H, F, -1)).reshape(H, weights.shape[1], *x.shape[2:])

    own, beside = gathered(B.square(), info), gathered(B[:, :-1] * B[:, 1:], info)
    right, cross = gathered(B, pulled), gathered(B, mixed)
    return _Terms(own.flatten(-2), beside.flatten(-2), right, cross, corner, pull)


def _of_joints(
    terms: _Terms, regressor: Tensor | None, errors: ErrorCovariance
) -> tuple[Tensor, ...]:
    """The same for joints, with the prior's errors: own and beside become (H, N, 3J, 3J)."""
    right, cross = terms.right, terms.cross
    if regressor is None:
        blocks = [
            _on_diagonal(terms.own, errors.own),
            _on_diagonal(terms.beside, errors.beside),
        ]
    else:
        H, J = len(right), regressor.shape[1]
        pairs = torch.einsum("ki,kj->kij", regressor, regressor).flatten(1)
        blocks = []
        for info, known in (
            (terms.own, errors.own),
            (terms.beside, errors.beside),
        ):
            at = torch.einsum("kp,hnkq->hnpq", pairs, info).reshape(H, -1, J, J, 3, 3)
            blocks.append(at.transpose(3, 4).reshape(H, -1, 3 * J, 3 * J) + known)
        right = torch.einsum("kj,hnkc->hnjc", regressor, right)
        cross = torch.einsum("kj,hnkcd->hnjcd", regressor, cross)
    return (*blocks, right.flatten(2), cross.flatten(2, 3), terms.corner, terms.pull)


def _on_diagonal(info: Float[Tensor, "H N J 9"], known: Float[Tensor, "N D D"]) -> Tensor:
    """The known matrix with a block a joint added."""
    H, N, J, _ = info.shape
    whole = known.repeat(H, 1, 1, 1)
    blocks = whole.view(H, N, J, 3, J, 3).diagonal(dim1=2, dim2=4)  # (H, N, 3, 3, J)
    blocks += info.reshape(H, N, J, 3, 3).permute(0, 1, 3, 4, 2)
    return whole


def descent(
    points: Float[Tensor, "H F K 3"], pitch: Float[Tensor, " H"], view: View
) -> tuple[Float[Tensor, " H"], Float[Tensor, "H F K 3"]]:
    """Squared whitened residuals of :func:`look`, summed, and half their steepest descent.

    Args:
        points: World meters.
        pitch: Further pitch of the camera in rad, per hypothesis.
        view: Keypoints.
    """
    cam = to_camera(points, pitch, view)
    x, y, z = cam.unbind(-1)
    near = z < MIN_DEPTH
    inverse = z.clamp(min=MIN_DEPTH).reciprocal()
    u, v = x * inverse, y * inverse
    factor = view.root_precision.to(points)
    square = factor.mT @ factor  # (F, K, 2, 2)
    du, dv = view.uv[..., 0].to(points) - u, view.uv[..., 1].to(points) - v
    pu = square[..., 0, 0] * du + square[..., 0, 1] * dv
    pv = square[..., 1, 0] * du + square[..., 1, 1] * dv
    push = torch.where(near & view.seen, 1 / FRONT_STD**2, 0.0) * (MIN_DEPTH - z)
    energy = (pu * du + pv * dv + push * (MIN_DEPTH - z)).sum((1, 2))
    deep = torch.where(near, 0.0, -(pu * u + pv * v) * inverse) + push
    down = torch.stack([pu * inverse, pv * inverse, deep], -1)
    turn = torch.einsum("hab,fbc->hfac", _pitched(pitch), view.rotation.to(points))
    return energy, down @ turn
