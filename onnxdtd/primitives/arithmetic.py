"""Elementwise primitives, and the one division that every rule ends in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from onnx import helper

from onnxdtd.primitives.seam import Array, at_hand, primitive
from onnxdtd.primitives.sides import beyond, clip, less

BLOCK = 1 << 15


@primitive("Relu")
def relu(x: Array) -> Any:
    """x+ = max(x, 0), elementwise."""
    return np.maximum(x, 0)


@primitive(trace=lambda x: clip(x, -np.inf, 0))
def negative_part(x: Array) -> Any:
    """x- = min(x, 0), elementwise."""
    return np.minimum(x, 0)


@primitive("Abs")
def absolute(x: Array) -> Any:
    """|x|, elementwise."""
    return np.abs(x)


@primitive("Where")
def where(condition: Array, x: Array, y: Array) -> Any:
    """x where the condition holds, else y."""
    return np.where(condition, x, y)


def _alive(z: Any) -> Any:
    """1 where z is a (normal) number other than 0, else 0."""
    return beyond(absolute(z)) if not at_hand(z) else np.asarray(~near_zero(z), z.dtype)


@primitive(trace=lambda x, z: x * _alive(z))
def unless_zero(x: Array, z: Array) -> Any:
    """x, which is finite; 0 where z is."""
    return np.where(z == 0, np.zeros((), x.dtype), x)


def _trace_cast_like(x: Any, like: Any) -> Any:
    if at_hand(x):
        return np.asarray(x, like.dtype)
    return x if x.dtype == like.dtype else x.tracer.emit("Cast", x, to=_onnx(like.dtype))


@primitive(trace=_trace_cast_like)
def cast_like(x: Array, like: Array) -> Any:
    """x in the dtype of `like`; booleans become 0 and 1."""
    return np.asarray(x, like.dtype)


def _onnx(dtype: Any) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _trace_stabilised(
    z: Any,
    offset: Any = None,
    *,
    epsilon: float = 0.0,
    relative: bool = False,
    sign: int = 0,
    spare: bool = False,
) -> Any:
    if sign and not relative:
        # One constant, which onnxruntime fuses into the convolution that made z.
        shift = sign * epsilon if offset is None else offset + np.asarray(sign * epsilon, z.dtype)
        return z + shift if offset is not None or epsilon else z
    total = z if offset is None else z + offset
    if not epsilon:
        return total
    if relative:
        step = mean_size(total) * epsilon
        return total + step * (float(sign) or _signed(total, 1.0))
    return total + _signed(total, epsilon)


def _signed(x: Any, size: float) -> Any:
    """size * sign(x) with sign(0) = +1, without comparing."""
    least = np.finfo(x.dtype).tiny * max(1.0, size)
    return clip(x, -least, 0) * np.asarray(2 * size / least, x.dtype) + np.asarray(size, x.dtype)


@primitive(trace=_trace_stabilised)
def stabilised(
    z: Array,
    offset: Array = None,
    *,
    epsilon: float = 0.0,
    relative: bool = False,
    sign: int = 0,
    spare: bool = False,
) -> Any:
    """t + epsilon * sign(t) with t = z + offset and sign(0) = +1.

    relative: epsilon counts in units of each sample's mean |t|. sign: that of t, where it is known. spare: z may be
    overwritten. Source: Bach et al. 2015, eq. (58).
    """
    room = z if spare else None
    if sign and not relative:
        shift = sign * epsilon if offset is None else offset + np.asarray(sign * epsilon, z.dtype)
        return np.add(z, np.asarray(shift, z.dtype), out=room) if offset is not None or epsilon else z
    total = z if offset is None else np.asarray(np.add(z, offset, out=room))
    if not epsilon:
        return total
    if relative:
        step = mean_size(total) * np.asarray(epsilon, z.dtype)
        return np.copysign(step, total) + total
    # Blocks of an array in another order would be copies, and what is written to them lost.
    kept = (spare or total is not z) and total.flags.c_contiguous
    result = total if kept else np.empty(total.shape, total.dtype)
    for part, out in zip(*map(_blocks, (total, result)), strict=True):
        np.add(part, np.copysign(np.asarray(epsilon, z.dtype), part), out=out)
    return result


def _trace_quotient(
    r: Any, d: Any, served: Any = None, *, exact: bool = True, sign: int = 0, floor: float = 0.0
) -> Any:
    if sign:
        # A sum of one sign is zero where each product in it is. However large the quotient there, it counts for
        # nothing if only it is finite. (onnxruntime is slow at Where, which would need no second step.)
        floor = max(floor, float(np.finfo(d.dtype).tiny) ** (2 / 3)) if exact else floor
        if exact or served is not None:
            # Clip, unlike Max, goes into the convolution that made d.
            d = clip(d, floor, np.inf) if sign > 0 else clip(d, -np.inf, -floor)
    elif exact:
        alive = _alive(d)
        r, d = r * alive, d + (1.0 - alive)  # 0 / 1 where d is zero
    if served is None:
        return r / d
    return r * cast_like(served, r) / d


@primitive(trace=_trace_quotient)
def quotient(
    r: Array, d: Array, served: Array = None, *, exact: bool = True, sign: int = 0, floor: float = 0.0
) -> Any:
    """r / d where `served` (as from `beyond`), else 0.

    exact: d may be zero, and the quotient is 0 there; zero is anything below the smallest normal number, so
    that no quotient overflows. sign: that of d where it is served, if known; its size is `floor` at least.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        shares = np.asarray(np.divide(r, d, order="C"))
    if exact and (dead := near_zero(d)).any():
        np.copyto(shares, 0, where=dead)
    if served is not None:
        # Bitwise, because 0 times the infinity of a denominator that is not wanted would be no number.
        bits = shares.view(f"i{shares.itemsize}")
        for part, kept in zip(_blocks(bits), _blocks(served), strict=True):
            np.bitwise_and(part, np.negative(kept, dtype=bits.dtype), out=part)
    return shares


def near_zero(z: Any) -> Any:
    """Where z is zero: below the smallest normal number."""
    return less(absolute(z), np.asarray(np.finfo(z.dtype).tiny, z.dtype))


def _blocks(x: Any) -> Iterator[Any]:
    """Views of x, flat, that stay in cache while several operations pass over them."""
    flat = x.reshape(-1)
    return (flat[i : i + BLOCK] for i in range(0, flat.size, BLOCK))


def _trace_mean_size(z: Any) -> Any:
    axes = tuple(range(1, z.ndim)) or (0,)
    if z.tracer.opset >= 18:
        total = z.tracer.emit("ReduceL1", z, np.array(axes, np.int64), keepdims=1)
    else:
        total = z.tracer.emit("ReduceL1", z, axes=axes, keepdims=1)
    return total / cells(z, axes=axes)


@primitive(trace=_trace_mean_size)
def mean_size(z: Array) -> Any:
    """Mean |z| of each sample (axis 0), kept as axes of length 1."""
    axes = tuple(range(1, z.ndim)) or (0,)
    return np.mean(np.abs(z), axis=axes, keepdims=True)


def _trace_cells(x: Any, *, axes: Sequence[int]) -> Any:
    if all(isinstance(x.shape[a], int) for a in axes):
        return np.asarray(prod(x.shape[a] for a in axes), x.dtype)
    lengths = x.tracer.emit("Gather", x.tracer.emit("Shape", x), np.array(axes, np.int64))
    return cast_like(x.tracer.emit("ReduceProd", lengths, keepdims=0), x)


@primitive(trace=_trace_cells)
def cells(x: Array, *, axes: Sequence[int]) -> Any:
    """The number of positions along the axes, in x's dtype."""
    return np.asarray(prod(x.shape[a] for a in axes), x.dtype)
