"""Ops that only move or copy values: relevance moves with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from onnxdtd.domains.interval import NONNEGATIVE
from onnxdtd.domains.rows import hull, or_zero, same
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.move import moved
from onnxdtd.primitives import (
    Size,
    at_hand,
    cast_like,
    ceiled,
    divided,
    larger,
    reshape_like,
    size,
    slice_axes,
    smaller,
    transpose,
    unslice,
)
from onnxdtd.registry import op

Place = dict[str, list[Size]]


@op("Reshape", "Flatten", "Squeeze", "Unsqueeze", kind="route", range=same)
def reshape(point: Point) -> Site:
    """The same values in another shape."""
    x, y = point.x, point.output
    return point.site(LinearMap(None, lambda w, v: reshape_like(v, y), lambda w, r: reshape_like(r, x)))


@op("Identity", kind="route", range=same)
def identity(point: Point) -> Site:
    """The same values."""
    return point.site(LinearMap(None, lambda w, v: v, lambda w, r: r))


@op("Dropout", kind="route", range=lambda at: at.x * NONNEGATIVE if at.has(2) else at.x)
def dropout(point: Point) -> Site:
    """The same values (at inference)."""
    if _trains(point):
        raise UnsupportedError(
            f"{point.node} is in training mode: what it drops is random; export for inference"
        )
    return identity(point)


def _trains(point: Point) -> bool:
    """Always at inference from opset 7 on, unless the third input (opset 12) is true; the ratio may be 0."""
    if point.opset < 7:
        return not point.attribute("is_test", 0)
    if not point.has(2):
        return False
    if not at_hand(point.value(2)):
        return True
    return bool(point.value(2)) and not (point.has(1) and not np.any(point.value(1)))


@op("Cast", "CastLike", kind="route", embeds=(0,), range=same)
def cast(point: Point) -> Site:
    """The same values in another type; relevance stays a float."""
    x, y = point.x, point.output
    floats = (x.dtype.kind, y.dtype.kind) == ("f", "f")
    linear = LinearMap(None, lambda w, v: cast_like(v, y), lambda w, r: cast_like(r, x) if floats else r)
    # Floats rounded to integers stand for categories: between them nothing changes.
    flat = replace(linear, adjoint=lambda w, r: r * np.zeros((), r.dtype))
    return point.site(linear, jacobian=(flat,) if (x.dtype.kind, y.dtype.kind in "iu") == ("f", True) else ())


@op("Transpose", kind="route", range=same)
def permute(point: Point) -> Site:
    """The same values with axes in another order."""
    perm = [int(p) for p in point.attribute("perm") or reversed(range(point.x.ndim))]
    inverse = [int(p) for p in np.argsort(perm)]
    return point.site(
        LinearMap(None, lambda w, v: transpose(v, perm=perm), lambda w, r: transpose(r, perm=inverse))
    )


@op("Concat", kind="route", data=None, range=hull)
def concatenate(point: Point) -> Site:
    """The inputs one behind the other: one map per data input."""
    y, axis = point.output, point.attribute("axis") % point.output.ndim
    lengths = [size(point.value(i), axis) for i in range(len(point.node.inputs))]
    places, start = [], 0
    for length in lengths:
        places.append({"starts": [start], "ends": [start + length], "axes": [axis], "steps": [1]})
        start = start + length
    maps = [_part(y, places[slot]) for slot in point.slots]
    others = [slot for slot in range(len(lengths)) if slot not in point.slots]
    fixed = [unslice(point.value(slot), y, **places[slot]) for slot in others]
    return point.site(*maps, bias=sum(fixed[1:], fixed[0]) if fixed else None, fills=bool(fixed))


def _part(whole: Any, place: Place) -> LinearMap:
    """Where one input stands in the whole."""
    return LinearMap(None, lambda w, v: unslice(v, whole, **place), lambda w, r: slice_axes(r, **place))


@op("Slice", kind="route", range=same)
def take_slice(point: Point) -> Site:
    """A part of the values."""
    x = point.x
    if not at_hand(*(point.value(slot) for slot in (3, 4) if point.has(slot))):
        return moved(point, 0)
    count = _how_many(point)
    starts, ends = point.sizes("starts", 1, count), point.sizes("ends", 2, count)
    if starts is None or ends is None:
        raise UnsupportedError(f"{point.node}: starts and ends are missing; the model is not valid ONNX")
    axes = [a % x.ndim for a in point.integers("axes", 3, range(len(starts))) or []]
    steps = point.integers("steps", 4, [1] * len(starts)) or []
    place = {"starts": starts, "ends": ends, "axes": axes, "steps": steps}
    return point.site(
        LinearMap(None, lambda w, v: slice_axes(v, **place), lambda w, r: unslice(r, x, **place))
    )


def _how_many(point: Point) -> int:
    """Axes that are cut; a list of the graph's own is as long as one that the model holds, or as its shape says."""
    for slot in range(1, len(point.node.inputs)):
        if point.has(slot) and isinstance(count := point.value(slot).shape[0], int):
            return count
    return int(point.x.ndim)


@op("CenterCropPad", kind="route", range=or_zero, constant="padding")
def center(point: Point) -> Site:
    """The values cut, or with zeros around them, to the sizes given; the middle stays in the middle."""
    x, y = point.x, point.output
    cut: dict[int, tuple[Size, Size]] = {}
    laid: dict[int, tuple[Size, Size]] = {}
    for axis, (before, after) in enumerate(zip(x.shape, y.shape, strict=True)):
        if before != after:
            a, b = size(x, axis), size(y, axis)
            # Of lengths that are open, either may be the longer one.
            for side, more in ((cut, a - b), (laid, b - a)):
                if not at_hand(more) or more > 0:
                    begin = divided(larger(more, 0), 2)
                    side[axis] = (begin, begin + smaller(a, b))
    inner, outer = _between(cut), _between(laid)

    def apply(w: Any, v: Any) -> Any:
        return unslice(slice_axes(v, **inner), y, **outer)

    def adjoint(w: Any, r: Any) -> Any:
        return unslice(slice_axes(r, **outer), x, **inner)

    return point.site(LinearMap(None, apply, adjoint), fills=bool(laid))


def _between(bounds: dict[int, tuple[Size, Size]]) -> Place:
    starts, ends = [a for a, _ in bounds.values()], [b for _, b in bounds.values()]
    return {"starts": starts, "ends": ends, "axes": list(bounds), "steps": [1] * len(bounds)}


@op("Split", kind="route", outputs=None, range=same)
def part(point: Point) -> Site:
    """y_k = x[s_k : s_k + n_k], where the sizes n are known only when the model runs."""
    axis, which = point.attribute("axis", 0) % point.x.ndim, point.which
    lengths = point.sizes("split", 1, len(point.node.outputs))
    if lengths is None:
        equal = ceiled(size(point.x, axis), point.attribute("num_outputs", len(point.node.outputs)))
        lengths = [equal] * which
    start = sum(lengths[:which])
    end = start + size(point.output, axis)
    place = {"starts": [start], "ends": [end], "axes": [axis], "steps": [1]}
    return point.site(
        LinearMap(None, lambda w, v: slice_axes(v, **place), lambda w, r: unslice(r, point.x, **place))
    )
