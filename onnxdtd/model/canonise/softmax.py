"""A Softmax that was written out, node by node."""

from __future__ import annotations

from onnxdtd.model.canonise.draft import Draft, nodes
from onnxdtd.model.graph import Graph, Node

_KEEPS_VALUES = ("Reshape", "Expand", "Unsqueeze", "Identity")


def softmax(graph: Graph) -> Graph:
    """exp(x - m) / sum exp(x - m) = softmax(x): the division becomes a Softmax along the one axis of the sum.

    In opsets before 13, where a Softmax takes all axes from its own on, only along the last.
    """
    draft = Draft(graph)
    count = 0
    for node in graph.nodes:
        match = _match(node, draft)
        if match is not None:
            draft.put(Node(node.name, "Softmax", (match[0],), node.outputs, {"axis": match[1]}))
            count += 1
    return draft.graph(f"Softmax written as one node: {nodes(count)}") if count else graph


def _match(node: Node, draft: Draft) -> tuple[str, int] | None:
    """x and the axis, or None if the node is not the division of a Softmax."""
    if node.op != "Div" or node.domain:
        return None
    exp, total = draft.maker(node.inputs[0]), _behind(node.inputs[1], draft)
    if exp is None or exp.op != "Exp" or total is None or total.op != "ReduceSum":
        return None
    axes, rank = draft.integers(total, "axes", 1), draft.rank(exp.output)
    if total.inputs[0] != exp.output or axes is None or len(axes) != 1 or rank is None:
        return None
    axis = axes[0] % rank
    if not _constant_along(node.inputs[1], axis, rank, draft) or (draft.opset < 13 and axis != rank - 1):
        return None
    shift = draft.maker(exp.inputs[0])
    shifted = shift is not None and shift.op == "Sub" and _constant_along(shift.inputs[1], axis, rank, draft)
    return (shift.inputs[0] if shift is not None and shifted else exp.inputs[0]), axis


def _behind(value: str, draft: Draft) -> Node | None:
    """The node that makes the value, moves aside."""
    node = draft.maker(value)
    while node is not None and node.op in _KEEPS_VALUES and not node.domain:
        node = draft.maker(node.inputs[0])
    return node


def _constant_along(value: str, axis: int, rank: int, draft: Draft) -> bool:
    """Whether the value, as it is broadcast, has length 1 along the axis."""
    shape = draft.value(value).shape
    if shape is None:
        return False
    place = axis - (rank - len(shape))
    return place < 0 or shape[place] == 1
