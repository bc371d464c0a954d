"""The curves of activations that gate themselves, y = x s(x), however they are spelled, and where they lie."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from onnxdtd.domains.interval import ANY, At, Domain

# GELU's two forms: the normal density at 0, and u = STRAIGHT x + CUBIC x^3.
DENSITY = 1 / math.sqrt(2 * math.pi)
STRAIGHT = 2 * math.sqrt(2 / math.pi)
CUBIC = STRAIGHT * 0.044715
# Where each curve is least.
SILU_TURN, MISH_TURN = -1.2784645427610738, -1.1924312172726177
GELU_TURNS = {"none": -0.7517915246935645, "tanh": -0.7524614220710162}


def clipped_line(x: float, alpha: float = 0.2, beta: float = 0.5) -> float:
    """alpha x + beta within 0 and 1."""
    return min(max(alpha * x + beta, 0.0), 1.0)


def _gated(share: Callable[[float], Any]) -> Callable[[float], Any]:
    """x * share(x), where the share goes to zero faster than x to -inf."""
    return lambda x: 0.0 if x == -math.inf else x * share(x)


silu_of = _gated(lambda x: 1 / (1 + np.exp(-x)))
mish_of = _gated(lambda x: np.tanh(np.logaddexp(0, x)))
hard_swish_of = _gated(lambda x: clipped_line(x, 1 / 6))
GELUS = {
    "none": _gated(lambda x: 0.5 + 0.5 * math.erf(x / math.sqrt(2))),
    "tanh": _gated(lambda x: 0.5 + 0.5 * math.tanh((STRAIGHT * x + CUBIC * x**3) / 2)),
}


def range_of_gelu(at: At) -> Domain:
    """By its form; unbounded for a form that ONNX does not have."""
    form = at.attribute("approximate", "none")
    return at.x.through(GELUS[form], GELU_TURNS[form]) if form in GELUS else ANY


def range_of_swish(at: At) -> Domain:
    """Of x sigmoid(alpha x)."""
    alpha = at.attribute("alpha", 1.0)
    return at.x.through(lambda x: silu_of(alpha * x) / alpha, SILU_TURN / alpha) if alpha > 0 else ANY


def range_of_gated(at: At, slot: int) -> Domain | None:
    """The range of SiLU, HardSwish and Mish written as x times a gate; None if the other slot is no gate of x."""
    name, x, gate = at.node.inputs[slot], at.domain(slot), at.maker(1 - slot)
    if gate is None or gate.domain:
        return None
    if gate.op == "Sigmoid" and gate.inputs[0] == name:
        return x.through(silu_of, SILU_TURN)
    if gate.op == "HardSigmoid" and gate.inputs[0] == name:
        alpha, beta = gate.attributes.get("alpha", 0.2), gate.attributes.get("beta", 0.5)
        share = partial(clipped_line, alpha=alpha, beta=beta)
        return x.through(_gated(share), -beta / alpha / 2, (1 - beta) / alpha) if alpha > 0 else None
    inner = at.graph.producers.get(gate.inputs[0]) if gate.op == "Tanh" else None
    is_mish = inner is not None and inner.op == "Softplus" and inner.inputs[0] == name
    return x.through(mish_of, MISH_TURN) if is_mish else None
