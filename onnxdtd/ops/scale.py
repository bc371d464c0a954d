"""Products with constants, and BatchNormalization on its own: one input per output, times a factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from onnxdtd.domains.interval import At, Domain
from onnxdtd.domains.pieces import smooth
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.curves import range_of_gated
from onnxdtd.ops.window import per_channel
from onnxdtd.primitives import operator, unbroadcast
from onnxdtd.registry import op


def scaled(w: Any, x: Any, constant: bool = False) -> LinearMap:
    """y = w x elementwise with broadcasting; w may be a function that makes the factor on demand."""

    def apply(w: Any, x: Any) -> Any:
        return x if _is_one(w) else w * x

    def adjoint(w: Any, r: Any) -> Any:
        return unbroadcast(r if _is_one(w) else w * r, x)

    return LinearMap(w, apply, adjoint, constant)


def tangent(point: Point, linear: LinearMap, at_zero: float = 0.0, straight: bool = False) -> Site:
    """The site of a curve of one value: at the point its tangent, whose constant (y less slope x) is the bias.
    straight: that is zero."""
    site = point.site(linear, bias=lambda: point.output - linear.apply(linear.weights, point.x))
    return replace(site, at_zero=at_zero, straight=straight)


def _is_one(w: Any) -> bool:
    return w is None or (isinstance(w, (np.ndarray, np.generic)) and w.ndim == 0 and float(w) == 1.0)


def whole_each(point: Point, maps: Sequence[LinearMap]) -> Site:
    """The site of a product, of which each factor's map makes the whole; the bias takes off what is too much."""
    more = len(maps) - 1
    site = point.site(*maps, bias=(lambda: point.output * -float(more)) if more else None)
    return site if point.node.bias else replace(site, counts=len(maps))


def _of_product(at: At) -> Domain:
    a, b = at.node.inputs
    if a == b:
        return at.x.through(lambda x: x * x, 0)
    return range_of_gated(at, 0) or range_of_gated(at, 1) or at.domain(0) * at.domain(1)


@op("Mul", kind="linear", family="scale", data=(0, 1), factors=(0, 1), range=_of_product)
def multiply(point: Point) -> Site:
    """y = c x; of two values, each is the other's factor."""
    maps = [
        scaled(point.value(1 - slot), point.value(slot), point.is_constant(1 - slot)) for slot in point.slots
    ]
    return whole_each(point, maps)


@op(
    "Div", kind="linear", family="scale", data=(0, 1), factors=(0, 1), otherwise={(1,): "elementwise"},
    range=lambda at: at.domain(0) * at.domain(1).reciprocal(),
    pieces=lambda point: smooth(point) if 1 in point.slots else None,
)  # fmt: skip
def divide(point: Point) -> Site:
    """y = x / c; of two values, the divisor's slope is -y / c, and rules see it as a constant."""
    divisor = point.value(1)
    by_divisor = scaled(lambda: -point.output / divisor, divisor)
    if point.slots == (1,):
        return tangent(point, by_divisor)
    by_dividend = scaled(1.0 / divisor, point.value(0), point.is_constant(1))
    if point.slots == (0,):
        return point.site(by_dividend)
    return point.site(by_dividend, scaled(0.0, divisor), jacobian=(by_dividend, by_divisor))


@op("Neg", kind="linear", family="scale", range=lambda at: -at.x)
def negate(point: Point) -> Site:
    """y = -x."""
    return point.site(scaled(np.asarray(-1.0, point.x.dtype), point.x, True))


@op("BatchNormalization", kind="linear", family="scale", offset=True, constant="norm shift")
def batch_normalization(point: Point) -> Site:
    """y = (x - mean) scale / sqrt(var + epsilon) + shift, where it could not be folded into a neighbour."""
    if point.attribute("training_mode", 0) or any(point.node.outputs[1:]):
        raise UnsupportedError(f"{point.node} is in training mode; export the model for inference")
    scale, shift, mean, variance = (point.value(slot) for slot in (1, 2, 3, 4))
    factor = scale / operator("Sqrt", variance + point.attribute("epsilon", 1e-5), opset=point.opset)
    rank = point.x.ndim
    return point.site(
        scaled(per_channel(factor, rank), point.x, all(map(point.is_constant, (1, 4)))),
        bias=per_channel(shift - mean * factor, rank),
    )


@op("Scaler", kind="linear", family="scale", offset=True, domain="ai.onnx.ml", embeds=(0,))
def scaler(point: Point) -> Site:
    """y = (x - offset) scale, per feature."""
    dtype = point.output.dtype
    scale = np.asarray(point.attribute("scale", [1.0]), dtype)
    offset = np.asarray(point.attribute("offset", [0.0]), dtype)
    return point.site(scaled(scale, point.x, True), bias=-offset * scale)
