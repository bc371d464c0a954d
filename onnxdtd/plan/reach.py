"""Where relevance enters, and how it can reach the inputs: the nodes between them and one output, and their depth.

Every op on the way must have an entry; all faults are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from onnxdtd.entries import OpEntry
from onnxdtd.errors import TargetError, UnsupportedError
from onnxdtd.model.graph import Graph, Node, needs
from onnxdtd.model.loops import Layout, layout
from onnxdtd.plan.carry import Carried
from onnxdtd.plan.default import by_interest
from onnxdtd.plan.faults import beside_fault
from onnxdtd.plan.target import FORMS

LAYERS = ("convolution", "dense")
NONE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Way:
    """nodes: in topological order. ops: what each is. slots: the data inputs of each through which relevance goes
    on. arrived: the values that it comes to. depth: convolutions and dense ops on the longest path up to and with a
    node, height: from it on; layers: on the longest path of all. first, last: layers with no other layer before,
    behind them. bodies: the way through the body of each loop, whose layers count once."""

    nodes: tuple[Node, ...]
    ops: dict[str, OpEntry]
    slots: dict[str, tuple[int, ...]]
    arrived: frozenset[str]
    depth: dict[str, int]
    height: dict[str, int]
    layers: int
    first: frozenset[str]
    last: frozenset[str]
    bodies: dict[str, Way]


@dataclass(frozen=True)
class Reach(Way):
    """The way between an output and the inputs that it reaches. held: graph inputs that are weights or settings of a
    node, which get no relevance."""

    output: str
    target: str
    inputs: tuple[str, ...]
    held: dict[str, Node]


def reach(carried: Carried, output: str | None) -> Reach:
    """Find the way from the inputs to an output (None: the first one that they reach).

    carried: what relevance can go along in the whole graph. Raises TargetError for an output that does not exist or
    depends on no input, UnsupportedError for ops without an entry, or if all ways end at ops that carry nothing.
    """
    graph = carried.graph
    output = _pick(graph, output, carried)
    target = graph.target(output)
    way = _way(carried, {target})
    names = {node.name for node in way.nodes}
    held = {name: node for name, node in carried.held.items() if node.name in names}
    faults = [
        *_faults(carried, way),
        *filter(None, [beside_fault(f"output '{output}'", [target], carried.beside)]),
    ]
    faults += [
        f"{node}: '{name}' is a weight or setting here and an input elsewhere; no rule serves that"
        for name, node in held.items()
        if name in way.arrived
    ]
    if faults:
        raise UnsupportedError(faults)
    inputs = tuple(name for name in graph.inputs if name in way.arrived)
    return Reach(**vars(way), output=output, target=target, inputs=inputs, held=held)


def _faults(carried: Carried, way: Way) -> list[str]:
    faults = [carried.faults[node.name] for node in way.nodes if node.name in carried.faults]
    return faults + [f for name, body in way.bodies.items() for f in _faults(carried.bodies[name], body)]


def _pick(graph: Graph, output: str | None, carried: Carried) -> str:
    """The output at which relevance enters."""
    if output is not None and output not in graph.outputs:
        names = ", ".join(f"'{name}'" for name in graph.outputs)
        raise TargetError(f"no output '{output}'; the model's outputs are {names}; a target is {FORMS}")
    candidates = by_interest(graph) if output is None else (output,)
    if reached := [name for name in candidates if graph.target(name) in carried.floats]:
        return min(reached, key=lambda name: graph.target(name) in carried.beside)
    before = _before(graph, candidates)
    reasons = [reason for name, reason in carried.ends.items() if name in before]
    if reasons := reasons or _places_only(graph, carried, before):
        raise UnsupportedError(reasons)
    named = f"output '{output}' does not depend" if output is not None else "no output depends"
    raise TargetError(f"{named} on an input that can carry relevance: nothing to explain")


def _places_only(graph: Graph, carried: Carried, names: set[str]) -> list[str]:
    """The nodes among the named ones of which what leads on says which values were taken, and not how much."""
    carries = carried.floats | carried.integers
    return [
        f"{node}: '{value}' says which of its values it took and carries none of them, so relevance ends here "
        "(nearest neighbours, sorted places)"
        for node in graph.nodes
        if node.name in names and node.name in carried.slots
        for value in node.outputs
        if value and value not in carries and value in graph.consumers
    ]


def _before(graph: Graph, outputs: tuple[str, ...]) -> set[str]:
    """The nodes that some of the outputs depend on, by name."""
    values, names = set(outputs), set()
    for node in reversed(graph.nodes):
        if not values.isdisjoint(node.outputs):
            values.update(filter(None, needs(node)))
            names.add(node.name)
    return names


def _way(
    carried: Carried,
    targets: Iterable[str],
    before: Mapping[str, int] = NONE,
    behind: Mapping[str, int] = NONE,
) -> Way:
    """The way back from the targets: one pass over the graph. before, behind: layers on the way to inputs, and from
    targets on."""
    graph, arrived, nodes = carried.graph, {*targets}, list[Node]()
    slots, bodies = dict[str, tuple[int, ...]](), dict[str, Way]()
    for node in reversed(graph.nodes):
        if node.name not in carried.slots or arrived.isdisjoint(node.outputs):
            continue
        slots[node.name] = carried.slots[node.name]
        if node.name in carried.bodies:
            call, inner = layout(node), carried.bodies[node.name]
            bodies[node.name] = way = _inside(
                call, inner, {end for end, out in call.results if out in arrived}
            )
            entered = {slot for slot, begin in call.entries if begin in way.arrived}
            slots[node.name] = tuple(slot for slot in slots[node.name] if slot in entered)
        arrived.update(needs(node)[slot] for slot in slots[node.name])
        nodes.append(node)
    nodes.reverse()
    ops = {node.name: carried.ops[node.name] for node in nodes}
    layers = {node.name for node in nodes if ops[node.name].family in LAYERS}
    weights = {
        node.name: bodies[node.name].layers if node.name in bodies else node.name in layers for node in nodes
    }
    depth, level = dict[str, int](), {**before}
    for node in nodes:
        depth[node.name] = max((level.get(v, 0) for v in needs(node)), default=0) + weights[node.name]
        level.update(dict.fromkeys(node.outputs, depth[node.name]))
    height, level = dict[str, int](), {**behind}
    for node in reversed(nodes):
        height[node.name] = max(level.get(v, 0) for v in node.outputs) + weights[node.name]
        for value in needs(node):
            level[value] = max(level.get(value, 0), height[node.name])
    return Way(
        nodes=tuple(nodes),
        ops=ops,
        slots=slots,
        arrived=frozenset(arrived),
        depth=depth,
        height=height,
        layers=max(depth.values(), default=0),
        first=frozenset(name for name in layers if depth[name] == 1),
        last=frozenset(name for name in layers if height[name] == 1),
        bodies=bodies,
    )


def _inside(call: Layout, carried: Carried, targets: set[str]) -> Way:
    """The way through a body. What reaches a state comes from what the iteration before made of it, so that layers
    lie before the states, and behind what becomes of them."""
    carrying = carried.floats | carried.integers
    while True:
        way = _way(carried, targets)
        states = [s for s in call.states if s.begin in way.arrived and s.end in carrying]
        if targets.issuperset(state.end for state in states):
            break
        targets |= {state.end for state in states}
    if not way.layers:
        return way
    turning = [state for state in states if state.begin not in call.fixed]
    again = _way(carried, targets, {s.begin: 1 for s in turning}, {s.end: 1 for s in turning})
    return replace(way, first=again.first, last=again.last)
