"""Motion augmentation: recombined body parts, other bone lengths, other speeds.

Permissively licensed motion capture holds few poses, but arms, legs and trunks occur in many more
combinations than were recorded. Measured on unseen poses, the nearest pose of the training set is
76 mm away per joint, but 28 mm when legs, trunk and each arm may come from different frames. So
most windows are put together from four parts, each from its own clip:

* a part is a set of bone *directions*, so that bone lengths are free;
* gravity stays: parts turn about the vertical only. The trunk keeps its turn relative to its own
  pelvis, an arm its turn relative to its own shoulders, frame by frame;
* arms are attached at the trunk's shoulders, the trunk at the legs' pelvis; the path is the legs';
* windows whose hips or waist bend beyond anatomical limits are drawn again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from hypopose.bodies.proportions import BONE_LENGTHS, BONE_PAIRS
from hypopose.cameras import axis_angle
from hypopose.simulation.anatomy import (
    BONES,
    LEG,
    MEANINGS,
    PAIR_FREEDOM,
    PARTS,
    bone_chain,
    mean_lengths,
    plausible,
    trunk_axes,
)
from hypopose.simulation.motion import Motion
from hypopose.simulation.option_checks import check_range, check_shares
from hypopose.simulation.people import People, load_people
from hypopose.simulation.random_draws import Draws
from hypopose.skeletons import H36M17


@dataclass(frozen=True, eq=False)
class Bodies:
    """Windows of motion in the world, before a camera looks at them.

    Args:
        joints: Meters, z up.
        seen: The same, with joints where a detector would put them.
        fps: Frames per second of each window.
        people: Whose points detectors see, a row of the table a window; None without a table.
    """

    joints: Float[Tensor, "B F J 3"]
    seen: Float[Tensor, "B F J 3"]
    fps: Float[Tensor, " B"]
    people: People | None = None


@dataclass(frozen=True)
class BodyOptions:
    """How bodies in motion are drawn.

    Args:
        recombine: Share of windows whose body parts come from different clips.
        seated_share: Share of parts drawn from shards called ``procedural...``.
        tumbling: Share of windows whose bodies lean or fall in any direction.
        bone_sd: Relative spread of bone lengths: of the whole body, and of each pair of bones.
        free_pairs: Whether pairs differ in how much they vary, see
            :data:`hypopose.simulation.anatomy.PAIR_FREEDOM`.
        pair_freedom: How much of that difference is drawn, 0 to 1.
        direction_sd: Spread of a constant tilt of every bone, in radians.
        recorded_bones: Share of windows whose mean bones lie between the Human3.6M skeleton's and
            the recorded bodies'.
        recorded_reach: How far they go that way: 1 to the recorded bodies, more for past them, so
            that real people lie inside the distribution and not at its edge.
        as_recorded: Share of windows with the bone lengths of one recorded body (the legs' clip):
            nothing of ``bone_sd``, ``direction_sd``, ``spine_sd`` and ``recorded_bones`` is drawn.
        exchanged: Share of those windows that take the bone lengths of other recorded bodies than
            the clip's own: between two of them, or up to a fifth past one.
        spine_sd: Spread in meters of how far before or behind the trunk the spine joint lies, a
            choice of each data set; a third of it along the trunk.
        as_people: Share of windows with the bone lengths of a person of the table
            (:mod:`hypopose.simulation.people`). Above 0, detectors see the points of a person of
            the table in every window.

    Raises:
        OptionError: If a value is out of range.
    """

    recombine: float = 0.6
    seated_share: float = 0.3
    tumbling: float = 0.0
    bone_sd: tuple[float, float] = (0.05, 0.035)
    free_pairs: bool = False
    pair_freedom: float = 1.0
    direction_sd: float = 0.0
    recorded_bones: float = 0.0
    recorded_reach: float = 1.0
    as_recorded: float = 0.0
    exchanged: float = 0.0
    spine_sd: float = 0.0
    as_people: float = 0.0

    def __post_init__(self) -> None:
        shares = ("recombine", "seated_share", "tumbling", "pair_freedom", "recorded_bones")
        check_shares(self, *shares, "as_recorded", "as_people", "exchanged")
        check_range(self, 0.0, 1.0, "bone_sd", "direction_sd")
        check_range(self, 0.0, 2.0, "recorded_reach", "spine_sd")


@dataclass(frozen=True, eq=False)
class Builds:
    """How people are built, and where detectors see their joints.

    Args:
        lengths: Segments in meters, in the order of :data:`hypopose.bodies.proportions.SEGMENTS`.
        offsets: From the joints to where they are seen, in meters: towards the person's left, up
            along the trunk, forward.
    """

    lengths: Float[Tensor, "B 10"]
    offsets: Float[Tensor, "B 17 3"]

    @property
    def legs(self) -> Float[Tensor, "B 1"]:
        """Thigh and shin."""
        return self.lengths[:, 1:2] + self.lengths[:, 2:3]


Frames = tuple[Tensor, Tensor, Tensor]
"""Neighboring source frames (B, F) and the weight of the later."""

DrawBuilds = Callable[[int, Draws], Builds]
"""Draws builds for so many windows."""


class BodyMaker:
    """Draws bodies in motion; every step is a tensor operation on one device.

    Args:
        motion: Clips to draw from.
        device: Where bodies are made.
        options: How they are drawn.
        builds: Draws how the people of all windows are built, and where detectors see their
            joints; None for the options' own. ``options`` then only decide how they move.
    """

    def __init__(
        self,
        motion: Motion,
        device: torch.device,
        options: BodyOptions | None = None,
        builds: DrawBuilds | None = None,
    ) -> None:
        self.options = options or BodyOptions()
        self.builds = builds
        o = self.options
        self.people = load_people().to(device) if o.as_people else None
        more = o.pair_freedom if o.free_pairs else 0.0
        self.freedom = torch.lerp(torch.ones(len(PAIR_FREEDOM)), torch.tensor(PAIR_FREEDOM), more)
        self.freedom = self.freedom.to(device)
        self.fps = motion.fps
        x = motion.joints.to(device)
        bones = torch.stack([x[:, child] - x[:, parent] for parent, child in BONES], 1)
        directions = functional.normalize(bones, dim=-1)
        self.parts = [directions[:, list(part)].contiguous() for part in PARTS]
        self.root = x[:, 0].contiguous()
        self.leg = bones[:, 1].norm(dim=-1) + bones[:, 2].norm(dim=-1)
        self.pelvis = _heading(x[:, 4] - x[:, 1])
        self.shoulders = _heading(x[:, 11] - x[:, 14])
        self.start, self.length = motion.start.to(device), motion.length.to(device)
        self.recorded = mean_lengths(bones.norm(dim=-1), self.start, self.length)
        self.weights = clip_weights(motion, o.seated_share).to(device)
        self.chain = bone_chain().to(device)
        self.bone_lengths = torch.tensor(BONE_LENGTHS, device=device)
        self.pairs = torch.tensor(BONE_PAIRS, device=device)
        self.meanings = torch.zeros(17, 3, device=device)
        for joint, std in MEANINGS.items():
            self.meanings[joint] = torch.tensor(std, device=device)

    def __call__(self, B: int, F: int, draws: Draws) -> Bodies:
        """Draw ``B`` windows of ``F`` frames."""
        o = self.options
        fps = frame_rates(B, draws)
        directions, path, clip = self._recombined(F, fps, draws)
        good = plausible(directions)
        again = draws.pick(good.float() + 1e-6, B)
        pick = torch.where(good, torch.arange(B, device=again.device), again)
        directions, path, clip = directions[pick], path[pick], clip[pick]
        common = (1 + o.bone_sd[0] * draws.normal(B, 1)).clamp(min=0.5)
        pairs = 1 + o.bone_sd[1] * self.freedom * draws.normal(B, max(BONE_PAIRS) + 1)
        pairs = pairs.clamp(min=0.5)
        drawn = torch.ones_like(common)
        if o.as_recorded:
            drawn = 1 - draws.chance(o.as_recorded, B, 1).float()
        if o.direction_sd:
            tilt = o.direction_sd * draws.normal(B, len(BONES), 3)
            directions = directions + (tilt * drawn[..., None])[:, None]
        lengths = self._mean_bones(clip, draws) * common * pairs[:, self.pairs]
        if o.as_recorded:
            own = self._recorded_body(clip[:, 0], draws)
            lengths = torch.lerp(own, lengths, drawn)
            legs = (own[:, 1] + own[:, 2])[:, None] / LEG
            common = torch.lerp(legs, common, drawn)
        people = self._people(B, draws)
        builds = None if self.builds is None else self.builds(B, draws)
        if builds is not None:
            lengths, common = builds.lengths[:, self.pairs], builds.legs / LEG
        elif people is not None:
            lengths, common = self._as_people(people, lengths, common, drawn, draws)
        bones = functional.normalize(directions, dim=-1) * lengths[:, None, :, None]
        body = self.chain @ bones
        if o.spine_sd:
            offset = draws.normal(B, 3) * body.new_tensor([0.0, 1 / 3, 1.0]) * o.spine_sd
            body[:, :, 7] += ((offset * drawn)[:, None, None] @ trunk_axes(body))[:, :, 0]
        shift = self._shifts(body, draws, builds)
        body, shift, path = _mirror_some(body, shift, path * common[..., None], draws)
        tilt, lying = _tilts(B, o.tumbling, draws)
        body, shift = body @ tilt.mT[:, None], shift @ tilt.mT[:, None]
        path = _place(path, lying, draws)[:, :, None]
        return Bodies(path + body, path + body + shift, fps[pick], people)

    def _as_people(
        self, people: People, lengths: Tensor, common: Tensor, drawn: Tensor, draws: Draws
    ) -> tuple[Tensor, Tensor]:
        """Bone lengths and sizes of which some are those of people of the table."""
        rest = max(1 - self.options.as_recorded, 1e-6)
        theirs = draws.chance(self.options.as_people / rest, len(common), 1) & (drawn > 0)
        own = people.lengths[:, self.pairs]
        legs = (own[:, 1] + own[:, 2])[:, None] / LEG
        return torch.where(theirs, own, lengths), torch.where(theirs, legs, common)

    def _recorded_body(self, clip: Tensor, draws: Draws) -> Tensor:
        """Bone lengths (B, 16) of one recorded body a window."""
        own = self.recorded[clip]
        if not self.options.exchanged:
            return own
        B = len(clip)
        one, other = self.recorded[draws.pick(self.weights, 2 * B)].chunk(2)
        between = torch.lerp(one, other, draws.uniform(B, 1, low=-0.2, high=1.2))
        return torch.where(draws.chance(self.options.exchanged, B, 1), between, own)

    def _people(self, B: int, draws: Draws) -> People | None:
        """A person of the table for every window."""
        if self.people is None:
            return None
        weights = torch.ones(len(self.people), device=draws.device)
        return self.people.pick(draws.pick(weights, B))

    def _mean_bones(self, clip: Tensor, draws: Draws) -> Tensor:
        """Mean bone lengths (B, 16), or (1, 16) if no window has recorded ones."""
        o = self.options
        if not o.recorded_bones:
            return self.bone_lengths[None]
        B = len(clip)
        # Both arms are those of the left arm's clip: left as long as right.
        part = clip[:, [0] * 6 + [1] * 5 + [2] * 2 + [1] + [2] * 2]
        own = self.recorded[part, torch.arange(len(BONES), device=clip.device)]
        share = o.recorded_reach * draws.uniform(B, 1) * draws.chance(o.recorded_bones, B, 1)
        return torch.lerp(self.bone_lengths.expand_as(own), own, share)

    def _recombined(self, F: int, fps: Tensor, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
        """Bone directions (B, F, 16, 3), paths (B, F, 3) of the mean body, clips (B, 4)."""
        B = len(fps)
        clip = draws.pick(self.weights, B * 4).view(B, 4)
        phase = draws.uniform(B, 4)
        keep = ~draws.chance(self.options.recombine, B, 1) | draws.chance(0.25, B, 4)
        clip = torch.where(keep, clip[:, :1], clip)
        phase = torch.where(keep, phase[:, :1], phase)
        # Half of the windows keep the recorded speed; the rest are warped by 0.7 to 1.4.
        warp = torch.where(draws.chance(0.5, B), 1.0, 0.7 * 2.0 ** draws.uniform(B))
        step = self.fps / fps * warp
        at = [self._frames(clip[:, part], phase[:, part], step, F) for part in range(len(PARTS))]
        pelvis = _between(self.pelvis, at[0])
        directions = self._body_of(at, _between(self.parts[0], at[0]), pelvis)
        return directions, self._path(at[0]), clip

    def _body_of(self, at: list[Frames], legs: Tensor, pelvis: Tensor) -> Tensor:
        """Bone directions (B, F, 16, 3): legs, and the other parts of ``at`` turned to fit."""
        directions = legs.new_empty(*legs.shape[:2], len(BONES), 3)
        directions[:, :, list(PARTS[0])] = legs
        turn = _turn_between(pelvis, _between(self.pelvis, at[1]))
        shoulders = _multiply(_between(self.shoulders, at[1]), turn)
        directions[:, :, list(PARTS[1])] = _turned(_between(self.parts[1], at[1]), turn)
        for part in (2, 3):
            turn = _turn_between(shoulders, _between(self.shoulders, at[part]))
            d = _turned(_between(self.parts[part], at[part]), turn)
            directions[:, :, list(PARTS[part])] = d
        return directions

    def _frames(self, clip: Tensor, phase: Tensor, step: Tensor, F: int) -> Frames:
        """Frames of windows about a phase of their clips, which go back and forth."""
        last = (self.length[clip] - 1).clamp(min=1).float()[:, None]
        offset = torch.arange(F, device=last.device) - F // 2
        at = (phase[:, None] * last + offset * step[:, None]).remainder(2 * last)
        at = torch.minimum(at, 2 * last - at).clamp(min=0)
        first = self.start[clip][:, None]
        low = first + at.floor().long()
        high = torch.minimum(low + 1, first + self.length[clip][:, None] - 1)
        return low, high, at - at.floor()

    def _path(self, at: Frames) -> Tensor:
        """Root path about its middle, as long as the mean body's legs would make it."""
        path = _between(self.root, at)
        ground = path[..., :2] - path[..., :2].mean(1, keepdim=True)
        return torch.cat([ground, path[..., 2:]], -1) * (LEG / self.leg[at[0][:, :1]])[..., None]

    def _shifts(
        self, body: Float[Tensor, "B F J 3"], draws: Draws, builds: Builds | None
    ) -> Float[Tensor, "B F J 3"]:
        """Offsets of joints that detectors define differently, fixed to the trunk of a window."""
        B = len(body)
        if builds is None:
            offset = draws.normal(B, 17, 3) * self.meanings * draws.chance(0.5, B, 1, 1)
        else:
            offset = builds.offsets
        return offset[:, None] @ trunk_axes(body)


def frame_rates(B: int, draws: Draws) -> Float[Tensor, " B"]:
    """50, 30 or 25 Hz for half of the windows, 15 to 60 Hz for the others."""
    free = 15.0 * 4.0 ** draws.uniform(B)
    usual = torch.tensor([50.0, 30.0, 25.0], device=draws.device)
    return torch.where(draws.chance(0.5, B), usual[draws.pick(torch.ones_like(usual), B)], free)


def clip_weights(motion: Motion, seated_share: float) -> Float[Tensor, " clips"]:
    """How often a clip is drawn: square root of its length; procedural shards get a fixed share."""
    weight = motion.length.float().sqrt()
    seated = torch.tensor([shard.startswith("procedural") for shard in motion.shards])
    if bool(seated.any()) and not bool(seated.all()):
        weight[seated] *= seated_share / weight[seated].sum()
        weight[~seated] *= (1 - seated_share) / weight[~seated].sum()
    return weight


def _mirror_some(
    body: Tensor, shift: Tensor, path: Tensor, draws: Draws
) -> tuple[Tensor, Tensor, Tensor]:
    """Half of the windows as their mirror images: x negated, left and right swapped."""
    some = draws.chance(0.5, len(body))[:, None, None]
    order, negate = list(H36M17.flip_order), path.new_tensor([-1.0, 1.0, 1.0])
    body = torch.where(some[..., None], body[:, :, order] * negate, body)
    shift = torch.where(some[..., None], shift[:, :, order] * negate, shift)
    return body, shift, torch.where(some, path * negate, path)


def _tilts(B: int, tumbling: float, draws: Draws) -> tuple[Tensor, Tensor]:
    """Tilts of a few degrees about horizontal axes; 4 % of the bodies lie down, some tumble."""
    lying = draws.chance(0.04, B)
    angle = draws.normal(B) * math.radians(4) + lying * (math.pi / 2)
    tumbles = draws.chance(tumbling, B) & ~lying
    angle = angle + tumbles * draws.uniform(B, low=0.3, high=math.pi)
    around = draws.uniform(B, high=2 * math.pi)
    axis = torch.stack([around.cos(), around.sin(), torch.zeros_like(around)], -1)
    return axis_angle(axis, angle), lying


def _place(path: Tensor, lying: Tensor, draws: Draws) -> Tensor:
    """Bodies that lie, and a tenth of the others (treadmills), stay where they are."""
    B = len(path)
    still = lying | draws.chance(0.1, B)
    ground = torch.where(still[:, None, None], 0.0, path[..., :2])
    low = draws.uniform(B, 1, 1, low=0.1, high=0.7)
    return torch.cat([ground, torch.where(lying[:, None, None], low, path[..., 2:])], -1)


def _heading(leftwards: Tensor) -> Tensor:
    """Horizontal part (N, 2) of unit vectors towards the left: short where they are steep."""
    return leftwards[..., :2] / leftwards.norm(dim=-1, keepdim=True).clamp(min=1e-6)


def _between(x: Tensor, at: Frames) -> Tensor:
    low, high, weight = at
    return torch.lerp(x[low], x[high], weight.reshape(*weight.shape, *(1,) * (x.dim() - 1)))


def _multiply(a: Tensor, b: Tensor) -> Tensor:
    """Product of complex numbers kept as (..., 2)."""
    (ax, ay), (bx, by) = a.unbind(-1), b.unbind(-1)
    return torch.stack([ax * bx - ay * by, ax * by + ay * bx], -1)


def _turn_between(target: Tensor, source: Tensor) -> Tensor:
    """Unit complex turns (B, F, 2) from one heading to another.

    A heading is short where a body leans far over; there the window's mean turn takes its place.
    """
    turn = _multiply(target, source * source.new_tensor([1.0, -1.0]))
    mean = functional.normalize(turn.mean(1, keepdim=True) + 1e-6, dim=-1)
    return functional.normalize(turn + 0.15 * mean, dim=-1)


def _turned(d: Tensor, turn: Tensor) -> Tensor:
    """Directions (B, F, n, 3) turned about the vertical by complex turns (B, F, 2)."""
    cos, sin = turn[..., None, 0], turn[..., None, 1]
    x, y, z = d.unbind(-1)
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z], -1)
