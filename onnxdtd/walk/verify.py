"""Does canonisation keep the function? Both graphs are run on the same input and compared."""

from __future__ import annotations

import numpy as np

from onnxdtd.errors import CheckError
from onnxdtd.model.graph import Graph
from onnxdtd.types import Arrays
from onnxdtd.walk.forward import Forward, is_quantised

TOLERANCE, COARSE_TOLERANCE = 1e-5, 5e-2
"""The latter of a quantised model, where the order of a sum may move a value by a step."""


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
