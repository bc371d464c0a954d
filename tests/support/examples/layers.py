"""Layers, pools, activations and simple moves."""

from __future__ import annotations

import numpy as np

from tests.support.single_op import X, ex, ints, w

CONV = [
    ex("Conv", X((2, 3, 7, 6)), w(4, 3, 3, 3), w(4), note="2d"),
    ex("Conv", X((2, 3, 7, 6)), w(4, 3, 3, 3), pads=[1, 0, 2, 1], strides=[2, 1], note="strided-pads"),
    ex("Conv", X((2, 4, 8, 8)), w(6, 2, 3, 3), w(6), group=2, dilations=[2, 1], note="grouped-dilated"),
    ex("Conv", X((2, 4, 8, 8)), w(8, 1, 3, 3), w(8), group=4, pads=[1, 1, 1, 1], note="depthwise-multiplier"),
    ex("Conv", X((2, 5, 6, 6)), w(3, 5, 1, 1), w(3), note="1x1"),
    ex("Conv", X((2, 5, 7, 7)), w(3, 5, 1, 1), strides=[2, 2], note="1x1-strided"),
    ex("Conv", X((2, 3, 8, 7)), w(4, 3, 3, 2), w(4), auto_pad="SAME_UPPER", strides=[2, 2], note="same-upper"),
    ex("Conv", X((2, 3, 8, 7)), w(4, 3, 2, 4), auto_pad="SAME_LOWER", note="same-lower"),
    ex("Conv", X((2, 3, 8, 7)), w(4, 3, 3, 3), auto_pad="VALID", note="valid"),
    ex("Conv", X((2, 3, 11)), w(4, 3, 5), w(4), strides=[2], pads=[2, 2], note="1d"),
    ex("Conv", X((2, 2, 5, 4, 6)), w(3, 2, 3, 2, 3), w(3), pads=[1, 0, 1, 1, 1, 0], note="3d"),
    ex("Conv", X((2, 3, 7, 6)), w(4, 3, 3, 3), w(4), opset=9, note="opset9"),
    ex("ConvTranspose", X((2, 3, 4, 5)), w(3, 4, 3, 3), w(4), note="2d"),
    ex("ConvTranspose", X((2, 4, 4, 5)), w(4, 3, 3, 3), group=2, strides=[2, 2], pads=[1, 1, 1, 1],
       output_padding=[1, 0], note="grouped-strided"),
    ex("ConvTranspose", X((2, 3, 4, 5)), w(3, 2, 3, 3), strides=[2, 2], output_shape=[9, 10], note="output-shape"),
    ex("ConvTranspose", X((2, 3, 4, 5)), w(3, 2, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER", note="same-upper"),
    ex("ConvTranspose", X((2, 3, 6)), w(3, 2, 4), w(2), strides=[3], dilations=[2], note="1d-dilated"),
]  # fmt: skip

DENSE = [
    ex("Gemm", X((3, 4)), w(4, 5), w(5)),
    ex("Gemm", X((3, 4)), w(5, 4), w(1, 5), transB=1, alpha=0.5, beta=2.0, note="flags"),
    ex("Gemm", X((3, 4)), w(4, 5), note="no-bias"),
    ex("Gemm", w(5, 3), X((3, 4)), note="right", fixed=True, alpha=1.5),
    ex("Gemm", w(3, 5), X((3, 4)), w(4), note="right-transA", fixed=True, transA=1),
    ex("Gemm", X((3, 4)), w(4, 5), X((3, 5)), beta=0.5, note="data-bias"),
    ex("MatMul", X((3, 4)), w(4, 5), note="2d"),
    ex("MatMul", X((2, 3, 4)), w(4, 5), note="3d"),
    ex("MatMul", X((2, 3, 4)), w(2, 4, 5)[:1], note="batched"),
    ex("MatMul", X((2, 1, 3, 4)), w(6, 4, 5), note="broadcast"),
    ex("MatMul", w(5, 3), X((2, 3, 4)), note="left"),
    ex("MatMul", X((2, 3, 4)), w(4), note="vector-right"),
    ex("MatMul", w(3), X((2, 3, 4)), note="vector-left"),
]

SUMS = [
    ex("Add", X((2, 3, 4)), X((2, 3, 4)), note="two"),
    ex("Add", X((2, 3, 4)), X((2, 1, 4)), note="broadcast"),
    ex("Add", X((2, 3, 4)), w(3, 1), note="bias"),
    ex("Add", w(1, 5, 3, 4), X((2, 1, 3, 4)), note="bias-broadcasts-data"),
    ex("Sub", X((2, 3)), X((2, 3)), note="two"),
    ex("Sub", w(3), X((2, 3)), note="from-constant"),
    ex("Sum", X((2, 3)), X((2, 3)), w(3), note="three"),
    ex("Sum", X((2, 3)), note="one"),
    ex("Mean", X((2, 3)), X((2, 1)), w(3), note="three"),
]

SCALES = [
    ex("Mul", X((2, 3, 4)), w(3, 1), note="right"),
    ex("Mul", w(4, 3, 1), X((2, 1, 3, 1)), note="left-broadcast"),
    ex("Div", X((2, 3)), w(3)),
    ex("Neg", X((2, 3))),
    ex("BatchNormalization", X((2, 3, 4, 4)), w(3), w(3), w(3), np.abs(w(3)), epsilon=1e-2),
    ex("BatchNormalization", X((2, 3)), w(3), w(3), w(3), np.abs(w(3)), note="2d", opset=9),
    ex("Scaler", X((2, 3)), domain="ai.onnx.ml", offset=[1.0, 2.0, 3.0], scale=[0.5, 2.0, -1.0]),
    ex("Scaler", X((2, 3)), domain="ai.onnx.ml", offset=[1.0], scale=[0.5], note="one-factor"),
]

POOLS = [
    ex("AveragePool", X((2, 3, 6, 6)), kernel_shape=[2, 2], strides=[2, 2], note="plain"),
    ex("AveragePool", X((2, 3, 7, 6)), kernel_shape=[3, 2], pads=[1, 0, 1, 1], note="pads-not-counted"),
    ex("AveragePool", X((2, 3, 7, 6)), kernel_shape=[3, 2], pads=[1, 0, 1, 1], count_include_pad=1,
       note="pads-counted"),
    ex("AveragePool", X((2, 2, 7, 7)), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, note="ceil"),
    ex("AveragePool", X((2, 2, 8, 7)), kernel_shape=[3, 3], strides=[3, 2], pads=[1, 1, 1, 1], ceil_mode=1,
       count_include_pad=1, note="ceil-counted"),
    ex("AveragePool", X((2, 2, 7, 7)), kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER", note="same"),
    ex("AveragePool", X((2, 3, 9)), kernel_shape=[3], strides=[2], note="1d"),
    ex("AveragePool", X((2, 2, 4, 4, 4)), kernel_shape=[2, 2, 2], note="3d"),
    ex("AveragePool", X((2, 2, 9, 9)), kernel_shape=[3, 3], dilations=[2, 2], opset=19, note="dilated"),
    ex("GlobalAveragePool", X((2, 3, 4, 5))),
    ex("GlobalAveragePool", X((2, 3, 5)), note="1d"),
    ex("ReduceMean", X((2, 3, 4, 5)), axes=[2, 3], note="attribute"),
    ex("ReduceMean", X((2, 3, 4, 5)), axes=[-1], keepdims=0, note="dropped"),
    ex("ReduceMean", X((2, 3, 4)), ints(1, 2), opset=18, note="input"),
    ex("ReduceSum", X((2, 3, 4)), ints(1), keepdims=0, note="input"),
    ex("ReduceSum", X((2, 3, 4)), opset=11, axes=[1, 2], note="attribute"),
    ex("ReduceSum", X((2, 3, 4)), noop_with_empty_axes=1, note="noop"),
]  # fmt: skip

SELECTIONS = [
    ex("MaxPool", X((2, 3, 6, 6)), kernel_shape=[2, 2], strides=[2, 2], note="plain"),
    ex(
        "MaxPool", X((2, 3, 7, 7)), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], note="overlapping"
    ),
    ex("MaxPool", X((2, 2, 7, 7)), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, note="ceil"),
    ex("MaxPool", X((2, 2, 8, 8)), kernel_shape=[3, 2], dilations=[2, 1], note="dilated"),
    ex("MaxPool", X((2, 2, 7, 7)), kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER", note="same"),
    ex("MaxPool", X((2, 3, 9)), kernel_shape=[4], strides=[2], note="1d"),
    ex("MaxPool", X((2, 2, 4, 5, 4)), kernel_shape=[2, 3, 2], note="3d"),
    ex("GlobalMaxPool", X((2, 3, 4, 5))),
]

ACTIVATIONS = [
    ex("Relu", X((2, 3, 4))),
    ex("LeakyRelu", X((2, 3, 4)), alpha=0.2),
    ex("Sigmoid", X((2, 3, 4))),
    ex("Tanh", X((2, 3, 4))),
    ex("Clip", X((2, 3, 4)), np.float32(-0.5), np.float32(0.7), note="inputs"),
    ex("Clip", X((2, 3, 4)), None, np.float32(0.7), note="high-only"),
    ex("Clip", X((2, 3, 4)), min=0.0, max=0.6, opset=9, note="attributes"),
]

ROUTES = [
    ex("Reshape", X((2, 3, 4)), ints(0, 12)),
    ex("Reshape", X((2, 3, 4)), ints(-1, 2, 6), note="minus-one"),
    ex("Flatten", X((2, 3, 4))),
    ex("Flatten", X((2, 3, 4, 2)), axis=2, note="axis2", fixed=True),
    ex("Squeeze", X((2, 1, 4, 1)), ints(1, 3), note="input"),
    ex("Squeeze", X((2, 1, 4, 1)), axes=[1], opset=11, note="attribute"),
    ex("Unsqueeze", X((2, 3)), ints(1, -1), note="input"),
    ex("Unsqueeze", X((2, 3)), axes=[2], opset=11, note="attribute"),
    ex("Identity", X((2, 3))),
    ex("Dropout", X((2, 3))),
    ex("Cast", X((2, 3)), to=1),
    ex("Transpose", X((2, 3, 4, 5)), perm=[0, 2, 3, 1]),
    ex("Transpose", X((3, 4)), note="default", fixed=True),
    ex("Concat", X((2, 3, 4)), X((2, 2, 4)), axis=1, note="two"),
    ex("Concat", X((2, 3, 4)), w(2, 3, 1), X((2, 3, 2)), axis=-1, note="constant-between", fixed=True),
    ex("Slice", X((2, 5, 6)), ints(1, 0), ints(4, 100), ints(1, 2), ints(1, 2), note="steps"),
    ex("Slice", X((2, 5, 6)), ints(-1), ints(-(2**40)), ints(1), ints(-2), note="backwards"),
    ex("Slice", X((2, 5, 6)), ints(0, 1), ints(2, -1), note="no-axes", fixed=True),
    ex("Slice", X((2, 5, 6)), starts=[1, 2], ends=[3, 5], axes=[1, 2], opset=9, note="attributes"),
    ex("Pad", X((2, 3, 4)), ints(0, 1, 0, 0, 2, 3), note="zeros"),
    ex("Pad", X((2, 3, 4)), ints(0, 1, 0, 0, 0, 1), np.float32(1.5), note="constant"),
    ex("Pad", X((2, 3, 4)), ints(0, 1, -1, 0, 0, 2), note="cropping"),
    ex("Pad", X((2, 3, 5)), ints(0, 0, 2, 0, 1, 3), mode="reflect", note="reflect"),
    ex("Pad", X((2, 3, 5)), ints(0, 1, 2, 0, 1, 3), mode="edge", note="edge"),
    ex("Pad", X((2, 3, 5)), ints(2, 1), None, ints(2), opset=18, note="axes"),
    ex("Pad", X((2, 3, 4)), pads=[0, 1, 0, 0, 0, 1], value=0.5, opset=9, note="attributes"),
]

EXAMPLES = [*CONV, *DENSE, *SUMS, *SCALES, *POOLS, *SELECTIONS, *ACTIVATIONS, *ROUTES]
