"""Which axis of an output holds the samples: by the name of the inputs' batch axis, else by its length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.model.graph import Graph
from onnxdtd.model.unbatched import is_called_batch, is_one_sample, is_unbatched
from onnxdtd.types import Dimension


def batch_axis(
    graph: Graph, value: str, shape: Sequence[int], feeds: Mapping[str, npt.NDArray[Any]]
) -> int | None:
    """The axis of a value along which the samples lie; None where it has none: all its elements are one sample's.

    shape: of the value in this run. Of a model without a batch axis a value has one only where it begins with a batch
    of one. Else a name that the inputs' batch axis and one axis of the value share decides; else it is axis 0 if that
    is as long as the batch; else, for a value of three axes or more, the one axis but the last that is. Where one
    sample was fed and no axis fits, the value has none, nor has a vector of a length that the model fixes and that no
    axis of the inputs has. Where several were fed, it is axis 0, as ONNX operators have it.
    """
    if not shape:
        return None
    if is_unbatched(graph):
        return 0 if shape[0] == 1 else None
    sizes = graph.value(value).shape
    name, count = _batch(graph, feeds)
    if name is not None and sizes is not None and len(sizes) == len(shape):
        if sizes.count(name) == 1:
            return sizes.index(name)
        if name not in sizes and _named(sizes[0], graph):
            return None
    if shape[0] == count:
        return 0
    if len(shape) > 2:
        fitting = [axis for axis, size in enumerate(shape[:-1]) if size == count]
        if len(fitting) == 1:
            return fitting[0]
    alone = sizes is not None and [*sizes] == [*shape] and is_one_sample(graph, sizes)
    return None if count == 1 or alone else 0


def stated_axis(graph: Graph, value: str) -> int | None:
    """The same as far as the shapes that the model states tell, before a run: where sizes are open, the one axis that
    has the name of the inputs' batch axis, else axis 0."""
    sizes = graph.value(value).shape or ()
    if is_unbatched(graph):
        return 0 if sizes[:1] == (1,) else None
    shapes = {name: graph.value(name).shape or () for name in graph.inputs}
    stated: Any = [sizes, *shapes.values()]
    if all(isinstance(size, int) for shape in stated for size in shape):
        feeds = {name: np.broadcast_to(0, shape) for name, shape in zip(shapes, stated[1:], strict=True)}
        return batch_axis(graph, value, stated[0], feeds)
    named = next((shapes[name][axis] for name, axis in _called_so(shapes)), None)
    name = named or _leading(next(iter(shapes.values()), ()))
    if sizes and name is not None and sizes.count(name) == 1:
        return sizes.index(name)
    return 0 if sizes and not is_one_sample(graph, sizes) else None


def samples_first(array: npt.NDArray[Any], axis: int | None) -> npt.NDArray[Any]:
    """A view with the samples on axis 0, of length 1 where there is no batch axis."""
    return array[None] if axis is None else np.moveaxis(array, axis, 0)


def samples(output: npt.NDArray[Any]) -> int:
    """The number of samples in an output: the length of its first axis, 1 for a single number."""
    return len(output) if output.ndim else 1


def rows(array: npt.NDArray[Any], samples: int) -> npt.NDArray[Any]:
    """(samples, D): each sample's part of the array. One whose first axis does not count the samples, such as the
    relevance of an input that all of them share, stands whole in each row."""
    if array.ndim and len(array) == samples:
        return array.reshape(samples, -1)
    return np.broadcast_to(array.reshape(1, -1), (samples, array.size))


def as_it_was(array: npt.NDArray[Any], axis: int | None) -> npt.NDArray[Any]:
    """The way back from `samples_first`."""
    return array[0] if axis is None else np.moveaxis(array, 0, axis)


def _batch(graph: Graph, feeds: Mapping[str, npt.NDArray[Any]]) -> tuple[str | None, int]:
    """Name (None where it has none) and length of the inputs' batch axis."""
    shapes = {name: graph.value(name).shape or () for name in graph.inputs}
    for name, axis in _called_so(
        {n: sizes for n, sizes in shapes.items() if np.ndim(feeds[n]) == len(sizes)}
    ):
        return str(shapes[name][axis]), feeds[name].shape[axis]
    first = next(iter(feeds))
    return _leading(shapes.get(first, ())), len(feeds[first]) if np.ndim(feeds[first]) else 1


def _called_so(shapes: Mapping[str, Sequence[Dimension]]) -> Iterator[tuple[str, int]]:
    """The axes that are called as exporters call the batch axis."""
    for name, sizes in shapes.items():
        yield from ((name, i) for i, size in enumerate(sizes) if is_called_batch(size))


def _leading(sizes: Sequence[Dimension]) -> str | None:
    return sizes[0] if sizes and isinstance(sizes[0], str) else None


def _named(size: Dimension, graph: Graph) -> bool:
    """Whether a dimension has a name that an input has too, so that it is known to mean something else."""
    return isinstance(size, str) and any(size in (graph.value(name).shape or ()) for name in graph.inputs)
