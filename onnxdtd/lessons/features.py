"""The heatmap of a row as a vector that can be compared with others: summed over channels, made small, 1 long."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from onnxdtd.inputs.layout import layout_of
from onnxdtd.render.heatmap import time_rows
from onnxdtd.render.images import channels_last
from onnxdtd.types import Array


def features(relevance: Mapping[str, Array], side: int) -> Array | None:
    """One vector for all inputs of a row, |vector| = 1; None where no number of it is finite and other than 0.

    Of a picture, relevance is summed over its channels and over the cells of a grid of at most side x side, a pixel
    that lies in two cells by its areas; of a sequence over channels and at most side^2 equal spans; a table's row and
    a text's tokens stay as they are.
    """
    parts = [_part(np.asarray(r, np.float64), side).reshape(-1) for r in relevance.values()]
    vector = np.concatenate(parts)
    length = float(np.linalg.norm(vector))
    return None if not np.isfinite(length) or not length else (vector / length).astype(np.float32)


def _part(r: Array, side: int) -> Array:
    layout = layout_of(r.shape)
    if layout is None or layout == "NF":
        return r
    if layout in ("NCT", "NTC", "NT"):
        line = time_rows(r, layout).sum(axis=0)
        small: Array = spans(line.size, side * side) @ line
        return small
    plane = channels_last(r, layout).sum(axis=-1)
    share = min(1.0, side / max(plane.shape))
    down, across = (spans(size, max(1, round(share * size))) for size in plane.shape)
    small = down @ plane @ across.T
    return small


@cache
def spans(size: int, count: int) -> Array:
    """(count, size): the part of each element that lies in each of `count` equal spans; the identity where there are
    no fewer."""
    if count >= size:
        return np.eye(size)
    edges = np.linspace(0, size, count + 1)
    cells = np.arange(size)
    low, high = np.maximum(edges[:-1, None], cells), np.minimum(edges[1:, None], cells + 1)
    return np.asarray(np.maximum(high - low, 0.0))
