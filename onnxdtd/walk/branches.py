"""Which branches an input takes: their conditions are run, those of nested ones level by level."""

from __future__ import annotations

from collections.abc import Callable

from onnxdtd.errors import InputError
from onnxdtd.model.canonise import canonise
from onnxdtd.model.canonise.branch import take
from onnxdtd.model.graph import Graph
from onnxdtd.types import Arrays
from onnxdtd.walk.forward import Forward


def conditions_at(graph: Graph, forward: Callable[[Arrays], Arrays], feeds: Arrays) -> dict[str, bool]:
    """What the open conditions of a graph are at this input. forward: the pass that gives them.

    A branch is taken for the whole batch, whose rows cannot disagree: InputError where a condition is no single
    boolean.
    """
    values = forward(feeds)
    for name in graph.open_conditions:
        if values[name].size != 1:
            raise InputError(
                f"the condition '{name}' has shape {values[name].shape} where a branch takes one boolean for the "
                "whole batch: give one sample at a time"
            )
    return {name: bool(values[name].all()) for name in graph.open_conditions}


def settled(graph: Graph, feeds: Arrays) -> Graph:
    """The graph with the branches written out that it takes at this input. Raises InputError."""
    while names := graph.open_conditions:
        forward = Forward(graph, names, ["CPUExecutionProvider"])
        graph = canonise(take(graph, conditions_at(graph, forward, feeds)))
    return graph
