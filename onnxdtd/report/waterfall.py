"""A table's row: bars that begin where the one above ends, so that columns, constants and losses make the number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnxdtd.printing import shortened
from onnxdtd.render.charts import told
from onnxdtd.report.markup import Markup, amount, sign, tag
from onnxdtd.types import Array

COLUMNS = 24
_WIDTH, _LABELS, _PITCH, _NUMBERS = 720, 250, 26, 64  # in units of the drawing
_LETTERS = 34

Bar = tuple[str, float, str]
"""What it is called, how much it adds, and the class of its colour."""


def row(
    relevance: Array, values: Array, names: Sequence[str], others: Sequence[tuple[str, float]], whole: str
) -> Markup:
    """others: name and amount of what no column is given, such as constants. whole: what the sum is called; "" where
    the method promises no sum, so that every bar begins at zero."""
    order = np.argsort(-np.abs(relevance), kind="stable")
    shown = order if order.size <= COLUMNS + 1 else order[:COLUMNS]
    bars = [_bar(f"{names[i]} = {told(values[i])}", float(relevance[i])) for i in shown]
    if rest := order[len(shown) :].tolist():
        bars.append(_bar(f"{len(rest)} others, summed", float(relevance[rest].sum(dtype=np.float64))))
    bars += [(name, float(size), "constant") for name, size in others]
    sizes = [size for _, size, _ in bars]
    if not whole:
        return drawn(bars, [0.0] * len(bars))
    return drawn([*bars, (whole, sum(sizes), "whole")], [*np.cumsum([0.0, *sizes])[:-1], 0.0])


def drawn(bars: Sequence[Bar], starts: Sequence[float]) -> Markup:
    """Horizontal bars with their names on the left and their numbers behind them."""
    ends = [start + size for start, (_, size, _) in zip(starts, bars, strict=True)]
    low, high = min(0.0, *starts, *ends), max(0.0, *starts, *ends)
    left = _LABELS + (_NUMBERS if low < 0 else 10)
    scale = (_WIDTH - left - _NUMBERS) / ((high - low) or 1.0)

    def across(value: float) -> float:
        return round(left + (value - low) * scale, 2)

    parts: list[Markup] = []
    for i, ((name, size, colour), start, end) in enumerate(zip(bars, starts, ends, strict=True)):
        top, middle = i * _PITCH + 4, i * _PITCH + _PITCH / 2 + 4
        label = tag("text", tag("title", name), shortened(name, _LETTERS), x=_LABELS, y=middle, class_="name")
        x, width = across(min(start, end)), round(max(abs(size) * scale, 0.75), 2)
        bar = tag("rect", x=x, y=top, width=width, height=_PITCH - 8, rx=2, class_=f"bar {colour}")
        at, side = (x - 6, "before") if end < start else (x + width + 6, "behind")
        number = tag("text", amount(size), x=at, y=middle, class_=f"number {side}")
        step = tag("line", x1=across(end), x2=across(end), y1=top, y2=top + _PITCH, class_="step")
        parts += [step] * (any(starts) and i < len(bars) - 1) + [label, bar, number]
    height = _PITCH * len(bars) + 8
    zero = tag("line", x1=across(0), x2=across(0), y1=0, y2=height, class_="zero")
    return tag("svg", zero, *parts, viewBox=f"0 0 {_WIDTH} {height}", class_="bars", role="img")


def _bar(name: str, size: float) -> Bar:
    return name, size, sign(size)
