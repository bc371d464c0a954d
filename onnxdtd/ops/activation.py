"""Elementwise activations: at the point, a diagonal map whose weights are the slopes.

At a kink the slope is that of the side below, at Abs's it is 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from onnxdtd.domains.interval import ZERO, At, Domain
from onnxdtd.domains.pieces import Pieces, corner, kinked, smooth
from onnxdtd.domains.rows import curve
from onnxdtd.linear import Site
from onnxdtd.model.point import Point
from onnxdtd.ops.curves import clipped_line
from onnxdtd.ops.scale import scaled, tangent
from onnxdtd.ops.window import per_channel
from onnxdtd.primitives import (
    absolute,
    beyond,
    cast_like,
    greater,
    inverse,
    negative_part,
    relu,
    sigmoid,
    sign,
    where,
)
from onnxdtd.registry import op

INPUT, SLOPE = 0, 1


def diagonal(point: Point, slope: Callable[[], Any], at_zero: float = 0.0, straight: bool = False) -> Site:
    """The site of an elementwise op; slope makes dy/dx on demand. at_zero: f(0). straight: dy/dx is y / x."""
    return tangent(point, scaled(slope, point.x), at_zero, straight)


@op(
    "Relu",
    rectifies=True,
    kind="elementwise",
    range=curve(lambda x: max(x, 0.0)),
    pieces=lambda point: corner(0.0, 1.0),
    value=lambda point: relu(point.x),
)
def rectified(point: Point) -> Site:
    """y = max(x, 0); slope 1 where x > 0, else 0."""
    # The output tells as much, and the input may then stay inside a fused convolution.
    return diagonal(point, lambda: cast_like(beyond(point.output), point.output), straight=True)


@op(
    "LeakyRelu",
    kind="elementwise",
    range=curve(lambda x, alpha: x if x > 0 else alpha * x, 0, alpha=0.01),
    pieces=lambda point: corner(point.attribute("alpha", 0.01), 1.0),
    value=lambda point: relu(point.x) + negative_part(point.x) * point.attribute("alpha", 0.01),
)
def leaky_relu(point: Point) -> Site:
    """y = x where x > 0, else alpha x."""
    alpha = point.attribute("alpha", 0.01)
    return diagonal(point, lambda: cast_like(beyond(point.x), point.x) * (1.0 - alpha) + alpha, straight=True)


def _of_parametric_relu(at: At) -> Domain:
    positive, negative = (Domain(f(at.x.low, 0.0), f(at.x.high, 0.0)) for f in (max, min))
    return positive | negative * at.domain(1)


def _slopes(point: Point) -> Any:
    s = point.value(SLOPE)
    return per_channel(s, point.value(INPUT).ndim) if point.opset < 7 and s.ndim == 1 else s


def _pieces_of_parametric_relu(point: Point) -> Pieces | None:
    """Of x; it is straight in s."""
    return corner(_slopes(point), 1.0) if point.slots == (INPUT,) else None


@op(
    "PRelu", kind="elementwise", data=(0, 1), otherwise={(0, 1): "gate", (1,): "linear"},
    range=_of_parametric_relu,
    pieces=_pieces_of_parametric_relu,
)  # fmt: skip
def parametric_relu(point: Point) -> Site:
    """y = x where x > 0, else s x; of two values x and s, each is the other's factor below 0."""
    x, s = point.value(INPUT), _slopes(point)
    above, below = relu(x), negative_part(x)
    maps = {INPUT: scaled(lambda: cast_like(beyond(x), x) * (1.0 - s) + s, x), SLOPE: scaled(below, s)}
    bias = None if point.slots == (INPUT,) else above
    if len(point.slots) > 1:
        bias = -below * s  # which is in both maps
    return point.site(*(maps[slot] for slot in point.slots), bias=bias)


@op(
    "Elu",
    kind="elementwise",
    range=curve(lambda x, alpha: x if x > 0 else alpha * math.expm1(x), 0, alpha=1.0),
    pieces=lambda point: kinked(0.0, above=1.0),
)
def elu(point: Point) -> Site:
    """y = x where x > 0, else alpha (e^x - 1); slope 1, y + alpha."""
    alpha = point.attribute("alpha", 1.0)
    return diagonal(point, lambda: where(greater(point.x, 0.0), 1.0, point.output + alpha))


@op(
    "Celu", kind="elementwise",
    range=curve(lambda x, alpha: x if x > 0 else alpha * np.expm1(x / alpha), 0, alpha=1.0),
    pieces=lambda point: kinked(0.0, above=1.0),
)  # fmt: skip
def celu(point: Point) -> Site:
    """y = x where x > 0, else alpha (e^(x / alpha) - 1); slope 1, y / alpha + 1."""
    alpha = point.attribute("alpha", 1.0)
    return diagonal(point, lambda: where(greater(point.x, 0.0), 1.0, point.output / alpha + 1.0))


SELU = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}


@op(
    "Selu", kind="elementwise", since=6,
    range=curve(lambda x, alpha, gamma: gamma * (x if x > 0 else alpha * math.expm1(x)), 0, **SELU),
    pieces=lambda point: kinked(0.0, above=point.attribute("gamma", SELU["gamma"])),
)  # fmt: skip
def selu(point: Point) -> Site:
    """y = gamma x where x > 0, else gamma alpha (e^x - 1); slope gamma, y + gamma alpha."""
    alpha, gamma = (point.attribute(name, default) for name, default in SELU.items())
    return diagonal(point, lambda: where(greater(point.x, 0.0), gamma, point.output + gamma * alpha))


def _of_thresholded_relu(at: At) -> Domain:
    alpha = at.attribute("alpha", 1.0)
    kept = Domain(max(at.x.low, alpha), at.x.high) if at.x.high > alpha else ZERO
    return kept | ZERO if at.x.low <= alpha else kept


@op(
    "ThresholdedRelu",
    kind="elementwise",
    range=_of_thresholded_relu,
    pieces=lambda point: corner(0.0, 1.0, point.attribute("alpha", 1.0)),
)
def thresholded_relu(point: Point) -> Site:
    """y = x where x > alpha, else 0; slope 1, 0."""
    return diagonal(point, lambda: cast_like(greater(point.x, point.attribute("alpha", 1.0)), point.x))


def _of_shrink(at: At) -> Domain:
    """The images of what lies below, within and above the threshold."""
    bias, edge = at.attribute("bias", 0.0), at.attribute("lambd", 0.5)
    parts = [ZERO] if at.x.low <= edge and at.x.high >= -edge else []
    if at.x.high > edge:
        parts.append(Domain(max(at.x.low, edge) - bias, at.x.high - bias))
    if at.x.low < -edge:
        parts.append(Domain(at.x.low + bias, min(at.x.high, -edge) + bias))
    return functools.reduce(Domain.__or__, parts)


def _pieces_of_shrink(point: Point) -> Pieces:
    bias, edge = point.attribute("bias", 0.0), point.attribute("lambd", 0.5)
    return Pieces((-edge, edge), (1.0, 0.0, 1.0), (bias, 0.0, -bias), (True, False))


@op("Shrink", kind="elementwise", range=_of_shrink, pieces=_pieces_of_shrink)
def shrink(point: Point) -> Site:
    """y = x - bias where x > lambd, x + bias where x < -lambd, else 0; slope 1, 1, 0."""
    return diagonal(
        point, lambda: cast_like(greater(absolute(point.x), point.attribute("lambd", 0.5)), point.x)
    )


@op(
    "Abs",
    kind="elementwise",
    range=curve(abs, 0),
    pieces=lambda point: corner(-1.0, 1.0),
)
def modulus(point: Point) -> Site:
    """y = |x|; slope the sign of x, 0 at 0."""
    return diagonal(point, lambda: sign(point.x))


def _pieces_of_hard_sigmoid(point: Point) -> Pieces:
    """The slope at both knots is that outside."""
    alpha, beta = point.attribute("alpha", 0.2), point.attribute("beta", 0.5)
    if not alpha:
        return Pieces((), (0.0,), (clipped_line(0.0, alpha, beta),), ())
    low, high = sorted(((-beta / alpha, 0.0), ((1 - beta) / alpha, 1.0)))
    return Pieces((low[0], high[0]), (0.0, alpha, 0.0), (low[1], beta, high[1]), (False, True))


@op(
    "HardSigmoid",
    kind="elementwise",
    offset=True,
    range=curve(clipped_line, alpha=0.2, beta=0.5),
    pieces=_pieces_of_hard_sigmoid,
)
def hard_sigmoid(point: Point) -> Site:
    """y = alpha x + beta within 0 and 1; slope alpha there, else 0."""
    alpha, y = point.attribute("alpha", 0.2), point.output
    at_zero = min(max(point.attribute("beta", 0.5), 0.0), 1.0)
    return diagonal(point, lambda: cast_like(beyond(y), y) * cast_like(beyond(1.0 - y), y) * alpha, at_zero)


@op("Sigmoid", kind="elementwise", offset=True, range=curve(lambda x: 1 / (1 + np.exp(-x))), pieces=smooth)
def logistic(point: Point) -> Site:
    """y = 1 / (1 + exp(-x)); slope y (1 - y)."""
    return diagonal(point, lambda: point.output * (1.0 - point.output), 0.5)


@op("Tanh", kind="elementwise", range=curve(math.tanh), pieces=smooth)
def hyperbolic_tangent(point: Point) -> Site:
    """y = tanh(x); slope 1 - y^2."""
    return diagonal(point, lambda: 1.0 - point.output * point.output)


@op("Softplus", kind="elementwise", offset=True, range=curve(lambda x: np.logaddexp(0, x)), pieces=smooth)
def softplus(point: Point) -> Site:
    """y = ln(1 + e^x); slope 1 / (1 + e^-x)."""
    return diagonal(point, lambda: sigmoid(point.x), math.log(2))


@op(
    "Softsign", kind="elementwise",
    range=curve(lambda x: x / (1 + abs(x)) if math.isfinite(x) else math.copysign(1, x)),
    pieces=smooth,
)  # fmt: skip
def softsign(point: Point) -> Site:
    """y = x / (1 + |x|); slope 1 / (1 + |x|)^2."""

    def slope() -> Any:
        share = inverse(1.0 + absolute(point.x))
        return share * share

    return diagonal(point, slope)
