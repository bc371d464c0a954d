"""The range of every value: from the ops' declarations, the constants, and what is known of the input.

Weighted sums, and whatever declares no range, are unbounded. The method `dtd` derives its rules from these ranges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import TensorProto

from onnxdtd.domains.interval import ANY, At, Domain
from onnxdtd.errors import InputError
from onnxdtd.model.graph import Graph
from onnxdtd.registry import OPS

__all__ = ["Domain", "Range", "domains"]

Range = tuple[Any, Any] | Mapping[str, tuple[Any, Any]] | None

_DIGITS: dict[int, int] = {
    TensorProto.DOUBLE: 53,
    TensorProto.FLOAT: 24,
    TensorProto.FLOAT16: 11,
    TensorProto.BFLOAT16: 8,
}


def domains(graph: Graph, input_range: Range = None) -> dict[str, Domain]:
    """The domain of every float value that the graph takes or makes, in exact arithmetic: a kernel may round
    past an end by a few units in the last place, but not past zero.

    input_range: (low, high) of all float inputs, numbers or arrays (their overall minimum and maximum count),
    or a dict of such by input name. Raises InputError for an empty range or a name that is no input.
    """
    if not OPS:
        raise RuntimeError("no op has declared its range yet: import onnxdtd.ops first")
    input_domains = _input_domains(graph, input_range)
    ranges = {name: input_domains.get(name, ANY) for name in graph.inputs if graph.value(name).is_float}
    for node in graph.nodes:
        entry = OPS.get((node.domain, node.op))
        for index, output in enumerate(node.outputs):
            value = graph.value(output)
            if output and (value.is_float or value.elem_type == TensorProto.UNDEFINED):
                row = None if entry is None else entry.range
                domain = ANY if row is None else row(At(graph, node, index, ranges))
                defined = not (math.isnan(domain.low) or math.isnan(domain.high))
                ranges[output] = domain.outward(_DIGITS.get(value.elem_type, 24)) if defined else ANY
    return ranges


def _input_domains(graph: Graph, input_range: Range) -> dict[str, Domain]:
    if not isinstance(input_range, Mapping):
        input_range = {} if input_range is None else dict.fromkeys(graph.inputs, input_range)
    if unknown := sorted(set(input_range) - set(graph.inputs)):
        raise InputError(f"no input {', '.join(unknown)}; the inputs are {', '.join(graph.inputs)}")
    return {name: _interval(ends) for name, ends in input_range.items()}


def _interval(ends: tuple[Any, Any]) -> Domain:
    try:
        low, high = (np.asarray(end, np.float64) for end in ends)
        ordered = low.size > 0 and high.size > 0 and bool(np.all(low <= high))
    except (ValueError, TypeError):
        raise InputError(f"the input range {ends} is no pair (low, high) of numbers or arrays") from None
    if not ordered:
        raise InputError(f"the input range {ends} is empty: low must not exceed high")
    return Domain(float(low.min()), float(high.max()))
