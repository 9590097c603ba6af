"""Rotations of a body's bones that bring its joints to given places.

First in closed form, from the first bone outwards: a bone whose rotation is observed through one
joint is turned by the smallest rotation from its parent's direction, so that it does not twist;
through several joints, by the rotation that fits them best (Kabsch 1976). Then damped Gauss-Newton
steps on the distances of all joints, separately for each pose, distribute the error that differing
bone lengths leave.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from hypopose.bodies import BodyModel, BodyParameters, Rest
from hypopose.bodies.kinematics import (
    cross_matrix,
    forward_kinematics,
    nearest_rotation,
    rotation_from_vector,
    swing,
)

JOINT_ERROR = 0.01
"""Meters that weigh as much as a rotation by one radian."""

KEEP = 1e-3
"""How much a parent's rotation counts beside joints that leave a rotation open."""

MIN_KNOWN = 3
"""A body's place needs so many joints about its first bone."""


def pose_body(
    body: BodyModel,
    target: Float[Tensor, "N J 3"],
    shape: Float[Tensor, "*m S"],
    n_steps: int = 5,
) -> BodyParameters:
    """Pose a body so that its joints come to given places.

    Args:
        body: Any.
        target: Places of the body's joints in meters, any right-handed frame; NaN where unknown.
        shape: How the people are built: one, or one each.
        n_steps: Gauss-Newton steps; 0 for the closed form alone.

    Returns:
        Parameters; NaN for poses of which too little is known.

    Example:
        >>> import hypopose
        >>> from hypopose.bodies import make_body
        >>> _, truth = hypopose.datasets.example_pair(4)
        >>> body = make_body("capsules")
        >>> found = pose_body(body, truth.joints, body.shapes.mean[None])
        >>> (body.joints(found) - truth.joints).norm(dim=-1).mean().item() < 0.05
        True
    """
    known = torch.isfinite(target).all(-1)
    filled = target.nan_to_num(0.0).double()
    start = _closed_form(body, filled, known, shape)
    if n_steps:
        start = _descended(body, filled, known, start, n_steps)
    placed = known[:, _about_first_bone(body)].sum(1) >= MIN_KNOWN
    return BodyParameters(
        torch.where(placed[:, None, None, None], start.rotations, torch.nan).to(target),
        torch.where(placed[:, None], start.origin, torch.nan).to(target),
        shape,
    )


def _about_first_bone(body: BodyModel) -> list[int]:
    """Joints that determine the pose of the first bone."""
    return [body.skeleton.root, *body.rig.aims[0]]


@torch.no_grad()
def _closed_form(
    body: BodyModel,
    target: Float[Tensor, "N J 3"],
    known: Bool[Tensor, "N J"],
    shape: Float[Tensor, "*m S"],
) -> BodyParameters:
    rest = body.rest(shape)
    bones = rest.bones.to(target).expand(len(target), *rest.bones.shape[-2:])
    joints = rest.joints.to(target).expand(len(target), *rest.joints.shape[-2:])
    first, origin = _first_bone(body, target, known, bones[:, 0], joints)
    turns, places = [first], [origin]
    local = [first]
    for bone, parent in list(enumerate(body.rig.parents))[1:]:
        above = turns[parent]
        offset = bones[:, bone] - bones[:, parent]
        place = places[parent] + (above @ offset[..., None])[..., 0]
        aims = list(body.rig.aims[bone])
        source = joints[:, aims] - bones[:, None, bone]
        wanted = target[:, aims] - place[:, None]
        turn = _turned(above, source, wanted, known[:, aims])
        turns.append(turn)
        places.append(place)
        local.append(above.mT @ turn)
    return BodyParameters(torch.stack(local, 1), origin, shape)


def _first_bone(
    body: BodyModel, target: Tensor, known: Tensor, begin: Tensor, joints: Tensor
) -> tuple[Tensor, Tensor]:
    """Rotation and origin that fit the joints about the first bone best."""
    about = _about_first_bone(body)
    weight = known[:, about, None].to(target)
    total = weight.sum(1, keepdim=True).clamp(min=1)
    x, y = joints[:, about], target[:, about]
    center_x, center_y = (
        (weight * x).sum(1, keepdim=True) / total,
        (weight * y).sum(1, keepdim=True) / total,
    )
    matrix = (weight * (y - center_y)).mT @ (x - center_x)
    identity = torch.eye(3, dtype=target.dtype)
    turn = nearest_rotation(matrix + 1e-9 * identity)
    offset = begin[:, None] - center_x
    return turn, (center_y + offset @ turn.mT)[:, 0]


def _turned(above: Tensor, source: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """A bone's rotation: the parent's, turned so that its joints point where they should."""
    if source.shape[1] == 0:
        return above
    if source.shape[1] == 1:
        start = functional.normalize((above @ source.mT)[..., 0], dim=-1)
        turn = swing(start, functional.normalize(wanted[:, 0], dim=-1)) @ above
        short = (source[:, 0].norm(dim=-1) < 1e-6) | (wanted[:, 0].norm(dim=-1) < 1e-6)
        return torch.where((known[:, 0] & ~short)[:, None, None], turn, above)
    weight = known[..., None].to(source)
    size = (weight * source.square()).sum((1, 2)).clamp(min=1e-9)
    matrix = (weight * wanted).mT @ source / size[:, None, None]
    return nearest_rotation(matrix + KEEP * above)


class _Tree:
    """What the bones of a body move: constant through a descent.

    Args:
        body: The model.
        rest: Bones and joints of the people.
        n: Poses.
    """

    def __init__(self, body: BodyModel, rest: Rest, n: int) -> None:
        self.parents = body.rig.parents
        self.weights = body.rig.joint_weights.double()
        self.bones = rest.bones.double().expand(n, *rest.bones.shape[-2:])
        self.joints = rest.joints.double().expand(n, *rest.joints.shape[-2:])
        below = torch.eye(len(self.parents), dtype=torch.float64)
        for bone in range(len(self.parents) - 1, 0, -1):
            below[self.parents[bone]] += below[bone]
        self.turned = [bone for bone, aims in enumerate(body.rig.aims) if aims]
        self.below = below[self.turned]  # (b, c): 1 if c is b or hangs on it

    def place(self, rotations: Tensor, origin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotations and origins of bones; every joint as each bone would move it."""
        turns, places = forward_kinematics(rotations, origin, self.bones, self.parents)
        arms = self.joints[:, :, None] - self.bones[:, None]
        carried = torch.einsum("nbij,nkbj->nkbi", turns, arms) + places[:, None]
        return turns, places, carried

    def joints_of(self, carried: Float[Tensor, "N J B 3"]) -> Float[Tensor, "N J 3"]:
        """Joints, averaged over the bones that move them."""
        return (self.weights[:, :, None] * carried).sum(2)

    def moved(
        self, turns: Tensor, rotations: Tensor, step: Float[Tensor, "N P"]
    ) -> Float[Tensor, "N B 3 3"]:
        """Rotations against parents, after turning what hangs on bones that aim."""
        turned = rotations.clone()
        small = rotation_from_vector(step.reshape(len(step), -1, 3))
        for i, bone in enumerate(self.turned):
            parent = self.parents[bone]
            new = small[:, i] @ turns[:, bone]
            turned[:, bone] = turns[:, parent].mT @ new if parent >= 0 else new
        return turned

    def slopes(self, places: Tensor, carried: Tensor) -> Float[Tensor, "N J 3 P"]:
        """Joints' derivatives by turning what hangs on bones that aim, and by a shift of all."""
        weighted = self.weights[:, :, None] * carried
        arms = torch.einsum("bc,nkcd->nkbd", self.below, weighted)
        arms = arms - (self.weights @ self.below.T)[:, :, None] * places[:, None, self.turned]
        turning = -cross_matrix(arms)  # (N, J, B, 3, 3)
        shift = torch.eye(3, dtype=arms.dtype).expand(*arms.shape[:2], 3, 3)
        return torch.cat([turning.movedim(2, -2).flatten(-2), shift], -1)


@torch.no_grad()
def _descended(
    body: BodyModel, target: Tensor, known: Tensor, start: BodyParameters, n_steps: int
) -> BodyParameters:
    """Levenberg-Marquardt: steps are kept where joints come nearer, else made smaller."""
    tree = _Tree(body, body.rest(start.shape), len(target))
    rotations, origin = start.rotations, start.origin
    turns, places, carried = tree.place(rotations, origin)
    best = _squared(tree.joints_of(carried), target, known)
    damping = torch.ones_like(best)
    for _ in range(n_steps):
        slopes = tree.slopes(places, carried) * known[:, :, None, None] / JOINT_ERROR
        missing = (target - tree.joints_of(carried)) * known[..., None] / JOINT_ERROR
        step = _damped_step(slopes.flatten(1, 2), missing.flatten(1), damping)
        tried = tree.moved(turns, rotations, step[:, :-3]), origin + step[:, -3:]
        error = _squared(tree.joints_of(tree.place(*tried)[2]), target, known)
        better = error < best
        damping = torch.where(better, damping / 4, damping * 8)
        rotations = torch.where(better[:, None, None, None], tried[0], rotations)
        origin = torch.where(better[:, None], tried[1], origin)
        best = torch.where(better, error, best)
        turns, places, carried = tree.place(rotations, origin)
    return BodyParameters(rotations, origin, start.shape)


def _damped_step(
    slopes: Float[Tensor, "N R P"], missing: Float[Tensor, "N R"], damping: Float[Tensor, " N"]
) -> Float[Tensor, "N P"]:
    identity = torch.eye(slopes.shape[-1], dtype=slopes.dtype)
    normal = slopes.mT @ slopes + damping[:, None, None] * identity
    return torch.linalg.solve(normal, slopes.mT @ missing[..., None])[..., 0]


def _squared(joints: Tensor, target: Tensor, known: Tensor) -> Float[Tensor, " N"]:
    return ((joints - target).square().sum(-1) * known).sum(1)
