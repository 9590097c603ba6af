"""Virtual cameras around a motion: where benchmarks look from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hypopose.cameras import project, world_to_cam
from hypopose.errors import OptionError
from hypopose.types import Camera

_TRIES = 400
_MIN_DEPTH = 0.5  # meters


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


def look_at(forward: Float[Tensor, "3"]) -> Float[Tensor, "3 3"]:
    """World-to-camera rotation of a camera without roll (world z up, image y down).

    Args:
        forward: Viewing direction in the world, not vertical.

    Returns:
        Rows are the camera's right, down and forward axes.
    """
    forward = forward / forward.norm()
    right = torch.linalg.cross(forward, forward.new_tensor([0.0, 0.0, 1.0]))
    right = right / right.norm()
    return torch.stack((right, torch.linalg.cross(forward, right), forward))


def euler_rotation(angles: Float[Tensor, "3"]) -> Float[Tensor, "3 3"]:
    """Small rotations about the camera's x, then y, then z axis.

    Args:
        angles: Radians.

    Returns:
        The rotation matrix.
    """
    (cx, cy, cz), (sx, sy, sz) = angles.cos().tolist(), angles.sin().tolist()
    x = angles.new_tensor([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = angles.new_tensor([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = angles.new_tensor([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return z @ y @ x
