"""One picture per person: the 2D input, the hypotheses from two sides, the spread over time.

Convention:
    Hypotheses are root-relative meters in the camera frame (y down), drawn upright. The front view
    is what the camera sees (x to the right); the side view is seen from the camera's right-hand
    side (depth grows to the right). Orange is the person's own left, blue the right, gray the
    middle: the pair stays apart for color-blind readers and in print.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from hypopose.io import write_atomically
from hypopose.io.results import Result
from hypopose.types import Hypotheses, Keypoints2D, Skeleton

LEFT, RIGHT, CENTER = "#E07B00", "#0063A6", "#6B6B6B"

_FRONT = (0, 1)
_SIDE = (2, 1)


def draw_overview(
    path: str | Path, result: Result, *, n_columns: int = 4, n_shown: int = 8
) -> None:
    """Draw one person's result as a PNG.

    Args:
        path: File to write; written under a temporary name first, then moved.
        result: What :func:`hypopose.estimate` gave for one person (no batch axes).
        n_columns: Number of moments shown.
        n_shown: Hypotheses drawn at most; the spread uses all of them.
    """
    figure = overview_figure(result, n_columns=n_columns, n_shown=n_shown)
    with write_atomically(Path(path)) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def overview_figure(result: Result, *, n_columns: int = 4, n_shown: int = 8) -> Any:
    """The overview as a matplotlib figure, without any window.

    Args:
        result: One person's result.
        n_columns: Number of moments shown.
        n_shown: Hypotheses drawn at most.

    Returns:
        A matplotlib figure with ``3 * n_columns`` small views and one map of the spread.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    frames = _moments(result.keypoints, n_columns)
    figure = Figure(figsize=(3.0 * max(len(frames), 3) + 1.0, 12.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(4, len(frames), height_ratios=(1.0, 1.0, 1.0, 1.15))
    figure.suptitle(_title(result), fontsize=11, linespacing=1.5)
    for column, frame in enumerate(frames):
        views = [figure.add_subplot(grid[row, column]) for row in range(3)]
        _draw_keypoints(views[0], result.keypoints, frame)
        views[0].set_title(_moment_name(result.keypoints, frame), fontsize=10)
        for view, axes in zip(views[1:], (_FRONT, _SIDE), strict=True):
            _draw_hypotheses(view, result, frame, axes, n_shown)
        views[1].set_xlabel("image right (m)", fontsize=8)
        views[2].set_xlabel("away from the camera (m)", fontsize=8)
        if column == 0:
            _name_rows(views)
    _draw_legend(figure, result.pose.skeleton)
    _draw_spread(figure, figure.add_subplot(grid[3, :]), result)
    return figure


def spread_mm(hypotheses: Hypotheses) -> Float[Tensor, "*batch F J"]:
    """Root mean square distance of the hypotheses to their mean, in millimeters.

    Args:
        hypotheses: H motions of one person.

    Returns:
        Millimeters per frame and joint; 0 for a single hypothesis.

    Example:
        >>> import torch
        >>> from hypopose.skeletons import get_skeleton
        >>> joints = torch.zeros(2, 1, 17, 3)
        >>> joints[1, ..., 2] = 0.2
        >>> spread_mm(Hypotheses(joints, get_skeleton("h36m17")))[0, 0].round().item()
        100.0
    """
    joints = hypotheses.joints
    offsets = joints - joints.mean(-4, keepdim=True)
    return 1000 * offsets.square().sum(-1).mean(-3).sqrt()


def side_colors(skeleton: Skeleton) -> list[str]:
    """A color per joint: orange for the person's left, blue for the right, gray between.

    Example:
        >>> from hypopose.skeletons import get_skeleton
        >>> side_colors(get_skeleton("h36m17"))[4] == LEFT
        True
    """
    colors = [CENTER] * skeleton.n_joints
    for left, right in zip(skeleton.left, skeleton.right, strict=True):
        colors[left], colors[right] = LEFT, RIGHT
    return colors


def _moments(keypoints: Keypoints2D, n: int) -> list[int]:
    """Evenly spaced frames, moved to the best-detected frame of their stretch."""
    counts = keypoints.detected.sum(-1).tolist()
    n = min(n, len(counts))
    edges = [round(i * len(counts) / n) for i in range(n + 1)]
    frames = []
    for a, b in pairwise(edges):
        middle = (a + b - 1) / 2
        frames.append(max(range(a, b), key=lambda f: (counts[f], -abs(f - middle))))
    return frames


def _moment_name(keypoints: Keypoints2D, frame: int) -> str:
    seconds = "" if keypoints.fps is None else f"  ({frame / keypoints.fps:.2f} s)"
    return f"frame {frame}{seconds}"


def _title(result: Result) -> str:
    camera = result.keypoints.camera
    if camera is None:
        seen = "no camera"
    else:
        state = "ASSUMED, not measured" if camera.assumed else "given"
        w, h = camera.image_size
        seen = f"camera {state}: focal {float(camera.focal.mean()):.0f} px, image {w} x {h}"
    options = {k: v for k, v in result.sampler.items() if k in ("name", "n_steps")}
    sampler = str(options.pop("name", "sampler"))
    n_steps = options.get("n_steps")
    steps = "" if n_steps is None else f", {n_steps} step{'s' if n_steps != 1 else ''}"
    n_frames = result.keypoints.n_frames
    empty = int((~result.keypoints.detected.any(-1)).sum())
    gaps = f", {empty} without any keypoint" if empty else ""
    who = ", ".join(p for p in (result.source, result.person and f"person {result.person}") if p)
    lines = [
        who,
        f"{sampler} ({result.weights or 'no weights'}{steps}, seed {result.seed}), "
        f"{len(result.hypotheses)} hypotheses, {n_frames} frames{gaps}; thick: {result.aggregate}",
        seen,
    ]
    return "\n".join(line for line in lines if line)


def _name_rows(views: list[Any]) -> None:
    names = ("2D input (px)", "front, as the camera sees\nup (m)", "side\nup (m)")
    for view, name in zip(views, names, strict=True):
        view.set_ylabel(name, fontsize=9)


def _draw_keypoints(axes: Any, keypoints: Keypoints2D, frame: int) -> None:
    xy = keypoints.xy[frame].numpy(force=True)
    _draw_body(axes, xy, keypoints.skeleton, linewidth=2.0)
    axes.scatter(xy[:, 0], xy[:, 1], s=9, c=side_colors(keypoints.skeleton), zorder=3)
    if keypoints.image_size is not None:
        from matplotlib.patches import Rectangle

        axes.add_patch(Rectangle((0, 0), *keypoints.image_size, fill=False, color="0.6", lw=0.8))
    low, high = _extent(keypoints.xy.reshape(-1, 2).numpy(force=True))
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(high[1], low[1])
    _quiet(axes)


def _draw_hypotheses(
    axes: Any, result: Result, frame: int, plane: tuple[int, int], n_shown: int
) -> None:
    skeleton = result.pose.skeleton
    for joints in result.hypotheses.joints[:n_shown, frame].numpy(force=True):
        _draw_body(axes, _upright(joints, plane), skeleton, linewidth=0.9, alpha=0.35)
    best = result.pose.joints[frame].numpy(force=True)
    _draw_body(axes, _upright(best, plane), skeleton, linewidth=2.4)
    reach = _largest(np.abs(result.pose.joints.numpy(force=True)), 99.9, 1.0) + 0.15
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    _quiet(axes)


def _largest(values: Any, percent: float, nothing: float) -> float:
    """A percentile of the known values; ``nothing`` if none is known."""
    known = values[np.isfinite(values)]
    return float(np.percentile(known, percent)) if known.size else nothing


def _upright(joints: Any, plane: tuple[int, int]) -> Any:
    """Two coordinates of the camera frame for paper: y grows downwards there, upwards here."""
    points = joints[:, plane].copy()
    points[:, 1] *= -1
    return points


def _draw_body(axes: Any, points: Any, skeleton: Skeleton, **style: Any) -> None:
    from matplotlib.collections import LineCollection

    colors = side_colors(skeleton)
    bones = [(p, j) for p, j in skeleton.bones if np.isfinite(points[[p, j]]).all()]
    segments = [points[[p, j]] for p, j in bones]
    style = {"linewidths": style.pop("linewidth"), **style}
    axes.add_collection(
        LineCollection(segments, colors=[colors[j] for _, j in bones], capstyle="round", **style)
    )


def _draw_legend(figure: Any, skeleton: Skeleton) -> None:
    from matplotlib.lines import Line2D

    names = ((LEFT, "the person's left"), (RIGHT, "the person's right"), (CENTER, "middle"))
    handles = [Line2D([], [], color=color, lw=3, label=name) for color, name in names]
    handles.append(Line2D([], [], color="0.4", lw=0.9, alpha=0.6, label="thin: hypotheses"))
    handles.append(Line2D([], [], color="0.4", lw=2.4, label="thick: aggregate"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=9, frameon=False)


def _draw_spread(figure: Any, axes: Any, result: Result) -> None:
    spread = spread_mm(result.hypotheses).numpy(force=True)
    fps = result.keypoints.fps
    n_frames, n_joints = spread.shape
    end = n_frames if fps is None else n_frames / fps
    top = max(_largest(spread, 99.0, 1.0), 1.0)
    image = axes.imshow(
        spread.T, aspect="auto", cmap="cividis", vmin=0, vmax=top, interpolation="nearest",
        extent=(0, end, n_joints - 0.5, -0.5),
    )  # fmt: skip
    skeleton = result.hypotheses.skeleton
    axes.set_yticks(range(n_joints), skeleton.joint_names, fontsize=8)
    for label, color in zip(axes.get_yticklabels(), side_colors(skeleton), strict=True):
        label.set_color(color)
    axes.set_xlabel("frame" if fps is None else "time (s)")
    axes.set_title("spread of the hypotheses per joint (RMS distance to their mean)", fontsize=10)
    figure.colorbar(image, ax=axes, label="mm", pad=0.01)


def _extent(points: Any) -> tuple[Any, Any]:
    finite = points[np.isfinite(points).all(-1)]
    if not len(finite):
        return np.zeros(2), np.ones(2)
    low, high = finite.min(0), finite.max(0)
    half = (high - low).max() / 2 * 1.08 + 1.0
    middle = (low + high) / 2
    return middle - half, middle + half


def _quiet(axes: Any) -> None:
    axes.set_aspect("equal")
    axes.tick_params(labelsize=7)
    axes.grid(visible=True, color="0.92", lw=0.6)
    axes.set_axisbelow(True)
