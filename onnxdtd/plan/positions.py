"""Where an output (N, T, ...) stands at the end of what is read, and whether it says which token comes next."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from onnxdtd.inputs.tokenizer import role
from onnxdtd.model.graph import Graph
from onnxdtd.ops import OPS
from onnxdtd.plan.masks import counted, masks, moved
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
    """The masks that may count the positions of an output: not those of another sequence, as the encoder's is beside
    a decoder's output. A mask may have names of its own, as exporters give them and where it counts a cache, too."""
    integers = [name for name in graph.inputs if not graph.value(name).is_float]
    lengths = {n: shape[1] for n in integers if (shape := graph.value(n).shape) and len(shape) == 2}
    of_scores = {n: shape[-1] for n in masks(graph) if (shape := graph.value(n).shape) and len(shape) > 1}
    counting = {*masks(graph), *(name for name in lengths if graph.masks is None and role(name) == "mask")}
    sequences = {size for n, size in lengths.items() if n not in counting and role(n) == "ids"}
    shape = graph.value(graph.target(output)).shape or ()
    own = sequences & {*shape[1:2]} or sequences
    if len(own) != 1:
        return ()
    others = sequences - own
    lengths |= of_scores
    return tuple(
        n for n in lengths if n in counting and lengths[n] not in others and "encoder" not in n.lower()
    )


def last_positions(
    graph: Graph, output: str, feeds: Mapping[str, Array], shape: tuple[int, ...]
) -> npt.NDArray[np.intp]:
    """(N,): of an output (N, T, ...) of this shape the last position that is no padding, by the end of a mask
    (N, S + T), which may count a cache S first; the very last where there is none, or where it counts nothing."""
    count, size = shape[:2]
    last = np.full(count, size - 1)
    for name in masks_of(graph, output):
        here = counted(graph, name, feeds[name])
        if here is not None and (counts := here[:, -size:]).shape == (count, size):
            last = np.where(counts.any(axis=1), size - 1 - counts[:, ::-1].argmax(axis=1), last)
    return last
