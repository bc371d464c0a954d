"""Products of many values: each is the factor of the product of the others, and shares in the whole.

Every value's map is the whole product, so a product of n values is in the maps n times; the bias takes off what is
too much. A zero among the values leaves a slope to itself only, two leave none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnxdtd.domains.rows import nonnegative_if_x
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.reduce import axes_of
from onnxdtd.primitives import (
    cast_like,
    cofactors,
    equal,
    expand_like,
    operator,
    reduce_sum,
    unsqueeze,
    where,
)
from onnxdtd.registry import op

Sum = Callable[[Any], Any]


@op("ReduceProd", kind="gate", family="reduction", range=nonnegative_if_x)
def product_over(point: Point) -> Site:
    """y = product over the given axes; slopes y / x, or the product of the others."""
    axes = axes_of(point)
    return _product(point, axes.sum, lambda r: expand_like(axes.back(r), point.x))


@op("CumProd", kind="gate", family="reduction", range=nonnegative_if_x)
def running_product(point: Point) -> Site:
    """y_j = product of the x_i up to j along an axis; slopes y_j / x_i, or the product of the others."""
    exclusive, reverse = point.attribute("exclusive", 0), point.attribute("reverse", 0)

    def along(v: Any, reverse: int) -> Any:
        return operator("CumSum", v, point.value(1), opset=point.opset, exclusive=exclusive, reverse=reverse)

    return _product(point, lambda v: along(v, reverse), lambda r: along(r, 1 - reverse))


def _product(point: Point, over: Sum, back: Sum) -> Site:
    """over: the sum over the factors of each output; back: its adjoint."""
    x, slots = point.x, range(1, len(point.node.inputs))
    zero = cast_like(equal(x, 0.0), x)
    others = where(equal(x, 0.0), 1.0, x)
    zeros = over(zero)
    rest = [point.value(slot) if point.has(slot) else None for slot in slots]
    whole = operator(point.node.op, others, *rest, opset=point.opset, **point.node.attributes)
    none, one = (whole * cast_like(equal(zeros, count), x) for count in (0.0, 1.0))

    def apply(w: Any, v: Any) -> Any:
        return none * over(v * (1.0 - zero) / others) + one * over(v * zero)

    def adjoint(w: Any, r: Any) -> Any:
        return (1.0 - zero) / others * back(r * none) + zero * back(r * one)

    return point.site(LinearMap(None, apply, adjoint), bias=point.output - apply(None, x))


@op("Det", kind="gate", family="reduction")
def determinant(point: Point) -> Site:
    """y = det x of each matrix; slopes the cofactors."""
    slopes = cofactors(point.x)

    def apply(w: Any, v: Any) -> Any:
        return reduce_sum(slopes * v, axes=(-2, -1), keepdims=False)

    def adjoint(w: Any, r: Any) -> Any:
        return slopes * unsqueeze(r, axes=(-2, -1))

    return point.site(LinearMap(None, apply, adjoint), bias=point.output - apply(None, point.x))
