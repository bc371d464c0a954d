"""What kind of network lies between the inputs and the output: what `auto` and `dtd_head` ask."""

from __future__ import annotations

from onnxdtd.methods.place import Network
from onnxdtd.model.graph import Graph, needs
from onnxdtd.plan.origins import adds
from onnxdtd.plan.reach import Reach


def network(graph: Graph, way: Reach) -> Network:
    """The facts that decide which method fits."""
    families = {op.family for op in way.ops.values()}
    convolves, attends = "convolution" in families, bool(attention(way))
    recurs = any(op.kind == "recurrent" for op in way.ops.values())
    return Network(
        convolves=convolves,
        attends=attends,
        recurs=recurs,
        trees=any(op.flat for op in way.ops.values()),
        adds=not (convolves or attends or recurs) and adds(graph, way),
    )


def attention(way: Reach) -> set[str]:
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
    mixes |= {name for name, op in way.ops.items() if op.family == "convolution" or op.kind == "recurrent"}
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
