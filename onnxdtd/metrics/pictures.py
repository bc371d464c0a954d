"""The curves of an evaluation in one figure: a panel for each metric and fill, a colour for each method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from onnxdtd.entries import MetricEntry
from onnxdtd.metrics.curve import Curve, Curves
from onnxdtd.metrics.sources import CONTROLS
from onnxdtd.registry import METRICS
from onnxdtd.render.canvas import DPI, GAP, HEADER, MARGIN, SMALL, Page, text_width
from onnxdtd.render.colours import FAINT, INK
from onnxdtd.render.library import matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DPI", "draw"]

WIDTH, HEIGHT = 600, 430
LEFT, ABOVE, BELOW = 110, 62, 96  # room for numbers, a heading, and what the axis is
ACROSS = 3
LINE = 38  # pixels from one line of the legend to the next
BANDS = 6
"""With more methods, bands would hide the lines."""
GREY = "#6b6b6b"
# Ten hues of about the same weight; a second round is told by lighter lines.
HUES = (
    "#c81e1e",
    "#1d4fb8",
    "#1a8f4c",
    "#e0820c",
    "#7b3fb5",
    "#0f9fb0",
    "#c2408f",
    "#7a5a1e",
    "#5f6f00",
    "#30343b",
)


def draw(curves: Curves, methods: tuple[str, ...], inputs: int) -> Figure | None:
    """Solid: the most relevant first; dashed: the least relevant first. None without curves.

    inputs: of how many the curves are the means.
    """
    panels: dict[str, dict[str, Mapping[str, Curve]]] = {}
    for name, by_method in curves.items():
        panel, _, order = name.rpartition(".")
        panels.setdefault(panel, {})[order] = {m: by_method[m] for m in methods if m in by_method}
    if not panels:
        return None
    ordered = sorted(panels, key=lambda panel: (_metric(panel).order, _metric(panel).name))
    rows = _rows(ordered)
    across = min(ACROSS, max(map(len, rows)))
    width = MARGIN + across * (LEFT + WIDTH) + (across - 1) * GAP + MARGIN
    styles = _styles(methods)
    legend = _columns(methods, width - 2 * MARGIN)
    lines = -(-len(methods) // legend) + 1
    top = lines * LINE + GAP
    high = ABOVE + HEIGHT + BELOW
    bands = len(methods) <= BANDS and inputs > 1
    count = f"{inputs} input{'s' if inputs > 1 else ''}"
    page = Page(
        width, top + len(rows) * high, f"Removal curves, means over {count}{', 95 % bands' if bands else ''}"
    )
    _legend(page, methods, styles, legend, width - 2 * MARGIN)
    for i, row in enumerate(rows):
        for j, panel in enumerate(row):
            x, y = MARGIN + j * (LEFT + WIDTH + GAP), top + i * high
            metric, fill = _metric(panel), panel.partition(".")[2]
            page.text(x, y, metric.title + (f", fill: {fill}" if fill else ""), HEADER, INK)
            axes = page.place(x + LEFT, y + ABOVE, WIDTH, HEIGHT)
            _panel(axes, panels[panel], styles, bands)
            axes.set_xlabel(metric.panel.across, fontsize=SMALL, color=GREY)
            if metric.panel.bounds is not None:
                axes.set(ylim=metric.panel.bounds)
            page.text(x + LEFT, y + 32, metric.panel.up, SMALL, GREY)
    return page.figure


def _rows(panels: list[str]) -> list[list[str]]:
    """The fills of one metric beside each other, and so the metrics that share a row."""
    groups: dict[str, list[str]] = {}
    for panel in panels:
        metric = _metric(panel)
        groups.setdefault(metric.panel.row or metric.name, []).append(panel)
    return list(groups.values())


def _metric(panel: str) -> MetricEntry:
    return METRICS[panel.split(".")[0]]


def _panel(
    axes: Axes, orders: Mapping[str, Mapping[str, Curve]], styles: Mapping[str, Any], bands: bool
) -> None:
    for order, curves in orders.items():
        dashes: Any = "solid" if order == "most" else (0, (4, 2))
        for method, curve in curves.items():
            style = styles[method]
            axes.plot(curve.x, curve.mean, linestyle=dashes, linewidth=1.1, **style)
            if bands:
                shade = {"color": style["color"], "alpha": 0.10, "linewidth": 0}
                axes.fill_between(curve.x, curve.low, curve.high, **shade)
    axes.set(xlim=(0, 1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=FAINT, linewidth=0.6)
    axes.tick_params(labelsize=SMALL, length=2.5, width=0.5, color=FAINT, labelcolor=INK)
    axes.locator_params(nbins=5)


def _styles(methods: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Controls are grey; the others take the hues in turn."""
    styles: dict[str, dict[str, Any]] = {}
    hue = 0
    for method in methods:
        if method in CONTROLS:
            styles[method] = {"color": "#7d7d7d" if method == "random" else "#bdbdbd", "alpha": 1.0}
            continue
        styles[method] = {"color": HUES[hue % len(HUES)], "alpha": 1.0 if hue < len(HUES) else 0.5}
        hue += 1
    return styles


def _columns(methods: tuple[str, ...], width: int) -> int:
    widest = max(text_width(m, SMALL) for m in methods) + 110
    return max(1, min(len(methods), int(width // widest)))


def _legend(
    page: Page, methods: tuple[str, ...], styles: Mapping[str, Any], columns: int, width: int
) -> None:
    """Above the panels: line by line the methods, then what solid and dashed mean."""
    pitch = width / columns
    places = [(MARGIN + (i % columns) * pitch, (i // columns) * LINE) for i in range(len(methods))]
    for method, (x, y) in zip(methods, places, strict=True):
        _stroke(page, x, y, linestyle="solid", **styles[method])
        page.text(x + 70, y, method, SMALL)
    last = -(-len(methods) // columns) * LINE
    for k, (words, dashes) in enumerate(
        (("the most relevant first", "solid"), ("the least relevant first", (0, (4, 2))))
    ):
        _stroke(page, MARGIN + 420 * k, last, color=GREY, linestyle=dashes)
        page.text(MARGIN + 70 + 420 * k, last, words, SMALL, GREY)


def _stroke(page: Page, left: float, top: float, **style: Any) -> None:
    y = 1 - (page.top + top + 14) / page.height
    ends = [left / page.width, (left + 54) / page.width]
    page.figure.add_artist(matplotlib("lines").Line2D(ends, [y, y], linewidth=1.4, **style))
