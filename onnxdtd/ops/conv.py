"""Conv and ConvTranspose: each is the other's adjoint, with the same weight array.

Weights may be values too: y is linear in them as it is in x, and of two values each is the other's weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.window import Window, per_channel, window
from onnxdtd.primitives import (
    conv,
    conv_transpose,
    divided,
    expand_like,
    filled,
    larger,
    largest,
    reduce_sum,
    reshape,
    size,
    sizes,
    slice_axes,
    transpose,
)
from onnxdtd.registry import op

Bilinear = Callable[[Any, Any], Any]
Sizes = Callable[[Any], tuple[Any, Any]]


@op(
    "Conv", kind="linear", family="convolution", data=(0, 1, 2), factors=(0, 1),
    work=lambda at: at.outputs * prod(at.lengths(1)[1:]),
)  # fmt: skip
def convolution(point: Point) -> Site:
    """y = W * x + b over 1, 2 or 3 spatial axes, with groups, strides, dilations and pads."""
    x, w = point.value(0), point.value(1)
    geometry: dict[str, Any] = window(point, w.shape[2:], x).attributes | {
        "group": point.attribute("group", 1)
    }
    return _site(
        point,
        lambda w, x: conv(x, w, **geometry),
        lambda w, r: conv_transpose(r, w, x, **geometry),
        lambda x, r: _kernels(x, r, w, **geometry),
        _largest,
    )


@op(
    "ConvTranspose", kind="linear", family="convolution", data=(0, 1, 2), factors=(0, 1),
    work=lambda at: prod(at.lengths(0)) * prod(at.lengths(1)[1:]),
)  # fmt: skip
def transposed_convolution(point: Point) -> Site:
    """y = W^T * x + b: the adjoint of Conv, weights (C_in, C_out / group, *kernel)."""
    x, w, y = point.value(0), point.value(1), point.output
    geometry: dict[str, Any] = _transposed_window(point, w.shape[2:], x).attributes
    geometry["group"] = point.attribute("group", 1)
    return _site(
        point,
        lambda w, x: conv_transpose(x, w, y, **geometry),
        lambda w, r: conv(r, w, **geometry),
        lambda x, r: _kernels(r, x, w, **geometry),
        partial(_largest_transposed, geometry["group"]),
    )


def _site(point: Point, product: Bilinear, by_x: Bilinear, by_w: Bilinear, sizes: Sizes) -> Site:
    """product(w, x), and its adjoints in x and in w."""
    x, w, y = point.value(0), point.value(1), point.output
    b = per_channel(point.value(2), x.ndim) if point.has(2) else None
    maps = {
        0: LinearMap(w, product, by_x, point.is_constant(1), sizes),
        1: LinearMap(x, lambda x, w: product(w, x), by_w, point.is_constant(0)),
        2: LinearMap(np.asarray(1.0, x.dtype), _spread_over(y), lambda w, r: _times(w, _summed(r)), True),
    }
    bias = None if 2 in point.slots else b
    if (extra := 1 - (0 in point.slots) - (1 in point.slots)) != 0:
        # Two maps count the product twice, none leaves it out.
        product_alone = (y if b is None else y - b) * float(extra)
        bias = product_alone if bias is None else product_alone + bias
    return point.site(*(maps[slot] for slot in point.slots), bias=bias)


def _largest(w: Any) -> tuple[Any, Any]:
    """Of each output channel, for w (C_out, C_in / group, *kernel)."""
    of_channel = largest(w, axes=range(1, w.ndim))
    return reshape(of_channel, shape=[-1, *[1] * (w.ndim - 1)]), per_channel(of_channel, w.ndim)


def _largest_transposed(group: int, w: Any) -> tuple[Any, Any]:
    """Of each output channel, for w (C_in, C_out / group, *kernel): a group's inputs lie side by side."""
    rows, columns = size(w, 0), size(w, 1)
    apart = reshape(w, shape=[group, divided(rows, group), columns, *sizes(w, 2)])
    of_channel = largest(apart, axes=(1, *range(3, apart.ndim)))
    kernel = [1] * (w.ndim - 2)
    own = reshape(of_channel, shape=[group, 1, columns, *kernel])
    own = own * filled(np.ones((), w.dtype), [1, divided(rows, group), 1, *kernel])
    return reshape(own, shape=[rows, columns, *kernel]), per_channel(reshape(of_channel, shape=[-1]), w.ndim)


def _spread_over(y: Any) -> Bilinear:
    return lambda w, b: expand_like(per_channel(_times(w, b), y.ndim), y)


def _times(w: Any, v: Any) -> Any:
    return v if w is None else w * v


def _summed(r: Any) -> Any:
    return reduce_sum(r, axes=[i for i in range(r.ndim) if i != 1], keepdims=False)


def _kernels(x: Any, r: Any, like: Any, *, strides: Any, pads: Any, dilations: Any, group: int) -> Any:
    """The adjoint of `conv` in w: x convolved with r, where strides and dilations change places.

    Samples become the channels that are summed over, channels the samples.
    """
    swap = (1, 0, *range(2, x.ndim))
    images = transpose(x, perm=swap)
    if group > 1:
        channels, spatial = divided(size(x, 1), group), sizes(x, 2)
        apart = reshape(x, shape=[0, group, channels, *spatial])
        images = reshape(transpose(apart, perm=(2, 1, 0, *range(3, x.ndim + 1))), shape=[0, -1, *spatial])
    back = conv(images, transpose(r, perm=swap), strides=dilations, pads=pads, dilations=strides, group=group)
    kernel = sizes(like, 2)
    rank = len(kernel)
    cut = slice_axes(back, starts=[0] * rank, ends=kernel, axes=list(range(2, rank + 2)), steps=[1] * rank)
    return transpose(cut, perm=swap)


def _transposed_window(point: Point, kernel: tuple[int, ...], x: Any) -> Window:
    """ConvTranspose may state its output shape instead of its pads; the pads then follow from both shapes."""
    stated = window(point, kernel, x)
    auto_pad = point.attribute("auto_pad", "NOTSET")
    if not point.attribute("output_shape") and auto_pad in ("NOTSET", "VALID"):
        return stated
    spatial = sizes(point.output, 2)
    extra = point.attribute("output_padding") or (0,) * len(kernel)
    totals = []
    for i, extent in enumerate((k - 1) * d + 1 for k, d in zip(kernel, stated.dilations, strict=True)):
        length = (size(x, 2 + i) - 1) * stated.strides[i] + extra[i] + extent
        totals.append(larger(length - spatial[i], 0))
    small, large = [divided(t, 2) for t in totals], [t - divided(t, 2) for t in totals]
    pads = (*small, *large) if auto_pad == "SAME_UPPER" else (*large, *small)
    return replace(stated, pads=pads)
