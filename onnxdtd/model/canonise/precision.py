"""Half precision is explained in single: float16 and bfloat16 become float32 throughout the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, TensorProto, helper, numpy_helper

from onnxdtd.model.graph import Graph
from onnxdtd.types import Array

HALVES: dict[int, str] = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16"}
_TYPES = {"to", "dtype", "output_dtype", "output_datatype", "stash_type", "softmax_precision", "precision"}
"""Attributes whose integer is an element type."""


def precision(graph: Graph) -> Graph:
    """float16 and bfloat16 -> float32: constants, inputs, inner values and outputs, what a Cast casts to and
    whatever else names a type. The function differs by the rounding that it is spared; inputs may be given in
    either precision, outputs and relevance are float32.
    """
    halves = {HALVES[value.elem_type] for value in graph.values.values() if value.elem_type in HALVES}
    halves |= {HALVES[kind] for kind in map(_kind, graph.constants.values()) if kind in HALVES}
    nodes = tuple(replace(node, attributes=_widened(node.attributes)) for node in graph.nodes)
    if not halves and all(a.attributes == b.attributes for a, b in zip(nodes, graph.nodes, strict=True)):
        return graph
    values = {
        name: replace(value, elem_type=TensorProto.FLOAT) if value.elem_type in HALVES else value
        for name, value in graph.values.items()
    }
    constants = {name: _single(array) for name, array in graph.constants.items()}
    wide = graph.replace(nodes=nodes, values=values, constants=constants)
    return wide.noting(f"{' and '.join(sorted(halves or {'float16'}))} widened to float32")


def _widened(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _wide(key, value) for key, value in attributes.items()}


def _wide(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_wide(key, one) for one in value]
    if isinstance(value, int):
        return int(TensorProto.FLOAT) if key in _TYPES and value in HALVES else value
    if isinstance(value, TensorProto):
        return _tensor(value)
    return _subgraph(value) if isinstance(value, GraphProto) else value


def _tensor(proto: TensorProto) -> TensorProto:
    if proto.data_type not in HALVES:
        return proto
    return numpy_helper.from_array(_single(numpy_helper.to_array(proto)), proto.name)


def _subgraph(proto: GraphProto) -> GraphProto:
    """The body of an If or a Loop, which shares the values around it."""
    body = GraphProto()
    body.CopyFrom(proto)
    for i, tensor in enumerate(proto.initializer):
        body.initializer[i].CopyFrom(_tensor(tensor))
    for value in (*body.input, *body.output, *body.value_info):
        if value.type.tensor_type.elem_type in HALVES:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in body.node:
        for attribute in node.attribute:
            _rewrite(attribute)
    return body


def _rewrite(attribute: AttributeProto) -> None:
    value = helper.get_attribute_value(attribute)
    wide = _wide(attribute.name, list(value) if attribute.type in _LISTS else value)
    if wide != value:
        attribute.CopyFrom(helper.make_attribute(attribute.name, wide))


_LISTS = {onnx.AttributeProto.TENSORS, onnx.AttributeProto.GRAPHS}


def _kind(array: Array) -> int:
    return int(helper.np_dtype_to_tensor_dtype(array.dtype))


def _single(array: Array) -> Array:
    return array.astype(np.float32) if _kind(array) in HALVES else array
