"""GroupNormalization as opset 18 had it: one scale and shift for a group, not for a channel."""

from __future__ import annotations

import numpy as np

from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.graph import Graph, Node, Value

PER_CHANNEL = 21
"""The opset since which scale and shift are per channel, as `ops` has it."""


def group_normalization(graph: Graph) -> Graph:
    """Group(x) = reshape(Instance(reshape(x))), where the first reshape makes each group of channels one channel."""
    draft = Draft(graph)
    if draft.opset >= PER_CHANNEL:
        return graph
    olden = [node for node in graph.nodes if node.op == "GroupNormalization" and not node.domain]
    for node in olden:
        x, scale, shift = node.inputs
        grouped, normed, shape = (
            free(f"{node.output}/{part}", draft.values) for part in ("groups", "normed", "shape")
        )
        kind, groups = draft.value(x), node.attributes["num_groups"]
        sizes = (*(kind.shape or (None,))[:1], groups, None)
        draft.values.update((name, Value(name, kind.elem_type, sizes)) for name in (grouped, normed))
        to = draft.constant(f"{grouped}/sizes", np.array([0, groups, -1], np.int64))
        names = iter(free(f"{node.name}_{k}", draft.nodes) for k in range(3))
        epsilon = {"epsilon": node.attributes.get("epsilon", 1e-5)}
        draft.put(Node(next(names), "Reshape", (x, to), (grouped,)), at=node)
        draft.put(
            Node(next(names), "InstanceNormalization", (grouped, scale, shift), (normed,), epsilon), at=node
        )
        draft.put(Node(next(names), "Shape", (x,), (shape,)), at=node)
        draft.put(Node(node.name, "Reshape", (normed, shape), node.outputs))
    note = (
        f"GroupNormalization of opset 18 written as InstanceNormalization of its groups: {nodes(len(olden))}"
    )
    return draft.graph(note) if olden else graph
