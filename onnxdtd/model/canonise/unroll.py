"""A loop of few steps, whose number the model fixes, is those steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import GraphProto

from onnxdtd.model.canonise.branch import renamed
from onnxdtd.model.canonise.constants import constants
from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.loops import Layout, layout

MOST_STEPS = 64
MOST_NODES = 4096
"""What unrolling may make of one loop."""


def unroll(graph: Graph) -> Graph:
    """Loop(n, f; x) = f(f(.. f(x))), n at most `MOST_STEPS`: the body's nodes are written once for each step, and
    what they make known is folded."""
    while (shorter := _unrolled(graph)) is not graph:
        graph = constants(shorter)
    return graph


def _unrolled(graph: Graph) -> Graph:
    draft, steps = Draft(graph), 0
    for node in graph.nodes:
        if node.body is not None:
            call = layout(node)
            count = _steps(call, draft)
            if count is not None and count <= MOST_STEPS and count * len(call.body.nodes) <= MOST_NODES:
                _write_out(call, count, draft)
                steps += 1
    return draft.graph(f"loops of a fixed number of steps unrolled: {nodes(steps)}") if steps else graph


def _steps(call: Layout, draft: Draft) -> int | None:
    """How often the body runs, where the model alone says it, and there is something to stack."""
    if call.slices:
        shape = draft.value(call.node.inputs[call.slices[0][0]]).shape
        length = shape[0] if shape else None
    else:
        trips, begins = (draft.array(call.node, slot) if call.node.inputs[slot] else True for slot in (0, 1))
        sure = call.endless and begins is not None and bool(np.all(begins))
        length = int(trips.item()) if sure and isinstance(trips, np.ndarray) else None
    return length if isinstance(length, int) and (length > 0 or not call.rows) else None


def _write_out(call: Layout, count: int, draft: Draft) -> None:
    """The steps beside the loop; what it made is made by them."""
    node, body = call.node, call.body
    states = {state.begin: node.inputs[state.slot] for state in call.states}
    rows: list[dict[str, str]] = []
    for step in range(count):
        names = {**{name: name for name in body.constants}, **states}
        if call.counter:
            names[call.counter] = draft.constant(f"{node.name}/{step}/counter", np.asarray(step, np.int64))
            names[call.condition] = draft.constant(f"{node.name}/{step}/condition", np.asarray(True))
        for slot, begin in call.slices:
            place = draft.constant(f"{node.name}/{step}/place", np.asarray(step, np.int64))
            names[begin] = _made(draft, call, f"{node.name}/{step}/{begin}", begin)
            inputs = (node.inputs[slot], place)
            _put(
                draft,
                node,
                Node(f"{node.name}/{step}/{begin}", "Gather", inputs, (names[begin],), {"axis": 0}),
            )
        for inner in body.nodes:
            for value in filter(None, inner.outputs):
                names[value] = _made(draft, call, _numbered(node, step, value), value)
            _put(draft, node, _renamed(inner, names, _numbered(node, step, inner.name)))
        states = {state.begin: names[state.end] for state in call.states}
        rows.append(names)
    for state in call.states:
        _put(
            draft,
            node,
            Node(f"{node.name}/{state.output}", "Identity", (states[state.begin],), (state.output,)),
        )
    for end, out in call.rows:
        _stack(draft, call, [names[end] for names in rows], out)
    draft.remove(node)


def _numbered(loop: Node, step: int, name: str) -> str:
    """A name of the body, with the step that it is of."""
    return f"{loop.name}/{step}/{name.removeprefix(f'{loop.name}/')}"


def _made(draft: Draft, call: Layout, name: str, value: str) -> str:
    """A name for a value of one step, of which is known what is known of it in the body."""
    label = free(name, draft.values)
    draft.values[label] = replace(call.body.value(value), name=label)
    return label


def _renamed(node: Node, names: Mapping[str, str], label: str) -> Node:
    """A node of the body as one of the graph; a loop inside has nothing but constants of its own."""
    return replace(
        node,
        name=label,
        inputs=tuple(names[v] if v else "" for v in node.inputs),
        outputs=tuple(names[v] if v else "" for v in node.outputs),
        attributes={
            k: renamed(a, names) if isinstance(a, GraphProto) else a for k, a in node.attributes.items()
        },
    )


def _stack(draft: Draft, call: Layout, rows: list[str], out: str) -> None:
    """One tensor of what the steps made, along a new first axis."""
    axes: Any = (
        draft.constant(f"{call.node.name}/axes", np.asarray([0], np.int64)) if draft.opset >= 13 else ""
    )
    attributes: dict[str, Any] = {} if axes else {"axes": [0]}
    parts: list[str] = []
    for row in rows:
        label = free(f"{out}/{len(parts)}", draft.values)
        value = draft.value(row)
        draft.values[label] = replace(
            value, name=label, shape=None if value.shape is None else (1, *value.shape)
        )
        inputs = (row, axes) if axes else (row,)
        _put(draft, call.node, Node(label, "Unsqueeze", inputs, (label,), attributes))
        parts.append(label)
    _put(draft, call.node, Node(f"{call.node.name}/{out}", "Concat", tuple(parts), (out,), {"axis": 0}))


def _put(draft: Draft, loop: Node, node: Node) -> None:
    draft.put(replace(node, name=free(node.name, draft.nodes)), at=loop)
