"""What moves with what: values that change where others do, shapes aside."""

from __future__ import annotations

from collections.abc import Container, Iterable

from onnxdtd.domains.pieces import still
from onnxdtd.model.graph import Graph, Node, needs
from onnxdtd.ops import OPS


def moved_by(
    graph: Graph, starts: Iterable[str], ends: Container[str], closed: Container[str] = ()
) -> list[Node]:
    """The nodes whose values the values `starts` move, on the way to any of `ends`; none of those closed, nor what
    only they lead to."""
    carried, reached = set(starts), []
    for node in graph.nodes:
        entry = OPS.get((node.domain, node.op))
        moves = entry is None or entry.pieces is not still
        if moves and node.name not in closed and not carried.isdisjoint(needs(node)):
            reached.append(node)
            carried.update(filter(None, node.outputs))
    read: set[str] = set()
    kept = []
    for node in reversed(reached):
        if any(value in ends or value in read for value in node.outputs):
            kept.append(node)
            read.update(needs(node))
    return kept[::-1]
