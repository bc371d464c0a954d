"""The sliding-window primitives: NumPy bodies from `convolution` and `pooling`, and their ONNX meaning."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from onnxdtd.primitives import convolution, pooling
from onnxdtd.primitives.arithmetic import cast_like, equal, quotient
from onnxdtd.primitives.seam import Array, primitive
from onnxdtd.primitives.shaping import pad, reduce_sum, reshape, reshape_like, static

Ints = Sequence[int]


@primitive("Conv")
def conv(x: Array, w: Array, *, strides: Ints, pads: Ints, dilations: Ints, group: int) -> Any:
    """y of ONNX Conv without bias: x (N, C, *spatial), w (M, C / group, *kernel)."""
    return convolution.conv(x, w, strides=strides, pads=pads, dilations=dilations, group=group)


def _trace_conv_transpose(
    r: Any, w: Any, *, strides: Ints, pads: Ints, dilations: Ints, group: int, spatial: Ints
) -> Any:
    rank = len(spatial)
    kernel = w.shape[2:]
    extra = []
    for i in range(rank):
        reached = (static(r.shape[2 + i]) - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1
        extra.append(spatial[i] - (reached - pads[i] - pads[rank + i]))
    return r.tracer.emit(
        "ConvTranspose", r, w, strides=strides, pads=pads, dilations=dilations, group=group,
        output_padding=extra, shape=(r.shape[0], w.shape[1] * group, *spatial),
    )  # fmt: skip


@primitive(trace=_trace_conv_transpose)
def conv_transpose(
    r: Array, w: Array, *, strides: Ints, pads: Ints, dilations: Ints, group: int, spatial: Ints
) -> Any:
    """The adjoint of `conv` in x: r (N, M, *out), the same w; spatial: the lengths of x."""
    return convolution.conv_transpose(
        r,
        w,
        strides=strides,
        pads=pads,
        dilations=dilations,
        group=group,
        spatial=spatial,
    )


def _windows(x: Any, kernel_shape: Ints, strides: Ints, pads: Ints, dilations: Ints) -> Any:
    """Every window's values as channels of a convolution with one-hot kernels: (N C, K, *out)."""
    spatial = [static(d) for d in x.shape[2:]]
    return conv(
        reshape(x, shape=[-1, 1, *spatial]), _one_hot(kernel_shape, x.dtype),
        strides=strides, pads=pads, dilations=dilations, group=1,
    )  # fmt: skip


def _one_hot(kernel_shape: Ints, dtype: Any) -> Any:
    count = prod(kernel_shape)
    return np.eye(count, dtype=dtype).reshape(count, 1, *kernel_shape)


def _shares(x: Any, y: Any, kernel_shape: Ints, strides: Ints, pads: Ints, dilations: Ints) -> Any:
    """1 / number of winners at each winner of each window, 0 elsewhere: (N C, K, *out)."""
    rank = len(kernel_shape)
    if any(pads):
        # A border that no value is below, so that padding never wins; a finite one, since 0 * inf is no number.
        lowest = np.asarray(np.finfo(x.dtype).min, x.dtype)
        around = (0, 0, *pads[:rank], 0, 0, *pads[rank:])
        x = pad(x, pads=around) + (1.0 - pad(x * 0.0 + 1.0, pads=around)) * lowest
    seen = _windows(x, kernel_shape, strides, [0] * (2 * rank), dilations)
    best = reshape(y, shape=[-1, 1, *(static(d) for d in y.shape[2:])])
    winners = cast_like(equal(seen, best), x)
    # A window that lies in the padding has no winner.
    return quotient(winners, reduce_sum(winners, axes=(1,)))


def _trace_max_pool_select(x: Any, y: Any, v: Any, **window: Any) -> Any:
    return reshape_like(reduce_sum(_shares(x, y, **window) * _windows(v, **window), axes=(1,)), y)


def _trace_max_pool_adjoint(
    x: Any, y: Any, r: Any, *, kernel_shape: Ints, strides: Ints, pads: Ints, dilations: Ints
) -> Any:
    shares = _shares(x, y, kernel_shape, strides, pads, dilations)
    arriving = reshape(r, shape=[-1, 1, *(static(d) for d in y.shape[2:])])
    back = conv_transpose(
        shares * arriving, _one_hot(kernel_shape, x.dtype), strides=strides, pads=pads,
        dilations=dilations, group=1, spatial=[static(d) for d in x.shape[2:]],
    )  # fmt: skip
    return reshape_like(back, x)


@primitive(trace=_trace_max_pool_select)
def max_pool_select(
    x: Array, y: Array, v: Array, *, kernel_shape: Ints, strides: Ints, pads: Ints, dilations: Ints
) -> Any:
    """Max pooling at the point x as a linear map of v: the mean of v over each window's winners."""
    return pooling.max_pool_select(
        x,
        y,
        v,
        kernel_shape=kernel_shape,
        strides=strides,
        pads=pads,
        dilations=dilations,
    )


@primitive(trace=_trace_max_pool_adjoint)
def max_pool_adjoint(
    x: Array, y: Array, r: Array, *, kernel_shape: Ints, strides: Ints, pads: Ints, dilations: Ints
) -> Any:
    """Its adjoint: r shared equally among each window's winners."""
    return pooling.max_pool_adjoint(
        x,
        y,
        r,
        kernel_shape=kernel_shape,
        strides=strides,
        pads=pads,
        dilations=dilations,
    )
