"""Op by op: where the outputs lie if the inputs lie in their domains. An op without a row is unbounded.

`TABLE` maps an op to its row: a function of the op's place in the graph.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from onnx import numpy_helper

from onnxdtd.domains.activations import ACTIVATIONS, gated
from onnxdtd.domains.interval import ANY, NONNEGATIVE, SIGNED_UNIT, ZERO, At, Domain, Row, of_array


def _mul(at: At) -> Domain:
    a, b = at.node.inputs
    if a == b:
        return at.x.through(lambda x: x * x, 0)
    found = gated(at, 0, at.maker(1)) or gated(at, 1, at.maker(0))
    return found or at.domain(0) * at.domain(1)


def _pow(at: At) -> Domain:
    p = at.domain(1)
    if p.low != p.high or p.low <= 0:
        return NONNEGATIVE if at.x.nonnegative else ANY
    if p.low % 1:
        return at.x.through(lambda x: np.float64(max(x, 0.0)) ** p.low)
    return at.x.through(lambda x: np.float64(x) ** p.low, 0)


def _mean(at: At) -> Domain:
    return functools.reduce(Domain.__add__, at.all) * Domain(1 / len(at.all), 1 / len(at.all))


def _reduce_sum(at: At) -> Domain:
    """n times the range where the number n of terms is static, else its sign."""
    before, after = (_elements(at, name) for name in (at.node.inputs[0], at.node.output))
    return at.x * (Domain(before / after, before / after) if before and after else NONNEGATIVE)


def _elements(at: At, name: str) -> int:
    """The number of elements of a value, 0 if it is not static."""
    shape = at.graph.value(name).shape
    return 0 if shape is None else math.prod(size if isinstance(size, int) else 0 for size in shape)


# What moves, copies and pools values.


def _pad(at: At) -> Domain:
    if at.attribute("mode", "constant") != "constant":
        return at.x
    value = at.attribute("value", 0.0)
    return at.x | (at.domain(2) if at.has(2) else Domain(value, value))


def _average_pool(at: At) -> Domain:
    pads = any(at.attribute("pads", ())) or at.attribute("auto_pad", "NOTSET").startswith("SAME")
    return at.x | ZERO if at.attribute("count_include_pad", 0) and pads else at.x


def _resize(at: At) -> Domain:
    if at.attribute("mode", "nearest") == "cubic":
        return ANY
    outside = at.attribute("extrapolation_value", 0.0)
    crops = at.attribute("coordinate_transformation_mode") == "tf_crop_and_resize"
    return at.x | Domain(outside, outside) if crops else at.x


def _grid_sample(at: At) -> Domain:
    return ANY if "cubic" in at.attribute("mode", "linear") else at.x | ZERO


def _scatter(at: At) -> Domain:
    return at.x | at.domain(2) if at.attribute("reduction", "none") == "none" else ANY


def _constant_of_shape(at: At) -> Domain:
    value = at.attribute("value")
    return ZERO if value is None else of_array(numpy_helper.to_array(value))


def _recurrent(at: At) -> Domain:
    """The hidden state is gate * tanh or tanh; the cell state of an LSTM has no bound."""
    return ANY if at.index > 1 or "activations" in at.node.attributes else SIGNED_UNIT


def _same(at: At) -> Domain:
    return at.x


def _hull(at: At) -> Domain:
    return functools.reduce(Domain.__or__, at.all)


def _or_zero(at: At) -> Domain:
    return at.x | ZERO


_SAME = (
    "Identity Cast CastLike Reshape Flatten Squeeze Unsqueeze Transpose Slice Split Expand Tile Compress "
    "Gather GatherElements GatherND DepthToSpace SpaceToDepth ReverseSequence TopK Upsample MaxPool "
    "GlobalMaxPool GlobalAveragePool ReduceMax ReduceMin ReduceMean Unique"
)
_OR_ZERO = "Trilu MaxUnpool MaxRoiPool RoiAlign CenterCropPad"
_NONNEGATIVE = "ReduceL1 ReduceL2 ReduceSumSquare LpPool GlobalLpPool"

TABLE: dict[str, Row] = {
    **ACTIVATIONS,
    **dict.fromkeys(_SAME.split(), _same),
    **dict.fromkeys(_OR_ZERO.split(), _or_zero),
    **dict.fromkeys(_NONNEGATIVE.split(), lambda at: NONNEGATIVE),
    **dict.fromkeys(("LSTM", "RNN"), _recurrent),
    **dict.fromkeys(("Scatter", "ScatterElements", "ScatterND"), _scatter),
    "TensorScatter": lambda at: at.x | at.domain(1),
    "LpNormalization": lambda at: SIGNED_UNIT,
    "Dropout": lambda at: at.x * NONNEGATIVE if at.has(2) else at.x,  # in training it scales
    "Neg": lambda at: -at.x,
    "Reciprocal": lambda at: at.x.reciprocal(),
    "Pow": _pow,
    "Add": lambda at: at.domain(0) + at.domain(1),
    "Sub": lambda at: at.domain(0) + -at.domain(1),
    "Mul": _mul,
    "Div": lambda at: at.domain(0) * at.domain(1).reciprocal(),
    "Sum": lambda at: functools.reduce(Domain.__add__, at.all),
    "Mean": _mean,
    "Max": lambda at: Domain(max(d.low for d in at.all), max(d.high for d in at.all)),
    "Min": lambda at: Domain(min(d.low for d in at.all), min(d.high for d in at.all)),
    "Where": lambda at: at.domain(1) | at.domain(2),
    "Concat": _hull,
    "Pad": _pad,
    "AveragePool": _average_pool,
    "Resize": _resize,
    "GridSample": _grid_sample,
    "OneHot": lambda at: at.domain(2),
    "ConstantOfShape": _constant_of_shape,
    "ReduceSum": _reduce_sum,
    **dict.fromkeys(("ReduceProd", "CumProd"), lambda at: NONNEGATIVE if at.x.nonnegative else ANY),
    **dict.fromkeys(("CumSum", "Col2Im"), lambda at: at.x * NONNEGATIVE),
}
