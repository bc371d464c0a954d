"""y = x g(x): an activation that an exporter has written as a product of a value with a gate of its own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from onnxdtd.entries import OpEntry
from onnxdtd.linear import Site
from onnxdtd.model.point import Point
from onnxdtd.ops.scale import multiply, scaled
from onnxdtd.registry import OPS


def self_gated(signal: int, point: Point) -> Site:
    """y = x g(x): rules see the gate as a constant, so that relevance stays with x, which is in slot `signal`."""
    product = multiply(point)
    (gate,) = (point.value(slot) for slot in point.slots if slot != signal)
    idle = scaled(0.0, gate)
    maps = tuple(m if slot == signal else idle for slot, m in zip(point.slots, product.maps, strict=True))
    return replace(product, maps=maps, jacobian=product.maps, bias=None)


def self_gate(signal: int) -> OpEntry:
    """The entry of such a product."""
    return replace(OPS["", "Mul"], kind="gate", family="self_gate", site=partial(self_gated, signal))
