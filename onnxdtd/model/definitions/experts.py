"""A mixture of experts, each a network of two layers, of which a router picks some for each token."""

from __future__ import annotations

import math

from onnxdtd.model.definitions.activations import swiglu, swish, tanh_gelu
from onnxdtd.model.definitions.body import Body


def mixture_of_experts(b: Body) -> list[str]:
    """sum over the k best experts of softmax(router) f(x W1' + b1) W2' + b2.

    All experts are computed, and those that were not picked count 0: sums are the same, and so are relevances.
    """
    x, router, w1, b1, w2, b2, w3, b3 = b.x[:8]
    if b.attribute("use_sparse_mixer", 0):
        raise b.refuse("its sparse mixer has no definition")
    tokens = b.unsqueeze(b.reshape(x, -1, b.size(x, b.rank(0) - 1)), 0)
    inner = _activated(b, _layer(b, tokens, w1, b1), _layer(b, tokens, w3, b3) if w3 else "")
    y = _layer(b, inner, w2, b2)
    shares = b.transpose(b.unsqueeze(_shares(b, router), 2), 1, 0, 2)
    total = b.reduce_sum(b("Mul", y, shares), 0, 0)
    return [b("Reshape", total, b("Shape", x))]


def _layer(b: Body, x: str, weights: str, bias: str) -> str:
    """(experts or 1, tokens, in) -> (experts, tokens, out)."""
    return b.sum(b("MatMul", x, b.transpose(weights, 0, 2, 1)), b.unsqueeze(bias, 1) if bias else "")


def _activated(b: Body, x: str, line: str) -> str:
    kind = b.attribute("activation_type", "relu")
    if kind == "swiglu":
        fusion = b.attribute("swiglu_fusion", 0)
        if not fusion and not line:
            raise b.refuse("its swiglu has one projection, and swiglu_fusion does not say how two share it")
        if fusion == 1:
            x, line = (b.squeeze(part, 3) for part in b.split(b.reshape(x, 0, 0, -1, 2), 3, 2))
        elif fusion == 2:
            x, line = b.split(x, 2, 2)
        alpha, beta = b.attribute("activation_alpha", 1.0), b.attribute("activation_beta", 0.0)
        return swiglu(b, x, line, alpha, beta, b.attribute("swiglu_limit", math.inf))
    plain = {
        "relu": lambda: b("Relu", x),
        "gelu": lambda: tanh_gelu(b, x),
        "silu": lambda: swish(b, x),
        "identity": lambda: x,
    }
    if kind not in plain:
        raise b.refuse(f"its activation {kind} is not one of {', '.join((*plain, 'swiglu'))}")
    return b("Mul", plain[kind](), line) if line else plain[kind]()


def _shares(b: Body, router: str) -> str:
    """How much each expert counts, (tokens, experts): 0 for those that are not among the best."""
    k = b.attribute("k", 1)
    shares = b("Softmax", router, axis=1)
    best, _ = b.several(2, "TopK", router, b.integers([k]), axis=1)
    least = b.part(best, 1, k - 1, k)
    picked = b("Where", b("Greater", least, router), 0.0, shares)
    if not b.attribute("normalize_routing_weights", 0):
        return picked
    return b("Div", picked, b.reduce_sum(picked, 1))
