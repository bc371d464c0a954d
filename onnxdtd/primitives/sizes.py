"""Sizes: how long an axis is, known now or when the graph runs.

A size is an int; of an axis that is open in a graph being written it is an int64 vector of one element, which the
graph takes from the shape of the value. Sizes are added, subtracted and multiplied by + - *, ints among them; what
else is done with them is here. What follows from fixed sizes stays an int, so that nothing is written for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from onnx import TensorProto

from onnxdtd.primitives.arithmetic import cast_like
from onnxdtd.primitives.seam import Array, at_hand, primitive, vector
from onnxdtd.primitives.sides import equal
from onnxdtd.primitives.traced import Traced

Size = Any
# From this opset on Shape gives a part of the shape.
PART_OF_SHAPE = 15


def size(x: Any, axis: int) -> Size:
    """The length of one axis."""
    length = x.shape[axis]
    if isinstance(length, (int, np.integer)):
        return int(length)
    start = axis % x.ndim
    if x.tracer.opset >= PART_OF_SHAPE:
        return x.tracer.emit("Shape", x, start=start, end=start + 1)
    return x.tracer.emit("Gather", x.tracer.emit("Shape", x), np.array([start]))


def sizes(x: Any, first: int = 0) -> list[Size]:
    """The lengths of the axes from `first` on."""
    return [size(x, axis) for axis in range(first, x.ndim)]


def entries(numbers: Array, count: int) -> list[Size]:
    """A vector of so many integers, or a single one, as sizes."""
    if at_hand(numbers):
        return [int(n) for n in np.atleast_1d(numbers)]
    tracer = numbers.tracer
    whole = tracer.emit("Cast", numbers, to=TensorProto.INT64) if numbers.dtype != np.int64 else numbers
    if numbers.ndim == 0:
        return [tracer.emit("Reshape", whole, np.array([1]))]
    return [tracer.emit("Gather", whole, np.array([i])) for i in range(count)]


@primitive("Max")
def larger(a: Size, b: Size) -> Size:
    """The larger of two sizes."""
    return max(a, b)


@primitive("Min")
def smaller(a: Size, b: Size) -> Size:
    """The smaller of two sizes."""
    return min(a, b)


@primitive("Div")
def divided(a: Size, b: Size) -> Size:
    """a / b without its remainder, for a >= 0."""
    return a // b


def ceiled(a: Size, b: Size) -> Size:
    """a / b, and one more where there is a remainder, for a >= 0."""
    return divided(a + b - 1, b)


def product(lengths: Sequence[Size]) -> Size:
    """How many elements axes of these lengths have together."""
    return reduce(lambda a, b: a * b, lengths, 1)


def from_start(place: Size, length: Size) -> Size:
    """A place on an axis counted from its start and not beyond its ends; a negative one counts from the end."""
    if at_hand(place):
        counted = place if place >= 0 else length + place
        if place == 0:
            return 0
    else:
        behind = place.tracer.emit("Less", place, 0)
        counted = place.tracer.emit("Where", behind, place + length, place)
    return smaller(larger(counted, 0), length)


def number(length: Size, like: Array) -> Any:
    """A size as a number of the dtype of `like`."""
    return np.asarray(length, like.dtype) if at_hand(length) else cast_like(length, like)


@primitive(trace=lambda length: _trace_count_up(length))
def count_up(length: Size) -> Any:
    """0, 1, 2 ... as many as the size, int64."""
    return np.arange(length, dtype=np.int64)


def _trace_count_up(length: Traced) -> Any:
    zero, one = np.asarray(0, np.int64), np.asarray(1, np.int64)
    end = length.tracer.emit("Squeeze", length, np.array([0]))
    return length.tracer.emit("Range", zero, end, one, shape=(None,))


def digits(lengths: Sequence[Size], axis: int) -> Any:
    """Of all places on axes of these lengths, counted row by row, the place on one axis."""
    along = divided(count_up(product(lengths)), product(lengths[axis + 1 :]))
    return along - divided(along, lengths[axis]) * lengths[axis]


def hits(rows: Array, columns: Array, like: Array) -> Any:
    """(rows, columns): 1 where both vectors of integers hold the same, else 0; in the dtype of `like`."""
    return cast_like(equal(_upright(rows), columns), like)


def _upright(places: Array) -> Any:
    if at_hand(places):
        return np.asarray(places)[:, None]
    return places.tracer.emit("Unsqueeze", places, np.array([1]))


def unit(length: Size, like: Array) -> Any:
    """The unit matrix of that size."""
    places = count_up(length)
    return hits(places, places, like)


def filled(value: Any, lengths: Sequence[Size]) -> Any:
    """An array of these lengths that is `value`, a number of NumPy, everywhere."""
    if at_hand(*lengths):
        return np.full([int(n) for n in lengths], value)
    tracer = next(n.tracer for n in lengths if isinstance(n, Traced))
    shape = tuple(n if at_hand(n) else None for n in lengths)
    return tracer.emit("Expand", np.asarray(value).reshape((1,) * len(shape)), vector(lengths), shape=shape)
