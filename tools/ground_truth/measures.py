"""What is measured where the place of the evidence is known. Relevance (N, C, H, W) is summed over channels first."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

CELLS = 4


def share(relevance: Array, mask: Array) -> Array:
    """(N,): the share of positive relevance inside a mask (N, H, W); 0 where none is positive."""
    positive = np.maximum(relevance.astype(np.float64).sum(axis=1), 0)
    inside, whole = ((positive * m).sum(axis=(1, 2)) for m in (mask, 1.0))
    return np.divide(inside, whole, out=np.zeros(len(whole)), where=whole > 0)


def cell_mask(cells: Array, height: int, width: int) -> Array:
    """(N, H, W): the cell of each sample's number, counted row by row in a square of 2 x 2."""
    row, column = np.divmod(cells, 2)
    below = np.arange(height) >= height // 2
    right = np.arange(width) >= width // 2
    return (below == (row[:, None] == 1))[:, :, None] & (right == (column[:, None] == 1))[:, None, :]


def hit(relevance: Array, cells: Array) -> Array:
    """(N,): 1 where the cell with the most net relevance is the right one; chance where all relevance is zero."""
    net = relevance.astype(np.float64).sum(axis=1)
    numbers = [np.full(len(net), cell) for cell in range(CELLS)]
    sums = np.stack([(net * cell_mask(cell, *net.shape[1:])).sum(axis=(1, 2)) for cell in numbers], axis=1)
    right = (sums.argmax(axis=1) == cells).astype(np.float64)
    return np.where(np.abs(net).sum(axis=(1, 2)) > 0, right, 1 / CELLS)
