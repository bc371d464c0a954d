"""Ops that only move or copy values: relevance moves with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import along, cast_like, reshape_like, slice_axes, static, transpose, unslice
from onnxdtd.registry import op

Place = dict[str, list[int]]


@op("Reshape", "Flatten", "Squeeze", "Unsqueeze", kind="route")
def reshape(point: Point) -> Site:
    """The same values in another shape."""
    x, y = point.x, point.output
    return point.site(LinearMap(None, lambda w, v: reshape_like(v, y), lambda w, r: reshape_like(r, x)))


@op("Identity", "Dropout", kind="route")
def identity(point: Point) -> Site:
    """The same values (Dropout at inference)."""
    return point.site(LinearMap(None, lambda w, v: v, lambda w, r: r))


@op("Cast", "CastLike", kind="route", embeds=(0,))
def cast(point: Point) -> Site:
    """The same values in another type; relevance stays a float."""
    x, y = point.x, point.output
    floats = (x.dtype.kind, y.dtype.kind) == ("f", "f")
    return point.site(
        LinearMap(None, lambda w, v: cast_like(v, y), lambda w, r: cast_like(r, x) if floats else r)
    )


@op("Transpose", kind="route")
def permute(point: Point) -> Site:
    """The same values with axes in another order."""
    perm = [int(p) for p in point.attribute("perm") or reversed(range(point.x.ndim))]
    inverse = [int(p) for p in np.argsort(perm)]
    return point.site(
        LinearMap(None, lambda w, v: transpose(v, perm=perm), lambda w, r: transpose(r, perm=inverse))
    )


@op("Concat", kind="route", data=None)
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
    return point.site(*maps, bias=sum(fixed[1:], fixed[0]) if fixed else None)


def _part(whole: Any, place: Place) -> LinearMap:
    """Where one input stands in the whole."""
    return LinearMap(None, lambda w, v: unslice(v, whole, **place), lambda w, r: slice_axes(r, **place))


@op("Slice", kind="route")
def take_slice(point: Point) -> Site:
    """A part of the values."""
    x = point.x
    starts, ends = point.integers("starts", 1), point.integers("ends", 2)
    if starts is None or ends is None:
        raise UnsupportedError(f"{point.node}: starts and ends are missing; the model is not valid ONNX")
    axes = [a % x.ndim for a in point.integers("axes", 3, range(len(starts))) or []]
    steps = point.integers("steps", 4, [1] * len(starts)) or []
    place = {"starts": starts, "ends": ends, "axes": axes, "steps": steps}
    return point.site(
        LinearMap(None, lambda w, v: slice_axes(v, **place), lambda w, r: unslice(r, x, **place))
    )


@op("Pad", kind="route")
def padding(point: Point) -> Site:
    """Values with a border: constant (which carries no relevance), or copies of values (which do)."""
    x, rank = point.x, point.x.ndim
    mode = point.attribute("mode", "constant")
    given = point.integers("pads" if "pads" in point.node.attributes else "paddings", 1) or []
    axes = [a % rank for a in point.integers("axes", 3, range(rank)) or []]
    begins, ends = [0] * rank, [0] * rank
    for i, axis in enumerate(axes):
        begins[axis], ends[axis] = given[i], given[len(axes) + i]
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

    # What a constant border adds is the bias.
    linear = LinearMap(None, apply, adjoint)
    bias = point.output - apply(None, x) if mode == "constant" and _value(point) != 0 else None
    return point.site(linear, bias=bias)


def _copies(length: int, begin: int, end: int, mode: str) -> Any:
    source: Any = np.arange(length)[max(-begin, 0) : length - max(-end, 0)]
    around = (max(begin, 0), max(end, 0))
    # Index -1 is no value: nothing is copied to a constant border.
    options: dict[str, Any] = {"constant_values": -1} if mode == "constant" else {"mode": mode}
    source = np.pad(source, around, **options)
    return (np.arange(length)[:, None] == source[None, :]).astype(np.float32)


def _value(point: Point) -> float:
    if point.has(2):
        return float(point.constant(2))
    return float(point.attribute("value", 0.0))
