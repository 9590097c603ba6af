"""Lens distortion on the normalized plane, and its inverse.

Four models share five stored numbers, OpenCV's ``k1, k2, p1, p2, k3``, and disagree about the
tangential part. With ``m = (x, y)`` on the normalized plane and ``r² = x² + y²`` each is

    ``m' = m (1 + k1 r² + k2 r⁴ + k3 r⁶ + s (a x + b y)) + (a, b) r²``

============ ========== === =========================================================
model        (a, b)      s  who uses it
============ ========== === =========================================================
``none``     –           –  no distortion, the default
``opencv``   (p2, p1)    2  OpenCV's calibration and everything built on it (Brown 1966)
``h36m``     (p2, p1)    1  the Human3.6M MATLAB ports
``vp3d``     (p1, p2)    1  VideoPose3D and D3DP; ``gt`` 2D files were made with it
============ ========== === =========================================================

On Human3.6M the models differ by up to 1.2 px; leaving distortion out costs up to 14 px. So the
model is always named, never inferred.

A fifth model, ``fisheye``, bends the angle ``θ = arctan r`` between a ray and the optical axis,

    ``m' = m θ (1 + k1 θ² + k2 θ⁴ + k3 θ⁶ + k4 θ⁸) / r``,

as OpenCV's ``fisheye`` module and COLMAP do. Rays at right angles to the axis and behind it have no
place on the normalized plane, so :data:`MAX_ANGLE` is where it ends here.

Reference: Kannala and Brandt, "A generic camera model and calibration method for conventional,
wide-angle, and fish-eye lenses", IEEE PAMI 28(8), 2006, equation 6.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.errors import ShapeError
from hypopose.types import Camera

MAX_ANGLE = 1.55
"""Radians from the optical axis that a fisheye's rays may have: 88.8 degrees."""

N_NEWTON = 20
"""Newton steps at most; lenses people own need four to six."""


def lead(parameter: Tensor, points: Tensor, n_trailing: int = 1) -> Tensor:
    """Line a camera parameter's batch axes up with the leading axes of the points.

    Args:
        parameter: ``(*cam, ...)`` with ``n_trailing`` own axes.
        points: ``(*cam, *any, c)``.
        n_trailing: 1 for vectors, 2 for matrices.

    Returns:
        The parameter with axes of length 1 between ``cam`` and its own axes.

    Raises:
        ShapeError: If the camera's batch axes are not the points' leading axes.
    """
    split = parameter.dim() - n_trailing
    cam, own = parameter.shape[:split], parameter.shape[split:]
    n_any = points.dim() - 1 - len(cam)
    ours = points.shape[: len(cam)]
    if n_any < 0 or any(c not in (1, n) for c, n in zip(cam, ours, strict=True)):
        raise ShapeError(
            f"A camera with batch axes {tuple(cam)} needs them as the leading axes of the points, "
            f"which are {tuple(points.shape)}."
        )
    return parameter.reshape(*cam, *(1,) * n_any, *own)


def distort(xy: Float[Tensor, "*any 2"], camera: Camera) -> Float[Tensor, "*any 2"]:
    """Bend ideal points on the normalized plane the way the camera's lens does.

    Args:
        xy: X/Z and Y/Z; the camera's batch axes lead.
        camera: Names the model.

    Returns:
        Distorted normalized points, ``(pixel - center) / focal``.

    Example:
        >>> camera = Camera(
        ...     focal=torch.tensor([1000.0, 1000.0]),
        ...     center=torch.tensor([500.0, 500.0]),
        ...     image_size=(1000, 1000),
        ...     distortion=torch.tensor([-0.2, 0.0, 0.0, 0.0, 0.0]),
        ...     distortion_model="opencv",
        ... )
        >>> distort(torch.tensor([0.5, 0.0]), camera).tolist()
        [0.4749999940395355, 0.0]
    """
    if camera.distortion is None:
        return xy
    if camera.distortion_model == "fisheye":
        return _bend_angle(xy, _coefficients(camera, xy))
    return _bend(xy, *_terms(camera, xy))


def invert_distortion(xy: Float[Tensor, "*any 2"], camera: Camera) -> Float[Tensor, "*any 2"]:
    """Find the ideal points that the lens bends to ``xy``, by Newton's method.

    Gradients are those of the implicit function: the search runs without them and one last step
    with them.

    Args:
        xy: Distorted normalized points; the camera's batch axes lead.
        camera: Names the model.

    Returns:
        Ideal normalized points. NaN where no ray of the model reaches ``xy``: polynomial models
        fold over beyond some radius, and outside it there is no answer.
    """
    if camera.distortion is None:
        return xy
    if camera.distortion_model == "fisheye":
        return _unbend_angle(xy, _coefficients(camera, xy))
    terms = _terms(camera, xy)
    tolerance = 32 * torch.finfo(terms[0].dtype).eps
    with torch.no_grad():
        found = xy
        for _ in range(N_NEWTON):
            step = _newton_step(found, xy, terms)
            found = found + step
            if not bool((step.abs() > tolerance).any()):
                break
        miss = (_bend(found, *terms) - xy).abs().amax(-1)
        size = 1 + xy.abs().amax(-1)
        bad = ~(miss <= 8 * tolerance * size) | ~(_determinant(_jacobian(found, *terms)) > 0)
    found = found + _newton_step(found, xy, terms)
    return torch.where(bad[..., None], torch.full_like(found, torch.nan), found)


def _coefficients(camera: Camera, xy: Tensor) -> Tensor:
    assert camera.distortion is not None
    wide = torch.promote_types(camera.distortion.dtype, xy.dtype)
    return lead(camera.distortion, xy).to(wide)


def _bent_angle(angle: Tensor, k: Tensor) -> Tensor:
    a2 = angle * angle
    k1, k2, k3, k4 = (k[..., i : i + 1] for i in range(4))
    return angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))


def _slope(angle: Tensor, k: Tensor) -> Tensor:
    """Derivative of :func:`_bent_angle`."""
    a2 = angle * angle
    k1, k2, k3, k4 = (k[..., i : i + 1] for i in range(4))
    return 1 + a2 * (3 * k1 + a2 * (5 * k2 + a2 * (7 * k3 + 9 * a2 * k4)))


def _bend_angle(m: Tensor, k: Tensor) -> Tensor:
    r = _length(m)
    return m * _bent_angle(torch.arctan(r), k) / r


def _unbend_angle(m: Tensor, k: Tensor) -> Tensor:
    """Rays of a fisheye by Newton's method on the angle; NaN where there is none."""
    bent = _length(m)
    with torch.no_grad():
        angle = bent.clamp(max=MAX_ANGLE)
        for _ in range(N_NEWTON):
            step = (bent - _bent_angle(angle, k)) / _slope(angle, k)
            angle = (angle + step).clamp(0.0, MAX_ANGLE)
            if not bool((step.abs() > 32 * torch.finfo(bent.dtype).eps).any()):
                break
        miss = (_bent_angle(angle, k) - bent).abs()
        bad = ~(miss <= 1e-5) | ~(_slope(angle, k) > 0) | ~(angle < MAX_ANGLE)
    angle = angle + (bent - _bent_angle(angle, k)) / _slope(angle, k)
    found = m * torch.tan(angle) / bent
    return torch.where(bad, torch.full_like(found, torch.nan), found)


def _length(m: Tensor) -> Tensor:
    """Lengths, never quite 0, so that they may be divided by and have a gradient."""
    return (m * m).sum(-1, keepdim=True).clamp(min=torch.finfo(m.dtype).tiny ** 0.5).sqrt()


def _terms(camera: Camera, xy: Tensor) -> tuple[Tensor, Tensor, float]:
    """Radial coefficients ``(k1, k2, k3)``, the pair ``(a, b)``, and s."""
    k = _coefficients(camera, xy)
    pair = [2, 3] if camera.distortion_model == "vp3d" else [3, 2]
    return k[..., [0, 1, 4]], k[..., pair], 2.0 if camera.distortion_model == "opencv" else 1.0


def _bend(m: Tensor, radial: Tensor, pair: Tensor, s: float) -> Tensor:
    r2 = (m * m).sum(-1, keepdim=True)
    return m * _gain(m, r2, radial, pair, s) + pair * r2


def _gain(m: Tensor, r2: Tensor, radial: Tensor, pair: Tensor, s: float) -> Tensor:
    k1, k2, k3 = radial[..., 0:1], radial[..., 1:2], radial[..., 2:3]
    return 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + s * (pair * m).sum(-1, keepdim=True)


def _jacobian(m: Tensor, radial: Tensor, pair: Tensor, s: float) -> tuple[Tensor, ...]:
    """Entries dx'/dx, dx'/dy, dy'/dx, dy'/dy of :func:`_bend`."""
    r2 = (m * m).sum(-1, keepdim=True)
    gain = _gain(m, r2, radial, pair, s)[..., 0]
    k1, k2, k3 = radial[..., 0:1], radial[..., 1:2], radial[..., 2:3]
    slope = 2 * m * (k1 + r2 * (2 * k2 + 3 * r2 * k3)) + s * pair
    (x, y), (a, b), (gx, gy) = m.unbind(-1), pair.unbind(-1), slope.unbind(-1)
    return (
        gain + x * gx + 2 * a * x,
        x * gy + 2 * a * y,
        y * gx + 2 * b * x,
        gain + y * gy + 2 * b * y,
    )


def _determinant(jacobian: tuple[Tensor, ...]) -> Tensor:
    xx, xy, yx, yy = jacobian
    return xx * yy - xy * yx


def _newton_step(m: Tensor, target: Tensor, terms: tuple[Tensor, Tensor, float]) -> Tensor:
    xx, xy, yx, yy = jacobian = _jacobian(m, *terms)
    dx, dy = (target - _bend(m, *terms)).unbind(-1)
    return (
        torch.stack((yy * dx - xy * dy, xx * dy - yx * dx), -1) / _determinant(jacobian)[..., None]
    )
