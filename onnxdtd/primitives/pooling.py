"""Max pooling as the linear map that it is at a point, and the adjoint of that map, in NumPy.

At input x with pooled output y, the winners of window o are the positions i that it reads with x_i = y_o:

    select:   s_o = mean of v_i over the winners i of o          (v = x gives y back)
    adjoint:  R_i = sum of r_o / (number of winners of o) over the windows o that i wins

Ties share equally, so sum R = sum r wherever every window has a winner. Padding never wins. A window without a
winner (it lies in the padding, or y_o is NaN) selects 0 and its r_o reaches no position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxdtd.primitives.windows import Windows

Array = NDArray[np.floating[Any]]

BLOCK_BYTES = 1 << 19
"""Channels are worked through in blocks of about this many input bytes, which stay in the cache of one core."""


def max_pool_select(
    x: Array,
    y: Array,
    v: Array,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
) -> Array:
    selected = np.zeros(y.shape, x.dtype)
    taps = _taps(x, y, v, x, kernel_shape, strides, pads, dilations)
    for xs, ys, vs, part in _blocks(x, y, v, selected):
        wins, count = _winners(xs, ys, taps)
        for tap, won in zip(taps, wins):
            part[(..., *tap.windows)] += _kept(vs[(..., *tap.reads)], won[(..., *tap.windows)])
        part /= count
    return selected


def max_pool_adjoint(
    x: Array,
    y: Array,
    r: Array,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
) -> Array:
    relevance = np.zeros(x.shape, x.dtype)
    taps = _taps(x, y, r, y, kernel_shape, strides, pads, dilations)
    for xs, ys, rs, part in _blocks(x, y, r, relevance):
        wins, count = _winners(xs, ys, taps)
        share = rs / count
        for tap, won in zip(taps, wins):
            part[(..., *tap.reads)] += _kept(share[(..., *tap.windows)], won[(..., *tap.windows)])
    return relevance


def _taps(x, y, arg, like, kernel_shape, strides, pads, dilations):
    rank = x.ndim - 2
    return Windows(
        x.shape[2:], y.shape[2:], tuple(kernel_shape), tuple(strides), tuple(pads[:rank]), tuple(dilations)
    ).taps()


def _blocks(x: Array, *others: Array) -> Iterator[tuple[Array, ...]]:
    spatial = x.shape[2:]
    planes = [np.ascontiguousarray(a).reshape(-1, *a.shape[2:]) for a in (x, *others)]
    step = max(1, BLOCK_BYTES // (prod(spatial) * x.itemsize))
    for start in range(0, len(planes[0]), step):
        yield tuple(p[start : start + step] for p in planes)


def _winners(x, y, taps):
    wins = np.zeros((len(taps), *y.shape), bool)
    for tap, won in zip(taps, wins, strict=True):
        np.equal(x[(..., *tap.reads)], y[(..., *tap.windows)], out=won[(..., *tap.windows)])
    count = wins.sum(axis=0, dtype=np.min_scalar_type(len(taps)))
    return wins, np.maximum(count, 1, out=count)


def _kept(values, won):
    bits = np.dtype(f"i{values.itemsize}")
    return (values.view(bits) & np.negative(won, dtype=bits)).view(values.dtype)
