"""Plots of one clip's hypotheses; none needs the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hypopose.ambiguity import Ambiguity, SecondCamera, effective_std
from hypopose.report.panel import Scene
from hypopose.report.plotting import STYLES, new_figure, panel_row, style_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_AXES = (("to the right", 1), ("up", -1), ("depth", 1))
"""Name of each camera axis as drawn, and its sign there: y grows downwards in the camera frame."""
_BANDS = ((0.05, 0.95, 0.2), (0.25, 0.75, 0.35))
"""Lower and upper share of the hypotheses, and opacity."""


def trajectory_figure(scene: Scene) -> Figure:
    """Where every joint goes: median and bands of the hypotheses, and the truth if it is known.

    Args:
        scene: One clip.

    Returns:
        Three panels, one per camera axis, a lane per joint. A lane is centered on the joint's mean
        over the clip; a bar at the left tells the size. Bands hold the middle 50 and 90 % of the
        hypotheses.
    """
    skeleton = scene.hypotheses.skeleton
    moving = [j for j in range(skeleton.n_joints) if j != skeleton.root]
    x = 1000 * scene.hypotheses.joints[:, :, moving].double().numpy()  # (H, F, K, 3), mm
    known = np.isfinite(x)
    middle = np.where(known, x, 0).sum((0, 1)) / known.sum((0, 1)).clip(min=1)
    shares = [0.5, *(share for low, high, _ in _BANDS for share in (low, high))]
    lines = np.quantile(x - middle, shares, axis=0)  # NaN where a hypothesis is missing
    lane = max(50.0, 2.2 * _typical_reach(lines))
    places = -lane * np.arange(len(moving))
    figure = new_figure(11.0, 0.42 * len(moving) + 1.0)
    time, unit = _times(scene)
    end = max(time[-1], time[0] + 1e-3)
    truth = _true_lines(scene, moving, middle)
    for a, axis in enumerate(figure.subplots(1, 3, sharey=True)):
        name, sign = _AXES[a]
        median, *edges = places + sign * lines[..., a]
        for (_, _, alpha), low, high in zip(_BANDS, edges[::2], edges[1::2], strict=True):
            for k in range(len(moving)):
                axis.fill_between(
                    time, low[:, k], high[:, k], color=STYLES[0][0], alpha=alpha, lw=0,
                    rasterized=True,  # as polygons they would make up most of the page's size
                )  # fmt: skip
        axis.plot(time, median, color=STYLES[0][0], lw=0.9)
        axis.plot(time, places + sign * truth[..., a], color="black", lw=0.9, ls=(0, (3, 1)))
        axis.set(xlabel=unit, xlim=(time[0], end))
        axis.set_ylim(places[-1] - 0.7 * lane, 0.7 * lane)
        axis.set_title(f"{scene.name}\n{name}" if a == 0 else name, fontsize=9)
        axis.grid(visible=True, axis="x", color="0.92", lw=0.6)
    first = figure.axes[0]
    names = [skeleton.joint_names[j].replace("_", " ") for j in moving]
    first.set_yticks(places, names, fontsize=7)
    size = 10 ** np.floor(np.log10(lane))
    first.plot([time[0]] * 2, [0.0, size], color="black", lw=3)
    first.annotate(f"  {size:.0f} mm", (time[0], size / 2), fontsize=7, va="center")
    return figure


def _true_lines(
    scene: Scene, moving: list[int], middle: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The truth about the same centers, ``(F, K, 3)``; NaN, which is not drawn, if unknown."""
    if scene.truth is None:
        return np.full((scene.hypotheses.joints.shape[1], *middle.shape), np.nan)
    return 1000 * scene.truth.joints[:, moving].double().numpy() - middle


def _typical_reach(lines: NDArray[np.float64]) -> float:
    """Typical distance of a joint from its mean over the clip, bands included."""
    known = np.abs(lines[np.isfinite(lines)])
    return float(np.quantile(known, 0.95)) if known.size else 0.0


def _times(scene: Scene) -> tuple[NDArray[np.float64], str]:
    frames = np.arange(scene.hypotheses.joints.shape[1], dtype=float)
    fps = scene.keypoints.fps
    return (frames, "frame") if fps is None else (frames / fps, "time (s)")


def spread_figure(name: str, ambiguity: Ambiguity) -> Figure:
    """Spread per joint and frame, its depth share, and the entropy over time; needs no truth.

    Args:
        name: What is shown.
        ambiguity: Of one clip.

    Returns:
        A map, bars and a line.
    """
    figure = new_figure(9.0, 6.0)
    grid = figure.add_gridspec(2, 2, width_ratios=(2.2, 1), height_ratios=(2.4, 1))
    std = 1000 * ambiguity.std.numpy()
    names = [n.replace("_", " ") for n in ambiguity.skeleton.joint_names]
    heat = figure.add_subplot(grid[0, 0])
    image = heat.imshow(std.T, aspect="auto", cmap="cividis", vmin=0, interpolation="nearest")
    heat.set_yticks(range(len(names)), names, fontsize=7)
    heat.set_title(f"{name}: spread per joint (mm)", fontsize=9)
    figure.colorbar(image, ax=heat, pad=0.01)
    bars = figure.add_subplot(grid[0, 1], sharey=heat)
    variance = ambiguity.std.square().nan_to_num()
    share = (ambiguity.spread.depth_share.nan_to_num() * variance).mean(0) / variance.mean(0)
    total = ambiguity.std.nanmean(0).mul(1000).nan_to_num().numpy()
    depth = np.nan_to_num(share.numpy())
    places = np.arange(len(names))
    bars.barh(places, total, color="#BBBBBB", edgecolor="black", lw=0.5, label="across")
    bars.barh(places, total * depth, color="#0072B2", hatch="//", edgecolor="white", lw=0,
              label="depth (share of variance)")  # fmt: skip
    bars.tick_params(labelleft=False)
    bars.set_xlabel("mean spread (mm)", fontsize=8)
    bars.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    line = figure.add_subplot(grid[1, 0], sharex=heat)
    moving = [j for j in range(len(names)) if j != ambiguity.skeleton.root]
    width = 1000 * effective_std(ambiguity.entropy[:, moving].nanmean(-1), 3).numpy()
    line.plot(width, color="black", lw=1.2, label="entropy, as a standard deviation (mm)")
    spread = 1000 * ambiguity.std[:, moving].nanmean(-1).numpy()
    line.plot(spread, color="#D55E00", ls="--", lw=1.2, label="spread (mm)")
    highest = max(np.nanmax(curve, initial=1.0) for curve in (width, spread))
    line.set(xlabel="frame", ylim=(0, 1.5 * highest))  # room for the legend
    line.legend(fontsize=7, loc="upper right")
    modes = figure.add_subplot(grid[1, 1])
    counts = ambiguity.n_modes[:, moving].double().mean(0).numpy()
    order = np.argsort(-counts)[:6]
    modes.barh([names[moving[j]] for j in order][::-1], counts[order][::-1], color="#999999")
    modes.set_xlabel("mean number of modes", fontsize=8)
    modes.tick_params(labelsize=7)
    return figure


def dependence_figure(name: str, ambiguity: Ambiguity) -> Figure:
    """Which joints are uncertain together; needs no truth.

    Args:
        name: What is shown.
        ambiguity: Of one clip.

    Returns:
        A matrix of squared distance correlations, mean over frames.
    """
    figure = new_figure(5.6, 4.8)
    axis = figure.subplots()
    names = [n.replace("_", " ") for n in ambiguity.skeleton.joint_names]
    image = axis.imshow(ambiguity.dependence.numpy(), cmap="cividis", vmin=0, vmax=1)
    axis.set_xticks(range(len(names)), names, fontsize=6, rotation=90)
    axis.set_yticks(range(len(names)), names, fontsize=6)
    axis.set_title(f"{name}: joints uncertain together", fontsize=9)
    bar = figure.colorbar(image, ax=axis)
    bar.set_label("squared distance correlation", fontsize=8)
    return figure


def second_camera_figure(scenes: Sequence[tuple[str, SecondCamera]]) -> Figure:
    """What a second camera would leave of the spread; needs no truth.

    Args:
        scenes: Name and result of each.

    Returns:
        Remaining spread against the angle, mean over joints and frames.
    """
    figure, (axis,) = panel_row(1, 5.4, 3.8)
    for index, (name, two) in enumerate(scenes):
        now = 1000 * float(two.now.nanmean())
        axis.plot(two.angles_deg, 1000 * two.reweighted.flatten(1).nanmean(-1).numpy(),
                  label=f"{name} (now {now:.0f} mm)", **style_of(index))  # fmt: skip
        axis.axhline(now, color=STYLES[index % 6][0], lw=0.8, ls=":")
    axis.set(xlabel="angle of the second camera (degrees)", ylabel="remaining spread (mm)")
    axis.set_ylim(0, None)
    figure.legend(fontsize=7, loc="outside lower center", ncols=2)
    return figure
