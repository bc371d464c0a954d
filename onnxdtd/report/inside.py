"""Relevance at values inside the model, where a run kept it: its largest channels, and where in a picture it lies."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.explanation import Explanation
from onnxdtd.inputs.layout import layout_of
from onnxdtd.reading import by_sample
from onnxdtd.reading.shows import IMAGES
from onnxdtd.render.images import picture_of
from onnxdtd.report import waterfall
from onnxdtd.report.markup import Markup, amount, sign, tag
from onnxdtd.report.picture import LARGEST, image
from onnxdtd.types import Array

CHANNELS = 12
"""That are shown, the largest."""
_PLACES = {1: "unit", 2: "position"}


def inside(e: Explanation, sample: int, picture: Any = None, largest: int = LARGEST) -> list[Markup]:
    """Every value that was kept, for one sample. picture: what a map of places is laid over, by default the input.
    largest: pixels of a map's side."""
    pieces = list[Markup]()
    for name, r in e.kept.items():
        pieces.append(tag("h3", name))
        if not (r.ndim and len(r) == len(e.target)) or not np.isfinite(r).all() or r[sample].size == 0:
            pieces.append(tag("p", "not told apart by sample, empty, or not finite", class_="faint"))
            continue
        pieces += _value(e, sample, name, r[sample], picture, largest)
    return pieces


def _value(e: Explanation, sample: int, name: str, r: Array, picture: Any, largest: int) -> list[Markup]:
    shape = " × ".join(map(str, r.shape)) or "a number"
    total = tag("p", f"{shape}, relevance {amount(float(r.sum(dtype=np.float64)))} in all", class_="faint")
    first = r.reshape(len(r), -1).sum(axis=1, dtype=np.float64) if r.ndim else r.reshape(1)
    order = np.argsort(-np.abs(first), kind="stable")
    word = _PLACES.get(r.ndim, "channel")
    bars = [(f"{word} {i}", float(first[i]), sign(float(first[i]))) for i in order[:CHANNELS]]
    if rest := order[CHANNELS:].tolist():
        bars.append((f"{len(rest)} others, summed", float(first[rest].sum()), "constant"))
    below = _below(e, sample, picture)
    drawing = (
        [] if below is None or r.ndim != 3 else [image(_spread(r, below), below, below, None, name, largest)]
    )
    return [total, *drawing, waterfall.drawn(bars, [0.0] * len(bars))]


def _below(e: Explanation, sample: int, picture: Any) -> Any:
    """The picture that is explained, (H, W, 3) uint8; None where there is none, or several."""
    if picture is not None:
        return np.asarray(picture, np.uint8)
    if len(e.relevance) != 1:
        return None
    (name,) = e.relevance
    values = by_sample(e).inputs[name]
    if not (values.ndim and len(values) == len(e.target)) or layout_of(values.shape[1:]) not in IMAGES:
        return None
    return picture_of(values[sample])


def _spread(r: Array, below: Array) -> Array:
    """(channels, h, w) summed over the channels, each place as large as its part of the picture: (1, H, W)."""
    net = r.sum(axis=0, dtype=np.float64)
    rows, columns = (
        np.arange(size) * own // size for size, own in zip(below.shape[:2], net.shape, strict=True)
    )
    return np.asarray(net[np.ix_(rows, columns)][None])
