"""Figures of quantities: bands over time, and over the normalized gait cycle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hypopose.quantities import (
    LEVELS,
    Measurement,
    Measurements,
    gait_cycles,
    interval,
    walking_share,
)
from hypopose.quantities.intervals import median
from hypopose.report.plotting import STYLES, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OPACITY = {0.5: 0.35, 0.8: 0.22, 0.95: 0.12}
_STYLE = {"left": 1, "right": 0, "": 4}
"""The person's left is orange and the right blue, as in every figure of a body."""

WALKING = 0.5
"""Share of the hypotheses that walk, from which on gait cycles are drawn."""


def file_word(family: str) -> str:
    """A quantity as part of a file's name.

    Example:
        >>> file_word("angle:thorax/neck/head")
        'angle-thorax-neck-head'
    """
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in family)


def quantity_figure(family: str, people: Sequence[Measurements]) -> Figure:
    """A quantity over time, left and right together; where people walk, over the gait cycle too.

    Args:
        family: A quantity per frame, without its side.
        people: Who was measured; a row for each who has it.

    Returns:
        Lines are medians over the hypotheses, bands their middle 50, 80 and 95 %; of a probability
        the line is the share of the hypotheses, and there is no band. In the gait cycle, which goes
        from a foot's strike to its next, all cycles of all hypotheses are together.

    Example:
        >>> import hypopose
        >>> keypoints, _ = hypopose.datasets.example_pair()
        >>> result = hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=3)
        >>> figure = quantity_figure("knee_flexion", [hypopose.measure(result, "knee_flexion")])
        >>> len(figure.axes)  # flips of single frames are no walk
        1
    """
    rows = [(p, p.families()[family]) for p in people if family in p.families()]
    cycles = {
        (i, m.quantity.side): gait_cycles(m, person.feet)
        for i, (person, measured) in enumerate(rows)
        for m in measured
        if person.feet is not None and walking_share(person.feet, m.quantity.side) >= WALKING
    }
    walked = any(len(c) for c in cycles.values())
    figure = new_figure(9.6 if walked else 6.4, 2.9 * len(rows))
    widths = {"width_ratios": (2, 1)} if walked else {}
    axes = figure.subplots(
        len(rows), 2 if walked else 1, squeeze=False, sharey="row", gridspec_kw=widths
    )
    for i, (person, measured) in enumerate(rows):
        for m in measured:
            _band(axes[i, 0], m, person.fps)
            _cycle(axes[i, -1], cycles.get((i, m.quantity.side)), m) if walked else None
        _label(axes[i], measured[0], person, len(people) > 1)
    if len(rows[0][1]) > 1:
        axes[0, 0].legend(fontsize=8, loc="upper right")
    return figure


def _band(axis: Axes, measurement: Measurement, fps: float | None) -> None:
    frames = np.arange(measurement.values.shape[1], dtype=np.float64)
    time = frames if fps is None else frames / fps
    ends = {level: measurement.interval(level) for level in LEVELS}
    likely = not measurement.quantity.has_intervals
    _draw(axis, time, measurement.mean if likely else measurement.median, ends,
          measurement.quantity.side)  # fmt: skip


def _cycle(axis: Axes, cycles: NDArray[np.float64] | None, measurement: Measurement) -> None:
    if cycles is None or not len(cycles):
        return
    likely = not measurement.quantity.has_intervals
    ends = {} if likely else {level: interval(cycles, level) for level in LEVELS}
    _draw(axis, np.linspace(0, 100, cycles.shape[1]),
          np.ma.masked_invalid(cycles).mean(0).filled(np.nan) if likely else median(cycles), ends,
          measurement.quantity.side)  # fmt: skip


def _draw(
    axis: Axes,
    at: NDArray[np.float64],
    middle: NDArray[np.float64],
    ends: dict[float, tuple[NDArray[np.float64], NDArray[np.float64]]],
    side: str,
) -> None:
    color, line, _ = STYLES[_STYLE[side]]
    for level, (low, high) in ends.items():
        axis.fill_between(at, low, high, color=color, alpha=_OPACITY[level], lw=0)
    axis.plot(at, middle, color=color, ls=line if side else "-", lw=1.3, label=side or None)


def band_words(measurement: Measurement) -> str:
    """What lines and bands are, and how often such bands held the truth.

    Example:
        >>> import torch
        >>> from hypopose.quantities import QUANTITIES
        >>> knee = QUANTITIES["left_knee_flexion"]
        >>> band_words(Measurement(knee, torch.zeros(3, 5), evidence={0.8: 0.72}))
        'median; 50, 80, 95 % bands as sampled; in tests 80 % bands held 72 %'
        >>> band_words(Measurement(QUANTITIES["left_foot_contact"], torch.zeros(3, 5)))
        'share of the hypotheses'
    """
    if not measurement.quantity.has_intervals:
        return "share of the hypotheses"
    levels = ", ".join(f"{100 * level:g}" for level in LEVELS)
    how = "recalibrated" if measurement.stretch else "as sampled"
    held = measurement.evidence.get(0.8)
    tested = "" if held is None else f"; in tests 80 % bands held {100 * held:.0f} %"
    return f"median; {levels} % bands {how}{tested}"


def _label(
    axes: NDArray[np.object_], measurement: Measurement, person: Measurements, several: bool
) -> None:
    q = measurement.quantity
    name = q.family.replace("_", " ")
    unit = f" ({q.unit})" if q.unit else ""
    ways = f"\n+ {q.positive}" if q.positive else ""
    axes[0].set_ylabel(f"{name}{unit}{ways}", fontsize=8)
    axes[0].set_xlabel("frame" if person.fps is None else "time (s)", fontsize=8)
    title = f"{name}: person {person.person}" if several else name
    axes[0].set_title(f"{title}\n{band_words(measurement)}", fontsize=8)
    if len(axes) > 1:
        axes[1].set_xlabel("gait cycle (%), from strike to strike", fontsize=8)
        axes[1].set_title("all cycles of all hypotheses", fontsize=8)
    for axis in axes:
        axis.grid(visible=True, color="0.92", lw=0.6)
        axis.tick_params(labelsize=8)
        axis.margins(x=0)
