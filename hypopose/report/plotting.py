"""Shared parts of plots: colors, panels, and a layout that is computed once."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES: tuple[tuple[str, str | tuple[int, tuple[int, ...]], str], ...] = (
    ("#0072B2", "-", "o"),
    ("#D55E00", "--", "s"),
    ("#009E73", "-.", "^"),
    ("#CC79A7", ":", "D"),
    ("#000000", (0, (5, 1, 1, 1, 1, 1)), "v"),
    ("#56B4E9", (0, (8, 2)), "P"),
)
"""Color (Okabe and Ito, 2008), line style and marker of the first, second, ... method."""


def style_of(index: int) -> dict[str, Any]:
    """Line options of the i-th method.

    Example:
        >>> style_of(0)["marker"], style_of(1)["marker"]
        ('o', 's')
    """
    color, line, marker = STYLES[index % len(STYLES)]
    return {"color": color, "linestyle": line, "marker": marker, "markersize": 4, "linewidth": 1.8}


def new_figure(width: float, height: float) -> Figure:
    """A figure without a window, its panels placed so that nothing overlaps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panel_row(
    n: int, width: float, height: float, share: bool = False
) -> tuple[Figure, list[Axes]]:
    """Panels side by side, four in a row at most."""
    n_columns = min(n, 4)
    n_rows = math.ceil(n / 4)
    figure = new_figure(width * n_columns + 0.4, height * n_rows)
    axes = figure.subplots(n_rows, n_columns, squeeze=False, sharey=share).flatten().tolist()
    for axis in axes[n:]:
        axis.axis("off")
    return figure, axes[:n]


def settle(figure: Figure) -> None:
    """Place the panels now; saving then draws once instead of twice."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def svg(figure: Figure) -> bytes:
    """A figure as SVG, the same bytes for the same figure.

    Args:
        figure: A matplotlib figure.

    Returns:
        UTF-8 text; glyphs are paths, so that it looks alike everywhere.
    """
    import matplotlib as mpl

    settle(figure)
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "hypopose"}):
        figure.savefig(buffer, format="svg", dpi=150, metadata={"Date": None})
    return buffer.getvalue()
