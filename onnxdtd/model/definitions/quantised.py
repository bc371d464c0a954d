"""Operators on integers, each written out as dequantise -> the same operator on floats -> quantise.

Integers and rounding stay where the model has them, so every float is one that the quantised model computes with;
only sums are made in float32 instead of int32.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from onnx import TensorProto, numpy_helper

from onnxdtd.model.definitions.attention import projected
from onnxdtd.model.definitions.body import MOST_INPUTS, Body

_ALONG_AN_AXIS = 13
"""The first opset with one scale for each place on an axis."""


def dequantised(b: Body, x: int, scale: int, zero: int, axis: int | None = None) -> str:
    """(x - z) s of the inputs in these slots; slot -1: left out, s = 1, z = 0. axis: along which s and z may vary."""
    s, z = (b.x[slot] if slot >= 0 else "" for slot in (scale, zero))
    shapes = [b.shape(slot) for slot, name in ((scale, s), (zero, z)) if name]
    varying = next((shape for shape in shapes if math.prod(shape) > 1), ())
    if not s:
        s = b.constant(numpy_helper.from_array(np.ones(varying, np.float32)))
    if varying and (b.opset < _ALONG_AN_AXIS or len(varying) > 1):
        return _by_arithmetic(b, b.x[x], s, z, axis)
    along = {"axis": axis} if axis is not None and b.opset >= _ALONG_AN_AXIS else {}
    return b("DequantizeLinear", b.x[x], s, *[z] * bool(z), **along)


def _by_arithmetic(b: Body, x: str, s: str, z: str, axis: int | None) -> str:
    """The same where DequantizeLinear does not know such scales: broadcast, or along the first axis."""
    shape = b("Shape", x) if axis == 0 else ""
    if shape:
        x = b.reshape(x, 0, -1)
        s, z = (b.reshape(v, -1, 1) if v else "" for v in (s, z))
    y = b.cast(x, TensorProto.FLOAT)
    if z:
        y = b("Sub", y, b.cast(z, TensorProto.FLOAT))
    y = b("Mul", y, s)
    return b("Reshape", y, shape) if shape else y


def quantised(b: Body, y: str, scale: int, zero: int) -> list[str]:
    """y / s + z, rounded, of the type of the first input."""
    z, kind = b.x[zero], b.elem_type(0)
    if not z and kind == TensorProto.INT8:
        z = b.constant(numpy_helper.from_array(np.zeros((), np.int8)))
    return [b("QuantizeLinear", y, b.x[scale], *[z] * bool(z))]


def matmul_integer(b: Body) -> list[str]:
    """(A - z_a) (B - z_b), as integers."""
    if math.prod(b.shape(2)) > 1:
        raise b.refuse("its form with a zero point for each row has no definition")
    y = b("MatMul", dequantised(b, 0, -1, 2), dequantised(b, 1, -1, 3, -1))
    return [b.cast(y, TensorProto.INT32)]


def conv_integer(b: Body) -> list[str]:
    """The convolution of x - z_x and w - z_w, as integers."""
    y = b("Conv", dequantised(b, 0, -1, 2), dequantised(b, 1, -1, 3, 0), **b.attributes)
    return [b.cast(y, TensorProto.INT32)]


def _requantised(
    b: Body, sums: str, scales: tuple[int, int], result: int, rank: int = 0, factor: float = 1.0
) -> list[str]:
    """Whole sums times s_x s_w / s_y, rounded. In these units float32 sums are exact, and rounding falls as it does
    in onnxruntime. result: the slot of s_y, behind which z_y stands; without it the result is left in floats. rank:
    of sums whose second axis has one scale for each place."""
    scale = b("Mul", *(b.x[slot] for slot in scales))
    if factor != 1:
        scale = b("Mul", scale, factor)
    if b.x[result]:
        scale = b("Div", scale, b.x[result])
    if rank and math.prod(b.shape(scales[1])) > 1:
        scale = b.reshape(scale, -1, *[1] * (rank - 2))
    y = b("Mul", sums, scale)
    return [b("QuantizeLinear", y, b.floats(1.0), b.x[result + 1])] if b.x[result] else [y]


def _bias(b: Body, slot: int) -> list[str]:
    """An int32 bias, in units of the products."""
    return [b.cast(b.x[slot], TensorProto.FLOAT)] if b.x[slot] else []


def qlinear_conv(b: Body) -> list[str]:
    """The convolution of integers."""
    attributes = dict(b.attributes)
    if attributes.pop("channels_last", 0):
        raise b.refuse("its form with the channels last has no definition; save the model unoptimised")
    x, w = dequantised(b, 0, -1, 2), dequantised(b, 3, -1, 5, 0)
    return _requantised(b, b("Conv", x, w, *_bias(b, 8), **attributes), (1, 4), 6, b.rank(3))


def qlinear_matmul(b: Body) -> list[str]:
    """The product of integers."""
    y = b("MatMul", dequantised(b, 0, -1, 2), dequantised(b, 3, -1, 5, -1))
    return _requantised(b, y, (1, 4), 6)


def qgemm(b: Body) -> list[str]:
    """alpha s_a s_b (A B + C) with an int32 C; floats where no scale is given for the result."""
    attributes = dict(b.attributes)
    alpha, columns = attributes.pop("alpha", 1.0), 0 if attributes.get("transB") else 1
    y = b("Gemm", dequantised(b, 0, -1, 2), dequantised(b, 3, -1, 5, columns), *_bias(b, 6), **attributes)
    return _requantised(b, y, (1, 4), 7, factor=alpha)


def of_two(op: str) -> Callable[[Body], list[str]]:
    """The definition of an operator on two values."""
    return lambda b: quantised(b, b(op, dequantised(b, 0, 1, 2), dequantised(b, 3, 4, 5)), 6, 7)


def of_one(op: str) -> Callable[[Body], list[str]]:
    """The definition of an operator on one value."""
    return lambda b: quantised(b, b(op, dequantised(b, 0, 1, 2), **b.attributes), 3, 4)


def pool(op: str) -> Callable[[Body], list[str]]:
    """The definition of a pool, whose channels may be last."""

    def write(b: Body) -> list[str]:
        attributes, x = dict(b.attributes), dequantised(b, 0, 1, 2)
        if not attributes.pop("channels_last", 0):
            return quantised(b, b(op, x, **attributes), 3, 4)
        rank = b.rank(0)
        y = b(op, b.transpose(x, 0, rank - 1, *range(1, rank - 1)), **attributes)
        return quantised(b, b.transpose(y, 0, *range(2, rank), 1), 3, 4)

    return write


def softmax(b: Body) -> list[str]:
    """Up to opset 12 all axes from `axis` on count as one."""
    x, axis = dequantised(b, 0, 1, 2), b.attribute("axis", -1)
    if b.attribute("opset", b.opset) < _ALONG_AN_AXIS <= b.opset:
        rows = b("Softmax", b("Flatten", x, axis=axis), axis=-1)
        return quantised(b, b("Reshape", rows, b("Shape", x)), 3, 4)
    return quantised(b, b("Softmax", x, axis=axis), 3, 4)


def concat(b: Body) -> list[str]:
    """The result's scale and zero point come first, then three inputs for each part."""
    parts = [dequantised(b, i, i + 1, i + 2) for i in range(2, len(b.x) - 2, 3) if b.x[i]]
    return [b("QuantizeLinear", b("Concat", *parts, **b.attributes), *b.x[:2])]


def where(b: Body) -> list[str]:
    """One value or the other."""
    y = b("Where", b.x[0], dequantised(b, 1, 2, 3), dequantised(b, 4, 5, 6))
    return [b("QuantizeLinear", y, *b.x[7:9])]


def matmul_integer_to_float(b: Body) -> list[str]:
    """The product of integers in floats, and a bias."""
    return [b.sum(b("MatMul", dequantised(b, 0, 2, 4), dequantised(b, 1, 3, 5, -1)), b.x[6])]


def _dynamic(b: Body) -> str:
    """The first input, rounded in its own range."""
    return b("DequantizeLinear", *b.several(3, "DynamicQuantizeLinear", b.x[0]))


def dynamic_quantize_matmul(b: Body) -> list[str]:
    """x rounded in its own range, times integers, and a bias."""
    return [b.sum(b("MatMul", _dynamic(b), dequantised(b, 1, 2, 3, -1)), b.x[4])]


def dynamic_quantize_lstm(b: Body) -> list[str]:
    """Its weights are (D, I, 4H), with one scale a direction or one a gate. x is rounded as there, once for all
    steps; that it rounds its own state h at each step cannot be written out."""
    weights = [_lstm_weights(b, *slots) for slots in ((1, 8, 9), (2, 10, 11))]
    inputs = [_dynamic(b), *weights, *b.x[3:8]]
    while not inputs[-1]:
        inputs.pop()
    return b.several(3, "LSTM", *inputs, **b.attributes)


def _lstm_weights(b: Body, weights: int, scale: int, zero: int) -> str:
    w, z = (b.cast(b.x[slot], TensorProto.FLOAT) for slot in (weights, zero))
    shape = b.shape(scale)
    sizes = (shape[0], 1, -1) if len(shape) == 2 else (-1, 1, 1)
    s, z = (b.reshape(v, *sizes) for v in (b.x[scale], z))
    return b.transpose(b("Mul", b("Sub", w, z), s), 0, 2, 1)


def qattention(b: Body) -> list[str]:
    """Attention whose projections are products of integers."""
    joint = b.sum(b("MatMul", dequantised(b, 0, 3, 6), dequantised(b, 1, 4, 7, -1)), b.x[2])
    return projected(b, joint, mask=5, past=8, bias=MOST_INPUTS - 1, length=MOST_INPUTS - 1)
