"""The model as a graph: op nodes, values, and a networkx view of who feeds whom.

A `Graph` never changes; a pass returns a new one by `graph.replace(...)`, which sorts the nodes anew and
drops what no output needs. Node and value names are those of the ONNX file (unnamed nodes: `Op_index`).
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxdtd.errors import ModelError
from onnxdtd.model.infinite import infinite
from onnxdtd.model.node import INSIDE, Mark, Node, Value, needs
from onnxdtd.model.sequence import in_sequence

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Graph", "Mark", "Node", "Value", "needs", "sort_nodes"]


MAX_STEPS = 100_000
"""After so many steps a loop is ended, unless the user says otherwise."""


@dataclass(frozen=True, slots=True)
class Head:
    """What makes an output of its logits: a `sigmoid` or a `softmax` (over axis, where known); or it is what a
    suppression of overlapping boxes has `selected`. whole: all of the output, not a part of it only."""

    kind: Literal["sigmoid", "softmax", "selected"]
    axis: int | None = None
    whole: bool = True


@dataclass(frozen=True, eq=False)
class Graph:
    """A whole model; equal only to itself.

    nodes: in topological order. inputs, outputs: value names as the user knows them. constants: initializers
    and folded constants by value name. values: what is known of every value's type and shape. opsets: version
    by domain. targets: for an output whose final Softmax or Sigmoid was set aside, the value explained in its
    place. heads: by output, what makes it. conditions: what was so where a branch was written out, and must be so for
    the graph to stand for the model. notes: one line per thing that a pass did. metadata: the model's metadata_props.
    sha256: digest of the model file as it was read. max_steps: of a loop whose number of steps the model leaves open.
    masks: the inputs that say what counts, where the user has named them; None: what they are used for tells.
    """

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, npt.NDArray[Any]]
    values: Mapping[str, Value]
    opsets: Mapping[str, int]
    ir_version: int = 10
    targets: Mapping[str, str] = field(default_factory=dict)
    heads: Mapping[str, Head] = field(default_factory=dict)
    conditions: Mapping[str, bool] = field(default_factory=dict)
    originals: tuple[onnx.NodeProto, ...] = ()
    notes: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""
    background: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    max_steps: int = MAX_STEPS
    masks: tuple[str, ...] | None = None

    @cached_property
    def network(self) -> nx.MultiDiGraph:
        """Op nodes (and graph inputs, as `input:NAME`) with an edge per use: key (value, slot), so that
        `Mul(x, x)` has two edges. Read only; networkx is imported when this is first asked for."""
        network: nx.MultiDiGraph = importlib.import_module("networkx").MultiDiGraph()
        made_by = {name: f"input:{name}" for name in self.inputs}
        for name in self.inputs:
            network.add_node(f"input:{name}", value=name)
        for node in self.nodes:
            network.add_node(node.name, node=node)
            made_by.update({value: node.name for value in node.outputs if value})
        for node in self.nodes:
            for slot, value in enumerate(needs(node)):
                if value in made_by:
                    network.add_edge(made_by[value], node.name, key=(value, slot))
        return network

    @cached_property
    def producers(self) -> dict[str, Node]:
        """The node that makes each value."""
        return {value: node for node in self.nodes for value in node.outputs if value}

    @cached_property
    def consumers(self) -> dict[str, tuple[Node, ...]]:
        """The nodes that use each value, each once."""
        users: dict[str, dict[str, Node]] = {}
        for node in self.nodes:
            for value in needs(node):
                users.setdefault(value, {})[node.name] = node
        return {value: tuple(nodes.values()) for value, nodes in users.items()}

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """Nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each node stands, by its name."""
        return {node.name: place for place, node in enumerate(self.nodes)}

    @cached_property
    def infinite(self) -> frozenset[str]:
        """The values that a constant of infinity, as masks have, may reach through moves, choices and sums."""
        return infinite(self)

    @cached_property
    def open_branches(self) -> tuple[Node, ...]:
        """The nodes of which only a run says which branch they take."""
        branching = (node for node in self.nodes if node.op == "If" and not node.domain)
        return tuple(node for node in branching if node.inputs[0] not in self.constants)

    @property
    def open_conditions(self) -> tuple[str, ...]:
        """The values that decide which branches are taken, where only a run knows them; those inside loops, too."""
        own = (node.inputs[0] for node in self.open_branches)
        return tuple(dict.fromkeys((*own, *self._inside(lambda body: body.open_conditions))))

    @property
    def all_conditions(self) -> dict[str, bool]:
        """`conditions`, and those of the loops' bodies."""
        inner = self._inside(lambda body: body.all_conditions)
        return {**self.conditions, **inner}

    def _inside(self, of: Callable[[Graph], Any]) -> dict[str, Any]:
        """What each loop's body has, by the names that its values have around it."""
        bodies = [(node.name, node.body) for node in self.nodes if isinstance(node.body, Graph)]
        entries = [(f"{name}{INSIDE}", of(body)) for name, body in bodies]
        return {
            prefix + value: has[value] if isinstance(has, dict) else None
            for prefix, has in entries
            for value in has
        }

    def value(self, name: str) -> Value:
        """What is known of a value (an empty description when nothing is)."""
        return self.values.get(name, Value(name))

    def target(self, output: str) -> str:
        """The value that is explained for an output: its logit where a final activation was set aside."""
        return self.targets.get(output, output)

    def replace(self, **changes: Any) -> Graph:
        """A copy with changes; nodes are sorted topologically, what no output and no original needs is dropped."""
        graph = dataclasses.replace(self, **changes)
        conditions = {name: held for name, held in graph.conditions.items() if name not in graph.constants}
        results = [*graph.outputs, *graph.targets.values(), *conditions]
        results += (name for node in graph.originals for name in node.input)
        kept = tuple(_with_constants(node, graph) for node in sort_nodes(graph.nodes, results))
        used = {value for node in kept for value in needs(node)} | set(results)
        constants = {name: array for name, array in graph.constants.items() if name in used}
        return dataclasses.replace(graph, nodes=kept, constants=constants, conditions=conditions)

    def noting(self, *notes: str) -> Graph:
        """A copy with further notes."""
        return dataclasses.replace(self, notes=(*self.notes, *notes))

    def to_body(self) -> onnx.GraphProto:
        """The graph as the body of a node, which reads its constants from around it; an output that is an input or
        a constant gets a node, as a file wants it."""
        model = self.to_proto(constants=False)
        for output in model.graph.output:
            if output.name not in self.producers:
                label = f"{output.name}/out"
                model.graph.node.append(helper.make_node("Identity", [output.name], [label], label))
                output.name = label
        return model.graph

    def to_proto(self, outputs: Iterable[str] | None = None, constants: bool = True) -> onnx.ModelProto:
        """The graph as an ONNX model; `outputs` replaces its outputs, `constants` says whether to copy them in."""
        names = self.outputs if outputs is None else tuple(outputs)
        graph = onnx.GraphProto(name=self.name or "graph")
        graph.node.extend(proto for node in self.nodes for proto in node.to_protos(self.opsets))
        graph.input.extend(_value_info(self.value(name)) for name in self.inputs)
        graph.output.extend(_value_info(self.value(name)) for name in names)
        if constants:
            graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in self.constants.items())
        opsets = [helper.make_opsetid(domain, version) for domain, version in self.opsets.items()]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="onnxdtd")
        model.ir_version = self.ir_version
        return model


def _with_constants(node: Node, graph: Graph) -> Node:
    """The node, whose body has the constants that the graph around it has by now."""
    body: Any = node.body
    if body is None or all(graph.constants.get(name) is array for name, array in body.constants.items()):
        return node
    constants = {name: graph.constants[name] for name in body.constants}
    return dataclasses.replace(node, body=body.replace(constants=constants))


def sort_nodes(nodes: Iterable[Node], outputs: Iterable[str]) -> tuple[Node, ...]:
    """Topological order, ties by the order given, of the nodes that the outputs need."""
    nodes = tuple(nodes)
    if len({node.name for node in nodes}) < len(nodes):
        raise ModelError("two nodes share one name")
    used, kept = set(filter(None, outputs)), []
    for node in reversed(_ordered(nodes)):
        if not used.isdisjoint(node.outputs):
            used.update(filter(None, needs(node)))
            kept.append(node)
    return tuple(reversed(kept))


def _ordered(nodes: Sequence[Node]) -> Sequence[Node]:
    """Most graphs are in order already."""
    place = {value: i for i, node in enumerate(nodes) for value in node.outputs if value}
    edges = [(place[v], i) for i, node in enumerate(nodes) for v in needs(node) if v in place]
    if all(maker < user for maker, user in edges):
        return nodes
    order = in_sequence(len(nodes), edges)
    if order is None:
        raise ModelError("the graph has a cycle: it is not a valid ONNX model")
    return [nodes[i] for i in order]


def _value_info(value: Value) -> onnx.ValueInfoProto:
    if value.elem_type == TensorProto.UNDEFINED:
        return onnx.ValueInfoProto(name=value.name)
    return helper.make_tensor_value_info(value.name, value.elem_type, value.shape)
