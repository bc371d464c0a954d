"""Means or shares with their intervals: a dot on a line for each row, on one scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from onnxdtd.printing import shortened
from onnxdtd.report.markup import Markup, amount, tag

_WIDTH, _LABELS, _PITCH, _NUMBERS = 520, 166, 26, 100  # in units of the drawing
_LETTERS = 20


@dataclass(frozen=True)
class Dot:
    """value: NaN or None for none. low, high: NaN where there is no interval. words: behind it. kind: a class of its
    colour, `best`, `even`, `fired` or ``."""

    name: str
    value: float | None
    low: float = math.nan
    high: float = math.nan
    words: str = ""
    kind: str = ""


def intervals(dots: Sequence[Dot], ends: tuple[float, float] | None = None) -> Markup:
    """ends: of the scale, by default those of the numbers, with zero where it is near."""
    sizes = [v for dot in dots for v in (dot.value, dot.low, dot.high) if v is not None and math.isfinite(v)]
    low, high = ends or _ends(sizes)
    scale = (_WIDTH - _LABELS - _NUMBERS) / ((high - low) or 1.0)

    def across(value: float) -> float:
        return round(_LABELS + (min(max(value, low), high) - low) * scale, 2)

    parts, height = list[Markup](), _PITCH * len(dots) + 24
    for tick in _ticks(low, high):
        parts.append(tag("line", x1=across(tick), x2=across(tick), y1=0, y2=height - 20, class_="zero"))
        parts.append(tag("text", amount(tick), x=across(tick), y=height - 8, class_="tick"))
    for i, dot in enumerate(dots):
        y = i * _PITCH + _PITCH / 2
        label = tag("title", dot.name)
        parts.append(tag("text", label, shortened(dot.name, _LETTERS), x=_LABELS - 10, y=y, class_="name"))
        words = tag("text", dot.words, x=_WIDTH - _NUMBERS + 12, y=y, class_="number behind")
        parts.append(words)
        if dot.value is None or not math.isfinite(dot.value):
            continue
        if math.isfinite(dot.low) and math.isfinite(dot.high):
            ends_at = {"x1": across(dot.low), "x2": across(dot.high), "y1": y, "y2": y}
            parts.append(tag("line", **ends_at, class_=f"span {dot.kind}".strip()))
        parts.append(tag("circle", cx=across(dot.value), cy=y, r=5, class_=f"dot {dot.kind}".strip()))
    return tag("svg", *parts, viewBox=f"0 0 {_WIDTH} {height}", class_="bars dots", role="img")


def _ticks(low: float, high: float) -> list[float]:
    """The ends and zero, which takes the place of an end that is near."""
    if not low < 0 < high:
        return [low, high]
    near = 0.15 * (high - low)
    return [*([low] if -low > near else []), 0.0, *([high] if high > near else [])]


def _ends(sizes: Sequence[float]) -> tuple[float, float]:
    """Zero belongs to a scale from which it is no further than the numbers are spread."""
    low, high = min(sizes, default=0.0), max(sizes, default=1.0)
    spread = high - low
    low = 0.0 if 0 < low <= spread else low
    high = 0.0 if -spread <= high < 0 else high
    return (low - 0.5, high + 0.5) if low == high else (low, high)
