"""Types and shapes of the inner values: onnx's inference, helped on where it gives up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorShapeProto,
    TypeProto,
    ValueInfoProto,
    helper,
    shape_inference,
)

from onnxdtd.errors import ModelError, one_line
from onnxdtd.model.ml_shapes import ml_values

UNKNOWN = "unk__"  # how onnx begins the names of sizes that it cannot infer
_KEEPS_SHAPE = {("", "GroupNormalization")}
_LONGEST_VECTOR = 1 << 20


def infer(model: ModelProto) -> ModelProto:
    """Infer types and shapes. A wrong type ends the loading, a shape that cannot be found does not.

    What the file says of values, its inputs aside, counts only where nothing can be inferred: it goes stale when a
    model's input shape is edited.
    """
    stated = list(model.graph.value_info)
    del model.graph.value_info[:]
    kept = _stand_in(model)
    _infer_outputs(model)
    hinted: set[str] = set()
    while True:
        inferred = _inferred(model)
        graph = inferred.graph
        types = {v.name: v.type.tensor_type for v in (*graph.value_info, *graph.input, *graph.output)}
        shaped = {name for name, kind in types.items() if kind.HasField("shape")} | hinted
        hints = [hint for hint in _derived(graph, types) if hint.name not in shaped]
        hints = hints or [value for value in stated if value.name not in shaped]
        if not hints:
            break
        model.graph.value_info.extend(hints)
        hinted |= {hint.name for hint in hints}
    for i, node in kept.items():
        model.graph.node[i].CopyFrom(node)
        inferred.graph.node[i].CopyFrom(node)
    return inferred


def _stand_in(model: ModelProto) -> dict[int, NodeProto]:
    """Operators that keep the shape and that onnx does not infer, by position: an Identity stands in for each, so
    that one inference sees through any number of them."""
    kept = {}
    for i, node in enumerate(model.graph.node):
        if (node.domain, node.op_type) in _KEEPS_SHAPE:
            kept[i] = NodeProto()
            kept[i].CopyFrom(node)
            node.CopyFrom(
                NodeProto(name=node.name, op_type="Identity", input=node.input[:1], output=node.output)
            )
    return kept


def _infer_outputs(model: ModelProto) -> None:
    """Of an output's stated shape only what nothing can be inferred of is kept."""
    bare = ModelProto()
    bare.CopyFrom(model)
    for value in bare.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    for value, inferred in zip(model.graph.output, _inferred(bare).graph.output, strict=True):
        if not inferred.type.tensor_type.HasField("shape"):
            continue
        stated, shape = value.type.tensor_type.shape, inferred.type.tensor_type.shape
        if len(stated.dim) == len(shape.dim):
            for size, own in zip(shape.dim, stated.dim, strict=True):
                if size.dim_param.startswith(UNKNOWN) or size.WhichOneof("value") is None:
                    size.CopyFrom(own)
        stated.CopyFrom(shape)


def _inferred(model: ModelProto) -> ModelProto:
    try:
        inferred = shape_inference.infer_shapes(model, check_type=True)
    except Exception as error:  # bare C++ exceptions
        if "inconsistent type" in str(error) or "unsupported type" in str(error):
            raise ModelError(f"invalid ONNX: {one_line(error)}") from None
        return model
    if (
        max((dims[0].dim_value for dims in _shapes(inferred.graph) if len(dims) == 1), default=0)
        > _LONGEST_VECTOR
    ):
        return inferred  # data propagation would make an object for each element that a vector announces
    if _alike(inferred.graph):
        return inferred  # data propagation takes the values of two bodies for one another where they are named alike
    try:
        return shape_inference.infer_shapes(inferred, data_prop=True)
    except Exception:
        return inferred


def _alike(graph: GraphProto) -> bool:
    """Whether two bodies, or a body and what is around it, name a value alike."""
    names = [name for body in _bodies(graph) for node in body.node for name in node.output if name]
    return len(set(names)) < len(names)


def _bodies(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph and those in its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for body in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _bodies(body)


def _shapes(graph: GraphProto) -> Iterator[Sequence[TensorShapeProto.Dimension]]:
    for value in (*graph.value_info, *graph.input, *graph.output):
        yield value.type.tensor_type.shape.dim


def _derived(graph: GraphProto, types: Mapping[str, TypeProto.Tensor]) -> Iterator[ValueInfoProto]:
    """The rank after a Reshape is the length of its shape input."""
    for node in graph.node:
        x, y = types.get(next(iter(node.input), "")), types.get(next(iter(node.output), ""))
        if x is None:
            continue
        if node.domain == "ai.onnx.ml":
            yield from ml_values(node, x)
        if node.op_type != "Reshape" or node.domain or len(node.input) != 2:
            continue
        shape = types.get(node.input[1])
        if shape is not None and len(shape.shape.dim) == 1 and shape.shape.dim[0].HasField("dim_value"):
            sizes = [None] * shape.shape.dim[0].dim_value
            elem_type = y.elem_type if y is not None else x.elem_type
            yield helper.make_tensor_value_info(node.output[0], elem_type, sizes)
