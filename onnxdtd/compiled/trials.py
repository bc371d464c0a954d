"""Forward passes of random inputs at several sizes: what they show of shapes, and which sizes are always alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxdtd.errors import InputError
from onnxdtd.model.graph import Graph
from onnxdtd.model.shapes import UNKNOWN
from onnxdtd.types import Arrays, Dimension
from onnxdtd.walk.forward import Forward

TRIES = ((1, 2), (2, 3), (1, 32), (2, 64), (1, 224), (2, 288))
"""Lengths of the first axis and of any other, where they are open; models refuse those that are too small. Strides
make short lengths alike (2 and 3 both end as 1), so from 32 on they are far apart."""
CLASH = -1
TELLING = 3
"""So many passes show that two sizes are one: of two passes, a length less 1 may be as long as a batch."""


@dataclass(frozen=True)
class Trial:
    """A forward pass. sizes: the length of each named dimension where it is met first; shapes, types: of every
    value."""

    sizes: Mapping[Dimension, int]
    shapes: Mapping[str, tuple[int, ...]]
    types: Mapping[str, np.dtype[np.generic]]

    def contradicts(self, size: Dimension, length: int) -> bool:
        """Whether a dimension that is said to be `size` has another length."""
        return length != (size if isinstance(size, int) else self.sizes.get(size, length) if size else length)


def drawn(graph: Graph, first: int, other: int, seed: int = 0, apart: bool = False) -> Arrays:
    """Random inputs: floats from 0 to 1, integers and texts 0 or 1. first, other: lengths of the axes that are left
    open; those of one name have one length. apart: those of different names have different ones, none of them 1: an
    axis of length 1 is repeated along another, and a result as long as that says nothing of its own size."""
    rng = np.random.default_rng(seed)
    sizes: dict[Dimension, int] = {}
    taken, feeds = set[int](), {}
    for name in graph.inputs:
        value = graph.value(name)
        shape = []
        for axis, size in enumerate(value.shape or ()):
            if isinstance(size, int):
                shape.append(size)
                continue
            length = other if axis else first + apart
            while apart and length in taken:  # networks that halve often want multiples of 32
                length += 32 if length >= 32 else 1
            shape.append(sizes.setdefault(size, length) if size else length)
            taken.add(shape[-1])
        x = rng.random(shape) if value.is_float else rng.integers(0, 2, shape)
        feeds[name] = x.astype(str).astype(object) if value.dtype == object else np.asarray(x, value.dtype)
    return feeds


def trials(graph: Graph, forward: Forward) -> Iterator[Trial]:
    """Forward passes, each of other numbers and other sizes, as far as the model takes them; sizes of different names
    are different, unless the model takes none such."""
    passed = False
    for apart in (True, False):
        for seed, (first, other) in enumerate(TRIES):
            feeds = drawn(graph, first, other, seed, apart)
            try:
                run = forward(feeds)
            except InputError:
                continue
            passed = True
            yield _trial(graph, {**run, **feeds})
        if passed:
            return


def _trial(graph: Graph, run: Arrays) -> Trial:
    sizes: dict[Dimension, int] = {}
    for name in (*graph.inputs, *run):
        for symbol, length in zip(graph.value(name).shape or (), run[name].shape, strict=False):
            # Two sizes that onnx cannot infer may have one name.
            clash = sizes.setdefault(symbol, length) != length and unnamed(symbol)
            sizes[symbol] = CLASH if clash else sizes[symbol]
    shapes = {name: array.shape for name, array in run.items()}
    return Trial(sizes, shapes, {name: array.dtype for name, array in run.items()})


def unnamed(size: Dimension) -> bool:
    """Whether nobody has named an open size, but onnx, which counts them anew with each inference."""
    return size is None or str(size).startswith(UNKNOWN)


class Names:
    """A name for each size that nobody has named: that of an input's size if all trials show them alike, else that of
    the first value that is like it. A walk need not ask then, when it runs, whether one of both was repeated."""

    def __init__(self, graph: Graph, passes: Sequence[Trial]) -> None:
        self._passes = passes
        sizes = {}
        for name in graph.inputs:
            for axis, size in enumerate(graph.value(name).shape or ()):
                if not isinstance(size, int):
                    # Without a name of its own it goes by that of its value, as in `Tracer.value`.
                    sizes[size or f"{name}/{axis}"] = self._lengths(name, axis)
        counts = Counter(sizes.values())
        self._names = {lengths: size for size, lengths in sizes.items() if counts[lengths] == 1}
        self._unclear = {lengths for lengths, count in counts.items() if count > 1}

    def of(self, name: str, axis: int, size: Dimension) -> Dimension:
        """What the size on an axis of a value is called, if it goes by no name of its own so far."""
        if not unnamed(size):
            return size
        lengths = self._lengths(name, axis)
        if len(lengths) < TELLING or len(set(lengths)) == 1 or lengths in self._unclear:
            return None
        return self._names.setdefault(lengths, f"{name}/{axis}")

    def _lengths(self, name: str, axis: int) -> tuple[int, ...]:
        return tuple(trial.shapes[name][axis] for trial in self._passes)
