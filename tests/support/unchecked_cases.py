"""Nodes of onnxruntime's own operators that its CPU provider does not compute, and what to compute of their inputs
instead, written from what the operators mean."""

from __future__ import annotations

from collections.abc import Callable
from math import erf
from typing import Any

import numpy as np

from tests.support.fused_cases import Case, ints, w


def gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + np.vectorize(erf)(x / np.sqrt(2))) / 2


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def conv(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """2 x 2 windows, no padding; channels last."""
    n, height, width, _ = x.shape
    y = np.zeros((n, height - 1, width - 1, len(kernel)), np.float32)
    for i in range(2):
        for j in range(2):
            y += x[:, i : i + height - 1, j : j + width - 1] @ kernel[:, :, i, j].T
    return y + bias


def group_norm(x: np.ndarray, scale: np.ndarray, shift: np.ndarray, groups: int) -> np.ndarray:
    """Channels last."""
    rows = x.reshape(*x.shape[:-1], groups, -1)
    mean, var = (f(rows, axis=(1, 2, 4), keepdims=True) for f in (np.mean, np.var))
    return ((rows - mean) / np.sqrt(var + 1e-5)).reshape(x.shape) * scale + shift


def attended(q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int) -> np.ndarray:
    """Of one row, (positions, heads x size)."""
    q, k, v = (x.reshape(len(x), heads, -1).transpose(1, 0, 2) for x in (q, k, v))
    scores = np.exp(q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1]))
    y = scores / scores.sum(-1, keepdims=True) @ v
    return y.transpose(1, 0, 2).reshape(y.shape[1], -1)


def side_by_side(*parts: Any) -> np.ndarray:
    """Heads (batch, positions, heads, parts, size): queries, keys and values in one, or keys and values."""
    values = [x for part in parts for x in ([part] if part.ndim == 3 else np.moveaxis(part, 3, 0))]
    rows = zip(*(x.reshape(*x.shape[:2], -1) for x in values), strict=True)
    return np.stack([attended(*row, 3) for row in rows])


def packed(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Two rows of 3 and 2 tokens, 2 heads."""
    return np.concatenate([attended(q[rows], k[rows], v[rows], 2) for rows in (slice(0, 3), slice(3, 5))])


def relative(q: np.ndarray, q_bias: Any, places: Any, weight: Any, bias: Any, a: Any) -> np.ndarray:
    heads = (q + q_bias).reshape(2, 4, 3, 5).transpose(0, 2, 1, 3)
    u, r = np.split(sigmoid((heads @ weight + bias).reshape(2, 3, 4, 2, 4).sum(-1)), 2, -1)
    return (u * (r * a - 1) + 2) * places


def swiglu(gate: np.ndarray, line: np.ndarray) -> np.ndarray:
    """alpha 1.7, beta 1, limit 0.8."""
    gate, line = np.minimum(gate, 0.8), np.clip(line, -0.8, 0.8)
    return gate * sigmoid(1.7 * gate) * (line + 1)


def expert(x: np.ndarray, router: np.ndarray, w1: np.ndarray, w2: np.ndarray) -> np.ndarray:
    """The one best of three experts, its gates before its lines."""
    best = router.argmax(1)
    share = np.exp(router).max(1) / np.exp(router).sum(1)
    inner = [x[i] @ w1[e].T for i, e in enumerate(best)]
    rows = [(h[:6] * sigmoid(h[:6]) * h[6:]) @ w2[e].T for h, e in zip(inner, best, strict=True)]
    return np.stack(rows) * share[:, None]


def tanh_gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2


def with_past(q: Any, k: Any, v: Any, past_k: Any, past_v: Any) -> np.ndarray:
    rows = []
    for i in range(len(q)):
        old = [past[i].transpose(1, 0, 2).reshape(-1, 12) for past in (past_k, past_v)]
        rows.append(attended(q[i], np.concatenate([old[0], k[i]]), np.concatenate([old[1], v[i]]), 3))
    return np.stack(rows)


def grouped(q: Any, k: Any, v: Any, *_: Any) -> np.ndarray:
    """One position, whose share is 1; three queries to a head."""
    return np.repeat(v.reshape(2, 2, 16), 3, 1).reshape(2, 1, -1)


_SEQUENCES = [ints([0, 1, 2], [3, 4, 5]), ints(0, 3, 5)]
_MHA, _DMMHA, _NORM = "MultiHeadAttention", "DecoderMaskedMultiHeadAttention", {"activation": 0, "groups": 2}
OTHERS: dict[str, tuple[Case, Callable[..., Any]]] = {
    "queries, keys and values in one": (
        Case("MultiHeadAttention", [w(2, 4, 3, 3, 5)], "y", {"num_heads": 3}), side_by_side,
    ),
    "keys and values in one": (
        Case("MultiHeadAttention", [w(2, 4, 15), w(2, 6, 3, 2, 5)], "y", {"num_heads": 3}), side_by_side,
    ),
    "bias": (Case("BiasAdd", [w(2, 3, 4), w(4), w(2, 3, 4)]), lambda x, b, s: x + b + s),
    "split": (Case("BiasSplitGelu", [w(2, 3, 8), w(8)]), lambda x, b: (x + b)[..., :4] * gelu((x + b)[..., 4:])),
    "gemm": (Case("GemmFastGelu", [w(2, 3), w(3, 4), w(4)]), lambda x, a, b: tanh_gelu(x @ a + b)),
    "product": (Case("FusedMatMulActivation", [w(2, 3), w(3, 4)], "y", {"activation": "Relu", "alpha": 0.5}),
                lambda x, a: np.maximum(x @ a / 2, 0)),
    "groups": (Case("GroupNorm", [w(2, 3, 3, 4), w(4), w(4)], "y", _NORM), lambda x, a, b: group_norm(x, a, b, 2)),
    "groups, channels first": (
        Case("GroupNorm", [w(2, 4, 3, 3), w(4), w(4)], "y", {"activation": 1, "groups": 2, "channels_last": 0}),
        lambda x, a, b: (lambda y: y * sigmoid(y))(group_norm(np.moveaxis(x, 1, -1), a, b, 2)).transpose(0, 3, 1, 2)),
    "skip groups": (Case("SkipGroupNorm", [w(2, 3, 3, 4), w(4), w(4), w(2, 4), w(4)], "y", _NORM),
                    lambda x, a, b, s, c: group_norm(x + s[:, None, None] + c, a, b, 2)),
    "last": (Case("NhwcConv", [w(2, 4, 4, 3), w(5, 2, 2, 3), w(5)], "y", {"kernel_shape": [2, 2]}),
             lambda x, k, b: conv(x, k.transpose(0, 3, 1, 2), b)),
    "last, summed": (Case("NhwcFusedConv", [w(2, 4, 4, 3), w(5, 3, 2, 2), w(5), w(2, 3, 3, 5)], "y",
                          {"activation": "Relu"}),
                     lambda x, k, b, z: np.maximum(conv(x, k, b) + z, 0)),
    "packed": (Case("PackedAttention", [w(5, 6), w(6, 24), w(24), *_SEQUENCES], "y", {"num_heads": 2}),
               lambda x, a, b, *_: packed(*np.split(x @ a + b, 3, -1))),
    "unpadded": (Case("RemovePadding", [w(2, 4, 3), ints(3, 2)], "yyyy"),
                 lambda x, n: [np.concatenate([x[0, :3], x[1, :2]]), ints([0, 1, 2, 4], [5, 3, 6, 7]), ints(0, 3, 5),
                               ints(3)]),
    "padded": (Case("RestorePadding", [w(3, 2), ints([0, 3, 4], [1, 2, 5])]),
               lambda x, at: np.stack([[x[0], 0 * x[0], 0 * x[0]], [x[1], x[2], 0 * x[0]]])),
    "packed heads": (Case("PackedMultiHeadAttention", [w(5, 8), w(5, 8), w(5, 8), None, *_SEQUENCES], "y",
                          {"num_heads": 2}),
                     lambda q, k, v, *_: packed(q, k, v)),
    "relative": (Case("GatedRelativePositionBias", [w(2, 4, 15), w(15), w(1, 3, 4, 4), w(5, 8), w(8), w(1, 3, 1, 1)],
                      "y", {"num_heads": 3}), relative),
    "gate": (Case("SwiGLU", [w(2, 3), w(2, 3)], "y", {"activation_alpha": 1.7, "activation_beta": 1.0, "limit": 0.8}),
             swiglu),
    "gate in one": (Case("SwiGLU", [w(2, 6)]), lambda x: x[:, :3] * sigmoid(x[:, :3]) * x[:, 3:]),
    "all in one": (Case(_MHA, [w(2, 4, 3, 3, 4)], "y", {"num_heads": 3}),
                   lambda x: np.stack([attended(*row.transpose(2, 0, 1, 3).reshape(3, 4, 12), 3) for row in x])),
    "keys with values": (Case(_MHA, [w(2, 4, 12), w(2, 5, 3, 2, 4)], "y", {"num_heads": 3}),
                         lambda q, kv: np.stack([attended(a, *c.transpose(2, 0, 1, 3).reshape(2, 5, 12), 3)
                                                 for a, c in zip(q, kv, strict=True)])),
    "whole past": (Case(_DMMHA, [*(w(2, 1, 12) for _ in range(3)), None, None, w(2, 3, 5, 4), w(2, 3, 5, 4)], "y",
                        {"num_heads": 3}), lambda q, k, v, *past: with_past(q, k, v, *past)),
    "gates before lines": (Case("MoE", [w(5, 4), w(5, 3), w(3, 12, 4), None, w(3, 4, 6)], "y",
                                {"activation_type": "swiglu", "swiglu_fusion": 2}), expert),
    "normed queries": (Case("GroupQueryAttention", [w(2, 1, 96), w(2, 1, 32), w(2, 1, 32), None, None, ints(0, 0),
                                                    np.array(1, np.int32), *[None] * 7, w(16), w(16)], "y",
                            {"num_heads": 6, "kv_num_heads": 2}), grouped),
}  # fmt: skip
