"""BoneFlips: a bone of known length points towards the camera or away from it, one coin a bone.

Paper: Lee and Chen, "Determination of 3D human body postures from a single view", Computer Vision,
Graphics, and Image Processing 30, 1985. A camera, bone lengths and a root depth leave two places on
a joint's ray for every bone: 2^B interpretations of one image. No training, no prior: a plain
baseline and an exact test fixture, since every hypothesis reprojects onto the keypoints.

| paper | code |
| --- | --- |
| line of sight of a joint | ``direction``, unit depth |
| segment length | ``lengths`` |
| near or far solution | ``coin``, -1 towards the camera, +1 away |

For a parent at X and a child on the ray λ d, the bone length L gives λ² |d|² - 2 λ d·X + |X|² - L²
= 0. A negative discriminant means that the bone is too short to reach its ray at this depth: the
child is then put at the point of its ray nearest to X (the bone comes out longer than known, the
reprojection stays exact). A solution behind the camera is replaced by the other one.

Ours, beyond the paper:

* **Root depth.** At depth z a bone of length L cannot look longer than L / z, so every bone gives
  an upper bound ``z <= L / |d_child - d_parent|`` (weak perspective), tight for a bone parallel to
  the image. Per frame the ``reach`` quantile of these bounds (not the minimum: keypoints are noisy;
  0.2 is best on the validation benchmark); over time the smallest within ``window_s`` seconds,
  smoothed by a triangle of the same width.
* **Coins persist.** A bone keeps its coin while it is visibly foreshortened. Where its
  foreshortening has a minimum below ``plane`` (the sine of its angle to the image), it may have
  passed through the image plane: there a new coin is thrown. The jump a new coin causes is at most
  ``2 plane L``.
* **Opposite bones.** The pelvis lies between the hips and the thorax between the shoulders, so one
  of each pair takes the opposite coin of the other.
* A joint whose keypoint is missing is NaN, and so are all joints behind it in the tree.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras import rays
from hypopose.checks import check_between, check_n_hypotheses, check_positive
from hypopose.errors import MissingCameraError, OptionError, ShapeError, SkeletonMismatchError
from hypopose.skeletons import H36M17
from hypopose.types import ASSUMED_FPS, Hypotheses, Keypoints2D, NoiseSource, Skeleton

BONE_LENGTHS_M: dict[str, float] = {
    "hip": 0.133,
    "knee": 0.443,
    "ankle": 0.454,
    "spine": 0.245,
    "thorax": 0.245,
    "neck": 0.121,
    "head": 0.115,
    "shoulder": 0.151,
    "elbow": 0.279,
    "wrist": 0.252,
}
"""Length of the bone that ends in each joint: Human3.6M's published skeleton, meters."""

_MIN_DEPTH = 0.05  # meters: nearer solutions are treated as behind the camera


def default_bone_lengths(skeleton: Skeleton = H36M17) -> tuple[float, ...]:
    """Mean adult bone lengths in the order of ``skeleton.bones``.

    Args:
        skeleton: A joint set whose joint names end in the names of :data:`BONE_LENGTHS_M`.

    Returns:
        Meters.

    Raises:
        SkeletonMismatchError: If a joint has no length in the table.
    """
    names = [skeleton.joint_names[child].split("_")[-1] for _, child in skeleton.bones]
    unknown = [name for name in names if name not in BONE_LENGTHS_M]
    if unknown:
        raise SkeletonMismatchError(
            f"BoneFlips has no length for {unknown[0]!r} of skeleton {skeleton.name!r}; pass "
            "bone_lengths=(...), one per bone in meters."
        )
    return tuple(BONE_LENGTHS_M[name] for name in names)


@dataclass(frozen=True)
class BoneFlips:
    """Hypotheses from bone lengths and coins; needs no training.

    Args:
        skeleton: The joint set of keypoints and hypotheses.
        bone_lengths: Meters per bone in the order of ``skeleton.bones``; an adult's mean if None.
        scale: Multiplies all lengths (0.94 for a person of 1.65 m).
        opposite: Pairs of joints whose bones take opposite coins; None means hips and shoulders of
            Human3.6M-17, and none for other skeletons.
        plane: Sine of a bone's angle to the image below which a new coin is thrown.
        reach: Quantile of the bones' upper bounds of the root depth.
        window_s: Seconds over which the root depth is smoothed.
        root_depth: A known root depth in meters, instead of the estimate.

    Raises:
        OptionError: If an option is out of range.
        ShapeError: If there is not one length per bone.

    Example:
        >>> from hypopose.datasets import example_pair
        >>> from hypopose.diffusion import seeded_noise
        >>> keypoints, _ = example_pair()
        >>> hypotheses = BoneFlips().sample(keypoints, 4, seeded_noise(0))
        >>> hypotheses.joints.shape
        torch.Size([4, 50, 17, 3])
    """

    skeleton: Skeleton = field(default=H36M17)
    bone_lengths: tuple[float, ...] | None = None
    scale: float = 1.0
    opposite: tuple[tuple[int, int], ...] | None = None
    plane: float = 0.15
    reach: float = 0.2
    window_s: float = 0.4
    root_depth: float | None = None

    def __post_init__(self) -> None:
        lengths = self.bone_lengths or default_bone_lengths(self.skeleton)
        if len(lengths) != len(self.skeleton.bones):
            raise ShapeError(
                f"Skeleton {self.skeleton.name!r} has {len(self.skeleton.bones)} bones; got "
                f"{len(lengths)} bone_lengths."
            )
        if min(lengths) <= 0 or self.scale <= 0:
            raise OptionError("Bone lengths (meters) and scale must be positive.")
        check_between(0, 1, plane=self.plane, reach=self.reach)
        check_between(0, 1e6, window_s=self.window_s)
        check_positive(root_depth=self.root_depth)

    @property
    def lengths(self) -> Float[Tensor, " B"]:
        """Bone lengths in meters, scaled, float64."""
        lengths = self.bone_lengths or default_bone_lengths(self.skeleton)
        return self.scale * torch.tensor(lengths, dtype=torch.float64)

    @property
    def opposite_pairs(self) -> tuple[tuple[int, int], ...]:
        """Pairs of joints with opposite coins; the second follows the first."""
        if self.opposite is not None:
            return self.opposite
        return ((1, 4), (11, 14)) if self.skeleton.name == "h36m17" else ()

    def sample(self, keypoints: Keypoints2D, n_hypotheses: int, noise: NoiseSource) -> Hypotheses:
        """Throw coins for every bone, and walk down the skeleton.

        Args:
            keypoints: With a camera, in this skeleton; NaN where undetected.
            n_hypotheses: How many.
            noise: Its signs are the coins; asked once for ``(*batch, H, F, J, 1)``.

        Returns:
            Hypotheses with roots; NaN at missing joints and those behind them.

        Raises:
            MissingCameraError: If the keypoints carry no camera.
            OptionError: If no hypothesis is asked for.
            SkeletonMismatchError: If the keypoints are in another skeleton.
        """
        check_n_hypotheses(n_hypotheses)
        direction = self._directions(keypoints)
        *batch, n_frames, n_joints, _ = direction.shape
        throws = noise((*batch, n_hypotheses, n_frames, n_joints, 1)).squeeze(-1).to(direction)
        coin = torch.where(throws < 0, -1.0, 1.0)
        depth = self._root_depth(direction, keypoints.fps)
        return self._walk(direction, depth, coin, keypoints.xy.dtype)

    def _directions(self, keypoints: Keypoints2D) -> Tensor:
        """Rays of unit depth, float64; NaN where undetected."""
        if keypoints.camera is None:
            raise MissingCameraError(
                "BoneFlips projects joints into the image, but these keypoints carry no camera. "
                "Attach one with keypoints.with_camera(Camera.from_fov(image_size))."
            )
        if keypoints.skeleton.name != self.skeleton.name:
            raise SkeletonMismatchError(
                f"BoneFlips({self.skeleton.name!r}) got keypoints in "
                f"{keypoints.skeleton.name!r}; bring them over with hypopose.skeletons.convert."
            )
        return rays(keypoints.xy.double(), keypoints.camera)

    def _bounds(self, direction: Tensor) -> Tensor:
        """Largest root depth at which each bone reaches, ``(..., F, B)``; NaN if unseen."""
        parent, child = (list(side) for side in zip(*self.skeleton.bones, strict=True))
        seen = (direction[..., child, :] - direction[..., parent, :]).norm(dim=-1)
        return self.lengths.to(direction) / seen.clamp_min(1e-9)

    def _root_depth(self, direction: Tensor, fps: float | None) -> Tensor:
        """Root depth per frame, ``(..., F)``; NaN only if no frame of the clip shows a bone."""
        if self.root_depth is not None:
            return torch.full_like(direction[..., 0, 0], self.root_depth)
        bound = torch.nanquantile(self._bounds(direction), self.reach, dim=-1)
        half = round(self.window_s * (fps or ASSUMED_FPS) / 2)
        return _smooth(_lower_envelope(_fill(bound), half), half)

    def _walk(
        self, direction: Tensor, depth: Tensor, coin: Tensor, dtype: torch.dtype
    ) -> Hypotheses:
        """Place joint after joint, parents first.

        ``coin`` is (*batch, H, F, J): what a throw in that frame would give. A bone uses the throw
        of the last frame in which it may have passed through the image plane.
        """
        direction = direction.unsqueeze(-4)
        root = depth[..., None, :, None] * direction[..., self.skeleton.root, :]
        root = root.expand(*coin.shape[:-1], 3)
        leader = {second: first for first, second in self.opposite_pairs}
        placed: dict[int, Tensor] = {self.skeleton.root: root}
        thrown: dict[int, Tensor] = {}
        for bone, (parent, child) in parents_first(self.skeleton):
            fit = _Fit.of(placed[parent], direction[..., child, :], self.lengths[bone])
            first = leader.get(child, child)
            if first not in thrown:
                thrown[first] = _last_throw(fit.sine, self.plane)
            side = coin[..., first].gather(-1, thrown[first])
            placed[child] = fit.point(side if first == child else -side)
        joints = torch.stack([placed[j] for j in range(self.skeleton.n_joints)], -2)
        return Hypotheses(
            (joints - root.unsqueeze(-2)).to(dtype), self.skeleton, root=root.to(dtype)
        )


def parents_first(skeleton: Skeleton) -> list[tuple[int, tuple[int, int]]]:
    """(row of the bone, (parent, child)) so that no child comes before its parent."""
    waiting, placed = list(enumerate(skeleton.bones)), {skeleton.root}
    order: list[tuple[int, tuple[int, int]]] = []
    while ready := [bone for bone in waiting if bone[1][0] in placed]:
        order += ready
        placed |= {child for _, (_, child) in ready}
        waiting = [bone for bone in waiting if bone not in ready]
    if len(placed) != skeleton.n_joints:
        raise SkeletonMismatchError(
            f"Skeleton {skeleton.name!r} has joints that do not hang on its root; BoneFlips needs "
            "one tree."
        )
    return order


@dataclass(frozen=True, eq=False)
class _Fit:
    """Both places on a ray at a bone's length from its parent, ``middle ± half`` times the ray."""

    direction: Tensor
    middle: Tensor
    half: Tensor
    sine: Tensor
    """Of the bone's angle to the plane in which both places are one."""

    @staticmethod
    def of(parent: Tensor, direction: Tensor, length: Tensor) -> _Fit:
        size2 = (direction * direction).sum(-1)
        along = (direction * parent).sum(-1)
        room = along**2 - size2 * ((parent * parent).sum(-1) - length**2)
        half = torch.where(room.isnan(), room, room.clamp_min(0)).sqrt()
        return _Fit(direction, along / size2, half / size2, half / (size2.sqrt() * length))

    def point(self, coin: Tensor) -> Tensor:
        """The near place (coin -1) or the far one (+1), but none behind the camera."""
        near, far = self.middle - self.half, self.middle + self.half
        depth = torch.where((coin > 0) | (near < _MIN_DEPTH), far, near)
        return depth.unsqueeze(-1) * self.direction


def _last_throw(sine: Tensor, plane: float) -> Tensor:
    """Frame of a bone's last throw: the last minimum of its sine below ``plane``."""
    low = (sine < plane) & (sine <= sine.roll(1, -1)) & (sine < sine.roll(-1, -1))
    low[..., 0] = low[..., -1] = False
    frame = torch.arange(sine.shape[-1], device=sine.device)
    return torch.where(low, frame, 0).cummax(-1).values


def _fill(x: Tensor) -> Tensor:
    """Replace NaN along the last axis by the nearest finite value."""
    n = x.shape[-1]
    frame = torch.arange(n, device=x.device)
    known = x.isfinite()
    last = torch.where(known, frame, -1).cummax(-1).values
    following = torch.where(known, frame, n).flip(-1).cummin(-1).values.flip(-1)
    use_last = (last >= 0) & ((following >= n) | (frame - last <= following - frame))
    return x.gather(-1, torch.where(use_last, last, following).clamp(0, n - 1))


def _windows(x: Tensor, half: int) -> Tensor:
    """``(..., F, 2 half + 1)`` neighborhoods, edges repeated."""
    n = x.shape[-1]
    offset = torch.arange(-half, half + 1, device=x.device)
    index = (torch.arange(n, device=x.device)[:, None] + offset).clamp(0, n - 1)
    return x[..., index]


def _lower_envelope(x: Tensor, half: int) -> Tensor:
    return _windows(x, half).amin(-1)


def _smooth(x: Tensor, half: int) -> Tensor:
    weight = half + 1 - torch.arange(-half, half + 1, device=x.device, dtype=x.dtype).abs()
    return (_windows(x, half) * (weight / weight.sum())).sum(-1)
