"""The adjoint of a convolution with strides, written as convolutions, which onnxruntime is faster at.

    x[i] = sum over k of w[k] r[(i + p - k) / s], of those k for which that is whole

Each of the positions i = s u + a, a phase, is a convolution of r with every s-th weight; the phases are put together
by DepthToSpace. A kernel of one weight has one phase that is not zero, and a depthwise layer is as fast with zeros
between the elements of r.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from onnxdtd.primitives.convolution import mirrored
from onnxdtd.primitives.seam import Array, primitive
from onnxdtd.primitives.traced import Traced

Ints = Sequence[int]

PHASED_FROM = 512
"""Multiplications for each element of x from which on putting phases together takes less than is won by them."""
CHANNELS = 16
"""From so many on onnxruntime convolves at its full speed."""


def by_convolutions(
    r: Any, w: Any, like: Any, *, strides: Ints, pads: Ints, dilations: Ints, group: int
) -> Any:
    """The adjoint in x of a convolution whose sizes are known; None where it is better transposed."""
    if isinstance(w, Traced) or not isinstance(r, Traced) or set(strides) == {1} or r.dtype != np.float32:
        return None
    if w.shape[1] == 1 == w.shape[0] // group:
        return _depthwise(r, w, like, strides, pads, dilations, group)
    whole = all(n % s == 0 for n, s in zip(like.shape[2:], strides, strict=True))
    if group > 1 or not whole or set(dilations) != {1} or r.ndim != 4 or w.shape[1] < CHANNELS:
        return None
    if prod(w.shape[2:]) == 1 and not any(pads):
        return _pointwise(r, w, like, strides)
    if prod(w.shape) // w.shape[1] >= PHASED_FROM * prod(strides) and len(set(strides)) == 1:
        return _by_phase(r, w, like, strides, pads)
    return None


def _trace_in_blocks(x: Any) -> Any:
    channels = x.shape[1] if x.ndim == 4 else None
    if x.dtype != np.float32 or not isinstance(channels, int) or channels % CHANNELS:
        return x
    return x.tracer.emit("AveragePool", x, kernel_shape=[1, 1], shape=x.shape)


@primitive(trace=_trace_in_blocks)
def in_blocks(x: Array) -> Any:
    """x itself: where a graph reads it beside what convolutions make, onnxruntime is to bring it into their blocks of
    channels, instead of them out of these, and everything that follows."""
    return x


def enlarged(a: Any, factors: Ints) -> Any:
    """Each element as a block."""
    scales = np.array((1, 1, *factors), np.float32)
    nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    shape = (*a.shape[:2], *(n * f for n, f in zip(a.shape[2:], factors, strict=True)))
    return a.tracer.emit("Resize", a, None, scales, shape=shape, **nearest)


def _dilated(r: Any, strides: Ints) -> Any:
    """r with zeros between its elements, each the corner of a block of the strides' size."""
    corner = np.zeros((1, 1, *strides), np.float32)
    corner.flat[0] = 1
    corners = np.tile(corner, (1, 1, *r.shape[2:]))
    return enlarged(r, strides) * corners


def _depthwise(r: Any, w: Any, like: Any, strides: Ints, pads: Ints, dilations: Ints, group: int) -> Any:
    """r with its zeros, convolved with the mirrored kernel; around it what gives back the length of x."""
    begins = [(k - 1) * d - p for k, d, p in zip(w.shape[2:], dilations, pads, strict=False)]
    ends = [n + p - o * s for n, o, s, p in zip(like.shape[2:], r.shape[2:], strides, pads, strict=False)]
    if min(begins + ends) < 0:
        return None
    window = {"strides": [1] * len(strides), "pads": [*begins, *ends], "dilations": dilations, "group": group}
    shape = (r.shape[0], w.shape[1] * group, *like.shape[2:])
    return r.tracer.emit("Conv", _dilated(r, strides), mirrored(w, group), **window, shape=shape)


def _pointwise(r: Any, w: Any, like: Any, strides: Ints) -> Any:
    """The convolution, then zeros between its elements. It is handed over by a Reshape to its own shape, or
    onnxruntime would enlarge it in blocks of channels and reorder the larger one."""
    small = r.tracer.emit("Conv", r, mirrored(w, 1), shape=(r.shape[0], w.shape[1], *r.shape[2:]))
    same = r.tracer.emit("Reshape", small, np.zeros(4, np.int64), shape=small.shape)
    return in_blocks(_dilated(same, strides))


def _by_phase(r: Any, w: Any, like: Any, strides: Ints, pads: Ints) -> Any:
    """None where a phase reads nothing, or r would have to be cut for it."""
    axes = [
        [*_phases(*sizes)]
        for sizes in zip(like.shape[2:], r.shape[2:], w.shape[2:], strides, pads, strict=False)
    ]
    if any(first >= k or min(around) < 0 for axis, k in zip(axes, w.shape[2:], strict=True)
           for first, around in axis):  # fmt: skip
        return None
    kernel = r.tracer.constant(mirrored(w, 1))
    steps, ends, along = np.array(strides), np.array(w.shape[2:]), np.array([2, 3])
    parts = []
    for (i, (top, bottom)), (j, (left, right)) in product(*axes):
        part = r.tracer.emit("Slice", kernel, np.array([i, j]), ends, along, steps)
        parts.append(r.tracer.emit("Conv", r, part, pads=[top, left, bottom, right]))
    stacked = r.tracer.emit("Concat", *parts, axis=1)
    shape = (r.shape[0], w.shape[1], *like.shape[2:])
    return in_blocks(r.tracer.emit("DepthToSpace", stacked, blocksize=strides[0], shape=shape))


def _phases(n: int, o: int, k: int, s: int, p: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """Along an axis of x, of r, of the kernel: for each phase its first weight in the mirrored kernel, and the zeros
    before and behind r."""
    for a in range(s):
        first = (k - 1 - a - p) % s
        before = (k - 1 - first - a - p) // s
        yield first, (before, n // s - o + (k - 1 - first) // s - before)
