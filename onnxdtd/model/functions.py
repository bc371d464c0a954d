"""Functions: every call of a model-local one is replaced by its body, and so are the operators that ONNX itself
defines by a body, where no entry of their own says more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

import onnx.inliner
from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TypeProto,
    defs,
    shape_inference,
)

from onnxdtd.errors import ModelError, UnsupportedError, one_line
from onnxdtd.model.definitions.table import ANY, definition, fits, stand_ins
from onnxdtd.model.shapes import infer

EXPANDED = (
    "Attention", "CausalConvWithState", "LinearAttention", "NegativeLogLikelihoodLoss", "RotaryEmbedding",
    "SoftmaxCrossEntropyLoss", "SwiGLU",
)  # fmt: skip
"""Operators that are read as the nodes of their ONNX definition."""
_INNER = (*EXPANDED, "Swish")  # onnxruntime does not run every opset's Swish
_SETTLED = 13  # the last opset to change what a Softmax means
_DOMAIN = "onnxdtd.expanded"
_MOST_NODES = 1_000_000


def expand(model: ModelProto) -> tuple[ModelProto, list[NodeProto]]:
    """The model with the bodies of the operators in `EXPANDED`, and the nodes as they were.

    Bodies depend on types, so those of the model's values must have been inferred.
    """
    originals: list[NodeProto] = []
    names: tuple[str, ...] = EXPANDED
    while nodes := [n for n in all_nodes(model.graph.node) if n.op_type in names and is_standard(n)]:
        originals += map(_copy, nodes if names is EXPANDED else ())
        opset = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        types = _stated(model.graph)
        for node in nodes:
            _call(model, node, _body(node, opset, types))
        model.opset_import.append(onnx.helper.make_opsetid(_DOMAIN, 1))
        model = shape_inference.infer_shapes(inline(model))
        kept = [o for o in model.opset_import if o.domain != _DOMAIN]
        del model.opset_import[:]
        model.opset_import.extend(kept)
        names = _INNER
    return model, originals


def rewrite_contrib(model: ModelProto) -> list[NodeProto]:
    """Let onnxruntime's own operators call functions of the model; the result is the nodes as they were.

    One whose form has no definition stays as it is: `ops.expanded` says why, where relevance would have to pass it.
    """
    parts = [(model.graph.node, model.opset_import), *((f.node, f.opset_import) for f in model.functions)]
    types: Mapping[str, TypeProto] | None = None
    originals: list[NodeProto] = []
    for nodes, imports in parts:
        opset = max((o.version for o in imports if o.domain in ("", "ai.onnx")), default=1)
        own = [node for node in all_nodes(nodes) if fits(node, opset)]
        types = _types(model, opset) if own and types is None else types
        before = len(originals)
        for node in own:
            try:
                body = definition(node, opset, types or {})
            except UnsupportedError:
                continue
            originals.append(_copy(node))
            node.ClearField("output")
            node.output.extend(filter(None, originals[-1].output))
            _call(model, node, body)
        if len(originals) > before:
            imports.append(onnx.helper.make_opsetid(_DOMAIN, 1))
    return originals


def _types(model: ModelProto, opset: int) -> dict[str, TypeProto]:
    """The types of the model's values, as far as standard operators in the place of onnxruntime's own make them."""
    copy = ModelProto()
    copy.CopyFrom(model)
    copy.graph.input.append(onnx.helper.make_tensor_value_info(ANY, onnx.TensorProto.INT64, [None]))
    del copy.graph.node[:]
    copy.graph.node.extend(stand_ins(model.graph.node, opset))
    return _stated(infer(copy).graph)


def _stated(graph: GraphProto) -> dict[str, TypeProto]:
    """The types of the values of a graph and of those inside it, where they are told."""
    types = {v.name: v.type for v in (*graph.value_info, *graph.input, *graph.output)}
    for tensor in graph.initializer:
        types[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                types |= _stated(inner)
    return types


def is_standard(node: NodeProto) -> bool:
    """Whether the operator is one of the default domain."""
    return node.domain in ("", "ai.onnx")


def _copy(node: NodeProto) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    return copy


def _call(model: ModelProto, node: NodeProto, body: FunctionProto) -> None:
    body.domain, body.name = _DOMAIN, f"{node.op_type}_{len(model.functions)}"
    node.domain, node.op_type = body.domain, body.name
    model.functions.append(body)


def _body(node: NodeProto, opset: int, types: dict[str, TypeProto]) -> FunctionProto:
    """The definition of a node's operator; attributes that the node leaves out take their defaults."""
    schema: Any = defs.get_schema(node.op_type, opset)
    depends = schema.has_context_dependent_function
    versions = schema.context_dependent_function_opset_versions if depends else schema.function_opset_versions
    version = max((v for v in versions if v <= opset), default=versions[0])
    if depends:
        kinds = [types.get(name, TypeProto()).SerializeToString() for name in node.input]
        made = schema.get_context_dependent_function_with_opset_version(
            version, node.SerializeToString(), kinds
        )
    else:
        made = schema.get_function_with_opset_version(version)
    if not made:
        raise ModelError(f"'{node.name}' {node.op_type}: onnx has no definition for its inputs")
    body: FunctionProto = FunctionProto.FromString(made)
    own = {a.name for a in node.attribute}
    defaults = ((name, schema.attributes[name].default_value) for name in body.attribute)
    node.attribute.extend(a for name, a in defaults if name not in own and a.type != AttributeProto.UNDEFINED)
    for entry in body.opset_import:
        if not entry.domain and all(_means_the_same(n, entry.version, opset) for n in all_nodes(body.node)):
            entry.version = opset
    return body


def _means_the_same(node: NodeProto, one: int, other: int) -> bool:
    """Whether a later version of the operator takes the node as it is: since 13 it then differs in types only."""
    before, after = (defs.get_schema(node.op_type, version, node.domain) for version in (one, other))
    fits = {a.name for a in node.attribute} <= set(after.attributes) and len(node.input) <= after.max_input
    return before.since_version == after.since_version or (fits and min(one, other) >= _SETTLED)


def inline(model: ModelProto) -> ModelProto:
    """The model without functions; bodies of another opset are converted to the model's own.

    Functions that call each other in a ring, or unfold to more nodes than any real model has, are refused.
    """
    if not model.functions:
        return model
    bodies = {(f.domain, f.name, f.overload): list(all_nodes(f.node)) for f in model.functions}
    _require_end(model, bodies)
    _write_defaults(model)
    opsets = {(o.domain, o.version) for o in model.opset_import}
    foreign = any((o.domain, o.version) not in opsets for f in model.functions for o in f.opset_import)
    try:
        if foreign:  # the conversion wants to know every type
            model = shape_inference.infer_shapes(model)
        model = onnx.inliner.inline_local_functions(model, convert_version=foreign)
    except Exception as error:  # bare C++ exceptions
        raise ModelError(f"its model-local functions cannot be inlined: {one_line(error)}") from None
    if left := sorted({n.op_type for n in all_nodes(model.graph.node) if _callee(n) in bodies}):
        raise ModelError(f"its model-local functions cannot be inlined: {', '.join(left)}")
    return model


def _write_defaults(model: ModelProto) -> None:
    """Each call states the attributes that it leaves to the function's defaults: onnx's inliner drops them."""
    defaults = {(f.domain, f.name, f.overload): f.attribute_proto for f in model.functions}
    for graph in (model.graph, *model.functions):
        for node in all_nodes(graph.node):
            stated = {a.name for a in node.attribute}
            node.attribute.extend(a for a in defaults.get(_callee(node), ()) if a.name not in stated)


def all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes and those of their subgraphs."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from all_nodes(graph.node)


def _callee(node: NodeProto) -> tuple[str, str, str]:
    return node.domain, node.op_type, node.overload


def _require_end(model: ModelProto, bodies: dict[tuple[str, str, str], list[NodeProto]]) -> None:
    calls = {f: {callee for n in nodes if (callee := _callee(n)) in bodies} for f, nodes in bodies.items()}
    try:
        inner_first = [*TopologicalSorter(calls).static_order()]
    except CycleError:
        raise ModelError("a model-local function calls itself") from None
    size: dict[tuple[str, str, str], int] = {}
    for function in inner_first:
        size[function] = sum(size.get(_callee(n), 1) for n in bodies[function])
    if (total := sum(size.get(_callee(n), 1) for n in all_nodes(model.graph.node))) > _MOST_NODES:
        raise ModelError(f"its model-local functions unfold to {total:,} nodes, more than {_MOST_NODES:,}")
