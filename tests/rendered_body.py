"""A body of textured capsules with a face, rendered with numpy: video with known 3D.

Good enough for detectors to see a person: clothes and skin with grain, light from above, a face
from the portrait that matplotlib ships, a background of smooth noise. Joints are Human3.6M-17 in
the camera frame; each limb is a capsule around its bone, so keypoints lie inside the body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hypopose.datasets.examples import example_pair
from hypopose.types import Camera

SKIN, SHIRT, TROUSERS = (224, 172, 138), (170, 50, 45), (45, 60, 110)
SHOES, HAIR = (40, 35, 32), (60, 45, 35)

# from, to, radius there, radius here (meters), color
LIMBS = (
    (0, 8, 0.115, 0.12, SHIRT), (1, 14, 0.09, 0.09, SHIRT), (4, 11, 0.09, 0.09, SHIRT),
    (11, 14, 0.075, 0.075, SHIRT), (1, 4, 0.11, 0.11, TROUSERS), (8, 9, 0.06, 0.055, SKIN),
    (1, 2, 0.085, 0.06, TROUSERS), (2, 3, 0.058, 0.042, TROUSERS),
    (4, 5, 0.085, 0.06, TROUSERS), (5, 6, 0.058, 0.042, TROUSERS),
    (11, 12, 0.055, 0.045, SHIRT), (12, 13, 0.04, 0.03, SKIN),
    (14, 15, 0.055, 0.045, SHIRT), (15, 16, 0.04, 0.03, SKIN),
)  # fmt: skip


@dataclass
class Canvas:
    """Color and depth of every pixel."""

    rgb: np.ndarray
    depth: np.ndarray
    grain: np.ndarray


def portrait() -> np.ndarray:
    """The face of matplotlib's sample picture, about 230 pixels square."""
    import matplotlib.cbook
    from PIL import Image

    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        picture = np.asarray(Image.open(file).convert("RGB"))
    return picture[70:310, 145:385]


def standing() -> np.ndarray:
    """The whole of matplotlib's sample picture: a person to the waist, 600 x 512 pixels."""
    import matplotlib.cbook
    from PIL import Image

    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        return np.asarray(Image.open(file).convert("RGB"))


def background(size: tuple[int, int], seed: int) -> np.ndarray:
    """Smooth noise in dull colors, lighter above."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    layers = np.zeros((size[1], size[0], 3), np.float32)
    for step, weight in ((8, 28), (24, 14), (90, 8)):
        small = rng.uniform(-1, 1, (step, step, 3))
        planes = [Image.fromarray(small[..., c].astype(np.float32)) for c in range(3)]
        smooth = [np.asarray(p.resize(size, Image.Resampling.BICUBIC)) for p in planes]
        layers += weight * np.stack(smooth, -1)
    slope = np.linspace(165, 105, size[1])[:, None, None]
    return np.clip(slope + layers, 0, 255).astype(np.uint8)


def render_body(
    joints: np.ndarray, camera: Camera, backdrop: np.ndarray, face: np.ndarray, seed: int = 0
) -> np.ndarray:
    """One frame of a body; joints (17, 3) in meters, camera frame."""
    height, width = backdrop.shape[:2]
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 9, (256, 256)).astype(np.float32)
    canvas = Canvas(backdrop.astype(np.float32), np.full((height, width), np.inf), grain)
    lens = (float(camera.focal[0]), np.array(camera.center))
    for i, (a, b, ra, rb, color) in enumerate(LIMBS):
        _capsule(canvas, joints[a], joints[b], ra, rb, color, lens, i)
    left, up, front = _axes(joints)
    for wrist, elbow in ((13, 12), (16, 15)):
        along = joints[wrist] - joints[elbow]
        hand = joints[wrist] + 0.11 * along / np.linalg.norm(along)
        _capsule(canvas, joints[wrist], hand, 0.035, 0.035, SKIN, lens, 20)
    for ankle in (3, 6):
        sole = joints[ankle] - 0.05 * up
        _capsule(canvas, sole - 0.03 * front, sole + 0.15 * front, 0.04, 0.035, SHOES, lens, 21)
    _head(canvas, joints, (left, up, front), face, lens)
    return np.clip(canvas.rgb, 0, 255).astype(np.uint8)


def _axes(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors to the body's left, up and front."""
    up = joints[8] - joints[0]
    up = up / np.linalg.norm(up)
    left = joints[11] - joints[14]
    left = left - (left @ up) * up
    left = left / np.linalg.norm(left)
    front = np.cross(left, up)
    return left, up, front / np.linalg.norm(front)


def _window(center: np.ndarray, reach: float, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    low = np.floor(center - reach).astype(int)
    high = np.ceil(center + reach).astype(int) + 1
    x0, x1 = max(0, low[0]), min(shape[1], high[0])
    y0, y1 = max(0, low[1]), min(shape[0], high[1])
    return None if x0 >= x1 or y0 >= y1 else (slice(y0, y1), slice(x0, x1))


def _capsule(canvas, a, b, ra, rb, color, lens, seed) -> None:  # type: ignore[no-untyped-def]
    """A limb between two points: a shaded band with round ends in the image."""
    focal, center = lens
    pa, pb = center + focal * a[:2] / a[2], center + focal * b[:2] / b[2]
    wa, wb = focal * ra / a[2], focal * rb / b[2]
    window = _window((pa + pb) / 2, np.abs(pb - pa).max() / 2 + max(wa, wb) + 2, canvas.depth.shape)
    if window is None:
        return
    y, x = np.mgrid[window[0], window[1]] + 0.5
    axis = pb - pa
    share = ((x - pa[0]) * axis[0] + (y - pa[1]) * axis[1]) / max(float(axis @ axis), 1e-6)
    share = np.clip(share, 0, 1)
    dx, dy = x - pa[0] - share * axis[0], y - pa[1] - share * axis[1]
    across = np.hypot(dx, dy) / (wa + share * (wb - wa))
    inside = across < 1
    bulge = np.sqrt(np.maximum(1 - across**2, 0))
    depth = a[2] + share * (b[2] - a[2]) - bulge * (ra + share * (rb - ra))
    light = 0.55 + 0.45 * bulge - 0.18 * np.where(inside, dy / np.maximum(wa, wb), 0)
    rows = (share * 90 + 37 * seed).astype(int) % 256
    columns = (across * 40 + 80 * (dx > 0) + 11 * seed).astype(int) % 256
    shade = np.array(color) * light[..., None] + canvas.grain[rows, columns][..., None]
    _paint(canvas, window, inside, depth, shade)


def _head(canvas, joints, axes, face, lens) -> None:  # type: ignore[no-untyped-def]
    """An ellipsoid with the portrait on its front."""
    focal, center = lens
    left, up, front = axes
    middle = joints[9] + 0.45 * (joints[10] - joints[9]) + 0.02 * front + 0.02 * up
    radius = 0.135
    place = center + focal * middle[:2] / middle[2]
    size = focal * radius / middle[2]
    window = _window(place, size + 2, canvas.depth.shape)
    if window is None:
        return
    y, x = np.mgrid[window[0], window[1]] + 0.5
    u, v = (x - place[0]) / size, (y - place[1]) / size
    inside = (u / 0.8) ** 2 + v**2 < 1
    w = np.sqrt(np.maximum(1 - (u / 0.8) ** 2 - v**2, 0))
    normal = np.stack([u, v, -w], -1)
    to_left, to_up, to_front = normal @ left, normal @ up, normal @ front
    shade = np.array(HAIR) * (0.7 + 0.3 * w[..., None])
    seen = (to_front > 0.12) & inside
    h, wide = face.shape[:2]
    # The portrait looks at us: its own left is on the right of the picture.
    columns = np.clip((0.5 + 0.5 * to_left / 0.85) * wide, 0, wide - 1).astype(int)
    rows = np.clip((0.5 - 0.5 * to_up) * h, 0, h - 1).astype(int)
    shade[seen] = face[rows[seen], columns[seen]]
    _paint(canvas, window, inside, middle[2] - w * radius, shade)


def _paint(canvas, window, inside, depth, shade) -> None:  # type: ignore[no-untyped-def]
    nearer = inside & (depth < canvas.depth[window])
    canvas.rgb[window][nearer] = shade[nearer]
    canvas.depth[window][nearer] = depth[nearer]


def walk(n: int, size: int = 640, seed: int = 0):  # type: ignore[no-untyped-def]
    """Frames of the built-in walker, its exact keypoints and camera, and its truth."""
    keypoints, truth = example_pair(n)
    scale = size / 1000
    camera = Camera(keypoints.camera.focal * scale, keypoints.camera.center * scale, (size, size))
    joints = (truth.joints + truth.root[:, None]).double().numpy()
    backdrop, face = background((size, size), seed), portrait()
    frames = [render_body(j, camera, backdrop, face) for j in joints]
    return frames, keypoints.xy.numpy() * scale, camera, truth
