"""Smooth functions of one value: at the point, a diagonal map whose weights are the slopes.

A slope is 0 where the function has none: at the ends of its domain (Log, Acos, Acosh, Atanh) and outside.
"""

from __future__ import annotations

import math

import numpy as np

from onnxdtd.domains.interval import SIGNED_UNIT
from onnxdtd.domains.pieces import smooth
from onnxdtd.domains.rows import anywhere, curve, within
from onnxdtd.linear import Site
from onnxdtd.model.point import Point
from onnxdtd.ops.activation import diagonal
from onnxdtd.primitives import cos, cosh, exp, inverse, less, relu, sin, sinh, sqrt, where
from onnxdtd.registry import op


@op("Exp", kind="elementwise", offset=True, range=curve(np.exp), pieces=smooth)
def exponential(point: Point) -> Site:
    """y = e^x; slope y, 0 where it overflows: what is finite does not depend on it there."""
    y = point.output
    return diagonal(point, lambda: where(less(y, np.asarray(np.inf, y.dtype)), y, np.zeros((), y.dtype)), 1.0)


@op("Log", kind="elementwise", range=curve(lambda x: math.log(x) if x > 0 else -math.inf), pieces=smooth)
def logarithm(point: Point) -> Site:
    """y = ln x; slope 1 / x, 0 where x <= 0."""
    return diagonal(point, lambda: inverse(relu(point.x)))


@op("Erf", kind="elementwise", range=curve(math.erf), pieces=smooth)
def error_function(point: Point) -> Site:
    """y = 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x; slope 2 / sqrt(pi) exp(-x^2)."""
    return diagonal(point, lambda: exp(-(point.x * point.x)) * (2 / math.sqrt(math.pi)))


@op("Sin", kind="elementwise", periodic=True, range=within(SIGNED_UNIT), pieces=smooth)
def sine(point: Point) -> Site:
    """y = sin x; slope cos x."""
    return diagonal(point, lambda: cos(point.x))


@op("Cos", kind="elementwise", offset=True, periodic=True, range=within(SIGNED_UNIT), pieces=smooth)
def cosine(point: Point) -> Site:
    """y = cos x; slope -sin x."""
    return diagonal(point, lambda: -sin(point.x), 1.0)


@op("Tan", kind="elementwise", range=anywhere, pieces=smooth)
def tangent(point: Point) -> Site:
    """y = tan x; slope 1 + y^2."""
    return diagonal(point, lambda: 1.0 + point.output * point.output)


@op("Asin", kind="elementwise", range=curve(lambda x: math.asin(min(max(x, -1.0), 1.0))), pieces=smooth)
def arcsine(point: Point) -> Site:
    """y = arcsin x; slope 1 / sqrt(1 - x^2), 0 where |x| >= 1."""
    return diagonal(point, lambda: inverse(sqrt(relu(1.0 - point.x * point.x))))


@op(
    "Acos",
    kind="elementwise",
    offset=True,
    range=curve(lambda x: math.acos(min(max(x, -1.0), 1.0))),
    pieces=smooth,
)
def arccosine(point: Point) -> Site:
    """y = arccos x; slope -1 / sqrt(1 - x^2), 0 where |x| >= 1."""
    return diagonal(point, lambda: -inverse(sqrt(relu(1.0 - point.x * point.x))), math.pi / 2)


@op("Atan", kind="elementwise", range=curve(math.atan), pieces=smooth)
def arctangent(point: Point) -> Site:
    """y = arctan x; slope 1 / (1 + x^2)."""
    return diagonal(point, lambda: inverse(1.0 + point.x * point.x))


@op("Sinh", kind="elementwise", range=curve(math.sinh), pieces=smooth)
def hyperbolic_sine(point: Point) -> Site:
    """y = sinh x; slope cosh x."""
    return diagonal(point, lambda: cosh(point.x))


@op("Cosh", kind="elementwise", offset=True, range=curve(math.cosh, 0), pieces=smooth)
def hyperbolic_cosine(point: Point) -> Site:
    """y = cosh x; slope sinh x."""
    return diagonal(point, lambda: sinh(point.x), 1.0)


@op("Asinh", kind="elementwise", range=curve(math.asinh), pieces=smooth)
def inverse_hyperbolic_sine(point: Point) -> Site:
    """y = arsinh x; slope 1 / sqrt(x^2 + 1)."""
    return diagonal(point, lambda: inverse(sqrt(point.x * point.x + 1.0)))


@op("Acosh", kind="elementwise", range=curve(lambda x: math.acosh(max(x, 1.0))), pieces=smooth)
def inverse_hyperbolic_cosine(point: Point) -> Site:
    """y = arcosh x; slope 1 / sqrt(x^2 - 1), 0 where x <= 1."""
    return diagonal(point, lambda: inverse(sqrt(relu(relu(point.x) * point.x - 1.0))))


@op("Atanh", kind="elementwise", range=curve(lambda x: np.arctanh(min(max(x, -1.0), 1.0))), pieces=smooth)
def inverse_hyperbolic_tangent(point: Point) -> Site:
    """y = artanh x; slope 1 / (1 - x^2), 0 where |x| >= 1."""
    return diagonal(point, lambda: inverse(relu(1.0 - point.x * point.x)))
