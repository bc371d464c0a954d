"""Reductions that are no plain sums: norms, and logarithms of sums. ReduceSum and ReduceMean are in `pool`.

A slope is 0 where there is none: norms at 0, the logarithm of a sum that is not positive.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from onnxdtd.domains.rows import nonnegative
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import exp, expand_like, greater, inverse, reduce_sum, sign, unsqueeze, where
from onnxdtd.registry import op


@dataclass(frozen=True)
class Axes:
    """What is reduced: axes of x, and whether they are kept with length 1."""

    reduced: tuple[int, ...]
    keeps: bool

    def sum(self, v: Any) -> Any:
        """Shaped like the output."""
        return reduce_sum(v, axes=self.reduced, keepdims=self.keeps)

    def back(self, y: Any) -> Any:
        """Something shaped like the output, so that it broadcasts to x."""
        return y if self.keeps or not self.reduced else unsqueeze(y, axes=self.reduced)

    def weighted(self, slope: Any) -> LinearMap:
        """The map sum_i slope_i x_i."""
        return LinearMap(
            None,
            lambda w, v: self.sum(slope * v),
            lambda w, r: expand_like(self.back(r), slope) * slope,
        )


def axes_of(point: Point) -> Axes:
    """The axes of a Reduce op, as attribute or input; none given means all, or with noop_with_empty_axes none."""
    rank = point.x.ndim
    axes = point.integers("axes", 1)
    if not axes and not point.attribute("noop_with_empty_axes", 0):
        axes = list(range(rank))
    return Axes(tuple(sorted(a % rank for a in axes or ())), bool(point.attribute("keepdims", 1)))


@op("ReduceL1", kind="norm", family="reduction", range=nonnegative)
def sum_of_moduli(point: Point) -> Site:
    """y = sum |x|; slopes the sign of x."""
    return point.site(axes_of(point).weighted(sign(point.x)))


@op("ReduceL2", kind="norm", family="reduction", range=nonnegative)
def euclidean_norm(point: Point) -> Site:
    """y = sqrt(sum x^2); slopes x / y."""
    axes = axes_of(point)
    return point.site(axes.weighted(point.x * inverse(axes.back(point.output))))


@op("ReduceSumSquare", kind="norm", family="reduction", range=nonnegative)
def sum_of_squares(point: Point) -> Site:
    """y = sum x^2; slopes 2 x, rules see y = sum x x with one x as the weights."""
    axes = axes_of(point)
    return point.site(axes.weighted(point.x), jacobian=(axes.weighted(point.x * 2.0),))


@op("ReduceLogSum", kind="norm", family="reduction")
def logarithm_of_sum(point: Point) -> Site:
    """y = ln sum x; slopes 1 / sum x; what is missing to y is the bias."""
    axes, x = axes_of(point), point.x
    total = axes.sum(x)
    fine = greater(total, 0.0)
    slope = expand_like(axes.back(inverse(where(fine, total, 0.0))), x)
    return _logarithm(point, axes, x, slope, where(fine, point.output, 0.0))


@op("ReduceLogSumExp", kind="norm", family="reduction")
def logarithm_of_exponentials(point: Point) -> Site:
    """y = ln sum e^x; slopes softmax(x); what is missing to y is the bias. An input of -inf counts as 0."""
    axes, x = axes_of(point), point.x
    y = point.output
    alive = greater(y, float("-inf"))
    y = where(alive, y, 0.0)
    share = exp(x - axes.back(y))
    return _logarithm(point, axes, where(greater(share, 0.0), x, 0.0), share, y)


def _logarithm(point: Point, axes: Axes, x: Any, slope: Any, y: Any) -> Site:
    linear = axes.weighted(slope)
    site = point.site(linear, bias=y - linear.apply(None, x))
    return replace(site, inputs=(x,), output=y)
