"""Ops that only move or copy values: relevance moves with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from onnxdtd.domains.interval import NONNEGATIVE, At, Domain
from onnxdtd.domains.rows import hull, or_zero, same
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.move import moved
from onnxdtd.primitives import (
    along,
    at_hand,
    cast_like,
    reduce_sum,
    reshape_like,
    slice_axes,
    static,
    transpose,
    unslice,
)
from onnxdtd.registry import op

Place = dict[str, list[int]]


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
    lengths = [static(point.value(i).shape[axis]) for i in range(len(point.node.inputs))]
    ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    places = [
        {"starts": [end - length], "ends": [end], "axes": [axis], "steps": [1]}
        for end, length in zip(ends, lengths, strict=True)
    ]
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
    if not at_hand(*(point.value(slot) for slot in range(1, len(point.node.inputs)) if point.has(slot))):
        return moved(point, 0)
    starts, ends = point.integers("starts", 1), point.integers("ends", 2)
    if starts is None or ends is None:
        raise UnsupportedError(f"{point.node}: starts and ends are missing; the model is not valid ONNX")
    axes = [a % x.ndim for a in point.integers("axes", 3, range(len(starts))) or []]
    steps = point.integers("steps", 4, [1] * len(starts)) or []
    place = {"starts": starts, "ends": ends, "axes": axes, "steps": steps}
    return point.site(
        LinearMap(None, lambda w, v: slice_axes(v, **place), lambda w, r: unslice(r, x, **place))
    )


@op("CenterCropPad", kind="route", range=or_zero)
def center(point: Point) -> Site:
    """The values cut, or with zeros around them, to the sizes given; the middle stays in the middle."""
    x, y = point.x, point.output
    cut: dict[int, tuple[int, int]] = {}
    laid: dict[int, tuple[int, int]] = {}
    for axis, (before, after) in enumerate(zip(x.shape, y.shape, strict=True)):
        if before != after:
            a, b = static(before), static(after)
            side, small = (cut, b) if b < a else (laid, a)
            side[axis] = (abs(a - b) // 2, abs(a - b) // 2 + small)
    inner, outer = _between(cut), _between(laid)

    def apply(w: Any, v: Any) -> Any:
        return unslice(slice_axes(v, **inner), y, **outer)

    def adjoint(w: Any, r: Any) -> Any:
        return unslice(slice_axes(r, **outer), x, **inner)

    return point.site(LinearMap(None, apply, adjoint), fills=bool(laid))


def _between(bounds: dict[int, tuple[int, int]]) -> Place:
    starts, ends = [a for a, _ in bounds.values()], [b for _, b in bounds.values()]
    return {"starts": starts, "ends": ends, "axes": list(bounds), "steps": [1] * len(bounds)}


@op("Split", kind="route", outputs=None, range=same)
def part(point: Point) -> Site:
    """y_k = x[s_k : s_k + n_k], where the sizes n are known only when the model runs."""
    axis, which = point.attribute("axis", 0) % point.x.ndim, point.which
    sizes = point.integers("split", 1)
    if sizes is None:
        equal = -(-static(point.x.shape[axis]) // point.attribute("num_outputs", len(point.node.outputs)))
        sizes = [equal] * which
    start = sum(sizes[:which])
    end = start + static(point.output.shape[axis])
    place = {"starts": [start], "ends": [end], "axes": [axis], "steps": [1]}
    return point.site(
        LinearMap(None, lambda w, v: slice_axes(v, **place), lambda w, r: unslice(r, point.x, **place))
    )


def _of_padding(at: At) -> Domain:
    if at.attribute("mode", "constant") != "constant":
        return at.x
    value = at.attribute("value", 0.0)
    return at.x | (at.domain(2) if at.has(2) else Domain(value, value))


@op("Pad", kind="route", data=(0, 2), range=_of_padding)
def padding(point: Point) -> Site:
    """Values with a border: of a constant, or copies of values (which carry relevance)."""
    x, rank = point.value(0), point.value(0).ndim
    mode = point.attribute("mode", "constant")
    pads = point.integers("pads" if "pads" in point.node.attributes else "paddings", 1) or []
    axes = [a % rank for a in point.integers("axes", 3, range(rank)) or []]
    begins, ends = [0] * rank, [0] * rank
    for i, axis in enumerate(axes):
        begins[axis], ends[axis] = pads[i], pads[len(axes) + i]
    # Each axis is multiplied by a 0-1 matrix (in, out); one that is not padded is left alone.
    copies = {a: _copies(static(x.shape[a]), begins[a], ends[a], mode) for a in axes if begins[a] or ends[a]}

    def apply(w: Any, v: Any) -> Any:
        for axis, matrix in copies.items():
            v = along(v, matrix.astype(v.dtype), axis=axis)
        return v

    def adjoint(w: Any, r: Any) -> Any:
        if mode == "constant" and min(begins + ends) >= 0:
            first = [begins[axis] for axis in copies]
            behind = [begins[axis] + static(x.shape[axis]) for axis in copies]
            return slice_axes(r, starts=first, ends=behind, axes=list(copies), steps=[1] * len(copies))
        for axis, matrix in copies.items():
            r = along(r, matrix.T.astype(r.dtype), axis=axis)
        return r

    maps = {0: LinearMap(None, apply, adjoint)}
    if 2 in point.slots:
        value = point.value(2)
        border = 1.0 - apply(None, x * 0.0 + 1.0)
        maps[2] = LinearMap(
            None,
            lambda w, v: border * v,
            lambda w, r: reshape_like(reduce_sum(r * border, axes=range(rank)), value),
        )
    # What a constant border, or constant values, add is the bias.
    bias = (
        point.output - apply(None, x)
        if 0 in point.slots and 2 not in point.slots and _border(point)
        else None
    )
    bias = apply(None, x) if 0 not in point.slots else bias
    fills = mode == "constant" if point.slots == (0,) else 0 not in point.slots
    return point.site(*(maps[slot] for slot in point.slots), bias=bias, fills=fills)


def _copies(length: int, begin: int, end: int, mode: str) -> Any:
    source: Any = np.arange(length)[max(-begin, 0) : length - max(-end, 0)]
    around = (max(begin, 0), max(end, 0))
    # Index -1 is no value: nothing is copied to a constant border.
    options: dict[str, Any] = {"constant_values": -1} if mode == "constant" else {"mode": mode}
    source = np.pad(source, around, **options)
    return (np.arange(length)[:, None] == source[None, :]).astype(np.float32)


def _border(point: Point) -> bool:
    """Whether there is a border that may be other than zero."""
    if point.attribute("mode", "constant") != "constant":
        return False
    if point.has(2):
        return not point.is_constant(2) or bool(point.value(2).any())
    return bool(point.attribute("value", 0.0))
