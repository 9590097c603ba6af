"""Make a benchmark: cut clips into windows, draw a camera for each, average the training poses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from hypopose.cameras import world_to_cam
from hypopose.datasets.benchmark import Benchmark, BenchmarkView, keyed_generator
from hypopose.simulation import Motion


def define(draft: Benchmark, folder: str | Path) -> Benchmark:
    """Draw the views and the mean pose of a benchmark that has neither.

    Args:
        draft: Everything but ``views`` and ``mean_pose``.
        folder: Where the shards lie.

    Returns:
        The complete definition; the same draft gives the same one.
    """
    motion = draft.motion(folder)
    views = [
        _draw_view(draft, motion, i, start, stop)
        for i in range(motion.n_clips)
        for start, stop in cut(int(motion.length[i]), draft.window)
    ]
    mean_pose = _mean_pose(draft, draft.motion(folder, "train"))
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


def _draw_view(draft: Benchmark, motion: Motion, i: int, start: int, stop: int) -> BenchmarkView:
    name = motion.names[i]
    generator = keyed_generator(draft.seed, "camera", name, str(start))
    camera = draft.cameras.draw(motion.clip(i)[start:stop], generator)
    rotation, translation = camera.rotation, camera.translation
    assert rotation is not None
    assert translation is not None
    x, y, z, w = Rotation.from_matrix(rotation.double().numpy()).as_quat().tolist()
    place = (-rotation.T @ translation).tolist()
    return BenchmarkView(
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
            generator = keyed_generator(draft.seed, "mean pose", motion.names[i], str(start))
            joints = world_to_cam(world[::5], draft.cameras.draw(world, generator)).double()
            total += (joints - joints[:, :1]).sum(0)
            n += len(joints)
    return (total / n).float()
