"""What kind of network lies between the inputs and the output: what `auto` and `dtd_head` ask."""

from __future__ import annotations

from collections.abc import Iterator

from onnxdtd.entries import OpEntry
from onnxdtd.methods.place import Network
from onnxdtd.model.graph import Graph, needs
from onnxdtd.plan.forests import shapley
from onnxdtd.plan.origins import adds, looks_up
from onnxdtd.plan.reach import Reach, Way

RECURRENT = ("recurrent", "loop")


def network(graph: Graph, way: Reach) -> Network:
    """The facts that decide which method fits."""
    families = {op.family for op in _ops(way)}
    convolves, attends = "convolution" in families, _attends(way)
    recurs = any(op.kind in RECURRENT for op in way.ops.values())
    trees = "tree" in families
    plain = not (convolves or attends or recurs)
    return Network(
        convolves=convolves,
        attends=attends,
        recurs=recurs,
        trees=trees,
        adds=plain and not trees and adds(graph, way),
        tree_sum=plain and trees and adds(graph, way, trees=True),
        counted=trees and shapley(graph, way.nodes),
        embeds=looks_up(way.nodes, way.ops) and not any(graph.value(name).is_float for name in way.inputs),
    )


def _ops(way: Way) -> Iterator[OpEntry]:
    """Of all nodes, those in the bodies of loops included."""
    yield from way.ops.values()
    for body in way.bodies.values():
        yield from _ops(body)


def _attends(way: Way) -> bool:
    return bool(attention(way)) or any(map(_attends, way.bodies.values()))


def own_method(graph: Graph, way: Reach) -> str:
    """The method that every sharing of relevance comes to, since only one kind of op shares, which has its own; "" if
    there is none."""
    own = {op.own for op in way.ops.values() if op.own}
    rest = [op for op in way.ops.values() if not op.own]
    passing = all(op.kind in ("route", "elementwise") or op.family in ("scale", "sum") for op in rest)
    return own.pop() if len(own) == 1 and passing and adds(graph, way, trees=True) else ""


def attention(way: Way) -> set[str]:
    """The products of two values on the way of which a Softmax made one, by node name."""
    return {
        node.name
        for node in way.nodes
        if node.mark is not None and node.mark.meaning == "attention" and way.ops[node.name].kind == "gate"
    }


def heads(way: Reach) -> frozenset[str]:
    """The dense ops with no convolution, attention or recurrence on the way behind them; where there are none, the
    last layers."""
    mixes = attention(way)
    mixes |= {name for name, op in way.ops.items() if op.family == "convolution" or op.kind in RECURRENT}
    covered: set[str] = set()  # values with such an op behind them
    head = set()
    for node in reversed(way.nodes):
        if not covered.isdisjoint(node.outputs):
            covered.update(needs(node))
            continue
        if way.ops[node.name].family == "dense":
            head.add(node.name)
        if node.name in mixes:
            covered.update(needs(node))
    return frozenset(head) or way.last
