"""A node and a value of the graph: what the ONNX file says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnxdtd.errors import ModelError, one_line
from onnxdtd.types import Dimension


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor's static description: ONNX element type and shape (None: rank unknown; a name: symbolic).

    missing: of an input, NaN stands for a missing value, which the model knows how to take. whole: of an input of
    integers, the model's file has floats there. unbatched: of an input, the model's file has no batch axis: the
    first one, of length 1, is added, and an array without it is one sample.
    """

    name: str
    elem_type: int = TensorProto.UNDEFINED
    shape: tuple[Dimension, ...] | None = None
    missing: bool = False
    whole: bool = False
    unbatched: bool = False

    @property
    def is_float(self) -> bool:
        """Whether relevance can flow through it: a floating-point tensor."""
        return self.elem_type in _FLOATS

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of the element type."""
        return np.dtype(helper.tensor_dtype_to_np_dtype(self.elem_type))

    @property
    def itemsize(self) -> int:
        """Bytes of one element; of a type that is not known as of float32."""
        return 4 if self.elem_type == TensorProto.UNDEFINED else self.dtype.itemsize


_FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}


@dataclass(frozen=True, slots=True)
class Mark:
    """What a node means in its graph beyond its operator; `canonise.products` writes it, `ops.marked` reads it.

    meaning: gated (y = x g(x), x (1 / s), or x behind a gate: relevance stays with x, in slot `signal`) · attention
    (a product of two values, one of them made by a Softmax) · one_hot (integers compared with all of their values).
    """

    meaning: Literal["gated", "attention", "one_hot"]
    signal: int = 0


INSIDE = "//"
"""Stands between a loop's name and that of a value of its body, see `loops`."""
SPELLED_X = "<x>"
"""The input of an operator, for the nodes by which it is spelled."""


class Body(Protocol):
    """What a node runs a number of times: a `Graph`, whose constants are those of the graph around it."""

    @property
    def constants(self) -> Mapping[str, Any]:
        """What the body reads of the graph around it."""

    def to_body(self) -> onnx.GraphProto:
        """The body as it stands in a file."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operator application. An empty input name is an optional input left out, as in ONNX.

    bias: the name of a constant, or of a value that follows from sizes, which is added to the output where the
    operator itself takes none such; in a file the sum is a node of its own. spelled: the nodes that compute it in a
    file whose opset lacks the operator; there its input is `SPELLED_X`, and what they make has names of its own, of
    which the last is the output. body: of a loop in canonical form, see `loops`; in a file it is an attribute.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    domain: str = ""
    mark: Mark | None = None
    bias: str = ""
    spelled: tuple[Node, ...] = ()
    body: Body | None = None

    @property
    def output(self) -> str:
        """The first output, the one that carries relevance."""
        return self.outputs[0]

    @property
    def inner(self) -> tuple[Node, ...]:
        """The nodes of the graphs inside it, and of those inside them."""
        own = [Node.from_proto(proto, proto.name) for body in _bodies(self) for proto in body.node]
        return tuple(node for one in own for node in (one, *one.inner))

    def __str__(self) -> str:
        return f"'{self.name}' {self.op}"

    @classmethod
    def from_proto(cls, proto: onnx.NodeProto, name: str) -> Node:
        """Read a NodeProto; `name` is unique in the graph."""
        attributes = {a.name: _attribute(a) for a in proto.attribute}
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        return cls(name, proto.op_type, tuple(proto.input), tuple(proto.output), attributes, domain)

    def to_protos(self, opsets: Mapping[str, int]) -> list[onnx.NodeProto]:
        """The node as it stands in a file: spelled out, or with the sum of its bias behind it."""
        if self.spelled:
            made = {inner.output: f"{self.output}/{inner.output}" for inner in self.spelled[:-1]}
            names = {SPELLED_X: self.inputs[0], **made, self.spelled[-1].output: self.output}
            return [_renamed(inner, self.name, names).to_proto(opsets) for inner in self.spelled]
        proto = self.to_proto(opsets)
        if not self.bias:
            return [proto]
        y, bare = self.output, f"{self.output}/without_bias"
        proto.output[0] = bare
        return [proto, helper.make_node("Add", [bare, self.bias], [y], f"{self.name}/bias")]

    def to_proto(self, opsets: Mapping[str, int]) -> onnx.NodeProto:
        """Write a NodeProto; the schema tells the type of attributes that are empty lists."""
        proto = onnx.NodeProto(name=self.name, op_type=self.op, domain=self.domain)
        proto.input.extend(self.inputs)
        proto.output.extend(self.outputs)
        kinds = _attribute_types(self.op, opsets.get(self.domain, 0), self.domain)
        for key, value in self.attributes.items():
            if isinstance(value, str):
                value = value.encode("utf-8", "surrogateescape")
            proto.attribute.append(helper.make_attribute(key, value, attr_type=kinds.get(key)))
        if self.body is not None:
            proto.attribute.append(helper.make_attribute("body", self.body.to_body()))
        return proto


def _renamed(node: Node, place: str, names: Mapping[str, str]) -> Node:
    inputs, outputs = (tuple(names.get(v, v) for v in values) for values in (node.inputs, node.outputs))
    return replace(node, name=f"{place}/{node.name}", inputs=inputs, outputs=outputs)


def _attribute(proto: onnx.AttributeProto) -> Any:
    try:
        value = helper.get_attribute_value(proto)
    except ValueError as error:  # a reference to a function's attribute, outside of functions
        raise ModelError(f"invalid ONNX: attribute '{proto.name}': {one_line(error)}") from None
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value


def _attribute_types(op: str, version: int, domain: str) -> dict[str, int]:
    if not onnx.defs.has(op, domain):
        return {}
    schema: Any = onnx.defs.get_schema(op, version, domain) if version else onnx.defs.get_schema(op, domain)
    return {name: a.type.value for name, a in schema.attributes.items()}


def needs(node: Node) -> tuple[str, ...]:
    """Every value that a node reads, those captured by its subgraphs included (behind its own slots)."""
    bodies = _bodies(node)
    if not bodies and not node.bias and not node.spelled and node.body is None:
        return node.inputs
    captured = dict.fromkeys(name for body in bodies for name in captures(body))
    captured.update(dict.fromkeys(node.body.constants if node.body is not None else ()))
    captured.update(dict.fromkeys([node.bias] if node.bias else []))
    own = {SPELLED_X, *(inner.output for inner in node.spelled)}
    captured.update((v, None) for inner in node.spelled for v in inner.inputs if v and v not in own)
    return (*node.inputs, *(name for name in captured if name not in node.inputs))


def _bodies(node: Node) -> list[onnx.GraphProto]:
    """The subgraphs of a node. Passes ask this of every node, so a list is looked at by its first element."""
    bodies: list[onnx.GraphProto] = []
    for value in node.attributes.values():
        values = value if isinstance(value, (list, tuple)) else (value,)
        if values and isinstance(values[0], onnx.GraphProto):
            bodies += values
    return bodies


def reads(proto: onnx.NodeProto) -> tuple[str, ...]:
    """Every value that a node of the file reads, as `needs`."""
    if not proto.attribute or not any(a.HasField("g") or a.graphs for a in proto.attribute):
        return tuple(proto.input)
    return needs(Node.from_proto(proto, proto.name))


def captures(graph: onnx.GraphProto) -> list[str]:
    """The values of the graphs around it that a body reads by their names."""
    own = {v.name for v in graph.input} | {t.name for t in graph.initializer}
    own |= {t.values.name for t in graph.sparse_initializer}
    own |= {name for node in graph.node for name in node.output}
    used: list[str] = []
    for proto in graph.node:
        used += reads(proto)
    used += [value.name for value in graph.output]
    return [name for name in used if name and name not in own]
