"""A Scan reads along the first axis, from the first place to the last one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np

from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.graph import Graph, Node, Value
from onnxdtd.types import Dimension

SCANS, MIRRORS = 9, 10
"""The opsets from which on a Scan has no batch axis of its own, and a Slice can mirror."""
SETTINGS = ("scan_input_axes", "scan_input_directions", "scan_output_axes", "scan_output_directions")


def scan_axes(graph: Graph) -> Graph:
    """Scan(f; x) along other axes, or from the last place on = Scan(f; x'), where x' is x turned and mirrored; and so
    for what it makes."""
    draft, done = Draft(graph), 0
    for node in graph.nodes:
        if node.op == "Scan" and not node.domain and any(any(node.attributes.get(k) or ()) for k in SETTINGS):
            done += _turn(node, draft)
    return draft.graph(f"Scan turned to the first axis: {nodes(done)}") if done else graph


def is_ahead(node: Node, draft: Draft) -> bool:
    """Whether a loop reads along the first axis, from the first place on."""
    settled = not any(any(node.attributes.get(key) or ()) for key in SETTINGS)
    return node.op != "Scan" or (settled and draft.opset >= SCANS)


def _turn(node: Node, draft: Draft) -> bool:
    count = node.attributes["num_scan_inputs"]
    states = len(node.inputs) - count
    inputs, outputs = list(node.inputs), list(node.outputs)
    ins, outs = _order(node, "input", count), _order(node, "output", len(outputs) - states)
    least = MIRRORS if any(back for _, back in (*ins, *outs)) else SCANS
    turned = [
        v for v, (axis, _) in zip((*inputs[states:], *outputs[states:]), (*ins, *outs), strict=True) if axis
    ]
    if draft.opset < least or any(v and draft.value(v).shape is None for v in turned):
        return False
    for i, (axis, back) in enumerate(ins, states):
        inputs[i] = _before(draft, node, inputs[i], axis, back)
    for i, (axis, back) in enumerate(outs, states):
        outputs[i] = _behind(draft, node, outputs[i], axis, back) if outputs[i] else ""
    kept = {key: value for key, value in node.attributes.items() if key not in SETTINGS}
    draft.put(replace(node, inputs=tuple(inputs), outputs=tuple(outputs), attributes=kept))
    return True


def _order(node: Node, end: str, count: int) -> list[tuple[int, bool]]:
    axes, directions = (node.attributes.get(f"scan_{end}_{key}") or () for key in ("axes", "directions"))
    filled = zip_longest(axes, directions, range(count), fillvalue=0)
    return [(axis, bool(back)) for axis, back, _ in filled]


def _before(draft: Draft, node: Node, value: str, axis: int, back: bool) -> str:
    """The sequence with `axis` first, mirrored if it is read from its last place on."""
    shape = draft.value(value).shape
    if axis and shape is not None:
        axis %= len(shape)
        order = [axis, *(i for i in range(len(shape)) if i != axis)]
        made = _beside(draft, node, value, [shape[i] for i in order])
        _put(draft, node, "Transpose", (value,), made, perm=order)
        value = made
    if back:
        made = _beside(draft, node, value, draft.value(value).shape)
        _mirror(draft, node, value, made)
        value = made
    return value


def _behind(draft: Draft, node: Node, value: str, axis: int, back: bool) -> str:
    """What the Scan makes, with its rows on the first axis, where `value` has them along `axis`."""
    shape = draft.value(value).shape
    if axis and shape is not None:
        axis %= len(shape)
        order = [*range(1, axis + 1), 0, *range(axis + 1, len(shape))]
        made = _beside(draft, node, value, [shape[order.index(i)] for i in range(len(shape))])
        _put(draft, node, "Transpose", (made,), value, perm=order)
        value = made
    if back:
        made = _beside(draft, node, value, draft.value(value).shape)
        _mirror(draft, node, made, value)
        value = made
    return value


def _beside(draft: Draft, node: Node, value: str, shape: Sequence[Dimension] | None) -> str:
    """A new value of the type of another one."""
    name = free(f"{node.name}/{value}/turned", draft.values)
    draft.values[name] = Value(name, draft.value(value).elem_type, None if shape is None else tuple(shape))
    return name


def _mirror(draft: Draft, node: Node, value: str, made: str) -> None:
    bounds = (-1, np.iinfo(np.int64).min, 0, -1)
    ends = [draft.constant(f"{node.name}/mirror", np.array([i], np.int64)) for i in bounds]
    _put(draft, node, "Slice", (value, *ends), made)


def _put(draft: Draft, node: Node, op: str, inputs: tuple[str, ...], made: str, **attributes: Any) -> None:
    draft.put(Node(free(f"{node.name}/{op}", draft.nodes), op, inputs, (made,), attributes), at=node)
