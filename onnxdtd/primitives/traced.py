"""Tensors that are not there yet: a `Traced` stands for a value of the ONNX graph that a `Tracer` writes.

A tracer is passed by value inside its Traced tensors, never global. Equal constants and equal nodes are written
once, and a constant that another one holds in other order (transposed, mirrored) is read from there. Types and
shapes come from ONNX's own inference of each node, so a symbolic batch stays symbolic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from onnxdtd.errors import UnsupportedError
from onnxdtd.primitives.inferred import shape_of
from onnxdtd.primitives.stored import fingerprint, stored
from onnxdtd.types import Dimension

PREFIX = "onnxdtd/"
QUOTIENT = "Div"
BROADCAST = {"Add", "Sub", "Mul", QUOTIENT}


@dataclass
class Tracer:
    """Collects nodes and constants; names start with `PREFIX`, which the model being explained must not use.

    opset: the default domain's version that the nodes are written for (13 or newer: axes are inputs there).
    shapes: of what the nodes make. prefix: how the names begin; depth: how many graphs lie around, see `body`.
    """

    opset: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    shapes: dict[str, tuple[Dimension, ...]] = field(default_factory=dict)
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    prefix: str = PREFIX
    depth: int = 0
    _numbers: Iterator[int] = field(default_factory=count, repr=False)
    _by_content: dict[Any, Any] = field(default_factory=dict, repr=False)
    _expanded: dict[str, npt.NDArray[Any]] = field(default_factory=dict, repr=False)

    def value(self, name: str, dtype: npt.DTypeLike, shape: Sequence[Dimension]) -> Traced:
        """A tensor that the graph already has under `name`; a size of which nothing is known is called after it."""
        sizes = (f"{name}/{axis}" if size is None else size for axis, size in enumerate(shape))
        return Traced(self, name, np.dtype(dtype), tuple(sizes))

    def constant(self, array: npt.ArrayLike, name: str = "") -> Traced:
        """An initializer, written once for equal contents. `name`: the one it already has in the graph."""
        data, order, mirrored = stored(np.asarray(array), not name)
        key = fingerprint(data)
        if key not in self._by_content:
            label = name or f"{PREFIX}constant_{next(self._numbers)}"
            self.constants[label] = data
            self._by_content[key] = label
        tensor = Traced(self, self._by_content[key], data.dtype, data.shape)
        if order != tuple(range(data.ndim)):
            tensor = self.emit("Transpose", tensor, perm=order)
        if mirrored:
            ones = np.ones(len(mirrored), np.int64)
            axes = np.array(mirrored, np.int64)
            tensor = self.emit("Slice", tensor, -ones, ones * np.iinfo(np.int64).min, axes, -ones)
        return tensor

    def tensor(self, x: Any) -> Traced:
        """x as a value of the graph: an array becomes a constant."""
        return x if isinstance(x, Traced) else self.constant(x)

    def label(self, data: npt.NDArray[Any]) -> str | None:
        """The name under which equal data are stored, None where they are not."""
        name: str | None = self._by_content.get(fingerprint(data))
        return name

    def expanded(self, x: Any) -> npt.NDArray[Any] | None:
        """The constant that x is an expansion of, None where x is none."""
        return self._expanded.get(x.name) if isinstance(x, Traced) else None

    def emit(
        self, op: str, *inputs: Any, shape: Sequence[Dimension] | None = None, **attributes: Any
    ) -> Traced:
        """Add one node and return its first output; NumPy inputs and numbers become constants, None is an
        optional input left out. The node goes into the deepest graph that an input belongs to.

        shape: given where inference cannot know it (a Reshape to another tensor's shape).
        """
        return self.emit_all(op, *inputs, shapes=(shape,), **attributes)[0]

    def emit_all(
        self, op: str, *inputs: Any, shapes: Sequence[Sequence[Dimension] | None], **attributes: Any
    ) -> tuple[Traced, ...]:
        """As `emit`, but all outputs: as many as there are shapes, of which each may be None."""
        inner = tracer_of(*inputs)
        if inner is not None and inner.depth > self.depth:
            return inner.emit_all(op, *inputs, shapes=shapes, **attributes)
        inputs = self._narrowed(inputs) if op in BROADCAST else inputs
        dtype = _promoted(inputs)
        operands = [
            x if x is None or isinstance(x, Traced) else self.constant(_like(x, dtype)) for x in inputs
        ]
        tensors = [t for t in operands if t is not None]
        names = ["" if t is None else t.name for t in operands]
        key = (op, tuple(names), len(shapes), repr(sorted(attributes.items())) if attributes else "")
        if key not in self._by_content:
            label = f"{self.prefix}{op}_{len(self.nodes)}"
            outputs = [f"{label}{f'_{i}' if i else ''}" for i in range(len(shapes))]
            node = onnx.NodeProto(op_type=op, input=names, output=outputs, name=label)
            for name, value in attributes.items():
                node.attribute.append(helper.make_attribute(name, value))
            types = [
                (kind, inferred if shape is None else tuple(shape))
                for (kind, inferred), shape in zip(self._infer(node, tensors), shapes, strict=True)
            ]
            self._by_content[key] = self.put(node, types)
            if op == "Expand" and tensors[0].name in self.constants:
                self._expanded[label] = self.constants[tensors[0].name]
        traced: tuple[Traced, ...] = self._by_content[key]
        return traced

    def put(
        self, node: onnx.NodeProto, types: Sequence[tuple[int, tuple[Dimension, ...] | None]]
    ) -> tuple[Traced, ...]:
        """Add a node whose outputs have these element types and shapes."""
        if any(shape is None for _, shape in types):
            raise UnsupportedError(
                f"{node.op_type} cannot be compiled: the rank of its result is not known before run time; "
                "use engine='numpy'"
            )
        self.nodes.append(node)
        made = tuple(
            self.value(name, helper.tensor_dtype_to_np_dtype(kind), shape or ())
            for name, (kind, shape) in zip(node.output, types, strict=True)
        )
        self.shapes.update({value.name: value.shape for value in made})
        return made

    def _narrowed(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """An operand that was expanded to the shape of the other one, as the constant it was: it broadcasts."""
        x, y = inputs
        if isinstance(x, Traced) and isinstance(y, Traced) and x.shape == y.shape:
            one, other = self.expanded(x), self.expanded(y)
            if (one is None) != (other is None):
                return (x, other) if one is None else (one, y)
        return inputs

    def _infer(
        self, node: onnx.NodeProto, tensors: list[Traced]
    ) -> list[tuple[int, tuple[Dimension, ...] | None]]:
        if (shape := shape_of(node, [t.shape for t in tensors])) is not None and len(
            {t.dtype for t in tensors}
        ) == 1:
            return [(helper.np_dtype_to_tensor_dtype(tensors[0].dtype), shape)]
        schema = onnx.defs.get_schema(node.op_type, self.opset)
        types = {t.name: t.type_proto for t in tensors}
        small = {
            t.name: numpy_helper.from_array(self.constants[t.name], t.name)
            for t in tensors
            if t.name in self.constants and self.constants[t.name].size <= 64
        }
        opsets = [helper.make_opsetid("", self.opset)]
        inferred = shape_inference.infer_node_outputs(schema, node, types, small, None, opsets)
        return [_described(inferred[name].tensor_type) for name in node.output]


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
        return self.tracer.emit(QUOTIENT, self, other)

    def __rtruediv__(self, other: Any) -> Traced:
        return self.tracer.emit(QUOTIENT, other, self)

    def __neg__(self) -> Traced:
        return self.tracer.emit("Neg", self)


def tracer_of(*arrays: Any) -> Tracer | None:
    """The tracer of the traced arguments, None when all are NumPy: of nested ones the deepest, whose graph sees the
    values of those around it."""
    deepest: Tracer | None = None
    for array in arrays:
        inner = tracer_of(*array) if isinstance(array, (list, tuple)) else getattr(array, "tracer", None)
        if inner is not None and (deepest is None or inner.depth > deepest.depth):
            deepest = inner
    return deepest


def _described(tensor: Any) -> tuple[int, tuple[Dimension, ...] | None]:
    if not tensor.HasField("shape"):
        return tensor.elem_type, None
    dims = (d.dim_value if d.HasField("dim_value") else (d.dim_param or None) for d in tensor.shape.dim)
    return tensor.elem_type, tuple(dims)


def _promoted(inputs: Sequence[Any]) -> np.dtype[Any]:
    """The dtype that numbers take: that of the first floating operand, traced ones before arrays."""
    traced = [x.dtype for x in inputs if isinstance(x, Traced)]
    dtypes = traced or [x.dtype for x in inputs if isinstance(x, np.ndarray)]
    return next((dtype for dtype in dtypes if dtype.kind == "f"), dtypes[0])


def _like(x: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A number takes the dtype of the traced operand, and so do floats of another precision."""
    if isinstance(x, (int, float)):
        return np.asarray(x, dtype)
    array = np.asarray(x)
    return array.astype(dtype, copy=False) if array.dtype.kind == dtype.kind == "f" else array
