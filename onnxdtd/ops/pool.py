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
from onnxdtd.ops.window import Window, by_channel, window
from onnxdtd.primitives import at_hand, cells, conv, conv_transpose, expand_like, filled, in_blocks, sizes
from onnxdtd.registry import op


def _of_average_pool(at: At) -> Domain:
    pads = any(at.attribute("pads", ())) or at.attribute("auto_pad", "NOTSET").startswith("SAME")
    return at.x | ZERO if at.attribute("count_include_pad", 0) and pads else at.x


@op("AveragePool", kind="linear", family="pool", adds=True, range=_of_average_pool)
def average_pool(point: Point) -> Site:
    """y = window sums / window sizes: a depthwise convolution with ones, divided by the number of cells."""
    x, y = point.x, point.output
    stated = window(point, point.attribute("kernel_shape"), x)
    channels, run = by_channel(x)
    geometry = stated.reaching(sizes(x, 2), sizes(y, 2)).attributes | {"group": channels}
    kernel = np.ones((channels, 1, *stated.kernel), x.dtype)
    inverse = 1.0 / _window_sizes(stated, kernel[:1], x, y, bool(point.attribute("count_include_pad", 0)))

    def apply(w: Any, x: Any) -> Any:
        return run(lambda v: conv(v, w, **geometry), x) * inverse

    def adjoint(w: Any, r: Any) -> Any:
        return run(lambda v: conv_transpose(v, w, x, **geometry), r * inverse)

    return point.site(LinearMap(kernel, apply, adjoint, point.is_fixed(0, 1)), spread_dead=True)


def _window_sizes(stated: Window, kernel: Any, x: Any, y: Any, padded: bool) -> Any:
    """The number of cells in each window, broadcastable to y. padded: stated pads count."""
    rank, lengths = len(stated.kernel), sizes(x, 2)
    if not at_hand(*lengths) and not stated.ceil and (padded or not any(stated.pads)):
        return np.asarray(math.prod(stated.kernel), x.dtype)
    if padded:
        lengths = [n + a + b for n, a, b in zip(lengths, stated.pads[:rank], stated.pads[rank:], strict=True)]
        stated = replace(stated, pads=(0,) * (2 * rank))
    seen = filled(np.ones((), x.dtype), [1, 1, *lengths])
    return conv(seen, kernel, group=1, **stated.reaching(lengths, sizes(y, 2)).attributes)


@op("GlobalAveragePool", kind="linear", family="pool", adds=True, range=same)
def global_average_pool(point: Point) -> Site:
    """y = mean over the spatial axes, kept as axes of length 1."""
    return _reduction(point, Axes(tuple(range(2, point.x.ndim)), True), mean=True)


@op("ReduceMean", kind="linear", family="pool", adds=True, range=same)
def reduced_mean(point: Point) -> Site:
    """y = mean over the given axes."""
    return _reduction(point, axes_of(point), mean=True)


def _of_sum(at: At) -> Domain:
    """n times the range where the number n of terms is static, else its sign."""
    before, after = at.size(at.node.inputs[0]), at.size(at.node.output)
    return at.x * (Domain(before / after, before / after) if before and after else NONNEGATIVE)


@op("ReduceSum", kind="linear", family="pool", adds=True, range=_of_sum)
def reduced_sum(point: Point) -> Site:
    """y = sum over the given axes."""
    return _reduction(point, axes_of(point), mean=False)


def _reduction(point: Point, axes: Axes, mean: bool) -> Site:
    x = point.x
    weight = np.asarray(1.0, x.dtype) / (cells(x, axes=axes.reduced) if mean else 1)

    def apply(w: Any, x: Any) -> Any:
        return axes.sum(x) * w

    def adjoint(w: Any, r: Any) -> Any:
        return in_blocks(expand_like(axes.back(r) * w, x))

    # Not constant: the weight is of this input's lengths.
    return point.site(LinearMap(weight, apply, adjoint), spread_dead=True)
