"""Norms with the sums before them, and the embeddings of BERT.

mean and inv_std_var, which training reads, are not written out.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from onnxdtd.model.definitions.activations import swish
from onnxdtd.model.definitions.body import Body
from onnxdtd.model.definitions.products import TO_FIRST, TO_LAST


def skip_layer_normalization(b: Body) -> list[str]:
    """norm(x + bias + skip), and the sum."""
    x, skip, scale, shift, bias = b.x[:5]
    total = b.sum(x, bias, skip)  # the bias is that of the product that makes x
    return [layer_norm(b, total, scale, shift, b.attribute("epsilon", 1e-12)), "", "", total]


def skip_simplified_layer_normalization(b: Body) -> list[str]:
    """rms_norm(x + bias + skip), and the sum."""
    x, skip, scale, bias = b.x[:4]
    total = b.sum(x, bias, skip)
    return [b("Mul", over_root(b, total, b.attribute("epsilon", 1e-12)), scale), "", "", total]


def layer_normalization(b: Body) -> list[str]:
    """(x - mean) / std * scale + shift, of the last axis."""
    x, scale, shift = b.x[:3]
    return [layer_norm(b, x, scale, shift, b.attribute("epsilon", 1e-5))]


def simplified_layer_normalization(b: Body) -> list[str]:
    """x / root mean square * scale, of the last axis."""
    return [b("Mul", over_root(b, b.x[0], b.attribute("epsilon", 1e-5)), b.x[1])]


def gated_rms_norm(b: Body) -> list[str]:
    """x / root mean square * scale * f(gate), in groups as long as the scale."""
    x, scale, gate = b.x[:3]
    x_rows, gate_rows = (b.reshape(v, -1, b.size(scale, 0)) for v in (x, gate))
    factor = b("Sigmoid", gate_rows)
    if b.attribute("activation", "silu") != "sigmoid":
        factor = b("Mul", gate_rows, factor)
    y = b("Mul", b("Mul", over_root(b, x_rows, b.attribute("epsilon", 1e-5)), scale), factor)
    return [b("Reshape", y, b("Shape", x))]


def layer_norm(b: Body, x: str, scale: str, shift: str, epsilon: float) -> str:
    """(x - mean) / std * scale + shift, of the last axis."""
    if b.opset >= 17:
        return b("LayerNormalization", x, scale, *filter(None, [shift]), axis=-1, epsilon=epsilon)
    centre = b("Sub", x, b.mean(x))
    return b.sum(b("Mul", over_root(b, centre, epsilon), scale), shift)


def over_root(b: Body, x: str, epsilon: float) -> str:
    """x / sqrt(mean x^2 + epsilon), of the last axis."""
    return b("Mul", x, b("Reciprocal", b("Sqrt", b("Add", b.mean(b("Mul", x, x)), epsilon))))


def embed_layer_normalization(b: Body) -> list[str]:
    """norm(word + segment + position embedding), the length of each row by its mask, and the sum."""
    ids, segments, word, position, segment, scale, shift, mask, places = b.x[:9]
    length = b.size(ids, 1)
    at = b("Gather", position, places) if places else b.cut(position, 0, b.integers([0]), length)
    total = b.sum(b("Gather", word, ids), b("Gather", segment, segments) if segment else "", at)
    y = layer_norm(b, total, scale, shift, b.attribute("epsilon", 1e-12))
    return [y, _lengths(b, mask or ids, bool(mask)) if b.asked[1] else "", total]


def _lengths(b: Body, mask: str, counts: bool) -> str:
    """The number of ones in each row, int32; zeros without a mask."""
    ones = b.cast(mask) if counts else b("Mul", b.cast(mask), b.integers(0))
    return b.cast(b.reduce_sum(ones, 1, 0), TensorProto.INT32)


def group_norm(b: Body) -> list[str]:
    """Each group of channels over its mean and deviation, scaled and shifted by channel; then SiLU, where asked."""
    return [_group_norm(b, b.x[0])]


def skip_group_norm(b: Body) -> list[str]:
    """The group norm of x + skip + bias, and the sum."""
    x, skip, bias = b.x[0], b.x[3], b.x[4]
    last = b.attribute("channels_last", 1)
    if b.rank(3) == 2:
        skip = b.unsqueeze(skip, *((1, 2) if last else (2, 3)))
    if bias and not last:
        bias = b.unsqueeze(bias, 1, 2)
    total = b.sum(x, skip, bias)
    return [_group_norm(b, total), total]


def _group_norm(b: Body, x: str) -> str:
    last, groups = b.attribute("channels_last", 1), b.attribute("groups", 1)
    scale, shift = (b.unsqueeze(b.as_float(v), 1, 2) for v in b.x[1:3])
    x = b.transpose(x, *TO_FIRST) if last else x
    units = (b.floats(np.full(groups, value)) for value in (1, 0))
    rows = b(
        "InstanceNormalization", b.reshape(x, 0, groups, -1), *units, epsilon=b.attribute("epsilon", 1e-5)
    )
    y = b("Add", b("Mul", b("Reshape", rows, b("Shape", x)), scale), shift)
    y = swish(b, y) if b.attribute("activation", 0) else y
    return b.transpose(y, *TO_LAST) if last else y
