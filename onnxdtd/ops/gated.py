"""Nodes that a mark says to be something else than their operator: written-out activations, one-hot vectors."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from onnxdtd.entries import OpEntry
from onnxdtd.linear import Site
from onnxdtd.model.graph import Node
from onnxdtd.model.point import Point
from onnxdtd.ops.scale import multiply, scaled


def self_gated(signal: int, point: Point) -> Site:
    """y = x g(x): rules see the gate as a constant, so that relevance stays with x, which is in slot `signal`."""
    product = multiply(point)
    (gate,) = (point.value(slot) for slot in point.slots if slot != signal)
    idle = scaled(0.0, gate)
    maps = tuple(m if slot == signal else idle for slot, m in zip(point.slots, product.maps, strict=True))
    return replace(product, maps=maps, jacobian=product.maps, bias=None)


def as_marked(op: OpEntry, node: Node, slots: tuple[int, ...]) -> OpEntry:
    """The entry of a node at which relevance goes on through these slots: what its mark says, else its operator."""
    if node.mark is not None and node.mark.meaning == "gated" and len(slots) > 1:
        return replace(op, kind="gate", family="self_gate", site=partial(self_gated, node.mark.signal))
    return op.at(slots, node.attributes)
