"""Relevance that is no image: bars for the columns of a table, a strip for a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxdtd.errors import UsageError
from onnxdtd.render.canvas import (
    BAR_SPACE,
    GAP,
    HEADER,
    HEADING,
    MARGIN,
    SMALL,
    Page,
    text_width,
    wrapped,
)
from onnxdtd.render.colours import BLUE, FAINT, INK, RED, Scale, number
from onnxdtd.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = 20
_PITCH = 36  # pixels from bar to bar
_BARS, _LABELS = 900, 700  # widths in pixels
_STRIP = 1500


def bars(
    relevance: Array, values: Array | None, names: Sequence[str] | None, title: str, caption: str = ""
) -> Figure:
    """Horizontal bars, the largest |relevance| first; of many, the smallest are one bar, "others"."""
    if names is not None and len(names) != relevance.size:
        raise UsageError(f"{len(names)} names for {relevance.size} inputs: give one for each")
    Scale.of(relevance, 100)  # refuses what cannot be drawn
    order = np.argsort(-np.abs(relevance), kind="stable")
    shown = order if order.size <= ROWS else order[: ROWS - 1]
    sizes = [float(relevance[i]) for i in shown]
    labels = [names[i] if names is not None else f"[{i}]" for i in shown]
    if values is not None:
        labels = [f"{label} = {told(values[i])}" for label, i in zip(labels, shown, strict=True)]
    if rest := order[len(shown) :].tolist():
        sizes.append(float(relevance[rest].sum(dtype=np.float64)))
        labels.append(f"{len(rest)} others, summed")
    labels = ["".join(wrapped(label, _LABELS, SMALL, 1)) for label in labels]
    left = MARGIN + max(text_width(label, SMALL) for label in labels) + 24
    page = Page(int(left + _BARS + MARGIN), HEADING + _PITCH * len(sizes), title, caption)
    page.text(left, 0, "relevance", HEADER, FAINT)
    _bars(page.place(left, HEADING, _BARS, _PITCH * len(sizes)), sizes, labels)
    return page.figure


def _bars(axes: Axes, sizes: list[float], labels: list[str]) -> None:
    rows = range(len(sizes))
    axes.barh(rows, sizes, height=0.62, color=[RED if size > 0 else BLUE for size in sizes])
    axes.axvline(0, color=FAINT, linewidth=0.6)
    low, high = min(0.0, *sizes), max(0.0, *sizes)
    room = 0.18 * ((high - low) or 1.0)  # for the numbers at the bars' ends
    low, high = low - room * (low < 0), high + room * (low == 0 or high > 0)
    axes.set(xlim=(low, high), ylim=(len(sizes) - 0.5, -0.5))
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL, "color": INK}
    for row, size in zip(rows, sizes, strict=True):
        beyond, side = (-4, "right") if size < 0 else (4, "left")
        axes.annotate(number(size), (size, row), (beyond, 0), va="center_baseline", ha=side, **style)
    axes.set_yticks(rows, labels, fontsize=SMALL, color=INK, parse_math=False)
    axes.tick_params(length=0, pad=6)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)


def strip(relevance: Array, signal: Array | None, title: str, percentile: float, caption: str = "") -> Figure:
    """A sequence (C, T): its signal as lines (beyond 6 channels, grey rows) above its relevance."""
    scale = Scale.of(relevance, percentile)
    channels, steps = relevance.shape
    upper = 260 if signal is not None else 0
    height = min(max(24 * channels, 350 - upper), 600)
    start = HEADING + upper + GAP // 2 if upper else 0
    page = Page(MARGIN + _STRIP + GAP + BAR_SPACE, start + HEADING + height + 60, title, caption)
    if signal is not None:
        _signal(page.panel(MARGIN, 0, _STRIP, upper, "input"), signal)
    axes = page.panel(MARGIN, start, _STRIP, height, "relevance")
    sampling = "nearest" if steps <= _STRIP else "antialiased"
    axes.imshow(scale.colours(relevance), aspect="auto", interpolation=sampling)
    ticks = sorted({0, steps // 4, steps // 2, 3 * steps // 4, steps - 1})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.tick_params(labelsize=SMALL, length=2.5, width=0.5, color=FAINT, labelcolor=INK)
    page.bar(scale, MARGIN + _STRIP + GAP, HEADING, start + height)
    return page.figure


def _signal(axes: Axes, signal: Array) -> None:
    channels, steps = signal.shape
    if channels > 6:
        axes.imshow(signal, aspect="auto", cmap="Greys", interpolation="antialiased")
        return
    for channel, row in enumerate(signal):
        axes.plot(np.arange(steps), row, linewidth=0.8, color=INK, alpha=1 - 0.8 * channel / channels)
    axes.set(xlim=(-0.5, steps - 0.5))


def told(value: Any) -> str:
    """A category as it is written, a token's number in full; of a measurement three digits."""
    return str(value) if isinstance(value, (str, np.integer)) else number(float(value))
