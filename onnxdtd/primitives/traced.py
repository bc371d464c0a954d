"""Tensors that are not there yet: a `Traced` stands for a value of the ONNX graph that a `Tracer` writes.

A tracer is passed by value inside its Traced tensors, never global. Equal constants and equal nodes are written
once. Types and shapes come from ONNX's own inference of each node, so a symbolic batch stays symbolic.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from onnxdtd.errors import UnsupportedError

Dimension = int | str | None
PREFIX = "onnxdtd/"


@dataclass
class Tracer:
    """Collects nodes and constants; names start with `PREFIX`, which the model being explained must not use.

    opset: the default domain's version that the nodes are written for (13 or newer: axes are inputs there).
    """

    opset: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    _by_content: dict[Any, Any] = field(default_factory=dict, repr=False)

    def value(self, name: str, dtype: npt.DTypeLike, shape: Sequence[Dimension]) -> Traced:
        """A tensor that the graph already has under `name`."""
        return Traced(self, name, np.dtype(dtype), tuple(shape))

    def constant(self, array: npt.ArrayLike, name: str = "") -> Traced:
        """An initializer, written once for equal contents. `name`: the one it already has in the graph."""
        data = np.ascontiguousarray(array).reshape(np.shape(array))
        key = (data.dtype.str, data.shape, hashlib.sha1(data.tobytes()).digest())
        if key not in self._by_content:
            label = name or f"{PREFIX}constant_{len(self.constants)}"
            self.constants[label] = data
            self._by_content[key] = label
        return Traced(self, self._by_content[key], data.dtype, data.shape)

    def emit(
        self, op: str, *inputs: Any, shape: Sequence[Dimension] | None = None, **attributes: Any
    ) -> Traced:
        """Add one node and return its first output; NumPy inputs and numbers become constants.

        shape: given where inference cannot know it (a Reshape to another tensor's shape).
        """
        dtype = next(x.dtype for x in inputs if isinstance(x, Traced))
        tensors = [x if isinstance(x, Traced) else self.constant(_like(x, dtype)) for x in inputs]
        names = [t.name for t in tensors]
        key = (op, tuple(names), repr(sorted(attributes.items())))
        if key in self._by_content:
            known: Traced = self._by_content[key]
            return known
        output = f"{PREFIX}{op}_{len(self.nodes)}"
        node = helper.make_node(op, names, [output], name=output, **attributes)
        kind, inferred = self._infer(node, tensors)
        traced = Traced(
            self, output, np.dtype(helper.tensor_dtype_to_np_dtype(kind)), tuple(shape or inferred)
        )
        self.nodes.append(node)
        self._by_content[key] = traced
        return traced

    def _infer(self, node: onnx.NodeProto, tensors: list[Traced]) -> tuple[int, tuple[Dimension, ...]]:
        schema = onnx.defs.get_schema(node.op_type, self.opset)
        types = {t.name: t.type_proto for t in tensors}
        small = {
            t.name: numpy_helper.from_array(self.constants[t.name], t.name)
            for t in tensors
            if t.name in self.constants and self.constants[t.name].size <= 64
        }
        opsets = [helper.make_opsetid("", self.opset)]
        found = shape_inference.infer_node_outputs(schema, node, types, small, None, opsets)
        tensor = found[node.output[0]].tensor_type
        if not tensor.HasField("shape"):
            raise UnsupportedError(
                f"{node.op_type} cannot be compiled: the rank of its result is not known before run time; "
                "use engine='numpy'"
            )
        dims = tuple(
            d.dim_value if d.HasField("dim_value") else (d.dim_param or None) for d in tensor.shape.dim
        )
        return tensor.elem_type, dims


@dataclass(frozen=True, eq=False)
class Traced:
    """A tensor of the graph being written: name, dtype, and shape with names for symbolic dimensions."""

    # NumPy arrays on the left of an operator defer to the methods below.
    __array_ufunc__ = None

    tracer: Tracer = field(repr=False)
    name: str
    dtype: np.dtype[Any]
    shape: tuple[Dimension, ...]

    @property
    def ndim(self) -> int:
        """The rank."""
        return len(self.shape)

    @property
    def type_proto(self) -> onnx.TypeProto:
        """The ONNX type, as inference wants it."""
        kind = helper.np_dtype_to_tensor_dtype(self.dtype) if self.dtype != bool else TensorProto.BOOL
        return helper.make_tensor_type_proto(kind, self.shape)

    def __add__(self, other: Any) -> Traced:
        return self.tracer.emit("Add", self, other)

    def __radd__(self, other: Any) -> Traced:
        return self.tracer.emit("Add", other, self)

    def __sub__(self, other: Any) -> Traced:
        return self.tracer.emit("Sub", self, other)

    def __rsub__(self, other: Any) -> Traced:
        return self.tracer.emit("Sub", other, self)

    def __mul__(self, other: Any) -> Traced:
        return self.tracer.emit("Mul", self, other)

    def __rmul__(self, other: Any) -> Traced:
        return self.tracer.emit("Mul", other, self)

    def __truediv__(self, other: Any) -> Traced:
        return self.tracer.emit("Div", self, other)

    def __rtruediv__(self, other: Any) -> Traced:
        return self.tracer.emit("Div", other, self)

    def __neg__(self) -> Traced:
        return self.tracer.emit("Neg", self)


def _like(x: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A Python number takes the dtype of the traced operand, as NumPy's own promotion does."""
    return np.asarray(x, dtype) if isinstance(x, (int, float)) else np.asarray(x)
