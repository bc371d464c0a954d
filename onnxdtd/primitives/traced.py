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
from onnx import TensorProto, helper

from onnxdtd.errors import UnsupportedError
from onnxdtd.primitives.call import Call
from onnxdtd.primitives.inferred import Type, infer, shape_of
from onnxdtd.primitives.stored import Fingerprints, stored
from onnxdtd.types import Dimension

PREFIX = "onnxdtd/"
QUOTIENT = "Div"
BROADCAST = {"Add", "Sub", "Mul", QUOTIENT}
SIZES = 64  # Elements of a constant that may say how large something is.


@dataclass
class Tracer:
    """Collects nodes and constants; names start with `PREFIX`, which the model being explained must not use.

    opset: the default domain's version that the nodes are written for (13 or newer: axes are inputs there).
    shapes: of what the nodes make. prefix: how the names begin; depth: how many graphs lie around, see `body`.
    """

    opset: int
    nodes: list[Call] = field(default_factory=list)
    shapes: dict[str, tuple[Dimension, ...]] = field(default_factory=dict)
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    prefix: str = PREFIX
    depth: int = 0
    _numbers: Iterator[int] = field(default_factory=count, repr=False)
    _by_content: dict[Any, Any] = field(default_factory=dict, repr=False)
    _expanded: dict[str, npt.NDArray[Any]] = field(default_factory=dict, repr=False)
    _types: dict[Any, list[Type]] = field(default_factory=dict, repr=False)
    _fingerprints: Fingerprints = field(default_factory=Fingerprints, repr=False)

    def value(self, name: str, dtype: npt.DTypeLike, shape: Sequence[Dimension]) -> Traced:
        """A tensor that the graph already has under `name`; a size of which nothing is known is called after it."""
        sizes = tuple(shape)
        if None in sizes:
            sizes = tuple(f"{name}/{axis}" if size is None else size for axis, size in enumerate(sizes))
        return Traced(self, name, np.dtype(dtype), sizes)

    def forget(self) -> None:
        """Let go of arrays: what was traced and the tracer know each other, and such circles Python frees late."""
        self.constants, self._by_content, self._expanded, self._fingerprints = {}, {}, {}, Fingerprints()

    def constant(self, array: npt.ArrayLike, name: str = "") -> Traced:
        """An initializer, written once for equal contents. `name`: the one it already has in the graph."""
        data, order, mirrored = stored(np.asarray(array), not name)
        key = self._fingerprints.of(data)
        tensor: Traced | None = self._by_content.get(key)
        if tensor is None:
            label = name or f"{PREFIX}constant_{next(self._numbers)}"
            self.constants[label] = data
            self._by_content[key] = tensor = Traced(self, label, data.dtype, data.shape)
        if order != tuple(range(data.ndim)):
            tensor = self.emit("Transpose", tensor, perm=order)
        if mirrored:
            ones, axes = np.ones(len(mirrored), np.int64), np.array(mirrored, np.int64)
            tensor = self.emit("Slice", tensor, -ones, ones * np.iinfo(np.int64).min, axes, -ones)
        return tensor

    def tensor(self, x: Any) -> Traced:
        """x as a value of the graph: an array becomes a constant."""
        return x if isinstance(x, Traced) else self.constant(x)

    def label(self, data: npt.NDArray[Any]) -> str | None:
        """The name under which equal data are stored, None where they are not."""
        tensor: Traced | None = self._by_content.get(self._fingerprints.of(data))
        return None if tensor is None else tensor.name

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
        operands = self._operands(self._narrowed(inputs) if op in BROADCAST else inputs)
        names = ["" if t is None else t.name for t in operands]
        spelled = repr(sorted(attributes.items())) if attributes else ""
        key = (op, *names, len(shapes), spelled)
        made: tuple[Traced, ...] | None = self._by_content.get(key)
        if made is None:
            label = f"{self.prefix}{op}_{len(self.nodes)}"
            outputs = [label, *[f"{label}_{i}" for i in range(1, len(shapes))]]
            node = Call(op, names, outputs, label, attributes)
            inferred = zip(self._infer(node, operands, spelled), shapes, strict=True)
            types = [(dtype, own if shape is None else shape) for (dtype, own), shape in inferred]
            self._by_content[key] = made = self.put(node, types)
            if op == "Expand" and names[0] in self.constants:
                self._expanded[label] = self.constants[names[0]]
        return made

    def put(
        self, node: Call, types: Sequence[tuple[np.dtype[Any], Sequence[Dimension] | None]]
    ) -> tuple[Traced, ...]:
        """Add a node whose outputs have these dtypes and shapes."""
        made = []
        for name, (dtype, shape) in zip(node.outputs, types, strict=True):
            if shape is None:
                raise UnsupportedError(
                    f"{node.op_type} cannot be compiled: the rank of its result is not known before run time; "
                    "use engine='numpy'"
                )
            made.append(value := self.value(name, dtype, shape))
            self.shapes[name] = value.shape
        self.nodes.append(node)
        return tuple(made)

    def _operands(self, inputs: Sequence[Any]) -> list[Traced | None]:
        """The inputs as values of the graph. A number takes the dtype of the first floating operand, traced ones
        before arrays; an array of floats does, too."""
        traced = [x for x in inputs if isinstance(x, Traced)]
        if len(traced) == len(inputs):
            return [*traced]
        dtypes = [x.dtype for x in traced or inputs if isinstance(x, (Traced, np.ndarray))]
        dtype = next((dtype for dtype in dtypes if dtype.kind == "f"), dtypes[0])
        return [x if x is None or isinstance(x, Traced) else self.constant(_like(x, dtype)) for x in inputs]

    def _narrowed(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """An operand that was expanded to the shape of the other one, as the constant it was: it broadcasts."""
        x, y = inputs
        if self._expanded and isinstance(x, Traced) and isinstance(y, Traced) and x.shape == y.shape:
            one, other = self.expanded(x), self.expanded(y)
            if (one is None) != (other is None):
                return (x, other) if one is None else (one, y)
        return inputs

    def _infer(self, node: Call, operands: Sequence[Traced | None], spelled: str) -> list[Type]:
        """The types of what a node makes. spelled: its attributes."""
        tensors = [t for t in operands if t is not None]
        first, *others = [t.dtype for t in tensors]
        shape = shape_of(node.op_type, [t.shape for t in tensors], node.attributes)
        if shape is not None and others.count(first) == len(others):
            return [(first, shape)]
        small = {t.name for t in tensors if t.name in self.constants and self.constants[t.name].size <= SIZES}
        forms = [None if t is None else t.name if t.name in small else (t.dtype, t.shape) for t in operands]
        key = (node.op_type, spelled, len(node.outputs), *forms)
        types: list[Type] | None = self._types.get(key)
        if types is None:
            arrays = {name: self.constants[name] for name in small}
            self._types[key] = types = infer(
                node, {t.name: t.type_proto for t in tensors}, arrays, self.opset
            )
        return types


@dataclass(eq=False, slots=True)
class Traced:
    """A tensor of the graph being written: name, dtype, and shape with names for symbolic dimensions. Nobody changes
    one; it is not frozen because there is one for each node, and frozen ones take three times as long to make."""

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
        if isinstance(array, Traced):
            inner: Tracer | None = array.tracer
        else:
            inner = tracer_of(*array) if isinstance(array, (list, tuple)) else None
        if inner is not None and (deepest is None or inner.depth > deepest.depth):
            deepest = inner
    return deepest


def _like(x: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A number takes the dtype of the traced operand, and so do floats of another precision."""
    if isinstance(x, (int, float)):
        return np.asarray(x, dtype)
    array = np.asarray(x)
    return array.astype(dtype, copy=False) if array.dtype.kind == dtype.kind == "f" else array
