"""The tree ensembles of a graph: what they read, and whether anybody has counted the samples at their nodes."""

from __future__ import annotations

from onnxdtd.errors import OnnxdtdError
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.trees.forest import Forest
from onnxdtd.model.trees.read import forest_of
from onnxdtd.ops import OPS


def is_forest(node: Node) -> bool:
    """Whether the node is a tree ensemble."""
    entry = OPS.get((node.domain, node.op))
    return entry is not None and entry.family == "tree"


def read_by_trees(graph: Graph) -> tuple[str, ...]:
    """The values that tree ensembles read."""
    return tuple(dict.fromkeys(node.inputs[0] for node in graph.nodes if is_forest(node)))


def uncounted(graph: Graph, nodes: tuple[Node, ...]) -> list[Node]:
    """The tree ensembles among the nodes whose samples neither the model nor a background has counted."""
    return [n for n in nodes if is_forest(n) and n.inputs[0] not in graph.background and not _counted(n)]


def shapley(graph: Graph, nodes: tuple[Node, ...]) -> bool:
    """Whether every tree ensemble among the nodes is a sum of trees whose samples are counted."""
    return not uncounted(graph, nodes) and all(_read(n) is not None for n in nodes if is_forest(n))


def _counted(node: Node) -> bool:
    hits = node.attributes.get("nodes_hitrates")
    if hits is None or len(hits) < 2 or len(set(hits)) == 1:  # most exporters write ones
        return False
    forest = _read(node)
    return forest is not None and forest.counted


def _read(node: Node) -> Forest | None:
    try:
        forest = forest_of(node)
    except OnnxdtdError:  # told where the node is explained
        return None
    return forest if forest.adds else None
