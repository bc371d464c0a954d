"""Max pooling as the linear map that it is at a point, and the adjoint of that map, in NumPy.

At input x with pooled output y, the winners of window o are the positions i that it reads with x_i = y_o:

    select:   s_o = mean of v_i over the winners i of o                            (v = x gives y back)
    adjoint:  R_i = sum over the windows o that i wins of r_o / (number of winners of o)

Ties share equally (with `first`, the first of them in row-major order takes all), so sum R = sum r wherever every
window has a winner. Padding never wins. A window without
a winner (all of it padding, or y_o NaN) selects 0, and its r_o reaches no position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxdtd.primitives.windows import Tap, Windows

Array = NDArray[np.floating[Any]]

BLOCK_BYTES = 1 << 20
"""Channels are taken in blocks of this many input bytes, so that what is made for a block stays in cache."""


def max_pool_select(
    x: Array,
    y: Array,
    v: Array,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    first: bool = False,
) -> Array:
    """s_o = mean of v_i over the positions i of window o where x_i = y_o.

    x, v (N, C, *spatial), y = MaxPool(x) (N, C, *out) -> y's shape, x's dtype. y's shape tells the number of
    windows and all outside x is padding, so `ceil_mode` needs no mention and of `pads` only the begins count.
    Raises ValueError where the shapes do not fit.
    """
    taps = _taps(x, y, kernel_shape, strides, pads, dilations)
    _check_shape("v", v, x)
    selected = np.zeros(y.shape, x.dtype)
    for xs, ys, vs, result in _blocks(x, y, v, selected):
        wins, count = _winners(xs, ys, taps, first)
        for tap, won in zip(taps, wins, strict=True):
            result[tap.windows] += _kept(vs[tap.reads], won[tap.windows])
        result /= count
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
    first: bool = False,
) -> Array:
    """R_i = sum over the windows o with x_i = y_o of r_o / (number of such positions in o).

    x (N, C, *spatial), y = MaxPool(x) and r (N, C, *out) -> x's shape and dtype. The adjoint in v of
    `max_pool_select`: <select(v), r> = <v, adjoint(r)>. Raises ValueError where the shapes do not fit.
    """
    taps = _taps(x, y, kernel_shape, strides, pads, dilations)
    _check_shape("r", r, y)
    relevance = np.zeros(x.shape, x.dtype)
    for xs, ys, rs, result in _blocks(x, y, r, relevance):
        wins, count = _winners(xs, ys, taps, first)
        share = rs / count
        for tap, won in zip(taps, wins, strict=True):
            result[tap.reads] += _kept(share[tap.windows], won[tap.windows])
    return relevance


def _taps(
    x: Array,
    y: Array,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
) -> list[Tap]:
    rank = x.ndim - 2
    lengths = [len(kernel), len(strides), len(pads) / 2, len(dilations), y.ndim - 2]
    if x.shape[:2] != y.shape[:2] or lengths != [rank] * 5:
        raise ValueError(
            f"max pooling: x {x.shape}, y {y.shape}, kernel_shape {(*kernel,)}, strides {(*strides,)}, "
            f"pads {(*pads,)}, dilations {(*dilations,)}: give the y pooled from x, {rank} numbers each, "
            f"{2 * rank} pads"
        )
    axes = (x.shape[2:], y.shape[2:], kernel, strides, pads[:rank], dilations)
    return Windows(*(tuple(axis) for axis in axes)).taps()


def _check_shape(name: str, array: Array, like: Array) -> None:
    if array.shape != like.shape:
        raise ValueError(f"max pooling: {name} has shape {array.shape}: give it the shape {like.shape}")


def _blocks(x: Array, *others: Array) -> Iterator[tuple[Array, ...]]:
    """The same channels of each array, as (channels, *spatial): contiguous, views of an array that is."""
    step = max(1, BLOCK_BYTES // (prod(x.shape[2:]) * x.itemsize))
    planes = [np.ascontiguousarray(a, x.dtype).reshape(-1, *a.shape[2:]) for a in (x, *others)]
    for start in range(0, len(planes[0]), step):
        yield tuple(plane[start : start + step] for plane in planes)


def _winners(x: Array, y: Array, taps: list[Tap], first: bool) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """For each tap the windows that find their maximum through it; for each window how many do, or 1."""
    wins = np.zeros((len(taps), *y.shape), bool)
    for tap, won in zip(taps, wins, strict=True):
        np.equal(x[tap.reads], y[tap.windows], out=won[tap.windows])
    if first:
        wins[1:] &= ~np.logical_or.accumulate(wins, axis=0)[:-1]
    count = wins.sum(axis=0, dtype=np.min_scalar_type(len(taps)))
    count[count == 0] = 1
    return wins, count


def _kept(values: Array, won: NDArray[np.bool_]) -> Array:
    """`values` where `won`, else 0.

    Bitwise, because a product would make NaN of an infinity that lost, and because np.where takes ten times
    as long on winners as irregular as these.
    """
    bits = np.dtype(f"i{values.itemsize}")
    kept: Array = (values.view(bits) & np.negative(won, dtype=bits)).view(values.dtype)
    return kept
