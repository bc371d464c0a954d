"""The parts of an input that relevance is counted by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnxdtd.inputs.layout import layout_of
from onnxdtd.render.images import channels_last
from onnxdtd.types import Array

CELLS = 7
"""Regions along each side of a picture."""
CHANNEL, REGION, FEATURE, POSITION, TOKEN = "channel", "region", "feature", "position", "token"


def parts_of(r: Array, tokens: bool = False) -> dict[str, Array]:
    """The absolute relevance of one row, summed over each of its parts, by kind. tokens: whether it is a text."""
    if tokens:
        return {POSITION: r.reshape(-1)}
    layout = layout_of(r.shape)
    if layout in ("NCHW", "NHWC", "NHW"):
        picture = channels_last(r, layout)
        cells = {REGION: _cells(picture.sum(axis=-1))}
        return cells if layout == "NHW" else {CHANNEL: picture.sum(axis=(0, 1)), **cells}
    if r.ndim == 2:
        return {FEATURE: r.sum(axis=0), POSITION: r.sum(axis=1)}
    return {FEATURE: r.reshape(-1)}


def part_name(kind: str, i: int, names: Sequence[str] | None, count: int) -> str:
    """What results call a part. names: of features."""
    if kind == REGION:
        return f"{i // CELLS},{i % CELLS}"
    return names[i] if kind == FEATURE and names is not None and len(names) == count else str(i)


def _cells(plane: Array) -> Array:
    """(H, W) summed over the cells of a grid, row by row."""
    down, across = (np.arange(size) * CELLS // size for size in plane.shape)
    cells = np.zeros((CELLS, CELLS))
    np.add.at(cells, (down[:, None], across[None, :]), plane)
    return cells.reshape(-1)
