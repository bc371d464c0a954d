"""A border that a node of its own lays around values, in front of a sliding window that has one itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from onnxdtd.model.canonise.chains import reading, value_like
from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.graph import Graph, Node
from onnxdtd.types import Dimension

_SUMS, _POOLS = ("Conv", "AveragePool", "LpPool"), ("AveragePool", "LpPool", "MaxPool")
_COUNTS_ITS_BORDER = 7
"""The opset from which on an AveragePool may."""
_NEVER_NEGATIVE = ("Relu", "Sigmoid", "HardSigmoid", "Softmax", "Softplus", "Abs", "Exp")
_KEEP_SIGN = ("MaxPool", "Transpose", "Squeeze", "Unsqueeze", "Dropout", "Identity")
Axis = tuple[Dimension, int, int]
"""The size of an axis without its border, and the border in front and behind."""


def padding(graph: Graph) -> Graph:
    """window(pad(x)) = window'(x), whose own border is so much wider: a constant Pad in front of a Conv, of an
    AveragePool that counts its border or of an LpPool, where it is zero; in front of a MaxPool, where it never wins.
    Transposes and axes of length 1 that come or go may stand between. What else reads the padded value keeps it.
    """
    draft, count = Draft(graph), 0
    for node in graph.nodes:
        if not node.domain and node.op in (*_SUMS, "MaxPool"):
            while _widened(draft.nodes[node.name], draft):
                count += 1
    return draft.graph(f"Pad taken into the border of what follows: {nodes(count)}") if count else graph


def _widened(node: Node, draft: Draft) -> bool:
    """Whether the node has taken the Pad in front of it."""
    value, moves = node.inputs[0], list[Node]()
    while (maker := draft.maker(value)) is not None and not maker.domain and not draft.is_captured(value):
        if maker.op == "Pad":
            axes = _border(maker, draft)
            if axes is None or not _fills_alike(maker, node, draft):
                return False
            turned = [axes]
            for move in reversed(moves):
                if (further := _turned(move, turned[-1], draft)) is None:
                    return False
                turned.append(further)
            wider = _wider(node, turned[-1], draft)
            if wider is not None:
                _read_bare(node, wider, maker, moves[::-1], turned[1:], draft)
            return wider is not None
        if maker.op not in ("Transpose", "Squeeze", "Unsqueeze"):
            return False
        moves.append(maker)
        value = maker.inputs[0]
    return False


def _border(pad: Node, draft: Draft) -> list[Axis] | None:
    """Of each axis of what is padded; None where that is not known, or the border cuts."""
    shape = draft.value(pad.inputs[0]).shape
    amounts = draft.integers(pad, "paddings" if "paddings" in pad.attributes else "pads", 1)
    if shape is None or amounts is None or pad.attributes.get("mode", "constant") != "constant":
        return None
    named = len(pad.inputs) > 3 and pad.inputs[3]
    axes = draft.array(pad, 3) if named else np.arange(len(shape))
    if axes is None or min(amounts, default=0) < 0:
        return None
    around = dict.fromkeys(range(len(shape)), (0, 0))
    for i, axis in enumerate(axes.reshape(-1)):
        around[int(axis) % len(shape)] = (amounts[i], amounts[axes.size + i])
    return [(size, *around[axis]) for axis, size in enumerate(shape)]


def _fills_alike(pad: Node, node: Node, draft: Draft) -> bool:
    """Whether what the Pad fills its border with is as good as the node's own border."""
    filled = (
        draft.array(pad, 2) if len(pad.inputs) > 2 and pad.inputs[2] else pad.attributes.get("value", 0.0)
    )
    if filled is None:
        return False
    number = float(np.asarray(filled).reshape(-1)[0])
    if node.op != "MaxPool":
        return number == 0
    lowest = float(np.finfo(np.float32).min)
    return number <= lowest or (number <= 0 and _never_negative(pad.inputs[0], draft))


def _never_negative(value: str, draft: Draft) -> bool:
    maker = draft.maker(value)
    if maker is None or maker.domain:
        return False
    if maker.op == "Concat":
        return all(_never_negative(part, draft) for part in maker.inputs)
    if maker.op == "Clip":
        low = draft.array(maker, 1) if "min" not in maker.attributes else maker.attributes["min"]
        return low is not None and bool(np.all(np.asarray(low) >= 0))
    return maker.op in _NEVER_NEGATIVE or (maker.op in _KEEP_SIGN and _never_negative(maker.inputs[0], draft))


def _turned(move: Node, axes: list[Axis], draft: Draft) -> list[Axis] | None:
    """The axes behind a move; None where a border would be lost, or its axes are not known."""
    if move.op == "Transpose":
        return [axes[i] for i in move.attributes.get("perm", range(len(axes))[::-1])]
    places = draft.integers(move, "axes", 1)
    if places is None:
        return None
    if move.op == "Squeeze":
        gone = {place % len(axes) for place in places}
        return (
            None if any(any(axes[i][1:]) for i in gone) else [a for i, a in enumerate(axes) if i not in gone]
        )
    rank = len(axes) + len(places)
    new, old = {place % rank for place in places}, iter(axes)
    return [(1, 0, 0) if i in new else next(old) for i in range(rank)]


def _wider(node: Node, axes: Sequence[Axis], draft: Draft) -> Node | None:
    """The node with a border on its spatial axes that is wider by so much; None where that is another map."""
    kernel = node.attributes.get("kernel_shape")
    if kernel is None and node.op == "Conv":
        kernel = (draft.value(node.inputs[1]).shape or ())[2:]
    if not kernel or len(axes) != len(kernel) + 2 or any(any(a[1:]) for a in axes[:2]):
        return None
    own = _own(node, kernel)
    if own is None:
        return None
    more = [a[1] for a in axes[2:]] + [a[2] for a in axes[2:]]
    pads = [a + b for a, b in zip(own, more, strict=True)]
    attributes = {**node.attributes, "auto_pad": "NOTSET", "pads": pads}
    if node.op in _POOLS:
        over = any(n >= k for n, k in zip(pads, (*kernel, *kernel), strict=True))  # refused by onnxruntime
        if over or node.attributes.get("ceil_mode", 0):
            return None
    if node.op == "MaxPool" and (
        any(n > 1 for n in node.attributes.get("dilations", ())) or any(node.outputs[1:])
    ):
        return (
            None  # a window with holes may lie in the border with all of its cells; places count the border
        )
    if node.op == "AveragePool":
        counts = node.attributes.get("count_include_pad", 0) or not any(own)
        if not counts or draft.opset < _COUNTS_ITS_BORDER:
            return None
        attributes["count_include_pad"] = 1
    return replace(node, attributes=attributes)


def _own(node: Node, kernel: Sequence[Dimension]) -> list[int] | None:
    """The pads that the node has; None where they follow from sizes."""
    auto_pad, rank = node.attributes.get("auto_pad", "NOTSET"), len(kernel)
    if auto_pad == "NOTSET":
        return list(node.attributes.get("pads", ())) or [0] * (2 * rank)
    if auto_pad == "VALID":
        return [0] * (2 * rank)
    if any(stride > 1 for stride in node.attributes.get("strides", ())):
        return None
    dilations = node.attributes.get("dilations") or [1] * rank
    totals = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True) if isinstance(k, int)]
    small, large = [n // 2 for n in totals], [n - n // 2 for n in totals]
    pads = small + large if auto_pad == "SAME_UPPER" else large + small
    return pads if len(totals) == rank else None


def _read_bare(
    node: Node, wider: Node, pad: Node, moves: list[Node], axes: list[list[Axis]], draft: Draft
) -> None:
    """Let the wider node read what was padded, moved in the same way; what nothing else reads goes."""
    value, padded = pad.inputs[0], pad.output
    for move, sizes in zip(moves, axes, strict=True):
        made = value_like(move.output, draft)
        draft.values[made] = replace(draft.values[made], shape=tuple(size for size, *_ in sizes))
        name = free(f"{move.name}/unpadded", draft.nodes)
        draft.put(replace(reading(move, padded, value), name=name, outputs=(made,)), at=move)
        value, padded = made, move.output
    draft.put(replace(wider, inputs=(value, *node.inputs[1:])))
    for old in (*reversed(moves), pad):
        if not draft.users(old.output) and not draft.is_end(old.output):
            draft.remove(old)
