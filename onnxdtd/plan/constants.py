"""What the constant of each site is: the bias of a layer, a position embedding, the part of a Softmax that no input
makes. An op says it of itself; of a sum with something that no input changes, its place and its shape say it."""

from __future__ import annotations

from onnxdtd.entries import OpEntry
from onnxdtd.model.graph import Graph, Node
from onnxdtd.plan.scores import entry_of, scores
from onnxdtd.types import Dimension

BIAS, SHIFT, POSITION, ATTENTION, CLASS = (
    "bias",
    "norm shift",
    "position embedding",
    "attention bias",
    "class token",
)


def constant_of(graph: Graph, node: Node, op: OpEntry, slots: tuple[int, ...]) -> str:
    """The name of a node's constant. op: what the node is, where relevance goes on through these slots.

    A summand that differs along two axes or more, the batch's aside, stands for places: a position embedding. What is
    added to attention scores is a bias of theirs, or a mask; what is added behind a division by a deviation, a norm's
    shift. Rows joined to those of a sequence stand before it as a class token does.
    """
    if op.kind == "linear" and op.data is None and op.offset:
        return _of_sum(graph, node, slots)
    if op.kind == "route" and op.data is None and not op.constant and _joins_rows(graph, node, slots):
        return CLASS
    return op.called


def _of_sum(graph: Graph, node: Node, slots: tuple[int, ...]) -> str:
    if node.output in scores(graph):
        return ATTENTION
    others = [value for slot, value in enumerate(node.inputs) if slot not in slots]
    rank = len(_shape(graph, node.output))
    if any(_spread(_shape(graph, value), rank) > 1 for value in others):
        return POSITION
    return SHIFT if any(_normalised(graph, node.inputs[slot]) for slot in slots) else BIAS


def _shape(graph: Graph, value: str) -> tuple[Dimension, ...]:
    stored = graph.constants.get(value)
    return graph.value(value).shape or () if stored is None else stored.shape


def _spread(shape: tuple[Dimension, ...], rank: int) -> int:
    """Along how many axes of a value of this rank it differs, its first one, the batch's, aside."""
    behind = shape[max(0, len(shape) - rank + 1) :] if len(shape) >= rank else shape
    return sum(size != 1 for size in behind)


def _normalised(graph: Graph, value: str) -> bool:
    """Whether it is a division of something by what was made of it over the last axis, scaled or not."""
    for _ in range(3):
        node = graph.producers.get(value)
        entry = None if node is None else entry_of(node)
        if node is None or entry is None or entry.family != "scale" or len(node.inputs) != 2:
            return False
        moving = [v for v in node.inputs if v not in graph.constants]
        if len(moving) == 2:
            sizes = [_shape(graph, v)[-1:] for v in moving]
            return (1,) in sizes and sizes[0] != sizes[1]
        value = moving[0] if moving else ""
    return False


def _joins_rows(graph: Graph, node: Node, slots: tuple[int, ...]) -> bool:
    """Whether the constants are rows beside those of a sequence (N, T, C): along its axis, and fewer."""
    shapes = [_shape(graph, value) for value in node.inputs]
    if len(_shape(graph, node.output)) != 3 or node.attributes.get("axis") not in (1, -2):
        return False
    rows = [shape[1] for slot, shape in enumerate(shapes) if slot not in slots and len(shape) == 3]
    own = [shapes[slot][1] for slot in slots if len(shapes[slot]) == 3]
    fixed = [size for size in own if isinstance(size, int)]
    return bool(rows) and all(isinstance(size, int) and size < min(fixed, default=size + 1) for size in rows)
