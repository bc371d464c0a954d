"""An old model in a newer opset, so that its walk can be compiled: converted by onnx, and checked to be the same."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import version_converter

from onnxdtd.compiled.trace import LOWEST_OPSET
from onnxdtd.errors import CheckError, OnnxdtdError, UnsupportedError
from onnxdtd.model.canonise import canonise
from onnxdtd.model.graph import Graph
from onnxdtd.model.load import load
from onnxdtd.walk.forward import Arrays
from onnxdtd.walk.verify import check_same

UNKNOWN_SIZE = 2  # what a symbolic dimension is in the check; larger where the model refuses that
LARGER_SIZE = 32


def upgrade(graph: Graph) -> Graph:
    """The graph itself if its opset is `LOWEST_OPSET` or newer, else the same function in that opset.

    The outputs of both are compared on random inputs, up to 1e-5 of the largest value. Raises UnsupportedError
    where onnx cannot convert the model, or converts it into another function.
    """
    opset = graph.opsets.get("", LOWEST_OPSET)
    if opset >= LOWEST_OPSET:
        return graph
    try:
        newer = canonise(load(_converted(graph)))
    except OnnxdtdError as error:
        raise UnsupportedError(_said(opset, str(error))) from None
    note = f"opset {opset} converted to {LOWEST_OPSET}, outputs checked"
    newer = newer.replace(metadata=graph.metadata, sha256=graph.sha256, notes=graph.notes).noting(note)
    _check(graph, newer, opset)
    return newer


def _converted(graph: Graph) -> onnx.ModelProto:
    try:
        return version_converter.convert_version(graph.to_proto(), LOWEST_OPSET)
    except Exception as error:
        # The converter's errors come from C++ and have no common base of their own.
        raise UnsupportedError((str(error).splitlines() or [type(error).__name__])[0]) from None


def _check(before: Graph, after: Graph, opset: int) -> None:
    for size in (UNKNOWN_SIZE, LARGER_SIZE):
        try:
            check_same(before, after, _random_inputs(before, size))
        except CheckError as error:
            raise UnsupportedError(_said(opset, str(error))) from None
        except OnnxdtdError as error:
            # A size that the model cannot have, perhaps.
            fault = error
            continue
        return
    raise UnsupportedError(_said(opset, str(fault)))


def _random_inputs(graph: Graph, size: int) -> Arrays:
    rng = np.random.default_rng(0)
    feeds = {}
    for name in graph.inputs:
        value = graph.value(name)
        shape = [d if isinstance(d, int) else 1 if i == 0 else size for i, d in enumerate(value.shape or ())]
        x = rng.random(shape) if value.is_float else rng.integers(0, 2, shape)
        feeds[name] = np.asarray(x, value.dtype)
    return feeds


def _said(opset: int, why: str) -> str:
    return (
        f"the model's opset is {opset}; compiling needs {LOWEST_OPSET} or newer, and onnx cannot convert it: {why}; "
        "export it anew, or use engine='numpy'"
    )
