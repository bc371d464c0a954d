"""How alike the heatmaps of several methods are, each pair of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from onnxdtd.audit.similarity import cosine, spearman
from onnxdtd.inputs.layout import layout_of
from onnxdtd.types import Array

SHARE = 0.1


def seen(relevance: Array, layout: str | None = None) -> Array:
    """What a heatmap shows of one sample: an image's or a sequence's channels summed, anything else as it is."""
    meaning = layout_of(relevance.shape, layout)
    if meaning is None or "C" not in meaning or meaning in ("NCT", "NTC"):
        return relevance
    return np.asarray(relevance.sum(axis=meaning.index("C") - 1, dtype=np.float64))


def overlap(a: Array, b: Array) -> Array:
    """|A & B| / |A| of each row, A and B the tenth of the elements with the largest |relevance|; by chance 0.1.

    Elements equally large at the border share the places that are left: a tenth part of an element that is in both
    counts a tenth. NaN where one is all zero.
    """
    first, second = _largest(a), _largest(b)
    common = np.minimum(first, second).sum(axis=1) / first.sum(axis=1)
    return np.where(np.any(a, axis=1) & np.any(b, axis=1), common, np.nan)


MEASURES: dict[str, Callable[[Array, Array], Array]] = {
    "cosine": cosine, "spearman": spearman, "top10": overlap,
}  # fmt: skip


def matrices(maps: Sequence[Array | None]) -> dict[str, Array]:
    """(K, K) by measure, of K heatmaps of one input; NaN where one is missing, or has nothing to compare."""
    there = [m for m in maps if m is not None]
    blank = np.full_like(there[0], np.nan) if there else np.zeros(1)
    rows = np.stack([np.ravel(blank if m is None else m) for m in maps]).astype(np.float64)
    by_measure = {}
    for name, measure in MEASURES.items():
        matrix = np.full((len(maps), len(maps)), np.nan)
        for i in [i for i, m in enumerate(maps) if m is not None]:
            others = [j for j in range(i, len(maps)) if maps[j] is not None]
            values = measure(np.repeat(rows[i : i + 1], len(others), axis=0), rows[others])
            matrix[i, others] = matrix[others, i] = values
        by_measure[name] = matrix
    return by_measure


def _largest(rows: Array) -> Array:
    """How far each element belongs to the largest tenth: 1, 0, or a share of the places left at the border."""
    size = np.abs(rows)
    count = max(1, math.ceil(SHARE * size.shape[1]))
    border = -np.partition(-size, count - 1, axis=1)[:, count - 1 : count]
    above, at = size > border, size == border
    left = count - above.sum(axis=1, keepdims=True)
    return np.asarray(above + at * left / at.sum(axis=1, keepdims=True))
