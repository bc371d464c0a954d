"""Lines over one axis, with bands, each a method or a kind of seed; colours are those of the page's style."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from onnxdtd.report.markup import Markup, amount, tag

HUES = 10
_WIDTH, _HEIGHT, _LEFT, _BELOW = 480, 240, 66, 44  # in units of the drawing
_POINTS, _ALL = 200, 3000
"""Of a line, at most, and of all lines of one drawing."""
_DOTTED = 240
"""Up to so many points are marked."""


@dataclass(frozen=True)
class Line:
    """ys: NaN where there is no point. band: its lower and upper ends. hue: which of the page's colours, grey for
    None. dashed: drawn so."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    hue: int | None = 0
    dashed: bool = False
    band: tuple[Sequence[float], Sequence[float]] | None = None


def curves(
    lines: Sequence[Line], across: str, ends: tuple[float, float] | None = None, limit: float | None = None
) -> Markup:
    """across: what the axis below is. ends: of the axis on the left. limit: a level that is marked."""
    most = max(2, min(_POINTS, _ALL // max(len(lines), 1)))
    drawn = [_thinned(line, most) for line in lines]
    heights = [[*line.ys, *(y for edge in line.band or () for y in edge)] for line in drawn]
    sizes = [y for ys in (*heights, [] if limit is None else [limit]) for y in ys if math.isfinite(y)]
    low, high = ends or (min(sizes, default=0.0), max(sizes, default=1.0))
    high = high if high > low else low + 1.0
    places = [x for line in drawn for x in line.xs if math.isfinite(x)]
    first, last = min(places, default=0.0), max(places, default=1.0)
    last = last if last > first else first + 1.0

    def point(x: float, y: float) -> tuple[float, float]:
        up = (min(max(y, low), high) - low) / (high - low)
        wide = (x - first) / (last - first)
        return round(_LEFT + (_WIDTH - _LEFT - 12) * wide, 1), round(8 + _HEIGHT * (1 - up), 1)

    parts = list[Markup]()
    for tick in (low, (low + high) / 2, high):
        y = point(first, tick)[1]
        parts.append(tag("line", x1=_LEFT, x2=_WIDTH - 12, y1=y, y2=y, class_="zero"))
        parts.append(tag("text", amount(tick), x=_LEFT - 8, y=y, class_="name"))
    for tick in (first, last):
        parts.append(tag("text", amount(tick), x=point(tick, low)[0], y=_HEIGHT + 20, class_="tick"))
    parts.append(tag("text", across, x=(_LEFT + _WIDTH) / 2, y=_HEIGHT + 34, class_="tick"))
    if limit is not None:
        y = point(first, limit)[1]
        parts.append(tag("line", x1=_LEFT, x2=_WIDTH - 12, y1=y, y2=y, class_="limit"))
    for line in drawn:
        colour = "grey" if line.hue is None else f"hue-{line.hue % HUES}"
        if line.band:
            edge = [
                *zip(line.xs, line.band[0], strict=True),
                *[*zip(line.xs, line.band[1], strict=True)][::-1],
            ]
            corners = [point(*at) for at in edge if all(map(math.isfinite, at))]
            parts.append(tag("path", d=_path([corners]) + "Z" * bool(corners), class_=f"band {colour}"))
        runs = groupby(zip(line.xs, line.ys, strict=True), key=lambda at: math.isfinite(at[1]))
        path = _path([[point(*at) for at in run] for there, run in runs if there])
        style = f"line {colour}{' dashed' * line.dashed}"
        parts.append(tag("path", tag("title", line.name), d=path, class_=style))
        if len(line.xs) * len(lines) <= _DOTTED:
            at = [point(*at) for at in zip(line.xs, line.ys, strict=True) if math.isfinite(at[1])]
            parts += [tag("circle", cx=x, cy=y, r=3, class_=f"point {colour}") for x, y in at]
    return tag("svg", *parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT + _BELOW + 8}", class_="bars plot", role="img")


def legend(names: Mapping[str, int | None], more: Sequence[tuple[str, str]] = ()) -> Markup:
    """names: with their hues. more: the class and the meaning of other marks."""
    marks = [("grey" if hue is None else f"hue-{hue % HUES}", name) for name, hue in names.items()]
    keys = [tag("span", tag("i", class_=f"key {kind}"), name) for kind, name in (*marks, *more)]
    return tag("p", *keys, class_="keys")


def _path(runs: Sequence[Sequence[tuple[float, float]]]) -> str:
    return "".join("M" + "L".join(f"{x} {y}" for x, y in run) for run in runs if run)


def _thinned(line: Line, most: int) -> Line:
    step = -(-len(line.xs) // most)
    if step < 2:
        return line
    band = line.band and (line.band[0][::step], line.band[1][::step])
    return Line(line.name, line.xs[::step], line.ys[::step], line.hue, line.dashed, band)
