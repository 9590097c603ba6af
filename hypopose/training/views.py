"""Virtual cameras that look at bodies, and detectors that make mistakes.

Distances and heights cover laboratories, rooms and phones. Keypoints are rays (normalized image
plane), so that focal lengths need no sampling: they act only through what a pixel is worth. Noise
is given in pixels at 400 px subject height, because people compare detectors so.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from hypopose.skeletons import H36M17
from hypopose.training.bodies import axis_angle
from hypopose.training.coco_detector import detect_as_coco
from hypopose.training.draws import Draws

JOINT_NOISE = (1.0, 1.0, 1.1, 1.4, 1.0, 1.1, 1.4, 1.0, 0.9, 0.8, 0.9, 0.9, 1.2, 1.6, 0.9, 1.2, 1.6)
"""How much more than a hip each joint suffers from noise and drop-outs."""

CLEAN = 0.45
"""Share of windows with keypoints that are nearly clean, unless a run says otherwise."""

NOISY_PX = (0.5, 8.0)
"""Noise of the other windows, in pixels of a subject 400 px tall, unless a run says otherwise."""

LOST_GROUPS: tuple[tuple[float, tuple[int, ...]], ...] = (
    (0.06, (9, 10)), (0.06, (10,)), (0.03, (9,)), (0.1, (7,)),
    (0.03, (12, 13)), (0.03, (15, 16)), (0.03, (2, 3)), (0.03, (5, 6)), (0.03, (3, 6)),
    (0.03, (1, 2, 3, 4, 5, 6)),
)  # fmt: skip
"""Chance that joints are missing together in all frames: no head, no spine, cropped legs, ..."""


LIMB_ENDS = (2, 3, 5, 6, 12, 13, 15, 16)
"""Knees, ankles, elbows, wrists: detectors also confuse these alone."""


PITCHES = (-25.0, 60.0)
"""How far cameras of any pitch look up (below 0) or down at the pelvis, in degrees."""


def place_cameras(
    joints: Float[Tensor, "B F J 3"], draws: Draws, pitched: float = 0.0
) -> tuple[Float[Tensor, "B 3 3"], Float[Tensor, "B 3"]]:
    """One camera a window, aimed at the pelvis with an error.

    Args:
        joints: World positions, z up.
        draws: Random numbers.
        pitched: Share of windows whose cameras look at the pelvis from any of :data:`PITCHES`, at
            any distance, but never from below 5 cm: how far up a camera looks depends on how high
            the pelvis is.

    Returns:
        Rotation and position: ``x_cam = rotation @ (x_world - position)``.
    """
    B = len(joints)
    distance = 1.8 * (8 / 1.8) ** draws.uniform(B)
    height = draws.uniform(B, low=0.3, high=2.5)
    steep = draws.chance(0.06, B)
    height = torch.where(steep, draws.uniform(B, low=2.0, high=4.5), height)
    distance = torch.where(steep, distance.clamp(min=2.5), distance)
    target = joints[:, :, 0].mean(1)
    reach = (joints - target[:, None, None]).norm(dim=-1).amax((1, 2))
    distance = torch.maximum(distance, reach + 0.5)  # nobody walks through the camera
    azimuth = draws.uniform(B, high=2 * math.pi)
    if pitched:
        pitch = draws.uniform(B, low=PITCHES[0], high=PITCHES[1]) * math.pi / 180
        some = draws.chance(pitched, B)
        height = torch.where(some, (target[:, 2] + distance * pitch.sin()).clamp(min=0.05), height)
        level = (distance.square() - (height - target[:, 2]).square()).clamp(min=0).sqrt()
        distance = torch.where(some, level, distance)
    away = distance[:, None] * torch.stack([azimuth.cos(), azimuth.sin()], -1)
    position = torch.cat([target[:, :2] + away, height[:, None]], -1)
    return _aim_error(B, draws) @ look_at(target - position), position


def look_at(forward: Float[Tensor, "B 3"]) -> Float[Tensor, "B 3 3"]:
    """Rotation from a world with z up to a level camera that looks along ``forward``.

    Example:
        >>> look_at(torch.tensor([[0.0, 2.0, 0.0]]))[0].tolist()  # rows: right, down, forward
        [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
    """
    forward = functional.normalize(forward, dim=-1)
    up = forward.new_tensor([0.0, 0.0, 1.0]).expand_as(forward)
    right = functional.normalize(torch.linalg.cross(forward, up), dim=-1)
    rows = [right, torch.linalg.cross(forward, right), forward]
    return torch.stack(rows, -2) + 0.0  # no negative zeros


def _aim_error(B: int, draws: Draws) -> Float[Tensor, "B 3 3"]:
    """Aimed 5 degrees off (15 for 30 %), rolled by 2.5 degrees (10 for 10 %)."""
    off = torch.where(draws.chance(0.3, B), 15.0, 5.0) * math.pi / 180
    roll = torch.where(draws.chance(0.1, B), 10.0, 2.5) * math.pi / 180 * draws.normal(B)
    zero = torch.zeros_like(roll)
    turn = torch.stack([0.6 * off * draws.normal(B), off * draws.normal(B), zero], -1)
    turn = turn.clamp(-0.7, 0.7)
    aim = axis_angle(functional.normalize(turn + 1e-9, dim=-1), turn.norm(dim=-1))
    return axis_angle(torch.stack([zero, zero, zero + 1], -1), roll) @ aim


def detect(
    seen: Float[Tensor, "B F J 3"],
    draws: Draws,
    *,
    joints: Float[Tensor, "B F J 3"] | None = None,
    exact: float = 0.0,
    clean: float = CLEAN,
    noisy_px: tuple[float, float] = NOISY_PX,
    ends_alone: float = 0.0,
    as_coco: float = 0.0,
    steady: float = 0.0,
    gaps: bool = True,
) -> tuple[Float[Tensor, "B F J 2"], Float[Tensor, "B F J"]]:
    """What a detector reports: rays with errors and gaps, confidences that know a little of both.

    Some windows are nearly clean (below 0.3 px), the others have up to 8 px, unless a run says
    otherwise; half of all windows are complete (fewer of those that a COCO-17 detector saw).

    Args:
        seen: Camera-frame positions, meters.
        draws: Random numbers.
        joints: Where the joints themselves are, for windows that are exact.
        exact: Share of all windows, out of the nearly clean ones, that no detector saw: the joints'
            own projections, complete, with a confidence of 1; none where ``joints`` is None.
        clean: Share of windows that are nearly clean, the exact ones among them.
        noisy_px: Range of the others' noise, in pixels of a subject 400 px tall.
        ends_alone: Share of swapped sides of which forearms, or shins, change places alone.
        as_coco: Share of windows whose joints are formed from a COCO-17 detector's, see
            :mod:`hypopose.training.coco_detector`. ``clean`` and ``exact`` are shares of the
            others; ``noisy_px``, ``ends_alone`` and ``steady`` hold for both.
        steady: Share of noisy windows whose errors do not tremble: constant and slow ones alone, as
            detectors with a filter behind them have, and no sides swapped.
        gaps: Whether a COCO-17 detector loses keypoints. The others lose them in any case: whoever
            wants none puts the joints themselves there.

    Returns:
        Rays (NaN where lost) and confidences (0 where lost).
    """
    B, F, J = seen.shape[:3]
    rays = project_rays(seen)
    is_clean = draws.chance(clean, B)
    low, high = noisy_px
    level = torch.where(is_clean, draws.uniform(B, high=0.3), draws.uniform(B, low=low, high=high))
    pixel = 1.7 / seen[:, :, 0, 2].mean(1).clamp(min=0.5) / 400
    is_steady = draws.chance(steady, B) & ~is_clean if steady else torch.zeros_like(is_clean)
    noise = _noise(B, F, J, draws, is_steady)
    rays = rays + noise * (level * pixel)[:, None, None, None]
    rays = _swap_sides(rays, ~is_clean & ~is_steady, ends_alone, draws)
    confidence = _confidence(noise, level, is_clean, draws)
    if steady:
        sure = is_steady & draws.chance(0.4, B)
        confidence = torch.where(sure[:, None, None], 1.0, confidence)
    lost = _lost(B, F, J, draws)
    if joints is not None and exact:
        known = (is_clean & draws.chance(exact / clean, B))[:, None, None]
        rays = torch.where(known[..., None], project_rays(joints), rays)
        confidence, lost = torch.where(known, 1.0, confidence), lost & ~known
    rays, confidence = rays.masked_fill(lost[..., None], torch.nan), confidence * ~lost
    if as_coco:
        some = draws.chance(as_coco, B)
        points = (seen if joints is None else joints)[some]
        rays[some], confidence[some] = detect_as_coco(
            points, draws, noisy_px=noisy_px, ends_alone=ends_alone, steady=steady, gaps=gaps
        )
    return rays, confidence


def project_rays(seen: Float[Tensor, "B F J 3"]) -> Float[Tensor, "B F J 2"]:
    """Where camera-frame positions meet the plane z = 1; nothing is nearer than 0.2 m."""
    return seen[..., :2] / seen[..., 2:].clamp(min=0.2)


def _noise(
    B: int, F: int, J: int, draws: Draws, steady: Bool[Tensor, " B"]
) -> Float[Tensor, "B F J 2"]:
    """Errors about 1: a constant, a slow wave and white noise, with heavy tails; or steady ones."""
    wave = draws.wave(B, F, J)
    fresh = torch.where(steady, 0.0, 0.65)[:, None, None, None]
    mixed = 0.55 * draws.normal(B, 1, J, 2) + 0.5 * wave + fresh * draws.normal(B, F, J, 2)
    wild = draws.chance(0.02, B, F, J, 1) & ~steady[:, None, None, None]
    tail = torch.where(wild, 3.0, 1.0)
    return mixed * tail * mixed.new_tensor(JOINT_NOISE)[:, None]


def _confidence(noise: Tensor, level: Tensor, clean: Tensor, draws: Draws) -> Tensor:
    """Lower where errors are larger; 1 for most clean windows and some of the others."""
    B, F, J = noise.shape[:3]
    doubt = 0.12 * noise.norm(dim=-1) * (level / 4).clamp(max=1.5)[:, None, None]
    confidence = (1.05 - doubt + 0.08 * draws.normal(B, F, J)).clamp(0.1, 1.0)
    confidence = confidence * draws.uniform(B, 1, 1, low=0.6)
    plain = (clean & draws.chance(0.7, B)) | draws.chance(0.15, B)
    return torch.where(plain[:, None, None], 1.0, confidence)


def _swap_sides(rays: Tensor, noisy: Tensor, ends_alone: float, draws: Draws) -> Tensor:
    """Left and right legs, or arms, change places in some frames of some noisy windows."""
    B, F = rays.shape[:2]
    frames = draws.chance(0.06, B, 1) & noisy[:, None] & draws.chance(0.25, B, F)
    joint = torch.arange(17, device=rays.device)
    limbs = torch.where(draws.chance(0.5, B, 1), joint < 7, joint > 10)
    if ends_alone:
        ends = rays.new_tensor([joint in LIMB_ENDS for joint in range(17)]).bool()
        limbs = limbs & (ends | ~draws.chance(ends_alone, B, 1))
    swapped = (frames[:, :, None] & limbs[:, None])[..., None]
    return torch.where(swapped, rays[:, :, list(H36M17.flip_order)], rays)


def _lost(B: int, F: int, J: int, draws: Draws) -> Bool[Tensor, "B F J"]:
    """Undetected joints: single ones, groups for the whole window, whole frames, and a gap."""
    rate = 0.15 * draws.uniform(B, 1, 1) ** 2
    single = draws.uniform(B, F, J) < rate * rate.new_tensor(JOINT_NOISE) / 1.1
    member = rate.new_zeros(len(LOST_GROUPS), J)
    for row, (_, joints) in enumerate(LOST_GROUPS):
        member[row, list(joints)] = 1
    chances = rate.new_tensor([chance for chance, _ in LOST_GROUPS])
    groups = (draws.uniform(B, len(LOST_GROUPS)) < chances).float() @ member > 0
    often = torch.where(draws.chance(0.12, B, 1), 0.3 * draws.uniform(B, 1), 0.0)
    frames = draws.uniform(B, F) < often
    at, span = draws.uniform(B, 1) * F, draws.uniform(B, 1) * F * 0.3
    index = torch.arange(F, device=rate.device)
    frames = frames | (draws.chance(0.06, B, 1) & (index >= at) & (index < at + span))
    if F == 1:  # a single frame is not lost as a whole
        frames = torch.zeros_like(frames)
    return (single | groups[:, None] | frames[..., None]) & ~draws.chance(0.5, B, 1, 1)
