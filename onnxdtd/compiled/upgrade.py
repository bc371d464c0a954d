"""An old model in a newer opset, so that its walk can be compiled: converted by onnx, and checked to be the same."""

from __future__ import annotations

import onnx

from onnxdtd.compiled.confirm import ranks
from onnxdtd.compiled.trace import LOWEST_OPSET
from onnxdtd.compiled.trials import TRIES, drawn
from onnxdtd.errors import CheckError, OnnxdtdError, UnsupportedError
from onnxdtd.model.canonise import canonise
from onnxdtd.model.convert import converted
from onnxdtd.model.graph import Graph
from onnxdtd.model.load import load
from onnxdtd.plan.categories import taking_any
from onnxdtd.walk.forward import Forward
from onnxdtd.walk.verify import check_same


def upgrade(graph: Graph, least: int = LOWEST_OPSET) -> Graph:
    """The graph itself if its opset is `least` or newer, else the same function in that opset.

    The outputs of both are compared on random inputs, up to 1e-5 of the largest value. Raises UnsupportedError
    where onnx cannot convert the model, or converts it into another function.
    """
    opset = graph.opsets.get("", LOWEST_OPSET)
    if opset >= least:
        return graph
    Forward(
        graph, graph.outputs, ["CPUExecutionProvider"], optimise=False
    )  # onnxruntime judges the model first
    try:
        newer = canonise(load(_converted(graph, least)))
    except OnnxdtdError as error:
        raise UnsupportedError(_said(opset, least, str(error))) from None
    note = f"opset {opset} converted to {least}, outputs checked"
    # The conditions were outputs, so that they were kept.
    newer = newer.replace(outputs=graph.outputs, conditions=graph.conditions, background=graph.background)
    newer = newer.replace(
        metadata=graph.metadata, sha256=graph.sha256, max_steps=graph.max_steps, masks=graph.masks
    )
    newer = newer.replace(notes=graph.notes).noting(note)
    _check(graph, newer, opset, least)
    return newer


def _converted(graph: Graph, opset: int) -> onnx.ModelProto:
    computed = [name for name in graph.conditions if name not in graph.inputs]
    model = graph.to_proto([*graph.outputs, *computed])
    # The converter asks for ranks that only a forward pass shows.
    model.graph.value_info.extend(ranks(graph))
    return converted(model, graph.constants, opset)


def _check(before: Graph, after: Graph, opset: int, least: int) -> None:
    for first, other in TRIES:
        try:
            check_same(taking_any(before), taking_any(after), drawn(before, first, other))
        except CheckError as error:
            raise UnsupportedError(_said(opset, least, str(error))) from None
        except OnnxdtdError as error:
            # A size that the model cannot have, perhaps.
            fault = error
            continue
        return
    raise UnsupportedError(_said(opset, least, str(fault)))


def _said(opset: int, least: int, why: str) -> str:
    return (
        f"the model's opset is {opset}; compiling needs {least} or newer, and onnx cannot convert it: {why}; "
        "export it anew, or use engine='numpy'"
    )
