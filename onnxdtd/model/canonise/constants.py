"""What depends on no input is computed once: f(constants) -> constant."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import GraphProto, TensorProto, TypeProto, defs, helper, numpy_helper
from onnx.shape_inference import infer_node_outputs

from onnxdtd.model.canonise.draft import Draft, nodes, static
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.reference import evaluate
from onnxdtd.model.weights import SMALL, dense, to_array
from onnxdtd.types import Array

_RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
_RANDOM |= {"Multinomial", "Bernoulli", "Dropout"}
_SIZED_BY_DATA = {"NonZero", "Compress", "Unique"}
_MOST_NEW_ELEMENTS = 1 << 24
"""64 MB of float32: what a fold may add. ConstantOfShape, Expand and Tile could ask for any amount."""


def constants(graph: Graph) -> Graph:
    """f(constants) -> constant: Constant nodes are lifted, nodes that read only constants are evaluated by
    onnx's reference implementation, Shape and Size of a static shape are read off. What is random, would grow
    too large or has no reference implementation stays.
    """
    draft = Draft(graph)
    lifted = folded = 0
    for node in graph.nodes:
        outputs = _fold(node, draft)
        if outputs is None:
            continue
        for name, array in outputs.items():
            draft.fix(name, array)
        draft.remove(node)
        lifted, folded = lifted + (node.op == "Constant"), folded + (node.op != "Constant")
    notes = [f"Constant lifted: {nodes(lifted)}"] * bool(lifted)
    notes += [f"constants folded: {nodes(folded)}"] * bool(folded)
    return draft.graph(*notes) if notes else graph


def _fold(node: Node, draft: Draft) -> dict[str, Array] | None:
    """The node's outputs by name, or None if it stays."""
    if node.domain or any(isinstance(a, GraphProto) for a in node.attributes.values()):
        return None
    if node.op == "Constant":
        return _lift(node)
    if node.op in ("Shape", "Size"):
        return _measure(node, draft)
    if node.op in _RANDOM or not all(v in draft.constants for v in node.inputs if v):
        return None
    if node.op == "Cast" and (wider := _widened(node, draft.constants[node.inputs[0]])) is not None:
        return {node.output: wider}
    return _evaluate(node, draft)


def _widened(node: Node, array: Array) -> Array | None:
    """A float cast to one that holds all of its numbers, as weights stored in halves are: NumPy does the same."""
    wider = helper.tensor_dtype_to_np_dtype(node.attributes["to"])
    if array.dtype.kind != "f" or wider.kind != "f" or wider.itemsize < array.dtype.itemsize:
        return None
    return array.astype(wider, copy=False)


def _lift(node: Node) -> dict[str, Array] | None:
    if len(node.attributes) != 1:
        return None
    [(key, value)] = node.attributes.items()
    if key == "value":
        return {node.output: to_array(value)}
    if key == "sparse_value":
        return {node.output: dense(value)}
    if key.startswith("value_string"):
        texts = [value] if isinstance(value, str) else [text.decode() for text in value]
        return {node.output: np.array(texts, dtype=object).reshape(() if isinstance(value, str) else -1)}
    return {node.output: np.array(value, np.float32 if key.startswith("value_float") else np.int64)}


def _measure(node: Node, draft: Draft) -> dict[str, Array] | None:
    shape = static(draft.value(node.inputs[0]).shape)
    if shape is None:
        return None
    if node.op == "Size":
        return {node.output: np.array(math.prod(shape), np.int64)}
    kept = slice(node.attributes.get("start", 0), node.attributes.get("end"))
    return {node.output: np.array(shape[kept], np.int64)}


def _evaluate(node: Node, draft: Draft) -> dict[str, Array] | None:
    """Run the node alone; None unless it makes tensors of the types and sizes that the schema tells."""
    feeds = {name: draft.constants[name] for name in node.inputs if name}
    made = [name for name in node.outputs if name]
    types = _output_types(node, draft, feeds)
    room = sum(array.size for array in feeds.values()) + _MOST_NEW_ELEMENTS
    if not all(name in types and _fits(node, types[name].tensor_type, room) for name in made):
        return None
    arrays = evaluate(node, draft.before.opsets, feeds)
    if arrays is None:
        return None
    typed = all(_element(a) == types[name].tensor_type.elem_type for name, a in arrays.items())
    return arrays if typed else None


def _output_types(node: Node, draft: Draft, feeds: dict[str, Array]) -> dict[str, TypeProto]:
    opsets = [helper.make_opsetid(domain, version) for domain, version in draft.before.opsets.items()]
    try:
        return infer_node_outputs(
            defs.get_schema(node.op, draft.opset, node.domain),
            node.to_proto(draft.before.opsets),
            {name: helper.make_tensor_type_proto(_element(a), a.shape) for name, a in feeds.items()},
            {name: numpy_helper.from_array(a, name) for name, a in feeds.items() if a.nbytes <= SMALL},
            opset_imports=opsets,
            ir_version=draft.before.ir_version,
        )
    except Exception:  # bare C++ exceptions: an unknown op, or inputs that do not fit it
        return {}


def _fits(node: Node, kind: TypeProto.Tensor, room: int) -> bool:
    if kind.elem_type in (TensorProto.UNDEFINED, TensorProto.STRING):
        return False
    sizes = [d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim]
    shape = static(sizes) if kind.HasField("shape") else None
    return node.op in _SIZED_BY_DATA if shape is None else math.prod(shape) <= room


def _element(array: Array) -> Any:
    return helper.np_dtype_to_tensor_dtype(array.dtype)
