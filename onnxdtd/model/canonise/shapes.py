"""Sizes that only folding has made known: shapes are inferred once more, and what depends on them is folded."""

from __future__ import annotations

from dataclasses import replace

from onnx import helper, numpy_helper

from onnxdtd.model.canonise.constants import constants
from onnxdtd.model.graph import Graph, Value
from onnxdtd.model.load import value_of
from onnxdtd.model.shapes import UNKNOWN, infer
from onnxdtd.model.weights import SMALL


def shapes(graph: Graph) -> Graph:
    """f(x) = f(x): the same nodes. Where values of unknown sizes are left, these follow from the constants by now."""
    while inferred := _known_by_now(graph):
        graph = constants(graph.replace(values={**graph.values, **inferred}))
    return graph


def _known_by_now(graph: Graph) -> dict[str, Value]:
    """The values of which more sizes are known than before."""
    before = {v: _sizes(graph.value(v)) for node in graph.nodes for v in node.outputs if v}
    if all(sizes is not None and all(sizes) for sizes in before.values()):
        return {}
    # Of what a loop makes onnx infers less than is known.
    loops = [node for node in graph.nodes if node.body is not None]
    made = tuple(v for node in loops for v in node.outputs)
    rest = tuple(node for node in graph.nodes if node.body is None)
    model = replace(graph, nodes=rest, inputs=(*graph.inputs, *made)).to_proto(constants=False)
    for name, array in graph.constants.items():
        if array.nbytes <= SMALL and array.dtype != object:
            model.graph.initializer.append(numpy_helper.from_array(array, name))
        else:
            kind = graph.value(name).elem_type
            model.graph.input.append(helper.make_tensor_value_info(name, kind, array.shape))
    inferred = infer(model).graph
    values = map(value_of, (*inferred.value_info, *inferred.output))
    return {v.name: _unnamed(v) for v in values if v.name in before and _says_more(_sizes(v), before[v.name])}


def _unnamed(value: Value) -> Value:
    """Without the names of sizes that onnx cannot infer: they begin anew with each inference, so that two sizes of
    two inferences would bear one name."""
    shape = value.shape and tuple(None if str(size).startswith(UNKNOWN) else size for size in value.shape)
    return replace(value, shape=shape)


def _sizes(value: Value) -> list[bool] | None:
    """Which sizes are known, be it by the model's own name; onnx names those that it cannot infer."""
    if value.shape is None:
        return None
    return [size is not None and not str(size).startswith(UNKNOWN) for size in value.shape]


def _says_more(now: list[bool] | None, before: list[bool] | None) -> bool:
    return now is not None and (before is None or sum(now) > sum(before))
