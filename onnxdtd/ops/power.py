"""Powers, and the remainder: elementwise in each operand.

A slope is 0 where there is none: roots and negative powers at 0, fractional powers below.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.linear import Site
from onnxdtd.model.point import Point
from onnxdtd.ops.activation import diagonal
from onnxdtd.ops.scale import scaled
from onnxdtd.primitives import absolute, cast_like, equal, greater, inverse, less, log, near_zero, where
from onnxdtd.registry import op

LEFT, RIGHT = 0, 1


@op("Sqrt", kind="elementwise")
def square_root(point: Point) -> Site:
    """y = sqrt(x); slope 1 / (2 y), 0 where x <= 0."""
    return diagonal(point, lambda: inverse(point.output) * 0.5)


@op("Reciprocal", kind="elementwise")
def reciprocal(point: Point) -> Site:
    """y = 1 / x; slope -1 / x^2, 0 where x is."""
    return diagonal(point, lambda: -inverse(point.x * point.x))


@op("Pow", kind="norm", data=(0, 1), otherwise={(0,): "elementwise", (1,): "elementwise"}, since=7)
def power(point: Point) -> Site:
    """y = x^p; slopes p x^(p - 1) and y ln x; of two values, rules see p as a constant: y = x^(p - 1) x."""
    x, p, y = point.value(LEFT), point.value(RIGHT), point.output
    y = where(less(absolute(y), np.inf), y, 0.0)  # finite, also where the power is not
    p = p.astype(y.dtype) if isinstance(p, np.ndarray) else cast_like(p, y)

    def at_zero() -> Any:
        return cast_like(near_zero(x), y)

    def factor() -> Any:
        """x^(p - 1); at x = 0, where p alone decides, 1 for p = 1, else 0."""
        return y * inverse(x) + where(equal(p, 1.0), at_zero(), 0.0)

    def by_exponent() -> Any:
        positive = greater(x, 0.0)
        return where(positive, y, 0.0) * log(where(positive, x, 1.0))

    slopes = {LEFT: scaled(lambda: p * factor(), x), RIGHT: scaled(by_exponent, p)}
    jacobian = tuple(slopes[slot] for slot in point.slots)
    if len(jacobian) == 1:
        return point.site(*jacobian)
    held = (scaled(factor, x), scaled(np.zeros((), p.dtype), p))
    return point.site(*held, bias=y * at_zero(), jacobian=jacobian)


@op("Mod", kind="norm", data=(0, 1), otherwise={(0,): "elementwise", (1,): "elementwise"})
def remainder(point: Point) -> Site:
    """y = a - n b, with n = a / b rounded to a whole number; slopes 1 and -n."""
    a, b, y = point.value(LEFT), point.value(RIGHT), point.output
    maps = {LEFT: scaled(np.ones((), y.dtype), a), RIGHT: scaled(lambda: (y - a) * inverse(b), b)}
    return point.site(*(maps[slot] for slot in point.slots))
