"""Depthwise convolution in NumPy: one plane, one kernel, no stride.

With the padded plane laid out as one row of W' positions after the other, kernel offset (k, l) is a shift by
k W' + l. The shifts by l are copied side by side, one small product per channel sums over l, and its rows, shifted
by k W', are added up:

    y[o] = sum over k of P[k, o + k W']        P[k, i] = sum over l of w[k, l] x[i + l]

That copies as many values as the kernel has columns, not elements, and nothing that is longer than a channel's plane.
Between the rows of y lie a few sums that run over a border; they are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

BLOCK_BYTES = 1 << 19
"""Channels are taken in blocks of this many bytes of copies, which stay in cache."""


def depthwise(x: Array, w: Array, pads: Sequence[int]) -> Array:
    """y[c, o] = sum over k of w[c, 0, k] x[c, o - p + k]: x (N, C, H, W), w (C, 1, *kernel), pads as in ONNX, none
    negative -> (N, C, *out) of x's dtype."""
    height, width = w.shape[2:]
    top, left, bottom, right = pads
    planes = x.reshape(-1, *x.shape[2:])
    rows, row = planes.shape[1] + top + bottom, planes.shape[2] + left + right
    out, kept = rows - height + 1, row - width + 1
    length, seen = (out - 1) * row + kept, rows * row - width + 1
    step = min(len(planes), max(1, BLOCK_BYTES // (rows * row * width * x.itemsize)))
    kernels = np.tile(w.reshape(-1, height, width).astype(x.dtype, copy=False), (len(x), 1, 1))
    padded = np.zeros((step, rows, row), x.dtype)
    shifts, parts = np.empty((step, width, seen), x.dtype), np.empty((step, height, seen), x.dtype)
    sums = np.empty((step, out * row), x.dtype)
    y = np.empty((len(planes), out, kept), x.dtype)
    for start in range(0, len(planes), step):
        block = slice(start, start + step)
        n = len(planes[block])
        padded[:n, top : rows - bottom, left : row - right] = planes[block]
        flat = padded[:n].reshape(n, -1)
        for k in range(width):
            shifts[:n, k] = flat[:, k : k + seen]
        np.matmul(kernels[block], shifts[:n], out=parts[:n])
        total = sums[:n, :length]
        total[...] = parts[:n, 0, :length]
        for k in range(1, height):
            total += parts[:n, k, k * row : k * row + length]
        y[block] = sums[:n].reshape(n, out, row)[:, :, :kept]
    return y.reshape(*x.shape[:2], out, kept)


def spread(r: Array, strides: Sequence[int]) -> Array:
    """r (N, C, H, W) with zeros between its elements: each the first of a block of the strides' size."""
    high, wide = strides
    x = np.zeros((*r.shape[:2], r.shape[2] * high, r.shape[3] * wide), r.dtype)
    x[:, :, ::high, ::wide] = r
    return x
