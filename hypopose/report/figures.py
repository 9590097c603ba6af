"""Plots of results against the truth, as matplotlib figures; no file is read or written here.

Convention:
    Every method keeps its color, marker and line style in all plots, so that the plots are read
    without color as well. Over- and underconfidence are the ends of one scale (orange and purple,
    light in the middle) and are written as minus and plus. Joints are drawn on a person who faces
    the reader: the person's left is at the right. Lengths are millimeters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hypopose.errors import OptionError
from hypopose.evaluation.evaluation_results import CalibrationResults, Reliability
from hypopose.report.plotting import STYLES, new_figure, panel_row, style_of
from hypopose.skeletons import SKELETONS
from hypopose.types import Skeleton

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BODY: dict[str, tuple[float, float]] = {
    "pelvis": (0, 0), "right_hip": (-0.12, 0), "left_hip": (0.12, 0),
    "right_knee": (-0.16, -0.42), "left_knee": (0.16, -0.42),
    "right_ankle": (-0.18, -0.82), "left_ankle": (0.18, -0.82),
    "right_foot": (-0.24, -0.92), "left_foot": (0.24, -0.92),
    "right_toe": (-0.26, -0.92), "left_toe": (0.26, -0.92),
    "spine": (0, 0.26), "thorax": (0, 0.52), "neck": (0, 0.64), "head": (0, 0.82),
    "nose": (0, 0.72), "left_eye": (0.05, 0.78), "right_eye": (-0.05, 0.78),
    "left_ear": (0.11, 0.74), "right_ear": (-0.11, 0.74),
    "right_shoulder": (-0.22, 0.5), "left_shoulder": (0.22, 0.5),
    "right_elbow": (-0.4, 0.22), "left_elbow": (0.4, 0.22),
    "right_wrist": (-0.52, -0.06), "left_wrist": (0.52, -0.06),
    "right_hand": (-0.58, -0.16), "left_hand": (0.58, -0.16),
}  # fmt: skip
"""Where joints stand in the body drawing: meters, up is positive, the person faces the reader."""

_PALE = "#E6E6E6"


def calibration_figure(results: Sequence[CalibrationResults]) -> Figure:
    """Coverage against nominal level, one panel a method.

    Thin gray lines are joints, the gray area is where a calibrated joint stays with 95 %
    probability (the median joint's band), the thick line is the mean over joints with its interval
    over sequences.

    Args:
        results: With reliability; others are left out.

    Returns:
        A figure with a panel a method.

    Raises:
        OptionError: If none has calibration curves.
    """
    shown = _having(results, "reliability")
    figure, axes = panel_row(len(shown), 3.4, 4.4)
    for axis, (index, result) in zip(axes, shown, strict=True):
        r = result.reliability
        assert r is not None
        told = np.isfinite(r.band_low).any(0)
        axis.fill_between(
            r.levels[told], np.nanmedian(r.band_low[:, told], 0),
            np.nanmedian(r.band_high[:, told], 0), color=_PALE, label="calibrated joint, 95 % band",
        )  # fmt: skip
        axis.plot(r.levels, r.coverage.T, color="#777777", lw=0.6, alpha=0.7)
        axis.plot([], [], color="#777777", lw=0.6, label="joints")
        axis.plot([0, 1], [0, 1], color="black", lw=0.8, ls=(0, (1, 2)), label="calibrated")
        _interval(axis, r.levels, r.pooled_low, r.pooled_high, STYLES[index % len(STYLES)][0])
        axis.plot(r.levels, r.pooled, markevery=3, label="mean of joints", **style_of(index))
        axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="nominal level", box_aspect=1)
        axis.set_title(f"{result.name}\nECE {r.ece:.3f} (perfect: {r.null_ece:.3f})", fontsize=9)
        axis.text(0.97, 0.05, "overconfident", ha="right", fontsize=8, style="italic")
        axis.text(0.03, 0.92, "underconfident", fontsize=8, style="italic")
    axes[0].set_ylabel("share of truths inside")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(5, 2 * len(shown)),
                  fontsize=7, frameon=False)  # fmt: skip
    return figure


def body_figure(results: Sequence[CalibrationResults]) -> Figure:
    """A body a method: joints colored by over- and underconfidence.

    Args:
        results: With reliability; others are left out.

    Returns:
        A figure with a body a method; each joint carries a sign and its percentage points. Joints
        without a place in the drawing make it bars, one a joint.

    Raises:
        OptionError: If none has calibration curves.
    """
    shown = _having(results, "reliability")
    figure, axes = panel_row(len(shown), 3.3, 4.6)
    bodies = []
    for axis, (_, result) in zip(axes, shown, strict=True):
        r = result.reliability
        assert r is not None
        axis.set_title(result.name, fontsize=9)
        if all(name in BODY for name in r.joints):
            bodies.append(_draw_body(axis, r, SKELETONS.get(result.skeleton)))
        else:
            _draw_bars(axis, r)
    if bodies:
        bar = figure.colorbar(bodies[0], ax=axes, shrink=0.7, pad=0.02)
        bar.set_label("coverage minus level, percentage points", fontsize=8)
    return figure


def histogram_figure(results: Sequence[CalibrationResults]) -> Figure:
    """PIT histograms: a row a method, a column an axis of the camera frame.

    Args:
        results: With histograms; others are left out.

    Returns:
        Bars with the band in which a calibrated model's bars stay.

    Raises:
        OptionError: If none has histograms.
    """
    shown = _having(results, "histograms")
    figure = new_figure(8.2, 1.9 * len(shown) + 0.4)
    axes = figure.subplots(len(shown), 3, squeeze=False, sharex=True, sharey="row")
    for row, (index, result) in zip(axes, shown, strict=True):
        h = result.histograms
        assert h is not None
        for a, axis in enumerate(row):
            n = h.density.shape[1]
            edges = np.linspace(0, 1, n + 1)
            axis.stairs(h.density[a], edges, fill=True, color=STYLES[index % 6][0], alpha=0.55)
            axis.stairs(h.density[a], edges, color="black", lw=0.8)
            for edge in (h.band_low[a], h.band_high[a]):
                axis.stairs(edge, edges, color="black", lw=0.9, ls=(0, (2, 2)), baseline=None)
            axis.axhline(1, color="black", lw=0.6)
            axis.set_title(f"{h.axes[a]}: {_SHAPES[h.shapes[a]]}", fontsize=8)
        top = max(2.0, 1.08 * float(np.nanmax(h.density)))
        row[0].set(xlim=(0, 1), ylim=(0, top))
        row[0].set_ylabel(f"{result.name}\nrelative frequency", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("rank of the truth", fontsize=8)
    return figure


def skill_figure(results: Sequence[CalibrationResults]) -> Figure:
    """Spread against error, and the error left when uncertain joints are dropped.

    Args:
        results: With spread and skill; others are left out.

    Returns:
        Two panels.

    Raises:
        OptionError: If none has a spread.
    """
    shown = _having(results, "skill")
    figure, (left, right) = panel_row(2, 4.2, 3.6)
    top = 0.0
    for index, result in shown:
        s = result.skill
        assert s is not None
        top = max(top, float(np.nanmax(s.spread)), float(np.nanmax(s.skill)))
        left.plot(s.spread, s.skill, label=f"{result.name}, ratio {s.ratio:.2f}",
                  **style_of(index))  # fmt: skip
        right.plot(100 * s.kept, s.selective, markevery=3, label=result.name, **style_of(index))
        right.plot(100 * s.kept, s.oracle_selective, color=STYLES[index % 6][0], lw=0.8, ls=":")
    right.plot([], [], color="black", lw=0.8, ls=":", label="ORACLE: largest errors dropped")
    left.plot([0, top], [0, top], color="black", lw=0.8, ls=(0, (1, 2)), label="spread = error")
    left.set(xlabel="spread (mm)", ylabel="error of the mean (mm)", xlim=(0, None), ylim=(0, None))
    left.set_title("error grows with spread?", fontsize=9)
    right.set(xlabel="joints kept, most certain first (%)", ylabel="mean error (mm)")
    right.set(ylim=(0, None), xlim=(100, 5))
    right.set_title("error of what is kept", fontsize=9)
    left.legend(fontsize=7, loc="upper left")
    right.legend(fontsize=7, loc="upper right")
    return figure


def min_at_k_figure(results: Sequence[CalibrationResults]) -> Figure:
    """Best of k hypotheses by the truth: oracle curves, a panel for each meaning.

    Args:
        results: With curves; others are left out.

    Returns:
        Three panels, marked ORACLE.

    Raises:
        OptionError: If none has curves.
    """
    shown = _having(results, "min_at_k")
    bests = [c.best for c in shown[0][1].min_at_k]
    n_most = max(len(c.error) for _, j in shown for c in j.min_at_k)
    figure, axes = panel_row(len(bests), 2.9, 3.1, share=True)
    for index, result in shown:
        for axis, curve in zip(axes, result.min_at_k, strict=True):
            k = np.arange(1, len(curve.error) + 1)
            axis.plot(k, curve.error, markevery=max(1, len(k) // 8), label=result.name,
                      **style_of(index))  # fmt: skip
    for axis, best in zip(axes, bests, strict=True):
        axis.set_title(f"ORACLE, best per {best}", fontsize=9)
        axis.set(xlabel="k hypotheses", xscale="log", ylim=(0, None))
        ticks = [k for k in (1, 2, 5, 10, 20, 50, 100, 200, 500) if k <= n_most]
        axis.set_xticks(ticks, [str(k) for k in ticks])
        axis.minorticks_off()
        axis.set_facecolor("#F4F4F4")
    axes[0].set_ylabel("mean error of the best of k (mm)")
    axes[0].legend(fontsize=7, loc="upper right")
    return figure


def coverage_figure(results: Sequence[CalibrationResults]) -> Figure:
    """Measured against nominal coverage, before and after recalibration.

    Args:
        results: With coverage rows; others are left out.

    Returns:
        A panel a method: one marker a row and level, with intervals, and the wanted level as a bar.

    Raises:
        OptionError: If none has coverage rows.
    """
    shown = _having(results, "coverage")
    figure, axes = panel_row(len(shown), 3.3, 3.2, share=True)
    for axis, (_, result) in zip(axes, shown, strict=True):
        n = len(result.coverage)
        for i, row in enumerate(result.coverage):
            x = np.arange(len(row.levels)) + (i - (n - 1) / 2) * 0.18
            error = np.nan_to_num(
                100 * np.abs(np.stack((row.coverage - row.low, row.high - row.coverage)))
            )
            color, _, marker = STYLES[i % len(STYLES)]
            axis.errorbar(x, 100 * row.coverage, error, fmt=marker, color=color, capsize=3,
                          markersize=5, label=row.label)  # fmt: skip
        levels = result.coverage[0].levels
        for at, level in enumerate(levels):
            axis.plot([at - 0.4, at + 0.4], [100 * level] * 2, color="black", lw=1)
            if all(math.isnan(row.coverage[at]) for row in result.coverage):
                axis.text(at, 100 * level - 2, "too few\nhypotheses", ha="center", va="top",
                          fontsize=6)  # fmt: skip
        axis.set_xticks(range(len(levels)), [f"{100 * v:.0f} %" for v in levels])
        axis.set(xlabel="nominal", ylim=(0, 103))
        axis.set_title(result.name, fontsize=9)
        axis.legend(fontsize=7, loc="lower right")
    axes[0].set_ylabel("measured coverage (%)")
    return figure


_SHAPES = {
    "flat": "flat within chance",
    "u": "U: overconfident",
    "hump": "hump: underconfident",
    "high": "truth lies beyond",
    "low": "truth lies before",
}


def _draw_bars(axis: Axes, reliability: Reliability) -> None:
    """Over- and underconfidence as bars, for joints that have no place on a body."""
    from matplotlib import colormaps

    points = np.nan_to_num(100 * reliability.excess)
    places = np.arange(len(points))
    axis.barh(
        places, points, color=colormaps["PuOr_r"](points / 80 + 0.5), edgecolor="black", lw=0.5
    )
    words = zip(places, reliability.excess.tolist(), reliability.verdicts, strict=True)
    for place, value, verdict in words:
        side = -1 if value < 0 else 1
        axis.annotate(
            _verdict_sign(100 * value, verdict), (points[place], place), (3 * side, 0),
            textcoords="offset points", ha="left" if side > 0 else "right", va="center", fontsize=7,
        )  # fmt: skip
    axis.set_yticks(places, [name.replace("_", " ") for name in reliability.joints], fontsize=7)
    axis.invert_yaxis()
    axis.axvline(0, color="black", lw=0.8)
    axis.set(xlim=(-60, 60), xlabel="coverage minus level (points)")


def _verdict_sign(points: float, verdict: str) -> str:
    """A tick for a calibrated joint, else signed percentage points."""
    if math.isnan(points):
        return "?"
    return "✓" if verdict == "calibrated" else f"{points:+.0f}".replace("-", "−")


def legible(color: Sequence[float]) -> str:
    """Black on light colors and white on dark ones, whichever contrasts more (WCAG 2).

    Args:
        color: Red, green and blue, 0 to 1; more is ignored.

    Example:
        >>> legible((0.9, 0.5, 0.1)), legible((0.2, 0.0, 0.3))
        ('black', 'white')
    """
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if luminance > 0.179 else "white"


def _draw_body(axis: Axes, reliability: Reliability, skeleton: Skeleton | None) -> Any:
    for parent, child in skeleton.bones if skeleton is not None else ():
        assert skeleton is not None
        ends = [BODY[n] for j in (parent, child) if (n := skeleton.joint_names[j]) in BODY]
        axis.plot(*zip(*ends, strict=True), color="#666666", lw=2, zorder=1)
    places = np.asarray([BODY[name] for name in reliability.joints])
    points = 100 * reliability.excess
    image = axis.scatter(
        places[:, 0], places[:, 1], c=points, cmap="PuOr_r", vmin=-40, vmax=40, s=330,
        edgecolors="black", linewidths=0.8, zorder=2,
    )  # fmt: skip
    words = zip(places, points.tolist(), reliability.verdicts, strict=True)
    for (x, y), value, verdict in words:
        axis.text(x, y, _verdict_sign(value, verdict), ha="center", va="center", fontsize=7,
                  color=legible(tuple(image.to_rgba(value))), zorder=3)  # fmt: skip
    axis.text(0.5, -1.12, "person's left", ha="center", fontsize=7)
    axis.text(-0.5, -1.12, "person's right", ha="center", fontsize=7)
    axis.set(xlim=(-0.75, 0.75), ylim=(-1.2, 1.0), aspect="equal")
    axis.axis("off")
    return image


def _having(
    results: Sequence[CalibrationResults], part: str
) -> list[tuple[int, CalibrationResults]]:
    """Results that have a part, with their place in line, which fixes their style."""
    shown = [(i, j) for i, j in enumerate(results) if getattr(j, part)]
    if not shown:
        raise OptionError(f"No method has {part.replace('_', ' ')} to draw.")
    return shown


def _interval(
    axis: Axes, x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64], c: str
) -> None:
    if bool(np.isfinite(low).any()):
        axis.fill_between(x, low, high, color=c, alpha=0.25, lw=0, label="95 % over sequences")
