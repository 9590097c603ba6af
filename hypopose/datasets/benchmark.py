"""Benchmarks: motions of a split seen by virtual cameras, fixed in a small definition file.

A definition (JSON, in ``hypopose/datasets/benchmarks``) names the motion shards and the split, and
lists every view: clip, frames, and the camera, which was once drawn from the stated distribution
with the stated seed. It holds no motion. ``Benchmark.items`` reads the shards and gives pairs of
keypoints and truth; detector noise, if any, is drawn per view from the seed, so that a view does
not depend on which others are evaluated.

Cameras are given to samplers without rotation and translation: where gravity points is not known
from an image. With ``camera_known`` false they get the assumed camera.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from hypopose.cameras import project, rotation_from_quaternion, world_to_cam
from hypopose.datasets.baselines import MeanPose
from hypopose.datasets.shards import load_motion
from hypopose.datasets.synthetic import NAME, synthetic_motion
from hypopose.errors import FormatError, OptionError
from hypopose.simulation import CameraDistribution, DetectorNoise, Motion, coco_joints
from hypopose.skeletons import H36M17, SKELETONS
from hypopose.types import Camera, Keypoints2D, Poses3D


@dataclass(frozen=True)
class BenchmarkView:
    """One camera on a stretch of one clip.

    Args:
        clip: Name of the clip in its shard.
        start: First frame.
        stop: One past the last frame.
        image_size: Pixels.
        focal: Pixels, both axes; the principal point is the middle of the image.
        place: Camera center in the world, meters.
        quaternion: World-to-camera rotation, scalar first.
    """

    clip: str
    start: int
    stop: int
    image_size: tuple[int, int]
    focal: float
    place: tuple[float, ...]
    quaternion: tuple[float, ...]

    @property
    def camera(self) -> Camera:
        """The camera with rotation and translation."""
        rotation = rotation_from_quaternion(torch.tensor(self.quaternion, dtype=torch.float64))
        place = torch.tensor(self.place, dtype=torch.float64)
        w, h = self.image_size
        return Camera(
            focal=torch.tensor([self.focal, self.focal]),
            center=torch.tensor([w / 2, h / 2]),
            image_size=self.image_size,
            rotation=rotation.float(),
            translation=(-rotation @ place).float(),
        )


@dataclass(frozen=True, eq=False)
class BenchmarkItem:
    """Keypoints and their truth, cut from one clip.

    Args:
        keypoints: What a sampler is given.
        truth: Camera frame, with root.
        view: Where it comes from.
        action: What the clip shows.
    """

    keypoints: Keypoints2D
    truth: Poses3D
    view: BenchmarkView
    action: str

    @property
    def name(self) -> str:
        """Clip and first frame: names the item's noise."""
        return f"{self.view.clip}:{self.view.start}"


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A fixed set of views.

    Args:
        name: For example ``"test-clean"``.
        description: One sentence for reports.
        shards: Motion shards by file stem.
        split: ``"train"``, ``"val"`` or ``"test"``.
        seed: Seed of cameras and detector noise.
        subjects: The people whose clips are seen; all of the split if empty.
        cameras: The distribution the views' cameras were drawn from.
        window: Clips are cut into windows of this many frames, each with its own camera; None
            leaves them whole.
        stride: Every how many frames of the 50 Hz motion.
        detector: Noise model, or None for exact keypoints.
        camera_known: Whether samplers get the true focal length.
        keypoint_skeleton: Of the keypoints: ``"h36m17"`` or ``"coco17"``.
        mean_pose: The training motions' mean pose under these cameras, for the baseline.
        views: Every view.
    """

    name: str
    description: str
    shards: tuple[str, ...]
    split: str
    seed: int
    cameras: CameraDistribution = field(default_factory=CameraDistribution)
    window: int | None = 81
    stride: int = 1
    detector: DetectorNoise | None = None
    camera_known: bool = True
    keypoint_skeleton: str = "h36m17"
    mean_pose: tuple[tuple[float, ...], ...] = ()
    views: tuple[BenchmarkView, ...] = ()
    subjects: tuple[str, ...] = ()

    @property
    def baseline(self) -> MeanPose:
        """The mean-pose baseline of this benchmark."""
        return MeanPose(self.mean_pose)

    @property
    def is_built_in(self) -> bool:
        """Whether its motion is made by code, so that no folder of shards is needed."""
        return self.shards == (NAME,)

    def motion(self, folder: str | Path, split: str | None = None) -> Motion:
        """The clips of a split.

        Args:
            folder: Where the shards lie; not looked at if :attr:`is_built_in`.
            split: The benchmark's own if None.
        """
        if self.is_built_in:
            return synthetic_motion(split or self.split)
        paths = [Path(folder) / f"{shard}.npz" for shard in self.shards]
        own = self.subjects if split is None and self.subjects else None
        return load_motion(paths, split or self.split, subjects=own)

    def items(self, folder: str | Path, limit: int | None = None) -> Iterator[BenchmarkItem]:
        """Read the motion and make keypoints and truth.

        Args:
            folder: Where the shards lie; not looked at if :attr:`is_built_in`.
            limit: Take this many views, spread evenly over all; None takes all.

        Yields:
            Items in the order of the views.

        Raises:
            FormatError: If a shard is absent, or lacks a clip of this benchmark.
            OptionError: If the limit is not positive.
        """
        if limit is not None and limit < 1:
            raise OptionError(f"limit must be at least 1, got {limit}.")
        motion = self.motion(folder)
        row = {name: i for i, name in enumerate(motion.names)}
        n = len(self.views) if limit is None else min(limit, len(self.views))
        for i in range(n):
            view = self.views[i * len(self.views) // n]
            if view.clip not in row:
                raise FormatError(
                    f"Benchmark {self.name!r} needs the clip {view.clip!r}, which is not in "
                    f"{', '.join(self.shards)}; use the shards it was made from."
                )
            yield self._item(view, motion, row[view.clip])

    def _item(self, view: BenchmarkView, motion: Motion, clip: int) -> BenchmarkItem:
        world = motion.clip(clip)[view.start : view.stop : self.stride]
        camera = view.camera
        joints = world_to_cam(world, camera)
        generator = keyed_generator(self.seed, "detector", view.clip, str(view.start))
        seen = joints if self.keypoint_skeleton == "h36m17" else coco_joints(joints)
        xy = project(seen, camera)
        confidence = torch.ones(xy.shape[:-1])
        if self.detector is not None:
            xy, confidence = self.detector.apply(xy, generator)
        inner = replace(camera, rotation=None, translation=None)
        keypoints = Keypoints2D(
            xy,
            SKELETONS[self.keypoint_skeleton],
            confidence=confidence,
            camera=inner if self.camera_known else Camera.from_fov(view.image_size),
            image_size=view.image_size,
            fps=motion.fps / self.stride,
        )
        root = joints[:, 0]
        truth = Poses3D(joints - root[:, None], H36M17, root=root)
        return BenchmarkItem(keypoints, truth, view, motion.actions[clip])


def keyed_generator(seed: int, *keys: str) -> torch.Generator:
    """A generator whose stream depends on a seed and on words, on any machine.

    Args:
        seed: Of the benchmark.
        *keys: What is drawn, and for which view.
    """
    digest = hashlib.sha256("/".join((str(seed), *keys)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
