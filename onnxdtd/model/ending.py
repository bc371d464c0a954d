"""What the end of a graph makes of its logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from onnx import GraphProto

from onnxdtd.model.graph import Graph, Node

Ending = Literal["softmax", "exp", "as it is"]
UNTOLD: Ending = "softmax"
"""Where nothing is settled of the output: it is taken for logits."""
PROBABLE = {"Softmax", "Sigmoid", "Normalizer"}
CARRYING = {"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "ZipMap"}


def endings(graph: Graph) -> dict[str, Ending]:
    """What makes each output probabilities, asked of a graph as it was read, since canonisation writes the operators
    of ai.onnx.ml out: `softmax` of logits, `exp` of their logarithms, nothing where they are some already. Where
    branches end, it is what both end in."""
    settled: dict[str, Ending] = {}
    return {output: _ending(graph.producers, output, settled) for output in graph.outputs}


def _ending(producers: Mapping[str, Node], output: str, settled: dict[str, Ending]) -> Ending:
    """settled: the endings of values, so that those which lie on one way are asked once."""
    value, node, way = output, producers.get(output), [output]
    while value not in settled and node is not None and node.op in CARRYING:
        value = node.inputs[0]
        node = producers.get(value)
        way.append(value)
    made = settled[value] if value in settled else _made_by(producers, value, node)
    settled.update(dict.fromkeys(way, made))
    return made


def _made_by(producers: Mapping[str, Node], value: str, node: Node | None) -> Ending:
    if node is None or node.op == "LogSoftmax":
        return UNTOLD if node is None else "exp"
    if node.op == "If":
        which = node.outputs.index(value)
        bodies = [node.attributes[side] for side in ("then_branch", "else_branch")]
        ends = {_ending({**producers, **_made(body)}, body.output[which].name, {}) for body in bodies}
        return ends.pop() if len(ends) == 1 else UNTOLD
    transformed = node.attributes.get("post_transform", "NONE") != "NONE"
    return "as it is" if node.op in PROBABLE or transformed else UNTOLD


def _made(body: GraphProto) -> dict[str, Node]:
    return {value: Node.from_proto(proto, proto.name) for proto in body.node for value in proto.output}
