"""The posterior density of a clip, in the coordinates chains move in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float64
from torch import Tensor
from torch.nn import functional

from hypopose.cameras import undistort
from hypopose.samplers.boneflips import parents_first
from hypopose.samplers.mcmc.priors import (
    DEPTH_M,
    DEPTH_STD,
    NEAREST,
    PLACE_STD,
    ROOT_SPEED,
    SAME_LENGTH,
    SPEED,
    TURN_SPEED,
)
from hypopose.samplers.pose_prior import PosePrior, turned
from hypopose.types import ASSUMED_FPS, Keypoints2D


@dataclass(frozen=True, eq=False)
class Target:
    """The posterior density of a clip, in the coordinates chains move in.

    Args:
        prior: Of poses.
        center: Where errors of 0 put joints on the plane z = 1.
        factor: What a whitened error of 1 moves a joint by, there.
        detected: Joints whose errors the likelihood judges.
        tails: Degrees of freedom of errors; None for normal ones.
        start_depth: Of the root, in units of the scale.
        seconds: Between frames.
    """

    prior: PosePrior
    center: Float64[Tensor, "T J 2"]
    factor: Float64[Tensor, "T J 2 2"]
    detected: Bool[Tensor, "T J"]
    tails: float | None
    start_depth: Float64[Tensor, " T"]
    seconds: float

    def __post_init__(self) -> None:
        # What every evaluation needs, once.
        skeleton, T = self.prior.skeleton, len(self.center)
        n = len(skeleton.bones)
        chain = torch.zeros(skeleton.n_joints, n, dtype=torch.float64)
        for bone, (parent, child) in parents_first(skeleton):
            chain[child] = chain[parent]
            chain[child, bone] = 1
        same = torch.ones(T, T, dtype=torch.float64)
        apart = SAME_LENGTH**2 * torch.eye(T * n, dtype=torch.float64) if T > 1 else 0.0
        covariance = torch.kron(same, self.prior.log_length_covariance) + apart
        whiten = torch.linalg.inv(torch.linalg.cholesky(covariance))
        parents, children = (list(side) for side in zip(*skeleton.bones, strict=True))
        others = [j for j in range(skeleton.n_joints) if j != skeleton.root]
        cached = {"_chain": chain, "_whiten": whiten, "_parents": parents, "_children": children}
        for name, value in {**cached, "_others": others}.items():
            object.__setattr__(self, name, value)

    _chain: Tensor = field(init=False, repr=False)
    _whiten: Tensor = field(init=False, repr=False)
    _parents: list[int] = field(init=False, repr=False)
    _children: list[int] = field(init=False, repr=False)
    _others: list[int] = field(init=False, repr=False)

    @staticmethod
    def of(
        clip: Keypoints2D,
        prior: PosePrior,
        covariance: Float64[Tensor, "T J 2 2"],
        tails: float | None,
    ) -> Target:
        """From keypoints with a camera and the covariance of their errors in pixels."""
        camera = clip.camera
        assert camera is not None
        plane = undistort(clip.xy.double(), camera)
        focal = camera.focal.double()
        detected = torch.isfinite(plane).all(-1)
        scaled = covariance / (focal[:, None] * focal[None, :])
        depth = _reach(plane, prior)
        center, loose = _filled(plane, depth, prior)
        safe = torch.where(detected[..., None, None], scaled, torch.eye(2).double())
        factor = torch.where(detected[..., None, None], torch.linalg.cholesky(safe), loose)
        return Target(prior, center, factor, detected, tails, depth, 1 / (clip.fps or ASSUMED_FPS))

    @property
    def root(self) -> int:
        """Index of the root joint."""
        return self.prior.skeleton.root

    @property
    def n_coordinates(self) -> int:
        """D: errors, depths, the root's log depth, and the heading."""
        skeleton = self.prior.skeleton
        return 2 * skeleton.n_joints + len(skeleton.bones) + 2

    def split(self, position: Float64[Tensor, "*axes T D"]) -> tuple[Tensor, Tensor, Tensor]:
        """Places on the plane ``(..., T, J, 2)``, depths ``(..., T, J)`` and headings."""
        J = self.prior.skeleton.n_joints
        parts = [2 * J, position.shape[-1] - 2 * J - 2, 1, 1]
        e, zeta, depth, heading = torch.split(position, parts, -1)
        p = self.center + (self.factor @ torch.unflatten(e, -1, (J, 2))[..., None])[..., 0]
        return p, depth.exp() + zeta @ self._chain.mT, heading[..., 0]

    def join(
        self,
        before: Float64[Tensor, "C T D"],
        depth: Float64[Tensor, "*axes T J"],
        heading: Float64[Tensor, "*axes T"],
    ) -> Float64[Tensor, "*axes T D"]:
        """A position with other depths and headings than ``before``; errors stay."""
        J = self.prior.skeleton.n_joints
        zeta = depth[..., self._children] - depth[..., self._parents]
        e = before[..., : 2 * J].expand(*depth.shape[:-1], 2 * J)
        rest = [zeta, depth[..., self.root].log()[..., None], heading[..., None]]
        return torch.cat([e, *rest], -1)

    def pose(self, position: Float64[Tensor, "*axes T D"]) -> tuple[Tensor, Tensor]:
        """Joints ``(..., T, J, 3)`` in the camera frame, in units of the scale; headings."""
        p, depth, heading = self.split(position)
        return functional.pad(p, (0, 1), value=1.0) * depth[..., None], heading

    def log_density(self, position: Float64[Tensor, "*axes T D"]) -> Float64[Tensor, "*axes"]:
        """Log posterior density up to a constant; -∞ if a joint is behind the camera."""
        p, depth, heading = self.split(position)
        T, J = p.shape[-3:-1]
        safe = depth.clamp(min=NEAREST)
        x = functional.pad(p, (0, 1), value=1.0) * safe[..., None]
        length, u = self._bones(x)
        white = self.white_lengths(length)
        local = turned(u, heading) if self.prior.upright else u
        shape = self.prior.log_directions(local) + self.prior.log_limits(u)
        shape = shape - 3 * length.log().sum(-1)
        total = shape.mean(-1) - 0.5 * white.square().sum(-1)
        total = total + 2 * safe[..., self._others].log().sum((-2, -1))
        total = total + self._likelihood(position[..., : 2 * J]) + self._root(p, depth)
        if T > 1:
            total = total + self._motion(x, heading)
        return torch.where((depth > NEAREST).all(-1).all(-1), total, -torch.inf)

    def bones(self, position: Float64[Tensor, "*axes T D"]) -> tuple[Tensor, Tensor]:
        """Lengths ``(..., T, B)`` in units of the scale, and directions."""
        return self._bones(self.pose(position)[0])

    def _bones(self, x: Float64[Tensor, "*axes T J 3"]) -> tuple[Tensor, Tensor]:
        v = x[..., self._children, :] - x[..., self._parents, :]
        length = v.square().sum(-1).clamp(min=1e-12).sqrt()
        return length, v / length[..., None]

    def white_lengths(self, length: Float64[Tensor, "*axes T B"]) -> Float64[Tensor, "*axes TB"]:
        """Log lengths of all frames, less their medians, as standard normals of the prior."""
        return (length.log() - self.prior.lengths.log()).flatten(-2) @ self._whiten.mT

    def _likelihood(self, e: Tensor) -> Tensor:
        squares = torch.unflatten(e, -1, (-1, 2)).square().sum(-1)
        if self.tails is None:
            log_error = -0.5 * squares
        else:
            log_error = -0.5 * (self.tails + 2) * torch.log1p(squares / self.tails)
        return torch.where(self.detected, log_error, 0.0).sum((-2, -1))

    def _root(self, p: Tensor, depth: Tensor) -> Tensor:
        """The first frame's place and log depth; the scale is integrated out."""
        place = p[..., 0, self.root, :]
        away = depth[..., 0, self.root].clamp(min=NEAREST).log() - math.log(DEPTH_M)
        variance = DEPTH_STD**2 + self.prior.length_std[0] ** 2
        log_place = -0.5 * (place / PLACE_STD).square().sum(-1) - 0.5 * away**2 / variance
        # Later frames' roots are tied to the first as points in space, not as (place, log depth).
        return log_place + 3 * depth[..., 1:, self.root].clamp(min=NEAREST).log().sum(-1)

    def _motion(self, x: Tensor, heading: Tensor) -> Tensor:
        turn = heading.diff(dim=-1).cos().sum(-1) / (TURN_SPEED * self.seconds) ** 2
        return turn - 0.5 * self._steps(x).square().sum((-3, -2, -1))

    def _steps(self, x: Float64[Tensor, "*axes T J 3"]) -> Tensor:
        """Steps between frames over their deviations: of joints about the root, of the root."""
        root = x[..., self.root : self.root + 1, :]
        moves = [(x - root)[..., self._others, :].diff(dim=-3) / SPEED]
        return torch.cat([*moves, root.diff(dim=-3) / ROOT_SPEED], -2) / self.seconds

    def ties(self, position: Float64[Tensor, "T D"]) -> Float64[Tensor, " n"]:
        """Residuals of the prior of motion: steps, and turns of the heading."""
        x, heading = self.pose(position)
        turns = heading.diff() / (TURN_SPEED * self.seconds)
        return torch.cat([self._steps(x).flatten(), turns])

    def slope(self, p: Tensor, depth: Tensor) -> Tensor:
        """d·v of every bone: how fast its squared length grows with its end's depth, halved."""
        ray = functional.pad(p, (0, 1), value=1.0)
        x = ray * depth[..., None]
        v = x[..., self._children, :] - x[..., self._parents, :]
        return (ray[..., self._children, :] * v).sum(-1)

    def walk(
        self, p: Tensor, length: Tensor, root_depth: Tensor, coin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Depths from bone lengths and coins, and whether every bone reaches its ray."""
        ray = functional.pad(p, (0, 1), value=1.0)
        size2 = ray.square().sum(-1)
        depth: dict[int, Tensor] = {self.root: root_depth.expand(coin.shape[:-1])}
        reaches = torch.ones(coin.shape[:-1], dtype=torch.bool)
        for bone, (parent, child) in parents_first(self.prior.skeleton):
            along = depth[parent] * (ray[..., child, :] * ray[..., parent, :]).sum(-1)
            rest = depth[parent].square() * size2[..., parent] - length[..., bone].square()
            room = along.square() - size2[..., child] * rest
            reaches = reaches & (room > 0)
            half = coin[..., bone] * room.clamp(min=0).sqrt()
            depth[child] = (along + half) / size2[..., child]
        joints = range(self.prior.skeleton.n_joints)
        return torch.stack([depth[j] for j in joints], -1), reaches.all(-1)

    def flipped(
        self,
        position: Float64[Tensor, "C T D"],
        signs: Float64[Tensor, "N B"],
        n_headings: int = 1,
        zoom: float | Float64[Tensor, "N 1 1"] = 1.0,
    ) -> tuple[Float64[Tensor, "NH C T D"], Float64[Tensor, "NH C"]]:
        """All combinations of flips and headings, and their log densities in (p, ℓ, coins).

        Args:
            position: Of every chain; its errors and bone lengths are kept.
            signs: Rows of flips, 1 to keep a bone's coin and -1 to change it.
            n_headings: 1, or more.
            zoom: What each row multiplies the root's depth by.
        """
        p, depth, heading = self.split(position)
        x = functional.pad(p, (0, 1), value=1.0) * depth[..., None]
        length = (x[..., self._children, :] - x[..., self._parents, :]).norm(dim=-1)
        slope = self.slope(p, depth)
        coin = torch.where(slope < 0, -1.0, 1.0) * signs[:, None, None]
        new, reaches = self.walk(p, length, zoom * depth[..., self.root], coin)
        k = torch.arange(n_headings)
        turn = torch.where(k % 2 == 0, 1.0, -1.0)[:, None, None] * heading
        turn = turn + (k // 2)[:, None, None] * (math.pi / 2)
        n = len(signs)
        new = new[:, None].expand(n, n_headings, *depth.shape)
        places = self.join(position, new, turn.expand(n, *turn.shape)).flatten(0, 1)
        volume = self.slope(p, new).abs().clamp(min=1e-300).log().sum((-2, -1))
        log_density = self.log_density(places) - volume.flatten(0, 1)
        possible = reaches[:, None].expand(n, n_headings, -1).flatten(0, 1)
        return places, torch.where(possible, log_density, -torch.inf)

    def draw_scale(self, position: Float64[Tensor, "N T D"]) -> Float64[Tensor, " N"]:
        """The body's scale, from its posterior given the root's depth in units of it."""
        a, b = self.prior.length_std[0] ** 2, DEPTH_STD**2
        away = math.log(DEPTH_M) - position[:, 0, -2]
        mean, std = away * a / (a + b), math.sqrt(a * b / (a + b))
        return (mean + std * torch.randn(len(position), dtype=torch.float64)).exp()


def _reach(plane: Tensor, prior: PosePrior) -> Float64[Tensor, " T"]:
    """About the root's depth: a low quantile of the depths at which bones could look as long."""
    parent, child = (list(side) for side in zip(*prior.skeleton.bones, strict=True))
    seen = (plane[:, child] - plane[:, parent]).norm(dim=-1)
    bounds = torch.nanquantile(prior.lengths / seen.clamp(min=1e-6), 0.2, dim=-1)
    return bounds.nan_to_num(DEPTH_M).clamp(0.3, 50.0)


def _filled(plane: Tensor, depth: Tensor, prior: PosePrior) -> tuple[Tensor, Tensor]:
    """Missing joints start at their parents, a bone's length loose."""
    seen = torch.isfinite(plane).all(-1)
    middle = plane.nanmean(1)
    center = plane.clone()
    loose = torch.zeros(*plane.shape, 2, dtype=torch.float64)
    root = prior.skeleton.root
    center[:, root] = torch.where(seen[:, root, None], plane[:, root], middle)
    eye = torch.eye(2, dtype=torch.float64)
    loose[:, root] = (0.3 / depth)[:, None, None] * eye
    for bone, (parent, child) in parents_first(prior.skeleton):
        center[:, child] = torch.where(seen[:, child, None], plane[:, child], center[:, parent])
        loose[:, child] = (prior.lengths[bone] / depth)[:, None, None] * eye
    return center, loose
