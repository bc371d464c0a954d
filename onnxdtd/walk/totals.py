"""Sums over large arrays: blocks in their own precision, which is fast, and the blocks' sums in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

PIECE = 65536
BLOCK, WIDE = 4096, 16384  # for sums, and for products, which come as several sums side by side


def row_sums(rows: Any) -> Any:
    """The sum of each row."""
    count, length = rows.shape
    whole = length - length % BLOCK
    if not whole:
        return rows.sum(axis=1).astype(np.float64)
    sums = rows[:, :whole].reshape(count, -1, BLOCK).sum(axis=2).sum(axis=1, dtype=np.float64)
    return sums + rows[:, whole:].sum(axis=1) if whole < length else sums


def row_sizes(rows: Any) -> Any:
    """The sum of |.| of each row, piece by piece, so that no second array of that size is made."""
    count, length = rows.shape
    sizes = np.zeros(count)
    height = max(1, PIECE // max(1, length))
    for top in range(0, count, height):
        for start in range(0, length, PIECE):
            piece = np.abs(rows[top : top + height, start : start + PIECE])
            sizes[top : top + height] += piece.sum(axis=1)
    return sizes


def sum_of_products(flow: Any, share: Any) -> float:
    """The sum of flow * share, where share broadcasts to flow."""
    if share.shape != flow.shape:
        # Where a share is the same along the last axes, one product does for all of them.
        share = share.reshape((1,) * (flow.ndim - share.ndim) + share.shape)
        kept = max((axis + 1 for axis, length in enumerate(share.shape) if length > 1), default=0)
        if kept < flow.ndim:
            flow = flow.reshape(*flow.shape[:kept], -1).sum(axis=-1)
            share = share.reshape(share.shape[:kept])
        share = np.broadcast_to(share, flow.shape)
    a, b = flow.reshape(-1), share.reshape(-1)
    return sum(float(np.dot(a[i : i + WIDE], b[i : i + WIDE])) for i in range(0, a.size, WIDE))
