"""Virtual cameras that look at bodies: single ones for benchmarks, one a window for training.

Training places cameras at the distances and heights of laboratories, rooms and phones. It needs no
focal lengths: its keypoints are rays (normalized image plane), where a focal length acts only
through the angle of a pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from hypopose.cameras import axis_angle, euler_rotation, look_at, project, world_to_cam
from hypopose.errors import OptionError
from hypopose.simulation.random_draws import Draws
from hypopose.types import Camera

_TRIES = 400
_MIN_DEPTH = 0.5  # meters

PITCHES = (-25.0, 60.0)
"""How far cameras of any pitch look up (below 0) or down at the pelvis, in degrees."""


@dataclass(frozen=True)
class CameraDistribution:
    """A family of pinhole cameras that look at a person in a world with z up.

    Args:
        image_sizes: Images to choose from, width and height in pixels.
        focal: Range of the focal length over the longer image side, log-uniform.
        distance: Range of the horizontal distance to the middle of the motion, in meters.
        height: Range of the height above the floor, in meters.
        aim_jitter_deg: Standard deviation of the aim away from the middle of the motion.
        roll_deg: Standard deviation of the roll.
        inside: Share of joints that must lie inside the image.
    """

    image_sizes: tuple[tuple[int, int], ...] = ((1000, 1000),)
    focal: tuple[float, float] = (0.7, 1.6)
    distance: tuple[float, float] = (2.0, 8.0)
    height: tuple[float, float] = (0.3, 2.5)
    aim_jitter_deg: float = 5.0
    roll_deg: float = 2.0
    inside: float = 0.98

    def __post_init__(self) -> None:
        for low, high in (self.focal, self.distance, self.height):
            if not 0 < low <= high:
                raise OptionError("Camera ranges are (low, high) with 0 < low <= high.")

    def draw(self, joints: Float[Tensor, "F J 3"], generator: torch.Generator) -> Camera:
        """Draw a camera that sees a motion.

        Cameras that show less than ``inside`` of the joints are drawn again, up to 400 times; then
        the one that shows most of them is taken.

        Args:
            joints: World frame, meters, z up.
            generator: Its state decides everything.

        Returns:
            A camera with world-to-camera rotation and translation.
        """
        best, best_share = None, -1.0
        for _ in range(_TRIES):
            camera = self._propose(joints, generator)
            share = visible_share(joints, camera)
            if share > best_share:
                best, best_share = camera, share
            if share >= self.inside:
                break
        assert best is not None  # the loop runs at least once
        return best

    def _propose(self, joints: Tensor, generator: torch.Generator) -> Camera:
        u = torch.rand(5, generator=generator, dtype=torch.float64).tolist()
        turn = torch.randn(3, generator=generator, dtype=torch.float64) * math.pi / 180
        size = self.image_sizes[int(u[0] * len(self.image_sizes))]
        focal = self.focal[0] * (self.focal[1] / self.focal[0]) ** u[1] * max(size)
        distance = self.distance[0] + u[2] * (self.distance[1] - self.distance[0])
        height = self.height[0] + u[3] * (self.height[1] - self.height[0])
        azimuth = 2 * math.pi * u[4]
        middle = joints[:, 0].mean(0).double()
        place = middle.clone()
        place[0] += distance * math.cos(azimuth)
        place[1] += distance * math.sin(azimuth)
        place[2] = height
        jitter = turn * torch.tensor([self.aim_jitter_deg, self.aim_jitter_deg, self.roll_deg])
        rotation = euler_rotation(jitter) @ look_at(middle - place)
        return Camera(
            focal=torch.tensor([focal, focal]),
            center=torch.tensor([size[0] / 2, size[1] / 2]),
            image_size=size,
            rotation=rotation.float(),
            translation=(-rotation @ place).float(),
        )


def visible_share(joints: Float[Tensor, "F J 3"], camera: Camera) -> float:
    """Share of joints inside the image; 0 if one is closer than half a meter.

    Args:
        joints: World frame, meters.
        camera: With rotation and translation.

    Returns:
        From 0 to 1.
    """
    cam = world_to_cam(joints, camera)
    if float(cam[..., 2].min()) < _MIN_DEPTH:
        return 0.0
    px = project(cam, camera)
    size = px.new_tensor(camera.image_size)
    return float(((px >= 0) & (px <= size)).all(-1).double().mean())


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
    distance = torch.maximum(distance, reach + 0.5)  # bodies do not walk through the camera
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


def _aim_error(B: int, draws: Draws) -> Float[Tensor, "B 3 3"]:
    """Aimed 5 degrees off (15 for 30 %), rolled by 2.5 degrees (10 for 10 %)."""
    off = torch.where(draws.chance(0.3, B), 15.0, 5.0) * math.pi / 180
    roll = torch.where(draws.chance(0.1, B), 10.0, 2.5) * math.pi / 180 * draws.normal(B)
    zero = torch.zeros_like(roll)
    turn = torch.stack([0.6 * off * draws.normal(B), off * draws.normal(B), zero], -1)
    turn = turn.clamp(-0.7, 0.7)
    aim = axis_angle(functional.normalize(turn + 1e-9, dim=-1), turn.norm(dim=-1))
    return axis_angle(torch.stack([zero, zero, zero + 1], -1), roll) @ aim
