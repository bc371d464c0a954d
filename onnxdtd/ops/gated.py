"""Nodes that a mark says to be something else than their operator: written-out activations, values behind a gate."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from onnxdtd.entries import OpEntry
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.graph import Node
from onnxdtd.model.point import Point
from onnxdtd.ops.scale import multiply
from onnxdtd.primitives import unbroadcast


def gated(signal: int, point: Point) -> Site:
    """y = x g: rules see the gate as a constant, so that relevance stays with x, which is in slot `signal`."""
    product = multiply(point)
    maps = tuple(
        m if slot == signal else _nothing(point.value(slot))
        for slot, m in zip(point.slots, product.maps, strict=True)
    )
    return replace(product, maps=maps, jacobian=product.maps, constant=None)


def _nothing(x: Any) -> LinearMap:
    """0 = 0 x, with unit weights too."""
    return LinearMap(0.0, lambda w, v: 0.0 * v, lambda w, r: unbroadcast(0.0 * r, x))


def as_marked(op: OpEntry, node: Node, slots: tuple[int, ...]) -> OpEntry:
    """The entry of a node at which relevance goes on through these slots: what its mark says, else its operator."""
    if node.mark is not None and node.mark.meaning == "gated" and len(slots) > 1:
        return replace(op, kind="linear", family="scale", site=partial(gated, node.mark.signal))
    return op.at(slots, node.attributes)
