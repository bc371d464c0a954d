"""Which values are attention scores: what a Softmax makes the weights of, with which other values are weighed."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import TypeVar

from onnxdtd.entries import OpEntry
from onnxdtd.model.graph import Graph, Node
from onnxdtd.ops import OPS

T = TypeVar("T")
KEEPS = ("sum", "scale", "route")
"""Families through which scores stay scores: masks are added, factors divided out, heads moved apart."""


def per_graph(tell: Callable[[Graph], T]) -> Callable[[Graph], T]:
    """What is told of a graph, found out once and forgotten with it."""
    answers: weakref.WeakKeyDictionary[Graph, T] = weakref.WeakKeyDictionary()

    @functools.wraps(tell)
    def once(graph: Graph) -> T:
        if graph not in answers:
            answers[graph] = tell(graph)
        return answers[graph]

    return once


@per_graph
def scores(graph: Graph) -> frozenset[str]:
    """The inputs of what normalises weights (a Softmax whose results are factors of other values, not one that makes
    an output), and the values of which they are made by sums with, products with, and choices of something else."""
    made: set[str] = set()
    for node in reversed(graph.nodes):
        entry = entry_of(node)
        if entry is None:
            continue
        if entry.normalises:
            if any(_weighs(graph, value) for value in filter(None, node.outputs)):
                made.update(node.inputs[:1])
        elif not made.isdisjoint(node.outputs) and entry.family in KEEPS:
            made.update(v for v in node.inputs if v and graph.value(v).is_float)
    return frozenset(made)


def entry_of(node: Node) -> OpEntry | None:
    """What is declared of the node's operator, if anything is."""
    return OPS.get((node.domain, node.op))


def _weighs(graph: Graph, value: str) -> bool:
    """Whether it is multiplied with something else that is no constant, perhaps after it was moved or scaled."""
    waiting, seen = [value], {value}
    while waiting:
        name = waiting.pop()
        for node in graph.consumers.get(name, ()):
            entry = entry_of(node)
            if entry is None:
                continue
            factors = [node.inputs[slot] for slot in entry.factors if slot < len(node.inputs)]
            if name in factors and any(v not in graph.constants and v != name for v in factors):
                return True
            if entry.family in KEEPS and node.output not in seen:
                seen.add(node.output)
                waiting.append(node.output)
    return False
