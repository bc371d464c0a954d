"""The largest and the smallest: selections. The winner takes all; winners that tie share equally."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxdtd.domains.interval import UNIT, At, Domain
from onnxdtd.domains.rows import same, within
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.reduce import axes_of
from onnxdtd.ops.scale import scaled
from onnxdtd.primitives import cast_like, equal, greater, inverse, unbroadcast, where
from onnxdtd.registry import op, without_site

INPUT, LOW, HIGH = range(3)
BOUNDED = ((LOW,), (HIGH,), (LOW, HIGH), (INPUT, LOW), (INPUT, HIGH), (INPUT, LOW, HIGH))

without_site(
    "barrier", "Hardmax", range=within(UNIT),
    reason="piecewise constant: its derivative is zero wherever it exists",
)  # fmt: skip


@op("Max", kind="select", data=None, range=lambda at: Domain(*(max(ends) for ends in _ends(at))))
def largest(point: Point) -> Site:
    """y = the largest of the inputs, elementwise."""
    return _of_inputs(point)


@op("Min", kind="select", data=None, range=lambda at: Domain(*(min(ends) for ends in _ends(at))))
def smallest(point: Point) -> Site:
    """y = the smallest of the inputs, elementwise."""
    return _of_inputs(point)


def _ends(at: At) -> tuple[list[float], list[float]]:
    return [d.low for d in at.all], [d.high for d in at.all]


def _of_inputs(point: Point) -> Site:
    y = point.output
    wins = [cast_like(equal(point.value(slot), y), y) for slot in range(len(point.node.inputs))]
    each = inverse(sum(wins[1:], wins[0]))
    return _selection(point, {slot: won * each for slot, won in enumerate(wins)})


def _of_clip(at: At) -> Domain:
    low, high = at.attribute("min", -np.inf), at.attribute("max", np.inf)
    lows = at.domain(LOW) if at.has(LOW) else Domain(low, low)
    highs = at.domain(HIGH) if at.has(HIGH) else Domain(high, high)
    return Domain(min(max(at.x.low, lows.low), highs.low), min(max(at.x.high, lows.high), highs.high))


@op(
    "Clip", kind="elementwise", data=(INPUT, LOW, HIGH), otherwise=dict.fromkeys(BOUNDED, "select"),
    range=_of_clip,
)  # fmt: skip
def clip(point: Point) -> Site:
    """y = x within the bounds, where its slope is 1 (bounds included); else the bound, which takes all."""
    x, y = point.value(INPUT), point.output
    if point.slots == (INPUT,):
        return point.site(scaled(lambda: cast_like(equal(x, y), y), x))
    shares, left = {}, 1.0
    for slot in (INPUT, HIGH, LOW):
        if point.has(slot):
            shares[slot] = cast_like(equal(point.value(slot), y), y) * left
            left = left - shares[slot]
    return _selection(point, shares)


def _selection(point: Point, shares: Mapping[int, Any]) -> Site:
    """y = sum of share x, the shares 1 in total at every output. What constants among the x have is the bias."""
    maps = [_shared(shares[slot], point.value(slot)) for slot in point.slots]
    fixed = [_shared(share, 0.0).apply(None, point.value(slot)) for slot, share in shares.items()
             if slot not in point.slots]  # fmt: skip
    return point.site(*maps, bias=sum(fixed[1:], fixed[0]) if fixed else None)


def _shared(share: Any, x: Any) -> LinearMap:
    def apply(w: Any, v: Any) -> Any:
        # A loser may be infinite.
        return share * where(greater(share, 0.0), v, np.zeros((), share.dtype))

    return LinearMap(None, apply, lambda w, r: unbroadcast(r * share, x))


@op("ReduceMax", "ReduceMin", kind="select", range=same)
def extreme_over(point: Point) -> Site:
    """y = the largest or smallest over the given axes."""
    x, axes = point.x, axes_of(point)
    wins = cast_like(equal(x, axes.back(point.output)), x)
    return point.site(axes.weighted(wins * inverse(axes.back(axes.sum(wins)))))
