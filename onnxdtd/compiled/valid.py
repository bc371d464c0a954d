"""Whether a compiled walk explains the branches that its input takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnxdtd.errors import UsageError
from onnxdtd.model.canonise.condition import said
from onnxdtd.model.graph import Graph, sort_nodes
from onnxdtd.primitives import Tracer
from onnxdtd.primitives.traced import PREFIX

VALID = f"{PREFIX}valid"
"""The output, one boolean: all conditions are as they were where the branches were written out."""


def valid(conditions: Mapping[str, bool], tracer: Tracer) -> onnx.ValueInfoProto:
    """Write it, and say of which type it is. A condition has one element, whatever its rank."""
    scalar = tracer.constant(np.zeros(0, np.int64))
    whole = tracer.constant(np.array(True))
    for name, held in conditions.items():
        condition = tracer.emit("Reshape", tracer.value(name, np.bool_, ()), scalar, shape=())
        whole = tracer.emit("And", whole, condition if held else tracer.emit("Not", condition))
    tracer.nodes.append(helper.make_node("Identity", [whole.name], [VALID], VALID))
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
