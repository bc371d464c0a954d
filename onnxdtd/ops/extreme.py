"""The largest and the smallest: selections. The winner takes all; winners that tie share equally."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from onnxdtd.domains.interval import UNIT, At, Domain
from onnxdtd.domains.pieces import Pieces
from onnxdtd.domains.rows import same, within
from onnxdtd.domains.selections import Selection, extreme
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.reduce import axes_of
from onnxdtd.ops.scale import scaled, tangent
from onnxdtd.primitives import beyond, cast_like, equal, greater, inverse, ones_like, unbroadcast, where
from onnxdtd.registry import op, without_site

INPUT, LOW, HIGH = range(3)
BOUNDED = ((LOW,), (HIGH,), (LOW, HIGH), (INPUT, LOW), (INPUT, HIGH), (INPUT, LOW, HIGH))

without_site(
    "barrier", "Hardmax", range=within(UNIT),
    reason="piecewise constant: its derivative is zero wherever it exists",
)  # fmt: skip


@op(
    "Max",
    kind="select",
    data=None,
    range=lambda at: Domain(*(max(ends) for ends in _ends(at))),
    pieces=extreme(1),
)
def largest(point: Point) -> Site:
    """y = the largest of the inputs, elementwise."""
    return _of_inputs(point)


@op(
    "Min",
    kind="select",
    data=None,
    range=lambda at: Domain(*(min(ends) for ends in _ends(at))),
    pieces=extreme(-1),
)
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


def _pieces_of_clip(point: Point) -> Pieces:
    """The slope on the bounds is 0."""
    bounds = _fixed_bounds(point)
    if bounds is None:
        raise UnsupportedError(f"{point.node}: its bounds move")
    low, high = bounds
    if low >= high:
        return Pieces((), (0.0,), (high,), ())
    pieces = [(-np.inf, 0.0, low, False)] if np.isfinite(low) else []
    pieces += [(low, 1.0, 0.0, False)]
    pieces += [(high, 0.0, high, True)] if np.isfinite(high) else []
    knots, slopes, offsets, upper = zip(*pieces, strict=True)
    return Pieces(knots[1:], slopes, offsets, upper[1:])


def _fixed_bounds(point: Point) -> tuple[float, float] | None:
    """None where a bound is a value."""
    bounds = []
    for slot, name, default in ((LOW, "min", -np.inf), (HIGH, "max", np.inf)):
        if point.has(slot) and not point.is_constant(slot):
            return None
        bounds.append(point.constant(slot).item() if point.has(slot) else point.attribute(name, default))
    low, high = map(float, bounds)
    return low, high


@op(
    "Clip", kind="elementwise", rectifies=True, data=(INPUT, LOW, HIGH), otherwise=dict.fromkeys(BOUNDED, "select"),
    range=_of_clip,
    pieces=_pieces_of_clip,
)  # fmt: skip
def clip(point: Point) -> Site:
    """y = x between the bounds, where its slope is 1; else the bound, which takes all. What lies exactly on a bound
    that is a value is x's."""
    if point.slots == (INPUT,):
        return tangent(point, scaled(lambda: _slope_of_clip(point), point.x))
    y, shares, left = point.output, {}, 1.0
    for slot in (INPUT, HIGH, LOW):
        if point.has(slot):
            shares[slot] = cast_like(equal(point.value(slot), y), y) * left
            left = left - shares[slot]
    return _selection(point, shares)


def _slope_of_clip(point: Point) -> Any:
    """1 where y lies between the bounds: as of Relu the output tells, so x may stay inside a fused convolution."""
    y, bounds = point.output, _fixed_bounds(point)
    if bounds is None or np.dtype(y.dtype).kind != "f":
        return cast_like(equal(point.x, y), y)
    sides = [cast_like(beyond(y, bound, sign=s), y) for bound, s in zip(bounds, (1, -1), strict=True)
             if np.isfinite(bound)]  # fmt: skip
    return functools.reduce(operator.mul, sides) if sides else ones_like(y)


def _selection(point: Point, shares: Mapping[int, Any]) -> Site:
    """y = sum of share x, the shares 1 in total at every output. What constants among the x have is the bias."""
    maps = [_shared(shares[slot], point.value(slot)) for slot in point.slots]
    fixed = [_shared(share, 0.0).apply(None, point.value(slot)) for slot, share in shares.items()
             if slot not in point.slots]  # fmt: skip
    return point.site(*maps, bias=sum(fixed[1:], fixed[0]) if fixed else None, fills=bool(fixed))


def _shared(share: Any, x: Any) -> LinearMap:
    def apply(w: Any, v: Any) -> Any:
        # A loser may be infinite.
        return share * where(greater(share, 0.0), v, np.zeros((), share.dtype))

    return LinearMap(None, apply, lambda w, r: unbroadcast(r * share, x))


def _over_axes(sign: int) -> Callable[[Point], Selection]:
    def declared(point: Point) -> Selection:
        x, axes = point.x, axes_of(point)
        kept = [axis for axis in range(x.ndim) if axis not in axes.reduced]
        positions = np.arange(x.size).reshape(x.shape).transpose(*axes.reduced, *kept)
        return Selection(positions.reshape(-1, point.output.size), point.output.shape[1:], sign=sign)

    return declared


@op("ReduceMax", kind="select", range=same, pieces=_over_axes(1))
def largest_over(point: Point) -> Site:
    """y = the largest over the given axes."""
    return _of_axes(point)


@op("ReduceMin", kind="select", range=same, pieces=_over_axes(-1))
def smallest_over(point: Point) -> Site:
    """y = the smallest over the given axes."""
    return _of_axes(point)


def _of_axes(point: Point) -> Site:
    x, axes = point.x, axes_of(point)
    wins = cast_like(equal(x, axes.back(point.output)), x)
    return point.site(axes.weighted(wins * inverse(axes.back(axes.sum(wins)))))
