"""Average pooling and reductions: weighted sums with equal weights, shared by contribution to the sum.

Where a whole window is zero the share by contribution is undefined; relevance there is spread by the weights.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.window import Window, spatial_of, window
from onnxdtd.primitives import (
    cells,
    conv,
    conv_transpose,
    expand_like,
    reduce_sum,
    slice_axes,
    static,
    unsqueeze,
)
from onnxdtd.registry import op


@op("AveragePool", kind="linear", family="pool")
def average_pool(point: Point) -> Site:
    """y = window sums / window sizes: a depthwise convolution with ones, divided by the number of cells."""
    x = point.x
    lengths = spatial_of(x) if point.attribute("ceil_mode", 0) else x.shape[2:]
    stated = window(point, point.attribute("kernel_shape"), x)
    channels, padded = static(x.shape[1]), bool(point.attribute("count_include_pad", 0))
    geometry = stated.reaching(lengths, point.output.shape[2:]).attributes
    kernel = np.ones((channels, 1, *stated.kernel), x.dtype)
    inverse = 1.0 / _window_sizes(stated, kernel[:1], x, point.output, padded)

    def apply(w: Any, x: Any) -> Any:
        return conv(x, w, group=channels, **geometry) * inverse

    def adjoint(w: Any, r: Any) -> Any:
        return conv_transpose(r * inverse, w, x, group=channels, **geometry)

    return point.site(LinearMap(kernel, apply, adjoint, True), spread_dead=True)


def _window_sizes(stated: Window, kernel: Any, x: Any, y: Any, padded: bool) -> Any:
    """The number of cells in each window, broadcastable to y. padded: stated pads count."""
    rank = len(stated.kernel)
    if not all(isinstance(n, int) for n in (*x.shape[2:], *y.shape[2:])):
        if padded or not any(stated.pads):
            return np.asarray(math.prod(stated.kernel), x.dtype)
        single = slice_axes(x, starts=(0, 0), ends=(1, 1), axes=(0, 1), steps=(1, 1))
        return conv(
            expand_like(np.ones((1,) * x.ndim, x.dtype), single), kernel, group=1, **stated.attributes
        )
    seen = np.ones((1, 1, *x.shape[2:]), x.dtype)
    if padded:
        around = [(0, 0), (0, 0), *zip(stated.pads[:rank], stated.pads[rank:], strict=True)]
        seen, stated = np.pad(seen, around, constant_values=1), replace(stated, pads=(0,) * (2 * rank))
    return conv(seen, kernel, group=1, **stated.reaching(seen.shape[2:], y.shape[2:]).attributes)


@op("GlobalAveragePool", kind="linear", family="pool")
def global_average_pool(point: Point) -> Site:
    """y = mean over the spatial axes, kept as axes of length 1."""
    return _reduction(point, tuple(range(2, point.x.ndim)), mean=True)


@op("ReduceMean", "ReduceSum", kind="linear", family="pool")
def reduce(point: Point) -> Site:
    """y = mean or sum over the given axes."""
    axes = point.integers("axes", 1)
    if not axes:
        if point.attribute("noop_with_empty_axes", 0):
            return _reduction(point, (), mean=False)
        axes = list(range(point.x.ndim))
    return _reduction(point, tuple(a % point.x.ndim for a in axes), mean=point.node.op == "ReduceMean")


def _reduction(point: Point, axes: tuple[int, ...], mean: bool) -> Site:
    x = point.x
    keeps = point.node.op.startswith("Global") or bool(point.attribute("keepdims", 1))
    weight = np.asarray(1.0, x.dtype) / (cells(x, axes=axes) if mean else 1)

    def apply(w: Any, x: Any) -> Any:
        return reduce_sum(x, axes=axes, keepdims=keeps) * w

    def adjoint(w: Any, r: Any) -> Any:
        return expand_like((r if keeps or not axes else unsqueeze(r, axes=sorted(axes))) * w, x)

    # Not constant: the weight is of this input's lengths.
    return point.site(LinearMap(weight, apply, adjoint), spread_dead=True)
