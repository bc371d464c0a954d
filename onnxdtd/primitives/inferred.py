"""Types of what nodes make. Shapes of the commonest operators are said here: to ask onnx for them takes half the time
of compiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper, shape_inference

from onnxdtd.primitives.call import Call
from onnxdtd.types import Dimension

ELEMENTWISE = {"Abs", "Add", "Clip", "Div", "Erf", "Exp", "HardSigmoid", "Max", "Min", "Mul", "Neg", "Relu", "Sqrt",
               "Sub", "Tanh"}  # fmt: skip

Shape = tuple[Dimension, ...]
Type = tuple[np.dtype[Any], Sequence[Dimension] | None]
"""dtype and shape; None where not even the rank is known."""


def shape_of(op: str, shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> Shape | None:
    """The shape of the one output, from those of the inputs that are there; None where inference has to say it. The
    output is of the type that all inputs have."""
    if op in ELEMENTWISE:
        return broadcast(shapes)
    if op == "MatMul":
        return _product(*shapes)
    if op == "Transpose":
        order = attributes.get("perm", range(len(shapes[0]))[::-1])
        return tuple(shapes[0][axis] for axis in order)
    return None


def broadcast(shapes: Sequence[Shape]) -> Shape | None:
    """What these shapes broadcast to; None where two sizes differ and neither is 1."""
    longest = max(shapes, key=len)
    if shapes.count(longest) + shapes.count(()) >= len(shapes):
        return longest
    sizes: list[Dimension] = []
    for axis in range(-len(longest), 0):
        others = {shape[axis] for shape in shapes if len(shape) >= -axis} - {1}
        if len(others) > 1:
            return None
        sizes.append(others.pop() if others else 1)
    return tuple(sizes)


def _product(one: Shape, other: Shape) -> Shape | None:
    if min(len(one), len(other)) < 2 or one[-1] != other[-2]:
        return None
    lead = broadcast([one[:-2], other[:-2]])
    return None if lead is None else (*lead, one[-2], other[-1])


def infer(
    node: Call,
    types: Mapping[str, onnx.TypeProto],
    constants: Mapping[str, npt.NDArray[Any]],
    opset: int,
) -> list[Type]:
    """The types of all outputs, as onnx infers them. types: of the inputs; constants: those inputs that may say how
    large an output is."""
    proto = node.write(onnx.GraphProto())
    schema = onnx.defs.get_schema(node.op_type, opset)
    data = {name: numpy_helper.from_array(array, name) for name, array in constants.items()}
    opsets = [helper.make_opsetid("", opset)]
    inferred = shape_inference.infer_node_outputs(schema, proto, {**types}, data, None, opsets)
    return [_described(inferred[name].tensor_type) for name in node.outputs]


def _described(tensor: Any) -> Type:
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if not tensor.HasField("shape"):
        return dtype, None
    dims = (d.dim_value if d.HasField("dim_value") else (d.dim_param or None) for d in tensor.shape.dim)
    return dtype, tuple(dims)
