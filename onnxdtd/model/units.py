"""Changes of units: affine steps between a graph input and the first op that mixes inputs."""

from __future__ import annotations

from collections.abc import Container

from onnxdtd.model.graph import Graph, Node

_AFFINE = ("Add", "Sub", "Sum", "Mul", "Div", "Neg", "BatchNormalization")
STEPS = {*(("", op) for op in _AFFINE), ("ai.onnx.ml", "Scaler")}
"""y = s x + c with constants s and c, elementwise."""
MOVES = {
    ("", op)
    for op in (
        "Identity", "Cast", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split", "Concat",
        "Pad", "Gather", "DepthToSpace", "SpaceToDepth", "Expand", "Tile",
    )
} | {("ai.onnx.ml", "Imputer")}  # fmt: skip


def units(graph: Graph) -> frozenset[str]:
    """The names of the steps y = s x + c, one x, with nothing but such steps and moves between x and the inputs.

    They say in which unit x is written (pixels, standard deviations): nothing is explained by them.
    """
    return frozenset(_units(graph)[1])


def inputs_in_units(graph: Graph) -> set[str]:
    """The inputs, and what such steps and moves make of them alone."""
    return _units(graph)[0]


def _units(graph: Graph) -> tuple[set[str], set[str]]:
    raw, steps = set(graph.inputs), set()
    for node in graph.nodes:
        data = [value for value in node.inputs if value and value not in graph.constants]
        scales = is_step(node, graph.constants)
        moves = (node.domain, node.op) in MOVES and (node.op == "Concat" or data == [node.inputs[0]])
        if data and raw.issuperset(data) and (scales or moves):
            raw.update(node.outputs)
            steps.update([node.name] * scales)
    return raw, steps


def is_step(node: Node, constants: Container[str]) -> bool:
    """Whether the node is y = s x + c of one value x."""
    data = [slot for slot, value in enumerate(node.inputs) if value and value not in constants]
    return (node.domain, node.op) in STEPS and len(data) == 1 and (node.op != "Div" or data == [0])
