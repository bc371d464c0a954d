"""Shapes of what the commonest operators make: to ask onnx for them takes half the time of compiling."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper

from onnxdtd.types import Dimension

ELEMENTWISE = {"Abs", "Add", "Clip", "Div", "Erf", "Exp", "HardSigmoid", "Max", "Min", "Mul", "Neg", "Relu", "Sqrt",
               "Sub", "Tanh"}  # fmt: skip

Shape = tuple[Dimension, ...]


def shape_of(node: onnx.NodeProto, shapes: Sequence[Shape]) -> Shape | None:
    """The shape of the one output, from those of the inputs that are there; None where inference has to say it. The
    output is of the type that all inputs have."""
    if node.op_type in ELEMENTWISE:
        return broadcast(shapes)
    if node.op_type == "MatMul":
        return _product(*shapes)
    if node.op_type == "Transpose":
        order = next((helper.get_attribute_value(a) for a in node.attribute), range(len(shapes[0]))[::-1])
        return tuple(shapes[0][axis] for axis in order)
    return None


def broadcast(shapes: Sequence[Shape]) -> Shape | None:
    """What these shapes broadcast to; None where two sizes differ and neither is 1."""
    rank = max(map(len, shapes))
    sizes: list[Dimension] = []
    for axis in range(-rank, 0):
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
