"""Ops that copy values to places which indices, repeats or shapes say: relevance goes back whence they came.

All are one map: the op itself with the other data inputs zero. Its adjoint follows where positions go.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.domains.rows import or_zero, same
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import (
    MEETING,
    apart,
    at_hand,
    count_up,
    entries,
    expand_like,
    folded,
    operator,
    positions,
    put_back,
    reduce_sum,
    reshape,
    reshape_like,
    size,
    swap_last,
    unbroadcast,
    ungather,
    unsqueeze,
    where,
)
from onnxdtd.registry import op


def moved(point: Point, *data: int) -> Site:
    """The site of an op that is linear in the inputs `data` together and moves each of their values.

    What constants among them put into the output is the bias.
    """
    node = point.node
    values = [point.value(slot) if point.has(slot) else None for slot in range(len(node.inputs))]

    def rerun(slot: int | None, v: Any) -> Any:
        """The op on v in one slot and zeros in the other data slots."""
        arrays = [x if i not in data else v if i == slot else zeros_like(x, v) for i, x in enumerate(values)]
        return operator(node.op, *arrays, opset=point.opset, **node.attributes)

    def map_of(slot: int) -> LinearMap:
        x = point.value(slot)

        def apply(w: Any, v: Any) -> Any:
            return rerun(slot, v)

        def adjoint(w: Any, r: Any) -> Any:
            return put_back(r, rerun(slot, positions(x)), x)

        return LinearMap(None, apply, adjoint)

    maps = [map_of(slot) for slot in point.slots]
    fixed = [slot for slot in data if slot not in point.slots and point.has(slot)]
    parts = [rerun(slot, point.value(slot)) for slot in fixed]
    return point.site(*maps, bias=sum(parts[1:], parts[0]) if parts else None, fills=bool(parts))


def zeros_like(x: Any, like: Any) -> Any:
    """Zeros in the shape of x and the dtype of `like`."""
    return expand_like(np.zeros((1,) * x.ndim, like.dtype), x)


@op("Gather", kind="route", embeds=(1,), range=same)
def gather(point: Point) -> Site:
    """The entries at the indices; a table's rows for integers of the model's input: an embedding."""
    if point.slots != (0,):
        return _embedding(point, point.attribute("axis", 0))
    axis, x = point.attribute("axis", 0) % point.x.ndim, point.x
    if not (point.is_constant(1) and point.value(1).size):
        return moved(point, 0)
    indices, length = point.value(1), size(x, axis)
    if not at_hand(length) and not apart(indices):
        return moved(point, 0)
    if at_hand(length) and np.bincount(indices.reshape(-1) % length).max() > MEETING:
        return moved(point, 0)
    return point.site(
        LinearMap(
            None,
            lambda w, v: operator("Gather", v, indices, opset=point.opset, axis=axis),
            lambda w, r: ungather(r, x, indices=indices, axis=axis),
        )
    )


def _embedding(point: Point, axis: int) -> Site:
    """Each integer's relevance is the sum over the vector that it was turned into."""
    ids, y = point.x, point.output
    axis = axis % (y.ndim - ids.ndim + 1)
    around = (*range(axis), *range(axis + ids.ndim, y.ndim))

    def apply(w: Any, v: Any) -> Any:
        return expand_like(unsqueeze(v, axes=around), y)

    def adjoint(w: Any, r: Any) -> Any:
        return reduce_sum(r, axes=around, keepdims=False)

    return point.site(LinearMap(None, apply, adjoint))


@op("OneHot", kind="barrier", embeds=(0,), data=(), range=lambda at: at.domain(2))
def one_hot(point: Point) -> Site:
    """A vector that is 1 at the integer: an embedding of integers of the model's input; floats stop here."""
    rank = point.x.ndim + 1
    axis = point.attribute("axis", -1) % rank

    def apply(w: Any, v: Any) -> Any:
        return expand_like(unsqueeze(v, axes=(axis,)), point.output)

    def adjoint(w: Any, r: Any) -> Any:
        return reduce_sum(r, axes=(axis,), keepdims=False)

    return point.site(LinearMap(None, apply, adjoint))


@op("GatherElements", "GatherND", "Compress", kind="route", range=same)
def rearrange(point: Point) -> Site:
    """The values picked by indices or by a mask."""
    return moved(point, 0)


@op("Tile", kind="route", since=6, range=same)
def tile(point: Point) -> Site:
    """The values repeated along each axis."""
    x, repeats = point.x, point.value(1)
    # Of none at all there are no pieces to add.
    if at_hand(repeats) and not repeats.all():
        return moved(point, 0)

    def apply(w: Any, v: Any) -> Any:
        return operator("Tile", v, repeats, opset=point.opset)

    def adjoint(w: Any, r: Any) -> Any:
        for axis, times in enumerate(entries(repeats, x.ndim)):
            r = r if at_hand(times) and times == 1 else folded(r, times, size(x, axis), axis=axis)
        return r

    return point.site(LinearMap(None, apply, adjoint))


@op("TensorScatter", kind="route", data=(0, 1), range=lambda at: at.x | at.domain(1))
def tensor_scatter(point: Point) -> Site:
    """A cache with the new entries written into each sample's place."""
    return moved(point, 0, 1)


@op("Expand", kind="route", range=same)
def expand(point: Point) -> Site:
    """The values repeated along axes of length 1."""
    x, y = point.x, point.output
    return point.site(LinearMap(None, lambda w, v: expand_like(v, y), lambda w, r: unbroadcast(r, x)))


@op("Where", kind="route", data=(1, 2), chooses=True, range=lambda at: at.domain(1) | at.domain(2))
def choose(point: Point) -> Site:
    """a where the condition holds, else b."""
    condition, nothing = point.value(0), np.zeros((), point.output.dtype)

    def side(slot: int, v: Any) -> Any:
        return where(condition, v, nothing) if slot == 1 else where(condition, nothing, v)

    def map_of(slot: int) -> LinearMap:
        x = point.value(slot)
        return LinearMap(None, lambda w, v: side(slot, v), lambda w, r: unbroadcast(side(slot, r), x))

    fixed = [side(slot, point.value(slot)) for slot in (1, 2) if slot not in point.slots]
    return point.site(*map(map_of, point.slots), bias=fixed[0] if fixed else None, fills=bool(fixed))


@op("Trilu", "ReverseSequence", kind="route", range=or_zero, constant="padding")
def self_adjoint(point: Point) -> Site:
    """A triangle of each matrix, or each sequence backwards: a map that is its own adjoint."""
    node, others = point.node, [point.value(slot) for slot in range(1, len(point.node.inputs))]

    def run(w: Any, v: Any) -> Any:
        return operator(node.op, v, *others, opset=point.opset, **node.attributes)

    return point.site(LinearMap(None, run, run), fills=node.op == "Trilu")


@op("DepthToSpace", "SpaceToDepth", kind="route", range=same)
def blocks(point: Point) -> Site:
    """Blocks of pixels as channels, or back: each is the other's adjoint."""
    block, opset = point.attribute("blocksize"), point.opset
    order = _columns_first(point, block) if point.attribute("mode", "DCR") == "CRD" else None

    def to_space(w: Any, v: Any) -> Any:
        v = v if order is None else operator("Gather", v, order[0], opset=opset, axis=1)
        return operator("DepthToSpace", v, opset=opset, blocksize=block)

    def to_depth(w: Any, v: Any) -> Any:
        v = operator("SpaceToDepth", v, opset=opset, blocksize=block)
        return v if order is None else operator("Gather", v, order[1], opset=opset, axis=1)

    pair = (to_space, to_depth) if point.node.op == "DepthToSpace" else (to_depth, to_space)
    return point.site(LinearMap(None, *pair))


def _columns_first(point: Point, block: int) -> tuple[Any, Any]:
    """Mode CRD has the channels (C, block, block), DCR (block, block, C): where each one stands in the other, and
    back."""
    depth = point.x if point.node.op == "DepthToSpace" else point.output
    channels, cells = count_up(size(depth, 1)), block * block
    turned = (reshape(channels, shape=shape) for shape in ([-1, cells], [cells, -1]))
    there, back = (reshape(swap_last(grid), shape=[-1]) for grid in turned)
    return there, back


@op("MaxUnpool", kind="route", range=or_zero, constant="padding")
def unpool(point: Point) -> Site:
    """Each maximum back in its place, zeros elsewhere; the indices count the output's values, flat."""
    x, y, opset = point.x, point.output, point.opset
    indices = reshape(point.value(1), shape=[-1])

    def apply(w: Any, v: Any) -> Any:
        nothing = reshape(zeros_like(y, v), shape=[-1])
        laid = operator("ScatterElements", nothing, indices, reshape(v, shape=[-1]), opset=opset, axis=0)
        return reshape_like(laid, y)

    def adjoint(w: Any, r: Any) -> Any:
        return reshape_like(operator("Gather", reshape(r, shape=[-1]), indices, opset=opset, axis=0), x)

    return point.site(LinearMap(None, apply, adjoint), fills=True)
