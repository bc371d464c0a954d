"""Pad: values with a border, of a constant or of copies of values, which carry relevance."""

from __future__ import annotations

from typing import Any

from onnxdtd.domains.interval import At, Domain
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import (
    Size,
    along,
    at_hand,
    cast_like,
    count_up,
    hits,
    larger,
    operator,
    reduce_sum,
    reshape_like,
    size,
    slice_axes,
    swap_last,
    unslice,
    vector,
)
from onnxdtd.registry import op

# From this opset on the amounts are an input.
PADS_AS_INPUT = 11


def _of_padding(at: At) -> Domain:
    if at.attribute("mode", "constant") != "constant":
        return at.x
    value = at.attribute("value", 0.0)
    return at.x | (at.domain(2) if at.has(2) else Domain(value, value))


@op("Pad", kind="route", data=(0, 2), range=_of_padding, constant="padding")
def padding(point: Point) -> Site:
    """Values with a border: of a constant, or copies of values (which carry relevance)."""
    x, y, rank = point.value(0), point.output, point.value(0).ndim
    mode = point.attribute("mode", "constant")
    axes = [a % rank for a in point.integers("axes", 3, range(rank)) or []]
    amounts = "pads" if "pads" in point.node.attributes else "paddings"
    pads = point.sizes(amounts, 1, 2 * len(axes)) or []
    around = {axis: (pads[i], pads[len(axes) + i]) for i, axis in enumerate(axes)}
    around = {axis: ends for axis, ends in around.items() if not at_hand(*ends) or any(ends)}
    move = _inside(x, y, around) if mode == "constant" else _copied(point, x, around, mode)
    maps = {0: move}
    if 2 in point.slots:
        value = point.value(2)
        border = 1.0 - move.apply(None, x * 0.0 + 1.0)
        maps[2] = LinearMap(
            None,
            lambda w, v: border * v,
            lambda w, r: reshape_like(reduce_sum(r * border, axes=range(rank)), value),
        )
    # What a constant border, or constant values, add is the bias.
    bias = y - move.apply(None, x) if 0 in point.slots and 2 not in point.slots and _border(point) else None
    bias = move.apply(None, x) if 0 not in point.slots else bias
    fills = mode == "constant" if point.slots == (0,) else 0 not in point.slots
    return point.site(*(maps[slot] for slot in point.slots), bias=bias, fills=fills)


def _inside(x: Any, y: Any, around: dict[int, tuple[Size, Size]]) -> LinearMap:
    """Where the values stand in the whole: a border that is negative cuts them."""
    inner: dict[str, list[Any]] = {"starts": [], "ends": [], "axes": [*around], "steps": [1] * len(around)}
    outer: dict[str, list[Any]] = {**inner, "starts": [], "ends": []}
    for axis, (begin, end) in around.items():
        cut, laid = larger(0 - begin, 0), larger(begin, 0)
        last = size(x, axis) - larger(0 - end, 0)
        for place, first, behind in ((inner, cut, last), (outer, laid, last - cut + laid)):
            place["starts"].append(first)
            place["ends"].append(behind)
    return LinearMap(
        None,
        lambda w, v: unslice(slice_axes(v, **inner), y, **outer),
        lambda w, r: unslice(slice_axes(r, **outer), x, **inner),
    )


def _copied(point: Point, x: Any, around: dict[int, tuple[Size, Size]], mode: str) -> LinearMap:
    """Each axis is multiplied by a 0-1 matrix (in, out): what the op makes of places says whence copies come."""
    copies = {}
    for axis, ends in around.items():
        length = size(x, axis)
        places = count_up(length)
        first, last = (larger(0 - n, 0) for n in ends)
        kept = slice_axes(places, starts=[first], ends=[length - last], axes=[0], steps=[1])
        border = vector([larger(n, 0) for n in ends])
        source = operator("Pad", kept, border, opset=max(point.opset, PADS_AS_INPUT), mode=mode)
        copies[axis] = hits(places, source, x)

    def apply(w: Any, v: Any) -> Any:
        for axis, matrix in copies.items():
            v = along(v, cast_like(matrix, v), axis=axis)
        return v

    def adjoint(w: Any, r: Any) -> Any:
        for axis, matrix in copies.items():
            r = along(r, cast_like(swap_last(matrix), r), axis=axis)
        return r

    return LinearMap(None, apply, adjoint)


def _border(point: Point) -> bool:
    """Whether there is a border that may be other than zero."""
    if point.attribute("mode", "constant") != "constant":
        return False
    if point.has(2):
        return not point.is_constant(2) or bool(point.value(2).any())
    return bool(point.attribute("value", 0.0))
