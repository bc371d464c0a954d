"""The bias of a node that its operator does not take (`Node.bias`): a constant, or a value that sizes make."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import TensorProto

from onnxdtd.model.canonise.affine import Affine
from onnxdtd.model.canonise.draft import Draft, free
from onnxdtd.model.graph import Node, Value
from onnxdtd.types import Array

Offset = Array | str
"""A constant, or the name of a value of the graph."""
EXPANDS = 8
"""The opset from which on Expand makes an array of any sizes."""


def offset_of(node: Node, draft: Draft) -> Offset:
    """What is added to the node's output beyond its operator; zero for nothing."""
    return draft.constants.get(node.bias, node.bias) if node.bias else np.zeros(())


def is_zero(offset: Offset) -> bool:
    """Whether nothing is added."""
    return not isinstance(offset, str) and not offset.any()


def times(offset: Offset, factor: Array, node: Node, draft: Draft) -> Offset:
    """The offset of a node, times a constant."""
    if not isinstance(offset, str):
        return np.asarray(offset * factor)
    return offset if (factor == 1).all() else _made("Mul", offset, factor, node, draft)


def plus(offset: Offset, other: Offset, node: Node, draft: Draft) -> Offset:
    """The sum of two offsets of a node."""
    if not isinstance(offset, str) and not isinstance(other, str):
        return np.asarray(offset + other)
    if is_zero(offset) or is_zero(other):
        return other if is_zero(offset) else offset
    first, second = (offset, other) if isinstance(offset, str) else (other, offset)
    return _made("Add", str(first), second, node, draft)


def of_open_sizes(affine: Affine, shift: Array, draft: Draft) -> Offset | None:
    """W c at every position, for c by channel and sizes that only a run knows: the map of ones as long as x, one
    channel whose weights are summed before. None where x has no rank, or the opset cannot make them."""
    node = affine.node
    x = draft.value(node.inputs[0])
    if x.shape is None or draft.opset < EXPANDS:
        return None
    rank, integers = len(x.shape), Value("", TensorProto.INT64)
    lengths = _value(node, "Shape", (x.name,), replace(integers, shape=(rank,)), draft)
    spatial = draft.constant(f"{node.name}/spatial", np.arange(2, rank, dtype=np.int64))
    open_sizes = _value(node, "Gather", (lengths, spatial), replace(integers, shape=(rank - 2,)), draft)
    single = draft.constant(f"{node.name}/single", np.ones(2, np.int64))
    sizes = _value(node, "Concat", (single, open_sizes), replace(integers, shape=(rank,)), draft, axis=0)
    one = draft.constant(f"{node.name}/one", np.ones((), affine.weight.dtype))
    ones = _value(node, "Expand", (one, sizes), replace(x, shape=(1, 1, *x.shape[2:])), draft)
    taps = draft.constant(f"{node.name}/taps", affine.taps(shift).astype(affine.weight.dtype))
    place = {key: value for key, value in node.attributes.items() if key != "group"}
    y = draft.value(node.output)
    made = replace(y, shape=None if y.shape is None else (1, affine.channels, *y.shape[2:]))
    return _value(node, node.op, (ones, taps), made, draft, **place)


def _made(op: str, offset: str, other: Offset, node: Node, draft: Draft) -> str:
    """offset * other or offset + other, as a node of the graph."""
    if not isinstance(other, str):
        dtype = draft.value(offset).dtype
        other = draft.constant(f"{node.name}/of_bias", np.asarray(other, dtype))
    return _value(node, op, (offset, other), draft.value(offset), draft)


def _value(
    node: Node, op: str, inputs: tuple[str, ...], like: Value, draft: Draft, **attributes: object
) -> str:
    """What a new node beside another one makes."""
    name = draft.named(f"{node.name}/bias/{op}")
    draft.values[name] = replace(like, name=name)
    draft.put(Node(free(name, draft.nodes), op, inputs, (name,), attributes), at=node)
    return name
