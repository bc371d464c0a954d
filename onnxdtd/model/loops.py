"""A loop in canonical form, and the values inside it as values of the graph around it.

    Scan   (states.., sequences..) -> (states.., rows..)           body (states.., slices..) -> (states.., rows..)
    Loop   (trips, condition, states..) -> (states.., rows..)
           body (counter, condition, states..) -> (condition, states.., rows..)

A slice is one place of a sequence's first axis, a row one place of what is stacked. What a body reads of the graph
around it is a constant there or a state that passes through unchanged (see `canonise.loops`). The value v inside a
loop named l is, of all iterations, the value `l//v` (iterations, ..) of the graph around it: whoever asks a forward
pass for it gets it as one more row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from onnxdtd.model.graph import Graph, Node, Value
from onnxdtd.model.load import value_of
from onnxdtd.model.node import INSIDE
from onnxdtd.model.shapes import infer

TRIAL = 7
"""What every open size is in a trial of shapes."""


@dataclass(frozen=True)
class State:
    """A value that an iteration hands to the next: the loop's input slot, the body's input and output, and the loop's
    output."""

    slot: int
    begin: str
    end: str
    output: str


@dataclass(frozen=True)
class Layout:
    """Which input of a loop is which input of its body, and so for outputs.

    counter, condition: the body's inputs that a Loop makes itself, "" in a Scan; goes_on: the body's output that says
    whether another iteration follows. slices: slot and body input. rows: body output and the loop's output.
    """

    node: Node
    body: Graph
    states: tuple[State, ...]
    slices: tuple[tuple[int, str], ...]
    rows: tuple[tuple[str, str], ...]
    counter: str = ""
    condition: str = ""
    goes_on: str = ""

    @cached_property
    def fixed(self) -> frozenset[str]:
        """The states, by body input, that pass through unchanged."""
        return frozenset(s.begin for s in self.states if self._origin(s.end) == s.begin)

    @property
    def endless(self) -> bool:
        """Whether only the number of trips ends it: the condition stays what it is, or is true."""
        end = self._origin(self.goes_on)
        return end in ("", self.condition) or bool(np.all(self.body.constants.get(end, False)))

    def _origin(self, value: str) -> str:
        makers = self.body.producers
        while (maker := makers.get(value)) is not None and maker.op == "Identity":
            value = maker.inputs[0]
        return value

    @property
    def entries(self) -> tuple[tuple[int, str], ...]:
        """Slot and body input of all that the loop is given."""
        return (*((state.slot, state.begin) for state in self.states), *self.slices)

    @property
    def results(self) -> tuple[tuple[str, str], ...]:
        """Body output and loop output of all that the loop makes."""
        return (*((state.end, state.output) for state in self.states), *self.rows)


def layout(node: Node) -> Layout:
    """How a node calls its body; the node has one in canonical form."""
    body = node.body
    assert isinstance(body, Graph)
    if "num_scan_inputs" in node.attributes:
        count = len(node.inputs) - node.attributes["num_scan_inputs"]
        entries = list(enumerate(body.inputs))
        states, ends, own = entries[:count], body.outputs, ("", "", "")
        slices = tuple(entries[count:])
    else:
        states, slices = list(enumerate(body.inputs))[2:], ()
        ends, own = body.outputs[1:], (body.inputs[0], body.inputs[1], body.outputs[0])
    count = len(states)
    return Layout(
        node,
        body,
        tuple(State(*entry, end, out) for entry, end, out in zip(states, ends, node.outputs, strict=False)),
        slices,
        tuple(zip(ends[count:], node.outputs[count:], strict=False)),
        *own,
    )


def inside(node: Node, value: str) -> str:
    """The name, in the graph around a loop, of a value of its body."""
    return f"{node.name}{INSIDE}{value}"


def inner_values(node: Node, length: int | str | None) -> dict[str, Value]:
    """What is known of the values inside a loop, by their names around it; those of loops inside it, too."""
    body = node.body
    assert isinstance(body, Graph)
    return {
        inside(node, name): replace(
            value,
            name=inside(node, name),
            shape=None if value.shape is None else (length, *value.shape),
            missing=False,
        )
        for name, value in body.values.items()
        if name not in body.constants
    }


def all_nodes(graph: Graph) -> Iterator[Node]:
    """The nodes, each loop followed by those of its body."""
    for node in graph.nodes:
        yield node
        if isinstance(node.body, Graph):
            yield from all_nodes(node.body)


def recording(graph: Graph, names: Iterable[str]) -> Graph:
    """The graph whose loops make, as rows, those of the values inside them that are named."""
    asked: dict[str, list[str]] = {}
    calls = {f"{node.name}{INSIDE}": node.name for node in graph.nodes if node.body is not None}
    for name in names if calls else ():
        for prefix, loop in calls.items():
            if name.startswith(prefix):
                asked.setdefault(loop, []).append(name.removeprefix(prefix))
    if not asked:
        return graph
    nodes = tuple(_recorded(node, asked[node.name]) if node.name in asked else node for node in graph.nodes)
    return replace(graph, nodes=nodes)


def _recorded(node: Node, values: list[str]) -> Node:
    body = node.body
    assert isinstance(body, Graph)
    body = recording(body, values)
    rows = [f"{value}/row" for value in values]
    copies = [Node(row, "Identity", (v,), (row,)) for v, row in zip(values, rows, strict=True)]
    values_of_rows = {row: replace(body.value(v), name=row) for v, row in zip(values, rows, strict=True)}
    wider = replace(
        body,
        nodes=(*body.nodes, *copies),
        outputs=(*body.outputs, *rows),
        values={**body.values, **values_of_rows},
    )
    outputs = (*node.outputs, *(inside(node, value) for value in values))
    return replace(node, body=wider, outputs=outputs)


def steady_sizes(body: Graph) -> dict[str, tuple[int, ...]]:
    """The shapes of a body's values if every open size is the same number, as far as they follow from that."""

    def tried(value: Value) -> Value:
        return replace(
            value, shape=value.shape and tuple(s if isinstance(s, int) else TRIAL for s in value.shape)
        )

    inputs = {name: tried(body.value(name)) for name in body.inputs}
    bare = {name: Value(name, v.elem_type) for name, v in body.values.items() if name not in body.constants}
    nodes = tuple(stand_in for node in body.nodes for stand_in in _keeping(node))
    model = replace(body, nodes=nodes, values={**body.values, **bare, **inputs}).to_proto()
    graph = infer(model).graph
    sizes = {array: body.constants[array].shape for array in body.constants}
    for value in map(value_of, (*graph.value_info, *graph.input, *graph.output)):
        if value.shape is not None and all(isinstance(size, int) for size in value.shape):
            sizes[value.name] = tuple(int(size) for size in value.shape if isinstance(size, int))
    return sizes


def kept_states(node: Node) -> list[State]:
    """The states of a loop whose shape no iteration changes."""
    call = layout(node)
    sizes = steady_sizes(call.body)
    return [s for s in call.states if s.begin in sizes and sizes[s.begin] == sizes.get(s.end)]


def _keeping(node: Node) -> list[Node]:
    """The node, beside nodes that keep the shape for what onnx leaves open: what becomes of a loop's states."""
    kept = {} if node.body is None else {state.output: node.inputs[state.slot] for state in kept_states(node)}
    outputs = tuple(f"{out}/open" if out in kept else out for out in node.outputs)
    return [
        replace(node, outputs=outputs),
        *(Node(f"{out}/kept", "Identity", (begin,), (out,)) for out, begin in kept.items()),
    ]
