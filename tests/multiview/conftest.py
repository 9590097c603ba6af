"""People walking about in front of several cameras, whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from hypopose.cameras import look_at
from hypopose.datasets.synthetic import synthetic_motion
from hypopose.multiview import ViewTracks, projection_of, view_tracks
from hypopose.skeletons import H36M17
from hypopose.types import Camera, Keypoints2D

SIZE = (1920, 1080)


@dataclass(frozen=True, eq=False)
class Stage:
    """A scene: people in the world, the cameras, and what these see."""

    points: np.ndarray
    cameras: tuple[Camera, ...]
    views: tuple[ViewTracks, ...]
    keypoints: tuple[tuple[Keypoints2D, ...], ...]

    @property
    def projections(self) -> np.ndarray:
        return np.stack([projection_of(camera) for camera in self.cameras])

    def pose(self, first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
        """Relative rotation and translation."""
        a, b = self.projections[first], self.projections[second]
        R = b[:, :3] @ a[:, :3].T
        return R, b[:, 3] - R @ a[:, 3]


@pytest.fixture(scope="session")
def people() -> np.ndarray:
    """Two people, 81 frames at 25 Hz, meters, z up, who do one thing and then another."""
    motion = synthetic_motion("test")
    found = []
    for pair, place in (((0, 3), (0.0, 0.0)), ((5, 2), (0.9, 0.9))):
        clips = [motion.clip(i).double().numpy()[::2] for i in pair]
        parts = []
        for clip, part in zip(clips, (slice(0, 43), slice(43, 81)), strict=True):
            away = np.array([*(clip[:, 0, :2].mean(0) - np.array(place)), 0.0])
            parts.append(clip[part] - away)
        found.append(np.concatenate(parts))
    return np.stack(found)


@pytest.fixture
def stage(people: np.ndarray) -> Callable[..., Stage]:
    """Cameras in a circle, by default two; ``starts`` says how late each begins to film."""

    def build(
        n_views: int = 2,
        *,
        who: tuple[tuple[int, ...], ...] | None = None,
        noise_px: float = 0.0,
        missing: float = 0.0,
        starts: tuple[int, ...] = (),
        focal: float = 1300.0,
        known: bool = True,
        angles: tuple[float, ...] = (0.3, 1.4, 2.6, 4.0),
        fps: float | None = 25.0,
    ) -> Stage:
        rng = np.random.default_rng(3)
        middle = np.array([0.3, 0.3, 1.0])
        cameras, views, keypoints = [], [], []
        for v in range(n_views):
            place = np.array([4 * np.cos(angles[v]), 4 * np.sin(angles[v]), 1.2 + 0.3 * v])
            R = look_at(torch.from_numpy(middle - place))
            camera = Camera(
                torch.tensor([focal, focal]), torch.tensor([960.0, 540.0]), SIZE,
                rotation=R, translation=-R @ torch.from_numpy(place),
            )  # fmt: skip
            there = people @ R.numpy().T + camera.translation.numpy()
            px = focal * there[..., :2] / there[..., 2:] + [960, 540]
            px = px + noise_px * rng.normal(size=px.shape)
            px[rng.random(px.shape[:-1]) < missing] = np.nan
            shown = (0,) if who is None else who[v]
            start = starts[v] if starts else 0
            seen_by = camera if known else Camera.from_fov(SIZE)
            own = tuple(
                Keypoints2D(torch.from_numpy(px[p, start:]), H36M17, camera=seen_by, fps=fps)
                for p in shown
            )
            cameras.append(camera)
            keypoints.append(own)
            views.append(view_tracks(f"view{v}", own))
        return Stage(people, tuple(cameras), tuple(views), tuple(keypoints))

    return build
