"""Sums of tensors: a skip connection is nothing special, it is an Add with two data inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from onnxdtd.domains.interval import At, Domain
from onnxdtd.domains.rows import total
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.scale import scaled
from onnxdtd.primitives import absolute, at_hand, less, where
from onnxdtd.registry import op


@op("Add", "Sum", kind="linear", family="sum", offset=True, adds=True, data=None, range=total)
def add(point: Point) -> Site:
    """y = sum of the inputs; those that do not depend on the model's input are the bias."""
    return _sum(point, [1.0] * len(point.node.inputs))


@op("Sub", kind="linear", family="sum", offset=True, data=None, range=lambda at: at.domain(0) + -at.domain(1))
def subtract(point: Point) -> Site:
    """y = a - b."""
    return _sum(point, [1.0, -1.0])


def _of_mean(at: At) -> Domain:
    share = 1 / len(at.all)
    return total(at) * Domain(share, share)


@op("Mean", kind="linear", family="sum", offset=True, adds=True, data=None, range=_of_mean)
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
    site = point.site(*maps, bias=bias)
    return _unmasked(site) if _may_mask(point, site) else site


def _may_mask(point: Point, site: Site) -> bool:
    """Whether a mask may add -inf; of traced values a summand that is no data is suspected, and one that a constant
    of infinity reaches."""
    if not at_hand(site.output) and not point.graph.infinite.isdisjoint(point.node.inputs):
        return True
    summand = site.output if at_hand(site.output) else site.bias
    return not at_hand(summand) or (summand is not None and bool(np.isinf(summand).any()))


def _unmasked(site: Site) -> Site:
    """No relevance arrives where -inf is added: it counts as 0, so that no product or difference is undefined."""
    inputs = tuple(_finite(x) for x in site.inputs)
    bias = None if site.bias is None else _finite(site.bias)
    parts = [m.apply(m.weights, x) for m, x in zip(site.maps, inputs, strict=True)]
    parts = parts if bias is None else [*parts, bias]
    output = _finite(site.output, sum(parts[1:], parts[0]))
    return replace(site, inputs=inputs, constant=bias, output=output)


def _finite(x: Any, otherwise: Any = None) -> Any:
    other = np.zeros((), x.dtype) if otherwise is None else otherwise
    return where(less(absolute(x), np.asarray(np.inf, x.dtype)), x, other)
