"""Convolution and its adjoint in NumPy, at nearly the speed of the matrix product inside.

    conv:            y[m, o] = sum over c, k of w[m, c, k] x[c, o s - p + k d]
    conv_transpose:  its adjoint in x:  <conv(x), r> = <x, conv_transpose(r)> for all x and r

A 1x1 kernel is one matrix product. Any other kernel multiplies *columns* (im2col): columns[c, k, o] is the
value that window o reads in channel c through kernel offset k. They are made for one run of windows at a
time, in a buffer small enough to stay in cache; made for a whole image at once they can cost more time than
the product. The adjoint makes the same columns by the transposed product and adds them into place or, where
that is more work, convolves with the mirrored kernel. Groups are the batch axis of the product;
`depthwise` serves the case of as many groups as channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxdtd.primitives.depthwise import depthwise, spread
from onnxdtd.primitives.windows import Shape, Tap, Windows, runs

Array = NDArray[np.floating[Any]]

COLUMN_BYTES = 1 << 22
"""Size of the column buffer: a larger one leaves the cache, a smaller one makes too many small products."""

MIN_COLUMNS = 512
"""Windows per product, even if the buffer must grow: with fewer, BLAS spends its time packing the weights."""


def conv(
    x: Array, w: Array, *, strides: Sequence[int], pads: Sequence[int], dilations: Sequence[int], group: int
) -> Array:
    """y[m, o] = sum over c, k of w[m, c, k] x[c, o s - p + k d]: ONNX Conv without bias.

    x (N, C, *spatial), w (M, C / group, *kernel), any number of spatial axes -> y (N, M, *out) of x's dtype,
    where out = floor((spatial + pads - (kernel - 1) d - 1) / s) + 1 and `pads` is in ONNX order (begins...,
    ends...). Raises ValueError where the shapes do not fit together.
    """
    windows = Windows.fitting(x.shape[2:], w.shape[2:], strides, pads, dilations)
    _check_channels("conv", x.shape, w.shape, group)
    if _is_depthwise(windows, w, group) and set(windows.strides) == {1} and min(pads) >= 0:
        return depthwise(np.ascontiguousarray(x), w, pads)
    matrix = _weight_matrix(w, group, x.dtype)
    y = np.empty((len(x), len(w), *windows.out), x.dtype)
    product = _by_group(y, group)
    if (reads := windows.single_reads()) is not None:
        np.matmul(matrix, _by_group(x[reads], group), out=product)
        return y
    for run, taps, columns in _column_runs(windows, x.shape[1], x.dtype):
        flat = columns.reshape(group, matrix.shape[2], -1)
        for image, result in zip(x, product, strict=True):
            for tap in taps:
                columns[tap.column] = image[tap.reads]
            np.matmul(matrix, flat, out=result[..., run])
    return y


def conv_transpose(
    r: Array,
    w: Array,
    *,
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    group: int,
    spatial: Sequence[int],
) -> Array:
    """R[c, i] = sum over m, k, o with o s - p + k d = i of w[m, c, k] r[m, o]: the adjoint of `conv` in x.

    r (N, M, *out), w (M, C / group, *kernel) as for `conv`, `spatial` the shape of conv's input
    -> (N, C, *spatial) of r's dtype; positions that no window reads get 0. Equals ONNX ConvTranspose with the
    output_padding that gives `spatial`. Raises ValueError where the shapes do not fit together.
    """
    windows = Windows.fitting(spatial, w.shape[2:], strides, pads, dilations)
    shape = (len(r), w.shape[1] * group, *spatial)
    _check_channels("conv_transpose", shape, w.shape, group)
    if r.shape[1:] != (len(w), *windows.out):
        raise ValueError(
            f"conv_transpose: r {r.shape}, but conv maps {shape} to {(len(r), len(w), *windows.out)}: "
            "give the strides, pads, dilations and spatial of that conv"
        )
    reads = windows.single_reads()
    if reads is None and _mirroring_is_cheaper(windows, shape, w.shape):
        return _mirrored_conv(r, w, windows, group)
    if reads is None and _is_depthwise(windows, w, group):
        apart = spread(r, windows.strides)
        return _mirrored_conv(apart, w, windows._replace(out=apart.shape[2:], strides=(1, 1)), group)
    matrix = _weight_matrix(w, group, r.dtype).transpose(0, 2, 1)
    sources = _by_group(r, group)
    if reads is not None:
        seen: Array = np.matmul(matrix, sources).reshape(shape[:2] + windows.out)
        if windows.out == windows.spatial:
            return seen
        x = np.zeros(shape, r.dtype)
        x[reads] = seen
        return x
    x = np.zeros(shape, r.dtype)
    # With one output channel a group the product is an outer one, at which BLAS is ten times slower.
    multiply = np.multiply if matrix.shape[2] == 1 else np.matmul
    for run, taps, columns in _column_runs(windows, shape[1], r.dtype):
        flat = columns.reshape(group, matrix.shape[1], -1)
        for image, source in zip(x, sources, strict=True):
            multiply(matrix, source[..., run], out=flat)
            for tap in taps:
                image[tap.reads] += columns[tap.column]
    return x


def _check_channels(name: str, x: Shape, w: Shape, group: int) -> None:
    if x[1] != w[1] * group or w[0] % group:
        raise ValueError(
            f"{name}: x {x}, w {w}, group {group}: w must have shape (M, {x[1]} / group, ...) "
            "with an M that group divides"
        )


def _weight_matrix(w: Array, group: int, dtype: np.dtype[Any]) -> Array:
    """w as (group, M / group, C / group * kernel), contiguous for BLAS: a view if w already is."""
    return np.ascontiguousarray(w, dtype).reshape(group, len(w) // group, -1)


def _by_group(a: Array, group: int) -> Array:
    """(N, channels, *spatial) as (N, group, channels / group, positions), contiguous for BLAS."""
    return np.ascontiguousarray(a).reshape(len(a), group, -1, prod(a.shape[2:]))


def _column_runs(
    windows: Windows, channels: int, dtype: np.dtype[Any]
) -> Iterator[tuple[slice, list[Tap], Array]]:
    """Each run of windows, its taps and its columns: one buffer for all, zero where the run reads padding."""
    rows = channels * prod(windows.kernel)
    length = max(MIN_COLUMNS, COLUMN_BYTES // (rows * dtype.itemsize))
    parts = [windows.part(box) for box in runs(windows.out, length)]
    buffer = np.empty(rows * prod(parts[0].out), dtype)  # the first run is the longest
    layout, start = None, 0
    for part in parts:
        taps, positions = part.taps(), prod(part.out)
        columns = buffer[: rows * positions].reshape(channels, *windows.kernel, *part.out)
        previous, layout = layout, (part.out, [tap.column for tap in taps])
        if layout != previous:  # else the zeros are where they were
            columns[...] = 0
        yield slice(start, start := start + positions), taps, columns


def _mirroring_is_cheaper(windows: Windows, x: Shape, w: Shape) -> bool:
    """Whether to mirror the kernel and fill columns from r, instead of adding columns into x. Needs stride 1.

    Measured per element: adding a column takes twice as long as filling one, mirroring a weight three times.
    """
    positions = x[0] * prod(windows.spatial)
    return set(windows.strides) == {1} and w[0] * (positions + 3 * w[1]) < 2 * x[1] * positions


def _mirrored_conv(r: Array, w: Array, windows: Windows, group: int) -> Array:
    """At stride 1 the adjoint is R[c, i] = sum over m, k of w[m, c, K-1-k] r[m, i - (K-1) d + p + k d]."""
    pads, dilations = _mirrored_pads(windows), windows.dilations
    back = mirrored(w, group)
    return conv(r, back, strides=windows.strides, pads=pads, dilations=dilations, group=group)


def _mirrored_pads(windows: Windows) -> list[int]:
    axes = list(zip(*windows, strict=True))
    return [(k - 1) * d - p for _, _, k, _, p, d in axes] + [size - out + p for size, out, _, _, p, _ in axes]


def _is_depthwise(windows: Windows, w: Array, group: int) -> bool:
    """Whether each channel has a kernel of its own, with no gaps, on a plane."""
    return len(w) == group > 1 == w.shape[1] and len(windows.out) == 2 and set(windows.dilations) == {1}


def mirrored(w: Array, group: int) -> Array:
    """w (M, C / group, *kernel) with inputs and outputs exchanged and the kernel turned round: a view, if group
    is 1."""
    turned = np.flip(w, tuple(range(2, w.ndim)))
    if group == 1:
        return turned.swapaxes(0, 1)
    by_group = turned.reshape(group, len(w) // group, *w.shape[1:]).swapaxes(1, 2)
    return by_group.reshape(-1, len(w) // group, *w.shape[2:])
