"""Which branches an input takes: their conditions are run, those of nested ones level by level."""

from __future__ import annotations

from collections.abc import Callable

from onnxdtd.errors import InputError
from onnxdtd.model.canonise import canonise, take
from onnxdtd.model.graph import Graph
from onnxdtd.model.node import INSIDE
from onnxdtd.types import Arrays
from onnxdtd.walk.forward import Forward


def conditions_at(graph: Graph, forward: Callable[[Arrays], Arrays], feeds: Arrays) -> dict[str, bool | None]:
    """What the open conditions of a graph are at this input, None for one that changes from one iteration of a loop
    to the next. forward: the pass that gives them.

    A branch is taken for the whole batch, whose rows cannot disagree: InputError where a condition is no single
    boolean.
    """
    values = forward(feeds)
    for name in graph.open_conditions:
        if values[name].size != 1 and INSIDE not in name:
            raise InputError(
                f"the condition '{name}' has shape {values[name].shape} where a branch takes one boolean for the "
                "whole batch: give one sample at a time"
            )
    return {
        name: bool(values[name].all()) if (values[name] == values[name].all()).all() else None
        for name in graph.open_conditions
    }


def settled(graph: Graph, feeds: Arrays) -> Graph:
    """The graph with the branches written out that it takes at this input. Raises InputError."""
    while names := graph.open_conditions:
        conditions = conditions_at(graph, Forward(graph, names, ["CPUExecutionProvider"]), feeds)
        written = take(graph, conditions)
        if written is graph:
            break
        graph = canonise(written)
    return graph
