"""Sums of tensors: a skip connection is nothing special, it is an Add with two data inputs."""

from __future__ import annotations

import numpy as np

from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.scale import scaled
from onnxdtd.registry import op


@op("Add", "Sum", kind="linear", family="sum", data=None)
def add(point: Point) -> Site:
    """y = sum of the inputs; those that do not depend on the model's input are the bias."""
    return _sum(point, [1.0] * len(point.node.inputs))


@op("Sub", kind="linear", family="sum", data=None)
def subtract(point: Point) -> Site:
    """y = a - b."""
    return _sum(point, [1.0, -1.0])


@op("Mean", kind="linear", family="sum", data=None)
def mean(point: Point) -> Site:
    """y = mean of the inputs."""
    count = len(point.node.inputs)
    return _sum(point, [1.0 / count] * count)


def _sum(point: Point, factors: list[float]) -> Site:
    maps: list[LinearMap] = []
    for slot in point.slots:
        x = point.value(slot)
        maps.append(scaled(np.asarray(factors[slot], x.dtype), x, True))
    bias = None
    for slot, factor in enumerate(factors):
        if slot not in point.slots:
            part = point.value(slot) if factor == 1 else point.value(slot) * factor
            bias = part if bias is None else bias + part
    return point.site(*maps, bias=bias)
