"""Tables: how a row's relevance adds up to the explained number, and which columns count over many rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxdtd.render.canvas import HEADER, HEADING, MARGIN, SMALL, Page, text_width, wrapped
from onnxdtd.render.charts import told
from onnxdtd.render.colours import BLUE, FAINT, GREY, INK, RED, Scale, number
from onnxdtd.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 18
_PITCH, _BARS, _LABELS = 36, 900, 700  # pixels

Step = tuple[str, float, str]
"""What a bar is called, how much it adds, and its colour."""


def waterfall(
    relevance: Array,
    values: Array,
    names: Sequence[str],
    others: Sequence[tuple[str, float]],
    whole: str,
    title: str,
    caption: str = "",
) -> Figure:
    """Bars that begin where the one above ends: columns, the largest |relevance| first, then what is no column.

        sum of all bars = the explained number, the last bar

    others: name and amount of what no column is given, such as constants and what rules could hand to nobody, in
    grey. whole: what the explained number is called.
    """
    Scale.of(relevance, 100)  # refuses what cannot be drawn
    order = np.argsort(-np.abs(relevance), kind="stable")
    shown = order if order.size <= COLUMNS + 1 else order[:COLUMNS]
    steps = [_step(f"{names[i]} = {told(values[i])}", relevance[i]) for i in shown]
    if rest := order[len(shown) :].tolist():
        steps.append(_step(f"{len(rest)} others, summed", relevance[rest].sum(dtype=np.float64)))
    steps += [(name, float(amount), GREY) for name, amount in others]
    total = sum(size for _, size, _ in steps)
    return _drawn([*steps, (whole, total, INK)], [*np.cumsum([0, *(s for _, s, _ in steps)])[:-1], 0.0],
                  "relevance, adding up", title, caption)  # fmt: skip


def ranking(relevance: Array, names: Sequence[str], title: str, caption: str = "") -> Figure:
    """The mean of |relevance| over the rows (N, F) of each column, the largest first."""
    mean = np.abs(relevance).mean(axis=0, dtype=np.float64)
    Scale.of(mean, 100)
    order = np.argsort(-mean, kind="stable")
    shown = order if order.size <= COLUMNS + 1 else order[:COLUMNS]
    steps: list[Step] = [(names[i], float(mean[i]), GREY) for i in shown]
    if rest := order[len(shown) :].tolist():
        steps.append((f"{len(rest)} others, summed", float(mean[rest].sum()), FAINT))
    return _drawn(steps, [0.0] * len(steps), f"mean |relevance| over {len(relevance)} rows", title, caption)


def _step(name: str, size: Any) -> Step:
    return name, float(size), RED if size > 0 else BLUE


def _drawn(steps: Sequence[Step], starts: Sequence[float], heading: str, title: str, caption: str) -> Figure:
    labels = ["".join(wrapped(name, _LABELS, SMALL, 1)) for name, _, _ in steps]
    left = MARGIN + max(text_width(label, SMALL) for label in labels) + 24
    page = Page(int(left + _BARS + MARGIN), HEADING + _PITCH * len(steps), title, caption)
    page.text(left, 0, heading, HEADER, FAINT)
    axes = page.place(left, HEADING, _BARS, _PITCH * len(steps))
    rows, sizes = range(len(steps)), [size for _, size, _ in steps]
    axes.barh(rows, sizes, left=starts, height=0.62, color=[colour for _, _, colour in steps])
    axes.axvline(0, color=FAINT, linewidth=0.6)
    ends = [start + size for start, size in zip(starts, sizes, strict=True)]
    if any(starts):
        for row, end in enumerate(ends[:-1]):
            axes.plot([end, end], [row - 0.31, row + 1.31], color=FAINT, linewidth=0.5)
    low, high = min(0.0, *starts, *ends), max(0.0, *starts, *ends)
    room = 0.15 * ((high - low) or 1.0)  # for the numbers beside the bars
    axes.set(xlim=(low - room * (low < 0), high + room), ylim=(len(steps) - 0.5, -0.5))
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": SMALL, "color": INK}
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        on_left = end < start
        at, beyond, side = (end, (-4, 0), "right") if on_left else (end, (4, 0), "left")
        axes.annotate(number(sizes[row]), (at, row), beyond, va="center_baseline", ha=side, **style)
    axes.set_yticks(rows, labels, fontsize=SMALL, color=INK, parse_math=False)
    axes.tick_params(length=0, pad=6)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    return page.figure
