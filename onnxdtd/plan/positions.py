"""Where an output (N, T, ...) stands at the end of what is read, and whether it says which token comes next."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from onnxdtd.inputs.tokenizer import role
from onnxdtd.model.graph import Graph
from onnxdtd.ops import OPS
from onnxdtd.plan.masks import masks, moved
from onnxdtd.types import Array


def vocabularies(graph: Graph) -> frozenset[int]:
    """How many rows the tables have in which the model looks up its tokens: an output with as many elements at each
    position is a logit for every token, so the model is a language model."""
    rows = set[int]()
    for name in graph.inputs:
        if graph.value(name).is_float or role(name) != "ids":
            continue
        for value in moved(graph, name):
            for node in graph.consumers.get(value, ()):
                entry = OPS.get((node.domain, node.op))
                table = graph.value(node.inputs[0]).shape
                # The table comes first and the places second; rows lie along the axis of the lookup.
                if entry is None or entry.kind != "route" or value not in node.inputs[1:] or not table:
                    continue
                if any(node.inputs[slot] == value for slot in entry.embeds):
                    size = table[int(node.attributes.get("axis", 0))]
                    rows |= {size} if isinstance(size, int) else set()
    return frozenset(rows)


def masks_of(graph: Graph, output: str) -> tuple[str, ...]:
    """The masks that may count the positions of an output: not those of another sequence, by the name of its length,
    as the encoder's is beside a decoder's output."""
    shape = graph.value(graph.target(output)).shape or ()
    length = shape[1] if len(shape) > 1 else None
    lengths = {name: (graph.value(name).shape or ())[1:2] for name in graph.inputs}
    named = isinstance(length, str) and (length,) in lengths.values()
    return tuple(name for name in masks(graph) if not named or lengths[name] == (length,))


def last_positions(
    graph: Graph, output: str, feeds: Mapping[str, Array], shape: tuple[int, ...]
) -> npt.NDArray[np.intp]:
    """(N,): of an output (N, T, ...) of this shape the last position that is no padding, by a mask (N, T); the very
    last where there is none, or where it counts nothing."""
    count, size = shape[:2]
    last = np.full(count, size - 1)
    for name in masks_of(graph, output):
        counts = feeds[name].reshape(len(feeds[name]), -1) != 0
        if counts.shape == (count, size):
            last = np.where(counts.any(axis=1), size - 1 - counts[:, ::-1].argmax(axis=1), last)
    return last
