"""A node of the graph that is being written, before it is a protobuf: looked through often, written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx
from onnx import helper


@dataclass(eq=False, slots=True)
class Call:
    """One operator of the default domain. captured: what graphs in its attributes read besides its inputs."""

    op_type: str
    inputs: list[str]
    outputs: Sequence[str]
    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    captured: Sequence[str] = ()

    def write(self, graph: onnx.GraphProto) -> onnx.NodeProto:
        """Add it to a graph, as the last node."""
        node: onnx.NodeProto = graph.node.add(
            op_type=self.op_type, input=self.inputs, output=self.outputs, name=self.name
        )
        for name, value in self.attributes.items():
            node.attribute.append(helper.make_attribute(name, value))
        return node


def renamed(value: str, name: str, node: str = "") -> Call:
    """A value under another name. node: of the node, the same name if it has no other."""
    return Call("Identity", [value], [name], node or name)


def reshaped(value: str, shape: str, name: str) -> Call:
    """A value under another name, in the shape that a second value holds."""
    return Call("Reshape", [value, shape], [name], name)
