"""The final Softmax, LogSoftmax or Sigmoid is not explained: its input, the logit, is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from onnx import TensorProto

from onnxdtd.model.graph import Graph, Head, Node

HEADS: dict[str, Literal["sigmoid", "softmax"]] = {
    "Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid",
}  # fmt: skip
_AXIS_COUNTS_ALONE = 13  # Until then a Softmax took all axes from `axis` on as one.
_FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
_RESHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
_SCALING = ("Identity", "LpNormalization")  # the order of what is divided by its norm stays
_ROUNDING = ("QuantizeLinear", "DequantizeLinear")


def head(graph: Graph) -> Graph:
    """y = softmax(z), explained: z. A Softmax, LogSoftmax or Sigmoid from which only nodes that keep the
    order lead to an output is set aside: `targets` names its input. The output itself is still computed.

    An index of y must mean the same in z: where the shape changes on the way, or may, the output is explained
    as it is.
    """
    targets, heads, notes = dict(graph.targets), dict(graph.heads), []
    finals = _finals(graph)
    for output in graph.outputs:
        final = None if output in targets else _final(graph, output, finals)
        if final is not None:
            targets[output], heads[output] = final.inputs[0], made_by(graph, final)
            notes.append(f"final {final.op} '{final.name}' set aside: '{final.inputs[0]}' is explained")
    return graph.replace(targets=targets, heads=heads).noting(*notes) if notes else graph


def made_by(graph: Graph, node: Node, whole: bool = True) -> Head:
    """The head that a final activation is."""
    kind = HEADS[node.op]
    alone = kind == "softmax" and graph.opsets.get("", 1) >= _AXIS_COUNTS_ALONE
    return Head(kind, int(node.attributes.get("axis", -1)) if alone else None, whole)


def _finals(graph: Graph) -> dict[str, tuple[Node, bool]]:
    """For each value that only nodes that keep the order lead to from an activation: that activation, and whether
    none of them reshapes."""
    finals: dict[str, tuple[Node, bool]] = {}
    for node in graph.nodes:
        if node.domain:
            continue
        if node.op in HEADS and node.inputs[0] in graph.producers:
            finals[node.output] = node, True
        elif node.op in (*_SCALING, *_ROUNDING, *_RESHAPING) or _is_cast(node):
            final, plain = finals.get(node.inputs[0], (None, False))
            if final is not None:
                finals[node.output] = final, plain and node.op not in _RESHAPING
    return finals


def _final(graph: Graph, output: str, finals: Mapping[str, tuple[Node, bool]]) -> Node | None:
    """The activation behind an output whose input has the output's indices."""
    if output not in finals:
        return None
    node, plain = finals[output]
    shape = graph.value(node.inputs[0]).shape
    keeps_sizes = shape is not None and None not in shape and shape == graph.value(output).shape
    return node if plain or keeps_sizes else None


def _is_cast(node: Node) -> bool:
    return node.op == "Cast" and node.attributes.get("to") in _FLOATS
