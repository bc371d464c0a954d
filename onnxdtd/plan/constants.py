"""What the constant of each site is: the bias of a layer, a position embedding, the part of a Softmax that no input
makes. An op says it of itself; of a sum with something that no input changes, its place and its shape say it."""

from __future__ import annotations

from onnxdtd.entries import OpEntry
from onnxdtd.model.graph import Graph, Node
from onnxdtd.plan.scores import entry_of, scores
from onnxdtd.types import Dimension

BIAS, SHIFT, ATTENTION, CLASS = "bias", "norm shift", "attention bias", "class token"
POSITION, TYPE = "position embedding", "token type embedding"


def constant_of(graph: Graph, node: Node, op: OpEntry, slots: tuple[int, ...]) -> str:
    """The name of a node's constant. op: what the node is, where relevance goes on through these slots.

    A summand that differs along two axes or more, the batch's aside, stands for places: a position embedding; or,
    where it is one row of a table again and again, for the type that all tokens are of. What is added to attention
    scores is a bias of theirs, or a mask; what is added behind a division by a deviation, a norm's shift. Rows joined
    to those of a sequence stand before it as a class token does.
    """
    if op.kind == "linear" and op.data is None and op.offset:
        return _of_sum(graph, node, slots)
    if node.bias and _by_place(graph, node, op):
        return POSITION  # of a sum in front of the layer or behind it, which was composed with it
    if op.kind == "route" and op.data is None and not op.constant and _joins_rows(graph, node, slots):
        return CLASS
    return op.called


def _by_place(graph: Graph, node: Node, op: OpEntry) -> bool:
    """Whether a layer's bias differs by place; of a convolution with padding a mere shift of its input does so."""
    sizes = _behind(graph, node, node.bias)
    if op.family == "dense":
        return any(size != 1 for size in sizes[:-1])
    padded = any(node.attributes.get("pads", ())) or "SAME" in str(node.attributes.get("auto_pad"))
    return op.family == "convolution" and not padded and any(size != 1 for size in sizes[1:])


def features_axis(graph: Graph, node: Node) -> int:
    """The axis of a sum's features, beside those of its places: of maps (N, C, H, W) the first behind the batch's,
    else the last one."""
    return 1 if len(_shape(graph, node.output)) > 3 else -1


def _of_sum(graph: Graph, node: Node, slots: tuple[int, ...]) -> str:
    if node.output in scores(graph):
        return ATTENTION
    inner = {*slots}
    others = [value for slot, value in enumerate(node.inputs) if slot not in inner]
    if placed := [v for v in others if sum(size != 1 for size in _behind(graph, node, v)) > 1]:
        return TYPE if all(_of_one_row(graph, value) for value in placed) else POSITION
    return SHIFT if any(_normalised(graph, node.inputs[slot]) for slot in slots) else BIAS


def _shape(graph: Graph, value: str) -> tuple[Dimension, ...]:
    stored = graph.constants.get(value)
    return graph.value(value).shape or () if stored is None else stored.shape


def _behind(graph: Graph, node: Node, value: str) -> tuple[Dimension, ...]:
    """Its shape behind the batch axis of the node's output."""
    shape, rank = _shape(graph, value), len(_shape(graph, node.output))
    return shape[len(shape) - rank + 1 :] if len(shape) >= rank > 0 else shape


def _of_one_row(graph: Graph, value: str) -> bool:
    """Whether it is the same at all places: looked up by numbers that are all equal."""
    stored = graph.constants.get(value)
    if stored is not None:
        return bool((stored == stored[..., :1, :]).all())
    for _ in range(8):
        node = graph.producers.get(value)
        entry = None if node is None else entry_of(node)
        if node is None or entry is None or entry.kind != "route":
            return False
        index = [node.inputs[slot] for slot in entry.embeds if slot not in (entry.data or ())]
        value = index[0] if index else node.inputs[0]
        numbers = graph.constants.get(value)
        if numbers is not None:
            return (
                numbers.dtype.kind in "iu" and numbers.size > 0 and bool((numbers == numbers.flat[0]).all())
            )
    return False


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
    inner = {*slots}
    rows = [shape[1] for slot, shape in enumerate(shapes) if slot not in inner and len(shape) == 3]
    own = [shapes[slot][1] for slot in slots if len(shapes[slot]) == 3]
    fixed = [size for size in own if isinstance(size, int)]
    return bool(rows) and all(isinstance(size, int) and size < min(fixed, default=size + 1) for size in rows)
