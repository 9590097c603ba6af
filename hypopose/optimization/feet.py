"""Heels and big toes from their 2D points, given ankles: a small prior, no network.

A foot is nearly rigid: heel and toe lie at known distances from the ankle and from each other. So a
2D point leaves two places for it, where its ray meets a sphere about the ankle: nearer to the
camera, or farther away (Lee and Chen, "Determination of 3D human body postures from a single view",
CVGIP 30, 1985, for one bone). Four combinations of heel and toe per frame are weighed, and each
hypothesis draws one path through them:

=======================  =========================================================================
prior                    value
=======================  =========================================================================
heel to toe              0.152 of stature (Winter, 2009, figure 4.1), standard deviation 12 %
ankle flexion            -5 ± 20 degrees about the foot square to the shank
direction                the foot points ahead of the body, ± 40 degrees
over time                heel and toe move against the ankle by 2 m/s (standard deviation)
size of the foot         each hypothesis its own, ± 8 %
2D points                each hypothesis its own offset of 1 cm at the subject, the same in all
                         frames
=======================  =========================================================================

A path is drawn by filtering forward and sampling backward (Frühwirth-Schnatter, "Data augmentation
and dynamic linear models", Journal of Time Series Analysis 15, 1994; here with discrete states). A
foot whose points are not seen points ahead, as flexed as the prior says, with the prior's spread.

2D points are taken relative to the 2D ankle, since a hypothesis' ankle need not lie on its ray.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from hypopose.cameras import hypothesis_camera, project, rays
from hypopose.errors import MissingCameraError, OptionError, SkeletonMismatchError
from hypopose.skeletons import H36M17, H36M21
from hypopose.types import ASSUMED_FPS, Hypotheses, Keypoints2D, NoiseSource

FOOT = (("heel",), ("big_toe", "foot_index", "toe"))
"""Words for heel and toe in skeletons of detectors."""

ANKLE_TO_HEEL, ANKLE_TO_TOE, HEEL_TO_TOE = 0.054, 0.119, 0.152
"""Distances over stature: the ankle 3.9 % above the sole, a quarter of the foot before the heel."""

SIZE_STD, LENGTH_STD, POINT_STD = 0.08, 0.12, 0.01
FLEXION_DEG, FLEXION_STD, AHEAD_STD = -5.0, 20.0, 40.0
SPEED_STD = 2.0
"""m/s."""


def foot_points(keypoints: Keypoints2D) -> list[tuple[int, int]] | None:
    """Columns of heel and toe, left then right; None if the skeleton has no feet.

    Example:
        >>> from hypopose.skeletons import BODY25
        >>> foot_points(Keypoints2D(torch.zeros(1, 25, 2), BODY25))
        [(21, 19), (24, 22)]
    """
    names = keypoints.skeleton.joint_names
    found = []
    for side in ("left", "right"):
        heel, toe = (
            next((names.index(n) for n in (f"{side}_{w}" for w in words) if n in names), None)
            for words in FOOT
        )
        if heel is None or toe is None:
            return None
        found.append((heel, toe))
    return found


def lift_feet(
    hypotheses: Hypotheses, keypoints: Keypoints2D, height: Tensor, noise: NoiseSource
) -> Hypotheses:
    """Hypotheses with heels and big toes.

    Args:
        hypotheses: ``h36m17`` with roots, one person ``(H, F, 17, 3)``.
        keypoints: As detected, with heels and toes and the camera of the hypotheses.
        height: Stature of each hypothesis in meters, ``(H)``.
        noise: Of sizes, offsets and paths.

    Returns:
        The same joints and four more, ``h36m21``.

    Raises:
        SkeletonMismatchError: If the hypotheses are in another skeleton.
        OptionError: If the keypoints have no feet or ankles, or there are no roots.
        MissingCameraError: If the keypoints have no camera.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> from hypopose.diffusion import seeded_noise
        >>> from hypopose.skeletons import BODY25
        >>> keypoints, truth = example_pair(5)
        >>> feet = replace(keypoints, xy=torch.full((5, 25, 2), torch.nan), skeleton=BODY25,
        ...                confidence=None)
        >>> x = Hypotheses(truth.joints.expand(3, 5, 17, 3), H36M17, truth.root.expand(3, 5, 3))
        >>> lift_feet(x, feet, torch.full((3,), 1.7), seeded_noise(0)).joints.shape
        torch.Size([3, 5, 21, 3])
    """
    columns = _checked(hypotheses, keypoints)
    assert hypotheses.root is not None
    H, F = hypotheses.joints.shape[:2]
    drawn = noise((H, F, 21, 3)).double().reshape(H, F, -1)
    placed = (hypotheses.joints + hypotheses.root[..., None, :]).double()
    parts = [
        _lift_one(placed, hypotheses, keypoints, side, pair, height.double(), own)
        for side, pair, own in zip(
            ("left", "right"), columns, drawn[..., :20].chunk(2, -1), strict=True
        )
    ]
    root = hypotheses.root[..., None, :].double()
    feet = torch.cat([part - root for part in parts], -2).to(hypotheses.joints)
    return replace(hypotheses, joints=torch.cat((hypotheses.joints, feet), -2), skeleton=H36M21)


def _checked(hypotheses: Hypotheses, keypoints: Keypoints2D) -> Sequence[tuple[int, int]]:
    if hypotheses.skeleton != H36M17 or hypotheses.joints.dim() != 4:
        raise SkeletonMismatchError(
            f"Feet are added to one person's 'h36m17', not to {hypotheses.skeleton.name!r}; sample "
            "with a sampler of Human3.6M's joints."
        )
    if keypoints.camera is None:
        raise MissingCameraError(
            "Feet are lifted along the rays of their points, but these keypoints carry no camera. "
            "Attach one with keypoints.with_camera(Camera.from_fov(image_size))."
        )
    columns = foot_points(keypoints)
    ankles = {"left_ankle", "right_ankle"} <= set(keypoints.skeleton.joint_names)
    if columns is None or not ankles or hypotheses.root is None:
        raise OptionError(
            f"The keypoints ({keypoints.skeleton.name}) have no heels and toes, or there is no "
            "root; feet need BODY_25, Halpe-26, COCO-WholeBody or MediaPipe. Leave out feet."
        )
    return columns


def _lift_one(
    placed: Float[Tensor, "H F 17 3"],
    hypotheses: Hypotheses,
    keypoints: Keypoints2D,
    side: str,
    pair: tuple[int, int],
    height: Float[Tensor, " H"],
    drawn: Float[Tensor, "H F 10"],
) -> Float[Tensor, "H F 2 3"]:
    """Heel and toe of one foot."""
    at = {name: placed[..., H36M17.index(name), :] for name in H36M17.joint_names}
    ankle, shank = at[f"{side}_ankle"], at[f"{side}_ankle"] - at[f"{side}_knee"]
    down = functional.normalize(shank, dim=-1)
    ahead = _ahead(at, down)
    size = height * (SIZE_STD * drawn[:, 0, 0]).exp()
    flexion = FLEXION_DEG + FLEXION_STD * drawn[:, 0, 1]
    rest = _rest(ankle, down, ahead, size, flexion)
    offset = POINT_STD * drawn[:, :1, 2:6].reshape(-1, 1, 2, 2)
    lines = _rays(hypotheses, keypoints, side, pair, ankle, offset)
    places = torch.stack(
        [
            _on_spheres(ankle, lines[..., k, :], length * size, rest[..., k, :])
            for k, length in enumerate((ANKLE_TO_HEEL, ANKLE_TO_TOE))
        ],
        -2,
    )  # H F 2(near, far) 2(heel, toe) 3
    heel, toe = places[..., [0, 0, 1, 1], 0, :], places[..., [0, 1, 0, 1], 1, :]
    states = torch.stack((heel, toe), -2) - ankle[..., None, None, :]
    score = _score(states, down, ahead, size)
    chosen = _draw_path(states, score, drawn[..., 6], keypoints.fps or ASSUMED_FPS)
    index = chosen[..., None, None, None].expand(*chosen.shape, 1, 2, 3)
    return states.gather(2, index)[:, :, 0] + ankle[..., None, :]


def _ahead(at: dict[str, Tensor], down: Float[Tensor, "H F 3"]) -> Float[Tensor, "H F 3"]:
    """Where the body faces, square to the shank."""
    left = at["left_hip"] - at["right_hip"]
    up = at["thorax"] - at["pelvis"]
    forward = torch.linalg.cross(left, up)
    forward = forward - (forward * down).sum(-1, keepdim=True) * down
    return functional.normalize(forward, dim=-1)


def _rest(
    ankle: Tensor, down: Tensor, ahead: Tensor, size: Tensor, flexion: Tensor
) -> Float[Tensor, "H F 2 3"]:
    """Heel and toe of a foot that points ahead, dorsiflexed by so many degrees."""
    angle = torch.deg2rad(flexion)[:, None, None]
    along = angle.cos() * ahead - angle.sin() * down
    sole = angle.cos() * down + angle.sin() * ahead
    size = size[:, None, None]
    heel = ankle + size * (0.039 * sole - 0.038 * along)
    toe = ankle + size * (0.034 * sole + 0.114 * along)
    return torch.stack((heel, toe), -2)


def _rays(
    hypotheses: Hypotheses,
    keypoints: Keypoints2D,
    side: str,
    pair: tuple[int, int],
    ankle: Float[Tensor, "H F 3"],
    offset: Float[Tensor, "H 1 2 2"],
) -> Float[Tensor, "H F 2 3"]:
    """Directions to heel and toe, as far from the hypothesis' ankle as in the picture."""
    assert keypoints.camera is not None
    camera = hypothesis_camera(hypotheses, keypoints.camera)
    camera = replace(camera, rotation=None, translation=None)
    seen = keypoints.xy[:, list(pair)].double()
    own = keypoints.xy[:, keypoints.skeleton.index(f"{side}_ankle")].double()
    shown = project(ankle.float(), camera).double()
    shift = torch.where(torch.isfinite(own).all(-1, keepdim=True), shown - own, 0.0)
    px = seen + shift[..., None, :]
    per_meter = camera.focal.double().reshape(-1, 1, 1, 2) / ankle[..., None, 2:]
    return rays((px + offset * per_meter).float(), camera).double()


def _on_spheres(
    center: Float[Tensor, "H F 3"],
    ray: Float[Tensor, "H F 3"],
    radius: Float[Tensor, " H"],
    rest: Float[Tensor, "H F 3"],
) -> Float[Tensor, "H F 2 3"]:
    """Near and far place of a point on its ray; the nearest one if the ray misses.

    Where the point is not seen both are its place at rest.
    """
    d = functional.normalize(torch.nan_to_num(ray, nan=0.0), dim=-1)
    along = (center * d).sum(-1)
    aside = (center - along[..., None] * d).norm(dim=-1)
    half = (radius[:, None] ** 2 - aside**2).clamp(min=0).sqrt()
    places = torch.stack([(along + s * half)[..., None] * d for s in (-1, 1)], -2)
    # A ray that misses: towards its closest point, at the foot's own distance.
    way = functional.normalize(places - center[..., None, :], dim=-1)
    places = center[..., None, :] + radius[:, None, None, None] * way
    seen = torch.isfinite(ray).all(-1)[..., None, None]
    return torch.where(seen, places, rest[..., None, :])


def _score(
    states: Float[Tensor, "H F 4 2 3"], down: Tensor, ahead: Tensor, size: Tensor
) -> Float[Tensor, "H F 4"]:
    """Log prior of each combination."""
    foot = states[..., 1, :] - states[..., 0, :]
    length = foot.norm(dim=-1) / size[:, None, None]
    along = functional.normalize(foot, dim=-1)
    down, ahead = down[..., None, :], ahead[..., None, :]
    flexion = torch.rad2deg(torch.asin(-(along * down).sum(-1).clamp(-1, 1)))
    level = along - (along * down).sum(-1, keepdim=True) * down
    cosine = functional.cosine_similarity(level, ahead.expand_as(level), dim=-1)
    turn = torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))
    return -0.5 * (
        ((length - HEEL_TO_TOE) / (LENGTH_STD * HEEL_TO_TOE)) ** 2
        + ((flexion - FLEXION_DEG) / FLEXION_STD) ** 2
        + (turn / AHEAD_STD) ** 2
    )


def _draw_path(
    states: Float[Tensor, "H F 4 2 3"],
    score: Float[Tensor, "H F 4"],
    normal: Float[Tensor, "H F"],
    fps: float,
) -> Int[Tensor, "H F"]:
    """One path through the combinations: filtered forward, sampled backward."""
    variance = max(SPEED_STD / fps, 0.01) ** 2
    F = states.shape[1]
    # h, f, from, to: how well a step is explained.
    step = states[:, 1:, None] - states[:, :-1, :, None]
    move = -0.5 * step.square().sum((-1, -2)) / variance
    forward = [score[:, 0].log_softmax(-1)]
    for f in range(1, F):
        ahead = torch.logsumexp(forward[-1][..., None] + move[:, f - 1], -2)
        forward.append((ahead + score[:, f]).log_softmax(-1))
    uniform = 0.5 * (1 + torch.erf(normal / math.sqrt(2)))
    path = [_pick(forward[-1], uniform[:, -1])]
    for f in range(F - 2, -1, -1):
        to = path[-1][:, None, None].expand(-1, 4, 1)
        weight = forward[f] + move[:, f].gather(2, to)[..., 0]
        path.append(_pick(weight.log_softmax(-1), uniform[:, f]))
    return torch.stack(path[::-1], 1)


def _pick(log_weight: Float[Tensor, "H 4"], uniform: Float[Tensor, " H"]) -> Int[Tensor, " H"]:
    below = log_weight.exp().cumsum(-1) < uniform[:, None]
    return below.sum(-1).clamp(max=log_weight.shape[-1] - 1)
