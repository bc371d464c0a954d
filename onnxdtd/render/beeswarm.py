"""A table's rows as a swarm: for each column the relevance of every row, coloured by the column's value there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnxdtd.render.canvas import GAP, HEADER, HEADING, MARGIN, SMALL, Page, text_width, wrapped
from onnxdtd.render.colours import FAINT, GREY, INK, Ramp, Scale
from onnxdtd.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_COLUMNS = 20
# From low to high, for all kinds of sight; red and blue are taken, for and against.
VALUES = Ramp(["#00204d", "#414d6b", "#7c7b78", "#bcaf6f", "#ffe945"], count=256)
_LABELS, _SWARM, _PITCH, _BINS = 360, 1000, 64, 120


def beeswarm(
    relevance: Array, values: Array | None, names: Sequence[str], title: str, caption: str = ""
) -> Figure:
    """relevance, values: (N, F); values of NaN are drawn grey, as are all without values. The columns with the
    largest mean of |relevance| come first, 20 at most."""
    mean = np.abs(relevance).mean(axis=0, dtype=np.float64)
    Scale.of(mean, 100)  # refuses what is not finite
    order = np.argsort(-mean, kind="stable")[:MOST_COLUMNS]
    labels = ["".join(wrapped(names[i], _LABELS, SMALL, 1)) for i in order]
    left = MARGIN + max(text_width(label, SMALL) for label in labels) + 24
    page = Page(int(left + _SWARM + MARGIN + GAP), HEADING + _PITCH * len(order) + 100, title, caption)
    page.text(left, 0, "relevance", HEADER, FAINT)
    axes = page.place(left, HEADING, _SWARM, _PITCH * len(order))
    axes.axvline(0, color=FAINT, linewidth=0.6)
    largest = float(np.abs(relevance[:, order]).max()) or 1.0
    for line, column in enumerate(order):
        colours = np.broadcast_to([0.55] * 3, (len(relevance), 3))
        if values is not None:
            ranks = shares(values[:, column])
            colours = np.where(np.isfinite(ranks)[:, None], VALUES(np.nan_to_num(ranks)), colours)
        heights = line + swarm(relevance[:, column] / largest)
        axes.scatter(relevance[:, column], heights, s=5, c=colours, linewidths=0)
    low, high = min(0.0, float(relevance[:, order].min())), max(0.0, float(relevance[:, order].max()))
    room = 0.04 * ((high - low) or 1.0)
    axes.set(xlim=(low - room, high + room), ylim=(len(order) - 0.5, -0.5))
    axes.set_yticks(range(len(order)), labels, fontsize=SMALL, color=INK, parse_math=False)
    axes.tick_params(length=0, pad=6, labelsize=SMALL, labelcolor=INK)
    axes.spines[:].set_visible(False)
    if values is not None:
        page.text(
            left,
            HEADING + _PITCH * len(order) + 40,
            "colour: the column's value, dark low, bright high",
            SMALL,
            GREY,
        )
    return page.figure


def swarm(at: Array) -> Array:
    """Heights in -.4 .. .4 that keep points of nearly equal place (-1..1) apart: of those in one bin the first stays
    in the middle, the next ones go to both sides of it in turn."""
    bins = np.floor((np.asarray(at) + 1) / 2 * _BINS).astype(np.int64)
    order = np.argsort(bins, kind="stable")
    _, starts, counts = np.unique(bins[order], return_index=True, return_counts=True)
    rank = np.empty(len(bins), np.int64)
    rank[order] = np.arange(len(bins)) - np.repeat(starts, counts)
    steps = (rank + 1) // 2 * np.where(rank % 2, 1, -1)
    return np.asarray(steps * min(0.08, 0.8 / max(int(counts.max(initial=1)), 1)))


def shares(values: Array) -> Array:
    """0 for the lowest to 1 for the highest, the 5th and 95th percentile; .5 where all are equal; NaN stays."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.full(values.shape, np.nan)
    low, high = np.percentile(finite, [5, 95])
    if low == high:
        low, high = finite.min(), finite.max()
    if low == high:
        return np.where(np.isfinite(values), 0.5, np.nan)
    return np.asarray(np.clip((values - low) / (high - low), 0, 1))
