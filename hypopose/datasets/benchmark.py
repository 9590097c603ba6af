"""Benchmarks: motions of a split seen by virtual cameras, fixed in a small definition file.

A definition (JSON, in ``hypopose/datasets/benchmarks``) names the motion shards and the split, and
lists every view: clip, frames, and the camera, which was once drawn from the stated distribution
with the stated seed. It holds no motion. ``Benchmark.items`` reads the shards and gives pairs of
keypoints and truth; detector noise, if any, is drawn per view from the seed, so that a view does
not depend on which others are evaluated.

Cameras are given to samplers without rotation and translation: where gravity points is not known
from an image. With ``camera_known`` false they get what the front door would assume.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from hypopose.cameras import project, rotation_from_quaternion, world_to_cam
from hypopose.datasets.baselines import MeanPose
from hypopose.datasets.detector_noise import DetectorNoise, coco_joints
from hypopose.datasets.motion import Motion, load_motion
from hypopose.datasets.virtual_cameras import CameraDistribution
from hypopose.errors import FormatError, OptionError
from hypopose.skeletons import H36M17, SKELETONS
from hypopose.types import Camera, Keypoints2D, Poses3D

FORMAT = "hypopose benchmark 1"


@dataclass(frozen=True)
class View:
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
    view: View
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
    views: tuple[View, ...] = ()

    @property
    def baseline(self) -> MeanPose:
        """The mean-pose baseline of this benchmark."""
        return MeanPose(self.mean_pose)

    def items(self, folder: str | Path, limit: int | None = None) -> Iterator[BenchmarkItem]:
        """Read the motion and make keypoints and truth.

        Args:
            folder: Where the shards lie.
            limit: Take this many views, spread evenly over all; None takes all.

        Yields:
            Items in the order of the views.

        Raises:
            FormatError: If a shard is absent, or lacks a clip of this benchmark.
            OptionError: If the limit is not positive.
        """
        if limit is not None and limit < 1:
            raise OptionError(f"limit must be at least 1, got {limit}.")
        motion = load_motion([Path(folder) / f"{shard}.npz" for shard in self.shards], self.split)
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

    def _item(self, view: View, motion: Motion, clip: int) -> BenchmarkItem:
        world = motion.clip(clip)[view.start : view.stop : self.stride]
        camera = view.camera
        joints = world_to_cam(world, camera)
        generator = _generator(self.seed, "detector", view.clip, str(view.start))
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


def _generator(seed: int, *keys: str) -> torch.Generator:
    digest = hashlib.sha256("/".join((str(seed), *keys)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def batches(items: Iterator[BenchmarkItem], size: int) -> Iterator[list[BenchmarkItem]]:
    """Group items of equal length and image, so that they can be sampled together.

    Args:
        items: In any order.
        size: Items per group at most.

    Yields:
        Groups; each as soon as it is full, the rest at the end.
    """
    waiting: dict[tuple[int, tuple[int, int] | None], list[BenchmarkItem]] = {}
    for item in items:
        key = (item.keypoints.n_frames, item.keypoints.image_size)
        group = waiting.setdefault(key, [])
        group.append(item)
        if len(group) == size:
            yield waiting.pop(key)
    yield from waiting.values()


def stack(items: Sequence[BenchmarkItem]) -> tuple[Keypoints2D, Poses3D]:
    """Put items of equal length side by side.

    Args:
        items: One group of :func:`batches`.

    Returns:
        Keypoints and truth with a batch axis; the camera has one too.
    """
    first = items[0].keypoints
    cameras = [_camera(item.keypoints) for item in items]
    keypoints = replace(
        first,
        xy=torch.stack([item.keypoints.xy for item in items]),
        confidence=torch.stack([_confidence(item.keypoints) for item in items]),
        camera=replace(
            cameras[0],
            focal=torch.stack([camera.focal for camera in cameras]),
            center=torch.stack([camera.center for camera in cameras]),
        ),
    )
    joints = torch.stack([item.truth.joints for item in items])
    roots = torch.stack([_root(item.truth) for item in items])
    return keypoints, Poses3D(joints, items[0].truth.skeleton, root=roots)


def _camera(keypoints: Keypoints2D) -> Camera:
    assert keypoints.camera is not None  # every item has one
    return keypoints.camera


def _confidence(keypoints: Keypoints2D) -> Tensor:
    assert keypoints.confidence is not None
    return keypoints.confidence


def _root(poses: Poses3D) -> Tensor:
    assert poses.root is not None
    return poses.root


def define(draft: Benchmark, folder: str | Path) -> Benchmark:
    """Draw the views and the mean pose of a benchmark that has neither.

    Args:
        draft: Everything but ``views`` and ``mean_pose``.
        folder: Where the shards lie.

    Returns:
        The complete definition; the same draft gives the same one.
    """
    paths = [Path(folder) / f"{shard}.npz" for shard in draft.shards]
    motion = load_motion(paths, draft.split)
    views = [
        _draw_view(draft, motion, i, start, stop)
        for i in range(motion.n_clips)
        for start, stop in cut(int(motion.length[i]), draft.window)
    ]
    mean_pose = _mean_pose(draft, load_motion(paths, "train"))
    rounded = tuple(tuple(round(v, 4) for v in point) for point in mean_pose.tolist())
    return replace(draft, views=tuple(views), mean_pose=rounded)


def cut(length: int, window: int | None) -> list[tuple[int, int]]:
    """Cut a clip into windows; a rest shorter than a third of one goes to the last.

    Args:
        length: Frames of the clip.
        window: Frames of a window, or None for the whole clip.

    Returns:
        ``(start, stop)`` pairs that cover the clip once.

    Example:
        >>> cut(100, 81), cut(110, 81)
        ([(0, 100)], [(0, 81), (81, 110)])
    """
    if window is None or length <= window:
        return [(0, length)]
    starts = list(range(0, length, window))
    if length - starts[-1] < window / 3:
        starts.pop()
    return list(zip(starts, [*starts[1:], length], strict=True))


def _draw_view(draft: Benchmark, motion: Motion, i: int, start: int, stop: int) -> View:
    name = motion.names[i]
    generator = _generator(draft.seed, "camera", name, str(start))
    camera = draft.cameras.draw(motion.clip(i)[start:stop], generator)
    rotation, translation = camera.rotation, camera.translation
    assert rotation is not None
    assert translation is not None
    x, y, z, w = Rotation.from_matrix(rotation.double().numpy()).as_quat().tolist()
    place = (-rotation.T @ translation).tolist()
    return View(
        clip=name,
        start=start,
        stop=stop,
        image_size=camera.image_size,
        focal=round(float(camera.focal[0]), 1),
        place=tuple(round(v, 3) for v in place),
        quaternion=tuple(round(v, 6) for v in (w, x, y, z)),
    )


def _mean_pose(draft: Benchmark, motion: Motion) -> Float[Tensor, "17 3"]:
    """Mean camera-frame pose of the training clips, one camera a window, every fifth frame."""
    total, n = torch.zeros(17, 3, dtype=torch.float64), 0
    for i in range(motion.n_clips):
        for start, stop in cut(int(motion.length[i]), draft.window):
            world = motion.clip(i)[start:stop]
            generator = _generator(draft.seed, "mean pose", motion.names[i], str(start))
            joints = world_to_cam(world[::5], draft.cameras.draw(world, generator)).double()
            total += (joints - joints[:, :1]).sum(0)
            n += len(joints)
    return (total / n).float()


def benchmark_names() -> tuple[str, ...]:
    """Names of the definitions in the package.

    Returns:
        Sorted.

    Example:
        >>> "test-clean" in benchmark_names()
        True
    """
    folder = files("hypopose.datasets") / "benchmarks"
    return tuple(
        sorted(f.name.removesuffix(".json") for f in folder.iterdir() if f.name.endswith(".json"))
    )


def load_benchmark(name: str | Path) -> Benchmark:
    """Read a definition by name, or from a file.

    Args:
        name: One of :func:`benchmark_names`, or the path of a JSON file.

    Returns:
        The benchmark.

    Raises:
        OptionError: If there is no such benchmark.
        FormatError: If the file is not a definition.

    Example:
        >>> load_benchmark("test-clean").split
        'test'
    """
    if str(name) in benchmark_names():
        text = (files("hypopose.datasets") / "benchmarks" / f"{name}.json").read_text()
    elif Path(name).is_file():
        text = Path(name).read_text()
    else:
        raise OptionError(
            f"There is no benchmark {str(name)!r}; choose one of "
            f"{', '.join(benchmark_names())}, or give the path of a definition."
        )
    return from_json(text, str(name))


def to_json(benchmark: Benchmark) -> str:
    """Write a definition: one line a joint of the mean pose, and one a view.

    Args:
        benchmark: Complete.

    Returns:
        JSON that :func:`from_json` reads.
    """
    data = {"format": FORMAT, **asdict(benchmark)}
    tables = {
        "mean_pose": [list(point) for point in data.pop("mean_pose")],
        "views": [list(view.values()) for view in data.pop("views")],
    }
    parts = [json.dumps(data, indent=1)[:-2]]
    for key, rows in tables.items():
        body = ",\n  ".join(json.dumps(row, separators=(",", ":")) for row in rows)
        parts.append(f' "{key}": [\n  {body}\n ]')
    return ",\n".join(parts) + "\n}\n"


def from_json(text: str, source: str = "definition") -> Benchmark:
    """Read a definition.

    Args:
        text: What :func:`to_json` wrote.
        source: Named in errors.

    Returns:
        The benchmark.

    Raises:
        FormatError: If it is not one.
    """
    try:
        data: dict[str, Any] = json.loads(text)
        if data.pop("format") != FORMAT:
            raise ValueError(f"format is not {FORMAT!r}")
        detector = data.pop("detector")
        return Benchmark(
            shards=tuple(data.pop("shards")),
            cameras=CameraDistribution(**_tuples(data.pop("cameras"))),
            detector=None if detector is None else DetectorNoise(**_tuples(detector)),
            mean_pose=_tuples(data.pop("mean_pose")),
            views=tuple(View(*_tuples(row)) for row in data.pop("views")),
            **data,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"{source} is not a benchmark definition ({error}); write one with "
            "hypopose.datasets.to_json."
        ) from error


def _tuples(x: Any) -> Any:
    """JSON lists as tuples, all the way down."""
    if isinstance(x, dict):
        return {key: _tuples(value) for key, value in x.items()}
    return tuple(_tuples(v) for v in x) if isinstance(x, list) else x
