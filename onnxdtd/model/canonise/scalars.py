"""A Range of numbers that stand in a list of one each: onnxruntime takes them until it knows their shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.graph import Graph
from onnxdtd.model.node import Node


def scalars(graph: Graph) -> Graph:
    """range([a], [b], [c]) = range(a, b, c): values of shape (1,) are reshaped to the scalars that Range asks for."""
    draft, changed = Draft(graph), 0
    for node in graph.nodes:
        lists = [value for value in dict.fromkeys(node.inputs) if draft.value(value).shape == (1,)]
        if node.op != "Range" or node.domain or not lists:
            continue
        numbers = {}
        for value in lists:
            number, shape = (
                free(f"{value}/scalar", draft.values),
                draft.constant("scalar/shape", np.zeros(0, np.int64)),
            )
            numbers[value] = number
            draft.values[number] = replace(draft.value(value), name=number, shape=())
            draft.put(Node(free(number, draft.nodes), "Reshape", (value, shape), (number,)), at=node)
        draft.put(replace(node, inputs=tuple(numbers.get(value, value) for value in node.inputs)))
        changed += 1
    return draft.graph(f"numbers of Range made scalars: {nodes(changed)}") if changed else graph
