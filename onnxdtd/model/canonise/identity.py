"""Nodes that change nothing: y = x."""

from __future__ import annotations

from onnxdtd.model.canonise.draft import Draft, nodes
from onnxdtd.model.graph import Graph, Node
from onnxdtd.types import Array

_ONE_INPUT = {"Sum", "Mean", "Max", "Min", "Concat"}


def identity(graph: Graph) -> Graph:
    """y = x: Identity, Dropout at inference, Cast to the same type, and what is certain to change nothing (a
    Reshape to the shape there is, a Pad by zero, a Concat of one input, a product with 1) are dropped and their users
    read x.
    An output of the graph keeps its name: the node that makes x now makes y. A CastLike, of whose second input
    only the type counts, becomes a Cast.
    """
    draft = Draft(graph)
    for node in graph.nodes:
        if node.op == "CastLike" and not node.domain and (to := draft.value(node.inputs[1]).elem_type):
            draft.put(Node(node.name, "Cast", node.inputs[:1], node.outputs, {"to": to}))
    dropped = 0
    for name in graph.by_name:
        node = draft.nodes[name]
        if not _changes_nothing(node, draft):
            continue
        x, y = node.inputs[0], node.output
        if draft.is_captured(y):
            continue
        if not draft.is_end(y):
            draft.remove(node)
            draft.rename(y, x)
        elif draft.maker(x) and not draft.is_end(x) and not draft.is_captured(x):
            draft.remove(node)
            draft.rename(x, y)
        else:  # the output is also an input, a constant or another output: it needs a node of its own
            continue
        dropped += 1
    if not dropped:
        return draft.graph() if any(node.op == "CastLike" for node in graph.nodes) else graph
    return draft.graph(f"no-ops dropped: {nodes(dropped)}")


def _changes_nothing(node: Node, draft: Draft) -> bool:
    if node.domain or not node.inputs or not node.inputs[0]:
        return False
    x = node.inputs[0]
    if node.op in ("Cast", "CastLike"):
        to = node.attributes.get("to") if node.op == "Cast" else draft.value(node.inputs[1]).elem_type
        return bool(to) and draft.value(x).elem_type == to
    if node.op in ("Mul", "Div"):
        return _by_one(draft.array(node, 1), draft.rank(x))
    if node.op == "Dropout":
        return _at_inference(node, draft)
    if node.op == "Pad":
        pads = draft.integers(node, "pads", 1)
        return pads is not None and not any(pads)
    if node.op == "Flatten":
        return draft.rank(x) == 2 and node.attributes.get("axis", 1) in (1, -1)
    if node.op == "Transpose":
        order = list(node.attributes.get("perm", ()))
        return bool(order) and order == sorted(order)
    if node.op == "Reshape":
        return _keeps_shape(node, draft)
    return node.op == "Identity" or (node.op in _ONE_INPUT and len(node.inputs) == 1)


def _by_one(factor: Array | None, rank: int | None) -> bool:
    """One number, which is 1, and of a rank that adds no axis."""
    return factor is not None and factor.size == 1 == factor.item() and factor.ndim <= (rank or 0)


def _at_inference(node: Node, draft: Draft) -> bool:
    """Since opset 7 always, since 12 unless the third input may be true. A mask that is read must be made."""
    if draft.opset < 7 or any(draft.users(mask) or draft.is_end(mask) for mask in node.outputs[1:]):
        return False
    training = draft.array(node, 2)
    return not any(node.inputs[2:]) or (training is not None and not training.any())


def _keeps_shape(node: Node, draft: Draft) -> bool:
    """Each size asked for is the one there is; one -1 may stand for a size that is not known."""
    target, shape = draft.integers(node, "shape", 1), draft.value(node.inputs[0]).shape
    if target is None or shape is None or len(target) != len(shape):
        return False
    copied = 0 if not node.attributes.get("allowzero") else None
    open_sizes = [size for size, there in zip(target, shape, strict=True) if size not in (copied, there)]
    return open_sizes in ([], [-1]) and 0 not in shape
