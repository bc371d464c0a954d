"""A graph while a pass edits it: nodes by name, who makes and who uses each value, kept up to date."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
from onnx import helper

from onnxdtd.model.graph import Graph, Node, Value, needs
from onnxdtd.types import Array

LARGE, HUGE = 1 << 20, 1 << 31
"""Bytes of weights that are not written anew in a model of so many bytes, which no single file holds."""


class Draft:
    """Edit by `put` and `remove`, read by `maker`, `users` and `only_user`, end with `graph`."""

    def __init__(self, graph: Graph) -> None:
        self.before = graph
        self.opset = graph.opsets.get("", 0)
        self.nodes: dict[str, Node] = {}
        self.constants = dict(graph.constants)
        self.values = dict(graph.values)
        self.is_huge = sum(array.nbytes for array in graph.constants.values()) > HUGE
        self._places: dict[str, int] = {}
        self._makers: dict[str, str] = {}
        self._users: dict[str, dict[str, None]] = {}
        self._ends = {*graph.outputs, *graph.targets.values(), *graph.conditions}
        self._names = {*graph.inputs, *graph.constants, *graph.values}
        self._suffixes: dict[str, int] = {}
        for node in graph.nodes:
            self.put(node)

    def put(self, node: Node, at: Node | None = None) -> None:
        """Add a node: in the place of the one of its name, or beside `at`, or last."""
        if node.name in self.nodes:
            self._forget(self.nodes[node.name])
        self._places.setdefault(node.name, len(self._places) if at is None else self._places[at.name])
        self.nodes[node.name] = node
        self._makers.update((value, node.name) for value in node.outputs if value)
        self._names.update(node.outputs)
        for value in filter(None, needs(node)):
            self._users.setdefault(value, {})[node.name] = None

    def remove(self, node: Node) -> None:
        """Take a node out."""
        self._forget(self.nodes.pop(node.name))

    def _forget(self, node: Node) -> None:
        for value in node.outputs:
            if self._makers.get(value) == node.name:
                del self._makers[value]
        for value in filter(None, needs(node)):
            self._users[value].pop(node.name, None)

    def maker(self, value: str) -> Node | None:
        """The node that makes the value; None for inputs and constants."""
        name = self._makers.get(value)
        return None if name is None else self.nodes[name]

    def users(self, value: str) -> list[Node]:
        """The nodes that read the value, in their own slots or in a subgraph."""
        return [self.nodes[name] for name in self._users.get(value, ())]

    def is_end(self, value: str) -> bool:
        """Whether the value is an output of the graph, explained in the place of one, or a condition."""
        return value in self._ends

    def is_captured(self, value: str) -> bool:
        """Whether a subgraph reads the value by its name, so that it must keep it."""
        return any(value not in user.inputs for user in self.users(value))

    def rename(self, old: str, new: str) -> None:
        """Let the maker of `old` make `new` and its users read `new`."""
        maker = self.maker(old)
        for node in {n.name: n for n in (*self.users(old), *([maker] if maker else []))}.values():
            inputs = tuple(new if value == old else value for value in node.inputs)
            outputs = tuple(new if value == old else value for value in node.outputs)
            self.put(replace(node, inputs=inputs, outputs=outputs))
        if self.value(new).shape is None:
            self.values[new] = replace(self.value(old), name=new)

    def only_user(self, value: str) -> Node | None:
        """The one node that reads the value, if nothing else needs it."""
        names = self._users.get(value, {})
        return self.nodes[next(iter(names))] if len(names) == 1 and not self.is_end(value) else None

    def named(self, name: str) -> str:
        """A name for a new value: `name`, with a suffix where that is taken."""
        unique = free(name, self._names, self._suffixes.get(name, 0))
        self._suffixes[name] = self._suffixes.get(name, 0) + 1
        self._names.add(unique)
        return unique

    def constant(self, name: str, array: Array) -> str:
        """Add a constant; the result is its name, `name` with a suffix where that is taken."""
        unique = self.named(name)
        self.fix(unique, array)
        return unique

    def fix(self, name: str, array: Array) -> None:
        """Make the value `name` a constant."""
        self._names.add(name)
        self.constants[name] = array
        self.values[name] = Value(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)

    def keeps(self, weight: Array) -> bool:
        """Whether the weights must stay where they lie, since a second copy would not fit in memory."""
        return self.is_huge and weight.nbytes > LARGE

    def array(self, node: Node, slot: int) -> Array | None:
        """The constant in a node's input slot; None if it is left out or not constant."""
        return self.constants.get(node.inputs[slot]) if slot < len(node.inputs) else None

    def integers(self, node: Node, attribute: str, slot: int) -> list[int] | None:
        """Axes and the like, an attribute in older opsets and an input in newer ones; None if not known."""
        if attribute in node.attributes:
            return [int(i) for i in node.attributes[attribute]]
        array = self.array(node, slot)
        return None if array is None else [int(i) for i in array.reshape(-1)]

    def value(self, name: str) -> Value:
        """What is known of a value."""
        return self.values.get(name, Value(name))

    def rank(self, name: str) -> int | None:
        """The number of dimensions, where known."""
        shape = self.value(name).shape
        return None if shape is None else len(shape)

    def graph(self, *notes: str) -> Graph:
        """The edited graph: sorted, dead nodes dropped, noted."""
        ordered = sorted(self.nodes.values(), key=lambda node: self._places[node.name])
        changed = self.before.replace(nodes=tuple(ordered), constants=self.constants, values=self.values)
        return changed.noting(*notes)


def static(shape: Iterable[Any] | None) -> tuple[int, ...] | None:
    """The shape if every dimension is a known number."""
    sizes = None if shape is None else tuple(shape)
    return sizes if sizes is not None and all(isinstance(size, (int, np.integer)) for size in sizes) else None


def free(name: str, taken: Container[str], first: int = 0) -> str:
    """The name, with a suffix if it is taken: `first`, or the next number that is free (0: none)."""
    return next(n for k in count(first) if (n := f"{name}_{k}" if k else name) not in taken)


def nodes(number: int) -> str:
    """`1 node`, `2 nodes`."""
    return f"{number} node" + "s" * (number != 1)
