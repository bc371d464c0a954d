"""Elementwise primitives, and the one division that every rule ends in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import helper

from onnxdtd.primitives.seam import Array, primitive

BLOCK = 1 << 15


@primitive("Relu")
def relu(x: Array) -> Any:
    """x+ = max(x, 0), elementwise."""
    return np.maximum(x, 0)


@primitive(trace=lambda x: x - relu(x))
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


@primitive("Greater")
def greater(x: Array, y: Array | float) -> Any:
    """x > y as booleans."""
    return np.greater(x, y)


@primitive("Less")
def less(x: Array, y: Array | float) -> Any:
    """x < y as booleans."""
    return np.less(x, y)


@primitive("Equal")
def equal(x: Array, y: Array | float) -> Any:
    """x == y as booleans."""
    return np.equal(x, y)


@primitive(
    trace=lambda x, like: x if x.dtype == like.dtype else x.tracer.emit("Cast", x, to=_onnx(like.dtype))
)
def cast_like(x: Array, like: Array) -> Any:
    """x in the dtype of `like`; booleans become 0 and 1."""
    return np.asarray(x, like.dtype)


def _onnx(dtype: Any) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _trace_quotient(r: Any, z: Any, *, epsilon: float = 0.0, relative: bool = False) -> Any:
    if not epsilon:
        dead = less(absolute(z), np.asarray(np.finfo(z.dtype).tiny, z.dtype))
        return where(dead, 0.0 * z, r / where(dead, 0.0 * z + 1.0, z))
    step = mean_size(z) * epsilon if relative else epsilon
    sign = 1.0 - 2.0 * cast_like(less(z, 0.0), z)
    return r / (z + sign * step)


@primitive(trace=_trace_quotient)
def quotient(r: Array, z: Array, *, epsilon: float = 0.0, relative: bool = False) -> Any:
    """r / (z + epsilon * sign(z)) with sign(0) = +1; with epsilon = 0, r / z and 0 where z = 0.

    relative: epsilon counts in units of each sample's mean |z|. z = 0 is anything below the smallest normal
    number, so that no quotient overflows. Source of the stabiliser: Bach et al. 2015, eq. (58).
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if not epsilon:
            shares = np.divide(r, z)
            dead = np.less(np.abs(z), np.finfo(z.dtype).tiny)
            if dead.any():
                np.copyto(shares, 0, where=dead)
            return shares
        step = mean_size(z) * np.asarray(epsilon, z.dtype) if relative else np.asarray(epsilon, z.dtype)
        if relative or r.shape != z.shape:
            shares = r / (np.copysign(step, z) + z)
            # Only a relative step can be zero: where all of z is, and then there is nothing to share.
            return np.nan_to_num(shares, copy=False, posinf=0, neginf=0) if relative else shares
        shares = np.empty(z.shape, z.dtype)
        for r_part, z_part, out in zip(*map(_blocks, (r, z, shares)), strict=True):
            np.copysign(step, z_part, out=out)
            np.add(out, z_part, out=out)
            np.divide(r_part, out, out=out)
        return shares


def _blocks(x: Any) -> Iterator[Any]:
    """Views of x, flat, that stay in cache while several operations pass over them."""
    flat = np.ascontiguousarray(x).reshape(-1)
    return (flat[i : i + BLOCK] for i in range(0, flat.size, BLOCK))


def _trace_mean_size(z: Any) -> Any:
    axes = tuple(range(1, z.ndim)) or (0,)
    tracer = z.tracer
    if tracer.opset >= 18:
        return tracer.emit("ReduceMean", absolute(z), np.array(axes, np.int64), keepdims=1)
    return tracer.emit("ReduceMean", absolute(z), axes=axes, keepdims=1)


@primitive(trace=_trace_mean_size)
def mean_size(z: Array) -> Any:
    """Mean |z| of each sample (axis 0), kept as axes of length 1."""
    axes = tuple(range(1, z.ndim)) or (0,)
    return np.mean(np.abs(z), axis=axes, keepdims=True)
