"""Training windows as COCO-17 detectors see them, converted as at inference.

Most people's keypoints come from such a detector. Pelvis, spine, thorax, neck and head are then no
detections but formed from hips, shoulders and faces: they err as those do, the spine is no more
than a point between pelvis and thorax, and without one hip there is no pelvis. A network that took
all seventeen joints for independent detections would trust them too much. So here bodies get a
face, the detector errs in COCO's own points, and :func:`hypopose.skeletons.convert` forms the rest,
as it does for a user's file.

Errors are those of :func:`hypopose.training.views.detect` in kind, but each window mixes constant,
slow, lingering and fresh ones by itself, and what goes wrong goes wrong for a while: swapped sides
and gaps last for some frames.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from hypopose.datasets.detector_noise import FACE, coco_joints
from hypopose.skeletons import COCO17, H36M17, convert
from hypopose.training.draws import Draws
from hypopose.types import Keypoints2D

NOISE = (0.8, 0.7, 0.7, 0.8, 0.8, 0.9, 0.9, 1.15, 1.15, 1.6, 1.6, 1.0, 1.0, 1.1, 1.1, 1.5, 1.5)
"""How much more than a hip each keypoint suffers from noise and gaps."""

FREE_OF_NOISE = 0.15
"""Share of windows without noise; sides are swapped and keypoints lost there too."""

_LEFT, _RIGHT = (5, 7, 9, 11, 13, 15), (6, 8, 10, 12, 14, 16)
_ARMS, _LEGS, _ENDS = (5, 6, 7, 8, 9, 10), (11, 12, 13, 14, 15, 16), (7, 8, 9, 10, 13, 14, 15, 16)
LOST_GROUPS: tuple[tuple[float, tuple[int, ...]], ...] = (
    (0.08, (3,)), (0.08, (4,)), (0.02, (1, 3)), (0.02, (2, 4)), (0.02, (1, 2)),
    (0.03, (0, 1, 2)), (0.03, (0, 1, 2, 3, 4)), (0.02, (3, 4)),
    (0.02, (7, 9)), (0.02, (8, 10)), (0.02, (15, 16)), (0.02, (13, 14, 15, 16)),
    (0.02, (11, 12, 13, 14, 15, 16)),
)  # fmt: skip
"""Chance that keypoints are missing together in all frames: an ear, the face, cropped legs, ..."""


def detect_as_coco(
    joints: Float[Tensor, "B F 17 3"],
    draws: Draws,
    *,
    noisy_px: tuple[float, float],
    ends_alone: float,
    steady: float = 0.0,
    gaps: bool = True,
) -> tuple[Float[Tensor, "B F 17 2"], Float[Tensor, "B F 17"]]:
    """Rays and confidences of Human3.6M's joints, formed from a COCO-17 detector's.

    Args:
        joints: Camera-frame positions, meters.
        draws: Random numbers.
        noisy_px: Range of the noise, in pixels of a subject 400 px tall.
        ends_alone: Share of swapped sides of which forearms, or shins, change places alone.
        steady: Share of windows whose errors do not tremble, and whose sides are not swapped.
        gaps: Whether keypoints are lost.

    Returns:
        Rays (NaN where they cannot be formed) and confidences (0 there).
    """
    B, F = joints.shape[:2]
    points = _points(joints, draws)
    rays = points[..., :2] / points[..., 2:].clamp(min=0.2)
    free = draws.chance(FREE_OF_NOISE, B)
    level = torch.where(free, 0.0, draws.uniform(B, low=noisy_px[0], high=noisy_px[1]))
    pixel = 1.7 / joints[:, :, 0, 2].mean(1).clamp(min=0.5) / 400
    is_steady = draws.chance(steady, B) if steady else torch.zeros_like(free)
    noise = _noise(B, F, draws, is_steady)
    rays = rays + noise * (level * pixel)[:, None, None, None]
    still = is_steady[:, None, None, None]
    rays = torch.where(still, rays, _swapped(rays, ends_alone, draws))
    lost = _lost(B, F, draws) & gaps
    trust = torch.where(lost, 0.0, _confidence(noise, level, draws))
    rays = torch.where(lost[..., None], torch.nan, rays)
    formed = convert(Keypoints2D(rays, COCO17, confidence=trust), H36M17)
    assert formed.confidence is not None  # given, so kept
    return formed.xy, formed.confidence


def _points(joints: Float[Tensor, "B F 17 3"], draws: Draws) -> Float[Tensor, "B F 17 3"]:
    """COCO's points of bodies whose faces differ, and look about."""
    B, F = joints.shape[:2]
    size = 1 + 0.12 * draws.normal(B, 1, 1)
    face = joints.new_tensor(FACE) * size + 0.008 * draws.normal(B, 1, len(FACE))
    wave = draws.wave(B, F, 1)[..., 0, 0]
    return coco_joints(joints, face, 0.35 * draws.normal(B, 1) + 0.2 * wave)


def _noise(B: int, F: int, draws: Draws, steady: Bool[Tensor, " B"]) -> Float[Tensor, "B F 17 2"]:
    """Errors of about unit variance: a mixture of kinds, its own in every window.

    Where they are steady, of two kinds alone.
    """
    J = len(NOISE)
    shares = -draws.uniform(4, B, 1, 1, 1).clamp(min=1e-6).log()  # a flat Dirichlet's, unscaled
    shares[2:] *= ~steady[:, None, None, None]
    constant, slow, lingering, fresh = (shares / shares.sum(0)).sqrt()
    mixed = constant * draws.normal(B, 1, J, 2) + slow * draws.wave(B, F, J)
    mixed = mixed + lingering * _walk(B, F, J, draws) + fresh * draws.normal(B, F, J, 2)
    some = draws.chance(0.02, B, F, J, 1) & ~steady[:, None, None, None]
    wild = torch.where(some, 3.5, 1.0)
    return mixed * wild * mixed.new_tensor(NOISE)[:, None]


def _walk(B: int, F: int, J: int, draws: Draws) -> Float[Tensor, "B F J 2"]:
    """First-order autoregressions of unit variance, correlated by 0.5 to 0.9 a frame."""
    rho = draws.uniform(B, 1, 1, low=0.5, high=0.9)
    fresh = draws.normal(F, B, J, 2)
    out = [fresh[0]]
    for step in (1 - rho**2).sqrt() * fresh[1:]:
        out.append(torch.addcmul(step, out[-1], rho))
    return torch.stack(out, 1)


def _confidence(noise: Tensor, level: Tensor, draws: Draws) -> Float[Tensor, "B F 17"]:
    """Lower where errors are larger; 1 for a fifth of the windows."""
    B, F, J = noise.shape[:3]
    doubt = draws.uniform(B, low=0.04, high=0.16) * (level / 4).clamp(max=2.0)
    confidence = 1.05 - doubt[:, None, None] * noise.norm(dim=-1) + 0.07 * draws.normal(B, F, J)
    confidence = confidence.clamp(0.1, 1.0) * draws.uniform(B, 1, 1, low=0.6)
    return torch.where(draws.chance(0.2, B, 1, 1), 1.0, confidence)


def _swapped(rays: Tensor, ends_alone: float, draws: Draws) -> Float[Tensor, "B F 17 2"]:
    """Arms, or legs, change sides for a while; 1.4 % of frames each, in 14 % of long windows."""
    B, F = rays.shape[:2]
    joint = torch.arange(len(NOISE), device=rays.device)
    order = joint.clone()
    order[list(_LEFT)], order[list(_RIGHT)] = joint[list(_RIGHT)], joint[list(_LEFT)]
    for limbs in (_ARMS, _LEGS):
        share = 0.08 * draws.uniform(B, 1) * draws.chance(0.35, B, 1)
        frames = _episodes(F, share, draws.uniform(B, 1, low=1.0, high=15.0), draws)
        kept = draws.chance(ends_alone, B, 1) & ~_among(joint, _ENDS)
        some = frames & (_among(joint, limbs) & ~kept)[:, None]
        rays = torch.where(some[..., None], rays[:, :, order], rays)
    return rays


def _lost(B: int, F: int, draws: Draws) -> Bool[Tensor, "B F 17"]:
    """Undetected keypoints: each for a while, groups for the whole window, whole frames."""
    J = len(NOISE)
    weight = torch.tensor(NOISE, device=draws.device)
    share = 0.1 * draws.uniform(B, 1) ** 1.5 * draws.chance(0.65, B, 1) * weight
    length = draws.uniform(B, 1, low=1.0, high=15.0)
    single = _episodes(F, share, length, draws)
    member = torch.zeros(len(LOST_GROUPS), J, device=draws.device)
    for row, (_, joints) in enumerate(LOST_GROUPS):
        member[row, list(joints)] = 1
    chances = torch.tensor([chance for chance, _ in LOST_GROUPS], device=draws.device)
    groups = (draws.uniform(B, len(LOST_GROUPS)) < chances).float() @ member > 0
    whole = 0.3 * draws.uniform(B, 1) * draws.chance(0.12, B, 1)
    frames = _episodes(F, whole, length, draws)
    frames = frames & ~frames.all(1, keepdim=True)  # a window is not lost as a whole
    return (single | groups[:, None] | frames) & ~draws.chance(0.15, B, 1, 1)


def _episodes(
    F: int, share: Float[Tensor, "B S"], length: Float[Tensor, "B #S"], draws: Draws
) -> Bool[Tensor, "B F S"]:
    """On for ``length`` frames on average and for ``share`` of the time, each series by itself."""
    start = share / (1 - share) / length
    state = draws.uniform(*share.shape) < share
    out = []
    for u in draws.uniform(F, *share.shape):
        out.append(state)
        state = torch.where(state, u >= 1 / length, u < start)
    return torch.stack(out, 1)


def _among(joint: Tensor, some: tuple[int, ...]) -> Bool[Tensor, " J"]:
    return torch.isin(joint, joint.new_tensor(some))
