"""Lens coefficients of calibration files as the five that HypoPose keeps, k1, k2, p1, p2, k3.

OpenCV writes 4, 5, 8, 12 or 14 coefficients: ``k1, k2, p1, p2, k3``, the denominator ``k4, k5,
k6`` of the rational model, the thin prism ``s1, s2, s3, s4`` and the tilted sensor ``tau_x,
tau_y``. Models beyond five coefficients are replaced by the five that come closest over the
picture, in least squares (the model is linear in them), if that moves no pixel by more than
:data:`TOLERANCE_PX`; else refused. Its fisheye model, four coefficients ``k1, k2, k3, k4`` of the
angle, is kept as it is (:mod:`hypopose.cameras.distortion`).

Source: OpenCV, "Camera Calibration and 3D Reconstruction" and "Fisheye camera model",
https://docs.opencv.org/4.x/d9/d0c/group__calib3d.html.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hypopose.io.camera_files.refusals import camera_error, camera_note

Array = NDArray[np.float64]

TOLERANCE_PX = 0.25
"""Largest error, in pixels of the picture, that another lens model may bring."""

COUNTS = (4, 5, 8, 12, 14)
_GRID = 33


def opencv_distort(points: Array, coefficients: Array) -> Array:
    """OpenCV's lens on the normalized plane.

    Args:
        points: ``(n, 2)``, x / z and y / z.
        coefficients: 4, 5, 8, 12 or 14 of them, in OpenCV's order.

    Returns:
        Distorted points ``(n, 2)``.
    """
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4, tx, ty = np.pad(
        coefficients, (0, 14 - len(coefficients))
    )
    x, y = points.T
    r2 = x * x + y * y
    gain = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    u = x * gain + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + s1 * r2 + s2 * r2 * r2
    v = y * gain + 2 * p2 * x * y + p1 * (r2 + 2 * y * y) + s3 * r2 + s4 * r2 * r2
    return _tilted(np.stack([u, v], -1), tx, ty)


def _tilted(points: Array, tau_x: float, tau_y: float) -> Array:
    """A sensor turned by two angles about x and y."""
    if tau_x == 0 and tau_y == 0:
        return points
    from scipy.spatial.transform import Rotation

    R = Rotation.from_euler("xy", [-tau_x, -tau_y]).as_matrix()
    project = np.array([[R[2, 2], 0, -R[0, 2]], [0, R[2, 2], -R[1, 2]], [0, 0, 1.0]])
    turned = np.concatenate([points, np.ones((len(points), 1))], -1) @ (project @ R).T
    return np.asarray(turned[:, :2] / turned[:, 2:])


def fisheye_coefficients(coefficients: Array, K: Array, size: tuple[int, int], place: str) -> Array:
    """k1, k2, k3, k4 and 0 of a fisheye whose model is one to one over its picture.

    Args:
        coefficients: Four of OpenCV's fisheye model.
        K: Camera matrix.
        size: Width and height of the picture in pixels.
        place: File and camera, for messages.

    Raises:
        FormatError: If rays fold over within half of the way to the picture's corner.
    """
    reach = _reach(K, size)
    angle = np.linspace(0.0, np.pi / 2, 500)
    bent = angle * (1 + (angle[:, None] ** np.arange(2, 10, 2)) @ coefficients)
    falls = np.flatnonzero(np.diff(bent) <= 0)
    top = bent[falls[0]] if len(falls) else bent[-1]
    if not top >= 0.5 * min(reach, np.pi / 2):
        raise camera_error(
            place, "distortion", "a fisheye lens whose rays fold over within the picture",
            "calibrate again; four coefficients k1, k2, k3, k4 of the angle are expected",
        )  # fmt: skip
    return np.pad(coefficients, (0, 1))


def _reach(K: Array, size: tuple[int, int]) -> float:
    """Distance of the picture's farthest corner from the axis, on the normalized plane."""
    corners = np.array([[0.0, 0.0], [size[0], 0.0], [0.0, size[1]], size])
    return float(np.linalg.norm((corners - K[:2, 2]) / K[[0, 1], [0, 1]], axis=-1).max())


def _check_radial(k: Array, K: Array, size: tuple[int, int], place: str) -> None:
    """Refuse a lens whose rays fold over within half of the way to the corner, warn of other folds.

    Args:
        k: Radial coefficients k1, k2, k3.
        K: Camera matrix.
        size: Width and height of the picture in pixels.
        place: File and camera, for messages.
    """
    reach = _reach(K, size)
    radius = np.linspace(0.0, 2 * reach, 500)
    bent = radius * (1 + (radius[:, None] ** np.arange(2, 8, 2)) @ k)
    falls = np.flatnonzero(np.diff(bent) <= 0)
    share = float(bent[falls[0]] / reach) if len(falls) else 1.0
    if 0.5 <= share < 0.95:
        camera_note(
            place,
            f"distortion: rays fold over {share:.0%} of the way to the picture's corner: keypoints "
            "beyond are not undistorted well; check the order k1, k2, p1, p2, k3",
        )
    if share < 0.5:
        raise camera_error(
            place, "distortion", "a lens whose rays fold over within the picture",
            "calibrate again; the order is k1, k2, p1, p2, k3",
        )  # fmt: skip


def five_coefficients(
    coefficients: Array, K: Array, size: tuple[int, int], place: str
) -> Array | None:
    """k1, k2, p1, p2, k3 of a lens; None if it bends nothing.

    Args:
        coefficients: In OpenCV's order for their number.
        K: Camera matrix.
        size: Width and height of the picture in pixels.
        place: File and camera, for messages.

    Raises:
        FormatError: If five coefficients do not describe the lens to :data:`TOLERANCE_PX`, or its
            rays fold over.
    """
    if not coefficients.any():
        return None
    if not coefficients[5:].any():
        five = np.pad(coefficients[:5], (0, max(0, 5 - len(coefficients))))
        _check_radial(five[[0, 1, 4]], K, size, place)
        return five
    return _fitted(lambda points: opencv_distort(points, coefficients), K, size, place)


def _fitted(
    distort: Callable[[Array], Array], K: Array, size: tuple[int, int], place: str
) -> Array:
    focal = K[[0, 1], [0, 1]]
    points = _picture(distort, K, size)
    bent = distort(points)
    x, y = points.T
    r2 = x * x + y * y
    columns = np.stack(
        [
            [x * r2, x * r2**2, 2 * x * y, r2 + 2 * x * x, x * r2**3],
            [y * r2, y * r2**2, r2 + 2 * y * y, 2 * x * y, y * r2**3],
        ]
    )  # (2, 5, n)
    design = np.concatenate([columns[0].T * focal[0], columns[1].T * focal[1]])
    wanted = np.concatenate([(bent[:, 0] - x) * focal[0], (bent[:, 1] - y) * focal[1]])
    five = np.linalg.lstsq(design, wanted, rcond=None)[0]
    worst = float(np.abs(design @ five - wanted).max()) if len(points) else np.inf
    if not worst <= TOLERANCE_PX:
        raise camera_error(
            place,
            "distortion",
            f"a lens that five coefficients miss by {worst:.3g} px (a strong rational or tilted "
            "model)",
            "undistort the keypoints first and give the camera without lens",
        )
    return np.asarray(five)


def _picture(distort: Callable[[Array], Array], K: Array, size: tuple[int, int]) -> Array:
    """Points of the normalized plane that the lens brings into the picture."""
    corners = np.array([[0.0, 0.0], [size[0], 0.0], [0.0, size[1]], size], dtype=np.float64)
    reach = np.abs((corners - K[:2, 2]) / K[[0, 1], [0, 1]]).max(0)
    grid = np.linspace(-3, 3, 6 * _GRID)
    x, y = np.meshgrid(grid * reach[0], grid * reach[1])
    points = np.stack([x.ravel(), y.ravel()], -1)
    with np.errstate(all="ignore"):
        bent, farther = distort(points), distort(1.001 * points)
        pixels = bent * K[[0, 1], [0, 1]] + K[:2, 2]
    # Models fold over beyond some radius: what comes back into the picture is left out.
    grows = np.linalg.norm(farther, axis=-1) >= np.linalg.norm(bent, axis=-1)
    inside = (np.isfinite(pixels) & (pixels >= 0) & (pixels <= np.array(size))).all(-1)
    return points[inside & grows]
