"""The activations of recurrent cells: value, tangent, and secant (f(p) - f(0)) / p.

Source: the ONNX operators LSTM, GRU, RNN; what ONNX leaves open (default alpha and beta) is onnxruntime's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdtd.errors import UnsupportedError
from onnxdtd.model.point import Point
from onnxdtd.primitives import (
    absolute,
    cast_like,
    exp,
    greater,
    less,
    log,
    negative_part,
    relu,
    sigmoid,
    tanh,
    where,
)


@dataclass(frozen=True, slots=True)
class Curve:
    """value(p, alpha, beta), and tangent(y, p, alpha, beta) where y is the value. defaults: of alpha and beta, as
    many as the curve has."""

    value: Callable[..., Any]
    tangent: Callable[..., Any]
    defaults: tuple[float, ...] = ()


def _softplus(p: Any, a: float, b: float) -> Any:
    return relu(p) + log(1.0 + exp(-absolute(p)))


def _open(y: Any, p: Any, a: float, b: float) -> Any:
    """The slope of y = a p + b between 0 and 1."""
    line = p * a + b
    return a * cast_like(greater(line, 0.0), p) * cast_like(less(line, 1.0), p)


def _above(p: Any, threshold: float) -> Any:
    return cast_like(greater(p, np.asarray(threshold, p.dtype)), p)


CURVES: Mapping[str, Curve] = {
    "sigmoid": Curve(lambda p, a, b: sigmoid(p), lambda y, p, a, b: y * (1.0 - y)),
    "tanh": Curve(lambda p, a, b: tanh(p), lambda y, p, a, b: 1.0 - y * y),
    "relu": Curve(lambda p, a, b: relu(p), lambda y, p, a, b: _above(p, 0.0)),
    "affine": Curve(lambda p, a, b: p * a + b, lambda y, p, a, b: 0.0 * p + a, (1.0, 0.0)),
    "leakyrelu": Curve(
        lambda p, a, b: relu(p) + negative_part(p) * a,
        lambda y, p, a, b: a + (1.0 - a) * _above(p, 0.0),
        (0.01,),
    ),
    "thresholdedrelu": Curve(
        lambda p, a, b: p * _above(p, a),
        lambda y, p, a, b: _above(p, a),
        (1.0,),
    ),
    "scaledtanh": Curve(
        lambda p, a, b: tanh(p * b) * a,
        lambda y, p, a, b: (a - y * y * (1 / a if a else 0.0)) * b,
        (1.0, 1.0),
    ),
    "hardsigmoid": Curve(lambda p, a, b: relu(1.0 - relu(1.0 - (p * a + b))), _open, (0.2, 0.5)),
    "elu": Curve(
        lambda p, a, b: relu(p) + (exp(negative_part(p)) - 1.0) * a,
        lambda y, p, a, b: where(greater(p, 0.0), 1.0 + 0.0 * p, exp(negative_part(p)) * a),
        (1.0,),
    ),
    "softsign": Curve(
        lambda p, a, b: p / (1.0 + absolute(p)),
        lambda y, p, a, b: 1.0 / ((1.0 + absolute(p)) * (1.0 + absolute(p))),
    ),
    "softplus": Curve(_softplus, lambda y, p, a, b: sigmoid(p)),
}


@dataclass(frozen=True, slots=True)
class Activation:
    """One curve with its alpha and beta, of p cut to [-clip, clip] (0: not cut)."""

    curve: Curve
    alpha: float = 0.0
    beta: float = 0.0
    clip: float = 0.0

    def value(self, p: Any) -> Any:
        """f(p)."""
        return self.curve.value(self._cut(p), self.alpha, self.beta)

    @property
    def at_zero(self) -> float:
        """f(0), a constant of the cell."""
        return float(self.value(np.zeros(1))[0])

    def slope(self, y: Any, p: Any, tangent: bool) -> Any:
        """f'(p), or the secant, by which f(0) + s p = f(p); y = f(p)."""
        if tangent:
            return self._tangent(y, p)
        # Near 0 the quotient has no digits left. In the middle between 0 and p the tangent is the secant but for p^2.
        near = less(absolute(p), np.asarray(1e-2 if self.at_zero else 1e-6, p.dtype))
        middle = p * 0.5
        return where(
            near,
            self._tangent(self.value(middle), middle),
            (y - self.at_zero) / where(near, 1.0 + 0.0 * p, p),
        )

    def _tangent(self, y: Any, p: Any) -> Any:
        slope = self.curve.tangent(y, self._cut(p), self.alpha, self.beta)
        return slope * cast_like(less(absolute(p), self.clip), p) if self.clip else slope

    def _cut(self, p: Any) -> Any:
        return relu(p + self.clip) - relu(p - self.clip) - self.clip if self.clip else p


def activations(point: Point, usual: tuple[str, ...], count: int) -> list[tuple[Activation, ...]]:
    """Of each of `count` directions as many as usual.

    Only the sums of gates are cut by `clip`: onnxruntime leaves the third activation, of the cell state, alone.
    """
    listed = point.attribute("activations") or usual * count
    names = [(name.decode() if isinstance(name, bytes) else name).lower() for name in listed]
    for name in names:
        if name not in CURVES:
            raise UnsupportedError(f"{point.node}: no activation of a cell is called '{name}'")
    alphas, betas = (list(point.attribute(f"activation_{which}", ())) for which in ("alpha", "beta"))
    clip = float(point.attribute("clip", 0.0))
    made = []
    for i, name in enumerate(names):
        numbers = list(CURVES[name].defaults)
        for place, own in enumerate((alphas, betas)[: len(numbers)]):
            numbers[place] = own.pop(0) if own else numbers[place]
        alpha, beta = [*numbers, 0.0, 0.0][:2]
        made.append(Activation(CURVES[name], float(alpha), float(beta), clip if i % len(usual) < 2 else 0.0))
    return [tuple(made[len(usual) * d : len(usual) * (d + 1)]) for d in range(count)]
