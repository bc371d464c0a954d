"""Average pooling and reductions: weighted sums with equal weights, shared by contribution to the sum.

Where a whole window is zero the share by contribution is undefined; relevance there is spread by the weights.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from onnxdtd.domains.interval import NONNEGATIVE, ZERO, At, Domain
from onnxdtd.domains.rows import same
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.reduce import Axes, axes_of
from onnxdtd.ops.window import Window, spatial_of, window
from onnxdtd.primitives import (
    cells,
    conv,
    conv_transpose,
    expand_like,
    slice_axes,
    static,
)
from onnxdtd.registry import op


def _of_average_pool(at: At) -> Domain:
    pads = any(at.attribute("pads", ())) or at.attribute("auto_pad", "NOTSET").startswith("SAME")
    return at.x | ZERO if at.attribute("count_include_pad", 0) and pads else at.x


@op("AveragePool", kind="linear", family="pool", range=_of_average_pool)
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


@op("GlobalAveragePool", kind="linear", family="pool", range=same)
def global_average_pool(point: Point) -> Site:
    """y = mean over the spatial axes, kept as axes of length 1."""
    return _reduction(point, Axes(tuple(range(2, point.x.ndim)), True), mean=True)


@op("ReduceMean", kind="linear", family="pool", range=same)
def reduced_mean(point: Point) -> Site:
    """y = mean over the given axes."""
    return _reduction(point, axes_of(point), mean=True)


def _of_sum(at: At) -> Domain:
    """n times the range where the number n of terms is static, else its sign."""
    before, after = at.size(at.node.inputs[0]), at.size(at.node.output)
    return at.x * (Domain(before / after, before / after) if before and after else NONNEGATIVE)


@op("ReduceSum", kind="linear", family="pool", range=_of_sum)
def reduced_sum(point: Point) -> Site:
    """y = sum over the given axes."""
    return _reduction(point, axes_of(point), mean=False)


def _reduction(point: Point, axes: Axes, mean: bool) -> Site:
    x = point.x
    weight = np.asarray(1.0, x.dtype) / (cells(x, axes=axes.reduced) if mean else 1)

    def apply(w: Any, x: Any) -> Any:
        return axes.sum(x) * w

    def adjoint(w: Any, r: Any) -> Any:
        return expand_like(axes.back(r) * w, x)

    # Not constant: the weight is of this input's lengths.
    return point.site(LinearMap(weight, apply, adjoint), spread_dead=True)
