"""A graph inside a node: the body of a Scan, a branch of an If.

A body reads the values of the graphs around it by their names: they are captured, not handed over. Constants are
stored once, in the outermost graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
import onnx
from onnx import helper

from onnxdtd.primitives.call import Call, renamed
from onnxdtd.primitives.traced import Traced, Tracer
from onnxdtd.types import Dimension


@dataclass
class Body(Tracer):
    """Collects the nodes of a graph inside a node of `outer`; what its own nodes read decides whether a node belongs
    here: one that reads outer values only goes out, and so is computed once."""

    outer: Tracer = field(kw_only=True)

    @classmethod
    def within(cls, outer: Tracer) -> Body:
        """An empty body, whose names are those of no other graph of the model."""
        return cls(
            outer.opset,
            shapes=outer.shapes,
            constants=outer.constants,
            prefix=f"{outer.prefix}body_{next(outer._numbers)}/",
            depth=outer.depth + 1,
            _expanded=outer._expanded,
            _types=outer._types,
            outer=outer,
        )

    def constant(self, array: npt.ArrayLike, name: str = "") -> Traced:
        """An initializer of the outermost graph."""
        return self.outer.constant(array, name)

    def input(self, number: int, dtype: npt.DTypeLike, shape: Sequence[Dimension]) -> Traced:
        """One of the values that the body is called with."""
        return self.value(f"{self.prefix}in_{number}", dtype, shape)

    def captured(self, x: Any) -> Any:
        """An outer value under its own name, but what is computed from it is computed in here."""
        return self.value(x.name, x.dtype, x.shape) if isinstance(x, Traced) else x

    def closed(
        self, inputs: Sequence[Traced], results: Sequence[Any]
    ) -> tuple[onnx.GraphProto, tuple[Traced, ...]]:
        """The finished graph and its outputs, which a graph must make itself, each under a name of its own."""
        own = {name for node in self.nodes for name in node.outputs}
        outputs: list[Traced] = []
        for number, result in enumerate(results):
            value = result if isinstance(result, Traced) else self.constant(result)
            if value.name not in own:
                label = f"{self.prefix}out_{number}"
                self.nodes.append(renamed(value.name, label))
                value = self.value(label, value.dtype, value.shape)
            own.discard(value.name)
            outputs.append(value)
        begin, end = (
            [helper.make_value_info(v.name, v.type_proto) for v in ends] for ends in (inputs, outputs)
        )
        nodes, _ = alive(self.nodes, [value.name for value in outputs])
        graph = helper.make_graph([], self.prefix.rstrip("/"), begin, end)
        for node in nodes:
            node.write(graph)
        return graph, tuple(outputs)


def alive(nodes: Sequence[Call], outputs: Iterable[str]) -> tuple[list[Call], set[str]]:
    """The nodes that the outputs need, and every value that they or their bodies read."""
    used, kept = set(outputs), []
    for node in reversed(nodes):
        if not used.isdisjoint(node.outputs):
            kept.append(node)
            used.update(node.inputs, node.captured)
    return kept[::-1], used


def captures(graph: onnx.GraphProto) -> Iterator[str]:
    """The values that a body and those inside it read, of the graphs around it or their own."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            yield from captures(attribute.g)
    yield from (value.name for value in graph.output)
