"""A definition in the making: standard nodes that stand for one operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, TypeProto, helper, numpy_helper

from onnxdtd.errors import UnsupportedError

_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
_HALF = (-65504.0, 65504.0)
END = np.iinfo(np.int64).max
MOST_INPUTS = 24


class Body:
    """The nodes of a definition. x: the names of the inputs, "" for one left out. asked: whether each output is read.

    types: of the inputs, where they are known; a definition that needs to know more asks for `rank`.
    """

    def __init__(self, node: NodeProto, opset: int, types: Mapping[str, TypeProto]) -> None:
        self.x = [f"x{i}" if name else "" for i, name in enumerate(node.input)]
        self.x += [""] * (MOST_INPUTS - len(self.x))
        self.asked = [bool(name) for name in node.output] + [False] * MOST_INPUTS
        self.attributes = {a.name: _plain(helper.get_attribute_value(a)) for a in node.attribute}
        self.opset = opset
        self.nodes: list[NodeProto] = []
        self._types = [types.get(name, TypeProto()).tensor_type for name in node.input]
        kinds = [t.elem_type for t in self._types if t.elem_type in _FLOATS]
        self._kind = kinds[0] if kinds else TensorProto.FLOAT

    def refuse(self, reason: str) -> UnsupportedError:
        """What is raised of a form that has no definition."""
        return UnsupportedError(reason)

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute of the node."""
        return self.attributes.get(name, default)

    def rank(self, slot: int) -> int:
        """The number of axes of an input."""
        kind = self._types[slot]
        if not kind.HasField("shape"):
            raise self.refuse(f"how many axes its input {slot} has cannot be inferred")
        return len(kind.shape.dim)

    def shape(self, slot: int) -> tuple[int, ...]:
        """The lengths of an input, -1 for one that is not known; () where nothing is known, or it is left out."""
        dims = self._types[slot].shape.dim if slot < len(self._types) else ()
        return tuple(d.dim_value if d.HasField("dim_value") else -1 for d in dims)

    def elem_type(self, slot: int) -> int:
        """The element type of an input, 0 where it is not known."""
        return int(self._types[slot].elem_type)

    def __call__(self, op: str, *inputs: str | float, **attributes: Any) -> str:
        """Add a node; numbers become constants of the operator's floating-point type."""
        return self.several(1, op, *inputs, **attributes)[0]

    def several(self, count: int, op: str, *inputs: str | float, **attributes: Any) -> list[str]:
        """Add a node of more than one output."""
        names = [x if isinstance(x, str) else self.floats(x) for x in inputs]
        outputs = [f"v{len(self.nodes)}_{i}" if count > 1 else f"v{len(self.nodes)}" for i in range(count)]
        self.nodes.append(helper.make_node(op, names, outputs, **attributes))
        return outputs

    def floats(self, value: npt.ArrayLike) -> str:
        """A constant of the operator's floating-point type."""
        array = np.asarray(value, np.float32)
        if self._kind == TensorProto.FLOAT16:
            array = np.clip(array, *_HALF)
        return self.constant(helper.make_tensor("", self._kind, array.shape, array.reshape(-1).tolist()))

    def integers(self, value: npt.ArrayLike) -> str:
        """An int64 constant."""
        return self.constant(numpy_helper.from_array(np.asarray(value, np.int64)))

    def constant(self, tensor: TensorProto) -> str:
        """A constant."""
        return self("Constant", value=tensor)

    def cast(self, x: str, like: int = 0) -> str:
        """x in another element type, int64 by default."""
        return self("Cast", x, to=like or TensorProto.INT64)

    def as_float(self, x: str) -> str:
        """x in the operator's floating-point type."""
        return self.cast(x, self._kind)

    def sum(self, *values: str) -> str:
        """The sum of the values that are given."""
        terms = [value for value in values if value]
        total = terms[0]
        for value in terms[1:]:
            total = self("Add", total, value)
        return total

    def size(self, x: str, axis: int) -> str:
        """The length of x along an axis, (1,)."""
        if self.opset >= 15 and axis >= 0:
            return self("Shape", x, start=axis, end=axis + 1)
        return self("Gather", self("Shape", x), self.integers([axis]))

    def reshape(self, x: str, *sizes: int | str) -> str:
        """x in another shape; 0 keeps a length, -1 is what is left, a name is a length (1,)."""
        if all(isinstance(size, int) for size in sizes):
            return self("Reshape", x, self.integers(sizes))
        parts = [size if isinstance(size, str) else self.integers([size]) for size in sizes]
        return self("Reshape", x, self("Concat", *parts, axis=0))

    def transpose(self, x: str, *perm: int) -> str:
        """x with its axes in another order."""
        return self("Transpose", x, perm=perm)

    def unsqueeze(self, x: str, *axes: int) -> str:
        """x with axes of length 1."""
        return self._with_axes("Unsqueeze", x, axes, 13)

    def squeeze(self, x: str, *axes: int) -> str:
        """x without axes of length 1."""
        return self._with_axes("Squeeze", x, axes, 13)

    def mean(self, x: str) -> str:
        """The mean over the last axis."""
        return self._with_axes("ReduceMean", x, (-1,), 18, keepdims=1)

    def reduce_sum(self, x: str, axis: int, keepdims: int = 1) -> str:
        """The sum over an axis."""
        return self._with_axes("ReduceSum", x, (axis,), 13, keepdims=keepdims)

    def reduce_max(self, x: str, axis: int) -> str:
        """The largest value along an axis, which is kept."""
        return self._with_axes("ReduceMax", x, (axis,), 18, keepdims=1)

    def _with_axes(self, op: str, x: str, axes: Sequence[int], inputs_since: int, **more: Any) -> str:
        if self.opset >= inputs_since:
            return self(op, x, self.integers(axes), **more)
        return self(op, x, axes=axes, **more)

    def split(self, x: str, axis: int, parts: int | Sequence[int]) -> list[str]:
        """Equal parts of x along an axis, or parts of these lengths."""
        count = parts if isinstance(parts, int) else len(parts)
        if isinstance(parts, int):
            return self.several(
                count, "Split", x, axis=axis, **({"num_outputs": count} if self.opset >= 18 else {})
            )
        if self.opset >= 13:
            return self.several(count, "Split", x, self.integers(parts), axis=axis)
        return self.several(count, "Split", x, axis=axis, split=parts)

    def cut(self, x: str, axis: int, start: str, end: str = "") -> str:
        """x from a start to an end, (1,) each, along an axis; to its end by default."""
        return self("Slice", x, start, end or self.integers([END]), self.integers([axis]))

    def part(self, x: str, axis: int, start: int, end: int = END) -> str:
        """x from a start to an end along an axis."""
        return self.cut(x, axis, self.integers([start]), self.integers([end]))

    def concat(self, axis: int, *parts: str) -> str:
        """The values side by side; those left out do not count."""
        present = [part for part in parts if part]
        return self("Concat", *present, axis=axis) if len(present) > 1 else present[0]

    def range(self, length: str) -> str:
        """0, 1, ... below a length (1,)."""
        return self("Range", self.integers(0), self.squeeze(length, 0), self.integers(1))


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
