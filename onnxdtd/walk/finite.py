"""Where a number that is not finite comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import InputError
from onnxdtd.model.graph import Graph
from onnxdtd.types import Arrays
from onnxdtd.walk.forward import Forward


def refuse_not_finite(graph: Graph, feeds: Arrays, explained: npt.NDArray[Any]) -> None:
    """Raise InputError where an explained element is NaN or infinite, naming the first node that makes such a value,
    and where a NaN comes later, the first of those."""
    if np.isfinite(explained).all():
        return
    made = [v for node in graph.nodes for v in node.outputs if graph.value(v).is_float]
    values = Forward(graph, made, ["CPUExecutionProvider"], optimise=False)(feeds)
    message = (
        f"the explained logit is {explained[~np.isfinite(explained)][0]}, and so is no number to explain"
    )
    infinite = _first(graph, values, lambda x: ~np.isfinite(x))
    undefined = _first(graph, values, np.isnan)
    if infinite:
        message += f"; the first value that is not finite is made by {infinite}"
    if undefined and undefined != infinite:
        message += f", the first NaN by {undefined}"
    raise InputError(f"{message}: with this input the model itself overflows or divides by zero there")


def _first(graph: Graph, values: Mapping[str, Any], is_bad: Callable[[Any], Any]) -> str:
    for node in graph.nodes:
        for value in node.outputs:
            if value in values and is_bad(values[value]).any():
                return f"{node} ('{value}')"
    return ""
