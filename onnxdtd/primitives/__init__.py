"""The seam: functions named as ONNX operators, each with a NumPy body and an ONNX meaning.

Read `seam` first (how one call serves both engines), then `traced` (the graph writer), then the primitives:
`arithmetic`, `shaping`, `sliding` (whose NumPy bodies are `convolution` and `pooling`), and `operator`: any ONNX
operator, and the adjoint of those that move values.
"""

from onnxdtd.primitives.arithmetic import (
    absolute,
    cast_like,
    equal,
    greater,
    less,
    mean_size,
    negative_part,
    quotient,
    relu,
    where,
)
from onnxdtd.primitives.operator import operator, positions, put_back
from onnxdtd.primitives.seam import Array, primitive, tracer_of
from onnxdtd.primitives.shaping import (
    along,
    concat,
    expand_like,
    matmul,
    pad,
    reduce_sum,
    reshape,
    reshape_like,
    slice_axes,
    static,
    swap_last,
    transpose,
    unbroadcast,
    unslice,
    unsqueeze,
)
from onnxdtd.primitives.sliding import conv, conv_transpose, max_pool_adjoint, max_pool_select
from onnxdtd.primitives.traced import Traced, Tracer

__all__ = [
    "Array",
    "Traced",
    "Tracer",
    "absolute",
    "along",
    "cast_like",
    "concat",
    "conv",
    "conv_transpose",
    "equal",
    "expand_like",
    "greater",
    "less",
    "matmul",
    "max_pool_adjoint",
    "max_pool_select",
    "mean_size",
    "negative_part",
    "operator",
    "pad",
    "positions",
    "primitive",
    "put_back",
    "quotient",
    "reduce_sum",
    "relu",
    "reshape",
    "reshape_like",
    "slice_axes",
    "static",
    "swap_last",
    "tracer_of",
    "transpose",
    "unbroadcast",
    "unslice",
    "unsqueeze",
    "where",
]
