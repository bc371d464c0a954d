"""The order of a compiled walk's nodes, so that what it holds at one time stays small.

onnxruntime goes back from the outputs, and of a node's inputs it computes first the one whose producer comes last
in the file. Of a quotient r / d that must be r: with d first, the denominators of all layers would be computed, and
held, before the walk begins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from onnxdtd.primitives import Tracer
from onnxdtd.primitives.call import Call, reshaped
from onnxdtd.primitives.traced import QUOTIENT

LARGE = 1 << 14  # Elements in a sample: from there on a denominator is worth a node.


def walk_last(tracer: Tracer, nodes: Sequence[Call], seeds: Iterable[str]) -> list[Call]:
    """The nodes that do not depend on the seeds, then the others; each in the order they had.

    A denominator is handed over by a Reshape to its own shape, which costs nothing, since onnxruntime appends to the
    file what it makes of a convolution.
    """
    arrived, before, after = {*seeds}, [], []
    for node in nodes:
        if not (arrived.isdisjoint(node.inputs) and arrived.isdisjoint(node.captured)):
            arrived.update(node.outputs)
            after.append(node)
        else:
            before.append(node)
    made: set[str] = set()
    for node in before:
        made.update(node.outputs)
    handed: dict[str, Call] = {}
    for node in after:
        if node.op_type == QUOTIENT and node.inputs[1] in made and _size(tracer, node.inputs[1]) >= LARGE:
            value = node.inputs[1]
            same = tracer.constant(np.zeros(len(tracer.shapes[value]), np.int64)).name
            label = f"{value}_late"
            handed[value] = reshaped(value, same, label)
            node.inputs[1] = label
    return [*before, *handed.values(), *after]


def _size(tracer: Tracer, value: str) -> float:
    """Elements in a sample; of an image whose size is not known it may be any number."""
    sizes = tracer.shapes[value][1:]
    return math.prod(size if isinstance(size, int) else math.inf for size in sizes)
