"""Elementwise activations: at the point, a diagonal map whose weights are the slopes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnxdtd.linear import Site
from onnxdtd.model.point import Point
from onnxdtd.ops.scale import scaled
from onnxdtd.primitives import cast_like, equal, greater
from onnxdtd.registry import op


def _diagonal(point: Point, slope: Callable[[], Any]) -> Site:
    return point.site(scaled(slope, point.x))


@op("Relu", kind="elementwise")
def relu(point: Point) -> Site:
    """y = max(x, 0); slope 1 where x > 0, else 0."""
    return _diagonal(point, lambda: cast_like(greater(point.x, 0.0), point.x))


@op("LeakyRelu", kind="elementwise")
def leaky_relu(point: Point) -> Site:
    """y = x where x > 0, else alpha x."""
    alpha = point.attribute("alpha", 0.01)
    return _diagonal(point, lambda: cast_like(greater(point.x, 0.0), point.x) * (1.0 - alpha) + alpha)


@op("Sigmoid", kind="elementwise")
def sigmoid(point: Point) -> Site:
    """y = 1 / (1 + exp(-x)); slope y (1 - y)."""
    return _diagonal(point, lambda: point.output * (1.0 - point.output))


@op("Tanh", kind="elementwise")
def tanh(point: Point) -> Site:
    """y = tanh(x); slope 1 - y^2."""
    return _diagonal(point, lambda: 1.0 - point.output * point.output)


@op("Clip", kind="elementwise")
def clip(point: Point) -> Site:
    """y = x within the bounds; slope 1 there (bounds included), else 0."""
    return _diagonal(point, lambda: cast_like(equal(point.x, point.output), point.x))
