"""The walk, traced: forward pass and relevance pass written as one ONNX model.

The model's own nodes and names stay as they are; what is added is named `onnxdtd/...`. It takes the model's
inputs and `onnxdtd/target` (int64, one per sample: the flat index behind the batch axis, -1 for the arg-max), and
returns the model's outputs, the explained logits, and `relevance/NAME` for each float input.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from onnxdtd.engine.backward import needed, walk
from onnxdtd.engine.plan import Plan
from onnxdtd.errors import UnsupportedError
from onnxdtd.primitives import (
    Traced,
    Tracer,
    cast_like,
    equal,
    less,
    relu,
    reshape_like,
    static,
    unsqueeze,
    where,
)

TARGET = "onnxdtd/target"
LOWEST_OPSET = 13


@dataclass(frozen=True)
class Compiled:
    """model: without initializers; constants: its initializers; logits: the name of the explained value;
    relevance: the output that holds each input's relevance."""

    model: onnx.ModelProto
    constants: Mapping[str, npt.NDArray[Any]]
    logits: str
    relevance: Mapping[str, str]


def compile_plan(plan: Plan) -> Compiled:
    """Trace the walk of a plan. Raises UnsupportedError where shapes must be fixed, or the opset is too old."""
    graph = plan.graph
    opset = graph.opsets.get("", 0)
    if opset < LOWEST_OPSET:
        raise UnsupportedError(
            f"the model's opset is {opset}; compiling needs {LOWEST_OPSET} or newer: convert it with "
            f"onnx.version_converter.convert_version(model, {LOWEST_OPSET}), or use engine='numpy'"
        )
    tracer = Tracer(opset)
    for name, array in graph.constants.items():
        tracer.constant(array, name)
    values = {name: _traced(plan, tracer, name) for name in needed(plan)}
    logits = values[plan.target]
    found = walk(plan, dict(values), _seed(plan, tracer, logits), free=False)
    relevance = {}
    for name, r in found.items():
        relevance[name] = f"relevance/{name}"
        tracer.nodes.append(helper.make_node("Identity", [r.name], [relevance[name]]))
    constants = dict(graph.constants) | tracer.constants
    model = graph.to_proto([*dict.fromkeys((*graph.outputs, plan.target))], constants=False)
    model.graph.node.extend(tracer.nodes)
    model.graph.input.append(helper.make_tensor_value_info(TARGET, TensorProto.INT64, ["N"]))
    for name, output in relevance.items():
        value = graph.value(name)
        kind = value.elem_type if value.is_float else TensorProto.FLOAT  # of tokens: a sum over floats
        model.graph.output.append(helper.make_tensor_value_info(output, kind, value.shape))
    return Compiled(model, constants, plan.target, relevance)


def _traced(plan: Plan, tracer: Tracer, name: str) -> Traced:
    value = plan.graph.value(name)
    if value.shape is None or not value.elem_type:
        raise UnsupportedError(
            f"the rank of '{name}' is not known before run time, so the walk cannot be compiled; "
            "run onnx.shape_inference on the model, or use engine='numpy'"
        )
    return tracer.value(name, value.dtype, value.shape)


def _seed(plan: Plan, tracer: Tracer, logits: Traced) -> Any:
    start: Any = {"value": logits, "positive": relu(logits), "one": logits * 0.0 + 1.0}[plan.seed]
    if logits.ndim < 2:
        return start
    target = tracer.value(TARGET, np.int64, ("N",))
    classes = static(logits.shape[-1])
    best = tracer.emit("ArgMax", logits, axis=-1, keepdims=1)
    top = equal(best, np.arange(classes))
    elements = math.prod(static(d) for d in logits.shape[1:])
    chosen = equal(unsqueeze(target, axes=(1,)), np.arange(elements))
    chosen = reshape_like(chosen, logits) if logits.ndim > 2 else chosen
    wants_top = less(unsqueeze(target, axes=tuple(range(1, logits.ndim))), np.asarray(0, np.int64))
    mask = where(wants_top, cast_like(top, logits), cast_like(chosen, logits))
    return start * mask
