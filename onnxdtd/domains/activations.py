"""Where the values of an activation lie: one formula each, monotone but for the turning points beside it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from onnxdtd.domains.interval import ANY, NONPOSITIVE, SIGNED_UNIT, UNIT, ZERO, At, Domain, Row
from onnxdtd.model.graph import Node

_SILU_TURN, _MISH_TURN = -1.2784645427610738, -1.1924312172726177
_GELU_TURNS = {"none": -0.7517915246935645, "tanh": -0.7524614220710162}


def _curve(f: Callable[..., Any], *turns: float, **defaults: float) -> Row:
    """The row of y = f(x, attributes), monotone but for the turns."""

    def row(at: At) -> Domain:
        parameters = {name: at.attribute(name, default) for name, default in defaults.items()}
        return at.x.through(lambda x: f(x, **parameters), *turns)

    return row


def _gated(share: Callable[[float], Any]) -> Callable[[float], Any]:
    """x * share(x), where the share goes to zero faster than x to -inf."""
    return lambda x: 0.0 if x == -math.inf else x * share(x)


def _sigmoid(x: float) -> Any:
    return 1 / (1 + np.exp(-x))


def _hard_sigmoid(x: float, alpha: float = 0.2, beta: float = 0.5) -> float:
    return min(max(alpha * x + beta, 0.0), 1.0)


def _gelu_tanh(x: float) -> float:
    return 0.5 + 0.5 * math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


_silu = _gated(_sigmoid)
_mish = _gated(lambda x: np.tanh(np.logaddexp(0, x)))
_gelu = {"none": _gated(lambda x: 0.5 + 0.5 * math.erf(x / math.sqrt(2))), "tanh": _gated(_gelu_tanh)}


def _gelu_row(at: At) -> Domain:
    form = at.attribute("approximate", "none")
    return at.x.through(_gelu[form], _GELU_TURNS[form]) if form in _gelu else ANY


def _swish_row(at: At) -> Domain:
    alpha = at.attribute("alpha", 1.0)
    return at.x.through(lambda x: _silu(alpha * x) / alpha, _SILU_TURN / alpha) if alpha > 0 else ANY


def _clip(at: At) -> Domain:
    low, high = at.attribute("min", -math.inf), at.attribute("max", math.inf)
    lows = at.domain(1) if at.has(1) else Domain(low, low)
    highs = at.domain(2) if at.has(2) else Domain(high, high)
    return Domain(min(max(at.x.low, lows.low), highs.low), min(max(at.x.high, lows.high), highs.high))


def _prelu(at: At) -> Domain:
    positive, negative = (Domain(f(at.x.low, 0.0), f(at.x.high, 0.0)) for f in (max, min))
    return positive | negative * at.domain(1)


def _thresholded_relu(at: At) -> Domain:
    alpha = at.attribute("alpha", 1.0)
    kept = Domain(max(at.x.low, alpha), at.x.high) if at.x.high > alpha else ZERO
    return kept | ZERO if at.x.low <= alpha else kept


def gated(at: At, slot: int, gate: Node | None) -> Domain | None:
    """The range of SiLU, HardSwish and Mish written as x times a gate; None if it is no gate of this x."""
    name, x = at.node.inputs[slot], at.domain(slot)
    if gate is None or gate.domain:
        return None
    if gate.op == "Sigmoid" and gate.inputs[0] == name:
        return x.through(_silu, _SILU_TURN)
    if gate.op == "HardSigmoid" and gate.inputs[0] == name:
        alpha, beta = gate.attributes.get("alpha", 0.2), gate.attributes.get("beta", 0.5)
        share = functools.partial(_hard_sigmoid, alpha=alpha, beta=beta)
        return x.through(_gated(share), -beta / alpha / 2, (1 - beta) / alpha) if alpha > 0 else None
    inner = at.graph.producers.get(gate.inputs[0]) if gate.op == "Tanh" else None
    is_mish = inner is not None and inner.op == "Softplus" and inner.inputs[0] == name
    return x.through(_mish, _MISH_TURN) if is_mish else None


ACTIVATIONS: dict[str, Row] = {
    "Softmax": lambda at: UNIT,
    "Hardmax": lambda at: UNIT,
    "LogSoftmax": lambda at: NONPOSITIVE,
    "Sin": lambda at: SIGNED_UNIT,
    "Cos": lambda at: SIGNED_UNIT,
    "Relu": _curve(lambda x: max(x, 0.0)),
    "LeakyRelu": _curve(lambda x, alpha: x if x > 0 else alpha * x, 0, alpha=0.01),
    "Elu": _curve(lambda x, alpha: x if x > 0 else alpha * math.expm1(x), 0, alpha=1.0),
    "Celu": _curve(lambda x, alpha: x if x > 0 else alpha * np.expm1(x / alpha), 0, alpha=1.0),
    "Selu": _curve(
        lambda x, alpha, gamma: gamma * (x if x > 0 else alpha * math.expm1(x)),
        0,
        alpha=1.67326319217681884765625,
        gamma=1.05070102214813232421875,
    ),
    "PRelu": _prelu,
    "ThresholdedRelu": _thresholded_relu,
    "Clip": _clip,
    "Sigmoid": _curve(_sigmoid),
    "HardSigmoid": _curve(_hard_sigmoid, alpha=0.2, beta=0.5),
    "Tanh": _curve(math.tanh),
    "Softplus": _curve(lambda x: np.logaddexp(0, x)),
    "Softsign": _curve(lambda x: x / (1 + abs(x)) if math.isfinite(x) else math.copysign(1, x)),
    "Erf": _curve(math.erf),
    "Swish": _swish_row,
    "HardSwish": _curve(_gated(lambda x: _hard_sigmoid(x, 1 / 6)), -1.5),
    "Mish": _curve(_mish, _MISH_TURN),
    "Gelu": _gelu_row,
    "Exp": _curve(np.exp),
    "Log": _curve(lambda x: math.log(x) if x > 0 else -math.inf),
    "Sqrt": _curve(lambda x: math.sqrt(max(x, 0.0))),
    "Abs": _curve(abs, 0),
    "Atan": _curve(math.atan),
    "Asin": _curve(lambda x: math.asin(min(max(x, -1.0), 1.0))),
    "Acos": _curve(lambda x: math.acos(min(max(x, -1.0), 1.0))),
    "Sinh": _curve(math.sinh),
    "Cosh": _curve(math.cosh, 0),
    "Asinh": _curve(math.asinh),
    "Acosh": _curve(lambda x: math.acosh(max(x, 1.0))),
    "Sign": _curve(np.sign),
    "Floor": _curve(np.floor),
    "Ceil": _curve(np.ceil),
    "Round": _curve(np.round),
}
