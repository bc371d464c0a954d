"""Elementwise operators at points: plain NumPy, since a pass asks for the values of very many."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from onnxdtd.model.node import Node
from onnxdtd.types import Array

_erf = np.vectorize(math.erf, otypes=[np.float64])
_FORMULAS: dict[str, Callable[..., Any]] = {
    "Abs": np.abs,
    "Add": np.add,
    "Div": np.divide,
    "Erf": lambda x: _erf(x).astype(x.dtype),
    "Exp": np.exp,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Log": np.log,
    "Max": lambda *xs: reduce(np.maximum, xs),
    "Min": lambda *xs: reduce(np.minimum, xs),
    "Mul": np.multiply,
    "Neg": np.negative,
    "Pow": lambda x, p: np.power(x, p).astype(x.dtype),
    "Relu": lambda x: np.maximum(x, np.zeros((), x.dtype)),
    "Sigmoid": lambda x: (1 / (1 + np.exp(-x.astype(np.float64)))).astype(x.dtype),
    "Sign": np.sign,
    "Softplus": lambda x: np.logaddexp(np.zeros((), x.dtype), x),
    "Sub": np.subtract,
    "Tanh": np.tanh,
    "Where": np.where,
}


def values_of(node: Node, inputs: Sequence[Array | None]) -> Array:
    """What the node makes of these inputs, None for those that are left out. KeyError for another operator."""
    attribute = node.attributes.get
    if node.op == "Clip":
        x, low, high = (*inputs, None, None)[:3]
        low = attribute("min", -np.inf) if low is None else low
        high = attribute("max", np.inf) if high is None else high
        result: Any = np.minimum(np.maximum(np.asarray(x), low), high)
    elif node.op == "HardSigmoid":
        result = np.clip(attribute("alpha", 0.2) * np.asarray(inputs[0]) + attribute("beta", 0.5), 0, 1)
    else:
        return np.asarray(_FORMULAS[node.op](*inputs))
    return np.asarray(result.astype(np.asarray(inputs[0]).dtype))
