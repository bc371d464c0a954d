"""How relevance can reach the inputs: the nodes between the float inputs and one output, and their depth.

Every op on the way must have an entry, and no weight may depend on the input; all faults are reported at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import networkx as nx

from onnxdtd.engine.target import FORMS
from onnxdtd.errors import TargetError, UnsupportedError
from onnxdtd.model.graph import Graph, Node
from onnxdtd.ops import OPS

LAYERS = ("convolution", "dense")


@dataclass(frozen=True)
class Reach:
    """nodes: in topological order. slots: the data inputs of each through which relevance goes on. inputs: the
    graph inputs that it reaches. depth: convolutions and dense ops on the longest path up to and with a node;
    layers: the longest path of all. first, last: layers with no other layer before, behind them."""

    output: str
    target: str
    nodes: tuple[Node, ...]
    slots: dict[str, tuple[int, ...]]
    inputs: tuple[str, ...]
    depth: dict[str, int]
    layers: int
    first: frozenset[str]
    last: frozenset[str]


def reach(graph: Graph, output: str | None, stops: Callable[[Node], bool] = lambda node: False) -> Reach:
    """Find the way from the float inputs to an output (None: the first one that they reach).

    stops: nodes whose outputs are taken as constants. Raises TargetError for an output that does not exist or
    depends on no float input, UnsupportedError for ops without an entry.
    """
    slots, faults = _carry(graph, stops)
    carried = {v for node in graph.nodes if node.name in slots for v in node.outputs}
    carried |= {name for name in graph.inputs if graph.value(name).is_float}
    output = _pick(graph, output, carried)
    target = graph.target(output)
    on_way = _between(graph, slots, target)
    found = [faults[node.name] for node in on_way if node.name in faults]
    if found:
        raise UnsupportedError(found)
    depth: dict[str, int] = {}
    for node in on_way:
        before = [depth[p] for p in graph.network.predecessors(node.name) if p in depth]
        depth[node.name] = max(before, default=0) + (_family(node) in LAYERS)
    height: dict[str, int] = {}
    for node in reversed(on_way):
        behind = [height[s] for s in graph.network.successors(node.name) if s in height]
        height[node.name] = max(behind, default=0) + (_family(node) in LAYERS)
    layers = {node.name for node in on_way if _family(node) in LAYERS}
    used = {node.inputs[slot] for node in on_way for slot in slots[node.name]} | {target}
    return Reach(
        output=output,
        target=target,
        nodes=on_way,
        slots={node.name: slots[node.name] for node in on_way},
        inputs=tuple(name for name in graph.inputs if name in used),
        depth=depth,
        layers=max(depth.values(), default=0),
        first=frozenset(name for name in layers if depth[name] == 1),
        last=frozenset(name for name in layers if height[name] == 1),
    )


def describe(graph: Graph, node: Node) -> str:
    """A node in a message: name, op, opset, shapes."""
    version = graph.opsets.get(node.domain, 0)
    domain = f"{node.domain} " if node.domain else ""
    shapes = [str(graph.value(v).shape or "?") for v in (*filter(None, node.inputs), node.output)]
    return f"{node} ({domain}opset {version}, {', '.join(shapes[:-1])} -> {shapes[-1]})"


def _carry(graph: Graph, stops: Callable[[Node], bool]) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """The data slots of each node that depend on a float input, and what is wrong with it, by node name."""
    carried = {name for name in graph.inputs if graph.value(name).is_float}
    slots: dict[str, tuple[int, ...]] = {}
    faults: dict[str, str] = {}
    for node in graph.nodes:
        reads = [value for value, _ in (key for *_, key in graph.network.in_edges(node.name, keys=True))]
        if not carried.intersection(reads) or stops(node):
            continue
        op = OPS.get((node.domain, node.op))
        floats = [v for v in node.outputs if v and (graph.value(v).is_float or not graph.value(v).elem_type)]
        if (op is not None and op.kind == "barrier") or not floats:
            continue
        arriving = tuple(i for i, value in enumerate(node.inputs) if value in carried)
        fault = _fault(graph, node, arriving)
        if fault:
            faults[node.name] = fault
        slots[node.name] = arriving
        carried.update(floats[:1] if op is not None else floats)
    return slots, faults


def _fault(graph: Graph, node: Node, arriving: tuple[int, ...]) -> str:
    op = OPS.get((node.domain, node.op))
    where = describe(graph, node)
    if op is None:
        return (
            f"{where}: no entry for this operator; add one under onnxdtd/ops/, or let relevance stop there with "
            f'--rules: [[rule]] op = "{node.op}", use = "stop"'
        )
    if op.kind == "refuse":
        return f"{where}: {op.doc}"
    stray = [i for i in arriving if op.data is not None and i not in op.data]
    if stray:
        return f"{where}: input {stray[0]} depends on the model's input, but is a weight here; no rule serves that"
    if len([i for i in arriving if i in op.one_of]) > 1:
        return (
            f"{where}: multiplies two values that both depend on the model's input; no rule serves that yet"
        )
    return ""


def _pick(graph: Graph, output: str | None, carried: set[str]) -> str:
    if output is not None and output not in graph.outputs:
        names = ", ".join(f"'{name}'" for name in graph.outputs)
        raise TargetError(f"no output '{output}'; the model's outputs are {names}; a target is {FORMS}")
    for name in graph.outputs if output is None else [output]:
        if graph.target(name) in carried:
            return name
    named = f"output '{output}'" if output is not None else "no output"
    verb = "does not depend" if output is not None else "depends"
    raise TargetError(f"{named} {verb} on a float input through ops that carry relevance: nothing to explain")


def _between(graph: Graph, slots: dict[str, tuple[int, ...]], target: str) -> tuple[Node, ...]:
    last = graph.producers.get(target)
    if last is None:
        return ()
    carrying = graph.network.edge_subgraph(
        (a, b, key) for a, b, key in graph.network.edges(keys=True) if b in slots and key[1] in slots[b]
    )
    names = {last.name} | (nx.ancestors(carrying, last.name) if last.name in carrying else set())
    return tuple(node for node in graph.nodes if node.name in names and node.name in slots)


def _family(node: Node) -> str:
    return OPS[node.domain, node.op].family
