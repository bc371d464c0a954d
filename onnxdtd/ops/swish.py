"""Activations that gate themselves: y = x s(x), whose slope is s + x s'. The share s is y / x.

Source: Hendrycks and Gimpel 2016 (GELU), Ramachandran et al. 2017 (Swish), Misra 2019 (Mish), Howard et al. 2019
(hard swish).
"""

from __future__ import annotations

from typing import Any

from onnxdtd.domains.pieces import kinked, smooth
from onnxdtd.domains.rows import curve
from onnxdtd.linear import Site
from onnxdtd.model.point import Point
from onnxdtd.ops.activation import diagonal
from onnxdtd.ops.curves import (
    CUBIC,
    DENSITY,
    MISH_TURN,
    STRAIGHT,
    hard_swish_of,
    mish_of,
    range_of_gelu,
    range_of_swish,
)
from onnxdtd.primitives import cast_like, exp, greater, inverse, less, near_zero, sigmoid, where
from onnxdtd.registry import op


def _share(point: Point, at_zero: float) -> Any:
    return where(near_zero(point.x), at_zero, point.output * inverse(point.x))


@op("Gelu", kind="elementwise", range=range_of_gelu, pieces=smooth)
def gelu(point: Point) -> Site:
    """y = x s, s = (1 + erf(x / sqrt 2)) / 2, s' the normal density; or (tanh) s = sigmoid(u), s' = s (1 - s) u'."""
    x = point.x

    def slope() -> Any:
        s = _share(point, 0.5)
        if point.attribute("approximate", "none") == "none":
            return s + x * exp(x * x * -0.5) * DENSITY
        return s + x * s * (1.0 - s) * (x * x * (3 * CUBIC) + STRAIGHT)

    return diagonal(point, slope)


@op("Swish", kind="elementwise", range=range_of_swish, pieces=smooth)
def swish(point: Point) -> Site:
    """y = x s, s = 1 / (1 + exp(-alpha x)); s' = alpha s (1 - s)."""
    x, alpha = point.x, point.attribute("alpha", 1.0)

    def slope() -> Any:
        s = _share(point, 0.5)
        return s + x * s * (1.0 - s) * alpha

    return diagonal(point, slope)


@op("Mish", kind="elementwise", range=curve(mish_of, MISH_TURN), pieces=smooth)
def mish(point: Point) -> Site:
    """y = x s, s = tanh(ln(1 + e^x)); s' = (1 - s^2) / (1 + e^-x)."""
    x = point.x

    def slope() -> Any:
        s = _share(point, 0.6)
        return s + x * (1.0 - s * s) * sigmoid(x)

    return diagonal(point, slope)


@op(
    "HardSwish",
    kind="elementwise",
    range=curve(hard_swish_of, -1.5),
    pieces=lambda point: kinked(-3.0, 3.0, below=0.0, above=1.0),
)
def hard_swish(point: Point) -> Site:
    """y = x s, s = x / 6 + 1 / 2 within 0 and 1; s' = 1 / 6 there, else 0."""
    x = point.x

    def slope() -> Any:
        rises = cast_like(greater(x, -3.0), x) * cast_like(less(x, 3.0), x)
        return _share(point, 0.5) + x * rises * (1 / 6)

    return diagonal(point, slope)
