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
from onnxdtd.ops.window import spatial_of, window
from onnxdtd.primitives import conv, conv_transpose, expand_like, reduce_sum, static, unsqueeze
from onnxdtd.registry import op


@op("AveragePool", kind="linear", family="pool")
def average_pool(point: Point) -> Site:
    """y = window sums / window sizes: a depthwise convolution with ones, divided by the number of cells."""
    x = point.x
    spatial, output = spatial_of(x), spatial_of(point.output)
    stated = window(point, point.attribute("kernel_shape"), x)
    channels, rank = static(x.shape[1]), len(spatial)
    geometry = stated.reaching(spatial, output).attributes
    kernel = np.ones((channels, 1, *stated.kernel), x.dtype)
    cells, counting = np.ones((1, 1, *spatial), x.dtype), stated
    if point.attribute("count_include_pad", 0):
        around = [(0, 0), (0, 0), *zip(stated.pads[:rank], stated.pads[rank:], strict=True)]
        cells, counting = np.pad(cells, around, constant_values=1), replace(stated, pads=(0,) * (2 * rank))
    inverse = 1.0 / conv(cells, kernel[:1], group=1, **counting.reaching(cells.shape[2:], output).attributes)

    def apply(w: Any, x: Any) -> Any:
        return conv(x, w, group=channels, **geometry) * inverse

    def adjoint(w: Any, r: Any) -> Any:
        return conv_transpose(r * inverse, w, group=channels, spatial=spatial, **geometry)

    return point.site(LinearMap(kernel, apply, adjoint, True), spread_dead=True)


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
    count = math.prod(static(x.shape[a]) for a in axes) if mean else 1

    def apply(w: Any, x: Any) -> Any:
        return reduce_sum(x, axes=axes, keepdims=keeps) * w

    def adjoint(w: Any, r: Any) -> Any:
        return expand_like((r if keeps or not axes else unsqueeze(r, axes=sorted(axes))) * w, x)

    return point.site(LinearMap(np.asarray(1.0 / count, x.dtype), apply, adjoint, True), spread_dead=True)
