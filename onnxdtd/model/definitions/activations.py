"""Activations with what stands before and behind them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from onnxdtd.model.definitions.body import Body

_ATTRIBUTES = {
    "Relu": (), "Tanh": (), "Sigmoid": (), "LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta"),
    "Clip": ("min", "max"),
}  # fmt: skip


def activated(b: Body, y: str, name: str, parameters: Sequence[float]) -> str:
    """y behind the activation that an attribute names; "" for none."""
    if not name:
        return y
    if name not in _ATTRIBUTES:
        raise b.refuse(f"its activation {name} is not one of {', '.join(_ATTRIBUTES)}")
    if name == "Clip":
        return b("Clip", y, *parameters)
    return b(name, y, **dict(zip(_ATTRIBUTES[name], parameters, strict=False)))


def gelu(b: Body, x: str) -> str:
    """x Phi(x)."""
    if b.opset >= 20:
        return b("Gelu", x)
    gate = b("Add", b("Erf", b("Div", x, math.sqrt(2))), 1.0)
    return b("Mul", b("Mul", x, gate), 0.5)


def tanh_gelu(b: Body, x: str) -> str:
    """x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2."""
    if b.opset >= 20:
        return b("Gelu", x, approximate="tanh")
    cube = b("Mul", b("Mul", x, x), x)
    inner = b("Mul", b("Add", x, b("Mul", cube, 0.044715)), math.sqrt(2 / math.pi))
    return b("Mul", b("Mul", x, b("Add", b("Tanh", inner), 1.0)), 0.5)


def swish(b: Body, x: str, alpha: float = 1.0) -> str:
    """x sigmoid(alpha x)."""
    return b("Mul", x, b("Sigmoid", x if alpha == 1 else b("Mul", x, alpha)))


def plain_gelu(b: Body) -> list[str]:
    """x Phi(x)."""
    return [gelu(b, b.x[0])]


def bias_gelu(b: Body) -> list[str]:
    """gelu(x + bias)."""
    return [gelu(b, b.sum(*b.x[:2]))]


def fast_gelu(b: Body) -> list[str]:
    """The tanh form of gelu(x + bias)."""
    return [tanh_gelu(b, b.sum(*b.x[:2]))]


def gemm_fast_gelu(b: Body) -> list[str]:
    """The tanh form of gelu(x W + bias)."""
    return [tanh_gelu(b, b.sum(b("MatMul", *b.x[:2]), b.x[2]))]


def quick_gelu(b: Body) -> list[str]:
    """x sigmoid(alpha x)."""
    return [swish(b, b.x[0], b.attribute("alpha", 1.702))]


def scaled_silu(b: Body) -> list[str]:
    """z sigmoid(z) with z = scale x."""
    scale = b.as_float(b.x[1]) if b.x[1] else b.attribute("alpha", 1.0)
    return [swish(b, b("Mul", b.x[0], scale))]


def bias_split_gelu(b: Body) -> list[str]:
    """left gelu(right), the halves of x + bias."""
    left, right = b.split(b.sum(*b.x[:2]), -1, 2)
    return [b("Mul", left, gelu(b, right))]


def bias_add(b: Body) -> list[str]:
    """x + bias + skip."""
    return [b.sum(*b.x[:3])]


def split_swiglu(b: Body) -> list[str]:
    """g sigmoid(alpha g) (l + beta), of a gate and a line, or of the halves of one value."""
    gate, line = b.x[:2] if b.x[1] else b.split(b.x[0], -1, 2)
    alpha, beta, limit = (
        b.attribute(name, default)
        for name, default in (("activation_alpha", 1.0), ("activation_beta", 0.0), ("limit", 0.0))
    )
    return [swiglu(b, gate, line, alpha, beta, limit if limit > 0 else math.inf)]


def swiglu(b: Body, gate: str, line: str, alpha: float, beta: float, limit: float) -> str:
    """g sigmoid(alpha g) (l + beta), with g = min(gate, limit) and l between -limit and limit."""
    if limit < math.inf:
        gate, line = b("Min", gate, limit), b("Max", b("Min", line, limit), -limit)
    line = b("Add", line, beta) if beta else line
    return b("Mul", swish(b, gate, alpha), line)
