"""What onnxruntime runs and onnx's checker refuses: set right before the check, each with its note."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from typing import Any

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, defs, helper

from onnxdtd.errors import ModelError
from onnxdtd.model.functions import all_nodes
from onnxdtd.model.sequence import in_sequence

_ML = "ai.onnx.ml"
_ML_VERSIONS = {row[1]: row[3] for row in helper.VERSION_TABLE}
_TERM = re.compile(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*")
_UNCHECKED = "onnxdtd.unchecked"


def mend(model: ModelProto) -> list[str]:
    """Sort the nodes, state a missing version of ai.onnx.ml, open a batch of 0; the notes say what was done.

    Raises ModelError for an Einsum whose equation is none: onnx's inference does not return from some of them.
    """
    notes = []
    for node in all_nodes(chain(model.graph.node, *(f.node for f in model.functions))):
        if node.op_type == "Einsum" and node.domain in ("", "ai.onnx"):
            _check_equation(node)
    stated = {entry.domain for entry in model.opset_import}
    if _ML not in stated and any(node.domain == _ML for node in all_nodes(model.graph.node)):
        version = max(v for ir, v in _ML_VERSIONS.items() if ir <= max(model.ir_version, min(_ML_VERSIONS)))
        model.opset_import.append(helper.make_opsetid(_ML, version))
        notes.append(f"the version of {_ML} is not stated: read as {version}, that of the file's IR version")
    if moved := _sort(model.graph):
        notes.append(f"nodes sorted, so that each stands behind what it reads: {moved} stood before it")
    if empty := _any_batch(model.graph):
        notes.append(f"the batch of 0 that the file states ({', '.join(empty)}) is read as any")
    unshaped = [v.name for v in model.graph.output if not v.type.tensor_type.HasField("shape")]
    if unshaped := [name for name in unshaped if name]:
        notes.append(f"the shape of output {', '.join(map(repr, unshaped))} is not stated: inferred")
    return notes


def _any_batch(graph: GraphProto) -> list[str]:
    """Forget a first axis of length 0, which some exporters write for one of any length, and no sample fits. Returns
    the names of the inputs that state one."""
    dims = {v.name: v.type.tensor_type.shape.dim for v in graph.input}
    empty = [name for name, sizes in dims.items() if len(sizes) and _is_zero(sizes[0])]
    for value in (*graph.input, *graph.output, *graph.value_info) if empty else ():
        sizes = value.type.tensor_type.shape.dim
        if len(sizes) and _is_zero(sizes[0]):
            sizes[0].Clear()
    return empty


def _is_zero(size: Any) -> bool:
    return bool(size.HasField("dim_value") and size.dim_value == 0)


def checkable(model: ModelProto) -> ModelProto:
    """A copy for onnx's checker: a missing shape is stated, and an operator that onnx has withdrawn is not looked at
    (onnxruntime judges it when it loads the model)."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for value in (*copy.graph.input, *copy.graph.output):
        if value.type.WhichOneof("value") in (None, "tensor_type"):
            value.type.tensor_type.elem_type = value.type.tensor_type.elem_type or TensorProto.FLOAT
            value.type.tensor_type.shape.SetInParent()
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    withdrawn = [node for node in all_nodes(copy.graph.node) if _is_withdrawn(node, opset)]
    for node in withdrawn:
        node.domain = _UNCHECKED
    if withdrawn:
        copy.opset_import.append(helper.make_opsetid(_UNCHECKED, 1))
    return copy


def _is_withdrawn(node: NodeProto, opset: int) -> bool:
    if node.domain not in ("", "ai.onnx") or not opset or not defs.has(node.op_type, opset):
        return False
    schema: Any = defs.get_schema(node.op_type, opset)
    return bool(schema.deprecated)


def _check_equation(node: NodeProto) -> None:
    """Terms of letters with at most one ellipsis, one for each input; the output's letters stand in them."""
    equation = next((a.s.decode("utf-8", "replace") for a in node.attribute if a.name == "equation"), "")
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    whole = all(_TERM.fullmatch(term) for term in (*terms, right)) and len(terms) == len(node.input)
    letters = right.replace("...", "")
    if not whole or (arrow and not set(letters) <= set(left)) or len(set(letters)) < len(letters):
        name = node.name or (node.output[0] if node.output else "")
        raise ModelError(
            f"invalid ONNX: '{name}' Einsum: {equation!r} is no equation for {len(node.input)} inputs"
        )


def _sort(graph: GraphProto) -> int:
    """Put each node behind those whose values it reads; how many stood before them. A ring stays as it is."""
    makers = {value: i for i, node in enumerate(graph.node) for value in node.output if value}
    before = {i: {makers[v] for v in _reads(node) if v in makers} for i, node in enumerate(graph.node)}
    early = sum(any(j > i for j in needed) for i, needed in before.items())
    order = in_sequence(len(before), ((j, i) for i, needed in before.items() for j in needed))
    if not early or order is None:
        return 0
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes[i] for i in order)
    return early


def _reads(node: NodeProto) -> Iterable[str]:
    """The values that a node and the graphs inside it read."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (value.name for value in graph.output)
            for inner in graph.node:
                yield from _reads(inner)
