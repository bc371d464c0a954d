"""How relevance can reach the inputs: the nodes between the inputs and one output, and their depth.

Relevance goes along floats, and along integers that an op turns into floats (tokens that are looked up, bytes that
are cast). Every op on the way must have an entry; all faults are reported at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import networkx as nx
from onnx import TensorProto

from onnxdtd.entries import OpEntry
from onnxdtd.errors import TargetError, UnsupportedError
from onnxdtd.model.graph import Graph, Node, needs
from onnxdtd.ops import OPS
from onnxdtd.ops.gated import self_gate
from onnxdtd.plan.gates import signal
from onnxdtd.plan.masks import masks
from onnxdtd.plan.target import FORMS

LAYERS = ("convolution", "dense")
INTEGERS = {TensorProto.DataType.Value(f"{sign}INT{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)}
UNSERVED = ("refuse", "expanded")  # the latter where a node has not the form that is expanded
_OPTIMISED = ("com.microsoft.nchwc", "com.ms.internal.nhwc")
REFUSED = OpEntry("", "", "refuse", "refuse", None, (), None, "no entry for this operator")


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


def reach(graph: Graph, output: str | None, stops: Callable[[Node], bool] = lambda node: False) -> Reach:
    """Find the way from the inputs to an output (None: the first one that they reach).

    stops: nodes whose outputs are taken as constants. Raises TargetError for an output that does not exist or
    depends on no input, UnsupportedError for ops without an entry, or if all ways end at ops that carry nothing.
    """
    found = _carry(graph, stops)
    slots, ops = found.slots, found.ops
    output = _pick(graph, output, found)
    target = graph.target(output)
    on_way = _between(graph, slots, target)
    used = {node.inputs[slot] for node in on_way for slot in slots[node.name]} | {target}
    names = {node.name for node in on_way}
    held = {name: node for name, node in found.held.items() if node.name in names}
    faults = [found.faults[node.name] for node in on_way if node.name in found.faults]
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


def attends(graph: Graph, found: Reach) -> bool:
    """Whether a product of two values on the way has a Softmax on the way before it."""
    shared: set[str] = set()
    for node in graph.nodes:
        behind = not shared.isdisjoint(needs(node))
        on_way = node.name in found.ops
        if behind and on_way and node.op in ("MatMul", "Einsum") and found.ops[node.name].kind == "gate":
            return True
        if behind or (on_way and node.op == "Softmax"):
            shared.update(filter(None, node.outputs))
    return False


def describe(graph: Graph, node: Node) -> str:
    """A node in a message: name, op, opset, shapes."""
    version = graph.opsets.get(node.domain, 0)
    domain = f"{node.domain} " if node.domain else ""
    shapes = [str(graph.value(v).shape or "?") for v in (*filter(None, node.inputs), node.output)]
    return f"{node} ({domain}opset {version}, {', '.join(shapes[:-1])} -> {shapes[-1]})"


@dataclass
class Carried:
    """What relevance can go along. By node name: the data slots that depend on an input, what the op is, what is
    wrong with it, and for those where relevance ends, why. floats: the values that depend on an input; beside:
    those that are not their node's first output. held: graph inputs that are a weight or setting of a node, by
    that node: they are given no relevance."""

    floats: set[str]
    integers: set[str]
    slots: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ops: dict[str, OpEntry] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    beside: dict[str, Node] = field(default_factory=dict)
    held: dict[str, Node] = field(default_factory=dict)


def _carry(graph: Graph, stops: Callable[[Node], bool]) -> Carried:
    found = Carried(
        floats={name for name in graph.inputs if graph.value(name).is_float},
        integers={name for name in graph.inputs if graph.value(name).elem_type in INTEGERS} - {*masks(graph)},
    )
    for node in graph.nodes:
        read = {value for value in needs(node) if value in found.floats or value in found.integers}
        if stops(node) or not read:
            continue
        op = OPS.get((node.domain, node.op))
        made = [v for v in node.outputs if v and (graph.value(v).is_float or not graph.value(v).elem_type)]
        rounded = any(graph.value(v).elem_type in INTEGERS for v in read & found.floats)
        if rounded or (op is not None and op.kind == "refuse"):
            made = [v for v in node.outputs if v]  # integers here, which may be floats again further on
        if read & found.floats:
            if op is not None and op.kind == "barrier":
                found.ends[node.name] = f"{node}: {op.doc}"
                continue
            if not made:
                found.ends[node.name] = f"{node}: makes integers or booleans of floats"
                continue
            carrying = tuple(i for i, value in enumerate(node.inputs) if value in found.floats)
            if op is not None and op.data is not None and op.kind not in UNSERVED:
                held = [i for i in carrying if i not in op.data and node.inputs[i] in graph.inputs]
                found.held.update({node.inputs[i]: node for i in held})
                carrying = tuple(i for i in carrying if i not in held)
                if not carrying:
                    continue
            found.floats.update(made)
            found.beside.update({v: node for v in made if v != node.output})
        else:
            carrying = tuple(i for i, value in enumerate(node.inputs) if value in found.integers)
            embeds = bool(made) or _compares(graph, node)
            through = () if op is None else op.embeds if embeds else op.data or ()
            carrying = tuple(i for i in carrying if i in through)
            if op is None or not carrying or not (embeds or op.kind == "route"):
                continue
            (found.floats if made else found.integers).add(node.output)
            family = "embedding" if made else "route"
            op = replace(op, kind="route", family=family, data=carrying) if embeds else op
        found.slots[node.name] = carrying
        found.ops[node.name] = REFUSED if op is None else op.at(carrying, node.attributes)
        if (own := signal(graph, node, found.floats)) is not None:
            found.ops[node.name] = self_gate(own)
        fault = _fault(graph, node, op, carrying) or _stray(node, found.beside)
        if fault:
            found.faults[node.name] = fault
    return found


def _compares(graph: Graph, node: Node) -> bool:
    """Whether integers (..., 1) are compared with all of their values (..., K): a one-hot vector, as booleans."""
    shapes = [graph.value(name).shape or () for name in node.inputs]
    return node.op == "Equal" and sorted(shape[-1:] == (1,) for shape in shapes) == [False, True]


def _fault(graph: Graph, node: Node, op: OpEntry | None, carrying: tuple[int, ...]) -> str:
    where = describe(graph, node)
    stop = f'let relevance stop there with --rules: [[rule]] op = "{node.op}", use = "stop"'
    if node.domain in _OPTIMISED:
        return (
            f"{where}: written by onnxruntime's optimiser for one kind of processor; save the model with "
            f"ORT_ENABLE_BASIC or unoptimised, or {stop}"
        )
    if op is None:
        return f"{where}: no entry for this operator; add one under onnxdtd/ops/, or {stop}"
    if op.kind in UNSERVED:
        return f"{where}: {op.doc}; {stop}"
    if (version := graph.opsets.get(node.domain, 1)) < op.since:
        return f"{where}: known from opset {op.since} on, this is {version}; convert the model, or {stop}"
    stray = [i for i in carrying if op.data is not None and i not in op.data]
    if stray:
        return f"{where}: input {stray[0]} depends on the model's input, but is a weight here; no rule serves that"
    return ""


def _stray(node: Node, beside: Mapping[str, Node]) -> str:
    """Relevance goes through a node's first output only."""
    for value in node.inputs:
        if value in beside:
            maker = beside[value]
            which = maker.outputs.index(value)
            return f"{node}: reads '{value}', output {which} of {maker}, which carries no relevance"
    return ""


def _pick(graph: Graph, output: str | None, found: Carried) -> str:
    if output is not None and output not in graph.outputs:
        names = ", ".join(f"'{name}'" for name in graph.outputs)
        raise TargetError(f"no output '{output}'; the model's outputs are {names}; a target is {FORMS}")
    wanted = graph.outputs if output is None else (output,)
    for name in wanted:
        if graph.target(name) in found.floats:
            return name
    before = {
        p for name in wanted if name in graph.producers for p in _before(graph, graph.producers[name].name)
    }
    if reasons := [reason for name, reason in found.ends.items() if name in before]:
        raise UnsupportedError(reasons)
    named = f"output '{output}' does not depend" if output is not None else "no output depends"
    raise TargetError(f"{named} on an input that can carry relevance: nothing to explain")


def _before(graph: Graph, node: str) -> set[str]:
    return {node, *nx.ancestors(graph.network, node)}


def _between(graph: Graph, slots: dict[str, tuple[int, ...]], target: str) -> tuple[Node, ...]:
    """The nodes with such slots from which relevance of the target comes: one pass back over the graph."""
    arrived, way = {target}, []
    for node in reversed(graph.nodes):
        if node.name in slots and not arrived.isdisjoint(node.outputs):
            arrived.update(needs(node)[slot] for slot in slots[node.name])
            way.append(node)
    return tuple(reversed(way))
