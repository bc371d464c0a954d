"""An old model in a newer opset, so that its walk can be compiled: converted by onnx, and checked to be the same."""

from __future__ import annotations

import onnx
from onnx import version_converter

from onnxdtd.compiled.confirm import TRIES, drawn
from onnxdtd.compiled.trace import LOWEST_OPSET
from onnxdtd.errors import CheckError, OnnxdtdError, UnsupportedError
from onnxdtd.model.canonise import canonise
from onnxdtd.model.graph import Graph
from onnxdtd.model.load import load
from onnxdtd.plan.categories import taking_any
from onnxdtd.walk.forward import Forward
from onnxdtd.walk.verify import check_same


def upgrade(graph: Graph) -> Graph:
    """The graph itself if its opset is `LOWEST_OPSET` or newer, else the same function in that opset.

    The outputs of both are compared on random inputs, up to 1e-5 of the largest value. Raises UnsupportedError
    where onnx cannot convert the model, or converts it into another function.
    """
    opset = graph.opsets.get("", LOWEST_OPSET)
    if opset >= LOWEST_OPSET:
        return graph
    Forward(
        graph, graph.outputs, ["CPUExecutionProvider"], optimise=False
    )  # onnxruntime judges the model first
    try:
        newer = canonise(load(_converted(graph)))
    except OnnxdtdError as error:
        raise UnsupportedError(_said(opset, str(error))) from None
    note = f"opset {opset} converted to {LOWEST_OPSET}, outputs checked"
    # The conditions were outputs, so that they were kept.
    newer = newer.replace(outputs=graph.outputs, conditions=graph.conditions, background=graph.background)
    newer = newer.replace(metadata=graph.metadata, sha256=graph.sha256, max_steps=graph.max_steps)
    newer = newer.replace(notes=graph.notes).noting(note)
    _check(graph, newer, opset)
    return newer


def _converted(graph: Graph) -> onnx.ModelProto:
    try:
        computed = [name for name in graph.conditions if name not in graph.inputs]
        return version_converter.convert_version(graph.to_proto([*graph.outputs, *computed]), LOWEST_OPSET)
    except Exception as error:
        # The converter's errors come from C++ and have no common base of their own.
        raise UnsupportedError((str(error).splitlines() or [type(error).__name__])[0]) from None


def _check(before: Graph, after: Graph, opset: int) -> None:
    for first, other in TRIES:
        try:
            check_same(taking_any(before), taking_any(after), drawn(before, first, other))
        except CheckError as error:
            raise UnsupportedError(_said(opset, str(error))) from None
        except OnnxdtdError as error:
            # A size that the model cannot have, perhaps.
            fault = error
            continue
        return
    raise UnsupportedError(_said(opset, str(fault)))


def _said(opset: int, why: str) -> str:
    return (
        f"the model's opset is {opset}; compiling needs {LOWEST_OPSET} or newer, and onnx cannot convert it: {why}; "
        "export it anew, or use engine='numpy'"
    )
