"""Powers, and the remainder: elementwise in each operand.

A slope is 0 where there is none: roots and negative powers at 0, fractional powers below.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from onnxdtd.domains.interval import ANY, NONNEGATIVE, At, Domain
from onnxdtd.domains.pieces import smooth
from onnxdtd.domains.rows import curve
from onnxdtd.domains.teeth import Teeth
from onnxdtd.entries import Kind
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import Site
from onnxdtd.model.point import Point
from onnxdtd.ops.activation import diagonal
from onnxdtd.ops.scale import scaled, tangent
from onnxdtd.primitives import absolute, cast_like, equal, greater, inverse, less, log, near_zero, where
from onnxdtd.registry import op

LEFT, RIGHT = 0, 1


@op("Sqrt", kind="elementwise", range=curve(lambda x: math.sqrt(max(x, 0.0))), pieces=smooth)
def square_root(point: Point) -> Site:
    """y = sqrt(x); slope 1 / (2 y), 0 where x <= 0."""
    return diagonal(point, lambda: inverse(point.output) * 0.5)


@op("Reciprocal", kind="elementwise", range=lambda at: at.x.reciprocal(), pieces=smooth)
def reciprocal(point: Point) -> Site:
    """y = 1 / x; slope -1 / x^2, 0 where x is."""
    return diagonal(point, lambda: -inverse(point.x * point.x))


def _of_power(at: At) -> Domain:
    p = at.domain(1)
    if p.low != p.high or p.low <= 0:
        return NONNEGATIVE if at.x.nonnegative else ANY
    if p.low % 1:
        return at.x.through(lambda x: np.float64(max(x, 0.0)) ** p.low)
    return at.x.through(lambda x: np.float64(x) ** p.low, 0)


EITHER: dict[tuple[int, ...], Kind] = {(LEFT,): "elementwise", (RIGHT,): "elementwise"}


@op("Pow", kind="norm", data=(LEFT, RIGHT), otherwise=EITHER, since=7, range=_of_power, pieces=smooth)
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
        return tangent(point, jacobian[0])
    held = (scaled(factor, x), scaled(np.zeros((), p.dtype), p))
    return point.site(*held, bias=y * at_zero(), jacobian=jacobian)


def _of_remainder(at: At) -> Domain:
    """It has the sign of the divisor, or with fmod that of the dividend, and is the smaller one."""
    b = at.domain(RIGHT)
    size = max(abs(b.low), abs(b.high))
    return Domain(-size, size) if at.attribute("fmod", 0) else Domain(min(b.low, 0.0), max(b.high, 0.0))


def _pieces_of_remainder(point: Point) -> Teeth:
    if point.slots != (LEFT,):
        raise UnsupportedError(
            f"{point.node}: its kinks in the divisor have no end, and no line is followed there"
        )
    return Teeth(abs(np.asarray(point.value(RIGHT), np.float64)))


@op(
    "Mod", kind="norm", data=(LEFT, RIGHT), otherwise=EITHER, range=_of_remainder, pieces=_pieces_of_remainder
)
def remainder(point: Point) -> Site:
    """y = a - n b, with n = a / b rounded to a whole number; slopes 1 and -n."""
    a, b, y = point.value(LEFT), point.value(RIGHT), point.output
    maps = {LEFT: scaled(np.ones((), y.dtype), a), RIGHT: scaled(lambda: (y - a) * inverse(b), b)}
    chosen = [maps[slot] for slot in point.slots]
    return tangent(point, chosen[0]) if len(chosen) == 1 else point.site(*chosen)
