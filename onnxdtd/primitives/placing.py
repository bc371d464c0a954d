"""Where a part of an axis stood, and back there; places may be known at run time only."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.primitives.seam import Array, at_hand, primitive, tracer_among, vector
from onnxdtd.primitives.shaping import Ints, Sizes, pad, reduce_sum, reshape, slice_axes, slices, unsqueeze
from onnxdtd.primitives.sizes import Size, count_up, filled, from_start, size, sizes

# Rows that meet in one place are added one by one; from this many on, ScatterElements adds them.
MEETING = 8
# Beyond the end of any axis, which Slice takes for the end.
END = 1 << 62


def _trace_unslice(r: Any, like: Any, *, starts: Sizes, ends: Sizes, axes: Ints, steps: Ints) -> Any:
    r = tracer_among(r, like, list(starts), list(ends)).tensor(r)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        length = size(like, axis)
        shape = [like.shape[axis] if i == axis % r.ndim else n for i, n in enumerate(r.shape)]
        if step == 1 and not at_hand(length, start, end):
            begin = from_start(start, length)
            around = (begin, length - begin - size(r, axis))
            pads = [n if i == axis % r.ndim else 0 for n in around for i in range(r.ndim)]
            r = r.tracer.emit("Pad", r, vector(pads), shape=shape)
        else:
            taken = slice_axes(count_up(length), starts=[start], ends=[end], axes=[0], steps=[step])
            r = _put_apart(r, taken, length, axis, shape)
    return r


def _put_apart(r: Any, places: Any, length: Size, axis: int, shape: Any) -> Any:
    """r at places along an axis, no two of them alike, in that length; zeros elsewhere."""
    # Where nothing stands, the look-up points at the zero that is padded behind r.
    count = size(r, axis)
    behind = [0] * r.ndim + [int(i == axis % r.ndim) for i in range(r.ndim)]
    source = _written(filled(np.int64(0), [length]) + count, places, count_up(count))
    return r.tracer.emit("Gather", pad(r, pads=behind), source, axis=axis, shape=shape)


@primitive("ScatterElements")
def _written(vector: Array, places: Array, values: Array) -> Any:
    out = vector.copy()
    out[places] = values
    return out


@primitive(trace=_trace_unslice, as_inputs=("starts", "ends"))
def unslice(r: Array, like: Array, *, starts: Sizes, ends: Sizes, axes: Ints, steps: Ints) -> Any:
    """The adjoint of `slice_axes` on an input shaped as `like`: r back in its place, zeros elsewhere."""
    out = np.zeros(like.shape, r.dtype)
    out[slices(len(like.shape), starts, ends, axes, steps)] = r
    return out


def folded(r: Any, times: Size, length: Size, *, axis: int) -> Any:
    """The sum of the pieces, `times` of this length, of one axis: the adjoint of repeating it."""
    pieces = [size(r, i) for i in range(r.ndim)]
    pieces[axis : axis + 1] = [times, length]
    return reduce_sum(reshape(r, shape=pieces), axes=(axis,), keepdims=False)


def _trace_ungather(r: Any, like: Any, *, indices: Any, axis: int) -> Any:
    if np.ndim(indices) == 0:
        r = unsqueeze(r, axes=(axis,))
    elif np.ndim(indices) > 1:
        r = reshape(r, shape=[*([0] * axis), -1, *sizes(like, axis + 1)])
    rows, length = np.asarray(indices).reshape(-1), size(like, axis)
    if not at_hand(length):
        first = int(rows[0])
        if (np.diff(rows) == 1).all():
            return unslice(r, like, starts=[first], ends=[first + rows.size or END], axes=[axis], steps=[1])
        shape = [like.shape[axis] if i == axis else n for i, n in enumerate(r.shape)]
        return _put_apart(r, rows if first >= 0 else rows + length, length, axis, shape)
    flat = rows % length
    # The look-up of what is read nowhere points at the zero that is padded behind r.
    padded = pad(r, pads=[0] * r.ndim + [int(i == axis) for i in range(r.ndim)])
    readers = [np.flatnonzero(flat == i) for i in range(length)]
    total: Any = None
    for turn in range(max(map(len, readers))):
        source = [positions[turn] if turn < len(positions) else flat.size for positions in readers]
        part = r.tracer.emit("Gather", padded, np.array(source, np.int64), axis=axis)
        total = part if total is None else total + part
    return total


@primitive(trace=_trace_ungather)
def ungather(r: Array, like: Array, *, indices: Any, axis: int) -> Any:
    """The adjoint of Gather by constant indices: r_o added up where its value was taken from, in like's shape.

    Along an axis of open length the indices must be `apart`.
    """
    rows = np.asarray(indices).reshape(-1)
    moved = np.moveaxis(r.reshape(*like.shape[:axis], rows.size, *like.shape[axis + 1 :]), axis, 0)
    back = np.zeros((like.shape[axis], *moved.shape[1:]), r.dtype)
    np.add.at(back, rows, moved)
    return np.moveaxis(back, 0, axis)


def apart(indices: Any) -> bool:
    """Whether constant indices are different places on an axis of any length: all from one of its ends."""
    rows = np.asarray(indices).reshape(-1)
    return len(np.unique(rows)) == rows.size > 0 and bool((rows >= 0).all() or (rows < 0).all())
