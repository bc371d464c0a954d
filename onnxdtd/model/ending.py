"""What the end of a graph makes of its logits."""

from __future__ import annotations

from typing import Literal

from onnxdtd.model.graph import Graph, Node

Ending = Literal["softmax", "exp", "as it is"]
UNTOLD: Ending = "softmax"
"""Where nothing is known of the output: it is taken for logits."""
PROBABLE = {"Softmax", "Sigmoid", "Normalizer"}
CARRYING = {"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "ZipMap"}


def ending(graph: Graph, output: str) -> Ending:
    """What makes the output probabilities, asked of a graph as it was read, since canonisation writes the operators
    of ai.onnx.ml out: `softmax` of logits, `exp` of their logarithms, nothing where they are some already."""
    node: Node | None = graph.producers.get(output)
    while node is not None and node.op in CARRYING:
        node = graph.producers.get(node.inputs[0])
    if node is None or node.op == "LogSoftmax":
        return UNTOLD if node is None else "exp"
    transformed = node.attributes.get("post_transform", "NONE") != "NONE"
    return "as it is" if node.op in PROBABLE or transformed else UNTOLD
