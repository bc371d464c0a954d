"""Whether a compiled walk explains the branches that its input takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnxdtd.errors import UsageError
from onnxdtd.model.canonise.condition import said
from onnxdtd.model.graph import Graph, sort_nodes
from onnxdtd.primitives import Tracer
from onnxdtd.primitives.call import renamed
from onnxdtd.primitives.traced import PREFIX

VALID = f"{PREFIX}valid"
"""The output, one boolean: all conditions are as they were where the branches were written out."""


def valid(graph: Graph, tracer: Tracer) -> onnx.ValueInfoProto:
    """Write it, and say of which type it is. A condition has one element, inside of a loop one for each iteration."""
    departures: Any = np.asarray(0, np.int64)
    for name, held in graph.all_conditions.items():
        condition = tracer.value(name, np.bool_, graph.value(name).shape or ())
        departs = tracer.emit("Not", condition) if held else condition
        count = tracer.emit(
            "ReduceSum", tracer.emit("Cast", departs, to=TensorProto.INT64), keepdims=0, shape=()
        )
        departures = tracer.emit("Add", departures, count, shape=())
    whole = tracer.emit("Equal", departures, np.asarray(0, np.int64), shape=())
    tracer.nodes.append(renamed(whole.name, VALID))
    return helper.make_tensor_value_info(VALID, TensorProto.BOOL, ())


def refuse_open(graph: Graph, outputs: Iterable[str]) -> None:
    """Raise UsageError, a line for each, where a branch on the way to these outputs makes floats, and only an input
    says which one is taken."""
    before = {node.name for node in sort_nodes(graph.nodes, outputs)}
    if faults := [
        f"{node}: which of its branches runs, an input decides ({said(graph, node.inputs[0])}): give one whose "
        "branches are to be compiled (like=, --like INPUT), or fix what decides it (fixed=, --fixed NAME=VALUE)"
        for node in graph.open_branches
        if node.name in before
        and any(graph.value(v).is_float or not graph.value(v).elem_type for v in node.outputs if v)
    ]:
        raise UsageError("\n".join(faults))
