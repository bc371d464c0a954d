"""Does canonisation keep the function? Both graphs are run on the same input and compared; so is each operator that
was written out, alone."""

from __future__ import annotations

import numpy as np
import onnx

from onnxdtd.errors import CheckError, ModelError
from onnxdtd.model.graph import Graph
from onnxdtd.types import Array, Arrays
from onnxdtd.walk.forward import Forward, is_quantised, run_alone

TOLERANCE, COARSE_TOLERANCE = 1e-5, 5e-2
"""The latter of a quantised model, where the order of a sum may move a value by a step."""
OPERATOR_TOLERANCE = 1e-4
"""onnxruntime's own operators round otherwise, and some approximate an exponential."""


def check_same(before: Graph, after: Graph, feeds: Arrays, tolerance: float | None = None) -> None:
    """Raise CheckError where an output of `after` differs from `before` by more than the tolerance.

    Relative to the output's largest value; onnxruntime's own fusions are left out, since they round differently.
    """
    tolerance = tolerance or (COARSE_TOLERANCE if is_quantised(before) else TOLERANCE)
    one, other = (
        Forward(graph, graph.outputs, ["CPUExecutionProvider"], optimise=False)(feeds)
        for graph in (before, after)
    )
    did = ", ".join(after.notes[len(before.notes) :])
    for name, expected in one.items():
        if expected.dtype.kind != "f":
            if not np.array_equal(expected, other[name]):
                raise CheckError(f"output '{name}' changed by: {did}")
            continue
        scale = float(np.abs(expected).max(initial=0.0)) or 1.0
        error = float(np.abs(expected - other[name]).max(initial=0.0)) / scale
        if not error <= tolerance:
            raise CheckError(f"output '{name}' differs by {error:.2g} of its largest value after: {did}")


def check_written_out(graph: Graph, feeds: Arrays) -> str:
    """Run each operator that was written out on what it reads with this input, and compare what it makes with what
    the nodes in its place make, relative to the largest value. Raises CheckError with the numbers.

    graph: as it was read, in single precision. The result says which operators could not be run alone; "" if none.
    """
    tolerance = COARSE_TOLERANCE if is_quantised(graph) else OPERATOR_TOLERANCE
    own = [node for node in graph.originals if _values(node) <= _made(graph)]
    missing = {node.op_type: "it stands inside of a branch, a loop or a function" for node in graph.originals}
    missing = {op: reason for op, reason in missing.items() if op not in {node.op_type for node in own}}
    values = sorted(set().union(*map(_values, own)))
    arrays = {**graph.constants, **Forward(graph, values, ["CPUExecutionProvider"], optimise=False)(feeds)}
    for node in own:
        inputs = {name: arrays[name] for name in node.input if name}
        try:
            made = run_alone(node, graph.opsets, inputs)
        except ModelError as error:
            missing[node.op_type] = str(error)
            continue
        for name, expected in made.items():
            _compare(node, name, expected, arrays[name], tolerance)
    return "; ".join(f"{op} not compared with onnxruntime's own: {reason}" for op, reason in missing.items())


def _values(node: onnx.NodeProto) -> set[str]:
    return {name for name in (*node.input, *node.output) if name}


def _made(graph: Graph) -> set[str]:
    return {*graph.inputs, *graph.constants, *graph.producers}


def _compare(node: onnx.NodeProto, name: str, expected: Array, own: Array, tolerance: float) -> None:
    expected, own = expected.astype(np.float64), own.astype(np.float64)
    where = f"'{node.name}' {node.op_type}: its output '{name}'"
    if expected.shape != own.shape:
        raise CheckError(f"{where} has shape {own.shape} where onnxruntime's has {expected.shape}")
    off = np.abs(own - expected)
    scale = float(np.abs(expected).max(initial=0.0)) or 1.0
    if not off.max(initial=0.0) <= tolerance * scale:
        at = np.unravel_index(int(np.nanargmax(off)), off.shape)
        raise CheckError(
            f"{where} as it was written out is not what onnxruntime's own operator makes: {own[at]:.6g} where that "
            f"has {expected[at]:.6g}, {off[at] / scale:.2g} of its largest value"
        )
