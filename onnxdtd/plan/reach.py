"""Where relevance enters, and how it can reach the inputs: the nodes between them and one output, and their depth.

Every op on the way must have an entry; all faults are reported at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from onnxdtd.entries import OpEntry
from onnxdtd.errors import TargetError, UnsupportedError
from onnxdtd.model.graph import Graph, Node, needs
from onnxdtd.plan.carry import Carried
from onnxdtd.plan.default import by_interest
from onnxdtd.plan.faults import beside_fault
from onnxdtd.plan.target import FORMS

LAYERS = ("convolution", "dense")


@dataclass(frozen=True)
class Reach:
    """nodes: in topological order. ops: what each is. slots: the data inputs of each through which relevance goes
    on. inputs: the graph inputs that it reaches. depth: convolutions and dense ops on the longest path up to and
    with a node; layers: the longest path of all. first, last: layers with no other layer before, behind them.
    held: graph inputs that are weights or settings of a node, which get no relevance."""

    output: str
    target: str
    nodes: tuple[Node, ...]
    ops: dict[str, OpEntry]
    slots: dict[str, tuple[int, ...]]
    inputs: tuple[str, ...]
    depth: dict[str, int]
    layers: int
    held: dict[str, Node]
    first: frozenset[str]
    last: frozenset[str]


def reach(carried: Carried, output: str | None) -> Reach:
    """Find the way from the inputs to an output (None: the first one that they reach).

    carried: what relevance can go along in the whole graph. Raises TargetError for an output that does not exist or
    depends on no input, UnsupportedError for ops without an entry, or if all ways end at ops that carry nothing.
    """
    graph, slots, ops = carried.graph, carried.slots, carried.ops
    output = _pick(graph, output, carried)
    target = graph.target(output)
    on_way = _between(graph, slots, target)
    used = {node.inputs[slot] for node in on_way for slot in slots[node.name]} | {target}
    names = {node.name for node in on_way}
    held = {name: node for name, node in carried.held.items() if node.name in names}
    faults = [carried.faults[node.name] for node in on_way if node.name in carried.faults]
    faults += filter(None, [beside_fault(f"output '{output}'", [target], carried.beside)])
    faults += [
        f"{node}: '{name}' is a weight or setting here and an input elsewhere; no rule serves that"
        for name, node in held.items()
        if name in used
    ]
    if faults:
        raise UnsupportedError(faults)
    layers = {node.name for node in on_way if ops[node.name].family in LAYERS}
    depth: dict[str, int] = {}
    for node in on_way:
        before = [depth[p] for p in graph.network.predecessors(node.name) if p in depth]
        depth[node.name] = max(before, default=0) + (node.name in layers)
    height: dict[str, int] = {}
    for node in reversed(on_way):
        behind = [height[s] for s in graph.network.successors(node.name) if s in height]
        height[node.name] = max(behind, default=0) + (node.name in layers)
    return Reach(
        output=output,
        target=target,
        nodes=on_way,
        ops={node.name: ops[node.name] for node in on_way},
        slots={node.name: slots[node.name] for node in on_way},
        inputs=tuple(name for name in graph.inputs if name in used),
        depth=depth,
        layers=max(depth.values(), default=0),
        held=held,
        first=frozenset(name for name in layers if depth[name] == 1),
        last=frozenset(name for name in layers if height[name] == 1),
    )


def _pick(graph: Graph, output: str | None, carried: Carried) -> str:
    """The output at which relevance enters."""
    if output is not None and output not in graph.outputs:
        names = ", ".join(f"'{name}'" for name in graph.outputs)
        raise TargetError(f"no output '{output}'; the model's outputs are {names}; a target is {FORMS}")
    candidates = by_interest(graph) if output is None else (output,)
    if reached := [name for name in candidates if graph.target(name) in carried.floats]:
        return min(reached, key=lambda name: graph.target(name) in carried.beside)
    before = _before(graph, candidates)
    if reasons := [reason for name, reason in carried.ends.items() if name in before]:
        raise UnsupportedError(reasons)
    named = f"output '{output}' does not depend" if output is not None else "no output depends"
    raise TargetError(f"{named} on an input that can carry relevance: nothing to explain")


def _before(graph: Graph, outputs: tuple[str, ...]) -> set[str]:
    """The nodes that some of the outputs depend on, by name."""
    values, names = set(outputs), set()
    for node in reversed(graph.nodes):
        if not values.isdisjoint(node.outputs):
            values.update(filter(None, needs(node)))
            names.add(node.name)
    return names


def _between(graph: Graph, slots: dict[str, tuple[int, ...]], target: str) -> tuple[Node, ...]:
    """The nodes with such slots from which relevance of the target comes: one pass back over the graph."""
    arrived, way = {target}, []
    for node in reversed(graph.nodes):
        if node.name in slots and not arrived.isdisjoint(node.outputs):
            arrived.update(needs(node)[slot] for slot in slots[node.name])
            way.append(node)
    return tuple(reversed(way))
