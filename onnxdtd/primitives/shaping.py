"""Primitives that move, copy, sum and multiply by matrices; the adjoint of each stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxdtd.primitives.seam import Array, at_hand, primitive, tracer_among, vector
from onnxdtd.primitives.sizes import Size, size, sizes
from onnxdtd.primitives.stored import stored

Ints = Sequence[int]
Sizes = Sequence[Size]


def _trace_matmul(a: Any, b: Any) -> Any:
    tracer = tracer_among(a, b)
    if _is_turned(b) and a.ndim > 1 and 0 not in a.shape:
        return _times_turned(tracer, a, b)
    if _is_turned(a) and b.ndim == 2:
        return tracer.emit("Gemm", swap_last(a), b, transA=1)
    return tracer.emit("MatMul", a, b)


def _is_turned(w: Any) -> bool:
    """Whether the other order of a matrix of floats is the one that is stored."""
    return at_hand(w) and w.ndim == 2 and w.dtype.kind == "f" and stored(w)[1:] == ((1, 0), ())


def _times_turned(tracer: Any, a: Any, w: Any) -> Any:
    """a @ w by the product that reads a matrix either way, which takes rows: else onnxruntime would hold the weights
    a second time."""
    lead, open_sizes = a.shape[:-1], [d for d in a.shape[:-1] if not isinstance(d, int)]
    rows = a if a.ndim == 2 else tracer.emit("Reshape", a, np.array([-1, w.shape[0]], np.int64))
    product = tracer.emit("Gemm", rows, swap_last(w), transB=1)
    if a.ndim == 2:
        return product
    lengths = [-1 if d in open_sizes else d for d in lead] if len(open_sizes) < 2 else sizes(a)[:-1]
    return tracer.emit("Reshape", product, vector([*lengths, w.shape[1]]), shape=(*lead, w.shape[1]))


@primitive(trace=_trace_matmul)
def matmul(a: Array, b: Array) -> Any:
    """a @ b, batched as in ONNX MatMul."""
    return np.matmul(a, b)


@primitive("Transpose")
def transpose(x: Array, *, perm: Ints) -> Any:
    """Axes in the order `perm`."""
    return np.transpose(x, perm)


def swap_last(x: Any) -> Any:
    """The matrix transpose of the last two axes."""
    return transpose(x, perm=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _trace_reshape_like(x: Any, like: Any) -> Any:
    tracer = (x if hasattr(x, "tracer") else like).tracer
    if all(isinstance(d, int) for d in like.shape):
        # A size of 0 would mean "as before" otherwise.
        literally = {"allowzero": 1} if 0 in like.shape and tracer.opset >= 14 else {}
        return tracer.emit("Reshape", x, np.array(like.shape, np.int64), shape=like.shape, **literally)
    if like.shape and all(isinstance(d, int) and d for d in like.shape[1:]):
        return tracer.emit("Reshape", x, np.array([-1, *like.shape[1:]], np.int64), shape=like.shape)
    return tracer.emit("Reshape", x, tracer.emit("Shape", like), shape=like.shape)


@primitive(trace=_trace_reshape_like)
def reshape_like(x: Array, like: Array) -> Any:
    """x in the shape of `like` (same number of elements)."""
    return np.reshape(x, like.shape)


def _trace_reshape(x: Any, *, shape: Sizes) -> Any:
    tracer, numbers = tracer_among(x, list(shape)), vector(shape)
    if at_hand(numbers):
        return tracer.emit("Reshape", x, numbers)
    kept = [x.shape[i] if at_hand(n) and n == 0 else n for i, n in enumerate(shape)]
    made = [n if isinstance(n, (int, str)) and n != -1 else None for n in kept]
    return tracer.emit("Reshape", x, numbers, shape=made)


@primitive(trace=_trace_reshape, as_inputs=("shape",))
def reshape(x: Array, *, shape: Sizes) -> Any:
    """x in a new shape; 0 keeps a dimension, one -1 is worked out, as in ONNX Reshape."""
    return np.reshape(x, [x.shape[i] if d == 0 else d for i, d in enumerate(shape)])


@primitive("Unsqueeze", as_inputs=("axes",))
def unsqueeze(x: Array, *, axes: Ints) -> Any:
    """x with axes of length 1 put in."""
    return np.expand_dims(x, tuple(axes))


def _trace_expand_like(x: Any, like: Any) -> Any:
    tracer = (x if hasattr(x, "tracer") else like).tracer
    if tuple(x.shape) == tuple(like.shape):
        return x
    shape: Any = tracer.emit("Shape", like)
    if all(isinstance(d, int) for d in like.shape):
        shape = np.array(like.shape, np.int64)
    return tracer.emit("Expand", x, shape, shape=like.shape)


@primitive(trace=_trace_expand_like)
def expand_like(x: Array, like: Array) -> Any:
    """x broadcast to the shape of `like`."""
    return np.broadcast_to(x, like.shape)


@primitive(trace=lambda x: expand_like(np.ones((1,) * x.ndim, x.dtype), x))
def ones_like(x: Array) -> Any:
    """1 for each element of x."""
    return np.ones_like(x)


@primitive(
    trace=lambda x, *, axes, keepdims=True: (
        x.tracer.emit("ReduceSum", x, np.array(axes, np.int64), keepdims=int(keepdims)) if axes else x
    )
)
def reduce_sum(x: Array, *, axes: Ints, keepdims: bool = True) -> Any:
    """Sum over the axes."""
    return np.sum(x, axis=tuple(axes), keepdims=keepdims)


def unbroadcast(r: Any, like: Any) -> Any:
    """The adjoint of broadcasting `like` to the shape of r: sum over the axes that were repeated."""
    lead = r.ndim - like.ndim
    # No axis can have been repeated to length 1, so a symbolic r stands for a longer one.
    repeated = [lead + i for i, d in enumerate(like.shape) if d == 1 and r.shape[lead + i] != 1]
    if repeated or lead:
        r = reduce_sum(r, axes=tuple(repeated), keepdims=True) if repeated else r
        r = reduce_sum(r, axes=tuple(range(lead)), keepdims=False) if lead else r
    open_ones = [i for i, d in enumerate(like.shape) if isinstance(d, str) and d != r.shape[i]]
    return _summed_where_one(r, like, open_ones) if open_ones else r


def _summed_where_one(r: Any, like: Any, axes: Ints) -> Any:
    """Of open axes, the sum over those that are 1 long in `like` when the graph runs."""
    tracer = like.tracer
    one = tracer.emit("Equal", vector([size(like, axis) for axis in axes]), np.ones(1, np.int64))
    summed = tracer.emit("Compress", np.array(axes, np.int64), one)
    return tracer.emit("ReduceSum", r, summed, keepdims=1, noop_with_empty_axes=1, shape=like.shape)


@primitive(trace=lambda *xs, axis: _tracer(xs).emit("Concat", *xs, axis=axis))
def concat(*xs: Array, axis: int) -> Any:
    """The arrays one behind the other along an axis."""
    return np.concatenate(xs, axis=axis)


@primitive("Slice", as_inputs=("starts", "ends", "axes", "steps"))
def slice_axes(x: Array, *, starts: Sizes, ends: Sizes, axes: Ints, steps: Ints) -> Any:
    """x[start:end:step] along each axis, with ONNX Slice's clamping."""
    return x[slices(x.ndim, starts, ends, axes, steps)]


@primitive("Pad", as_inputs=("pads",))
def pad(x: Array, *, pads: Sizes) -> Any:
    """Zeros around x; `pads` in ONNX order, begins then ends, none negative."""
    rank = x.ndim
    return np.pad(x, list(zip(pads[:rank], pads[rank:], strict=True)))


@primitive(trace=lambda x, matrix, *, axis: _trace_along(x, matrix, axis))
def along(x: Array, matrix: Array, *, axis: int) -> Any:
    """Multiply one axis of x by a matrix (in, out): sum_i x[.., i, ..] matrix[i, o]."""
    return np.moveaxis(np.tensordot(x, matrix, axes=(axis, 0)), -1, axis)


def _trace_along(x: Any, matrix: Any, axis: int) -> Any:
    if axis == x.ndim - 1:
        return matmul(x, matrix)
    perm = list(range(x.ndim))
    perm[axis], perm[-1] = perm[-1], perm[axis]
    return transpose(matmul(transpose(x, perm=perm), matrix), perm=perm)


def slices(rank: int, starts: Ints, ends: Ints, axes: Ints, steps: Ints) -> tuple[slice, ...]:
    """ONNX Slice's four lists as a NumPy index."""
    index = [slice(None)] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(int(start), int(end), int(step))
    return tuple(index)


def _tracer(xs: Any) -> Any:
    return next(x.tracer for x in xs if hasattr(x, "tracer"))
