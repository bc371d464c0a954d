"""Softmax, and all that divides by a statistic of the values."""

from __future__ import annotations

from tests.support.single_op import X, ex, w

SOFTMAXES = [
    ex("Softmax", X((2, 3, 4)), note="last"),
    ex("Softmax", X((2, 3, 4)), axis=1, note="axis"),
    ex("Softmax", X((2, 3, 4)), axis=-2, note="negative"),
    ex("Softmax", X((2, 3, 4)), opset=11, note="flattened"),
    ex("Softmax", X((2, 3, 4)), axis=2, opset=9, note="flattened-axis"),
    ex("Softmax", X((2, 3, 4)), axis=-2, opset=11, note="flattened-negative"),
    ex("LogSoftmax", X((2, 3, 4)), note="last"),
    ex("LogSoftmax", X((2, 3, 4)), axis=1, note="axis"),
    ex("LogSoftmax", X((2, 3, 4)), opset=11, note="flattened"),
]

NORMS = [
    ex("LayerNormalization", X((2, 3, 4)), w(4), w(4), note="last"),
    ex("LayerNormalization", X((2, 3, 4)), w(3, 4), axis=1, epsilon=1e-1, note="two-axes"),
    ex("LayerNormalization", X((2, 3, 4)), w(1), w(3, 1), axis=-2, note="broadcast"),
    ex(
        "LayerNormalization",
        X((2, 3, 4)),
        X((2, 3, 4)),
        X((2, 1, 4)),
        axis=-2,
        note="scale-and-shift-of-data",
    ),
    ex("RMSNormalization", X((2, 3, 4)), w(4), opset=23, note="last"),
    ex("RMSNormalization", X((2, 3, 4)), w(3, 4), opset=23, axis=1, epsilon=1e-1, note="two-axes"),
    ex("InstanceNormalization", X((2, 3, 4, 5)), w(3), w(3), note="2d"),
    ex("InstanceNormalization", X((2, 3, 5)), w(3), w(3), epsilon=1e-1, note="1d"),
    ex("GroupNormalization", X((2, 4, 3, 2)), w(4), w(4), num_groups=2, opset=21, note="per-channel"),
    ex("GroupNormalization", X((2, 6, 5)), w(6), w(6), num_groups=3, epsilon=1e-1, opset=22, note="1d"),
    ex("MeanVarianceNormalization", X((2, 3, 4, 5)), fixed=True),
    ex("MeanVarianceNormalization", X((2, 3, 4)), axes=[-1, 1], note="axes"),
    ex("LpNormalization", X((2, 3, 4)), note="l2"),
    ex("LpNormalization", X((2, 3, 4)), axis=1, p=1, note="l1"),
    ex("LRN", X((2, 5, 3, 2)), size=3, alpha=0.5, beta=0.6, bias=1.5, note="odd"),
    ex("LRN", X((2, 6, 3, 2)), size=5, alpha=0.3, note="wide"),
]

EXAMPLES = [*SOFTMAXES, *NORMS]
