"""Recurrent nodes in the one layout that onnxruntime runs: steps first, then the batch."""

from __future__ import annotations

from dataclasses import replace

from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.graph import Graph, Node, Value
from onnxdtd.types import Dimension

STEPS, STATE = (1, 0, 2), (1, 0, 2)
MADE = ((2, 0, 1, 3), STATE, STATE)
READ = {0: STEPS, 5: STATE, 6: STATE}


def batch_first(graph: Graph) -> Graph:
    """cell(x, h0, c0) with layout 1 -> T'(cell(T(x), T(h0), T(c0))) with layout 0, T a Transpose: Y is (N, T, D, H)
    there, a state (N, D, H), of x (N, T, I)."""
    draft = Draft(graph)
    turned = [n for n in graph.nodes if n.op in ("LSTM", "GRU", "RNN") and n.attributes.get("layout")]
    for node in turned:
        inputs, outputs = list(node.inputs), list(node.outputs)
        for slot, perm in READ.items():
            if slot < len(inputs) and inputs[slot]:
                shape = draft.value(inputs[slot]).shape
                turn = None if shape is None else tuple(shape[i] for i in perm)
                inputs[slot] = _transpose(draft, node, inputs[slot], perm, turn)
        for place, name in enumerate(outputs):
            if not name:
                continue
            value, turn = draft.value(name), None
            order: tuple[int, ...] = MADE[place]
            if value.shape is not None:
                turn = tuple(value.shape[order.index(i)] for i in range(len(order)))
            inner = free(f"{name}/steps_first", draft.values)
            draft.values[inner] = Value(inner, value.elem_type, turn)
            outputs[place] = inner
            back = Node(
                free(f"{node.name}/{inner}", draft.nodes),
                "Transpose",
                (inner,),
                (name,),
                {"perm": list(order)},
            )
            draft.put(back, at=node)
        attributes = {key: value for key, value in node.attributes.items() if key != "layout"}
        draft.put(replace(node, inputs=tuple(inputs), outputs=tuple(outputs), attributes=attributes))
    return draft.graph(f"steps first: {nodes(len(turned))}") if turned else graph


def _transpose(
    draft: Draft, node: Node, value: str, perm: tuple[int, ...], shape: tuple[Dimension, ...] | None
) -> str:
    name = free(f"{value}/steps_first", draft.values)
    draft.values[name] = replace(draft.value(value), name=name, shape=shape)
    label = free(f"{node.name}/{name}", draft.nodes)
    draft.put(Node(label, "Transpose", (value,), (name,), {"perm": list(perm)}), at=node)
    return name
