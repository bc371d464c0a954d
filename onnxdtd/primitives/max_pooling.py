"""Max pooling as a selection: NumPy bodies from `pooling`, and their ONNX meaning."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from onnxdtd.primitives import pooling
from onnxdtd.primitives.arithmetic import cast_like, quotient
from onnxdtd.primitives.picking import first_along
from onnxdtd.primitives.seam import Array, primitive, vector
from onnxdtd.primitives.shaping import Ints, Sizes, reduce_sum, reshape, reshape_like
from onnxdtd.primitives.sides import equal
from onnxdtd.primitives.sliding import conv, conv_transpose
from onnxdtd.primitives.strided import enlarged


def _planes(x: Any) -> Any:
    """(N, C, *spatial) as (N C, 1, *spatial)."""
    return reshape(x, shape=[-1, 1, *([0] * (x.ndim - 2))])


def _windows(x: Any, kernel_shape: Ints, strides: Ints, pads: Sizes, dilations: Ints) -> Any:
    """Every window's values as channels of a convolution with one-hot kernels: (N C, K, *out)."""
    hot = _one_hot(kernel_shape, x.dtype)
    return conv(_planes(x), hot, strides=strides, pads=pads, dilations=dilations, group=1)


def _one_hot(kernel_shape: Ints, dtype: Any) -> Any:
    count = prod(kernel_shape)
    return np.eye(count, dtype=dtype).reshape(count, 1, *kernel_shape)


def _shares(
    x: Any, y: Any, kernel_shape: Ints, strides: Ints, pads: Sizes, dilations: Ints, first: bool
) -> Any:
    """1 / number of winners (or 1 at the first) at the winners of each window, 0 elsewhere: (N C, K, *out)."""
    rank = len(kernel_shape)
    if any(pads):
        # A border that no value is below, so that padding never wins; a finite one, since 0 * inf is no number.
        around = vector([0, 0, *pads[:rank], 0, 0, *pads[rank:]])
        x = x.tracer.emit("Pad", x, around, np.asarray(np.finfo(x.dtype).min, x.dtype))
    seen = _windows(x, kernel_shape, strides, [0] * (2 * rank), dilations)
    winners = cast_like(equal(seen, _planes(y)), x)
    if first:
        return first_along(winners, axis=1)
    # A window that lies in the padding has no winner.
    return quotient(winners, reduce_sum(winners, axes=(1,)), sign=1)


def _trace_max_pool_select(x: Any, y: Any, v: Any, *, first: bool, **window: Any) -> Any:
    return reshape_like(
        reduce_sum(_shares(x, y, **window, first=first) * _windows(v, **window), axes=(1,)), y
    )


def _trace_max_pool_adjoint(
    x: Any, y: Any, r: Any, *, kernel_shape: Ints, strides: Ints, pads: Sizes, dilations: Ints, first: bool
) -> Any:
    if not first and _tiles(x, kernel_shape, strides, pads, dilations):
        return _trace_tiles_adjoint(x, y, r, kernel_shape)
    shares = _shares(x, y, kernel_shape, strides, pads, dilations, first)
    back = conv_transpose(
        shares * _planes(r), _one_hot(kernel_shape, x.dtype), _planes(x), strides=strides, pads=pads,
        dilations=dilations, group=1,
    )  # fmt: skip
    return reshape_like(back, x)


def _tiles(x: Any, kernel_shape: Ints, strides: Ints, pads: Sizes, dilations: Ints) -> bool:
    """Whether the windows lie side by side and cover x, whose type onnxruntime can enlarge."""
    fits = all(isinstance(n, int) and n % k == 0 for n, k in zip(x.shape[2:], kernel_shape, strict=True))
    plain = tuple(kernel_shape) == tuple(strides) and not any(pads) and set(dilations) == {1}
    return fits and plain and x.dtype == np.float32


def _trace_tiles_adjoint(x: Any, y: Any, r: Any, kernel_shape: Ints) -> Any:
    """Each window's maximum and share enlarged to the window, without an unfold of K copies."""
    winners = cast_like(equal(x, enlarged(y, kernel_shape)), x)
    part = x.tracer.emit("AveragePool", winners, kernel_shape=kernel_shape, strides=kernel_shape)
    return winners * enlarged(r / (part * float(prod(kernel_shape))), kernel_shape)


@primitive(trace=_trace_max_pool_select)
def max_pool_select(
    x: Array,
    y: Array,
    v: Array,
    *,
    kernel_shape: Ints,
    strides: Ints,
    pads: Sizes,
    dilations: Ints,
    first: bool = False,
) -> Any:
    """Max pooling at the point x as a linear map of v: the mean of v over each window's winners, or the first's."""
    return pooling.max_pool_select(
        x,
        y,
        v,
        kernel_shape=kernel_shape,
        strides=strides,
        pads=pads,
        dilations=dilations,
        first=first,
    )


@primitive(trace=_trace_max_pool_adjoint)
def max_pool_adjoint(
    x: Array,
    y: Array,
    r: Array,
    *,
    kernel_shape: Ints,
    strides: Ints,
    pads: Sizes,
    dilations: Ints,
    first: bool = False,
) -> Any:
    """Its adjoint: r shared equally among each window's winners, or all to the first."""
    return pooling.max_pool_adjoint(
        x,
        y,
        r,
        kernel_shape=kernel_shape,
        strides=strides,
        pads=pads,
        dilations=dilations,
        first=first,
    )
