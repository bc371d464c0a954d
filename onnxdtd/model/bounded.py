"""No value is made that is known to be larger than memory: its size is in the file, or follows from it."""

from __future__ import annotations

import math

from onnx import TensorProto

from onnxdtd.errors import ModelError
from onnxdtd.memory import beyond, limit
from onnxdtd.model.graph import Graph
from onnxdtd.model.node import Value


def refuse_large(graph: Graph) -> Graph:
    """The graph itself. Raises ModelError naming the first node with an output beyond the limit of memory."""
    most = limit()
    for node in graph.nodes:
        for name in node.outputs:
            if name and (size := least_bytes(graph.value(name))) > most:
                raise ModelError(f"{node}: its output '{name}' {beyond(size)}")
    return graph


def least_bytes(value: Value) -> int:
    """What a value takes at least: a size that is open is 1."""
    if value.shape is None or value.elem_type in (TensorProto.UNDEFINED, TensorProto.STRING):
        return 0
    return math.prod(size for size in value.shape if isinstance(size, int)) * value.dtype.itemsize
