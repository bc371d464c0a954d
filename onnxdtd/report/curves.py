"""A sequence: its signal as curves over relevance as a strip of every channel, above the sum of each bin of time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from onnxdtd.render.colours import SIGNED, Scale
from onnxdtd.report.markup import Markup, amount, png, sign, tag
from onnxdtd.types import Array

BINS = 64
POINTS = 600
"""Of a curve: a longer one is drawn by the least and the largest value of each stretch."""
MOST = 12
"""Channels that have a curve of their own."""
STRIP = 1200
_WIDTH, _LEFT, _CURVE, _SUMS, _AXIS = 720, 56, 56, 96, 26


def curves(relevance: Array, signal: Array) -> Markup:
    """relevance, signal: one sample, (C, T)."""
    channels, steps = relevance.shape
    limit = Scale.of(relevance, 99.5)
    shown = min(channels, MOST)
    width, parts = _WIDTH - _LEFT, list[Markup]()
    for channel in range(shown):
        top = channel * _CURVE
        strip = png(_strip(relevance[channel : channel + 1], limit))
        parts.append(
            tag("image", href=strip, x=_LEFT, y=top + 2, width=width, height=_CURVE - 4,
                 preserveAspectRatio="none", class_="strip")
        )  # fmt: skip
        parts.append(tag("path", d=_line(signal[channel], top + 4, _CURVE - 8, width), class_="curve"))
        if channels > 1:
            parts.append(tag("text", f"[{channel}]", x=_LEFT - 8, y=top + _CURVE / 2, class_="name"))
    top = shown * _CURVE
    if channels > shown:
        height = min(max(4 * channels, 60), 300)
        whole = png(_strip(relevance, limit))
        parts.append(
            tag("image", href=whole, x=_LEFT, y=top + 10, width=width, height=height,
                 preserveAspectRatio="none")
        )  # fmt: skip
        parts.append(tag("text", f"all {channels}", x=_LEFT - 8, y=top + 10 + height / 2, class_="name"))
        top += height + 10
    parts += _sums(relevance.sum(axis=0, dtype=np.float64), top + 10, width)
    top += _SUMS + 10
    ticks = sorted({0, steps // 4, steps // 2, 3 * steps // 4, steps - 1})
    parts += [
        tag("text", tick, x=round(_LEFT + width * (tick + 0.5) / steps, 2), y=top + 16, class_="tick")
        for tick in ticks
    ]
    picture = tag(
        "svg", *parts, viewBox=f"0 0 {_WIDTH} {top + _AXIS}", class_="curves", role="img",
        aria_label="signal and relevance over time",
    )  # fmt: skip
    words = (
        f"steps of time; the bars are sums of {-(-steps // BINS)} steps" if steps > BINS else "steps of time"
    )
    return tag("figure", picture, tag("figcaption", words))


def _strip(relevance: Array, scale: Scale) -> np.ndarray:
    """Colours of (C, T), of a long one those of the strongest step of each stretch."""
    ends = np.linspace(0, relevance.shape[1], min(relevance.shape[1], STRIP) + 1).astype(int)
    if len(ends) <= relevance.shape[1]:
        pieces = [relevance[:, a:b] for a, b in pairwise(ends)]
        places = [np.abs(piece).argmax(axis=1) for piece in pieces]
        rows = np.arange(len(relevance))
        relevance = np.stack([p[rows, at] for p, at in zip(pieces, places, strict=True)], 1)
    colours = SIGNED(0.5 + 0.5 * scale.normal(relevance))[..., :3]
    return np.asarray(np.rint(255 * colours), np.uint8)


def _line(signal: Array, top: float, height: float, width: float) -> str:
    """The points of a curve, as an SVG path."""
    values = np.asarray(signal, np.float64)
    places = np.arange(len(values)) + 0.5
    if len(values) > 2 * POINTS:
        ends = np.linspace(0, len(values), POINTS + 1).astype(int)
        order = [
            i for a, b in pairwise(ends) for i in sorted({a + values[a:b].argmin(), a + values[a:b].argmax()})
        ]
        values, places = values[order], places[order]
    low, high = values.min(), values.max()
    ys = top + height - height * (values - low) / ((high - low) or 1.0)
    xs = _LEFT + width * places / len(signal)
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True))


def _sums(steps: Array, top: float, width: float) -> list[Markup]:
    """A bar for each bin of time, up for relevance that speaks for the target."""
    pieces = np.array_split(steps, min(BINS, len(steps)))
    sums, ends = [float(p.sum()) for p in pieces], np.cumsum([0, *map(len, pieces)])
    largest = max(map(abs, sums)) or 1.0
    middle, half = top + _SUMS / 2, _SUMS / 2 - 6
    bars = []
    for size, (a, b) in zip(sums, pairwise(ends.tolist()), strict=True):
        tall = half * abs(size) / largest
        words = f"step {a}" if b == a + 1 else f"steps {a} to {b - 1}"
        bars.append(
            tag("rect", tag("title", f"{words}: {amount(size)}"), x=round(_LEFT + width * a / len(steps), 2),
                y=round(middle - (tall if size > 0 else 0), 2), width=round(width * (b - a) / len(steps) - 0.5, 2),
                height=round(tall, 2), class_=f"bar {sign(size)}")
        )  # fmt: skip
    labels = [
        tag("text", amount(size), x=_LEFT - 8, y=round(y, 2), class_="name")
        for size, y in ((largest, middle - half + 4), (-largest, middle + half - 4))
    ]
    zero = tag("line", x1=_LEFT, x2=_LEFT + width, y1=middle, y2=middle, class_="zero")
    return [zero, *bars, *labels]
