"""Rows of different lengths without the padding between them, one behind the other, and back."""

from __future__ import annotations

from onnx import TensorProto

from onnxdtd.model.definitions.body import Body


def remove_padding(b: Body) -> list[str]:
    """The real tokens (tokens, size) of rows (batch, positions, size); where each of them, then each of the padding,
    stood, (batch, positions); where each row begins, and the last ends, (batch + 1,); and how long the longest is."""
    x, lengths = b.x[0], b.cast(b.x[1])
    real = b("Greater", b.unsqueeze(lengths, 1), b.unsqueeze(b.range(b.size(x, 1)), 0))
    flat = b.reshape(real, -1)
    places, padding = (b.reshape(b("NonZero", kept), -1) for kept in (flat, b("Not", flat)))
    rows = b("Gather", b.reshape(x, -1, b.size(x, 2)), places, axis=0)
    moved = b("Reshape", b.concat(0, places, padding), b("Shape", real))
    begins = b.concat(0, b.integers([0]), b("CumSum", lengths, b.integers(0)))
    numbers = (moved, begins, b.reduce_max(lengths, 0))
    return [rows, *(b.cast(n, TensorProto.INT32) if b.asked[i] else "" for i, n in enumerate(numbers, 1))]


def restore_padding(b: Body) -> list[str]:
    """The tokens (tokens, size) back at their places (batch, positions), and zeros elsewhere."""
    x, moved = b.x[0], b.cast(b.x[1])
    places = b.cut(b.reshape(moved, -1), 0, b.integers([0]), b.size(x, 0))
    shape = b.concat(0, b("Mul", b.size(moved, 0), b.size(moved, 1)), b.size(x, 1))
    rows = b("ScatterND", b("Expand", b.floats(0.0), shape), b.unsqueeze(places, 1), x)
    return [b.reshape(rows, b.size(moved, 0), b.size(moved, 1), b.size(x, 1))]
