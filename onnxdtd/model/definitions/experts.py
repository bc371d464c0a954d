"""A mixture of experts, each a network of two layers, of which a router picks some for each token."""

from __future__ import annotations

import math

from onnxdtd.model.definitions.activations import swiglu, swish, tanh_gelu
from onnxdtd.model.definitions.body import Body
from onnxdtd.model.definitions.packed import BYTE, unpacked


def mixture_of_experts(b: Body) -> list[str]:
    """sum over the k best experts of softmax(router) f(x W1' + b1) W2' + b2.

    All experts are computed, and those that were not picked count 0: sums are the same, and so are relevances.
    """
    x, router, *layers = b.x[:8]
    shares = _shares(b, router, bool(b.attribute("normalize_routing_weights", 0)))
    return [_mixed(b, x, shares, *layers)]


def quantised_mixture_of_experts(b: Body) -> list[str]:
    """The same with weights of a few bits, (experts, outputs, bytes), of which each output, or each block of its
    inputs, has a scale, and a zero point or 2^(bits - 1)."""
    names = {14: "router_weights", 15: "global scales", 16: "global scales", 17: "scales of activations"}
    unserved = [name for slot, name in names.items() if b.x[slot]]
    unserved += [b.attribute("quant_type", "int")] * (b.attribute("quant_type", "int") != "int")
    for name in ("weights_prepacked", "swiglu_limit_after_activation"):
        unserved += [name] * (b.attribute(name, 0) > 0)
    if unserved:
        raise b.refuse(f"its form with {' and '.join(dict.fromkeys(unserved))} has no definition")
    layers = []
    for number, slot in enumerate((2, 5, 8), 1):
        bits = b.attribute(f"fc{number}_expert_weight_bits", b.attribute("expert_weight_bits", 4))
        layers += [_weights(b, slot, 10 + number, bits) if b.x[slot] else "", b.x[slot + 2]]
    # onnxruntime's kernel normalises the shares of those that were picked, whatever the attribute says.
    return [_mixed(b, b.x[0], _shares(b, b.x[1], normalized=True), *layers)]


def _weights(b: Body, slot: int, zero: int, bits: int) -> str:
    """(experts, outputs, inputs) as floats."""
    if BYTE % bits:
        raise b.refuse(f"its form with {bits} bits has no definition")
    w, scales, block = b.x[slot], b.x[slot + 1], b.attribute("block_size", 0)
    if not scales:
        raise b.refuse("its form without scales has no definition")
    lead = b.size(w, 0), b.size(w, 1)
    rows = [-1, block] if block else [1, -1]
    q = b.reshape(unpacked(b, b.reshape(w, b("Mul", *lead), -1), bits), *lead, *rows)
    z = b.floats(2.0 ** (bits - 1))
    if b.x[zero] and block:
        points = b.reshape(unpacked(b, b.reshape(b.x[zero], b("Mul", *lead), -1), bits), *lead, -1)
        z = b.unsqueeze(b.cut(points, 2, b.integers([0]), b.size(scales, 2)), 3)
    elif b.x[zero]:
        points = unpacked(b, b.x[zero], bits)
        z = b.unsqueeze(b.cut(points, 1, b.integers([0]), lead[1]), 2, 3)
    scale = b.reshape(scales, *lead, -1, 1)
    return b.reshape(b("Mul", b("Sub", q, z), scale), *lead, -1)


def _mixed(
    b: Body, x: str, shares: str, w1: str, b1: str, w2: str, b2: str, w3: str = "", b3: str = ""
) -> str:
    if b.attribute("use_sparse_mixer", 0):
        raise b.refuse("its sparse mixer has no definition")
    tokens = b.unsqueeze(b.reshape(x, -1, b.size(x, b.rank(0) - 1)), 0)
    inner = _activated(b, _layer(b, tokens, w1, b1), _layer(b, tokens, w3, b3) if w3 else "")
    y = _layer(b, inner, w2, b2)
    total = b.reduce_sum(b("Mul", y, b.transpose(b.unsqueeze(shares, 2), 1, 0, 2)), 0, 0)
    return b("Reshape", total, b("Shape", x))


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


def _shares(b: Body, router: str, normalized: bool) -> str:
    """How much each expert counts, (tokens, experts): 0 for those that are not among the best."""
    k = b.attribute("k", 1)
    best, _ = b.several(2, "TopK", router, b.integers([k]), axis=1)
    least = b.part(best, 1, k - 1, k)
    below, above = b("Greater", least, router), b("Greater", router, least)
    # Of equal ones onnxruntime takes the last.
    equal = b("Not", b("Or", below, above))
    behind = b("CumSum", b.cast(equal), b.integers(1), reverse=1, exclusive=1)
    room = b("Sub", b.integers([k]), b.reduce_sum(b.cast(above), 1))
    left = b("Or", below, b("And", equal, b("Not", b("Less", behind, room))))
    picked = b("Where", left, 0.0, b("Softmax", router, axis=1))
    return b("Div", picked, b.reduce_sum(picked, 1)) if normalized else picked
