"""Recurrent nodes name what they hold at every step."""

from __future__ import annotations

from dataclasses import replace

from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.graph import Graph, Value


def states(graph: Graph) -> Graph:
    """(-, Y_h, Y_c) -> (Y, Y_h, Y_c) of LSTM, GRU, RNN: the sums of all gates are made anew of what Y holds."""
    draft = Draft(graph)
    silent = [n for n in graph.nodes if n.op in ("LSTM", "GRU", "RNN") and not n.domain and not n.outputs[0]]
    for node in silent:
        name = free(f"{node.name}/Y", draft.values)
        draft.put(replace(node, outputs=(name, *node.outputs[1:])))
        x, directions = draft.value(node.inputs[0]), 1 + (node.attributes.get("direction") == "bidirectional")
        steps, samples, *_ = x.shape or (None, None, None)
        shape = (steps, directions, samples, node.attributes["hidden_size"])
        draft.values[name] = Value(name, x.elem_type, shape)
    return draft.graph(f"states of all steps named: {nodes(len(silent))}") if silent else graph
